"""SQLite databases and SQL scripts of tables, in memory: nothing of a schema is ever run.

A database file's views, triggers and virtual tables are left alone: only plain tables are read. A
script may create tables and insert values; SQLite's authoriser refuses every other action.
"""

import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from engine.converter import Work
from engine.converters.capped import CappedBuffer
from engine.converters.data.delimited import decode
from engine.converters.data.tables import Notes, Row, Table, Value, bounded, check_cells, distinct
from engine.converters.data.words import Reading, is_finite, kind_of, value_of, word_of
from engine.errors import SourceUnreadable, TargetImpossible, TargetTooLarge
from engine.job import Buffer

# One statement of an SQL script, and one value.
_LENGTH_MAX = 64 * 1024 * 1024
_TABLES_MAX = 1_000
_INT64 = range(-(2**63), 2**63)
_ISO = Reading()
_DECIMAL = re.compile(r"-?\d+(\.\d+)?")
_INSERT_ROWS = 200
_ALLOWED = frozenset({
    sqlite3.SQLITE_CREATE_TABLE, sqlite3.SQLITE_CREATE_INDEX, sqlite3.SQLITE_REINDEX,
    sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_READ,
    sqlite3.SQLITE_SELECT,  # what several rows of VALUES are to SQLite
})  # fmt: skip
# Declared types that SQLite keeps as words or numbers, and what they mean.
_MEANT = (
    (re.compile("BOOL", re.IGNORECASE), "bool"),
    (re.compile("DATETIME|TIMESTAMP", re.IGNORECASE), "datetime"),
    (re.compile("^DATE$", re.IGNORECASE), "date"),
    (re.compile("^TIME$", re.IGNORECASE), "time"),
    (re.compile("^DECIMAL TEXT$", re.IGNORECASE), "decimal"),
)
# (Python type, its declaration in sqlite, postgresql, mysql), the widest last.
_TYPES: Mapping[str, tuple[str, str, str]] = {
    "bool": ("BOOLEAN", "BOOLEAN", "BOOLEAN"),
    "int": ("INTEGER", "BIGINT", "BIGINT"),
    "float": ("REAL", "DOUBLE PRECISION", "DOUBLE"),
    "decimal": ("DECIMAL TEXT", "NUMERIC", "DECIMAL(65,30)"),
    "date": ("DATE", "DATE", "DATE"),
    "datetime": ("TIMESTAMP", "TIMESTAMP", "DATETIME(6)"),
    "zoned": ("TIMESTAMP", "TIMESTAMPTZ", "DATETIME(6)"),
    "time": ("TIME", "TIME", "TIME(6)"),
    "bytes": ("BLOB", "BYTEA", "LONGBLOB"),
    "text": ("TEXT", "TEXT", "LONGTEXT"),
}
_DIALECTS = ("sqlite", "postgresql", "mysql")
_KINDS: Mapping[type, str] = {
    bool: "bool", int: "int", float: "float", Decimal: "decimal", date: "date", time: "time",
    bytes: "bytes", str: "text", timedelta: "text",
}  # fmt: skip


def read_sqlite(work: Work, notes: Notes) -> list[Table]:
    """The tables of a database. Raises SourceUnreadable, SourceTooComplex."""
    content = bytearray(work.inputs[0])
    # A database in WAL mode needs a second file even to be read; its main file alone is whole.
    if content[18:20] == b"\x02\x02":
        content[18:20] = b"\x01\x01"
        notes.say("changes that were only in the database's -wal file are not in the result")
    connection = _memory()
    try:
        connection.deserialize(bytes(content))
        connection.execute("PRAGMA trusted_schema=OFF")
        connection.execute("PRAGMA cell_size_check=ON")
        connection.execute("PRAGMA temp_store=MEMORY")
        return _tables(connection, notes)
    except (sqlite3.Error, ValueError, OverflowError, TypeError) as error:
        raise SourceUnreadable(
            "the database cannot be read: it is damaged, encrypted or cut off"
        ) from error


def _memory() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LENGTH_MAX)
    connection.setlimit(sqlite3.SQLITE_LIMIT_SQL_LENGTH, _LENGTH_MAX)
    connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    connection.text_factory = lambda word: word.decode("utf-8", "replace")
    return connection


def _tables(connection: sqlite3.Connection, notes: Notes) -> list[Table]:
    found = connection.execute(
        "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
        " AND type IN ('table', 'view', 'trigger') LIMIT ?",
        (_TABLES_MAX,),
    ).fetchall()
    plain = [
        name
        for kind, name, sql in found
        if kind == "table" and not re.match(r"\s*CREATE\s+VIRTUAL", sql or "", re.IGNORECASE)
    ]
    if len(plain) < len(found):
        notes.say("views, triggers and virtual tables were not run and are not in the result")
    return [_table(connection, name, notes) for name in plain]


