"""Put images on pages, their pixels untouched (by img2pdf).

img2pdf copies JPEG and PNG data into the document as it stands. It opens any format and any path it
is given, so it is given neither: every upload is opened here first by the decoder of its checked
format, and handed on as a JPEG without its metadata or as a PNG without transparency.
"""

import io
from collections.abc import Callable, Iterator
from typing import NamedTuple

import img2pdf
from PIL import Image, ImageFile, ImageOps

from engine.converter import Work
from engine.converters.colour import expand, flatten, is_profile, to_srgb
from engine.converters.jpeg import orientation_segment, stripped
from engine.converters.opening import (
    PLUGINS,
    check_frames,
    check_pixels,
    frame_count,
    open_image,
    reading,
)
from engine.converters.raster.sources import open_source
from engine.converters.resolution import resolution
from engine.errors import SourceTooComplex, TargetImpossible, TargetTooLarge
from engine.job import Bounds, Buffer

MM = 72 / 25.4  # points
# Points; ISO 216 and ANSI.
PAGE_SIZES = {
    "a2": (420 * MM, 594 * MM),
    "a3": (297 * MM, 420 * MM),
    "a4": (210 * MM, 297 * MM),
    "a5": (148 * MM, 210 * MM),
    "a6": (105 * MM, 148 * MM),
    "letter": (612.0, 792.0),
    "legal": (612.0, 1008.0),
    "tabloid": (792.0, 1224.0),
}
_FITS = {
    "inside": img2pdf.FitMode.into,
    "shrink": img2pdf.FitMode.shrink,
    "cover": img2pdf.FitMode.fill,
    "stretch": img2pdf.FitMode.exact,
}
_WHITE = (255, 255, 255, 255)
# Where an image names no resolution; as CSS has it.
_DPI = (96.0, 96.0)
# EXIF orientations that a PDF page can say itself: upright, 180, 90 and 270 degrees.
_TURNS = frozenset({1, 3, 6, 8})
_SIDEWAYS = frozenset({6, 8})
_ORIENTATION = 0x0112

# What a page takes beside its picture, without a colour profile.
_PAGE_BYTES = 2048

# PDF units; what readers accept as the side of a page (ISO 32000-1, annex C).
_SIDE_MIN, _SIDE_MAX = 3.0, 14_400.0

_Layout = Callable[[int, int, tuple[float, float]], tuple[float, float, float, float]]


class Arrangement(NamedTuple):
    """How pages are laid out. Sizes in points, `size` upright; None is each image's own size."""

    size: tuple[float, float] | None = None
    orientation: str = "auto"
    margins: tuple[float, float] = (0.0, 0.0)  # left and right, top and bottom
    fit: str = "inside"


class Sheet(NamedTuple):
    """One page to be: a JPEG or PNG, its resolution, and whether the page lies on its side."""

    picture: bytes
    dpi: tuple[float, float]
    sideways: bool = False


def read_sheets(work: Work, warnings: list[str]) -> list[Sheet]:
    """Every upload as sheets, in order. Raises the errors of decoding and bounds."""
    sheets: list[Sheet] = []
    for index in range(len(work.inputs)):
        for sheet in _sheets(work, index, warnings):
            sheets.append(sheet)
            if len(sheets) > work.bounds.pages_max:
                raise SourceTooComplex(
                    f"the result would have more than {work.bounds.pages_max} pages, the limit"
                )
            if sum(len(one.picture) for one in sheets) > work.bounds.output_bytes_max:
                raise TargetTooLarge("the images are together larger than the limit")
    return sheets


class _Book:
    """Takes what img2pdf writes into memory that is laid out once.

    A BytesIO moves whenever it grows, and fresh memory is what this conversion costs most.
    """

    def __init__(self, expected: int) -> None:
        self._room = bytearray(expected)
        self._filled = 0

    def write(self, piece: bytes) -> int:
        """As a file does."""
        end = self._filled + len(piece)
        if end > len(self._room):
            self._room.extend(bytes(end - len(self._room)))
        with memoryview(self._room) as room:
            room[self._filled : end] = piece
        self._filled = end
        return len(piece)

    def written(self) -> memoryview:
        """All of it. Nothing can be written any more."""
        return memoryview(self._room)[: self._filled]


def compose(sheets: list[Sheet], arrangement: Arrangement, bounds: Bounds) -> Buffer:
    """Make the document. Raises TargetImpossible, TargetTooLarge."""
    book = _Book(sum(len(sheet.picture) + _PAGE_BYTES for sheet in sheets))
    try:
        # Its own writer: qpdf would copy every picture twice, and need five times as long.
        img2pdf.convert(
            [io.BytesIO(sheet.picture) for sheet in sheets],
            outputstream=book,
            engine=img2pdf.Engine.internal,
            layout_fun=_layout(arrangement, iter(sheets)),
            rotation=img2pdf.Rotation.ifvalid,
            nodate=True,
        )
    except (img2pdf.NegativeDimensionError, img2pdf.PdfTooLargeError) as error:
        raise TargetImpossible(
            "the margins leave no room on the page, or it is too large"
        ) from error
    written = book.written()
    if len(written) > bounds.output_bytes_max:
        raise TargetTooLarge("the document would be larger than the limit")
    return written


