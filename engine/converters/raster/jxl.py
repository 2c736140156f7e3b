"""JPEG XL, by libjxl: the header read by hand before anything is decoded, then the pixels.

A file is a bare codestream or a container of boxes (ISO 18181-2). The codestream's header says how
large the picture is, whether it moves and how deep it is (ISO 18181-1, D.2 and D.3): fields of a
few bits, least significant first.
"""

import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

import imagecodecs
from PIL import Image

from engine.converters.opening import check_pixels, open_image, reading
from engine.converters.raster.arrays import to_array, to_image
from engine.converters.raster.encode import Picture
from engine.converters.raster.options import ImageOptions
from engine.converters.raster.sources import Source, still
from engine.errors import SourceUnreadable, TargetImpossible, TargetTooLarge
from engine.job import Bounds, Buffer

# libjxl's own distance for what JPEG calls a quality: 85 looks like JPEG 90 at half the size.
_QUALITY = 85
# 12 MP take 4 s at libjxl's effort 5 and under 1 s at 3.
_EFFORT, _EFFORT_LARGE, _LARGE_PIXELS = 5, 3, 2_000_000
_CONTAINER = b"\x00\x00\x00\x0cJXL \x0d\x0a\x87\x0a"
_FILE_TYPE = struct.pack(">I4s4sI4s", 20, b"ftyp", b"jxl ", 0, b"jxl ")
_CODESTREAM = b"\xff\x0a"
_BOX_HEADER = 8
_ORIENTATION = 0x0112
_RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}


class Header(NamedTuple):
    """What is known before decoding."""

    size: tuple[int, int]
    bits: int
    animated: bool


def open_jxl(data: Buffer, name: str, bounds: Bounds) -> Source:
    """Decode the first frame, once its size is known to be bearable."""
    warnings: list[str] = []
    with reading(name):
        boxes = dict(_boxes(bytes(data)))
        header = read_header(boxes[b"jxlc"])
    check_pixels(header.size, bounds)
    with reading(name):
        pixels = imagecodecs.jpegxl_decode(bytes(data), index=0, numthreads=1)
        image = to_image(pixels, warnings)
    image.info = dict(_described(boxes))
    if header.animated:
        warnings.append("only the first frame of an animation was kept")
    return still(name, image, warnings)


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The boxes by name, a partial codestream put together. Raises ValueError."""
    if data.startswith(_CODESTREAM):
        yield b"jxlc", data
        return
    if not data.startswith(_CONTAINER):
        raise ValueError("no JPEG XL")
    at, parts = 0, b""
    while at + _BOX_HEADER <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        begin = at + _BOX_HEADER
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, begin)
            begin += 8
        end = len(data) if size == 0 else at + size
        if end < begin:
            raise ValueError("a box that ends before it begins")
        if kind == b"jxlp":
            parts += data[begin + 4 : end]
        elif kind in {b"jxlc", b"Exif", b"xml "}:
            yield kind, data[begin:end]
        at = end
    if parts:
        yield b"jxlc", parts


class _Bits:
    """Fields of the codestream's header."""

    def __init__(self, data: bytes) -> None:
        self._value, self._left = int.from_bytes(data[:64], "little"), 8 * min(len(data), 64)

    def take(self, count: int) -> int:
        """So many bits as a number. Raises ValueError beyond the end."""
        if count > self._left:
            raise ValueError("the header ends early")
        taken = self._value & ((1 << count) - 1)
        self._value >>= count
        self._left -= count
        return taken

    def choice(self, *rows: tuple[int, int]) -> int:
        """U32: two bits choose a row (bits, offset)."""
        bits, offset = rows[self.take(2)]
        return self.take(bits) + offset


def read_header(codestream: bytes) -> Header:
    """Size, depth and whether it moves. Raises ValueError."""
    if not codestream.startswith(_CODESTREAM):
        raise ValueError("no codestream")
    bits = _Bits(codestream[2:])
    size = _size(bits)
    if bits.take(1):  # all defaults
        return Header(size, 8, animated=False)
    orientation, animated = 0, False
    if bits.take(1):
        orientation = bits.take(3)
        if bits.take(1):
            _size(bits)
        if bits.take(1):
            _preview(bits)
        animated = bool(bits.take(1))
        if animated:
            _animation(bits)
    sideways = orientation >= 4  # noqa: PLR2004  # one less than EXIF's number
    return Header(size[::-1] if sideways else size, _depth(bits), animated)


def _size(bits: _Bits) -> tuple[int, int]:
    small = bits.take(1)
    high = _side(bits, small)
    ratio = bits.take(3)
    if ratio == 0:
        return _side(bits, small), high
    across, down = _RATIOS[ratio]
    return high * across // down, high


def _side(bits: _Bits, small: int) -> int:
    if small:
        return (bits.take(5) + 1) * 8
    return bits.choice((9, 1), (13, 1), (18, 1), (30, 1))


