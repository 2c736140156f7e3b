"""Look at pages of a document that qpdf has open: unpacked within its limits, drawn by pdfium."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import pikepdf
import pypdfium2
from PIL import Image

from engine.converter import Work
from engine.converters.pageparts import walk
from engine.converters.pdfium import Look, draw, measure, opened


@contextmanager
def seen_by_pdfium(
    document: pikepdf.Pdf, pages: Iterable[int], work: Work
) -> Iterator[pypdfium2.PdfDocument]:
    """The first upload in pdfium, after all that these pages reach was unpacked once."""
    walk(document, pages, work.bounds)
    with opened(work.inputs[0], work.options.password) as other:
        yield other


def drawn(
    document: pypdfium2.PdfDocument, index: int, dpi: float, work: Work, *, grey: bool = False
) -> Image.Image:
    """A page (from 0) as it is seen, comments and fields included. Raises SourceTooComplex."""
    look = Look(colour="grey" if grey else "colour")
    picture = draw(document, measure(document, index, look, work.bounds, dpi=dpi), look)
    return picture.convert("L" if grey else "RGB")
