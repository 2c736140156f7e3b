"""Every table and tree becomes every other, judged by readers that did not write it."""

import csv
import html.parser
import io
import json
import re
import struct
import subprocess
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import olefile
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tomlkit
import xlsxwriter
import yaml
from markdown_it import MarkdownIt
from msoffcrypto.format.ooxml import OOXMLFile
from pyarrow import orc

from engine.converters.data.catalogue import CONVERTERS, SOURCES, TARGETS
from engine.errors import EngineError
from tests.engine.calls import FILES
from tests.engine.own_converter import of_family
from tests.engine.real_workers import convert_all

convert = of_family("data")

_NAMES = ["id", "name", "price", "ok"]
_ROWS: list[list[Any]] = [
    [1, "Müller", 1.5, True],
    [2, "=1+1", -2.25, False],
    [3, None, None, None],
]
_HELD = {"csv", "tsv", "json", "ndjson", "yaml", "toml", "xml", "sql", "xls", "xlsb"}
_WORDS = {"csv", "tsv", "html", "md"}
_OPTIONS = {"xls": {"sheet": "1"}, "ooxml-encrypted": {"password": "secret"}}
_EVERY_PAIR = len(SOURCES) * len(TARGETS)


@cache
def upload(source: str) -> bytes:
    """The table as a file of this format, committed or written by another tool than ours."""
    if source in _HELD:
        return (FILES / "data" / f"table.{source}").read_bytes()
    return _MAKERS[source]()


def _arrow() -> pa.Table:
    columns = list(zip(*_ROWS, strict=True))
    return pa.table([pa.array(list(column)) for column in columns], names=_NAMES)


def _xlsx() -> bytes:
    buffer = io.BytesIO()
    with xlsxwriter.Workbook(buffer, {"in_memory": True, "strings_to_formulas": False}) as book:
        sheet = book.add_worksheet("Prices")
        for number, row in enumerate([_NAMES, *_ROWS]):
            sheet.write_row(number, 0, row)
    return buffer.getvalue()


def _locked() -> bytes:
    buffer = io.BytesIO()
    OOXMLFile(io.BytesIO(_xlsx())).encrypt("secret", buffer)
    return buffer.getvalue()


def _ods() -> bytes:
    return convert(_xlsx(), "xlsx", "ods").file


def _parquet() -> bytes:
    buffer = io.BytesIO()
    pq.write_table(_arrow(), buffer)
    return buffer.getvalue()


def _feather() -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, _arrow().schema) as writer:
        writer.write_table(_arrow())
    return bytes(sink.getvalue())


def _orc() -> bytes:
    buffer = io.BytesIO()
    orc.write_table(_arrow(), buffer)
    return buffer.getvalue()


def _avro() -> bytes:
    return convert(_parquet(), "parquet", "avro").file


def _sqlite() -> bytes:
    script = upload("sql").decode()
    with tempfile.NamedTemporaryFile() as file:
        subprocess.run(["sqlite3", file.name], input=script.encode(), check=True)
        return Path(file.name).read_bytes()


_MAKERS: dict[str, Callable[[], bytes]] = {
    "xlsx": _xlsx, "ods": _ods, "parquet": _parquet, "arrow": _feather, "orc": _orc,
    "avro": _avro, "sqlite": _sqlite, "ooxml-encrypted": _locked,
}  # fmt: skip


def _of_records(records: list[dict[str, Any]]) -> list[list[Any]]:
    return [[record.get(name) for name in _NAMES] for record in records]


def _of_delimited(content: bytes, delimiter: str = ",") -> list[list[Any]]:
    rows = list(csv.reader(io.StringIO(content.decode()), delimiter=delimiter))
    assert rows[0][:4] == _NAMES
    return [row[:4] for row in rows[1:]]


def _of_json(content: bytes) -> list[list[Any]]:
    return _of_records(_unwrapped(json.loads(content)))


def _unwrapped(tree: Any) -> Any:
    while isinstance(tree, dict):
        tree = next(value for key, value in tree.items() if not key.startswith("@xmlns"))
    return tree


def _of_yaml(content: bytes) -> list[list[Any]]:
    return _of_records(_unwrapped(yaml.safe_load(content)))  # the parser in Python, not libyaml


def _of_toml(content: bytes) -> list[list[Any]]:
    return _of_records(_unwrapped(tomlkit.parse(content.decode()).unwrap()))


