"""XLS out: a workbook as Excel 97 keeps it (BIFF8, [MS-XLS]), for programs that know no other.

A stream of records, each a number, a size and at most 8,224 bytes; the sheets come after the
records of the whole book, and texts stand once each in a table that all sheets share. What becomes
a number, a date or a text is decided where XLSX is written.
"""

import struct
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta

from engine.converter import Work
from engine.converters.data.compound import compound
from engine.converters.data.tables import Notes, Table
from engine.converters.data.xlsx import FORMATS, Cells, Room, fill, sheet_names
from engine.errors import TargetTooLarge
from engine.job import Buffer

_ROOM = Room(title="XLS", rows=65_536, columns=256, larger="xlsx, ")
_RECORD_MAX = 8224
_TEXT_MAX = 32_767
_BOF, _EOF, _CONTINUE = 0x0809, 0x000A, 0x003C
_CODE_PAGE, _WINDOW, _FONT, _FORMAT, _XF, _STYLE = 0x42, 0x3D, 0x31, 0x041E, 0xE0, 0x0293
_SHEET, _TEXTS = 0x85, 0xFC
_WIDTH, _COLUMN, _DIMENSIONS, _VIEW, _PANE = 0x55, 0x7D, 0x0200, 0x023E, 0x41
_NUMBER, _TEXT, _TRUTH = struct.Struct("<5Hd"), struct.Struct("<5HI"), struct.Struct("<5H2B")
_BOOK, _WORKSHEET = 0x05, 0x10
# Formats of cells: those that every book begins with, then ours.
_STYLES, _PLAIN, _HEADING, _FIRST_OF_KIND = 15, 15, 16, 17
_FIRST_FORMAT = 164
_LIGHT, _BOLD = 400, 700
# Of the window: grid, headings, noughts and outlines shown; this sheet chosen; its first row fixed.
_VIEWED, _SEEN, _FROZEN = 0x00B6, 0x0600, 0x0108
# Days are counted from here, as Excel's leap year 1900 makes it for all days that are written.
_EPOCH = datetime(1899, 12, 30)  # noqa: DTZ001  # a spreadsheet knows no zones
_DAY = timedelta(days=1)
_CHARACTER = 256


def write(tables: Sequence[Table], work: Work, notes: Notes) -> Buffer:
    """A workbook, one sheet a table. Raises TargetImpossible, TargetTooLarge."""
    texts = _Texts()
    kinds = {kind: number for number, kind in enumerate(FORMATS, _FIRST_OF_KIND)}
    names = sheet_names([table.name for table in tables])
    budget = _ROOM.cells
    sheets: list[bytes] = []
    for table in tables:
        sheet = _Sheet(texts)
        cells = Cells(sheet, kinds, notes)
        budget = fill(cells, table, _HEADING, budget, titles=work.options.titles, room=_ROOM)
        sheets.append(sheet.records(seen=not sheets))
    written = compound("Workbook", _book(names, sheets, texts))
    if len(written) > work.bounds.output_bytes_max:
        raise TargetTooLarge("the result is larger than the limit")
    return written