def _table(connection: sqlite3.Connection, name: str, notes: Notes) -> Table:
    quoted = quote_name(name, "sqlite")
    # Hidden and generated columns are what `table_xinfo` marks and `SELECT` by name may leave out.
    told = connection.execute(f"PRAGMA table_xinfo({quoted})").fetchall()
    fields = [(str(one[1]), str(one[2] or "")) for one in told if one[6] == 0]
    chosen = ", ".join(quote_name(field, "sqlite") for field, _ in fields)
    count = connection.execute(f"SELECT count(*) FROM {quoted}").fetchone()[0]  # noqa: S608  # quoted
    check_cells(count, len(fields))
    meant = [
        next((kind for pattern, kind in _MEANT if pattern.search(declared)), "")
        for _, declared in fields
    ]
    rows = [
        [_meant(value, kind) for value, kind in zip(row, meant, strict=True)]
        for row in connection.execute(f"SELECT {chosen} FROM {quoted}")  # noqa: S608  # quoted
    ]

    def all_rows() -> Iterator[Row]:
        return iter(rows)

    columns = distinct([field for field, _ in fields], notes)
    return Table(name=name, columns=columns, rows=all_rows)


def _meant(value: Value, kind: str) -> Value:
    """A value as its column's declaration means it, where it is written so."""
    if kind == "bool" and value in {0, 1} and isinstance(value, int):
        return bool(value)
    if kind in {"date", "datetime", "time", "decimal"} and isinstance(value, str):
        if kind == "decimal":
            return Decimal(value) if _DECIMAL.fullmatch(value) else value
        seen = kind_of(value, _ISO)
        if seen == kind or (seen == "zoned" and kind == "datetime"):
            return value_of(value, seen, _ISO)
    return value


def read_sql(work: Work, notes: Notes) -> list[Table]:
    """The tables that a script creates and fills. Raises SourceUnreadable, SourceTooComplex."""
    script = decode(work.inputs[0], work.options.encoding, notes)
    connection = _memory()
    connection.set_authorizer(_authorised)
    skipped = 0
    for statement in _statements(script):
        if not _WANTED.match(statement):
            skipped += not _TRANSACTION.match(statement)
            continue
        try:
            connection.execute(statement)
        except (sqlite3.Error, sqlite3.Warning, ValueError, OverflowError):
            raise SourceUnreadable(
                "the script holds a CREATE TABLE or INSERT that SQLite does not understand;"
                " dump it with plain INSERT statements of values"
            ) from None
    connection.set_authorizer(None)
    if skipped:
        notes.say(f"statements that neither create nor fill a table, which were not run: {skipped}")
    tables = _tables(connection, notes)
    if not tables:
        raise SourceUnreadable("the script creates no table")
    return tables


def _authorised(action: int, *_more: object) -> int:
    return sqlite3.SQLITE_OK if action in _ALLOWED else sqlite3.SQLITE_DENY


_WANTED = re.compile(r"\s*(CREATE\s+TABLE|INSERT)\b", re.IGNORECASE)
_TRANSACTION = re.compile(r"\s*(BEGIN|START|COMMIT|END)\b", re.IGNORECASE)
_PIECE = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`|--[^\n]*|/\*.*?\*/|;""", re.DOTALL)


def _statements(script: str) -> Iterator[str]:
    start = 0
    for piece in _PIECE.finditer(script):
        if piece[0] == ";":
            statement = script[start : piece.start()]
            start = piece.end()
            if statement.strip():
                yield _uncommented(statement)
    if script[start:].strip():
        yield _uncommented(script[start:])


def _uncommented(statement: str) -> str:
    return _PIECE.sub(
        lambda piece: " " if piece[0].startswith(("--", "/*")) else piece[0], statement
    )


def quote_name(name: str, dialect: str) -> str:
    """An identifier as the dialect quotes it."""
    mark = "`" if dialect == "mysql" else '"'
    return mark + name.replace("\0", "").replace(mark, mark * 2) + mark


def kinds_of(table: Table) -> list[str]:
    """The narrowest kind of each column that holds all its values."""
    seen: list[set[str]] = [set() for _ in table.columns]
    for row in bounded(table.rows(), len(table.columns)):
        for kinds, value in zip(seen, row, strict=True):
            if value is not None:
                kinds.add(_kind(value))
    return [_common(kinds) for kinds in seen]


def _kind(value: Value) -> str:
    if isinstance(value, datetime):
        return "zoned" if value.tzinfo else "datetime"
    if isinstance(value, int) and not isinstance(value, bool) and value not in _INT64:
        return "decimal"
    return _KINDS.get(type(value), "text")


def _common(kinds: set[str]) -> str:
    if len(kinds) == 1:
        return next(iter(kinds))
    for wider, narrower in (
        ("float", {"int", "float"}),
        ("decimal", {"int", "float", "decimal"}),
        ("datetime", {"date", "datetime"}),
    ):
        if kinds and kinds <= narrower:
            return wider
    return "text"


