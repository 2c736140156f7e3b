"""Ask a container what it holds: ZIP, OLE compound file, ISO-BMFF, RIFF, Ogg, Matroska, TIFF.

Each function gets the head and the tail of the file, which it knows to begin with the container's
signature, and returns a format's name or None. Every offset read from the file is checked before
use; nothing is followed for more than a bounded number of steps.
"""

import struct
import zlib

# A content-type list or mimetype longer than this is not one that an office program wrote.
_MEMBER_TEXT_MAX = 256 * 1024
_MEMBERS_MAX = 2_000
_ENTRIES_MAX = 512

_OOXML_PARTS = (
    (b"wordprocessingml", "docx"),
    (b"ms-word", "docx"),
    (b"sheet.binary", "xlsb"),
    (b"spreadsheetml", "xlsx"),
    (b"ms-excel", "xlsx"),
    (b"presentationml", "pptx"),
    (b"ms-powerpoint", "pptx"),
    (b"ms-visio", "vsdx"),
)
_OOXML_FOLDERS = ((b"word/", "docx"), (b"xl/", "xlsx"), (b"ppt/", "pptx"), (b"visio/", "vsdx"))
_MIMETYPES = (
    (b"application/epub+zip", "epub"),
    (b"application/vnd.oasis.opendocument.text", "odt"),
    (b"application/vnd.oasis.opendocument.spreadsheet", "ods"),
    (b"application/vnd.oasis.opendocument.presentation", "odp"),
    (b"application/vnd.oasis.opendocument.graphics", "odg"),
)


def sniff_zip(head: bytes, tail: bytes) -> str:
    """By the stored `mimetype`, the content types, or the names of the members."""
    names = _names_at_front(head) | _names_at_end(tail)
    mimetype = _member(head, b"mimetype")
    for text, name in _MIMETYPES:
        if mimetype is not None and mimetype.strip().startswith(text):
            return name
    if b"[Content_Types].xml" in names:
        return _ooxml(_member(head, b"[Content_Types].xml"), names)
    if b"AndroidManifest.xml" in names:
        return "apk"
    return "jar" if b"META-INF/MANIFEST.MF" in names else "zip"


def _ooxml(types: bytes | None, names: set[bytes]) -> str:
    """The main part's type decides; where its list is out of reach, the folder does."""
    main = (types or b"").split(b".main+xml", 1)
    declared = main[0].rsplit(b'ContentType="', 1)[-1] if len(main) > 1 else types or b""
    for text, name in _OOXML_PARTS:
        if text in declared:
            return name
    for folder, name in _OOXML_FOLDERS:
        if any(member.startswith(folder) for member in names):
            return name
    return "zip"


def _names_at_front(head: bytes) -> set[bytes]:
    """Names in the local headers that lie in the head, one after the other (APPNOTE 4.3.7)."""
    names: set[bytes] = set()
    at = 0
    while len(names) < _MEMBERS_MAX and head.startswith(b"PK\x03\x04", at) and len(head) >= at + 30:
        size, name_length, extra = struct.unpack_from("<I4xHH", head, at + 18)
        names.add(head[at + 30 : at + 30 + name_length])
        at += 30 + name_length + extra + size
        if not size:  # the size follows the contents: look for the next header
            at = head.find(b"PK\x03\x04", at)
            if at < 0:
                break
    return names


def _names_at_end(tail: bytes) -> set[bytes]:
    """Names in the part of the central directory that lies in the tail (APPNOTE 4.3.12)."""
    names: set[bytes] = set()
    at = tail.find(b"PK\x01\x02")
    while 0 <= at <= len(tail) - 46 and len(names) < _MEMBERS_MAX:
        name_length, extra, comment = struct.unpack_from("<HHH", tail, at + 28)
        names.add(tail[at + 46 : at + 46 + name_length])
        at = tail.find(b"PK\x01\x02", at + 46 + name_length + extra + comment)
    return names


def _member(head: bytes, wanted: bytes) -> bytes | None:
    """Contents of a small member whose local header lies in the head, or as much as does."""
    at = head.find(wanted)
    if at < 30 or head[at - 30 : at - 26] != b"PK\x03\x04":  # noqa: PLR2004  # size of a local header
        return None
    method, size = struct.unpack_from("<H8xI", head, at - 22)
    extra = struct.unpack_from("<H", head, at - 2)[0]
    begin = at + len(wanted) + extra
    packed = head[begin : begin + size] if size else head[begin:]
    if method == 0:
        return packed[:_MEMBER_TEXT_MAX]
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, _MEMBER_TEXT_MAX)
    except zlib.error:
        return None


