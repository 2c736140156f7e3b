"""Open documents with pdfium and draw their pages as pictures, within the bounds.

pdfium unpacks without limits: `pageparts.walk` comes before anything here.
"""

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, NamedTuple

import pypdfium2
import pypdfium2.raw as pdfium
from PIL import Image

from engine.converters.colour import Colour
from engine.errors import PasswordRequired, SourceTooComplex, SourceUnreadable
from engine.job import Bounds, Buffer

Box = Literal["crop", "media", "trim", "bleed", "art"]

POINTS_AN_INCH = 72.0
# The largest side of a bitmap that pdfium draws into; further than any format here goes.
_SIDE_MAX = 65_500
# A size that was asked for must not become one pixel more where a float is a hair too large.
_HAIR = 1 - 1e-6
# What pdfium tells in place of a hyphen at the end of a line, and of the line's end.
HYPHEN = "\x02"
_NO_CHARACTER = re.compile("[^\t\n\f\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Look(NamedTuple):
    """How pages are drawn. `turn`: degrees clockwise, beside how the page lies."""

    colour: Literal["colour", "grey", "mono"] = "colour"
    background: Colour = (255, 255, 255, 255)
    annotations: bool = True
    box: Box = "crop"
    turn: int = 0


class Sheet(NamedTuple):
    """A page as it will be drawn: its place (from 0), the scale in pixels a point, its pixels."""

    place: int
    scale: float
    size: tuple[int, int]

    @property
    def dpi(self) -> float:
        """Dots an inch of what is drawn, for the picture's own header."""
        return self.scale * POINTS_AN_INCH


def printable(text: str) -> str:
    """Text without what is no character, or none that XML can hold (XML 1.0, 2.2)."""
    return _NO_CHARACTER.sub("", text)


@contextmanager
def opened(upload: Buffer, password: str) -> Iterator[pypdfium2.PdfDocument]:
    """The document, form fields included. Raises PasswordRequired, SourceUnreadable."""
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
        document.init_forms()  # before any page is opened, or fields stay invisible
        yield document
    except pypdfium2.PdfiumError as error:
        raise SourceUnreadable("the PDF document cannot be read: it is damaged") from error
    finally:
        document.close()


@contextmanager
def opened_page(document: pypdfium2.PdfDocument, index: int) -> Iterator[pypdfium2.PdfPage]:
    """One page (from 0). Raises SourceUnreadable."""
    try:
        page = document[index]
    except (pypdfium2.PdfiumError, IndexError) as error:
        raise SourceUnreadable(f"page {index + 1} of the document cannot be read") from error
    try:
        yield page
    except pypdfium2.PdfiumError as error:
        raise SourceUnreadable(f"page {index + 1} of the document cannot be read") from error
    finally:
        page.close()


def measure(
    document: pypdfium2.PdfDocument,
    index: int,
    look: Look,
    bounds: Bounds,
    *,
    dpi: float,
    width: int | None = None,
    height: int | None = None,
    unit: float = 1.0,
) -> Sheet:
    """How large a page will be, before it is drawn.

    By `dpi`, or as large as fits into width x height pixels. `unit` is the page's /UserUnit, which
    pdfium does not know. Raises SourceTooComplex beyond the bound on pixels.
    """
    with opened_page(document, index) as page:
        _set_box(page, look.box)
        across, down = page.get_size()
    if look.turn % 180:
        across, down = down, across
    wanted = [
        side / points
        for side, points in ((width, across), (height, down))
        if side is not None and points > 0
    ]
    scale = (min(wanted) if wanted else dpi / POINTS_AN_INCH * unit) * _HAIR
    size = math.ceil(across * scale), math.ceil(down * scale)
    if not all(0 < side <= _SIDE_MAX for side in size) or size[0] * size[1] > bounds.pixels_max:
        raise SourceTooComplex(
            f"page {index + 1} would be {size[0]} x {size[1]} pixels; the limit is"
            f" {bounds.pixels_max // 1_000_000} megapixels: ask for fewer dots an inch"
        )
    return Sheet(index, scale, size)


def draw(document: pypdfium2.PdfDocument, sheet: Sheet, look: Look) -> Image.Image:
    """The page as a picture in mode RGB, RGBA (a background that can be seen through), L or 1."""
    with opened_page(document, sheet.place) as page:
        _set_box(page, look.box)
        bitmap = page.render(
            scale=sheet.scale,
            rotation=look.turn,
            fill_color=look.background,
            grayscale=look.colour != "colour" and look.background[3] == 255,  # noqa: PLR2004  # opaque
            draw_annots=look.annotations,
            may_draw_forms=look.annotations,
            rev_byteorder=True,
        )
        picture: Image.Image = bitmap.to_pil()
        bitmap.close()
    if look.colour == "colour":
        return picture
    if picture.mode == "RGBA":
        picture = picture.convert("LA")
    # Not dithered: letters keep their edges.
    return picture.convert("1", dither=Image.Dither.NONE) if look.colour == "mono" else picture


def _set_box(page: pypdfium2.PdfPage, box: Box) -> None:
    """Show another of the page's boxes; where it has none, the next larger one stands in."""
    if box == "crop":
        return
    sides = {
        "media": page.get_mediabox,
        "trim": page.get_trimbox,
        "bleed": page.get_bleedbox,
        "art": page.get_artbox,
    }[box]()
    left, bottom, right, top = sides
    if right > left and top > bottom:
        page.set_cropbox(*sides)
