"""HTML inside other formats: what is formatting and may stay, and what runs, loads or sends.

An allow-list of tags and attributes, for pieces of markup as pandoc's tree has them: single tags,
or whole blocks. It is not the only wall (a result is nobody's page yet), but a script in somebody's
Markdown should not become a script in our HTML.
"""

import re
from collections.abc import Iterator
from html import unescape

# Addresses that run something when they are followed.
_ACTIVE = re.compile(r"\s*(javascript|vbscript|data)\s*:", re.IGNORECASE)

_TAG = re.compile(
    r"<!--.*?(?:-->|$)|<(/?)([a-zA-Z][\w:-]*)((?:[^<>\"']|\"[^\"]*\"|'[^']*')*)>", re.DOTALL
)
_ATTRIBUTE = re.compile(r"([\w:@.-]+)(?:\s*=\s*(\"[^\"]*\"|'[^']*'|[^\s\"'>]+))?")
_TAGS = """
    a abbr address article aside b bdi bdo blockquote br caption center cite code col
    colgroup dd del details dfn div dl dt em figcaption figure font footer h1 h2 h3 h4 h5 h6
    header hgroup hr i img ins kbd li main mark menu nav ol p picture pre q rp rt ruby s
    samp section small source span strike strong sub summary sup table tbody td tfoot th
    thead time tr tt u ul var wbr
    """
_ATTRIBUTES = """
    abbr align alt border cellpadding cellspacing cite class color cols colspan datetime dir
    headers height href hspace id lang name open rel reversed rowspan scope size span src
    start summary title type valign value vspace width
    """
# Their text is for machines and goes with them.
_SWALLOWED = re.compile(
    r"<(script|style|iframe|object|embed|applet|noscript|template|svg|math|form)\b.*?(</\1\s*>|$)",
    re.IGNORECASE | re.DOTALL,
)

_ADDRESSES = frozenset({"href", "src", "cite"})
_SAFE_TAGS = frozenset(_TAGS.split())
_SAFE_ATTRIBUTES = frozenset(_ATTRIBUTES.split())


def is_active(address: str) -> bool:
    """Whether following this address would run something."""
    packed = re.sub(r"[\x00-\x20]", "", address).lower()
    return bool(_ACTIVE.match(packed)) and not packed.startswith("data:image/")


def runs_something(text: str) -> bool:
    """Whether this markup has a script, a frame or the like."""
    return bool(_SWALLOWED.search(text))


def tags(text: str) -> Iterator[tuple[str, dict[str, str]]]:
    """The names and attributes of the opening and closing tags."""
    for match in _TAG.finditer(text):
        if match.group(2):
            values = {key.lower(): value for key, value in _attributes(match.group(3))}
            yield match.group(1) + match.group(2).lower(), values


def defused(text: str) -> tuple[str, int]:
    """HTML without what runs, loads or sends something; and how much was taken out."""
    text, removed = _SWALLOWED.subn("", text)
    kept, at = "", 0
    for match in _TAG.finditer(text):
        # What looks like a tag and is none might become one with what follows it.
        kept += text[at : match.start()].replace("<", "&lt;")
        at = match.end()
        if match.group(2) is not None:
            tag, taken = _safe(match)
            kept += tag
            removed += taken
    return kept + text[at:].replace("<", "&lt;"), removed


def _safe(match: re.Match[str]) -> tuple[str, int]:
    """The tag with the attributes that may stay, and how much was taken out."""
    closing, name, rest = match.groups()
    if name.lower() not in _SAFE_TAGS:
        return "", 1
    written, removed = "", 0
    for key, value in _attributes(rest):
        lower = key.lower()
        if lower in _SAFE_ATTRIBUTES and not (lower in _ADDRESSES and is_active(value)):
            written += f' {key}="{value.replace(chr(34), "&quot;")}"'
        elif lower != "style":
            removed += 1
    return f"<{closing}{name}{written}>", removed


def _attributes(rest: str) -> list[tuple[str, str]]:
    return [
        (match.group(1), unescape((match.group(2) or "").strip("\"'")))
        for match in _ATTRIBUTE.finditer(rest)
    ]
