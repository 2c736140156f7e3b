"""XLSX out, by xlsxwriter in memory: typed cells, and text that stays text.

What a spreadsheet cannot hold as a value is written as text and said: whole numbers beyond 15
digits, days before March 1900, times with a zone.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

import xlsxwriter

from engine.converter import Work
from engine.converters.capped import CappedBuffer
from engine.converters.data.tables import Notes, Row, Table, Value
from engine.converters.data.words import is_finite, word_of
from engine.errors import TargetImpossible, TargetTooLarge
from engine.job import Buffer

_TEXT_MAX = 32_767
_EXACT = 10**15
# Excel counts days from here and takes 1900 for a leap year.
_FIRST_DAY = date(1900, 3, 1)
_NAME_MAX = 31
_WIDTH_ROWS, _WIDTH_MIN, _WIDTH_MAX = 100, 8, 60
FORMATS = {
    datetime: "yyyy-mm-dd hh:mm:ss",
    date: "yyyy-mm-dd",
    time: "hh:mm:ss",
    timedelta: "[h]:mm:ss",
}
_BOOK = {
    "in_memory": True,
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
    "nan_inf_to_errors": False,
    "default_date_format": FORMATS[datetime],
}


class Room(NamedTuple):
    """What a format of workbooks holds."""

    title: str
    # One sheet.
    rows: int
    columns: int
    # All sheets. xlsxwriter takes 8 to 17 microseconds and 350 bytes a cell: half of a worker's
    # CPU seconds.
    cells: int = 2_000_000
    # Which other workbook holds more, as it is told.
    larger: str = ""


_ROOM = Room(title="XLSX", rows=1_048_576, columns=16_384)


def write(tables: Sequence[Table], work: Work, notes: Notes) -> Buffer:
    """A workbook, one sheet a table. Raises TargetImpossible, TargetTooLarge."""
    buffer = CappedBuffer(work.bounds.output_bytes_max)
    book = xlsxwriter.Workbook(buffer, _BOOK)
    # Else the time of the conversion would make equal tables different files.
    book.set_properties({"created": datetime(2000, 1, 1, tzinfo=UTC)})
    formats = {kind: book.add_format({"num_format": code}) for kind, code in FORMATS.items()}
    heading = book.add_format({"bold": True})
    names = sheet_names([table.name for table in tables])
    budget = _ROOM.cells
    for name, table in zip(names, tables, strict=True):
        sheet = book.add_worksheet(name)
        cells = Cells(sheet, formats, notes)
        budget = fill(cells, table, heading, budget, titles=work.options.titles)
    book.close()
    return buffer.take()


def sheet_names(wanted: Iterable[str]) -> list[str]:
    """Names as spreadsheets accept them, no two alike."""
    taken: set[str] = set()
    names = []
    for name in wanted:
        plain = re.sub(r"[\[\]:*?/\\\x00-\x1f]", "_", name).strip().strip("'")[:_NAME_MAX]
        plain = found = plain if plain and plain.lower() != "history" else "Sheet"
        number = 1
        while found.lower() in taken:
            number += 1
            found = f"{plain[: _NAME_MAX - len(str(number)) - 1]}_{number}"
        taken.add(found.lower())
        names.append(found)
    return names


def check_size(table: Table, row: int, room: Room = _ROOM) -> None:
    """Refuse what the format does not hold. Raises TargetImpossible."""
    if row >= room.rows or len(table.columns) > room.columns:
        raise TargetImpossible(
            f"a sheet holds at most {room.rows} rows and {room.columns} columns; limit the rows, or"
            f" take a format without that limit, such as {room.larger}csv or parquet"
        )


def fill(
    cells: "Cells", table: Table, heading: Any, budget: int, *, titles: bool, room: Room = _ROOM
) -> int:
    """Write one table, and give what is left of the budget of cells.

    Raises TargetImpossible, TargetTooLarge.
    """
    check_size(table, 0, room)
    first = 0
    widths = [0] * len(table.columns)
    if titles and table.columns:
        for column, name in enumerate(table.columns):
            cells.sheet.write_string(0, column, name[:_TEXT_MAX], heading)
            widths[column] = len(name)
        cells.sheet.freeze_panes(1, 0)
        first = 1
    for number, row in enumerate(table.rows(), start=first):
        check_size(table, number, room)
        budget -= len(row)
        if budget < 0:
            raise TargetTooLarge(
                f"the workbook would have more than {room.cells} cells, the limit for {room.title};"
                " limit the rows or take csv or parquet"
            )
        cells.put(number, row)
        if number < _WIDTH_ROWS:
            _widen(widths, row)
    for column, width in enumerate(widths):
        cells.sheet.set_column(column, column, min(max(width + 1, _WIDTH_MIN), _WIDTH_MAX))
    return budget


def _widen(widths: list[int], row: Row) -> None:
    for column, value in enumerate(row):
        widths[column] = max(widths[column], min(len(word_of(value)), _WIDTH_MAX))


class Cells:
    """Puts values into one sheet of any workbook, each as what it is."""

    def __init__(self, sheet: Any, formats: dict[type, Any], notes: Notes) -> None:
        self.sheet = sheet
        self._formats = formats
        self._notes = notes
        self._writers: dict[type, Callable[[int, int, Value], None]] = {
            str: self._text,
            int: self._whole,
            float: self._number,
            Decimal: self._decimal,
            bool: self._truth,
            date: self._day,
            datetime: self._day,
            time: self._time,
            timedelta: self._formatted,
        }

    def put(self, number: int, row: Row) -> None:
        """Write one row."""
        writers = self._writers
        for column, value in enumerate(row):
            if value is not None:
                writers.get(type(value), self._other)(number, column, value)

    def _text(self, row: int, column: int, value: str) -> None:
        if len(value) > _TEXT_MAX:
            self._notes.count(f"texts cut at {_TEXT_MAX} characters, all that a cell holds: {{}}")
            value = value[:_TEXT_MAX]
        self.sheet.write_string(row, column, value)

    def _whole(self, row: int, column: int, value: int) -> None:
        if abs(value) > _EXACT:
            self._as_text(row, column, str(value))
        else:
            self.sheet.write_number(row, column, value)

    def _number(self, row: int, column: int, value: float) -> None:
        if not is_finite(value):
            self._notes.count("cells left empty, since a spreadsheet has no infinite numbers: {}")
        else:
            self.sheet.write_number(row, column, value)

    def _decimal(self, row: int, column: int, value: Decimal) -> None:
        near = float(value)
        if Decimal(repr(near)) == value:
            self._number(row, column, near)
        else:
            self._as_text(row, column, format(value, "f"))

    def _truth(self, row: int, column: int, value: bool) -> None:  # a cell's value
        self.sheet.write_boolean(row, column, value)

    def _day(self, row: int, column: int, value: date) -> None:
        if isinstance(value, datetime) and value.tzinfo is not None:
            self._notes.say("times with a zone were written in UTC: a spreadsheet knows no zones")
            value = value.astimezone(UTC).replace(tzinfo=None)
        if (value.date() if isinstance(value, datetime) else value) < _FIRST_DAY:
            self._notes.count("days before March 1900, written as text: {}")
            self._text(row, column, word_of(value))
        else:
            self._formatted(row, column, value)

    def _time(self, row: int, column: int, value: time) -> None:
        self._formatted(row, column, value.replace(tzinfo=None))

    def _formatted(self, row: int, column: int, value: Value) -> None:
        self.sheet.write_datetime(row, column, value, self._formats[type(value)])

    def _as_text(self, row: int, column: int, word: str) -> None:
        self._notes.count(
            "numbers written as text, since a spreadsheet keeps only 15 digits of one: {}"
        )
        self.sheet.write_string(row, column, word)

    def _other(self, row: int, column: int, value: Value) -> None:
        self._text(row, column, word_of(value))
