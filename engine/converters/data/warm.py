"""Use every reader and writer of tables once, on a table small enough to cost nothing.

A worker can open no file: encodings, time zones and codecs are loaded here, before the fork.
"""

import io
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import get_args

from msoffcrypto.format import ooxml

from engine.converter import Work
from engine.converters.data import xlsx
from engine.converters.data.arrow import arrow_of
from engine.converters.data.catalogue import CONVERTERS, DataOptions, Encoding, EncodingOut
from engine.converters.data.convert import READERS, convert
from engine.converters.data.delimited import CODECS
from engine.converters.data.scope import PACKED
from engine.converters.data.tables import Notes, Row, Table, of_rows
from engine.errors import EngineError
from engine.job import Bounds, Buffer
from engine.rehearsal import Rehearsal

_COLUMNS = (
    "whole", "part", "exact", "truth", "day", "moment", "instant", "hours", "span", "raw", "word",
)  # fmt: skip
_ROW: Row = (
    1, 2.5, Decimal("1.10"), True, date(2024, 2, 29), datetime(2024, 2, 29, 12, 30, 1, 5),  # noqa: DTZ001
    datetime(2024, 2, 29, tzinfo=UTC), time(1, 2, 3), timedelta(hours=30), b"\x00x", "=wörm",
)  # fmt: skip
_STREAM = "a: &x [1, 2.5, 0x10, 2024-02-29, 2024-02-29 10:00:00Z, yes, ~, !t x]\nb: *x\n---\nc\n"
_SECRET = "warm"  # noqa: S105  # protects nothing
_MISSING = b'{"a": 1, "b": [{"c": null}, {"c": {"d": [1]}}]}'


def warm() -> list[Rehearsal]:
    """Read and write each format, with each encoding and packing; fail once where files do."""
    samples = _samples()
    locked = io.BytesIO()
    ooxml.OOXMLFile(io.BytesIO(samples["xlsx"])).encrypt(_SECRET, locked)
    for password in (_SECRET, "", "x"):
        options = DataOptions(password=password)
        _attempt(locked.getvalue(), "ooxml-encrypted", "csv", options)
    for converter in CONVERTERS:
        for source in converter.sources:
            # Between them is a table: a reader knows nothing of the writer, but for its types.
            typed = source in {"csv", "json", "xlsx", "parquet"}
            for target in converter.targets if typed else converter.targets[:1]:
                _attempt(samples[source], source, target, DataOptions())
            _attempt(samples[source][: len(samples[source]) // 2], source, "json", DataOptions())
    for encoding in get_args(Encoding):
        name = CODECS.get(encoding, encoding)
        content = "a;b\n1;2,5\n".encode("utf-8" if name == "auto" else name)
        _attempt(content, "csv", "csv", DataOptions(encoding=encoding))
    for written in get_args(EncodingOut):
        _attempt(b"a,b\n1,2\n", "csv", "csv", DataOptions(encoding_out=written))
    for target in ("parquet", "arrow", "orc", "avro"):
        for packed in PACKED[target]:
            options = DataOptions(compression=packed)
            _attempt(_run(samples["csv"], "csv", target, options), target, "csv", DataOptions())
    _attempt(_STREAM.encode(), "yaml", "json", DataOptions())
    _attempt(b"\x00", "xls", "csv", DataOptions())
    for target in ("parquet", "avro", "csv", "xlsx", "yaml", "xml", "sql"):
        _attempt(_MISSING, "json", target, DataOptions())
    _attempt(b"a,b\n2024-01-01,1\n", "csv", "html", DataOptions(date_format="%A %d %B %Y"))
    return [Rehearsal("data.convert", "csv", "json", samples["csv"])]


def _samples() -> dict[str, bytes]:
    """One file a source, written by the writers themselves or by hand where there is none."""
    table = of_rows("data", _COLUMNS, [_ROW, (None,) * len(_ROW)])
    typed = Table(name="data", columns=_COLUMNS, rows=table.rows, arrow=arrow_of(table, Notes()))
    from_csv = b'a,b,c,d,e\n1,2.5,2024-02-29,true,"x, y"\n,,,,\n'
    samples = {"csv": from_csv, "tsv": b"a\tb\n1\t2\n"}
    samples |= dict.fromkeys(("xls", "xlsb", "ooxml-encrypted"), b"")
    samples["xlsx"] = bytes(xlsx.write([typed], _work(b"", "csv", "xlsx", DataOptions()), Notes()))
    for source in READERS:
        if source not in samples:
            samples[source] = bytes(_run(samples["xlsx"], "xlsx", source, DataOptions()))
    return samples


def _work(upload: Buffer, source: str, target: str, options: DataOptions) -> Work:
    return Work(
        sources=(source,), target=target, inputs=(upload,), options=options, bounds=Bounds()
    )


def _run(upload: Buffer, source: str, target: str, options: DataOptions) -> Buffer:
    return convert(_work(upload, source, target, options)).files[0]


def _attempt(upload: Buffer, source: str, target: str, options: DataOptions) -> None:
    try:
        _run(upload, source, target, options)
    except EngineError:
        return
