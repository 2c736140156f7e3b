"""Avro, by fastavro. Its schema is made from the columns' Arrow types, so that types agree."""

import io
import re
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import fastavro
import pyarrow as pa
from fastavro.schema import SchemaParseException

from engine.converter import Work
from engine.converters.capped import CappedBuffer
from engine.converters.data.arrow import arrow_of
from engine.converters.data.tables import Notes, Row, Table, check_cells, distinct
from engine.converters.data.words import word_of
from engine.errors import SourceUnreadable
from engine.job import Buffer

_PACKED = {"auto": "deflate", "gzip": "deflate", "none": "null"}
_DAMAGE = (
    ValueError, TypeError, LookupError, EOFError, AttributeError, ArithmeticError, AssertionError,
    OSError, zlib.error, struct.error, SchemaParseException, StopIteration, RuntimeError,
)  # fmt: skip


def read(work: Work, notes: Notes) -> list[Table]:
    """The records of an Avro container. Raises SourceUnreadable, SourceTooComplex."""
    rows: list[Row] = []
    try:
        reader: Any = fastavro.reader(io.BytesIO(work.inputs[0]))
        schema: Any = reader.writer_schema
        record = isinstance(schema, dict) and schema.get("type") == "record"
        names = [field["name"] for field in schema["fields"]] if record else ["value"]
        for number, value in enumerate(reader):
            if not number & 0xFF:
                check_cells(number, len(names))
            rows.append([value[name] for name in names] if record else [value])
    except _DAMAGE as error:
        raise SourceUnreadable(
            "the Avro data cannot be read: it is damaged, cut off, or of an unusual kind"
        ) from error
    columns = distinct(names, notes)

    def all_rows() -> Iterator[Row]:
        return iter(rows)

    return [Table(name="data", columns=columns, rows=all_rows)]


def write(table: Table, work: Work, notes: Notes) -> Buffer:
    """One table as an Avro container. Raises TargetTooLarge."""
    arrow = arrow_of(table, notes)
    names = _names(table.columns, notes)
    fields = [
        {"name": name, "type": ["null", _schema(field.type, name)], "default": None}
        for name, field in zip(names, arrow.schema, strict=True)
    ]
    schema = fastavro.parse_schema({"type": "record", "name": "row", "fields": fields})
    texts = [_is_text(field.type) for field in arrow.schema]
    buffer = CappedBuffer(work.bounds.output_bytes_max)
    records = (
        {
            name: word_of(value) if text and value is not None else value
            for name, value, text in zip(names, row, texts, strict=True)
        }
        for batch in arrow.to_batches()
        for row in zip(*(column.to_pylist() for column in batch.columns), strict=True)
    )
    fastavro.writer(buffer, schema, records, codec=_PACKED[work.options.compression])
    return buffer.take()


def _is_text(kind: Any) -> bool:
    return bool(pa.types.is_duration(kind))


def _names(columns: tuple[str, ...], notes: Notes) -> tuple[str, ...]:
    plain = []
    for name in columns:
        word = re.sub(r"[^A-Za-z0-9_]", "_", name)
        word = word if word and not word[0].isdigit() else f"_{word}"
        if word != name:
            notes.say("names that Avro cannot hold were changed: other characters became _")
        plain.append(word)
    return distinct(plain, notes)


_PLAIN: tuple[tuple[Any, Any], ...] = (
    (pa.types.is_boolean, "boolean"),
    (pa.types.is_integer, "long"),
    (pa.types.is_floating, "double"),
    (pa.types.is_date, {"type": "int", "logicalType": "date"}),
    (pa.types.is_time, {"type": "long", "logicalType": "time-micros"}),
    (pa.types.is_binary, "bytes"),
    (pa.types.is_large_binary, "bytes"),
    (pa.types.is_fixed_size_binary, "bytes"),
)


def _schema(kind: Any, name: str) -> Any:
    """The Avro schema of an Arrow type. `name` makes the names of nested records unique."""
    for fits, schema in _PLAIN:
        if fits(kind):
            return schema
    if pa.types.is_timestamp(kind):
        zone = "timestamp-micros" if kind.tz else "local-timestamp-micros"
        return {"type": "long", "logicalType": zone}
    if pa.types.is_decimal(kind):
        return {
            "type": "bytes", "logicalType": "decimal",
            "precision": kind.precision, "scale": kind.scale,
        }  # fmt: skip
    return _nested_schema(kind, name)


def _nested_schema(kind: Any, name: str) -> Any:
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return {"type": "array", "items": ["null", _schema(kind.value_type, f"{name}_item")]}
    if pa.types.is_map(kind):
        return {"type": "map", "values": ["null", _schema(kind.item_type, f"{name}_item")]}
    if pa.types.is_struct(kind):
        return {
            "type": "record",
            "name": f"{name}_record",
            "fields": [
                {
                    "name": re.sub(r"[^A-Za-z0-9_]|^(?=\d)", "_", field.name) or "_",
                    "type": ["null", _schema(field.type, f"{name}_{number}")],
                    "default": None,
                }
                for number, field in enumerate(kind)
            ],
        }
    return "string"
