"""misc.calendar and misc.contacts: iCalendar and vCard as JSON and tables, and made of them."""

import csv
import io
import re
from collections.abc import Sequence
from typing import Any

import msgspec

from engine.converter import Result, Work
from engine.converters.capped import CappedBuffer
from engine.converters.misc.card_json import from_json, old_style, to_json
from engine.converters.misc.card_tables import Record, calendar_of, cards_of, events, people
from engine.converters.misc.content_lines import Component, Property, parse, write
from engine.converters.misc.text import decode
from engine.errors import SourceTooComplex, SourceUnreadable

_ROWS_MAX = 100_000
# What a spreadsheet would run: a table of somebody else's contacts is opened in one.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def calendar(work: Work) -> Result:
    """Convert a calendar. Raises SourceUnreadable, SourceTooComplex."""
    notes: list[str] = []
    components = _components(work, "vcalendar", notes)
    if work.target == "csv":
        records = [record for one in components for record in events(one, notes)]
        return _result(_table(records, notes), work, notes)
    if work.target == "json":
        return _json([to_json(one) for one in components], work, notes)
    zoned = any("tzid" in one.parameters for item in _walk(components) for one in item.properties)
    if zoned and not any(item.name == "vtimezone" for item in _walk(components)):
        notes.append("time zones are named and not described: most programs know them by name")
    return _result("".join(write(one) for one in components), work, notes)


def contacts(work: Work) -> Result:
    """Convert contacts. Raises SourceUnreadable, SourceTooComplex."""
    notes: list[str] = []
    components = _components(work, "vcard", notes)
    if work.target == "csv":
        return _result(_table(people(components, notes), notes), work, notes)
    if work.target == "json":
        return _json([_fourth(to_json(one)) for one in components], work, notes)
    return _result("".join(write(_third(one)) for one in components), work, notes)


def _components(work: Work, root: str, notes: list[str]) -> list[Component]:
    text = decode(work.inputs[0], "auto", notes)
    if work.source == "json":
        try:
            told: Any = msgspec.json.decode(text)
        except (msgspec.DecodeError, ValueError) as error:
            raise SourceUnreadable("the JSON cannot be read: it is not well-formed") from error
        return from_json(told, root)
    if work.source == "csv":
        records = _records(text)
        return [calendar_of(records)] if root == "vcalendar" else cards_of(records)
    return parse(text, root)


def _walk(components: Sequence[Component]) -> list[Component]:
    found = list(components)
    for one in found:
        found.extend(one.components)
    return found


def _fourth(told: list[Any]) -> list[Any]:
    """A jCard is of version 4.0, and says so first (RFC 7095, 3.2)."""
    properties = [one for one in told[1] if one[0] != "version"]
    return [told[0], [["version", {}, "text", "4.0"], *properties]]


def _third(card: Component) -> Component:
    """As version 3.0, which every program reads."""
    rest = [old_style(one) for one in card.properties if one.name != "version"]
    return Component(name="vcard", properties=[Property(name="version", value="3.0"), *rest])


def _records(text: str) -> list[Record]:
    lines = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=lines.count)
    try:
        rows = list(csv.reader(io.StringIO(text), delimiter=delimiter))
    except csv.Error as error:
        raise SourceUnreadable("the table cannot be read: a quote is not closed") from error
    rows = [row for row in rows if any(row)]
    if len(rows) > _ROWS_MAX:
        raise SourceTooComplex(f"the table has more than {_ROWS_MAX} rows, the limit")
    if not rows:
        raise SourceUnreadable("the table is empty")
    names = [re.sub(r"[\s]+(?!\(|\d)", "_", name.strip().lower()) for name in rows[0]]
    # Cells beyond the named columns belong to none; an apostrophe put there by us goes.
    return [
        {name: _armed(cell.strip()) for name, cell in zip(names, row, strict=False)}
        for row in rows[1:]
    ]


def _table(records: list[Record], notes: list[str]) -> str:
    columns = dict.fromkeys(name for record in records for name in record)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for record in records:
        writer.writerow([_harmless(record.get(name, ""), notes) for name in columns])
    return text.getvalue()


def _harmless(word: str, notes: list[str]) -> str:
    if not word.startswith(_FORMULA) or re.fullmatch(r"[+-][\d\s()/.-]+", word):
        return word
    notes.append("words that a spreadsheet would run as formulas have an apostrophe before them")
    return "'" + word


def _armed(word: str) -> str:
    return word[1:] if word[:1] == "'" and word[1:2] in _FORMULA else word


def _json(told: list[Any], work: Work, notes: list[str]) -> Result:
    written = msgspec.json.encode(told[0] if len(told) == 1 else told)
    if work.options.pretty:
        written = msgspec.json.format(written, indent=2)
    return _result(written.decode() + "\n", work, notes)


def _result(text: str, work: Work, notes: list[str]) -> Result:
    buffer = CappedBuffer(work.bounds.output_bytes_max)
    buffer.write(text.encode("utf-8", "replace"))
    return Result(files=(buffer.take(),), warnings=tuple(dict.fromkeys(notes)))
