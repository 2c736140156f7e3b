"""Ask a ZIP what it holds, by its `mimetype`, its content types, or the names of its members."""

import struct
import zlib

# A content-type list or mimetype longer than this is not one that an office program wrote.
_MEMBER_TEXT_MAX = 256 * 1024
_MEMBERS_MAX = 2_000
# Enough for a directory of hundreds of members; the records after it are short.
_TAIL_BYTES = 64 * 1024

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
_OOXML_FOLDERS = (
    (b"word/", "docx"),
    (b"xl/workbook.bin", "xlsb"),
    (b"xl/", "xlsx"),
    (b"ppt/", "pptx"),
    (b"visio/", "vsdx"),
    (b"3D/", "3mf"),
    (b"Documents/", "xps"),
)
_MIMETYPES = (
    (b"application/epub+zip", "epub"),
    (b"application/vnd.oasis.opendocument.text", "odt"),
    (b"application/vnd.oasis.opendocument.spreadsheet", "ods"),
    (b"application/vnd.oasis.opendocument.presentation", "odp"),
    (b"application/vnd.oasis.opendocument.graphics", "odg"),
    (b"application/vnd.oasis.opendocument.formula", "odf"),
    (b"application/vnd.oasis.opendocument.base", "odb"),
    (b"application/vnd.oasis.opendocument.database", "odb"),
    (b"application/vnd.sun.xml.writer", "sxw"),
    (b"image/openraster", "ora"),
    (b"application/x-krita", "kra"),
    (b"application/hwp+zip", "hwpx"),
)
# A member that only one format has; `*` stands for any end.
_MEMBERS = (
    (b"AndroidManifest.xml", "apk"),
    (b"META-INF/MANIFEST.MF", "jar"),
    (b"META-INF/container.xml", "epub"),
    (b"doc.kml", "kmz"),
    (b"3D/3dmodel.model", "3mf"),
    (b"Index/Presentation.iwa", "key"),
    (b"Index/CalculationEngine.iwa", "numbers"),
    (b"Index/Document.iwa", "pages"),
)


def sniff_zip(head: bytes, whole: memoryview) -> str:
    """The format, `zip` for an archive of anything."""
    names = _names_at_front(head) | _names_at_end(bytes(whole[-_TAIL_BYTES:]))
    mimetype = _member(head, b"mimetype") if b"mimetype" in names else None
    for text, name in _MIMETYPES:
        if mimetype is not None and mimetype.strip().startswith(text):
            return name
    if b"[Content_Types].xml" in names:
        return _ooxml(_member(head, b"[Content_Types].xml"), names)
    for member, name in _MEMBERS:
        if member in names:
            return name
    if names and all(one.endswith((b".npy", b"/")) for one in names):
        return "npz"
    return "zip"


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
    at = max(head.find(b"PK\x03\x04", 0, 8), 0)  # behind a mark of a split archive
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
