"""EXIF, XMP and resolution: read, cleaned of what would lie about the result, or left out.

Only what describes the picture is carried over. Offsets, strip tables and the embedded thumbnail
describe the old file; the orientation is already applied to the pixels.
"""

import re
import struct

import msgspec
from PIL import ExifTags, Image

from engine.converters.raster.targets import Target
from engine.converters.resolution import resolution

_ORIENTATION = 0x0112
_EXIF_IFD, _GPS_IFD = int(ExifTags.IFD.Exif), int(ExifTags.IFD.GPSInfo)
# Of the first directory: description, make, model, software, date, artist, host, copyright, rating.
_DESCRIPTIVE = (0x010D, 0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x013C, 0x4746, 0x8298)
# Of the Exif directory: the old file's pixel size, and pointers into it.
_STALE = frozenset({0xA002, 0xA003, 0xA005, 0x927C})
_XMP_ORIENTATION = re.compile(rb"tiff:Orientation(=\"\d\"|>\d</tiff:Orientation>)")
# Where Pillow looks for an orientation besides the EXIF block.
_ELSEWHERE = frozenset({"Raw profile type exif", "XML:com.adobe.xmp", "xmp"})
# TIFF's first bytes, and its type of 16 bits (TIFF 6.0, sections 2 and 8).
_BYTE_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
_SHORT = 3
# JPEG holds each of these in one segment of 64 KiB.
_SEGMENT_MAX = 65_000


class Metadata(msgspec.Struct, frozen=True, kw_only=True):
    """What is written beside the pixels. Empty means nothing."""

    exif: bytes = b""
    xmp: bytes = b""
    dpi: tuple[float, float] | None = None


def orientation_of(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1 where there is none or TIFF's decoder applies it itself."""
    if image.format == "TIFF":
        return 1
    try:
        if image.format == "PNG":
            image.load()  # its EXIF may follow the pixels
        value = _seen_orientation(image)
        if value is None:
            value = image.getexif().get(_ORIENTATION, 1)
    except (SyntaxError, ValueError, TypeError, LookupError, OSError, ArithmeticError):
        return 1  # a damaged EXIF block is no reason to refuse a good picture
    return value if isinstance(value, int) and 1 <= value <= 8 else 1  # noqa: PLR2004  # EXIF 2.32, 4.6.4


def _seen_orientation(image: Image.Image) -> int | None:
    """The same without Pillow's parser, whose objects are seventy pages of a fresh worker's memory.

    None where it takes more than a look: XMP, raw profiles, an EXIF block of an unusual kind.
    """
    exif, elsewhere = image.info.get("exif"), not _ELSEWHERE.isdisjoint(image.info)
    if not exif:
        return None if elsewhere else 1
    try:
        block = exif.removeprefix(b"Exif\0\0")
        order = _BYTE_ORDERS[block[:4]]
        (start,) = struct.unpack_from(order + "L", block, 4)
        (count,) = struct.unpack_from(order + "H", block, start)
        entries = struct.iter_unpack(order + "HHLHH", block[start + 2 : start + 2 + 12 * count])
        found = [entry[1:] for entry in entries if entry[0] == _ORIENTATION]
        ((kind, values, value, _),) = found or [(_SHORT, 1, 1, 0)]
    except (struct.error, KeyError, ValueError):
        return None
    plain = (kind, values) == (_SHORT, 1)
    return value if plain and (found or not elsewhere) else None


def collect(image: Image.Image, target: Target, warnings: list[str]) -> Metadata:
    """Gather what the target can hold, for metadata=keep."""
    exif, xmp = _exif(image, target, warnings), _xmp(image)
    if (exif and not target.exif) or (xmp and not target.xmp):
        warnings.append(f"{target.title} holds no metadata; it was left out")
    if max(len(exif), len(xmp)) > _SEGMENT_MAX:
        warnings.append("metadata larger than 64 KiB was left out")
    return Metadata(
        exif=exif if target.exif and len(exif) <= _SEGMENT_MAX else b"",
        xmp=xmp if target.xmp and len(xmp) <= _SEGMENT_MAX else b"",
        dpi=resolution(image),
    )


def _exif(image: Image.Image, target: Target, warnings: list[str]) -> bytes:
    try:
        read = image.getexif()
        kept = Image.Exif()
        for tag in _DESCRIPTIVE:
            if tag in read:
                kept[tag] = read[tag]
        for pointer in (_EXIF_IFD, _GPS_IFD):
            found = {
                tag: value for tag, value in read.get_ifd(pointer).items() if tag not in _STALE
            }
            if found and target.exif_directories:
                kept.get_ifd(pointer).update(found)
            elif found:
                warnings.append(f"{target.title} keeps only the descriptive part of the EXIF data")
        return kept.tobytes() if _holds_something(kept) else b""
    except (SyntaxError, ValueError, TypeError, LookupError, OSError, ArithmeticError):
        return b""


def _holds_something(exif: Image.Exif) -> bool:
    return bool(len(exif) or exif.get_ifd(_EXIF_IFD) or exif.get_ifd(_GPS_IFD))


def _xmp(image: Image.Image) -> bytes:
    found = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b""
    packet = found.encode() if isinstance(found, str) else found
    return _XMP_ORIENTATION.sub(b"", packet) if isinstance(packet, bytes) else b""
