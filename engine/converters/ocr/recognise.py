"""ocr.recognise and ocr.searchable: the text in scans, as text, as words with boxes, or under them.

Images are put on pages first, without loss, so there is one path: a document whose pages are drawn
by pdfium and looked at by tesseract. A searchable document is that document with an unseen layer.
"""

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import msgspec
import pikepdf
import pypdfium2

from engine.converter import Result, Work
from engine.converters.capped import CappedBuffer
from engine.converters.ocr import glyphless, layer, write
from engine.converters.ocr.catalogue import PAGES_MAX, RecogniseOptions
from engine.converters.ocr.reader import Page, read
from engine.converters.onpages import Arrangement, compose, read_sheets
from engine.converters.pageparts import walk
from engine.converters.pdfium import HYPHEN, Look, draw, measure, opened, opened_page, printable
from engine.converters.qpdf import open_document, read_pages, reading, save, unencrypted_warning
from engine.converters.ranges import parse_pages
from engine.errors import SourceCountInvalid, SourceTooComplex, TargetImpossible
from engine.job import Buffer
from engine.progress import each

# A picture that states fewer dots an inch is a screenshot, or says nothing: its letters are small,
# and tesseract reads them better at twice their size, if there are not too many pixels.
_COARSE_DPI = 120
_ENLARGED_PIXELS_MAX = 3_000_000
# Inches; a picture of a page shows no larger page than this, whatever dots an inch it states.
_PAGE_SIDE_MAX = 17.0
# Below this mean, of 100, most words are guesses.
_UNSURE = 60


class _Source(NamedTuple):
    """One document to look at, and for pages made of images the dots an inch to look at each."""

    work: Work
    resolutions: tuple[float, ...] = ()


def recognise(work: Work) -> Result:
    """Recognise the chosen pages. Raises the errors of opening, OptionInvalid, TargetImpossible."""
    options: RecogniseOptions = work.options
    warnings: list[str] = []
    source = _prepared(work, warnings)
    with open_document(source.work, 0, options.password) as document:
        count = read_pages(document, work.bounds)
        chosen = parse_pages(options.pages, count, pages_max=work.bounds.pages_max)
        if len(chosen) > PAGES_MAX:
            raise SourceTooComplex(
                f"{len(chosen)} pages are more than the limit of {PAGES_MAX} for recognition;"
                " choose fewer with the option pages"
            )
        walk(document, chosen, work.bounds)
        with opened(source.work.inputs[0], options.password) as drawn:
            held = _text_held(drawn, chosen, work, warnings)
            wanted = dict.fromkeys(chosen) if work.target == "pdf" else chosen
            found = [
                (index, _look(drawn, index, source, options))
                for index in each([index for index in wanted if index not in held])
            ]
        warnings += _doubts([page for _, page in found])
        if work.target == "pdf":
            warnings += unencrypted_warning(document)
            file = _searchable(document, found, work, warnings)
        else:
            file = _written(chosen, dict(found), held, work)
    return Result(files=(file,), warnings=tuple(dict.fromkeys(warnings)))


def _prepared(work: Work, warnings: list[str]) -> _Source:
    """The uploaded document itself, or one that is made of the uploaded images."""
    if work.source == "pdf" and len(work.inputs) == 1:
        return _Source(work)
    if "pdf" in work.sources:
        raise SourceCountInvalid("recognition takes one PDF document, or several images")
    sheets = read_sheets(work, warnings)
    try:
        made = compose(sheets, Arrangement(), work.bounds)
    except TargetImpossible as error:
        raise TargetImpossible("an image is too small or too large to be a page") from error
    document = msgspec.structs.replace(work, sources=("pdf",), inputs=(made,))
    return _Source(document, tuple(max(sheet.dpi) for sheet in sheets))


def _text_held(
    drawn: pypdfium2.PdfDocument, chosen: list[int], work: Work, warnings: list[str]
) -> dict[int, str]:
    """The text of pages that hold some and are to keep it."""
    options: RecogniseOptions = work.options
    if options.pages_with_text != "keep" or work.target not in {"pdf", "txt"}:
        return {}
    held = {}
    for index in dict.fromkeys(chosen):
        with opened_page(drawn, index) as page:
            text = page.get_textpage().get_text_bounded()
        if text.strip():
            lines = text.replace("\r\n", "\n").replace("\r", "\n").replace(HYPHEN, "-\n")
            held[index] = printable(lines.strip("\n")) + "\n"
    if held:
        pages = "one page holds" if len(held) == 1 else f"{len(held)} pages hold"
        warnings.append(
            f"{pages} text already, which was kept; pages_with_text=recognise treats such pages"
            " as pictures"
        )
    return held


def _look(
    drawn: pypdfium2.PdfDocument, index: int, source: _Source, options: RecogniseOptions
) -> Page:
    look = Look(colour="grey")
    bounds = source.work.bounds
    dpi = source.resolutions[index] if source.resolutions else float(options.dpi)
    sheet = measure(drawn, index, look, bounds, dpi=dpi)
    pixels = sheet.size[0] * sheet.size[1]
    if source.resolutions and dpi < _COARSE_DPI and pixels <= _ENLARGED_PIXELS_MAX:
        sheet = measure(drawn, index, look, bounds, dpi=2 * dpi)
    picture = draw(drawn, sheet, look)
    return read(picture, sheet.dpi, max(sheet.dpi, max(sheet.size) / _PAGE_SIDE_MAX), options)


def _doubts(pages: list[Page]) -> Iterator[str]:
    sure = [word.confidence for page in pages for line in page.lines for word in line.words]
    if pages and not sure:
        yield "no text was recognised"
    elif sure and sum(sure) / len(sure) < _UNSURE:
        yield (
            "most words are guesses: the picture may be too coarse, turned, or in another language"
        )


def _searchable(
    document: pikepdf.Pdf, found: list[tuple[int, Page]], work: Work, warnings: list[str]
) -> Buffer:
    with reading():
        form = document.Root.get("/AcroForm")
        if isinstance(form, pikepdf.Dictionary) and int(form.get("/SigFlags", 0)) & 1:
            warnings.append("the document is signed; the text layer makes its signatures invalid")
        font = glyphless.embed(document, _font_file())
        for index, page in found:
            layer.add(document, index, page, font)
    return save(document, work)


def _written(chosen: list[int], found: dict[int, Page], held: dict[int, str], work: Work) -> Buffer:
    buffer = CappedBuffer(work.bounds.output_bytes_max)
    if work.target == "txt":
        texts = [held.get(index) or write.as_text(found[index]) for index in chosen]
        buffer.write("\f".join(texts).encode())
    else:
        pages = [(index, found[index]) for index in chosen]
        buffer.write(write.as_json(pages) if work.target == "json" else write.as_hocr(pages))
    return buffer.take()


@cache
def _font_file() -> bytes:
    return glyphless.font_file()
