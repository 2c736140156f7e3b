"""A PDF of pictures, one a page, written by hand: for sources that no PDF can hold as they are.

JPEG data where loss is bearable, otherwise the deflated rows of a PNG, which PDF readers take as
they stand (ISO 32000-1, 7.4.4.4: predictor 15). Transparency becomes a soft mask (11.6.5.3).
"""

import io
import struct
from collections.abc import Iterable
from typing import NamedTuple

from PIL import Image, ImageFile

from engine.converters.capped import CappedBuffer
from engine.errors import SourceTooComplex, TargetImpossible
from engine.job import Bounds, Buffer

# Where a picture names no resolution; as CSS has it.
_DPI = 96.0
_POINTS = 72.0
# What readers accept as the side of a page (ISO 32000-1, annex C).
_SIDE_MIN, _SIDE_MAX = 3.0, 14_400.0
_SPACES = {"1": b"/DeviceGray", "L": b"/DeviceGray", "RGB": b"/DeviceRGB", "CMYK": b"/DeviceCMYK"}
_CHANNELS = {"1": 1, "L": 1, "RGB": 3}


class Sheet(NamedTuple):
    """A page to be: a picture in a mode that PDF has, and its dots an inch where it names them."""

    picture: Image.Image
    dpi: tuple[float, float] | None


def document(sheets: Iterable[Sheet], quality: int | None, bounds: Bounds) -> Buffer:
    """The document. Without a quality every pixel is kept.

    Raises TargetImpossible, TargetTooLarge, SourceTooComplex.
    """
    writer = _Writer(bounds.output_bytes_max)
    kids: list[int] = []
    for sheet in sheets:
        kids.append(_page(writer, sheet, quality))
        if len(kids) > bounds.pages_max:
            raise SourceTooComplex(f"the result would have more than {bounds.pages_max} pages")
    return writer.finish(kids)


def _page(writer: "_Writer", sheet: Sheet, quality: int | None) -> int:
    frame, (across, down) = sheet.picture, sheet.dpi or (_DPI, _DPI)
    wide, high = frame.width * _POINTS / across, frame.height * _POINTS / down
    if not all(_SIDE_MIN <= side <= _SIDE_MAX for side in (wide, high)):
        raise TargetImpossible(
            "the picture is too small or too large for a page of its own size; give a width or dpi"
        )
    mask = b""
    if frame.mode in {"LA", "RGBA"}:
        alpha = frame.getchannel("A")
        if alpha.getextrema() != (255, 255):
            mask = b" /SMask %d 0 R" % _picture(writer, alpha, None)
        frame = frame.convert("L" if frame.mode == "LA" else "RGB")
    picture = _picture(writer, frame, quality, mask)
    contents = writer.stream(b"", b"q %.4f 0 0 %.4f 0 0 cm /P Do Q" % (wide, high))
    return writer.object(
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 %.4f %.4f] /Contents %d 0 R"
        b" /Resources << /XObject << /P %d 0 R >> >> >>" % (wide, high, contents, picture)
    )


def _picture(writer: "_Writer", frame: Image.Image, quality: int | None, mask: bytes = b"") -> int:
    entries = b"/Type /XObject /Subtype /Image /Width %d /Height %d /ColorSpace %s%s" % (
        *frame.size,
        _SPACES[frame.mode],
        mask,
    )
    if frame.mode == "CMYK" or (quality is not None and frame.mode != "1"):
        entries += b" /BitsPerComponent 8 /Filter /DCTDecode"
        # Pillow writes inks inverted, as Photoshop does.
        entries += b" /Decode [1 0 1 0 1 0 1 0]" if frame.mode == "CMYK" else b""
        return writer.stream(entries, _jpeg(frame, quality or 95))
    bits = 1 if frame.mode == "1" else 8
    entries += b" /BitsPerComponent %d /Filter /FlateDecode /DecodeParms" % bits
    entries += b" << /Predictor 15 /Colors %d /BitsPerComponent %d /Columns %d >>" % (
        _CHANNELS[frame.mode],
        bits,
        frame.width,
    )
    return writer.stream(entries, _rows(frame))


def _jpeg(frame: Image.Image, quality: int) -> bytes:
    ImageFile.MAXBLOCK = max(65_536, frame.width * frame.height * 4)
    buffer = io.BytesIO()
    frame.info = {}
    frame.save(buffer, "JPEG", quality=quality, optimize=True, subsampling="4:4:4")
    return buffer.getvalue()


def _rows(frame: Image.Image) -> bytes:
    """The rows as a PNG packs them: the contents of its IDAT chunks."""
    buffer = io.BytesIO()
    frame.info = {}
    frame.save(buffer, "PNG")
    data, at, rows = buffer.getbuffer(), 8, []
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"IDAT":
            rows.append(bytes(data[at + 8 : at + 8 + size]))
        at += 12 + size
    return b"".join(rows)


class _Writer:
    """Objects one after the other, the catalogue and the list of pages last, where 1 and 2 are."""

    def __init__(self, bytes_max: int) -> None:
        self._buffer = CappedBuffer(bytes_max)
        self._buffer.write(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
        self._offsets = {1: 0, 2: 0}

    def object(self, content: bytes, number: int | None = None) -> int:
        """Write an object; returns its number."""
        number = number or len(self._offsets) + 1
        self._offsets[number] = self._buffer.tell()
        self._buffer.write(b"%d 0 obj\n%s\nendobj\n" % (number, content))
        return number

    def stream(self, entries: bytes, content: bytes) -> int:
        """Write a stream object; returns its number."""
        return self.object(
            b"<< %s /Length %d >>\nstream\n%s\nendstream" % (entries, len(content), content)
        )

    def finish(self, kids: list[int]) -> Buffer:
        """Write what binds the pages together, and hand over the file."""
        self.object(b"<< /Type /Catalog /Pages 2 0 R >>", 1)
        listed = b" ".join(b"%d 0 R" % kid for kid in kids)
        self.object(b"<< /Type /Pages /Count %d /Kids [%s] >>" % (len(kids), listed), 2)
        at, count = self._buffer.tell(), len(self._offsets) + 1
        self._buffer.write(b"xref\n0 %d\n0000000000 65535 f \n" % count)
        for number in range(1, count):
            self._buffer.write(b"%010d 00000 n \n" % self._offsets[number])
        self._buffer.write(
            b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (count, at)
        )
        return self._buffer.take()
