"""pdf.render: pages as pictures, drawn by pdfium."""

from collections.abc import Iterator

import pypdfium2
from PIL import Image

from engine.converter import Result, Work
from engine.converters.colour import parse_colour
from engine.converters.pageparts import walk
from engine.converters.pdf.content.encode import encode, encode_tiff
from engine.converters.pdf.content.options import RenderOptions
from engine.converters.pdf.ranges import parse_pages
from engine.converters.pdfium import Look, Sheet, draw, measure, opened
from engine.converters.qpdf import open_document, read_pages, reading
from engine.errors import SourceTooComplex, TargetTooLarge
from engine.job import Buffer
from engine.progress import each

# More files than this are more than anybody sorts by hand.
_FILES_MAX = 1_000


def render(work: Work) -> Result:
    """Draw the chosen pages: a file each, or one TIFF that holds them all."""
    options: RenderOptions = work.options
    together = work.target == "tiff" and options.multipage
    chosen, units, warnings = _examined(work, options)
    if len(chosen) > _FILES_MAX and not together:
        raise SourceTooComplex(
            f"the result would be {len(chosen)} files; the limit is {_FILES_MAX}: choose fewer"
            " pages with the option pages"
        )
    look = Look(
        colour=options.colour,
        background=parse_colour(options.background),
        annotations=options.annotations,
        box=options.box,
        turn=options.angle,
    )
    room = work.bounds.output_bytes_max
    with opened(work.inputs[0], options.password) as document:
        # All of them before the first is drawn: a page that is too large is not found out late.
        sheets = [
            measure(
                document,
                index,
                look,
                work.bounds,
                dpi=options.dpi,
                width=options.width,
                height=options.height,
                unit=unit,
            )
            for index, unit in zip(chosen, units, strict=True)
        ]
        if together:
            return Result(
                files=(encode_tiff(_drawn(document, sheets, look), room),), warnings=warnings
            )
        files: list[Buffer] = []
        for picture, dpi in _drawn(document, sheets, look):
            files.append(encode(picture, work.target, dpi, options, room))
            room -= len(files[-1])
            if room <= 0:
                raise TargetTooLarge("the pictures would together be larger than the limit")
    return Result(files=tuple(files), warnings=warnings)


def _examined(work: Work, options: RenderOptions) -> tuple[list[int], list[float], tuple[str, ...]]:
    """The chosen pages, their units of measure, and what will be missed in their pictures."""
    with open_document(work, 0, options.password) as document:
        count = read_pages(document, work.bounds)
        chosen = parse_pages(options.pages, count, pages_max=work.bounds.pages_max)
        parts = walk(document, chosen, work.bounds)
        with reading():
            units = [float(document.pages[index].obj.get("/UserUnit", 1)) for index in chosen]
    missing = parts.missing_fonts()
    if not missing:
        return chosen, units, ()
    fonts = "one font is" if missing == 1 else f"{missing} fonts are"
    return chosen, units, (f"{fonts} not in the document and drawn with a similar one",)


def _drawn(
    document: pypdfium2.PdfDocument, sheets: list[Sheet], look: Look
) -> Iterator[tuple[Image.Image, float]]:
    for sheet in each(sheets):
        yield draw(document, sheet, look), sheet.dpi