_OLE_STREAMS = (
    ("EncryptedPackage", "ooxml-encrypted"),
    ("WordDocument", "doc"),
    ("Workbook", "xls"),
    ("Book", "xls"),
    ("PowerPoint Document", "ppt"),
    ("VisioDocument", "vsd"),
    ("Quill", "pub"),
    ("__properties_version1.0", "msg"),
    ("\u4840", "msi"),  # the first character of every name that Windows Installer packs
)


def sniff_ole(head: bytes, tail: bytes) -> str:
    """By the names in the directory, which may lie anywhere: both ends are searched for them.

    Names are UTF-16 in 64-byte fields (MS-CFB 2.6.1), so a search for the aligned name is exact.
    """
    named = _directory(head) or head + tail
    for stream, name in _OLE_STREAMS:
        if stream.encode("utf-16-le") in named:
            return name
    return "ole"


def _directory(head: bytes) -> bytes:
    """The first sector of the directory where the head holds it (MS-CFB 2.2)."""
    if len(head) < 512:  # noqa: PLR2004  # size of the header
        return b""
    shift = struct.unpack_from("<H", head, 30)[0]
    sector = struct.unpack_from("<I", head, 48)[0]
    if shift not in {9, 12} or sector > len(head) >> shift:
        return b""
    begin = (sector + 1) << shift
    directory = head[begin : begin + (1 << shift)]
    # A directory of more than one sector may name the telling stream in the next: ask both ends.
    return directory if any(n.encode("utf-16-le") in directory for n, _ in _OLE_STREAMS) else b""


_BRANDS = {
    "avif": (b"avif", b"avis"),
    "heic": (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"),
    "m4a": (b"M4A ", b"M4B "),
    "mov": (b"qt  ",),
    "3gp": (b"3gp", b"3g2"),
}


def sniff_bmff(head: bytes, _tail: bytes) -> str:
    """By the brands of the file type box (ISO 14496-12, 4.3); QuickTime may have none."""
    if head[4:8] != b"ftyp":
        return "mov"
    size = min(struct.unpack_from(">I", head)[0], 512, len(head))
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, size - 3, 4))]
    for name in ("avif", "heic"):
        # A still may lead with the general brand mif1 and name the codec among the others.
        if any(brand in _BRANDS[name] for brand in brands):
            return name
    for name in ("m4a", "mov", "3gp"):
        if brands[0].startswith(_BRANDS[name]):
            return name
    return "mp4"


def sniff_riff(head: bytes, _tail: bytes) -> str | None:
    """By the form type."""
    return {b"WAVE": "wav", b"AVI ": "avi", b"WEBP": "webp"}.get(head[8:12])


def sniff_ogg(head: bytes, _tail: bytes) -> str:
    """By the first packet."""
    return "opus" if head.startswith(b"OpusHead", 28) else "ogg"


def sniff_ebml(head: bytes, _tail: bytes) -> str:
    """By the document type, which stands in the first element."""
    return "webm" if b"webm" in head[:64] else "mkv"


_DNG_VERSION = 0xC612


def sniff_tiff(head: bytes, _tail: bytes) -> str:
    """Camera raw files are TIFFs: told by a marker, or by a tag of the first directory."""
    if head.startswith(b"CR\x02", 8):
        return "cr2"
    order = "<" if head[:1] == b"I" else ">"
    if len(head) < 8 or head[2:4] not in {b"*\x00", b"\x00*"}:  # noqa: PLR2004  # classic TIFF only
        return "tiff"
    at = struct.unpack_from(order + "I", head, 4)[0]
    if at + 2 > len(head):
        return "tiff"
    count = min(struct.unpack_from(order + "H", head, at)[0], _ENTRIES_MAX)
    entries = range(at + 2, min(at + 2 + 12 * count, len(head) - 1), 12)
    tags = {struct.unpack_from(order + "H", head, entry)[0] for entry in entries}
    return "dng" if _DNG_VERSION in tags else "tiff"
