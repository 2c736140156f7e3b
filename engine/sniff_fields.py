"""Formats without a signature, told by several fields of their head that agree."""

import math
import re
import struct
from collections.abc import Callable

Agrees = Callable[[bytearray], bool]

# In front of the first audio frame.
_ZEROS_MAX = 4096


def _is_mpeg_audio(head: bytearray) -> bool:
    """A frame header whose length leads to another one (ISO 11172-3, 2.4.1.3).

    Some encoders put zeros in front.
    """
    begin = 0
    if head.startswith(b"\x00"):
        window = head[:_ZEROS_MAX]
        begin = len(window) - len(window.lstrip(b"\x00"))
    length = _mpeg_frame_length(head, begin)
    return length is not None and _mpeg_frame_length(head, begin + length) is not None


_BITRATES = {
    # By (MPEG-1, layer III); layer II of MPEG-1 has its own row.
    (True, True): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (True, False): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (False, True): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, False): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
_MPEG_1 = 3
_LAYER_III, _LAYER_II = 1, 2


def _mpeg_frame_length(head: bytearray, at: int) -> int | None:
    """Bytes of the layer II or III frame at this offset, or None where there is none."""
    if len(head) < at + 4 or head[at] != 0xFF or head[at + 1] & 0xE0 != 0xE0:  # noqa: PLR2004  # sync word
        return None
    version, layer = head[at + 1] >> 3 & 3, head[at + 1] >> 1 & 3
    bitrate, rate, padding = head[at + 2] >> 4, head[at + 2] >> 2 & 3, head[at + 2] >> 1 & 1
    if version not in _RATES or layer not in {_LAYER_II, _LAYER_III}:
        return None
    if not 0 < bitrate < len(_BITRATES[True, True]) or rate >= len(_RATES[_MPEG_1]):
        return None
    kbits = _BITRATES[version == _MPEG_1, layer == _LAYER_III][bitrate]
    samples = 144_000 if version == _MPEG_1 or layer == _LAYER_II else 72_000
    return samples * kbits // _RATES[version][rate] + padding


def _is_adts(head: bytearray) -> bool:
    """An AAC frame whose length leads to another one, or to the file's end (ISO 13818-7, 6.2)."""
    length = _adts_frame_length(head, 0)
    if length is None:
        return False
    return length == len(head) or _adts_frame_length(head, length) is not None


def _adts_frame_length(head: bytearray, at: int) -> int | None:
    if len(head) < at + 7 or head[at] != 0xFF or head[at + 1] & 0xF6 != 0xF0:  # noqa: PLR2004  # sync word, layer 0
        return None
    length = (head[at + 3] & 3) << 11 | head[at + 4] << 3 | head[at + 5] >> 5
    return length if length > 7 and head[at + 2] >> 2 & 15 < 13 else None  # noqa: PLR2004  # header, known rates


def _is_transport_stream(head: bytearray) -> bool:
    """Packets of 188 bytes (ISO 13818-1), with 4 in front on discs or 16 behind in broadcasts."""
    return any(
        len(head) > first + 2 * size
        and head[first] == head[first + size] == head[first + 2 * size] == 0x47  # noqa: PLR2004  # sync byte
        for first, size in ((0, 188), (4, 192), (0, 204))
    )


_TGA_DEPTHS = {1: (8, 15, 16), 9: (8, 15, 16), 2: (15, 16, 24, 32), 10: (15, 16, 24, 32)}
_TGA_DEPTHS |= {3: (8, 16), 11: (8, 16)}
_TGA_HEAD = struct.Struct("<BBBHHBHHHHBB")


def _is_tga(head: bytearray) -> bool:
    """A Targa header says of itself nothing but what fits together (specification 2.0, page 7)."""
    if len(head) <= _TGA_HEAD.size:
        return False
    fields = _TGA_HEAD.unpack_from(head)
    _, mapped, kind, first, length, entry, _, _, width, height, depth, flags = fields
    if depth not in _TGA_DEPTHS.get(kind, ()) or not width or not height or flags & 0xC0:
        return False
    if mapped:
        # A true-colour image may carry a palette that it does not use.
        return mapped == 1 and entry in {15, 16, 24, 32} and length and first + length <= 4096  # noqa: PLR2004  # palettes are small
    # Sizes beyond any screen or film: other formats' fields in that place.
    return kind not in {1, 9} and not length and not first and width * height < 2**28


