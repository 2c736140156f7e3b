"""Take the metadata out of a JPEG without touching its pixels (ITU-T T.81, annex B).

A JPEG goes into a PDF byte for byte, and with it would go the place where it was taken.
"""

import re
import struct
from typing import NamedTuple

# Of the application segments only these are kept, by marker and first bytes: JFIF, the ICC profile,
# Adobe's colour transform. Left out: EXIF and XMP, Photoshop's block, thumbnails (JFXX), and the
# index of a camera's further pictures (MPF), which lie behind the first one with metadata of
# their own. Comments too.
_JFIF, _ICC, _ADOBE = (0xE0, b"JFIF\0"), (0xE2, b"ICC_PROFILE\0"), (0xEE, b"Adobe")
_APPLICATION = range(0xE0, 0xF0)
_COMMENT, _START_OF_SCAN, _END_OF_IMAGE = 0xFE, 0xDA, 0xD9
# In coded data a marker is what is neither a stuffed zero, nor a restart, nor a fill byte.
_NEXT_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


class Stripped(NamedTuple):
    """A JPEG without its metadata, and what is left of that without its coded data.

    libjpeg only warns of coded data that makes no sense: what it refuses is in the segments, or is
    an end that comes too soon. So it refuses the `husk` where it refuses the picture, for a tenth
    of the time. None where the picture has no end: then only decoding all of it tells.
    """

    picture: bytes
    husk: bytes | None


def without_metadata(picture: bytes, orientation: bytes, *, icc: bool = True) -> bytes | None:
    """The same picture with only the segment `orientation` in place of its metadata.

    What follows its end is cut off. `icc` says whether the colour profile is kept. None where the
    segments are not well formed: then nobody can say what is metadata.
    """
    found = stripped(picture, orientation, icc=icc)
    return None if found is None else found.picture


def stripped(picture: bytes, orientation: bytes, *, icc: bool = True) -> Stripped | None:
    """The same with its husk. A picture that has no metadata is given back as it is."""
    names = (_JFIF, _ICC, _ADOBE) if icc else (_JFIF, _ADOBE)
    view = memoryview(picture)  # slices of it are no copies
    kept = [view[:2], memoryview(orientation)]
    husk = [view[:2]]
    at, scanned = 2, False
    while at + 2 <= len(picture) and picture[at] == 0xFF:  # noqa: PLR2004  # every marker begins so
        marker = picture[at + 1]
        if marker == 0xFF:  # noqa: PLR2004  # fill byte
            at += 1
            continue
        if marker == _END_OF_IMAGE:
            kept.append(view[at : at + 2])
            husk.append(view[at : at + 2])
            return Stripped(_joined(kept, picture), b"".join(husk))
        if at + 4 > len(picture):
            break
        head = end = at + 2 + struct.unpack_from(">H", picture, at + 2)[0]
        if marker == _START_OF_SCAN:
            scanned = True
            found = _NEXT_MARKER.search(picture, end)
            end = found.start() if found else len(picture)
        if _belongs(picture, at, marker, names):
            kept.append(view[at:end])
            husk.append(view[at:head])
        at = end
    # An end that is missing is no harm to what was decoded whole.
    whole = scanned and at >= len(picture)
    return Stripped(_joined(kept, picture), None) if whole else None


def _joined(kept: list[memoryview], picture: bytes) -> bytes:
    """The parts of the picture that are kept, which may be all of it."""
    is_all = sum(map(len, kept)) == len(picture) and not kept[1]
    return picture if is_all else b"".join(kept)


def _belongs(picture: bytes, at: int, marker: int, names: tuple[tuple[int, bytes], ...]) -> bool:
    """Whether decoding, or the right colours, need this segment."""
    if marker in _APPLICATION:
        return any(marker == kind and picture.startswith(name, at + 4) for kind, name in names)
    return marker != _COMMENT


def orientation_segment(orientation: int) -> bytes:
    """An APP1 segment with nothing but the EXIF orientation; empty for upright."""
    if orientation == 1:
        return b""
    entry = struct.pack(">HHIHH", 0x0112, 3, 1, orientation, 0)
    body = b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x01" + entry + b"\x00\x00\x00\x00"
    return b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body
