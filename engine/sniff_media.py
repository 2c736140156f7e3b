"""Ask a media container what it holds: ISO-BMFF, RIFF, Ogg, Matroska, and what an ID3 tag leads."""

import struct

_BRANDS = {
    "cr3": (b"crx ",),
    "avif": (b"avif", b"avis"),
    "heic": (
        *(b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs"),
        *(b"mif1", b"msf1", b"mif2"),
    ),
    "m4a": (b"M4A ", b"M4B ", b"M4P "),
    "mov": (b"qt  ",),
    "3gp": (b"3gp", b"3g2", b"3ge", b"3gg", b"kddi"),
}


# Handlers of what is looked at: pictures, subtitles, a slide show.
_SEEN = (b"vide", b"sbtl", b"pict")
_BOXES_MAX = 16


def sniff_bmff(head: bytes, _whole: memoryview) -> str:
    """By the brands of the file type box (ISO 14496-12, 4.3); QuickTime may have none."""
    if head[4:8] != b"ftyp":
        return "mov"
    size = min(struct.unpack_from(">I", head)[0], 512, len(head))
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, size - 3, 4))]
    for name in ("cr3", "avif", "heic"):
        # A still may lead with the general brand mif1 and name the codec among the others.
        if any(brand in _BRANDS[name] for brand in brands):
            return name
    for name in ("m4a", "mov", "3gp"):
        if brands[0].startswith(_BRANDS[name]):
            return name
    return "m4a" if _holds_sound_only(head) else "mp4"


def _holds_sound_only(head: bytes) -> bool:
    """Whether the movie box is here whole, and every handler in it is one of sound."""
    at = 0
    for _ in range(_BOXES_MAX):
        if at + 8 > len(head):
            return False
        size, kind = struct.unpack_from(">I4s", head, at)
        if kind == b"moov":
            box = head[at : at + size]
            return len(box) == size and b"soun" in box and not any(one in box for one in _SEEN)
        if size < 8:  # noqa: PLR2004  # a box's own head; 0 and 1 are sizes beyond ours
            return False
        at += size
    return False


def sniff_riff(head: bytes, _whole: memoryview) -> str | None:
    """By the form type."""
    kinds = {b"WAVE": "wav", b"AVI ": "avi", b"WEBP": "webp", b"ACON": "ani", b"RMID": "midi"}
    return kinds.get(head[8:12])


def sniff_ogg(head: bytes, _whole: memoryview) -> str:
    """By the first packet, which follows a page header of 27 bytes and its segment table."""
    begin = 27 + head[26] if len(head) > 26 else 0  # noqa: PLR2004  # RFC 3533, 6
    for packet, name in ((b"OpusHead", "opus"), (b"Speex   ", "spx"), (b"\x80theora", "ogv")):
        if head.startswith(packet, begin):
            return name
    return "ogg"


def sniff_ebml(head: bytes, _whole: memoryview) -> str:
    """By the document type, which stands in the first element."""
    return "webm" if b"webm" in head[:64] else "mkv"


_AFTER_A_TAG = (
    (b"fLaC", "flac"),
    (b"MP+", "musepack"),
    (b"MPCK", "musepack"),
    (b"TTA1", "tta"),
    (b"wvpk", "wavpack"),
    (b"MAC ", "ape"),
    (b"tBaK", "tak"),
    (b"DSD ", "dsf"),
)


def sniff_id3(head: bytes, _whole: memoryview) -> str | None:
    """By what follows the tag, where the head reaches so far (ID3v2.4, 3.1); mostly an MP3."""
    if len(head) < 10 or head[3] > 10 or max(head[6:10]) > 0x7F:  # noqa: PLR2004  # versions, synchsafe bytes
        return None
    first, second, third, fourth = head[6:10]
    begin = 10 + (first << 21 | second << 14 | third << 7 | fourth)
    begin += 10 if head[5] & 0x10 else 0
    for signature, name in _AFTER_A_TAG:
        if head.startswith(signature, begin):
            return name
    # Sync word and layer 0: AAC frames, where MPEG audio has another layer.
    is_aac = head[begin : begin + 1] == b"\xff" and head[begin + 1 : begin + 2] in {
        b"\xf1",
        b"\xf9",
    }
    return "aac" if is_aac else "mp3"
