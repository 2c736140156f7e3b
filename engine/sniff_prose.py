"""Tell documents for people to write: LaTeX, Markdown, reStructuredText and their kin.

All of them are text in which almost anything is allowed, so a name is given only where several of
a format's own marks come together.
"""

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

_LATEX = re.compile(
    r"(?>\s+|%[^\n]*\n|\\(?:NeedsTeXFormat|RequirePackage|PassOptionsToPackage)[^\n]*\n)*+"
    r"\\(?:documentclass|documentstyle|begin\{document\}|usepackage|ProvidesPackage|ProvidesClass"
    r"|newcommand\*?\{|begin\{[\w*]+\}|chapter\*?\{|section\*?\{|subsection\*?\{|title\{)"
)
_MAN = re.compile(
    r"""(?>['.]\\?"[^\n]*\n|\s+|\.[ \t]*\n|\.(?:ie?|el|de|if|nr|ds)\b[^\n]*\n)*+\.(?:TH|Dd)\s"""
)
_TYPST = re.compile(r"^#(?:set|show|let|import)\s+[\w\"@]", re.MULTILINE)
_TYPST_MARK = re.compile(r"^(?:=+ \S|#(?:set|show) \w+[\w.]*[(:])", re.MULTILINE)
_BIBTEX = re.compile(
    r"(?>\s+|%[^\n]*\n)*+@(?:article|book|inproceedings|misc|phdthesis|techreport)\s*\{\s*[\w:.-]+\s*,",
    re.IGNORECASE,
)


_OPENINGS = ((_LATEX, "latex"), (_MAN, "man"), (_BIBTEX, "bibtex"))


class _Mark(NamedTuple):
    """A pattern, and some texts of which one is in whatever it matches: they are found faster."""

    hints: tuple[str, ...]
    pattern: re.Pattern[str]

    def stands_in(self, text: str) -> bool:
        return any(hint in text for hint in self.hints) and bool(self.pattern.search(text))


def _mark(hints: str, pattern: str) -> _Mark:
    return _Mark(tuple(hints.split(" | ")), re.compile(pattern, re.MULTILINE))


_RST = (
    _mark("::", r"^\.\. [\w-]+(?::[\w-]+)?::"),
    _mark(".. _", r"^\.\. _[^:\n]+:"),
    _mark(":`", r":[a-z]{1,20}(?:[:-][a-z]{1,20}){0,3}:`[^`\n]{1,200}`"),
    _mark("``", r"``[^`\n]{1,200}``"),
    _mark(">`_", r"`[^`\n<]{1,200}<[^>\n]{1,200}>`__?"),
    _mark("\n:", r"^:[A-Za-z][\w -]{0,40}: "),
    _mark(".. |", r"^\.\. \|[^|\n]+\| "),
    _mark("::\n\n", r"::\n\n[ \t]+\S"),
    _mark("=== | --- | ~~~ | ^^^ | ***", r"^(={3,}|-{3,}|~{3,}|\^{3,}|\*{3,})\n[^\n]+\n\1$"),
    _mark('=== | ~~~ | ^^^ | *** | """', r"^\S[^\n]{2,}\n(?:={3,}|~{3,}|\^{3,}|\*{3,}|\"{3,})$"),
    _mark("`_", r"\w`__?[\s.,)]"),
)
_MD = (
    _mark("# ", r"^#{1,6} \S"),
    _mark("``` | ~~~", r"^(?:```|~~~ ?[\w{]*$)"),
    _mark("](", r"\[[^\]\n]{1,200}\]\([^)\s]{1,300}(?: \"[^\"\n]{0,100}\")?\)"),
    _mark("]:", r"^\[[^\]\n]{1,200}\]:[ \t]+\S"),
    _mark("**", r"\*\*[^*\s][^*\n]{0,200}\*\*"),
    _mark("* | + | - ", r"^[ \t]{0,12}[*+-] \S"),
    _mark("`", r"(?<!`)`[^`\n]{1,200}`(?!`)"),
    _mark("---", r"^\|? {0,4}:?-{3,200}:? {0,4}\|"),
    _mark("> ", r"^> \S"),
    _mark("=== | ---", r"^\S[^\n]{2,}\n(?:={3,}|-{3,})$"),
    _mark("![", r"!\[[^\]\n]{0,200}\]\("),
)
# Headings and lists are also comments and notes; these are not.
_MD_STRONG = frozenset({1, 2, 3, 7, 10})
_ORG = (
    _mark(
        "#+",
        r"^#\+(?:TITLE|AUTHOR|OPTIONS|STARTUP|DATE|BEGIN_\w+|NAME|PROPERTY|LATEX\w*|HTML\w*"
        r"|FILETAGS):?(?:\s|$)",
    ),
    _mark(":PROPERTIES:", r"^ {0,8}:PROPERTIES:$"),
    _mark("* TO | * DO", r"^\*+ (?:TO)?DO(?:NE)? "),
    _mark("][", r"\[\[[^\]\n]{1,300}\]\[[^\]\n]{1,200}\]\]"),
    _mark("* ", r"^\*+ \S"),
)
_TEXTILE = (
    _mark("h1 | h2 | h3 | h4 | h5 | h6", r"^h[1-6](?:\([^)\n]*\)|\{[^}\n]*\})?\. \S"),
    _mark('":', r"\"[^\"\n]{1,200}\":(?:https?:|/)\S"),
    _mark(". ", r"^(?:bq|bc|p|pre|fn\d+)\.\.? \S"),
    _mark("|_. ", r"^\|_\. "),
    _mark("* | # ", r"^[*#]+ \S"),
    _mark("!http", r"!https?://\S+!"),
)
_WIKI = (
    _mark("==", r"^={2,6}[^=\n]{1,200}={2,6}[ \t]*$"),
    _mark("[[", r"\[\[[^\]\n]{1,200}\]\]"),
    _mark("'''", r"'''[^'\n]{1,200}'''"),
    _mark("{|", r"^\{\|"),
    _mark("{{", r"\{\{[^}\n]{1,200}\}\}"),
    _mark("<ref", r"<ref[ >]"),
)
_ASCIIDOC = (
    _mark("= ", r"\A= \S"),
    _mark(":", r"^:[\w-]{1,40}:(?: |$)"),
    _mark("== ", r"^={2,5} [^=\n]+$"),
    _mark("[", r"^\[(?:source|quote|NOTE|TIP|cols|horizontal)[^\]\n]{0,80}\]$"),
    _mark("----", r"^-{4,}$"),
    _mark("NOTE: | TIP: | WARNING: ", r"^(?:NOTE|TIP|WARNING): "),
)
_MARKS = {
    "asciidoc": _ASCIIDOC,
    "org": _ORG,
    "textile": _TEXTILE,
    "mediawiki": _WIKI,
    "rst": _RST,
    "md": _MD,
}
# Different marks of a format that nobody has by chance.
_MANY = 3

