"""pdf.editable: documents that can be worked on: Word, HTML, Markdown, PowerPoint."""

import pikepdf

from engine.converter import Result, Work
from engine.converters.capped import CappedBuffer
from engine.converters.pdf.content import blocks, frames, markup, placed, slides, word
from engine.converters.pdf.content.blocks import Pages
from engine.converters.pdf.content.excerpt import Excerpt, take
from engine.converters.pdf.content.options import EditableOptions
from engine.converters.qpdf import reading
from engine.errors import TargetImpossible
from engine.job import Buffer

_A4 = (595.3, 841.9)
# What Word accepts as the side of its paper: 22 inches (and no less than a stamp).
_SIDE_MIN, _SIDE_MAX = 72.0, 1_584.0


def editable(work: Work) -> Result:
    """Rewrite the chosen pages. Raises TargetImpossible where they hold no text at all."""
    options: EditableOptions = work.options
    excerpt = take(work, options)
    warnings: list[str] = []
    if work.target == "pptx" or options.layout == "page":
        apart = placed.take_apart(excerpt.content, work.bounds)
        _check_text([bool(page.lines) for page in apart], warnings)
        made = slides.as_pptx(apart) if work.target == "pptx" else frames.as_docx(apart)
        if excerpt.parts.fonts:
            warnings.append(
                "fonts are named, not included: where one is not installed, another stands in"
            )
    else:
        pages = blocks.read(excerpt.content, pictures=options.pictures)
        _check_text([any(block.runs or block.rows for block in page) for page in pages], warnings)
        if options.running_heads == "drop":
            pages, dropped = blocks.without_running_heads(pages)
            if dropped:
                warnings.append(f"{dropped} running heads and page numbers were left out")
        made = _flowing(pages, excerpt, work)
    buffer = CappedBuffer(work.bounds.output_bytes_max)
    buffer.write(made)
    file: Buffer = buffer.take()
    return Result(files=(file,), warnings=tuple(warnings))


def _check_text(written: list[bool], warnings: list[str]) -> None:
    """Scans have nothing that could be worked on; say so, wholly or in part."""
    silent = written.count(False)
    if silent == len(written):
        raise TargetImpossible(
            "the pages hold no text: they look like scans, which text recognition"
            " (pdf to pdf, operation=searchable) makes legible first"
        )
    if silent:
        warnings.append(
            f"{silent} of {len(written)} pages hold no text; scanned pages need text recognition"
            " (operation=searchable)"
        )


def _flowing(pages: Pages, excerpt: Excerpt, work: Work) -> bytes:
    options: EditableOptions = work.options
    if work.target == "md":
        return markup.as_markdown(pages).encode()
    size, language = _paper(excerpt)
    if work.target == "html":
        return markup.as_html(pages, language).encode()
    return word.as_docx(pages, size, language, page_breaks=options.page_breaks)


def _paper(excerpt: Excerpt) -> tuple[tuple[float, float], str]:
    """The first page's size as it is seen, and the language that the document states."""
    with pikepdf.open(excerpt.stream()) as document, reading():
        first = document.pages[0]
        left, bottom, right, top = (float(side) for side in first.cropbox)
        size = abs(right - left), abs(top - bottom)
        stated = document.Root.get("/Lang")
        language = str(stated) if isinstance(stated, pikepdf.String) else ""
        turned = first.rotation % 180
    if not all(_SIDE_MIN <= side <= _SIDE_MAX for side in size):
        size = _A4
    plain = language if len(language) < 36 and language.replace("-", "").isalnum() else ""  # noqa: PLR2004  # BCP 47
    return (size[::-1] if turned else size), plain
