"""The one shape in which a table travels from its reader to its writer.

`rows` begins anew with each call, so that a writer may pass over a table twice (once for the types
of its columns, once for its values) without the table being in memory as Python values unless its
reader had to. A source of free structure is a `Tree` instead; `records.py` leads from one to the
other.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from engine.errors import SourceTooComplex

# Python values: None, bool, int, float, Decimal, date, time, datetime, timedelta, str, bytes, and
# list and dict of them where the target holds what is nested.
Value = Any
Row = Sequence[Value]

# Half a second to some seconds of work for each million: more than this would end by the CPU limit,
# a minute later and with less to say.
CELLS_MAX = 20_000_000
# As many columns as a spreadsheet may have; what claims more is no table.
COLUMNS_MAX = 16_384


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """Named columns, and rows as long as there are columns."""

    name: str
    columns: tuple[str, ...]
    rows: Callable[[], Iterator[Row]]
    # The same as a pyarrow table, where a columnar source declared its types.
    arrow: Any = None
    # No cell of it holds a list or an object: nobody has to look.
    flat: bool = False


class Tree(msgspec.Struct, frozen=True, kw_only=True):
    """A document of free structure: dict, list and scalars."""

    root: Value


Content = Tree | list[Table]


class Notes:
    """What the customer would miss, said once each."""

    def __init__(self) -> None:
        self._said: dict[str, int] = {}

    def say(self, sentence: str) -> None:
        """Remember one sentence."""
        self._said.setdefault(sentence, 0)

    def count(self, sentence: str) -> None:
        """Remember a sentence that holds, at "{}", how often it was said."""
        self._said[sentence] = self._said.get(sentence, 0) + 1

    def all(self) -> tuple[str, ...]:
        """Return the sentences, in the order in which they were first said."""
        return tuple(
            sentence.replace("{}", str(times), 1) if times else sentence
            for sentence, times in self._said.items()
        )


def of_rows(name: str, columns: Sequence[str], rows: Sequence[Row]) -> Table:
    """A table that is in memory."""
    return Table(name=name, columns=tuple(columns), rows=lambda: iter(rows))


def check_cells(rows: int, columns: int) -> None:
    """Refuse a table beyond the bounds. Raises SourceTooComplex."""
    if columns > COLUMNS_MAX:
        raise SourceTooComplex(f"a table has {columns} columns; the limit is {COLUMNS_MAX}")
    if rows * max(columns, 1) > CELLS_MAX:
        raise SourceTooComplex(
            f"a table of {rows} rows and {columns} columns has more than {CELLS_MAX} cells, the"
            " limit; convert it in parts"
        )


def bounded(rows: Iterator[Row], columns: int) -> Iterator[Row]:
    """Pass rows on until there are more than the bound. Raises SourceTooComplex."""
    for number, row in enumerate(rows, start=1):
        if not number & 0xFFF:
            check_cells(number, columns)
        yield row


def distinct(names: Sequence[Value], notes: Notes) -> tuple[str, ...]:
    """Column names as they can be used: none empty, no two alike."""
    check_cells(0, len(names))
    seen: set[str] = set()
    taken: list[str] = []
    for place, value in enumerate(names, start=1):
        name = "" if value is None else str(value).strip()
        wanted = name or f"column_{place}"
        found, number = wanted, 1
        while found in seen:
            number += 1
            found = f"{wanted}_{number}"
        if found != name:
            notes.say("columns without a name of their own were given one")
        seen.add(found)
        taken.append(found)
    return tuple(taken)