_CODE = re.compile(
    r"^(?:from [\w.]+ import |import [\w.]+$|def \w+\(|class \w+[(:]|#include [<\"]|#define \w"
    r"|if __name__|(?:public|private|static) [\w<>]+ \w+[^\n]{0,99}[;{]$|function \w+\("
    r"|(?:const|let|var) \w+ = )",
    re.MULTILINE,
)
_SCRIPT = re.compile(
    r"#!|[rR]?\"{3}|'{3}|;;|--[ \t\w]|/\*|//|<\?php"
    r"|(?:import|from|package|using|#include|def|class|use|module) ?\S"
)


def sniff_prose(start: str) -> str | None:
    """The format, or None where nothing is certain."""
    for pattern, name in _OPENINGS:
        if pattern.match(start):
            return name
    if start.startswith("\\") and "\\begin{" in start:
        return "latex"
    text = start.replace("\r\n", "\n")
    if _is_program(text):
        return None
    if _TYPST.search(text) and _TYPST_MARK.search(text):
        return "typst"
    found = {name: _count(marks, text) for name, marks in _MARKS.items()}
    return next((name for name, is_certain in _CERTAIN if is_certain(found)), None)


def _is_program(text: str) -> bool:
    """Whether it is code, whose comments may quote a document; a document quotes code in fences."""
    if _SCRIPT.match(text):
        return True
    code, fence = _CODE.search(text), _MD[1].pattern.search(text)
    return code is not None and not (fence and fence.start() < code.start())


Found = Mapping[str, frozenset[int]]


def _is_asciidoc(found: Found) -> bool:
    return 0 in found["asciidoc"] and len(found["asciidoc"]) > 1


def _is_org(found: Found) -> bool:
    return bool(found["org"] & {0, 1, 2}) and len(found["org"]) > 1


def _is_textile(found: Found) -> bool:
    return 0 in found["textile"] and len(found["textile"]) > 1


def _is_wiki(found: Found) -> bool:
    others = found["rst"] & {0, 1} or found["md"] & {0, 1, 2}
    return 0 in found["mediawiki"] and len(found["mediawiki"]) > 1 and not others


def _is_rst(found: Found) -> bool:
    rst, md = found["rst"], found["md"]
    if (rst >= {3, 9} or ({2} <= rst and {9} <= rst | md)) and not md & {0, 1, 2}:
        return True
    if len(rst) + len(rst & {0, 1, 2, 4}) <= len(md - {9}) + len(md & _MD_STRONG):
        return False
    return 0 in rst or (len(rst) > 1 and bool(rst & {1, 2, 4, 6, 8})) or len(rst) >= _MANY


def _is_md(found: Found) -> bool:
    rst, md = found["rst"], found["md"]
    if md & _MD_STRONG and len(md) > 1:
        return True
    return 0 in md and len(md) >= _MANY and not rst & {0, 1, 2, 4}


_CERTAIN: tuple[tuple[str, Callable[[Found], bool]], ...] = (
    ("asciidoc", _is_asciidoc),
    ("org", _is_org),
    ("textile", _is_textile),
    ("mediawiki", _is_wiki),
    ("rst", _is_rst),
    ("md", _is_md),
)


def _count(marks: tuple[_Mark, ...], text: str) -> frozenset[int]:
    """Which of a format's marks are there, by their number."""
    return frozenset(number for number, mark in enumerate(marks) if mark.stands_in(text))
