"""ODS out, written by hand: an OpenDocument spreadsheet is one XML part with typed cells.

Follows OpenDocument 1.3, part 3 (ISO/IEC 26300-3): the mimetype comes first and is not compressed.
"""

import re
import zipfile
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from xml.sax.saxutils import escape, quoteattr

from engine.converter import Work
from engine.converters.capped import CappedBuffer
from engine.converters.data.tables import Notes, Table, Value, bounded
from engine.converters.data.words import is_finite, word_of
from engine.converters.data.xlsx import check_size, sheet_names
from engine.job import Buffer

_MIME = "application/vnd.oasis.opendocument.spreadsheet"
_URN = "urn:oasis:names:tc:opendocument:xmlns:"
_SPACES = " ".join(
    f'xmlns:{name}="{_URN}{path}:1.0"'
    for name, path in (
        ("office", "office"),
        ("table", "table"),
        ("text", "text"),
        ("style", "style"),
        ("number", "datastyle"),
        ("fo", "xsl-fo-compatible"),
    )
)
_HEAD = f"""<?xml version="1.0" encoding="UTF-8"?>
<office:document-content {_SPACES} office:version="1.3"><office:automatic-styles>\
<number:date-style style:name="day"><number:year number:style="long"/><number:text>-</number:text>\
<number:month number:style="long"/><number:text>-</number:text><number:day number:style="long"/>\
</number:date-style>\
<number:date-style style:name="moment"><number:year number:style="long"/><number:text>-\
</number:text><number:month number:style="long"/><number:text>-</number:text>\
<number:day number:style="long"/><number:text> </number:text><number:hours number:style="long"/>\
<number:text>:</number:text><number:minutes number:style="long"/><number:text>:</number:text>\
<number:seconds number:style="long"/></number:date-style>\
<number:time-style style:name="hours" number:truncate-on-overflow="false">\
<number:hours number:style="long"/><number:text>:</number:text>\
<number:minutes number:style="long"/><number:text>:</number:text>\
<number:seconds number:style="long"/></number:time-style>\
<number:boolean-style style:name="truth"><number:boolean/></number:boolean-style>\
<style:style style:name="d" style:family="table-cell" style:data-style-name="day"/>\
<style:style style:name="m" style:family="table-cell" style:data-style-name="moment"/>\
<style:style style:name="h" style:family="table-cell" style:data-style-name="hours"/>\
<style:style style:name="b" style:family="table-cell" style:data-style-name="truth"/>\
<style:style style:name="t" style:family="table-cell"><style:text-properties \
fo:font-weight="bold"/></style:style></office:automatic-styles><office:body><office:spreadsheet>"""
_TAIL = "</office:spreadsheet></office:body></office:document-content>"
_MANIFEST = f"""<?xml version="1.0" encoding="UTF-8"?>
<manifest:manifest xmlns:manifest="{_URN}manifest:1.0" manifest:version="1.3">\
<manifest:file-entry manifest:full-path="/" manifest:version="1.3" manifest:media-type="{_MIME}"/>\
<manifest:file-entry manifest:full-path="content.xml" manifest:media-type="text/xml"/>\
</manifest:manifest>"""
# What XML 1.0 has no way to write.
CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
# A time stamp is the same for equal tables.
_WHEN = (2000, 1, 1, 0, 0, 0)
_EXACT = 10**15
_PIECE_ROWS = 2_000


def write(tables: Sequence[Table], work: Work, notes: Notes) -> Buffer:
    """A spreadsheet, one sheet a table. Raises TargetImpossible, TargetTooLarge."""
    buffer = CappedBuffer(work.bounds.output_bytes_max)
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as parts:
        parts.writestr(zipfile.ZipInfo("mimetype", _WHEN), _MIME)
        with parts.open(_deflated("content.xml"), "w") as content:
            content.write(_HEAD.encode())
            names = sheet_names([table.name for table in tables])
            for name, table in zip(names, tables, strict=True):
                for piece in _sheet(name, table, notes, titles=work.options.titles):
                    content.write(piece.encode())
            content.write(_TAIL.encode())
        parts.writestr(_deflated("META-INF/manifest.xml"), _MANIFEST)
    return buffer.take()


def _deflated(name: str) -> zipfile.ZipInfo:
    part = zipfile.ZipInfo(name, _WHEN)
    part.compress_type = zipfile.ZIP_DEFLATED
    return part