def _of_xml(content: bytes) -> list[list[Any]]:
    root = ET.fromstring(content)  # noqa: S314  # our own
    if root.tag == "rows" and len(root) == 1 and len(root[0]) == 3 and root[0].tag != "row":
        root = root[0]
    rows = []
    for row in root:
        texts = {child.tag: child.text for child in row}
        rows.append([_typed_word(texts.get(name), name) for name in _NAMES])
    return rows


def _typed_word(word: str | None, name: str) -> Any:
    if word is None or name == "name":
        return word
    return json.loads(word)


_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def _of_xlsx(content: bytes) -> list[list[Any]]:
    parts = zipfile.ZipFile(io.BytesIO(content))
    shared = [
        "".join(text.text or "" for text in item.iter(f"{_MAIN}t"))
        for item in ET.fromstring(parts.read("xl/sharedStrings.xml"))  # noqa: S314
    ]
    sheet = ET.fromstring(parts.read("xl/worksheets/sheet1.xml"))  # noqa: S314
    assert not list(sheet.iter(f"{_MAIN}f"))
    rows = []
    for row in sheet.iter(f"{_MAIN}row"):
        cells: list[Any] = [None] * 4
        for cell in row:
            column = ord(cell.attrib["r"][0]) - 65
            value = cell.find(f"{_MAIN}v")
            if value is None or column > 3:
                continue
            kind, word = cell.attrib.get("t", "n"), value.text or ""
            cells[column] = (
                shared[int(word)] if kind == "s" else word == "1" if kind == "b" else float(word)
            )
        rows.append(cells)
    assert rows[0] == _NAMES
    return rows[1:]


def _of_xls(content: bytes) -> list[list[Any]]:
    """By hand, as [MS-XLS] says: enough for texts in one record, numbers and truths."""
    stream = olefile.OleFileIO(io.BytesIO(content)).openstream("Workbook").read()
    texts: list[str] = []
    cells: dict[tuple[int, int], Any] = {}
    at = 0
    while at + 4 <= len(stream):  # what is left is the room up to the next sector
        kind, size = struct.unpack_from("<2H", stream, at)
        body, at = stream[at + 4 : at + 4 + size], at + 4 + size
        if kind == 0xFC:
            begin = 8
            for _ in range(struct.unpack_from("<I", body, 4)[0]):
                length, wide = struct.unpack_from("<HB", body, begin)
                end = begin + 3 + length * (1 + wide)
                texts.append(body[begin + 3 : end].decode("utf-16-le" if wide else "latin-1"))
                begin = end
        elif kind in {0xFD, 0x0203, 0x0205}:
            place = struct.unpack_from("<2H", body)
            cells[place] = {
                0xFD: lambda body=body: texts[struct.unpack_from("<I", body, 6)[0]],
                0x0203: lambda body=body: struct.unpack_from("<d", body, 6)[0],
                0x0205: lambda body=body: body[6] == 1,
            }[kind]()
    rows = [
        [cells.get((row, column)) for column in range(4)]
        for row in range(1 + max(row for row, _ in cells))
    ]
    assert rows[0] == _NAMES
    return rows[1:]


def _of_ods(content: bytes) -> list[list[Any]]:
    parts = zipfile.ZipFile(io.BytesIO(content))
    assert parts.infolist()[0].filename == "mimetype"
    assert parts.infolist()[0].compress_type == zipfile.ZIP_STORED
    assert parts.read("mimetype") == b"application/vnd.oasis.opendocument.spreadsheet"
    root = ET.fromstring(parts.read("content.xml"))  # noqa: S314
    space = "{urn:oasis:names:tc:opendocument:xmlns:"
    rows = []
    for row in root.iter(f"{space}table:1.0}}table-row"):
        cells: list[Any] = []
        for cell in row:
            kind = cell.get(f"{space}office:1.0}}value-type")
            text = "".join(cell.itertext())
            value = cell.get(f"{space}office:1.0}}value", "0")
            truth = cell.get(f"{space}office:1.0}}boolean-value") == "true"
            cells.append({"float": float(value), "boolean": truth, None: None}.get(kind, text))
        rows.append(cells[:4])
    assert rows[0] == _NAMES
    return rows[1:]


def _of_arrow(content: bytes) -> list[list[Any]]:
    return _of_records(pa.ipc.open_file(content).read_all().to_pylist())


def _of_parquet(content: bytes) -> list[list[Any]]:
    return _of_records(pq.read_table(io.BytesIO(content)).to_pylist())


def _of_orc(content: bytes) -> list[list[Any]]:
    return _of_records(orc.ORCFile(io.BytesIO(content)).read().to_pylist())


