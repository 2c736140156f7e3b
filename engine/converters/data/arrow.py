"""Parquet, Arrow and ORC, by pyarrow: one thread, memory from the C library, types as declared.

This module must be imported before anything else imports pyarrow: its allocator would start a
thread, and a zygote that forks may have one only.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

# Read by the jemalloc inside libarrow when it is loaded.
os.environ.setdefault("JE_ARROW_MALLOC_CONF", "background_thread:false")

import pyarrow as pa  # after the line above
import pyarrow.parquet as pq
from pyarrow import orc

from engine.converter import Work
from engine.converters.capped import CappedBuffer
from engine.converters.data.tables import (
    Notes,
    Row,
    Table,
    Value,
    check_cells,
)
from engine.converters.data.words import word_of
from engine.errors import SourceTooComplex, SourceUnreadable
from engine.formats import find
from engine.job import Buffer
from sandbox.limits import MIB

pa.set_cpu_count(1)
pa.set_io_thread_count(1)
pa.set_memory_pool(pa.system_memory_pool())

# A column of one repeated value is a few bytes in these formats and this much in memory.
_UNPACKED_MAX = 1024 * MIB
_BATCH_ROWS = 4096
_DECIMAL_DIGITS, _DECIMAL_DIGITS_LARGE = 38, 76
_INT64 = range(-(2**63), 2**63)
_ORC_PACKED = {"auto": "zstd", "none": "uncompressed", "gzip": "zlib"}
_ROW_GROUP = 128 * 1024


@contextmanager
def _reading(source: str) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowMemoryError, MemoryError) as error:
        raise MemoryError from error
    except (
        pa.ArrowException, OSError, ValueError, TypeError, LookupError, OverflowError,
    ) as error:  # fmt: skip
        raise SourceUnreadable(
            f"the {find(source).title} cannot be read: it is damaged, cut off or of an unusual kind"
        ) from error


def read(work: Work, notes: Notes) -> list[Table]:
    """The table of a Parquet, Arrow or ORC file. Raises SourceUnreadable, SourceTooComplex."""
    with _reading(work.source):
        table = _READERS[work.source](pa.BufferReader(work.inputs[0]))
        table.validate(full=True)
        table = _readable(table, notes)
    return [Table(name="data", columns=_names(table), rows=lambda: _rows(table), arrow=table)]


def _names(table: Any) -> tuple[str, ...]:
    seen: dict[str, int] = {}
    names = []
    for name in table.column_names:
        seen[name] = seen.get(name, 0) + 1
        names.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return tuple(names)


def _read_parquet(source: Any) -> Any:
    file = pq.ParquetFile(source, pre_buffer=False)
    check_cells(file.metadata.num_rows, file.metadata.num_columns)
    batches, size = [], 0
    for batch in file.iter_batches(_BATCH_ROWS, use_threads=False):
        size = _grown(size, batch)
        batches.append(batch)
    return pa.Table.from_batches(batches, file.schema_arrow)


def _grown(size: int, batch: Any) -> int:
    size += batch.get_total_buffer_size()
    if size > _UNPACKED_MAX:
        raise SourceTooComplex(
            f"the table unpacks to more than {_UNPACKED_MAX // MIB} MiB, the limit"
        )
    return size


def _read_arrow(source: Any) -> Any:
    options = pa.ipc.IpcReadOptions(use_threads=False)
    start = source.read(8)
    source.seek(0)
    opened = pa.ipc.open_file if start.startswith(b"ARROW1") else pa.ipc.open_stream
    reader = opened(source, options=options)
    batches, size, rows = [], 0, 0
    if opened is pa.ipc.open_file:
        found: Any = (reader.get_batch(index) for index in range(reader.num_record_batches))
    else:
        found = iter(reader)
    for batch in found:
        rows += batch.num_rows
        check_cells(rows, batch.num_columns)
        size = _grown(size, batch)
        batches.append(batch)
    return pa.Table.from_batches(batches, reader.schema)


def _read_orc(source: Any) -> Any:
    file = orc.ORCFile(source)
    check_cells(file.nrows, len(file.schema))
    batches, size = [], 0
    for index in range(file.nstripes):
        batch = file.read_stripe(index)
        size = _grown(size, batch)
        batches.append(batch)
    return pa.Table.from_batches(batches, file.schema)


_READERS: dict[str, Callable[[Any], Any]] = {
    "parquet": _read_parquet,
    "arrow": _read_arrow,
    "orc": _read_orc,
}


def _readable(table: Any, notes: Notes) -> Any:
    """The table with types that Python has: instants in UTC, microseconds at most."""
    columns = []
    for column in table.columns:
        kind = column.type
        if pa.types.is_dictionary(kind):
            column = column.cast(kind.value_type)  # noqa: PLW2901
            kind = column.type
        if pa.types.is_timestamp(kind):
            if kind.unit == "ns":
                micros = column.cast(pa.timestamp("us", kind.tz), safe=False)
                if not micros.cast(kind).equals(column):
                    notes.say("times were cut to microseconds")
                column = micros  # noqa: PLW2901
            if kind.tz is not None:
                column = column.cast(pa.timestamp(column.type.unit, "UTC"))  # noqa: PLW2901
        elif pa.types.is_time64(kind) and kind.unit == "ns":
            column = column.cast(pa.time64("us"), safe=False)  # noqa: PLW2901
        elif pa.types.is_duration(kind) and kind.unit == "ns":
            column = column.cast(pa.duration("us"), safe=False)  # noqa: PLW2901
        columns.append(column)
    return pa.table(columns, names=list(_names(table)))


def _rows(table: Any) -> Iterator[Row]:
    for batch in table.to_batches(max_chunksize=_BATCH_ROWS):
        with _reading("arrow"):
            columns = [_listed(column) for column in batch.columns]
        yield from zip(*columns, strict=True) if columns else iter(())


def _listed(column: Any) -> list[Value]:
    values: list[Value] = column.to_pylist()
    if pa.types.is_map(column.type):
        return [None if one is None else dict(one) for one in values]
    return values


def write(table: Table, work: Work, notes: Notes) -> Buffer:
    """One table as Parquet, Arrow or ORC. Raises TargetTooLarge."""
    arrow = arrow_of(table, notes)
    buffer = CappedBuffer(work.bounds.output_bytes_max)
    _WRITERS[work.target](arrow, buffer, work.options.compression, notes)
    return buffer.take()


def _write_parquet(table: Any, buffer: CappedBuffer, packed: str, _notes: Notes) -> None:
    packing = {"auto": "snappy"}.get(packed, packed)
    pq.write_table(table, buffer, compression=packing, row_group_size=_ROW_GROUP)


def _write_arrow(table: Any, buffer: CappedBuffer, packed: str, _notes: Notes) -> None:
    packing = {"auto": "zstd", "none": None}.get(packed, packed)
    options = pa.ipc.IpcWriteOptions(compression=packing, use_threads=False)
    with pa.ipc.new_file(buffer, table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=_ROW_GROUP)


def _write_orc(table: Any, buffer: CappedBuffer, packed: str, notes: Notes) -> None:
    columns = []
    for column in table.columns:
        kind = column.type
        if pa.types.is_time(kind) or pa.types.is_duration(kind) or pa.types.is_decimal256(kind):
            notes.say("times of day, durations and very long decimals became text: ORC has none")
            column = pa.chunked_array([_texts(column)], pa.string())  # noqa: PLW2901
        elif pa.types.is_null(kind):
            column = column.cast(pa.string())  # noqa: PLW2901
        columns.append(column)
    plain = pa.table(columns, names=table.column_names)
    orc.write_table(plain, buffer, compression=_ORC_PACKED.get(packed, packed))


def _texts(column: Any) -> list[str | None]:
    return [None if value is None else word_of(value) for value in column.to_pylist()]


_WRITERS: dict[str, Callable[[Any, CappedBuffer, str, Notes], None]] = {
    "parquet": _write_parquet,
    "arrow": _write_arrow,
    "orc": _write_orc,
}


def arrow_of(table: Table, notes: Notes) -> Any:
    """The table with a type for each column: as declared, or the narrowest that holds all."""
    if table.arrow is not None:
        return table.arrow
    columns: list[list[Value]] = [[] for _ in table.columns]
    for row in table.rows():
        for column, value in zip(columns, row, strict=True):
            column.append(value)
    return pa.table([_array(column, notes) for column in columns], names=list(table.columns))


def _array(values: list[Value], notes: Notes) -> Any:
    kinds = {type(value) for value in values if value is not None}
    declare = _declared(kinds, values)
    try:
        if declare is not None:
            kind, change = declare
            changed = values if change is None else [
                None if value is None else change(value) for value in values
            ]  # fmt: skip
            return pa.array(changed, kind)
        if kinds <= {list, dict}:
            return pa.array(values)
    except (pa.ArrowException, OverflowError, ValueError, TypeError):
        pass
    notes.say("columns that hold values of several kinds were written as text")
    return pa.array([None if value is None else word_of(value) for value in values], pa.string())


def _declared(
    kinds: set[type], values: Sequence[Value]
) -> tuple[Any, Callable[[Value], Value] | None] | None:
    """The Arrow type of a column of these Python types, and how its values are made alike."""
    if len(kinds) <= 1 and (plain := _PLAIN.get(next(iter(kinds), str))) is not None:
        return plain, None
    if kinds == {int} and all(value is None or value in _INT64 for value in values):
        return pa.int64(), None
    if kinds <= {float, int} and kinds != {int}:
        return pa.float64(), float
    if kinds <= {Decimal, int, float}:
        return _decimals(values)
    return _moments(values) if kinds <= {date, datetime} else None


_PLAIN = {
    str: pa.string(),
    bool: pa.bool_(),
    date: pa.date32(),
    time: pa.time64("us"),
    bytes: pa.binary(),
    timedelta: pa.duration("us"),
}


def _moments(values: Sequence[Value]) -> tuple[Any, Callable[[Value], Value]] | None:
    zoned = {getattr(value, "tzinfo", None) is not None for value in values if value is not None}
    if len(zoned) > 1:
        return None
    return pa.timestamp("us", "UTC" if zoned == {True} else None), _moment


def _moment(value: date) -> datetime:
    if not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day)  # noqa: DTZ001  # as naive as the others
    return value.astimezone(UTC) if value.tzinfo else value


def _decimals(values: Sequence[Value]) -> tuple[Any, Callable[[Value], Value]] | None:
    whole = scale = 0
    for value in values:
        if value is None:
            continue
        parts = _decimal(value).as_tuple()
        if not isinstance(parts.exponent, int):
            return None
        scale = max(scale, -parts.exponent)
        whole = max(whole, len(parts.digits) + parts.exponent, 1)
    digits = whole + scale
    if digits > _DECIMAL_DIGITS_LARGE:
        return None
    make = pa.decimal128 if digits <= _DECIMAL_DIGITS else pa.decimal256
    return make(digits, scale), _decimal


def _decimal(value: Value) -> Decimal:
    return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
