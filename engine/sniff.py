"""Tell a file's format from its bytes: the front door of detection.

Pure, bounded and distrustful: the first 64 KiB are looked at, and where a container keeps its list
of contents elsewhere, that. Nothing is decompressed beyond one small text in a ZIP, and a wrong
length in the file can at worst make it unrecognised. Order matters and is the order of certainty:
magics, then containers (ZIP, OLE, ISO-BMFF, RIFF, Ogg, Matroska, TIFF) asked what they hold, then
formats whose first bytes are fields that must agree, then text.

How well it does is asked by `python -m bench sniff_corpus`.
"""

from collections.abc import Callable

from engine.job import Buffer
from engine.likeness import known
from engine.magics import named_by_front, named_further_in
from engine.sniff_fields import named_by_fields
from engine.sniff_media import sniff_bmff, sniff_ebml, sniff_id3, sniff_ogg, sniff_riff
from engine.sniff_ole import sniff_ole
from engine.sniff_packed import sniff_gzip
from engine.sniff_text import sniff_text
from engine.sniff_tiff import sniff_tiff
from engine.sniff_zip import sniff_zip
from engine.wiping import wipe

HEAD_BYTES = 64 * 1024
# Readers accept a PDF whose header comes within the first KiB (ISO 32000-1, annex H, note 13).
_PDF_HEADER_WITHIN = 1024

Inside = Callable[[bytes, memoryview], str | None]

# What begins like this is a container; the function gets the head and the whole file, and says what
# is in it, or None.
_BY_FOUR: dict[bytes, Inside] = {
    b"PK\x03\x04": sniff_zip,
    b"PK\x05\x06": sniff_zip,
    b"PK\x07\x08": sniff_zip,
    b"PK00": sniff_zip,
    b"\xd0\xcf\x11\xe0": sniff_ole,
    b"RIFF": sniff_riff,
    b"RIFX": sniff_riff,
    b"RF64": sniff_riff,
    b"OggS": sniff_ogg,
    b"\x1a\x45\xdf\xa3": sniff_ebml,
    b"II*\x00": sniff_tiff,
    b"MM\x00*": sniff_tiff,
    b"II+\x00": sniff_tiff,
    b"MM\x00+": sniff_tiff,
}
_BY_THREE: tuple[tuple[bytes, Inside], ...] = ((b"\x1f\x8b\x08", sniff_gzip), (b"ID3", sniff_id3))
_BMFF_BOXES = frozenset({b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"})
# Containers whose list of contents is at the end, or may be anywhere.
_TOLD_BY_BOTH_ENDS = frozenset(
    {b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08", b"PK00", b"\xd0\xcf\x11\xe0"}
)


def told_by_head(head: Buffer) -> bool:
    """Whether `sniff` says of these first bytes what it would say of the whole file.

    There must be more than HEAD_BYTES of them, or the whole file.
    """
    return bytes(head[:4]) not in _TOLD_BY_BOTH_ENDS


def sniff(upload: Buffer) -> str | None:
    """The name of the format these bytes are, as in `engine.formats`, or None.

    The most particular one that has a row there: a GPX track is `gpx`, or `xml` without that row.
    """
    with memoryview(upload) as view:
        head = bytearray(view[:HEAD_BYTES])
        try:
            name = _sniff(head, view)
        finally:
            wipe(head)
    return next(iter(known(name)), None) if name is not None else None


def _sniff(head: bytearray, view: memoryview) -> str | None:
    return (
        named_by_front(head)
        or _in_container(head, view)
        or _late_pdf(head)
        or named_further_in(head)
        or named_by_fields(head)
        or sniff_text(head, complete=len(view) <= HEAD_BYTES)
    )


def _in_container(head: bytearray, view: memoryview) -> str | None:
    if inside := _BY_FOUR.get(bytes(head[:4])):
        return inside(bytes(head), view)
    if bytes(head[4:8]) in _BMFF_BOXES:
        return sniff_bmff(bytes(head), view)
    return next(
        (inside(bytes(head), view) for start, inside in _BY_THREE if head.startswith(start)), None
    )


def _late_pdf(head: bytearray) -> str | None:
    return "pdf" if head.find(b"%PDF-", 0, _PDF_HEADER_WITHIN + 5) >= 0 else None