def _preview(bits: _Bits) -> None:
    rows = (
        ((0, 16), (0, 32), (5, 1), (9, 33))
        if bits.take(1)
        else ((6, 1), (8, 65), (10, 321), (12, 1345))
    )
    bits.choice(*rows)
    if bits.take(3) == 0:
        bits.choice(*rows)


def _animation(bits: _Bits) -> None:
    bits.choice((0, 100), (0, 1000), (10, 1), (30, 1))
    bits.choice((0, 1), (0, 1001), (8, 1), (10, 1))
    bits.choice((0, 0), (3, 0), (16, 0), (32, 0))
    bits.take(1)


def _depth(bits: _Bits) -> int:
    if bits.take(1):
        return bits.choice((0, 32), (0, 16), (0, 24), (6, 1))
    return bits.choice((0, 8), (0, 10), (0, 12), (6, 1))


def _described(boxes: dict[bytes, bytes]) -> Iterator[tuple[str, Any]]:
    """EXIF and XMP as Pillow keeps them; the orientation is in the pixels already."""
    if b"Exif" in boxes:
        tags = Image.Exif()
        try:
            tags.load(b"Exif\0\0" + boxes[b"Exif"][4 + int.from_bytes(boxes[b"Exif"][:4], "big") :])
            tags.pop(_ORIENTATION, None)
            yield "exif", tags.tobytes()
        except (SyntaxError, ValueError, TypeError, LookupError, OSError, struct.error):
            pass  # a damaged block is no reason to refuse a good picture
    if b"xml " in boxes:
        yield "xmp", boxes[b"xml "]


def encode_jxl(picture: Picture, _target: str, options: ImageOptions, bytes_max: int) -> Buffer:
    """Write the first frame; metadata in boxes around it. Raises TargetImpossible."""
    large = picture.pixels > _LARGE_PIXELS
    how: dict[str, Any] = (
        {"lossless": True}
        if options.lossless
        else {"distance": _distance(options.quality or _QUALITY)}
    )
    try:
        codestream = imagecodecs.jpegxl_encode(
            to_array(picture.frames[0]),
            effort=options.effort or (_EFFORT_LARGE if large else _EFFORT),
            usecontainer=False,
            numthreads=1,
            **how,
        )
    except (ValueError, RuntimeError) as error:
        raise TargetImpossible("this image cannot be written as JPEG XL") from error
    written = _contained(bytes(codestream), picture.metadata.exif, picture.metadata.xmp)
    if len(written) > bytes_max:
        raise TargetTooLarge("the result is larger than the limit")
    return written


def _distance(quality: int) -> float:
    """The distance for a quality as JPEG counts (libjxl, JxlEncoderDistanceFromQuality)."""
    if quality >= 100:  # noqa: PLR2004  # indistinguishable, not lossless: that is an option
        return 0.1
    if quality >= 30:  # noqa: PLR2004  # libjxl's own knee
        return 0.1 + (100 - quality) * 0.09
    return min(15.0, 53 / 3000 * quality * quality - 23 / 20 * quality + 25)


def _contained(codestream: bytes, exif: bytes, xmp: bytes) -> bytes:
    if not exif and not xmp:
        return codestream
    boxes = [_CONTAINER, _FILE_TYPE]
    if exif:
        boxes.append(_box(b"Exif", bytes(4) + exif.removeprefix(b"Exif\0\0")))
    if xmp:
        boxes.append(_box(b"xml ", xmp))
    return b"".join([*boxes, _box(b"jxlc", codestream)])


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", len(content) + _BOX_HEADER, kind) + content


def from_jpeg(data: Buffer, bounds: Bounds) -> bytes:
    """A JPEG packed so that it can be restored bit by bit. Raises TargetImpossible."""
    open_image(data, "jpeg", bounds)
    try:
        return bytes(imagecodecs.jpegxl_encode_jpeg(bytes(data), numthreads=1))
    except (ValueError, RuntimeError) as error:
        raise TargetImpossible("this JPEG cannot be packed without loss") from error


def to_jpeg(data: Buffer, bounds: Bounds) -> bytes:
    """The JPEG that was packed. Raises TargetImpossible where none was, SourceUnreadable."""
    with reading("jxl"):
        header = read_header(dict(_boxes(bytes(data)))[b"jxlc"])
    check_pixels(header.size, bounds)
    try:
        jpeg = bytes(imagecodecs.jpegxl_decode_jpeg(bytes(data), numthreads=1))
    except (ValueError, RuntimeError) as error:
        raise TargetImpossible("no JPEG was packed into this file; convert it instead") from error
    if not jpeg.startswith(b"\xff\xd8"):
        raise SourceUnreadable("what was packed into this file is no JPEG")
    return jpeg