def _sheets(work: Work, index: int, warnings: list[str]) -> Iterator[Sheet]:
    upload, source = work.inputs[index], work.sources[index]
    if source not in PLUGINS:
        yield _other_sheet(upload, source, work.bounds, warnings)
        return
    image = open_image(upload, source, work.bounds)
    if source == "jpeg":
        yield _jpeg_sheet(image, upload, work.bounds, warnings)
        return
    count = frame_count(image, upload, source, work.bounds)
    if source != "tiff" and count > 1:
        warnings.append("only the first frame of an animation was kept")
        count = 1
    check_frames(count, image.size, work.bounds)
    for page in range(count):
        with reading(source):
            image.seek(page)
        check_pixels(image.size, work.bounds)
        with reading(source):
            image.load()
        yield Sheet(_as_png(image, upload, source, warnings), resolution(image) or _DPI)


def _other_sheet(upload: Buffer, source: str, bounds: Bounds, warnings: list[str]) -> Sheet:
    """The one picture of a format that no PDF can hold as it is."""
    opened = open_source(upload, source, bounds)
    warnings += opened.warnings
    with reading(source):
        picture = opened.at(0)
        picture.load()
    return Sheet(_pixels_as_png(picture, source, warnings), resolution(picture) or _DPI)


def _jpeg_sheet(
    image: ImageFile.ImageFile, upload: Buffer, bounds: Bounds, warnings: list[str]
) -> Sheet:
    """The JPEG itself, decoded only as far as tells that it is whole."""
    with reading("jpeg"):
        orientation = image.getexif().get(_ORIENTATION, 1)
    icc = is_profile(image.info.get("icc_profile"), warnings)
    found = None
    if orientation in _TURNS:
        found = stripped(bytes(upload), orientation_segment(orientation), icc=icc)
    if found is None:
        with reading("jpeg"):
            image.load()
        return Sheet(_as_png(image, upload, "jpeg", warnings), resolution(image) or _DPI)
    tried = image if found.husk is None else open_image(found.husk, "jpeg", bounds)
    with reading("jpeg"):
        tried.draft(None, (1, 1))
        tried.load()
    return Sheet(found.picture, resolution(image) or _DPI, orientation in _SIDEWAYS)


def _as_png(image: ImageFile.ImageFile, upload: Buffer, source: str, warnings: list[str]) -> bytes:
    """The upload where it is a PNG that img2pdf can copy; else its pixels as one."""
    upright = image.getexif().get(_ORIENTATION, 1) == 1 or source == "tiff"
    if source == "png" and upright and not image.has_transparency_data and not _interlaced(upload):
        return bytes(upload)
    return _pixels_as_png(image, source, warnings)


def _pixels_as_png(image: Image.Image, source: str, warnings: list[str]) -> bytes:
    with reading(source):
        turned = image if source == "tiff" else ImageOps.exif_transpose(image)
        plain = turned if turned.mode == "1" else expand(turned, warnings)
    plain = to_srgb(plain, image.info.get("icc_profile"), warnings)
    if plain.mode in {"LA", "RGBA"}:
        plain = flatten(plain, _WHITE, "a page", [])
    plain = plain.copy()
    plain.info = {}
    buffer = io.BytesIO()
    plain.save(buffer, "PNG")
    return buffer.getvalue()


def _interlaced(upload: Buffer) -> bool:
    return memoryview(upload)[28] != 0  # the last field of IHDR


def _layout(arrangement: Arrangement, sheets: Iterator[Sheet]) -> _Layout:
    """img2pdf's layout, asked once a sheet, in order; a turned page is laid out as it is seen."""
    size = arrangement.size
    if size is not None and arrangement.orientation != "auto":
        short, long = sorted(size)
        size = (long, short) if arrangement.orientation == "landscape" else (short, long)
    across, down = arrangement.margins
    upright: _Layout = img2pdf.get_layout_fun(
        pagesize=size,
        border=(down, across) if across or down else None,
        fit=_FITS[arrangement.fit],
        auto_orient=arrangement.orientation == "auto",
    )

    def lay_out(
        width: int, height: int, _dpi: tuple[float, float]
    ) -> tuple[float, float, float, float]:
        _, dpi, sideways = next(sheets)
        if sideways:
            down, across, high, wide = upright(height, width, dpi[::-1])
            laid = across, down, wide, high
        else:
            laid = upright(width, height, dpi)
        if not all(_SIDE_MIN <= side <= _SIDE_MAX for side in laid[:2]):
            raise TargetImpossible(
                "an image is too small or too large for a page of its own size; name a page_size"
            )
        return laid

    return lay_out
