"""Tables and trees that lie, break or explode: each gets its own error, none a crash."""

import io
import json
import random
import sqlite3
import struct
import zipfile
import zlib
from itertools import pairwise

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xlsxwriter

from engine.converters.data.catalogue import SOURCES
from tests.engine.own_converter import of_family
from tests.engine.test_data_pairs import upload

convert = of_family("data")

_REFUSALS = {
    "", "SourceUnreadable", "SourceTooComplex", "TargetImpossible", "TargetTooLarge",
    "PasswordRequired", "ConversionOutOfMemory",
}  # fmt: skip
_BINARY = [one for one in SOURCES if one not in {"csv", "tsv", "sql", "yaml"}]


@pytest.mark.parametrize("source", _BINARY)
@pytest.mark.parametrize("content", [b"\0", b"{", b"<", b"not a table at all", bytes(5000)])
def test_what_is_no_table_is_unreadable(source: str, content: bytes) -> None:
    assert convert(content, source, "csv").error == "SourceUnreadable"


@pytest.mark.parametrize("source", SOURCES)
def test_what_is_cut_off_or_damaged_fails_well(source: str) -> None:
    chance = random.Random(source)  # noqa: S311  # seeded damage
    whole = upload(source)
    for part in range(1, 12):
        reply = convert(whole[: len(whole) * part // 12], source, "ndjson")
        assert reply.error in _REFUSALS, reply.detail
    for _ in range(40 if source != "ooxml-encrypted" else 5):
        damaged = bytearray(whole)
        for _ in range(chance.randint(1, 8)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        reply = convert(bytes(damaged), source, "ndjson")
        assert reply.error in _REFUSALS, reply.detail


def test_an_encrypted_workbook_says_so_and_opens_with_its_password() -> None:
    locked = upload("ooxml-encrypted")
    for options in ({}, {"password": "wrong"}):
        reply = convert(locked, "xlsx", "csv", **options)
        assert (reply.error, "option password" in reply.detail) == ("PasswordRequired", True)
    opened = convert(locked, "xlsx", "csv", password="secret")  # protects nothing
    assert opened.file.startswith(b"id,name")
    assert "the result is not encrypted; the source was" in opened.warnings


def workbook_of(rows: bytes, sheet: str = "worksheets/sheet1.xml") -> bytes:
    """A workbook with this inside its one sheet's `sheetData`, that part being called so."""
    buffer, whole = io.BytesIO(), zipfile.ZipFile(io.BytesIO(upload("xlsx")))
    with zipfile.ZipFile(buffer, "w") as book:
        for name in whole.namelist():
            part = whole.read(name).replace(b"worksheets/sheet1.xml", sheet.encode())
            if name == "xl/worksheets/sheet1.xml":
                name = f"xl/{sheet}"  # noqa: PLW2901  # the same part, elsewhere
                before, start, rest = part.partition(b"<sheetData>")
                part = before + start + rows + rest[rest.index(b"</sheetData>") :]
            book.writestr(name, part)
    return buffer.getvalue()


_ONE, _LAST = b"<v>1</v></c>", b"<v>2</v></c></row>"


@pytest.mark.parametrize(
    "rows",
    [
        b'<row r="1"><c r="A1">' + _ONE + b'<c r="AAAA900000">' + _LAST,
        b'<row r="1"><c r="a1">' + _ONE + b'<c r="zzz900000">' + _LAST,
        b'<row r="1"><c r="A1">' + _ONE + b'<c s="1"r="ZZZ900000">' + _LAST,
        b'<row r="1"><c r="A1">' + _ONE + b'<c\tr\n=\n"ZZZ900000">' + _LAST,
        b"<row r='1'><c r='A1'>" + _ONE + b"<c r='ZZZ900000'>" + _LAST,
        b'<row r="1"><c r="A1">' + _ONE + b'<c r="A2" r="ZZZ900000">' + _LAST,
        b'<row r="1"><c r="A1">' + _ONE + b'<c s=">" r="ZZZ900000">' + _LAST,
        b'<row r="1"><c r="A1">' + _ONE + b'<c s=" --><c r="ZZZ900000">' + _LAST,
        b'<row r="1"><n:c r="A1">' + _ONE + b'<n:c r="ZZZ900000">' + _LAST,
        b'<x:row r="1"><x:c r="A1">' + _ONE + b'<x:c r="ZZZ900000">' + _LAST,
        b"<row>" + b"<c/>" * 5000 + b"<c>" + _LAST + b"<row/>" * 5000 + b"<row><c>" + _LAST,
        b'<row r="900000">' + b"<c/>" * 5000 + b"<c>" + _LAST,
        b"<row>" + (b"<c/>" * 500 + b"<!-- <row> -->") * 10 + b"<c>" + _LAST + b"<row/>" * 5000,
    ],
)
def test_a_far_cell_is_found_however_it_says_where_it_is(rows: bytes) -> None:
    assert convert(workbook_of(rows), "xlsx", "csv").error == "SourceTooComplex"


@pytest.mark.parametrize("sheet", ["pages/one.xml", "media/one.png", "worksheets/one.bin"])
def test_a_far_cell_is_found_in_whatever_part_its_sheet_is(sheet: str) -> None:
    rows = b'<row r="1"><c r="A1">' + _ONE + b'<c r="ZZZ900000">' + _LAST
    assert convert(workbook_of(rows, sheet), "xlsx", "csv").error == "SourceTooComplex"


@pytest.mark.parametrize(
    "rows",
    [
        b'<row r="1"><c r="A1"><v>1</v></c><c r="B1"><v>2</v></c></row>',
        b"<row><c><v>1</v></c><c><v>2</v></c></row>",
        b'<x:row r="1"><x:c r="A1"><x:v>1</x:v></x:c><x:c r="B1"><x:v>2</x:v></x:c></x:row>',
        b'<row r="1"><c r="A1"><v>1</v></c><!-- <c s="1" --><c r="B1"><v>2</v></c></row>',
    ],
)
def test_a_sheet_is_read_however_it_says_where_its_cells_are(rows: bytes) -> None:
    assert convert(workbook_of(rows), "xlsx", "csv").file == b"1,2\n"


@pytest.mark.claim("C-BOMB-1")
def test_a_workbook_of_two_far_cells_is_refused_before_room_is_made() -> None:
    buffer = io.BytesIO()
    with xlsxwriter.Workbook(buffer, {"in_memory": True}) as book:
        sheet = book.add_worksheet()
        sheet.write(0, 0, 1)
        sheet.write(1_048_575, 16_383, 1)
    assert convert(buffer.getvalue(), "xlsx", "csv").error == "SourceTooComplex"
    parts = {
        name: zipfile.ZipFile(io.BytesIO(upload("ods"))).read(name)
        for name in ("mimetype", "content.xml", "META-INF/manifest.xml")
    }
    parts["content.xml"] = (
        parts["content.xml"]
        .replace(
            b"<table:table-cell office:value-type",
            b'<table:table-cell table:number-columns-repeated="16384" office:value-type',
        )
        .replace(b"<table:table-row>", b'<table:table-row table:number-rows-repeated="1048576">')
    )
    assert convert(_zip(parts), "ods", "csv").error == "SourceTooComplex"


def _zip(parts: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.claim("C-BOMB-1")
@pytest.mark.parametrize("place", ["worksheets/sheet1.bin", "worksheets/odd", "worksheets/a.png"])
def test_a_far_cell_in_binary_workbooks_is_refused(place: str) -> None:
    xlsb = zipfile.ZipFile(io.BytesIO(upload("xlsb")))
    parts = {name: xlsb.read(name) for name in xlsb.namelist()}
    sheet = parts.pop("xl/worksheets/sheet1.bin")
    links = parts["xl/_rels/workbook.bin.rels"]
    parts["xl/_rels/workbook.bin.rels"] = links.replace(b"worksheets/sheet1.bin", place.encode())
    near = convert(_zip({**parts, f"xl/{place}": sheet}), "xlsb", "csv")
    assert near.file == convert(upload("xlsb"), "xlsb", "csv").file
    row = struct.pack("<I", 3)
    at = sheet.rindex(b"\x00\x11" + row)
    far = sheet[: at + 2] + struct.pack("<I", 1_048_575) + sheet[at + 6 :]
    far = far.replace(struct.pack("<II", 3, 0), struct.pack("<II", 16_383, 0))
    for damaged in (far, far[:-1]):
        reply = convert(_zip({**parts, f"xl/{place}": damaged}), "xlsb", "csv")
        assert reply.error == "SourceTooComplex"


def test_macros_and_pictures_of_a_workbook_are_missed_by_name() -> None:
    book = zipfile.ZipFile(io.BytesIO(upload("xlsx")))
    parts = {name: book.read(name) for name in book.namelist()}
    with_more = _zip({**parts, "xl/vbaProject.bin": b"x", "xl/media/image1.png": b"x"})
    said = convert(with_more, "xlsx", "csv").warnings
    assert "the macros of the workbook were not run and are not in the result" in said
    assert "charts and pictures of the workbook are not in the result" in said


@pytest.mark.claim("C-BOMB-1")
def test_yaml_aliases_are_counted_before_they_are_followed() -> None:
    levels = "\n".join(f"a{n + 1}: &a{n + 1} [{', '.join([f'*a{n}'] * 10)}]" for n in range(9))
    bomb = f"a0: &a0 [x]\n{levels}\n"
    merges = "\n".join(
        f"m{n + 1}: &m{n + 1} {{<<: [{', '.join([f'*m{n}'] * 10)}]}}" for n in range(9)
    )
    for content in (bomb, f"m0: &m0 {{k: v}}\n{merges}\n"):
        assert convert(content.encode(), "yaml", "json").error == "SourceTooComplex"
    assert convert(b"a: &a [*a]\n", "yaml", "json").error == "SourceTooComplex"
    honest = convert(b"a: &x {k: 1}\nb: *x\n", "yaml", "json")
    assert json.loads(honest.file) == {"a": {"k": 1}, "b": {"k": 1}}


def test_yaml_of_a_programming_language_is_refused_and_of_an_application_read() -> None:
    for tag in ("!!python/object/apply:os.system ['id']", "!!python/name:os.system x"):
        assert convert(f"a: {tag}\n".encode(), "yaml", "json").error == "SourceUnreadable"
    told = convert(b"a: !Ref x\nb: !If [1, 2]\nno: on\nt: 1:30\n", "yaml", "json")
    assert json.loads(told.file) == {"a": "x", "b": [1, 2], "no": "on", "t": "1:30"}


@pytest.mark.claim("C-BOMB-1")
def test_xml_entities_are_not_read() -> None:
    entities = "".join(
        f'<!ENTITY e{after} "{f"&e{before};" * 10}">' for before, after in pairwise(range(10))
    )
    bomb = f'<!DOCTYPE x [<!ENTITY e0 "x">{entities}]><x>&e9;</x>'
    file = '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>'
    for content in (bomb, file):
        assert convert(content.encode(), "xml", "json").error in {
            "SourceTooComplex", "SourceUnreadable",
        }  # fmt: skip
    outside = '<!DOCTYPE x SYSTEM "http://127.0.0.1/x.dtd"><x>1</x>'
    assert json.loads(convert(outside.encode(), "xml", "json").file) == {"x": 1}


@pytest.mark.parametrize(
    ("source", "content"),
    [
        ("json", b"[" * 100_000 + b"]" * 100_000),
        ("json", b'{"a":' * 500 + b"1" + b"}" * 500),
        ("xml", b"<a>" * 5000 + b"</a>" * 5000),
        ("yaml", b"[" * 5000 + b"]" * 5000),
        ("toml", b"a = " + b"[" * 500 + b"]" * 500),
    ],
)
def test_what_is_nested_too_deeply_is_refused(source: str, content: bytes) -> None:
    assert convert(content, source, "json").error in {"SourceTooComplex", "SourceUnreadable"}


@pytest.mark.claim("C-BOMB-1")
def test_a_column_of_one_repeated_value_is_refused_from_the_file_s_own_count() -> None:
    once = pa.array(["x"]).dictionary_encode()
    column = pa.DictionaryArray.from_arrays(pa.array([0] * 25_000_000, pa.int8()), once.dictionary)
    buffer = io.BytesIO()
    pq.write_table(pa.table({"a": column}), buffer)
    assert len(buffer.getvalue()) < 100_000
    assert convert(buffer.getvalue(), "parquet", "csv").error == "SourceTooComplex"


def test_too_many_columns_are_refused() -> None:
    wide = ",".join(map(str, range(20_000))).encode() + b"\n"
    assert convert(wide, "csv", "json").error == "SourceTooComplex"


def test_a_script_may_create_and_fill_tables_and_nothing_else() -> None:
    script = b"""
        ATTACH '/tmp/x' AS other; PRAGMA writable_schema=1; CREATE TABLE t (a);
        SELECT load_extension('x'); INSERT INTO t VALUES (1), (2); DROP TABLE t; DELETE FROM t;
        CREATE TRIGGER g AFTER INSERT ON t BEGIN DELETE FROM t; END; VACUUM INTO '/tmp/y';
    """
    reply = convert(script, "sql", "json")
    assert json.loads(reply.file) == [{"a": 1}, {"a": 2}]
    assert "not run" in reply.warnings[0]
    for evil in (
        b"CREATE TABLE t AS WITH c(x) AS (SELECT 1 UNION ALL SELECT x FROM c) SELECT x FROM c",
        b"CREATE TABLE t (a); INSERT INTO t VALUES (zeroblob(2000000000))",
        b"CREATE TABLE t (a); INSERT INTO t SELECT readfile('/etc/passwd')",
    ):
        assert convert(evil, "sql", "json").error == "SourceUnreadable"


def test_views_and_triggers_of_a_database_are_not_run() -> None:
    connection = sqlite3.connect(":memory:")
    connection.executescript(
        "CREATE TABLE t (a); INSERT INTO t VALUES (1);"
        "CREATE VIEW endless AS WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c)"
        " SELECT x FROM c; PRAGMA journal_mode=WAL;"
    )
    content = bytearray(connection.serialize())
    connection.close()
    content[18:20] = b"\x02\x02"  # as WAL mode marks it
    reply = convert(bytes(content), "sqlite", "json", sheet="all")
    assert json.loads(reply.file) == [{"a": 1}]
    assert len(reply.warnings) == 2


def test_a_gzip_in_a_workbook_s_clothes_is_unpacked_no_further_than_the_limit() -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    blocks = [packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH) for _ in range(2)]
    body = blocks[0] + blocks[1] * 599 + b"\x03\x00"
    name = b"xl/worksheets/sheet1.xml"
    head = struct.pack("<HHHHHIIIHH", 20, 0, 8, 0, 0x21, 0, len(body), 600 << 20, len(name), 0)
    local = b"PK\x03\x04" + head + name + body
    central = b"PK\x01\x02\x14\x00" + head + bytes(14) + name
    tail = struct.pack("<HHHHIIH", 0, 0, 1, 1, len(central), len(local), 0)
    bomb = local + central + b"PK\x05\x06" + tail
    assert convert(bomb, "xlsx", "csv").error == "SourceTooComplex"


def test_error_sentences_hold_nothing_of_the_file() -> None:
    secret = b"TOP-SECRET"
    for source in SOURCES:
        for content in (secret * 9, upload(source)[:60] + secret * 9, b"{" + secret, b"<" + secret):
            for target in ("json", "parquet"):
                assert "SECRET" not in convert(content, source, target).detail
