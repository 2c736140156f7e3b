"""Spreadsheets in (XLSX, XLS, XLSB, ODS), by calamine: the values as stored, nothing calculated."""

import io
import re
import struct
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any
from xml.parsers.expat import ExpatError

import msoffcrypto
import python_calamine
from lxml import etree
from msoffcrypto.exceptions import DecryptionError, FileFormatError, InvalidKeyError, ParseError
from msoffcrypto.format import ooxml, xls97

from engine.converter import Work
from engine.converters.data.book_extent import check_book
from engine.converters.data.tables import Notes, Row, Table, bounded, check_cells, distinct
from engine.errors import PasswordRequired, SourceUnreadable

_DAMAGE = (
    FileFormatError, ParseError, OSError, ValueError, LookupError, TypeError, AttributeError,
    ArithmeticError, AssertionError, RuntimeError, NotImplementedError, struct.error,
    etree.XMLSyntaxError, ExpatError,
)  # fmt: skip
# msoffcrypto imports these when it first needs them, which in a worker would be too late.
LOADED = (ooxml, xls97)

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
# Whole numbers that a double holds exactly; a spreadsheet has no other.
_EXACT = 2**53
_DURATION = re.compile(r"PT(\d{1,6})H(\d{1,2})M(\d{1,2}(?:\.\d{1,9})?)S")


def read(work: Work, notes: Notes) -> list[Table]:
    """One table a sheet. Raises SourceUnreadable, SourceTooComplex, PasswordRequired."""
    content = bytes(work.inputs[0])
    if content.startswith(_OLE):
        content = _decrypted(content, work.options.password, notes)
    check_book(content, notes)
    try:
        book = python_calamine.load_workbook(io.BytesIO(content))
        return [_table(book, sheet, work.options, notes) for sheet in _sheets(book)]
    except (python_calamine.CalamineError, ValueError, OSError, LookupError) as error:
        raise _translated(error) from error
    # A panic of the Rust code arrives as a BaseException of a private class.
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise _translated(error) from error


def _translated(error: BaseException) -> Exception:
    if isinstance(error, python_calamine.PasswordError):
        return _locked()
    return SourceUnreadable(
        "the workbook cannot be read: it is damaged, cut off, or of an unusual kind"
    )


def _locked() -> PasswordRequired:
    return PasswordRequired(
        "the workbook is encrypted and this password does not open it;"
        " pass its password in the option password"
    )


def _decrypted(content: bytes, password: str, notes: Notes) -> bytes:
    """An old or an encrypted workbook as it is without encryption."""
    try:
        office: Any = msoffcrypto.OfficeFile(io.BytesIO(content))
        if not office.is_encrypted():
            return content
        if not password:
            raise _locked()
        plain = io.BytesIO()
        office.load_key(password=password)
        office.decrypt(plain)
    except (DecryptionError, InvalidKeyError) as error:
        raise _locked() from error
    except _DAMAGE as error:
        raise SourceUnreadable("the workbook cannot be read: it is damaged or cut off") from error
    notes.say("the result is not encrypted; the source was")
    return plain.getvalue()


def _sheets(book: Any) -> Sequence[str]:
    kinds = (python_calamine.SheetTypeEnum.WorkSheet,)
    return [one.name for one in book.sheets_metadata if one.typ in kinds]


def _table(book: Any, name: str, options: Any, notes: Notes) -> Table:
    sheet = book.get_sheet_by_name(name)
    if sheet.start is None:
        return Table(name=name, columns=(), rows=lambda: iter(()))
    (first, left), (last, right) = sheet.start, sheet.end
    width = right - left + 1
    check_cells(last - first + 1, width)
    skipped = first + options.skip
    names: Row = ()
    if options.header:
        names = next(_rows(sheet, skipped, left), ())
        skipped += 1
    columns = distinct([*map(_word, names), *[""] * (width - len(names))], notes)

    def rows() -> Iterator[Row]:
        return bounded(_rows(sheet, skipped, left), width)

    return Table(name=name, columns=columns, rows=rows, flat=True)


def _rows(sheet: Any, skipped: int, left: int) -> Iterator[Row]:
    for number, row in enumerate(sheet.iter_rows()):
        if number >= skipped:
            # A call for each cell would be half of the work: most texts and numbers need none.
            yield [
                cell
                if (kind := type(cell)) is str and cell and cell[:2] != "PT"
                else _value(cell)
                if kind is not float
                else int(cell)
                if cell.is_integer() and -_EXACT <= cell <= _EXACT
                else cell
                for cell in (row[left:] if left else row)
            ]


def _value(cell: Any) -> Any:
    if cell == "":
        return None
    # What an ODS holds as a time of more than a day, calamine gives as it is written.
    if type(cell) is str and cell.startswith("PT") and (found := _DURATION.fullmatch(cell)):
        hours, minutes, seconds = found.groups()
        return timedelta(hours=int(hours), minutes=int(minutes), seconds=float(seconds))
    return cell


def _word(value: Any) -> Any:
    return value if value is None or isinstance(value, str) else str(value)
