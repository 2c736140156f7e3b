"""Tell a file's format from its first and last bytes: the front door of detection.

Pure, bounded and distrustful: at most the first 64 KiB and the last 64 KiB are looked at, nothing
is decompressed beyond one small text in a ZIP, and a wrong length in the file can at worst make it
unrecognised. Order matters and is the order of certainty: magics, then containers (ZIP, OLE,
ISO-BMFF, RIFF, Matroska, TIFF) asked what they hold, then text.
"""

from collections.abc import Callable

from engine.job import Buffer
from engine.magics import MAGICS
from engine.sniff_containers import (
    sniff_bmff,
    sniff_ebml,
    sniff_ogg,
    sniff_ole,
    sniff_riff,
    sniff_tiff,
    sniff_zip,
)
from engine.sniff_text import sniff_text
from engine.wiping import wipe

# Enough for an OLE directory near the front and a ZIP directory of hundreds of members at the end.
HEAD_BYTES = 64 * 1024
TAIL_BYTES = 64 * 1024
# Readers accept a PDF whose header comes within the first KiB (ISO 32000-1, annex H, note 13).
_PDF_HEADER_WITHIN = 1024

# What begins like this is a container; the function says what is in it, or None.
_CONTAINERS: tuple[tuple[int, bytes, Callable[[bytes, bytes], str | None]], ...] = (
    (0, b"PK\x03\x04", sniff_zip),
    (0, b"PK\x05\x06", sniff_zip),
    (0, b"PK\x07\x08", sniff_zip),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", sniff_ole),
    (4, b"ftyp", sniff_bmff),
    (4, b"moov", sniff_bmff),
    (4, b"mdat", sniff_bmff),
    (4, b"wide", sniff_bmff),
    (0, b"RIFF", sniff_riff),
    (0, b"OggS", sniff_ogg),
    (0, b"\x1a\x45\xdf\xa3", sniff_ebml),
    (0, b"II*\x00", sniff_tiff),
    (0, b"MM\x00*", sniff_tiff),
    (0, b"II+\x00", sniff_tiff),
    (0, b"MM\x00+", sniff_tiff),
)


# Containers whose list of contents is at the end, or may be anywhere.
_TOLD_BY_BOTH_ENDS = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08", b"\xd0\xcf\x11\xe0")


def told_by_head(head: Buffer) -> bool:
    """Whether `sniff` says of these first bytes what it would say of the whole file.

    There must be more than HEAD_BYTES of them, or the whole file.
    """
    return bytes(head[:4]) not in _TOLD_BY_BOTH_ENDS


def sniff(upload: Buffer) -> str | None:
    """The name of the format these bytes are, as in `engine.formats`, or None."""
    with memoryview(upload) as view:
        head = bytearray(view[:HEAD_BYTES])
        try:
            return _sniff(head, view)
        finally:
            wipe(head)


def _sniff(head: bytearray, view: memoryview) -> str | None:
    for magic in MAGICS:
        if magic.fits(head):
            return magic.name
    for offset, signature, inside in _CONTAINERS:
        if head.startswith(signature, offset):
            return inside(bytes(head), bytes(view[-TAIL_BYTES:]))
    if head.find(b"%PDF-", 0, _PDF_HEADER_WITHIN + 5) >= 0:
        return "pdf"
    return _sniff_without_signature(head) or sniff_text(head, complete=len(view) <= HEAD_BYTES)


def _sniff_without_signature(head: bytearray) -> str | None:
    """Formats whose first bytes are fields, told by several of them agreeing."""
    if _is_mpeg_audio(head):
        return "mp3"
    if len(head) > 188 * 2 and head[0] == head[188] == head[376] == 0x47:  # noqa: PLR2004  # ISO 13818-1: packets of 188
        return "ts"
    return None


def _is_mpeg_audio(head: bytearray) -> bool:
    """A frame header whose length leads to another frame header (ISO 11172-3, 2.4.1.3)."""
    length = _mpeg_frame_length(head, 0)
    return length is not None and _mpeg_frame_length(head, length) is not None


_BITRATES_V1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_BITRATES_V2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}


def _mpeg_frame_length(head: bytearray, at: int) -> int | None:
    """Bytes of the layer III frame at this offset, or None where there is none."""
    if len(head) < at + 4 or head[at] != 0xFF or head[at + 1] & 0xE6 != 0xE2:  # noqa: PLR2004  # sync word, layer III
        return None
    version, bitrate, rate = head[at + 1] >> 3 & 3, head[at + 2] >> 4, head[at + 2] >> 2 & 3
    if version not in _RATES or not 0 < bitrate < len(_BITRATES_V1) or rate >= len(_RATES[3]):
        return None
    newest = version == 3  # noqa: PLR2004  # MPEG-1
    kbits = (_BITRATES_V1 if newest else _BITRATES_V2)[bitrate]
    padding = head[at + 2] >> 1 & 1
    return (144_000 if newest else 72_000) * kbits // _RATES[version][rate] + padding
