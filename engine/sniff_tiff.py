"""Tell camera raw files from pictures: both are TIFFs."""

import struct

_ENTRIES_MAX = 512
_TEXT_MAX = 64

_SUBFILE, _MAKE, _SUB_IFDS, _CFA_PATTERN, _DNG_VERSION = 0xFE, 0x10F, 0x14A, 0x828E, 0xC612
_PANASONIC_VERSION, _LEAF = 0x0001, 0x8606

# Who made the camera, and what its raw files are called.
_MAKERS = (
    (b"NIKON", "nef"),
    (b"SONY", "arw"),
    (b"PENTAX", "pef"),
    (b"RICOH", "pef"),
    (b"SAMSUNG", "srw"),
    (b"HASSELBLAD", "3fr"),
    (b"PHASE ONE", "iiq"),
    (b"KODAK", "dcr"),
    (b"EASTMAN KODAK", "dcr"),
    (b"SEIKO EPSON", "erf"),
    (b"MAMIYA", "mef"),
    (b"LEAF", "mos"),
    (b"LEICA", "rwl"),
)


def sniff_tiff(head: bytes, _whole: memoryview) -> str:
    """By a marker behind the header, or by tags of the first directory (TIFF 6.0, section 2)."""
    if head.startswith(b"CR\x02", 8):
        return "cr2"
    if head.startswith(b"IIII", 8):
        return "iiq"
    order = "<" if head[:1] == b"I" else ">"
    if len(head) < 8 or head[2:4] not in {b"*\x00", b"\x00*"}:  # noqa: PLR2004  # classic TIFF only
        return "tiff"
    tags = _first_directory(head, order)
    if _DNG_VERSION in tags:
        return "dng"
    # A picture that a camera's own program exported names the maker too, but has no second image of
    # sensor values: those hang below the first directory, or stand in it with their filter pattern.
    if tags.keys() & {_SUB_IFDS, _CFA_PATTERN, _LEAF} and _MAKE in tags:
        make = _text(head, order, tags[_MAKE]).upper()
        return next((name for maker, name in _MAKERS if make.startswith(maker)), "tiff")
    return "tiff"


def _first_directory(head: bytes, order: str) -> dict[int, int]:
    """Offsets of the entries, by tag; those that the head holds."""
    at = struct.unpack_from(order + "I", head, 4)[0]
    if at + 2 > len(head):
        return {}
    count = min(struct.unpack_from(order + "H", head, at)[0], _ENTRIES_MAX)
    entries = range(at + 2, min(at + 2 + 12 * count, len(head) - 11), 12)
    return {struct.unpack_from(order + "H", head, entry)[0]: entry for entry in entries}


def _text(head: bytes, order: str, entry: int) -> bytes:
    """An ASCII value, which stands in its entry where it has at most four bytes."""
    length, begin = struct.unpack_from(order + "II", head, entry + 4)
    if length <= 4:  # noqa: PLR2004  # the field's own size
        begin = entry + 8
    return head[begin : begin + min(length, _TEXT_MAX)]