def _of_avro(content: bytes) -> list[list[Any]]:
    """By hand, as the specification says: enough for unions of null and a plain type."""
    stream = io.BytesIO(content)
    assert stream.read(4) == b"Obj\x01"

    def number() -> int:
        value = shift = 0
        while True:
            byte = stream.read(1)[0]
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return (value >> 1) ^ -(value & 1)

    def sized() -> bytes:
        return stream.read(number())

    head = {}
    while count := number():
        for _ in range(count):
            name = sized()
            head[name] = sized()
    stream.read(16)
    schema = json.loads(head[b"avro.schema"])
    count, packed = number(), sized()
    stream = io.BytesIO(zlib.decompress(packed, -15))
    plain = {
        "long": number,
        "double": lambda: struct.unpack("<d", stream.read(8))[0],
        "boolean": lambda: stream.read(1) == b"\x01",
        "string": lambda: sized().decode(),
    }
    records = [
        {
            field["name"]: plain.get(str(field["type"][1]), number)() if number() else None
            for field in schema["fields"]
        }
        for _ in range(count)
    ]
    return _of_records(records)


def _of_sql(content: bytes) -> list[list[Any]]:
    return _of_query([":memory:"], content.decode() + _query(content))


def _of_sqlite(content: bytes) -> list[list[Any]]:
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        return _of_query(["-readonly", file.name], _query(content))


def _query(content: bytes) -> str:
    table = re.search(r'CREATE TABLE "(\w+)"', content.decode("latin-1"))
    assert table is not None
    return f"SELECT {', '.join(_NAMES)} FROM {table[1]};\n"  # noqa: S608  # our own


def _of_query(place: list[str], script: str) -> list[list[Any]]:
    told = subprocess.run(
        ["sqlite3", "-json", *place], input=script.encode(), capture_output=True, check=True
    ).stdout
    rows = _of_records(json.loads(told))
    return [[*row[:3], None if row[3] is None else bool(row[3])] for row in rows]


class _Cells(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        del attrs
        if tag == "tr":
            self.rows.append([])
        elif tag in {"td", "th"}:
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data.strip()


def _of_html(content: bytes) -> list[list[Any]]:
    cells = _Cells()
    cells.feed(content.decode())
    assert cells.rows[0][:4] == _NAMES
    return [row[:4] for row in cells.rows[1:]]


def _of_markdown(content: bytes) -> list[list[Any]]:
    return _of_html(MarkdownIt("commonmark").enable("table").render(content.decode()).encode())


_JUDGES: dict[str, Callable[[bytes], list[list[Any]]]] = {
    "csv": _of_delimited,
    "tsv": lambda content: _of_delimited(content, "\t"),
    "json": _of_json,
    "ndjson": lambda content: _of_records(
        [record for line in content.splitlines() for record in _listed(json.loads(line))]
    ),
    "yaml": _of_yaml,
    "toml": _of_toml,
    "xml": _of_xml,
    "xlsx": _of_xlsx,
    "xls": _of_xls,
    "ods": _of_ods,
    "parquet": _of_parquet,
    "arrow": _of_arrow,
    "orc": _of_orc,
    "avro": _of_avro,
    "sqlite": _of_sqlite,
    "sql": _of_sql,
    "html": _of_html,
    "md": _of_markdown,
}


def _listed(value: Any) -> list[dict[str, Any]]:
    """A TOML or XML document goes into NDJSON as the one object that it is."""
    found = value if "id" in value else _unwrapped(value)
    return found if isinstance(found, list) else [found]


def _wording(value: Any) -> str:
    return "" if value is None else json.dumps(value) if isinstance(value, bool) else str(value)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("source", SOURCES)
def test_every_table_becomes_every_other_with_its_values(source: str, target: str) -> None:
    options = _OPTIONS.get(source, {})
    seen = _JUDGES[target](convert(upload(source), source, target, **options).file)
    seen = [row for row in seen if any(value not in {None, ""} for value in row)]
    if target in _WORDS:
        assert [[word.replace("\\", "") for word in row] for row in seen] == [
            [_wording(value) for value in row] for row in _ROWS
        ]
    else:
        assert seen == _ROWS
        assert [type(value) for value in seen[0][1:]] == [str, float, bool]


async def test_every_pair_runs_in_a_worker_that_can_open_nothing() -> None:
    uploads = {source: [upload(source)] for source in SOURCES}
    done = await convert_all("data", uploads, options=_OPTIONS)
    refused = {pair: str(one) for pair, one in done.items() if isinstance(one, EngineError)}
    assert refused == {}
    assert len(done) == _EVERY_PAIR == sum(len(c.sources) * len(c.targets) for c in CONVERTERS)