class _Texts:
    """Every text once, with how often it is shown in all."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}
        self._shown = 0

    def place(self, text: str) -> int:
        """Where it stands in the table."""
        self._shown += 1
        return self._places.setdefault(text, len(self._places))

    def records(self) -> bytes:
        """The table, continued over as many records as it takes ([MS-XLS] 2.4.265, 2.5.293)."""
        records, piece = bytearray(), bytearray(struct.pack("<2I", self._shown, len(self._places)))
        kind = _TEXTS
        for text in self._places:
            wide, characters = _written(text)
            size = 1 + wide
            head = struct.pack("<HB", len(characters) // size, wide)
            at = 0
            while head or at < len(characters):
                # A text's head stays whole, and with it its first character.
                if len(piece) + len(head) + size > _RECORD_MAX:
                    records += _record(kind, piece)
                    kind, piece = _CONTINUE, bytearray()
                    head = head or bytes([wide])
                piece += head
                head = b""
                taken = (_RECORD_MAX - len(piece)) // size * size
                piece += characters[at : at + taken]
                at += taken
        return bytes(records + _record(kind, piece))


class _Sheet:
    """The cells of one sheet, taken as xlsxwriter takes them."""

    def __init__(self, texts: _Texts) -> None:
        self._texts = texts
        self._cells = bytearray()
        self._widths: list[tuple[int, int]] = []
        self._rows = self._columns = 0
        self._frozen = False

    def write_string(self, row: int, column: int, text: str, form: int = _PLAIN) -> None:
        """A text, which no program takes for a formula."""
        self._reach(row, column)
        self._cells += _TEXT.pack(0xFD, 10, row, column, form, self._texts.place(text))

    def write_number(self, row: int, column: int, number: float, form: int = _PLAIN) -> None:
        """A number, or a date as one."""
        self._reach(row, column)
        self._cells += _NUMBER.pack(0x0203, 14, row, column, form, number)

    def write_boolean(self, row: int, column: int, truth: bool) -> None:
        """TRUE or FALSE."""
        self._reach(row, column)
        self._cells += _TRUTH.pack(0x0205, 8, row, column, _PLAIN, truth, 0)

    def write_datetime(
        self, row: int, column: int, value: date | time | timedelta, form: int
    ) -> None:
        """A day, a time or a span, in days."""
        self.write_number(row, column, _days(value), form)

    def freeze_panes(self, _rows: int, _columns: int) -> None:
        """Keep the first row in sight."""
        self._frozen = True

    def set_column(self, first: int, _last: int, width: int) -> None:
        """So many characters wide."""
        self._widths.append((first, width * _CHARACTER))

    def _reach(self, row: int, column: int) -> None:
        self._rows = max(self._rows, row + 1)
        self._columns = max(self._columns, column + 1)

    def records(self, *, seen: bool) -> bytes:
        """The sheet as a stream of its own; one of a book is seen when that is opened."""
        view = _VIEWED | (_SEEN if seen else 0) | (_FROZEN if self._frozen else 0)
        pane = _record(_PANE, struct.pack("<5H", 0, 1, 1, 0, 2)) if self._frozen else b""
        widths = (
            _record(_COLUMN, struct.pack("<6H", column, column, width, _PLAIN, 0, 0))
            for column, width in self._widths
        )
        return b"".join(
            (
                _begin(_WORKSHEET),
                _record(_WIDTH, struct.pack("<H", 8)),
                *widths,
                _record(_DIMENSIONS, struct.pack("<2I3H", 0, self._rows, 0, self._columns, 0)),
                self._cells,
                _record(_VIEW, struct.pack("<3HI2HI", view, 0, 0, 0x40, 0, 0, 0)),
                pane,
                _record(_EOF),
            )
        )


def _days(value: date | time | timedelta) -> float:
    if isinstance(value, time):
        value = datetime.combine(_EPOCH, value)
    elif isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time())
    return (value - _EPOCH if isinstance(value, datetime) else value) / _DAY


def _book(names: list[str], sheets: list[bytes], texts: _Texts) -> bytes:
    """All records: those of the whole book say where each sheet begins."""
    front = b"".join(
        (
            _begin(_BOOK),
            _record(_CODE_PAGE, struct.pack("<H", 1200)),
            _record(_WINDOW, struct.pack("<9H", 0, 0, 16_000, 9000, 0x38, 0, 0, 1, 600)),
            # The fifth is the first that anybody can name beyond these.
            4 * _font(_LIGHT),
            _font(_BOLD),
            *(_format(number, code) for number, code in enumerate(FORMATS.values(), _FIRST_FORMAT)),
            _STYLES * _form(style=True),
            _form(),
            _form(font=5),
            *(_form(number=_FIRST_FORMAT + number) for number in range(len(FORMATS))),
            _record(_STYLE, struct.pack("<HBB", 0x8000, 0, 0xFF)),
        )
    )
    back = texts.records() + _record(_EOF)
    heads = [_short(name) for name in names]
    at = len(front) + sum(4 + 6 + len(head) for head in heads) + len(back)
    listed = bytearray()
    for head, sheet in zip(heads, sheets, strict=True):
        listed += _record(_SHEET, struct.pack("<IH", at, 0) + head)
        at += len(sheet)
    return b"".join((front, listed, back, *sheets))


def _begin(kind: int) -> bytes:
    return _record(_BOF, struct.pack("<4H2I", 0x0600, kind, 0x0DBB, 0x07CC, 0, 6))


def _font(weight: int) -> bytes:
    shape = struct.pack("<5H4B", 200, 0, 0x7FFF, weight, 0, 0, 0, 0, 0)
    return _record(_FONT, shape + _short("Arial"))


def _format(number: int, code: str) -> bytes:
    written = code.encode("latin-1")
    return _record(_FORMAT, struct.pack("<2HB", number, len(written), 0) + written)


def _form(*, font: int = 0, number: int = 0, style: bool = False) -> bytes:
    """How a cell looks: its font, how numbers read, and nothing else."""
    kind, used = (0xFFF5, 0xF4) if style else (1, 0x0C)
    shape = struct.pack("<3H4B2IH", font, number, kind, 0x20, 0, 0, used, 0, 0, 0x20C0)
    return _record(_XF, shape)


def _short(text: str) -> bytes:
    """A name with its length in one byte."""
    wide, characters = _written(text)
    return bytes([len(characters) // (1 + wide), wide]) + characters


def _written(text: str) -> tuple[int, bytes]:
    """Whether it takes two bytes a character, and the characters, as many as a cell holds."""
    try:
        return 0, text[:_TEXT_MAX].encode("latin-1")
    except UnicodeEncodeError:
        return 1, text.encode("utf-16-le", "replace")[: 2 * _TEXT_MAX]


def _record(kind: int, content: bytes | bytearray = b"") -> bytes:
    return struct.pack("<2H", kind, len(content)) + content
