"""Take the metadata out of a JPEG without touching its pixels (ITU-T T.81, annex B).

A JPEG goes into a PDF byte for byte, and with it would go the place where it was taken.
"""

import struct

# Kept: everything that decoding needs, JFIF (APP0), the ICC profile (APP2) and Adobe's colour
# transform (APP14). Left out: EXIF and XMP (APP1), Photoshop's block (APP13), comments.
_KEPT_APPLICATION = frozenset({0xE0, 0xE2, 0xEE})
_APPLICATION = range(0xE0, 0xF0)
_COMMENT, _START_OF_SCAN = 0xFE, 0xDA


def without_metadata(picture: bytes, orientation: bytes) -> bytes:
    """The same picture with only the segment `orientation` in place of its metadata.

    Bytes that are no well-formed segment end the walk, and all from there is kept.
    """
    kept = [picture[:2], orientation]
    at = 2
    while at + 4 <= len(picture) and picture[at] == 0xFF:  # noqa: PLR2004  # every marker begins so
        marker = picture[at + 1]
        if marker == 0xFF:  # noqa: PLR2004  # fill byte
            at += 1
            continue
        if marker == _START_OF_SCAN:
            break
        end = at + 2 + struct.unpack_from(">H", picture, at + 2)[0]
        left_out = marker == _COMMENT or (
            marker in _APPLICATION and marker not in _KEPT_APPLICATION
        )
        if not left_out:
            kept.append(picture[at:end])
        at = end
    kept.append(picture[at:])
    return b"".join(kept)


def orientation_segment(orientation: int) -> bytes:
    """An APP1 segment with nothing but the EXIF orientation; empty for upright."""
    if orientation == 1:
        return b""
    entry = struct.pack(">HHIHH", 0x0112, 3, 1, orientation, 0)
    body = b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x01" + entry + b"\x00\x00\x00\x00"
    return b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body
