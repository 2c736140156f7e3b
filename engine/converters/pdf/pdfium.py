"""Look at pages with pdfium: opened after qpdf unpacked them once, drawn within the bounds.

pdfium has no limits of its own: without that first look it would unpack a bomb until the worker's
memory ends.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import pikepdf
import pypdfium2
import pypdfium2.raw as pdfium
from PIL import Image

from engine.converters.pdf.files import reading
from engine.errors import PasswordRequired, SourceUnreadable, TargetImpossible
from engine.job import Bounds, Buffer

_POINTS = 72


def unpack_once(document: pikepdf.Pdf, pages: Iterable[int]) -> None:
    """Unpack the contents of these pages within qpdf's limits. Raises SourceTooComplex."""
    for index in dict.fromkeys(pages):
        with reading():
            contents = document.pages[index].obj.get("/Contents")
            streams = list(contents) if isinstance(contents, pikepdf.Array) else [contents]
            for stream in streams:
                if isinstance(stream, pikepdf.Stream):
                    stream.read_bytes()


@contextmanager
def opened(upload: Buffer, password: str = "") -> Iterator[pypdfium2.PdfDocument]:
    """Open in pdfium. Raises PasswordRequired, SourceUnreadable."""
    try:
        document = pypdfium2.PdfDocument(bytes(upload), password=password or None)
    except pypdfium2.PdfiumError as error:
        if error.err_code in {pdfium.FPDF_ERR_PASSWORD, pdfium.FPDF_ERR_SECURITY}:
            raise PasswordRequired(
                "the document is encrypted and this password does not open it;"
                " pass its password in the option password"
            ) from error
        raise SourceUnreadable(
            "the PDF document cannot be read: it is damaged, cut off, or of an unusual kind"
        ) from error
    try:
        document.init_forms()
        yield document
    finally:
        document.close()


def drawn(
    document: pypdfium2.PdfDocument, index: int, dpi: float, bounds: Bounds, *, grey: bool = False
) -> Image.Image:
    """A page as it is seen, annotations and forms included. Raises TargetImpossible."""
    try:
        page = document[index]
        scale = dpi / _POINTS
        width, height = (side * scale for side in page.get_size())
        if width * height > bounds.pixels_max:
            raise TargetImpossible(
                f"page {index + 1} is too large to be drawn at {dpi:.0f} dots an inch"
            )
        picture: Image.Image = page.render(scale=scale, grayscale=grey).to_pil()
        page.close()
    except pypdfium2.PdfiumError as error:
        raise SourceUnreadable(f"page {index + 1} of the document cannot be drawn") from error
    return picture.convert("L" if grey else "RGB")
