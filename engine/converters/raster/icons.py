"""Windows and Apple icons: several sizes of one picture, each as a PNG inside.

Pillow's own writers enlarge a small picture up to 1024 pixels, or leave the sizes to chance.
Sources: the ICO format as Windows Vista reads it (PNG entries), and Apple's type codes.
"""

import io
import struct
from collections.abc import Callable, Mapping

from PIL import Image

from engine.converters.raster.resample import pad, resample
from engine.job import Buffer

# What shells ask for: menus, lists, task bars, tiles.
_ICO_SIDES = (16, 24, 32, 48, 64, 128, 256)
_ICNS_CODES = (
    (16, b"icp4"),
    (32, b"icp5"),
    (64, b"icp6"),
    (128, b"ic07"),
    (256, b"ic08"),
    (512, b"ic09"),
    (1024, b"ic10"),
)
_CLEAR = (255, 255, 255, 0)


def _ico(image: Image.Image) -> bytes:
    """An ICO with each usual size up to the picture's own."""
    sides = _sides(image, _ICO_SIDES)
    pictures = [_png(_square(image, side)) for side in sides]
    table, at = struct.pack("<HHH", 0, 1, len(sides)), 6 + 16 * len(sides)
    for side, picture in zip(sides, pictures, strict=True):
        # 256 is written as 0: the fields are bytes.
        table += struct.pack("<BBBBHHII", side % 256, side % 256, 0, 0, 1, 32, len(picture), at)
        at += len(picture)
    return b"".join((table, *pictures))


def _icns(image: Image.Image) -> bytes:
    """An ICNS with each usual size up to the picture's own."""
    codes = dict(_ICNS_CODES)
    body = b""
    for side in _sides(image, tuple(codes)):
        picture = _png(_square(image, side))
        body += codes[side] + struct.pack(">I", len(picture) + 8) + picture
    return b"icns" + struct.pack(">I", len(body) + 8) + body


def _sides(image: Image.Image, known: tuple[int, ...]) -> tuple[int, ...]:
    """The sizes that need no enlarging, and always the smallest."""
    longest = max(image.size)
    return tuple(side for side in known if side <= longest) or known[:1]


def _square(image: Image.Image, side: int) -> Image.Image:
    """The picture in the middle of a clear square."""
    ratio = side / max(image.size)
    size = (max(1, round(image.width * ratio)), max(1, round(image.height * ratio)))
    return pad(resample(image, (0, 0, *image.size), size), (side, side), _CLEAR)


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


WRITERS: Mapping[str, Callable[[Image.Image], Buffer]] = {"ico": _ico, "icns": _icns}
