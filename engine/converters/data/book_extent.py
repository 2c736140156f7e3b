"""How far a workbook's cells reach, read before the codec that would allocate all in between.

calamine makes room for every cell from the first to the last one of a sheet: two cells at opposite
corners are half a terabyte, and the allocation's failure is an abort. So the positions are read
here first, from what is really in the file and not from the extent it claims, while the parts are
unpacked under a limit that the ZIP directory cannot talk its way around.
"""

import contextlib
import io
import re
import string
import struct
import zipfile
import zlib
from collections.abc import Iterator

import msgspec
import olefile

from engine.converters.data.tables import CELLS_MAX, Notes
from engine.errors import SourceTooComplex, SourceUnreadable
from sandbox.limits import MIB

# All parts of a workbook together; the codec has them in memory unpacked.
_UNPACKED_MAX = 512 * MIB
_PARTS_MAX = 10_000
_PIECE = 1 * MIB

# As nearly all writers put a cell: its place first and once, in capitals, without a prefix.
_OTHERS = rb'"(?: [a-qs-z][\w:]*="[^"<>]*")*+ ?/?>'
_PLAIN_CELL = re.compile(rb'<c r="([A-Z]{1,3}[0-9]{1,7})' + _OTHERS)
# A cell that says more than so many letters and digits, or something else. Where there is none, the
# sheet has at most 702 x 9,999 or 26 x 99,999 cells, and nobody has to know how many.
_LARGER = tuple(
    re.compile(rb'<c(?! r="[A-Z]{1,%d}[0-9]{1,%d}%s)' % (letters, digits, _OTHERS))
    for letters, digits in ((2, 4), (1, 5))
)
_CAPITALS, _DIGITS = string.ascii_uppercase.encode(), string.digits.encode()
# As XML allows it. What is in quotes may hold ">"; a tag within quotes is seen as one more tag.
_TAG = re.compile(
    rb"<(?:[^\s<>/:\"'=]*:)?(c|row)(?=[\s/>])(?=((?:[^\"'<>]++|\"[^\"]*+\"|'[^']*+')*+))"
)
_PLACE = re.compile(rb"(?:^|[\s\"'])r\s*=\s*[\"']\s*([A-Za-z]*)([0-9]+)")
# More letters, or digits, than any place has in a file that is a workbook.
_PLACE_LETTERS_MAX, _PLACE_DIGITS_MAX = 7, 10
_UNSEEN = re.compile(rb"<!--.*?-->|<!\[CDATA\[.*?\]\]>", re.DOTALL)
_UNSEEN_IN_QUOTES = re.compile(rb"=\s*(?:\"[^\"]*?<!|'[^']*?<!)")
_FORMULA = re.compile(rb"<(?:\w+:)?f[\s>/]")
_ERROR = re.compile(rb"\st\s*=\s*[\"']e[\"']")
_ODS_TAG = re.compile(rb"<(/?)table:(table|table-row|table-cell|covered-table-cell)((?:\s[^>]*)?)>")
_ODS_REPEATED = re.compile(rb"number-(?:rows|columns)-repeated\s*=\s*[\"'](\d{1,12})[\"']")

# BIFF8 and BIFF12 records that put a value into a cell ([MS-XLS] 2.3, [MS-XLSB] 2.3).
_BIFF_CELLS = frozenset({0x06, 0x203, 0x204, 0x205, 0x27E, 0xD6, 0xFD, 0xBD, 0x206, 0x406})
_BIFF_FORMULA = frozenset({0x06, 0x206, 0x406})
_BIFF_MULTIPLE = 0xBD
_BIFF_END = 0x0A
# Its identity as it stands in a file: what is in none of a part's bytes makes it no sheet.
_BRT_SHEET_DATA, _BRT_SHEET_DATA_BYTES = 0x91, b"\x91\x01"
_BRT_ROW = 0
_BRT_CELLS = frozenset(range(1, 12))
_BRT_FORMULA = frozenset(range(8, 12))
_BIFF_STREAMS = ("Workbook", "Book")


