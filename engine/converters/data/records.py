"""From a tree to tables and back: where the rows of a document are, and what nesting becomes."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from engine.converters.data.tables import (
    Notes,
    Row,
    Table,
    Tree,
    Value,
    check_cells,
    distinct,
    of_rows,
)
from engine.errors import TargetImpossible

_JSON = msgspec.json.Encoder(decimal_format="number")
# Objects within objects become columns this deep; what is deeper stays one value.
_DEPTH_MAX = 20


def tables_of(tree: Tree, path: str, notes: Notes, *, flat: bool) -> list[Table]:
    """The tables of a document. `flat`: the target holds no nested values.

    Raises TargetImpossible where `path` leads nowhere, SourceTooComplex.
    """
    root, name = tree.root, "data"
    for key in filter(None, path.split(".")):
        root, name = _step(root, key), key
    return [_table(name, value, notes, flat=flat) for name, value in _found(root, name, notes)]


def _step(value: Value, key: str) -> Value:
    if isinstance(value, Mapping) and key in value:
        return value[key]
    if isinstance(value, list) and key.isdecimal() and int(key) < len(value):
        return value[int(key)]
    raise TargetImpossible(
        "the document has nothing at the place that the option records names; give the keys from"
        " the top, joined by dots"
    )


def _found(root: Value, name: str, notes: Notes) -> list[tuple[str, Value]]:
    """The lists of rows nearest to the top, by name; a document without one is a single row."""
    while isinstance(root, Mapping):
        lists = [(str(key), value) for key, value in root.items() if _is_table(value)]
        if lists:
            if len(lists) < len(root):
                notes.say(
                    "only the lists of objects became tables; the fields beside them were left out"
                )
            return lists
        only = next(iter(root.items())) if len(root) == 1 else None
        if only is None or not isinstance(only[1], Mapping):
            break
        name, root = str(only[0]), only[1]
    return [(name, root)]


def _is_table(value: Value) -> bool:
    return (
        isinstance(value, list) and bool(value) and all(isinstance(one, Mapping) for one in value)
    )


def _table(name: str, value: Value, notes: Notes, *, flat: bool) -> Table:
    if isinstance(value, Mapping):
        columns = _of_columns(value)
        if columns is not None:
            return columns
        split = _of_split(value, notes)
        if split is not None:
            return split
        value = [value]
    if not isinstance(value, list):
        value = [{"value": value}]
    if value and all(isinstance(one, list) for one in value):
        return _of_lists(name, value, notes, flat=flat)
    if not _is_table(value):
        value = [one if isinstance(one, Mapping) else {"value": one} for one in value]
    return _of_records(name, value, notes, flat=flat)


def _of_columns(value: Mapping[Any, Any]) -> Table | None:
    """An object of equally long lists of plain values: a table, column by column."""
    lists = list(value.values())
    if not lists or not all(isinstance(one, list) for one in lists):
        return None
    if len({len(one) for one in lists}) != 1 or any(
        isinstance(cell, list | Mapping) for one in lists for cell in one
    ):
        return None
    check_cells(len(lists[0]), len(lists))
    return of_rows("data", [str(key) for key in value], list(zip(*lists, strict=True)))


def _of_split(value: Mapping[Any, Any], notes: Notes) -> Table | None:
    """The shape that `orient=split` writes."""
    columns, rows = value.get("columns"), value.get("rows")
    if set(value) != {"columns", "rows"} or not isinstance(columns, list):
        return None
    if not isinstance(rows, list) or any(
        not isinstance(row, list) or len(row) != len(columns) for row in rows
    ):
        return None
    return of_rows("data", distinct(columns, notes), rows)


def _of_lists(name: str, rows: list[list[Value]], notes: Notes, *, flat: bool) -> Table:
    """Lists of lists: the first one names the columns, where it holds names."""
    width = max(map(len, rows))
    check_cells(len(rows), width)
    named = all(isinstance(cell, str) for cell in rows[0])
    names = rows[0] if named else []
    columns = distinct([*names, *[""] * (width - len(names))], notes)
    body = [_plain_row(row, width, notes, flat=flat) for row in rows[named:]]
    return of_rows(name, columns, body)


def _plain_row(row: Sequence[Value], width: int, notes: Notes, *, flat: bool) -> Row:
    cells = [_cell(value, notes) if flat else value for value in row]
    return cells + [None] * (width - len(cells))


def _of_records(
    name: str, records: Sequence[Mapping[Any, Any]], notes: Notes, *, flat: bool
) -> Table:
    columns: dict[str, None] = {}
    found: list[dict[str, Value]] = []
    for number, record in enumerate(records):
        row = dict(_flattened(record, notes)) if flat else {str(k): v for k, v in record.items()}
        columns.update(dict.fromkeys(row))
        found.append(row)
        if not number & 0xFFF:
            check_cells(number, len(columns))
    check_cells(len(found), len(columns))
    names = tuple(column for column in columns if not _is_hollow(column, columns, found))

    def rows() -> Iterator[Row]:
        return ([row.get(column) for column in names] for row in found)

    return Table(name=name, columns=distinct(names, notes), rows=rows)


def _is_hollow(column: str, columns: Iterable[str], found: Sequence[Mapping[str, Value]]) -> bool:
    """Whether a column only says that an object, whose fields are columns, was absent in a row."""
    return any(other.startswith(f"{column}.") for other in columns) and all(
        row.get(column) is None for row in found
    )


def _flattened(
    record: Mapping[Any, Any], notes: Notes, prefix: str = "", depth: int = 0
) -> Iterator[tuple[str, Value]]:
    for key, value in record.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value and depth < _DEPTH_MAX:
            yield from _flattened(value, notes, f"{name}.", depth + 1)
        else:
            yield name, _cell(value, notes)


def _cell(value: Value, notes: Notes) -> Value:
    if not isinstance(value, list | Mapping):
        return value
    notes.say("lists within rows were written as JSON text")
    return _JSON.encode(value).decode()


def flattened(table: Table, notes: Notes) -> Table:
    """The same table without nested values: objects become columns, lists JSON text."""
    if table.flat or not any(
        isinstance(cell, list | Mapping) for row in table.rows() for cell in row
    ):
        return table
    records = [dict(zip(table.columns, row, strict=True)) for row in table.rows()]
    flat = _of_records(table.name, records, notes, flat=True)
    return Table(name=table.name, columns=flat.columns, rows=flat.rows)


def shaped(table: Table, orient: str) -> Value:
    """A table as a tree of this shape."""
    if orient == "columns":
        columns = list(zip(*table.rows(), strict=True)) or [() for _ in table.columns]
        return {name: list(one) for name, one in zip(table.columns, columns, strict=True)}
    if orient == "split":
        return {"columns": list(table.columns), "rows": [list(row) for row in table.rows()]}
    if orient == "values":
        return [list(table.columns), *(list(row) for row in table.rows())]
    return list(records_of(table))


def records_of(table: Table) -> Iterator[dict[str, Value]]:
    """Each row as an object."""
    return (dict(zip(table.columns, row, strict=True)) for row in table.rows())


def tree_of(tables: Iterable[Table], orient: str) -> Tree:
    """One table as its rows, several as an object of tables."""
    shapes = [(table.name, shaped(table, orient)) for table in tables]
    return Tree(root=shapes[0][1] if len(shapes) == 1 else dict(shapes))