def _sheet(name: str, table: Table, notes: Notes, *, titles: bool) -> Iterator[str]:
    check_size(table, 0)
    yield (
        f"<table:table table:name={quoteattr(name)}>"
        f'<table:table-column table:number-columns-repeated="{max(1, len(table.columns))}"/>'
    )
    if titles and table.columns:
        cells = "".join(_text(title, notes, ' table:style-name="t"') for title in table.columns)
        yield f"<table:table-header-rows><table:table-row>{cells}</table:table-row>"
        yield "</table:table-header-rows>"
    rows: list[str] = []
    for number, row in enumerate(bounded(table.rows(), len(table.columns)), start=int(titles)):
        check_size(table, number)
        cells = "".join([_cell(value, notes) for value in row])
        rows.append(f"<table:table-row>{cells}</table:table-row>")
        if len(rows) == _PIECE_ROWS:
            yield "".join(rows)
            rows.clear()
    if not table.columns and not rows:
        rows.append("<table:table-row><table:table-cell/></table:table-row>")
    yield "".join(rows) + "</table:table>"


def _cell(value: Value, notes: Notes) -> str:
    return _CELLS.get(type(value), _text)(value, notes)


def _truth(value: bool, _notes: Notes) -> str:  # a cell's value
    word = "true" if value else "false"
    return _typed("boolean", "boolean-value", word, word.upper(), "b")


def _day(value: date, _notes: Notes) -> str:
    style = "m" if isinstance(value, datetime) else "d"
    return _typed("date", "date-value", value.isoformat(), word_of(value), style)


def _time(value: time, _notes: Notes) -> str:
    word = f"PT{value.hour:02d}H{value.minute:02d}M{value.second:02d}"
    fraction = f".{value.microsecond:06d}" if value.microsecond else ""
    return _typed("time", "time-value", f"{word}{fraction}S", word_of(value), "h")


def _number(value: Value, notes: Notes) -> str:
    if not is_finite(value):
        notes.count("cells left empty, since a spreadsheet has no infinite numbers: {}")
        return "<table:table-cell/>"
    word = word_of(value)
    if abs(value) > _EXACT or Decimal(repr(float(value))) != Decimal(word):
        notes.count("numbers written as text, since a spreadsheet keeps only 15 digits of one: {}")
        return _text(word, notes)
    return _typed("float", "value", word, word)


def _duration(value: timedelta, _notes: Notes) -> str:
    seconds = value // timedelta(seconds=1)
    sign, seconds = ("-", -seconds) if seconds < 0 else ("", seconds)
    micros = value.microseconds
    tail = f".{micros:06d}" if micros and not sign else ""
    word = f"{sign}PT{seconds // 3600:02d}H{seconds // 60 % 60:02d}M{seconds % 60:02d}{tail}S"
    return _typed("time", "time-value", word, word_of(value), "h")


def _typed(kind: str, attribute: str, value: str, shown: str, style: str = "") -> str:
    styled = f' table:style-name="{style}"' if style else ""
    return (
        f'<table:table-cell{styled} office:value-type="{kind}" office:{attribute}="{value}">'
        f"<text:p>{shown}</text:p></table:table-cell>"
    )


def _text(value: Value, notes: Notes, style: str = "") -> str:
    word = word_of(value)
    plain = CONTROL.sub("", word)
    if plain != word:
        notes.say("control characters that XML cannot hold were left out")
    paragraphs = "".join(
        f"<text:p>{_spaced(escape(line))}</text:p>" for line in re.split(r"\r\n|\r|\n", plain)
    )
    return f'<table:table-cell{style} office:value-type="string">{paragraphs}</table:table-cell>'


def _spaced(line: str) -> str:
    """Spaces that XML readers would fold, and tabs, as OpenDocument writes them (6.1.3)."""
    line = line.replace("\t", "<text:tab/>")
    line = re.sub("^ | $", "<text:s/>", line)
    return re.sub("  +", lambda run: f' <text:s text:c="{len(run[0]) - 1}"/>', line)


_CELLS: dict[type, Callable[[Value, Notes], str]] = {
    type(None): lambda _value, _notes: "<table:table-cell/>",
    bool: _truth,
    int: _number,
    float: _number,
    Decimal: _number,
    date: _day,
    datetime: _day,
    time: _time,
    timedelta: _duration,
}
