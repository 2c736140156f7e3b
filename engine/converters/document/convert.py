"""document.restructure and document.mail: from any notation into a file of another."""

from typing import Any

from engine.converter import Result, Work
from engine.converters.document import letters, pandoc
from engine.converters.document.notations import NOTATIONS, WRITE_FLAVOURS
from engine.converters.document.packages import without_addresses
from engine.converters.document.pictures import Picture
from engine.converters.document.reading import Draft, read
from engine.converters.document.sieve import SHOWN, Elsewhere, Place, Sieve
from engine.converters.document.tree import Element, text_of
from engine.converters.document.understanding import understand

# Where divisions and their classes mean something.
_WITH_DIVISIONS = frozenset({"html", "epub"})
# Where pandoc describes a picture by its address.
_TALKATIVE = frozenset({"docx", "pptx"})
# The title of a book that says nothing of itself: the format demands one.
_UNTITLED = "Untitled"


def convert(work: Work) -> Result:
    """Write the document in the target's notation."""
    draft = read(work, keep_divisions=work.target in _WITH_DIVISIONS)
    return _written(draft, work, raw_html=work.options.raw_html, elsewhere=_elsewhere(work.target))


def mail(work: Work) -> Result:
    """Write a message as a document. Pictures from elsewhere would tell its sender who reads it."""
    draft = letters.read(work)
    return _written(draft, work, raw_html="strip", elsewhere="dropped")


def entitle(draft: Draft, options: Any) -> None:
    """Put the title, the authors and the language that were asked for in place of its own."""
    meta = draft.tree.meta
    if options.title:
        meta["title"] = _said(options.title)
    if authors := [name.strip() for name in options.author.split(";") if name.strip()]:
        meta["author"] = {"t": "MetaList", "c": [_said(name) for name in authors]}
    if options.language:
        meta["lang"] = _said(options.language)


def _elsewhere(target: str) -> Elsewhere:
    """Pictures from elsewhere stay links where the result only names pictures, or is a page."""
    held = NOTATIONS[target].pictures == "held" and target != "html"
    return "described" if held else "linked"


def _written(draft: Draft, work: Work, *, raw_html: Any, elsewhere: Elsewhere) -> Result:
    target, options = work.target, work.options
    notation = NOTATIONS[target]
    holds = notation.pictures == "held" or options.images == "embed"
    sieve = Sieve(
        pictures=draft.pictures,
        raw_html=raw_html,
        speaks_html=notation.speaks_html,
        notation=target,
        shown=SHOWN.get(target, frozenset()),
        place=_placing(target) if holds and options.images != "drop" else None,
        elsewhere=elsewhere,
    )
    if raw_html != "strip" and not notation.speaks_html:
        understand(draft.tree)
    sieve.sift(draft.tree)
    entitle(draft, options)
    _name(draft, target)
    writer = WRITE_FLAVOURS[options.markdown] if _writes_flavour(work) else notation.writer
    content, said = pandoc.write(
        draft.tree, writer, _arguments(work), output_bytes_max=work.bounds.output_bytes_max
    )
    if target in _TALKATIVE and any(one["t"] == "Image" for one in draft.tree.elements()):
        content = without_addresses(content)
    return Result(files=(content,), warnings=(*draft.warnings, *sieve.warnings, *said))


def _writes_flavour(work: Work) -> bool:
    return work.target == "md" and hasattr(work.options, "markdown")


def _placing(target: str) -> Place:
    def place(element: Element, picture: Picture) -> Element:
        element["c"][2][0] = picture.address
        if target == "pptx" and not element["c"][2][1]:
            # Or the address would be the description that a presentation shows.
            element["c"][2][1] = text_of(element["c"][1]) or "picture"
        return element

    return place


def _name(draft: Draft, target: str) -> None:
    """Give a web page and a book the title that they must have, from the first heading."""
    meta = draft.tree.meta
    if target == "html":
        meta.setdefault("pagetitle", _said(draft.tree.title_text() or _UNTITLED))
    if target == "fb2" and "title" in meta:
        # Its writer takes only the plain words of a title.
        meta["title"] = _said(draft.tree.title_text())
    if target == "epub" and "title" not in meta:
        meta["title"] = _said(draft.tree.title_text() or _UNTITLED)


def _said(text: str) -> Element:
    return {"t": "MetaString", "c": text}


def _arguments(work: Work) -> list[str]:
    options, notation = work.options, NOTATIONS[work.target]
    made = [f"--syntax-highlighting={options.highlight}"] if notation.highlights else []
    made += ["--standalone"] * options.standalone
    made += ["--toc"] * options.toc
    made.append(f"--toc-depth={options.toc_depth}")
    made += ["--number-sections"] * options.number_sections
    if options.line_width:
        made += ["--wrap=auto", f"--columns={options.line_width}"]
    else:
        made.append("--wrap=none")
    if options.slide_level:
        made.append(f"--slide-level={options.slide_level}")
    if work.target == "html":
        made.append("--mathml")
    return made
