"""Ask an OLE compound file what it holds, by the names directly below its root (MS-CFB).

Any stream name may also belong to an embedded object, so a Word document with a table from Excel in
it must be told from the table: the root's own children are walked where its directory can be read.
"""

import struct

_STREAMS = (
    ("EncryptedPackage", "ooxml-encrypted"),
    ("WordDocument", "doc"),
    ("Workbook", "xls"),
    ("Book", "xls"),
    ("WORKBOOK", "xls"),
    ("BOOK", "xls"),
    ("PowerPoint Document", "ppt"),
    ("PP40", "ppt"),
    ("VisioDocument", "vsd"),
    ("Quill", "pub"),
    ("__properties_version1.0", "msg"),
    ("HwpSummaryInformation", "hwp"),
    ("\x05HwpSummaryInformation", "hwp"),
)
# The first character of every name that Windows Installer packs.
_INSTALLER = "\u4840"

# The class of a FlashPix root, whose streams have no name of their own.
_FLASHPIX = bytes.fromhex("0067615654c1ce118553 00aa00a1f95b")

_HEADER = 512
_ENTRY = 128
_NOTHING = 0xFFFFFFFF
_CHAIN_END = 0xFFFFFFFA  # from here on, numbers are marks and no sectors
_DIRECTORY_SECTORS_MAX = 64
_NAMES_MAX = 512
_FAT_IN_HEADER = 109


def sniff_ole(head: bytes, whole: memoryview) -> str:
    """The format, `ole` for none that is known."""
    entries = _directory(head, whole)
    if entries[80:96] == _FLASHPIX:
        return "fpx"
    names = _root_names(entries)
    for stream, name in _STREAMS:
        if stream in names:
            return name
    if any(one.startswith(_INSTALLER) for one in names):
        return "msi"
    return "ole" if names else _by_search(head, bytes(whole[-len(head) :]))


def _by_search(head: bytes, tail: bytes) -> str:
    """Names are UTF-16 in fields of their own, so both ends can be searched for one."""
    for stream, name in _STREAMS:
        wanted = stream.encode("utf-16-le")
        if wanted in head or wanted in tail:
            return name
    return "ole"


def _root_names(entries: bytes) -> set[str]:
    """Names of the root's children: a binary tree of entries (MS-CFB 2.6.4)."""
    names: set[str] = set()
    if len(entries) < _ENTRY:
        return names
    waiting, seen = [struct.unpack_from("<I", entries, 76)[0]], {0}
    while waiting and len(names) < _NAMES_MAX:
        number = waiting.pop()
        at = number * _ENTRY
        if number in seen or at + _ENTRY > len(entries):
            continue
        seen.add(number)
        length = min(struct.unpack_from("<H", entries, at + 64)[0], 64)
        name = entries[at : at + max(length - 2, 0)].decode("utf-16-le", "ignore")
        names.add(name)
        waiting += struct.unpack_from("<II", entries, at + 68)
    return names


def _directory(head: bytes, whole: memoryview) -> bytes:
    """The directory's sectors, wherever they lie, as far as their chain can be followed."""
    if len(head) < _HEADER:
        return b""
    shift = struct.unpack_from("<H", head, 30)[0]
    sector = struct.unpack_from("<I", head, 48)[0]
    if shift not in {9, 12}:
        return b""
    found: list[bytes] = []
    while sector < _CHAIN_END and len(found) < _DIRECTORY_SECTORS_MAX:
        begin = (sector + 1) << shift
        piece = bytes(whole[begin : begin + (1 << shift)])
        if not piece:
            break
        found.append(piece)
        sector = _next_sector(head, whole, shift, sector)
    return b"".join(found)


def _next_sector(head: bytes, whole: memoryview, shift: int, sector: int) -> int:
    """From the allocation table, whose first 109 sectors the header lists (MS-CFB 2.3)."""
    per_sector = 1 << (shift - 2)
    table, slot = divmod(sector, per_sector)
    if table >= _FAT_IN_HEADER:
        return _NOTHING
    begin = (struct.unpack_from("<I", head, 76 + 4 * table)[0] + 1) << shift
    field = bytes(whole[begin + 4 * slot : begin + 4 * slot + 4])
    return struct.unpack("<I", field)[0] if len(field) == 4 else _NOTHING  # noqa: PLR2004  # one number