class _Extent(msgspec.Struct):
    """One past the last row and column that hold something."""

    rows: int = 0
    columns: int = 0

    def reach(self, row: int, column: int) -> None:
        """Include a cell, counted from 0."""
        self.rows = max(self.rows, row + 1)
        self.columns = max(self.columns, column + 1)

    def check(self) -> None:
        """Refuse what the codec would make room for. Raises SourceTooComplex."""
        if self.rows * self.columns > CELLS_MAX:
            raise SourceTooComplex(
                f"a sheet reaches over {self.rows} rows and {self.columns} columns; the limit is"
                f" {CELLS_MAX} cells, empty ones counted"
            )


def check_book(content: bytes, notes: Notes) -> None:
    """Refuse a workbook beyond the bounds, and say what will be lost of it.

    Raises SourceTooComplex, SourceUnreadable.
    """
    try:
        if content.startswith(b"PK"):
            _check_zip(content, notes)
        else:
            _check_ole(content, notes)
    except (
        zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError,
        struct.error, ValueError, LookupError, TypeError, AttributeError,
    ) as error:  # fmt: skip
        raise SourceUnreadable("the workbook cannot be read: it is damaged or cut off") from error


def _check_zip(content: bytes, notes: Notes) -> None:
    budget = _UNPACKED_MAX
    with zipfile.ZipFile(io.BytesIO(content)) as parts:
        if len(parts.filelist) > _PARTS_MAX:
            raise SourceTooComplex(f"the workbook has more than {_PARTS_MAX} parts, the limit")
        binary = any(part.filename.lower().endswith("workbook.bin") for part in parts.filelist)
        for part in parts.filelist:
            name = part.filename.lower()
            _note_part(name, notes)
            unpacked = _unpacked(parts, part, budget)
            budget -= len(unpacked)
            _check_part(name, unpacked, notes)
            # Of these as well the relationships say which are sheets, whatever their names.
            if binary and _BRT_SHEET_DATA_BYTES in unpacked:
                _check_xlsb(unpacked, notes)


def _unpacked(parts: zipfile.ZipFile, part: zipfile.ZipInfo, budget: int) -> bytes:
    pieces, size = [], 0
    with parts.open(part) as stream:
        while piece := stream.read(_PIECE):
            size += len(piece)
            if size > budget:
                raise SourceTooComplex(
                    f"the workbook unpacks to more than {_UNPACKED_MAX // MIB} MiB, the limit"
                )
            pieces.append(piece)
    return b"".join(pieces)


def _note_part(name: str, notes: Notes) -> None:
    if name.endswith("vbaproject.bin") or name.startswith("basic/"):
        notes.say("the macros of the workbook were not run and are not in the result")
    if "/charts/" in name or "/media/" in name or name.startswith("pictures/"):
        notes.say("charts and pictures of the workbook are not in the result")


def _check_part(name: str, content: bytes, notes: Notes) -> None:
    if name == "content.xml":
        _check_ods(content, notes)
        return
    # Whatever it is called: the relationships of an XLSX name its sheets as they like.
    if b"sheetData" in content:
        _check_xlsx(content, notes)


def _check_xlsx(sheet: bytes, notes: Notes) -> None:
    # Formats, comments and links stand before and after.
    body = sheet[sheet.find(b"sheetData") : sheet.rfind(b"sheetData")]
    plain = b":c" not in body
    if not plain or all(larger.search(body) for larger in _LARGER):
        # ClosedXML gives all names one prefix.
        extent = _plain_extent(body if plain else body.replace(b"<x:", b"<"))
        plain = plain and extent is not None
        (extent or _extent(body)).check()
    # A search for one word is a tenth of the expression's work, and most sheets have neither.
    if (not plain or b"<f" in body) and _FORMULA.search(body):
        _say_formulas(notes)
    if (not plain or b't="e"' in body) and _ERROR.search(body):
        notes.say("cells that show an error are empty in the result")


def _plain_extent(body: bytes) -> _Extent | None:
    """Of cells that all say plainly where they are, whatever rows say; None where one may not."""
    if b":c" in body:
        return None
    cells = _PLAIN_CELL.findall(body)
    if len(cells) != body.count(b"<c"):
        return None
    places = b" ".join(cells)
    letters = set(places.translate(None, _DIGITS).split())
    numbers = set(places.translate(None, _CAPITALS).split())
    return _Extent(max(map(int, numbers), default=0), max(map(_column, letters), default=0))


