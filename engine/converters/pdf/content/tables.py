"""pdf.tables: the tables of a document as CSV, a workbook or JSON (by pdfplumber).

Lines decide where there are any; elsewhere `columns` looks for words that stand in columns.
"""

import csv
import io
import re
from typing import Any

import msgspec
import xlsxwriter

from engine.converter import Result, Work
from engine.converters.capped import CappedBuffer
from engine.converters.pdf.content import columns
from engine.converters.pdf.content.columns import Box, Piece, Table
from engine.converters.pdf.content.excerpt import take
from engine.converters.pdf.content.options import TablesOptions
from engine.converters.pdf.content.plumber import plumber, plumbing
from engine.errors import SourceTooComplex, TargetImpossible
from engine.job import Buffer
from engine.progress import each

# More than anybody looks through; each is a file or a sheet.
_TABLES_MAX = 1_000
# A box around one paragraph is not a table.
_CELLS_MIN = 2
_DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t"}
# What a spreadsheet would take for a formula when it opens a CSV file (OWASP, CSV injection).
_FORMULA = re.compile(r"^[=+\-@\t\r]")
_GROUPED = {
    "point": re.compile(r"^[+-]?(\d{1,3}(,\d{3})+|0|[1-9]\d{0,14})(\.\d+)?$"),
    "comma": re.compile(r"^[+-]?(\d{1,3}(\.\d{3})+|0|[1-9]\d{0,14})(,\d+)?$"),
}

_Placed = tuple[int, Table]  # with its page, from 1


def tables(work: Work) -> Result:
    """Find the tables on the chosen pages. Raises TargetImpossible where there is none."""
    options: TablesOptions = work.options
    excerpt = take(work, options)
    found: list[_Placed] = []
    letters = 0
    with plumbing(), plumber.open(excerpt.stream()) as document:
        for place, page in each(list(zip(excerpt.pages, document.pages, strict=True))):
            found += [(place + 1, table) for table in _on_page(page, options)]
            letters += len(page.chars)
            page.close()  # forgets what it cached
    if not found:
        raise TargetImpossible(_absent(letters, options))
    if len(found) > _TABLES_MAX:
        raise SourceTooComplex(
            f"there are {len(found)} tables; the limit is {_TABLES_MAX}: choose fewer pages with"
            " the option pages"
        )
    room = work.bounds.output_bytes_max
    if work.target == "csv":
        return Result(files=tuple(_as_csv(table, options, room) for _, table in found))
    write = _as_workbook if work.target == "xlsx" else _as_json
    return Result(files=(write(found, options, room),))


def _absent(letters: int, options: TablesOptions) -> str:
    if not letters:
        return (
            "the pages hold no text: they look like scans, which text recognition"
            " (pdf to pdf, operation=searchable) makes legible first"
        )
    if options.borders == "ruled":
        return "no table with lines was found on these pages; borders=auto looks for others too"
    return "no table was found on these pages"


def _on_page(page: Any, options: TablesOptions) -> list[Table]:
    """Tables from the top of the page down."""
    left, top = page.bbox[:2]
    ruled: list[Table] = []
    if options.borders != "borderless":
        ruled = [Table(one.bbox, _rows(one.extract())) for one in page.find_tables()]
        ruled = [
            one for one in ruled if sum(bool(c) for row in one.rows for c in row) >= _CELLS_MIN
        ]
    others: list[Table] = []
    if options.borders != "ruled":
        words = (
            Piece(word["text"], (word["x0"], word["top"], word["x1"], word["bottom"]))
            for word in page.extract_words()
        )
        others = columns.find(word for word in words if not _inside(word.box, ruled))
    placed = sorted([*ruled, *others], key=lambda one: (one.box[1], one.box[0]))
    return [Table(_moved(one.box, -left, -top), one.rows) for one in placed]


def _rows(extracted: list[list[str | None]]) -> list[list[str]]:
    """Cells as text; None is one that a wider or higher neighbour covers."""
    return [[" ".join((cell or "").split()) for cell in row] for row in extracted]


def _inside(box: Box, others: list[Table]) -> bool:
    across, down = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return any(
        other.box[0] <= across <= other.box[2] and other.box[1] <= down <= other.box[3]
        for other in others
    )


def _moved(box: Box, across: float, down: float) -> Box:
    return box[0] + across, box[1] + down, box[2] + across, box[3] + down


def _as_csv(table: Table, options: TablesOptions, room: int) -> Buffer:
    """RFC 4180, UTF-8. A cell that would be run as a formula gets an apostrophe before it."""
    buffer = CappedBuffer(room)
    text = io.TextIOWrapper(buffer, "utf-8", newline="", write_through=True)
    writer = csv.writer(text, delimiter=_DELIMITERS[options.delimiter])
    for row in table.rows:
        writer.writerow([_defused(cell, options) for cell in row])
    text.detach()
    return buffer.take()


def _defused(cell: str, options: TablesOptions) -> str:
    if not _FORMULA.match(cell) or _number(cell, options) is not None:
        return cell
    return f"'{cell}"


def _number(cell: str, options: TablesOptions) -> float | None:
    """The value of a cell that is written as a number and nothing else."""
    if not _GROUPED[options.decimal].match(cell):
        return None
    group, point = (",", ".") if options.decimal == "point" else (".", ",")
    return float(cell.replace(group, "").replace(point, "."))


def _as_workbook(found: list[_Placed], options: TablesOptions, room: int) -> Buffer:
    """A sheet a table, or all on one, an empty row between."""
    buffer = CappedBuffer(room)
    how = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    with xlsxwriter.Workbook(buffer, how) as workbook:
        sheet, begin = None, 0
        for number, (page, table) in enumerate(found, 1):
            if sheet is None or options.sheets == "table":
                name = "Tables" if options.sheets == "one" else f"Page {page} table {number}"
                sheet, begin = workbook.add_worksheet(name), 0
            for at, row in enumerate(table.rows, begin):
                for column, cell in enumerate(row):
                    value = _number(cell, options)
                    if value is None:
                        sheet.write_string(at, column, cell)
                    else:
                        sheet.write_number(at, column, value)
            begin += len(table.rows) + 1
    return buffer.take()


def _as_json(found: list[_Placed], _options: TablesOptions, room: int) -> Buffer:
    """Every table with its page and its box in points: left, top, right, bottom."""
    told = [
        {"page": page, "box": [round(side, 2) for side in table.box], "rows": table.rows}
        for page, table in found
    ]
    buffer = CappedBuffer(room)
    buffer.write(msgspec.json.format(msgspec.json.encode({"tables": told}), indent=1))
    return buffer.take()
