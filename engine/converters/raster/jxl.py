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

from engine.converters.colour import opened_profile
from engine.converters.opening import check_pixels, open_image, reading
from engine.converters.raster import jxl_decoder, jxl_encoder
from engine.converters.raster.arrays import to_array, to_image
from engine.converters.raster.encode import Picture
from engine.converters.raster.numbers import np
from engine.converters.raster.options import ImageOptions
from engine.converters.raster.sources import Source
from engine.errors import SourceUnreadable, TargetImpossible, TargetTooLarge
from engine.job import Bounds, Buffer
from sandbox.limits import MIB

# libjxl's own distance for what JPEG calls a quality: 85 looks like JPEG 90 at half the size.
_QUALITY = 85
# 12 MP take 4 s at libjxl's effort 5 and under 1 s at 3.
_EFFORT, _EFFORT_LARGE, _LARGE_PIXELS = 5, 3, 2_000_000
_CONTAINER = b"\x00\x00\x00\x0cJXL \x0d\x0a\x87\x0a"
_FILE_TYPE = struct.pack(">I4s4sI4s", 20, b"ftyp", b"jxl ", 0, b"jxl ")
_CODESTREAM = b"\xff\x0a"
_BOX_HEADER = 8
# What a GIF can say: nobody who waits longer, or counts further, will tell the difference.
_SHOWN_MAX_MS, _PLAYS_MAX = 655_350, 65_535
# What tells of the picture, and how much of it is read.
_TELLING, _TELLING_MAX = (b"Exif", b"xml "), 4 * MIB
_ORIENTATION = 0x0112
_RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}


class Header(NamedTuple):
    """What is known before decoding."""

    size: tuple[int, int]
    bits: int
    animated: bool


def open_jxl(data: Buffer, name: str, bounds: Bounds) -> Source:
    """Decode the first frame, once its size is known to be bearable; the others when they are due.

    In the colours that the file holds, whose profile stands beside them.
    """
    warnings: list[str] = []
    content = bytes(data)
    with reading(name):
        header = read_header(dict(_boxes(content))[b"jxlc"])
    check_pixels(header.size, bounds)
    film = _Film(content, warnings)
    with reading(name):
        image = film.at(0)
        if content.startswith(_CONTAINER):
            boxes = jxl_decoder.boxes(content, _TELLING, _TELLING_MAX)
            image.info |= dict(_described(boxes))
        frames = jxl_decoder.count(content, bounds.frames_max + 1) if header.animated else 1
    if frames == 1:
        film.close()
    return Source(name=name, first=image, count=frames, at=film.at, warnings=tuple(warnings))


class _Film:
    """Frames in any order, each decoded on from the one before where it comes after that."""

    def __init__(self, content: bytes, warnings: list[str]) -> None:
        self._content, self._warnings = content, warnings
        self._next, self._frames = 0, jxl_decoder.frames(content)
        self._last: tuple[int, Image.Image] | None = None

    def at(self, index: int) -> Image.Image:
        """The frame of this number, from 0. Raises ValueError where it cannot be decoded."""
        if self._last is not None and self._last[0] == index:
            return self._last[1]
        if index != self._next:
            self.close()
            self._frames = jxl_decoder.frames(self._content, index)
        frame = next(self._frames, None)
        if frame is None:
            raise ValueError("there is no such frame")
        self._next = index + 1
        image = to_image(_eight_bits(frame, self._warnings), self._warnings)
        image.info = {
            "duration": min(frame.duration_ms, _SHOWN_MAX_MS),
            "loop": min(frame.plays, _PLAYS_MAX),
        }
        if frame.icc:
            image.info["icc_profile"] = frame.icc
        self._last = index, image
        return image

    def close(self) -> None:
        """Let go of the decoder, which holds several times the frame's memory."""
        self._frames.close()


def _eight_bits(frame: jxl_decoder.Frame, warnings: list[str]) -> "np.ndarray[Any, Any]":
    """Floating-point numbers that have their curve already as bytes; all else as it is."""
    if frame.linear or not np.issubdtype(frame.pixels.dtype, np.floating):
        return frame.pixels
    warnings.append("light beyond white was cut off: the samples are floating-point numbers")
    shown: np.ndarray[Any, Any] = np.clip(np.nan_to_num(frame.pixels), 0, 1) * 255 + 0.5
    return shown.astype(np.uint8)


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The codestream by the name of its box, put together of its parts. Raises ValueError."""
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
        elif kind == b"jxlc":
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
    """Write all frames, in the colours of their profile; metadata in boxes around them.

    Raises TargetImpossible, TargetTooLarge.
    """
    large = picture.pixels > _LARGE_PIXELS
    icc = picture.icc if picture.icc and opened_profile(picture.icc) else None
    manner = jxl_encoder.Manner(
        distance=None if options.lossless else _distance(options.quality or _QUALITY),
        effort=options.effort or (_EFFORT_LARGE if large else _EFFORT),
        icc=icc,
        plays=picture.plays,
    )
    frames = [to_array(frame) for frame in picture.frames]
    try:
        codestream = jxl_encoder.encode(frames, picture.seen_ms, manner, bytes_max)
    except ValueError as error:
        hint = "; leave icc at srgb: its colour profile may be the reason" if icc else ""
        raise TargetImpossible(f"this image cannot be written as JPEG XL{hint}") from error
    written = _contained(codestream, picture.metadata.exif, picture.metadata.xmp)
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
    boxes = []
    if exif:
        boxes.append(_box(b"Exif", bytes(4) + exif.removeprefix(b"Exif\0\0")))
    if xmp:
        boxes.append(_box(b"xml ", xmp))
    if codestream.startswith(_CONTAINER):
        # libjxl puts what asks for much of a decoder (level 10) into boxes itself.
        return b"".join([codestream, *boxes])
    return b"".join([_CONTAINER, _FILE_TYPE, *boxes, _box(b"jxlc", codestream)])


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