_TAR_CHECKSUM = slice(148, 156)
_TAR_NUMBERS = re.compile(rb"[ 0]*[0-7]*[ \x00]*")


def is_tar(head: bytearray) -> bool:
    """A header whose sum of bytes is what it says (POSIX.1-1988, 10.1.1); many have no `ustar`."""
    if len(head) < 512 or not head[0] or not _TAR_NUMBERS.fullmatch(bytes(head[_TAR_CHECKSUM])):  # noqa: PLR2004  # a block
        return False
    told = head[_TAR_CHECKSUM].strip(b" \x00")
    summed = sum(head[:148]) + sum(head[156:512]) + 8 * ord(" ")
    return bool(told) and int(told, 8) == summed


_STL_HEAD, _STL_FACET, _STL_LOOKED_AT = 84, 50, 12
_STL_LARGEST = 1e12
_STL_FLOATS = struct.Struct("<12fH")


def _is_binary_stl(head: bytearray) -> bool:
    """Facets of 50 bytes: twelve sane numbers, and no attribute in almost every file."""
    if len(head) < _STL_HEAD + _STL_FACET:
        return False
    (count,) = struct.unpack_from("<I", head, 80)
    present = (len(head) - _STL_HEAD) // _STL_FACET
    if not count or present < min(count, _STL_LOOKED_AT):
        return False
    for facet in range(min(count, _STL_LOOKED_AT)):
        *numbers, attribute = _STL_FLOATS.unpack_from(head, _STL_HEAD + facet * _STL_FACET)
        if attribute or not all(math.isfinite(one) and abs(one) < _STL_LARGEST for one in numbers):
            return False
        if not any(abs(one) > 1e-30 for one in numbers[3:]):  # noqa: PLR2004  # integers, read as floats, are tiny
            return False
    return True


_ICON_HEAD = struct.Struct("<HHHBBBBHHII")


def _icon_kind(head: bytearray) -> int:
    """1 for icons, 2 for cursors, 0 for neither: a count, and a first entry that lies behind it."""
    if len(head) < _ICON_HEAD.size:
        return 0
    zero, kind, count, _, _, _, reserved, _, _, size, begin = _ICON_HEAD.unpack_from(head)
    sane = not zero and 0 < count < 1024 and reserved in {0, 255} and begin >= 6 + 16 * count  # noqa: PLR2004  # sizes of head and entry
    return kind if sane and size and kind in {1, 2} else 0


def _is_icon(head: bytearray) -> bool:
    return _icon_kind(head) == 1


def _is_cursor(head: bytearray) -> bool:
    return _icon_kind(head) == 2  # noqa: PLR2004  # the type's number


_BLANKS = rb"(?>\s+|#[^\n]*\n)++"
_SIZES = _BLANKS + rb"\d{1,6}" + _BLANKS + rb"\d{1,6}\s"
_NETPBM = (
    (re.compile(rb"P[14]" + _SIZES), "pbm"),
    (re.compile(rb"P[25]" + _SIZES), "pgm"),
    (re.compile(rb"P[36]" + _SIZES), "ppm"),
    (re.compile(rb"P7\n(?:#[^\n]*\n)*+[A-Z]+ "), "pam"),
    (re.compile(rb"P[Ff]\s\d{1,6}\s\d{1,6}\s"), "pfm"),
)


def _looks_like(pattern: re.Pattern[bytes]) -> Agrees:
    """A kind, a width and a height in digits, with comments between them."""
    return lambda head: head[:1] == b"P" and pattern.match(head, 0, 1024) is not None


_XBM = re.compile(
    rb"\s*(?:/\*.*?\*/\s*)?#define\s+\w*_?width\s+\d+\s+#define\s+\w*_?height\s", re.DOTALL
)


def _is_xbm(head: bytearray) -> bool:
    return _XBM.match(head, 0, 2048) is not None


_FIELDS: tuple[tuple[Agrees, str], ...] = (
    (_is_mpeg_audio, "mp3"),
    (_is_adts, "aac"),
    (_is_transport_stream, "ts"),
    *((_looks_like(pattern), name) for pattern, name in _NETPBM),
    (_is_icon, "ico"),
    (_is_cursor, "cur"),
    (_is_xbm, "xbm"),
    (is_tar, "tar"),
    (_is_binary_stl, "stl"),
    (_is_tga, "tga"),
)


def named_by_fields(head: bytearray) -> str | None:
    """The format whose fields agree."""
    return next((name for agrees, name in _FIELDS if agrees(head)), None)