def _extent(body: bytes) -> _Extent:
    """Of any rows and cells, as the codec counts: without a place, one follows the one before."""
    if b"<!" in body:
        if _UNSEEN_IN_QUOTES.search(body):
            raise SourceUnreadable("the workbook cannot be read: a sheet of it is damaged")
        body = _UNSEEN.sub(b"", body)
    extent, row, column = _Extent(), -1, -1
    for tag in _TAG.finditer(body):
        kind, attributes = tag.groups()
        # One that says its place twice is at the farther one.
        places = _PLACE.findall(attributes)
        number = max((int(digits[:_PLACE_DIGITS_MAX]) - 1 for _, digits in places), default=-1)
        letters = max((_column(word[:_PLACE_LETTERS_MAX].upper()) for word, _ in places), default=0)
        if kind == b"row":
            row, column = number if places else row + 1, -1
            extent.reach(row, 0)
        else:
            column = letters - 1 if places else column + 1
            extent.reach(number if places else row, column)
    return extent


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number


def _say_formulas(notes: Notes) -> None:
    notes.say("formulas are not in the result: their values are, as the workbook stored them")


def _check_xlsb(part: bytes, notes: Notes) -> None:
    """The cells behind the record that begins them, up to where the part is no sheet any more."""
    extent, row, begun = _Extent(), 0, False
    with contextlib.suppress(IndexError):
        for kind, start, size in _brt_records(part):
            if kind == _BRT_SHEET_DATA:
                begun = True
            elif not begun or size < 4:  # noqa: PLR2004  # a u32
                continue
            elif kind == _BRT_ROW:
                row = int.from_bytes(part[start : start + 4], "little")
            elif kind in _BRT_CELLS:
                extent.reach(row, int.from_bytes(part[start : start + 4], "little"))
                if kind in _BRT_FORMULA:
                    _say_formulas(notes)
    extent.check()


def _brt_records(sheet: bytes) -> Iterator[tuple[int, int, int]]:
    """(kind, offset, size) of each record: two variable-length numbers, then the record."""
    at, end = 0, len(sheet)
    while at < end:
        kind = sheet[at]
        at += 1
        if kind & 0x80:
            kind = kind & 0x7F | sheet[at] << 7
            at += 1
        size = shift = 0
        for _ in range(4):
            byte = sheet[at]
            at += 1
            size |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                break
        yield kind, at, size
        at += size


def _check_ods(content: bytes, notes: Notes) -> None:
    extent = _Extent()
    row = width = times = 0
    filled = False
    for tag in _ODS_TAG.finditer(content):
        closing, kind, attributes = tag.groups()
        found = _ODS_REPEATED.search(attributes)
        repeated = int(found[1]) if found else 1
        if kind == b"table" and not closing:
            extent.check()
            extent, row = _Extent(), 0
        elif kind == b"table-row" and not closing:
            width, times, filled = 0, repeated, False
        elif kind == b"table-row":
            row += times
        elif not closing:
            width += repeated
            # An empty cell has no attribute that begins with value, and closes itself.
            filled = b"value-type" in attributes or not attributes.endswith(b"/")
            if filled:
                extent.reach(row + times - 1, width - 1)
            if b"table:formula" in attributes:
                _say_formulas(notes)
    extent.check()


def _check_ole(content: bytes, notes: Notes) -> None:
    with olefile.OleFileIO(io.BytesIO(content)) as book:
        name = next((one for one in _BIFF_STREAMS if book.exists(one)), None)
        if name is None:
            raise SourceUnreadable("the file holds no workbook")
        if book.exists("_VBA_PROJECT_CUR"):
            notes.say("the macros of the workbook were not run and are not in the result")
        stream = book.openstream(name).read()
    _check_biff(stream, notes)


def _check_biff(stream: bytes, notes: Notes) -> None:
    extent, at = _Extent(), 0
    while at + 4 <= len(stream):
        kind, size = struct.unpack_from("<HH", stream, at)
        at += 4
        if kind == _BIFF_END:
            extent.check()
            extent = _Extent()
        elif kind in _BIFF_CELLS and size >= 6:  # noqa: PLR2004  # row, column and format
            row, column = struct.unpack_from("<HH", stream, at)
            if kind == _BIFF_MULTIPLE and at + size <= len(stream):
                column = struct.unpack_from("<H", stream, at + size - 2)[0]
            extent.reach(row, column)
            if kind in _BIFF_FORMULA:
                _say_formulas(notes)
        at += size
    extent.check()
