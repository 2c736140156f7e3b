"""pdf.text: the text of a document, page by page."""

from collections.abc import Iterator

import pypdfium2

from engine.converter import Result, Work
from engine.converters.capped import CappedBuffer
from engine.converters.pageparts import walk
from engine.converters.pdf.content import blocks, layout, markup
from engine.converters.pdf.content.columns import Box, Piece
from engine.converters.pdf.content.excerpt import take
from engine.converters.pdf.content.options import TextOptions
from engine.converters.pdf.ranges import parse_pages
from engine.converters.pdfium import HYPHEN, opened, opened_page, printable
from engine.converters.qpdf import open_document, read_pages

_SEPARATORS = {"form-feed": "\f", "blank-line": "\n"}


def text(work: Work) -> Result:
    """Take the text out. Pages without any are named: they may be scans."""
    options: TextOptions = work.options
    buffer = CappedBuffer(work.bounds.output_bytes_max)
    silent = total = 0
    for words in _read(work, options):
        separator = _SEPARATORS[options.separator] if total else ""
        buffer.write((separator + words).encode(errors="replace"))
        total += 1
        silent += not words.strip()
    return Result(files=(buffer.take(),), warnings=_silence(silent, total))


def _silence(silent: int, total: int) -> tuple[str, ...]:
    if not silent:
        return ()
    found = "no text was found" if silent == total else f"{silent} of {total} pages hold no text"
    return (f"{found}; scanned pages need text recognition (operation=recognise)",)


def _read(work: Work, options: TextOptions) -> Iterator[str]:
    if options.order == "reading":
        pages = blocks.read(take(work, options).content, pictures=False)
        yield from map(markup.as_text, pages)
        return
    with open_document(work, 0, options.password) as document:
        count = read_pages(document, work.bounds)
        chosen = parse_pages(options.pages, count, pages_max=work.bounds.pages_max)
        walk(document, chosen, work.bounds)
    with opened(work.inputs[0], options.password) as drawn:
        for index in chosen:
            with opened_page(drawn, index) as page:
                yield _as_drawn(page) if options.order == "drawn" else _as_laid_out(page)


def _as_drawn(page: pypdfium2.PdfPage) -> str:
    """In the order in which the document draws it, each line ended by a line feed."""
    found: str = page.get_textpage().get_text_bounded()
    lines = found.replace("\r\n", "\n").replace("\r", "\n").replace(HYPHEN, "-\n").rstrip("\n")
    return printable(lines) + "\n" if lines else ""


def _as_laid_out(page: pypdfium2.PdfPage) -> str:
    words = page.get_textpage()
    turn = page.get_rotation()
    boxes = [words.get_rect(index) for index in range(words.count_rects())]
    return layout.set_out([Piece(_said(words, box), _as_seen(box, turn)) for box in boxes])


def _said(words: pypdfium2.PdfTextPage, box: Box) -> str:
    return printable(words.get_text_bounded(*box).replace(HYPHEN, "-"))


def _as_seen(box: Box, turn: int) -> Box:
    """A box in the page's own coordinates, as it lies after the page was turned clockwise."""
    left, bottom, right, top = box
    return {
        0: box,
        90: (bottom, -right, top, -left),
        180: (-right, -top, -left, -bottom),
        270: (-top, left, -bottom, right),
    }[turn]