def write_sqlite(tables: Sequence[Table], work: Work, _notes: Notes) -> Buffer:
    """A database with these tables. Raises TargetImpossible, TargetTooLarge."""
    connection = _memory()
    connection.execute("PRAGMA journal_mode=OFF")
    connection.execute("BEGIN")
    for table in _named(tables):
        kinds = kinds_of(table)
        connection.execute(_create(table, kinds, "sqlite"))
        marks = ", ".join("?" * len(kinds))
        try:
            connection.executemany(
                f"INSERT INTO {quote_name(table.name, 'sqlite')} VALUES ({marks})",  # noqa: S608  # quoted
                ([_stored(value, kind) for value, kind in zip(row, kinds, strict=True)]
                 for row in table.rows()),
            )  # fmt: skip
        except sqlite3.Error as error:
            raise TargetImpossible("a value is longer than a database can hold") from error
    connection.execute("COMMIT")
    written = connection.serialize()
    if len(written) > work.bounds.output_bytes_max:
        raise TargetTooLarge("the database would be larger than the limit for one conversion")
    return written


def _named(tables: Sequence[Table]) -> Iterator[Table]:
    """Tables with columns, and names that no dialect reserves and no two share."""
    taken: set[str] = set()
    for table in tables:
        if not table.columns:
            continue
        name = re.sub("^(?i:sqlite_)", "", table.name.replace("\0", "")).strip() or "data"
        found, number = name, 1
        while found.lower() in taken:
            number += 1
            found = f"{name}_{number}"
        taken.add(found.lower())
        columns = _apart(table.columns)
        yield Table(name=found, columns=columns, rows=table.rows, arrow=table.arrow)
    if not taken:
        raise TargetImpossible("the source has no columns, and a table needs one")


def _apart(columns: Sequence[str]) -> tuple[str, ...]:
    """Databases do not tell A from a."""
    taken: set[str] = set()
    names = []
    for column in columns:
        found, number = column, 1
        while found.lower() in taken:
            number += 1
            found = f"{column}_{number}"
        taken.add(found.lower())
        names.append(found)
    return tuple(names)


def _create(table: Table, kinds: Sequence[str], dialect: str) -> str:
    place = _DIALECTS.index(dialect)
    columns = ", ".join(
        f"{quote_name(name, dialect)} {_TYPES[kind][place]}"
        for name, kind in zip(table.columns, kinds, strict=True)
    )
    return f"CREATE TABLE {quote_name(table.name, dialect)} ({columns})"


def _stored(value: Value, kind: str) -> Any:
    if value is None or isinstance(value, bytes):
        return value
    if kind in {"bool", "int"}:
        return int(value)
    if kind == "float":
        return float(value)
    if kind == "datetime" and not isinstance(value, datetime):
        return f"{value.isoformat()} 00:00:00"
    return word_of(value)


def write_sql(tables: Sequence[Table], work: Work, _notes: Notes) -> Buffer:
    """A script that creates and fills these tables. Raises TargetImpossible, TargetTooLarge."""
    dialect = work.options.dialect
    buffer = CappedBuffer(work.bounds.output_bytes_max)
    for table in _named(tables):
        kinds = kinds_of(table)
        buffer.write(f"{_create(table, kinds, dialect)};\n".encode())
        into = f"INSERT INTO {quote_name(table.name, dialect)} VALUES\n"
        rows: list[str] = []
        for row in table.rows():
            cells = (_literal(value, kind, dialect) for value, kind in zip(row, kinds, strict=True))
            rows.append(f"({', '.join(cells)})")
            if len(rows) == _INSERT_ROWS:
                _insert(buffer, into, rows)
        _insert(buffer, into, rows)
    return buffer.take()


def _insert(buffer: CappedBuffer, into: str, rows: list[str]) -> None:
    if rows:
        buffer.write((into + ",\n".join(rows) + ";\n").encode())
        rows.clear()


def _literal(value: Value, kind: str, dialect: str) -> str:
    if value is None:
        return "NULL"
    if kind == "bytes":
        return f"'\\x{value.hex()}'" if dialect == "postgresql" else f"X'{value.hex()}'"
    if kind == "bool":
        return "TRUE" if value else "FALSE"
    if kind in {"int", "float", "decimal"}:
        return _numeral(value, kind, dialect)
    if kind == "zoned" and dialect == "mysql":
        value = value.astimezone(UTC).replace(tzinfo=None)
    word = word_of(value).replace("\0", "").replace("'", "''")
    return "'" + (word.replace("\\", "\\\\") if dialect == "mysql" else word) + "'"


def _numeral(value: Value, kind: str, dialect: str) -> str:
    if not is_finite(value):
        return f"'{word_of(value)}'" if dialect == "postgresql" else "NULL"
    if kind == "float":
        return repr(float(value))
    # SQLite would make a double of a long decimal.
    return f"'{word_of(value)}'" if kind == "decimal" and dialect == "sqlite" else word_of(value)
