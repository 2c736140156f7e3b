"""What options of data.convert do, and that each either does it or is refused."""

import csv
import io
import json
import zipfile
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from xml.etree import ElementTree as ET

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xlsxwriter

from engine.errors import OptionInvalid
from engine.registry import by_name, parse_options
from tests.engine.own_converter import of_family

convert = of_family("data")

_SHEET = b"id,name,day\n1,Ulm,2024-02-29\n2,K\xc3\xb6ln,1999-12-31\n3,Bonn,\n"


def _json(content: bytes, source: str, **options: object) -> object:
    return json.loads(convert(content, source, "json", **options).file)


def _book(*sheets: tuple[str, list[list[object]]]) -> bytes:
    buffer = io.BytesIO()
    with xlsxwriter.Workbook(buffer, {"in_memory": True}) as book:
        for name, rows in sheets:
            sheet = book.add_worksheet(name)
            for number, row in enumerate(rows):
                sheet.write_row(number, 0, row)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("utf-8-sig", "\u00e4\u4e2d"),
        ("utf-16", "\u00e4\u4e2d"),
        ("windows-1251", "\u0416"),
        ("shift_jis", "\u30c6"),
        ("mac-roman", "\u00e4"),
    ],
)
def test_encodings_are_found_by_their_mark_or_given(encoding: str, text: str) -> None:
    content = f"a,b\n{text},1\n".encode(encoding.replace("windows-", "cp"))
    options = {} if encoding in {"utf-8-sig", "utf-16"} else {"encoding": encoding}
    assert _json(content, "csv", **options) == [{"a": text, "b": 1}]


def test_a_guessed_encoding_is_said_and_a_wrong_one_refused() -> None:
    reply = convert("a\nstra\u00dfe\n".encode("cp1252"), "csv", "json")
    assert json.loads(reply.file) == [{"a": "stra\u00dfe"}]
    assert "Windows-1252" in reply.warnings[0]
    wrong = convert(b"a\n\xff\xfe\xfa\n", "csv", "json", encoding="utf-8")
    assert (wrong.error, "encoding" in wrong.detail) == ("SourceUnreadable", True)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(delimiter: str) -> None:
    rows = [["name", "words", "n"], ["a", 'x, y; z | "q"', "1"], ["b", "line\nbreak", "2"]]
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter).writerows(rows)
    found = _json(text.getvalue().encode(), "csv")
    assert found == [
        {"name": "a", "words": 'x, y; z | "q"', "n": 1},
        {"name": "b", "words": "line\nbreak", "n": 2},
    ]


def test_a_delimiter_can_be_given() -> None:
    assert _json(b"a:b\n1:2\n", "csv", delimiter="colon") == [{"a": 1, "b": 2}]
    assert _json(b"a;b\n'x;y';2\n", "csv", quote="single") == [{"a": "x;y", "b": 2}]


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("12", 12), ("-3", -3), ("007", "007"), ("+49", "+49"), ("1.50", 1.5), (".5", 0.5),
        ("1e3", 1000.0), ("1e999", "1e999"), ("1_000", "1_000"), ("0x10", "0x10"), ("-0", "-0"),
        ("123456789012345678901", "123456789012345678901"), ("TRUE", True), ("yes", "yes"),
        ("2024-02-29", "2024-02-29"), ("2023-02-29", "2023-02-29"), ("10:30", "10:30:00"),
        ("2024-02-29T10:00:00Z", "2024-02-29T10:00:00Z"), ("NaN", "NaN"), ("", None), ("-", "-"),
        ("0.1234567890123456789", Decimal("0.1234567890123456789")), ("1,5", "1,5"),
    ],
)  # fmt: skip
def test_words_become_values_only_where_nothing_is_lost(word: str, value: object) -> None:
    line = f'"{word}"' if "," in word else word
    written = convert(f"x,y\na,{line}\n".encode(), "csv", "json").file
    seen = json.loads(written, parse_float=Decimal if isinstance(value, Decimal) else float)
    assert seen == [{"x": "a", "y": value}]
    assert type(seen[0]["y"]) is type(value)


def test_a_column_is_of_one_kind() -> None:
    told = _json(b"a,b,c\n1,1,2024-01-01\n2.5,x,2024-01-01 10:00\n", "csv")
    assert told == [
        {"a": 1.0, "b": "1", "c": "2024-01-01T00:00:00"},
        {"a": 2.5, "b": "x", "c": "2024-01-01T10:00:00"},
    ]


def test_types_can_be_left_alone() -> None:
    assert _json(b"a\n1\n", "csv", types="text") == [{"a": "1"}]
    # Where the target holds words, they stay as they were written.
    for target in ("tsv", "html", "md"):
        assert b"1.50" in convert(b"a,b\n1.50,01\n", "csv", target).file


def test_numbers_and_days_of_other_countries_are_read() -> None:
    european = b"n;d\n1.234,56;31.12.2024\n-0,5;01.02.2024\n"
    assert _json(european, "csv", dates="dmy") == [
        {"n": 1234.56, "d": "2024-12-31"}, {"n": -0.5, "d": "2024-02-01"},
    ]  # fmt: skip
    assert _json(b"d\n12/31/2024\n", "csv", dates="mdy") == [{"d": "2024-12-31"}]
    assert _json(b"d\n31/12/2024\n", "csv", dates="mdy") == [{"d": "31/12/2024"}]
    assert _json(b"n;m\n1.5;2\n", "csv", decimal="point") == [{"n": 1.5, "m": 2}]


def test_words_for_no_value_are_named() -> None:
    assert _json(b"a,b\nNA,1\n5,NULL\n", "csv", nulls="NA,NULL") == [
        {"a": None, "b": 1}, {"a": 5, "b": None},
    ]  # fmt: skip


def test_rows_and_columns_are_chosen_and_renamed() -> None:
    told = _json(_SHEET, "csv", columns="name,id", rename="name=Town", limit=2)
    assert told == [{"Town": "Ulm", "id": 1}, {"Town": "K\u00f6ln", "id": 2}]
    assert _json(b"junk\n\nmore\na\n1\n", "csv", skip=2) == [{"a": 1}]
    assert _json(b"1,2\n3,4\n", "csv", header=False)[0] == {"column_1": 1, "column_2": 2}  # type: ignore[index]
    quoted = _json(b'"a,b",c\n1,2\n', "csv", columns='"a,b"')
    assert quoted == [{"a,b": 1}]
    for options in ({"columns": "town"}, {"rename": "town=x"}):
        assert convert(_SHEET, "csv", "json", **options).error == "TargetImpossible"
    clash = convert(_SHEET, "csv", "json", rename="name=id")
    assert (clash.error, "same name" in clash.detail) == ("OptionInvalid", True)
    # Chosen from a columnar source too, with its types.
    parquet = convert(_SHEET, "csv", "parquet").file
    narrow = pq.read_table(io.BytesIO(convert(parquet, "parquet", "parquet", columns="day").file))
    assert narrow.schema.field("day").type == pa.date32()


def test_sheets_are_chosen_by_name_or_number_or_all() -> None:
    book = _book(("One", [["a"], [1]]), ("Two", [["b"], [2]]), ("3", [["c"], [3]]))
    first = convert(book, "xlsx", "csv")
    assert first.file == b"a\n1\n"
    assert "first of 3" in first.warnings[0]
    assert convert(book, "xlsx", "csv", sheet="Two").file == b"b\n2\n"
    assert convert(book, "xlsx", "csv", sheet=2).file == b"b\n2\n"
    assert convert(book, "xlsx", "csv", sheet=3).file == b"c\n3\n"
    assert convert(book, "xlsx", "csv", sheet="all").files == [b"a\n1\n", b"b\n2\n", b"c\n3\n"]
    assert convert(book, "xlsx", "csv", sheet="Four").error == "TargetImpossible"
    assert list(_json(book, "xlsx", sheet="all")) == ["One", "Two", "3"]  # type: ignore[call-overload]
    back = convert(convert(book, "xlsx", "sqlite").file, "sqlite", "ods").file
    assert convert(back, "ods", "csv", sheet="Two").file == b"b\n2\n"


def test_typed_cells_get_from_workbook_to_workbook() -> None:
    moment = datetime(2024, 2, 29, 12, 30, 15)  # noqa: DTZ001  # as a cell holds it
    arrow = pa.table({
        "whole": [1, None], "part": [0.1, 2.0], "truth": [True, False],
        "day": [date(2024, 2, 29), date(1900, 3, 1)], "moment": [moment, None],
        "hours": pa.array([time(1, 2, 3), None], pa.time64("us")),
        "span": pa.array([timedelta(hours=30), None], pa.duration("us")), "word": ["=x", "007"],
    })  # fmt: skip
    buffer = io.BytesIO()
    pq.write_table(arrow, buffer)
    for target in ("xlsx", "ods"):
        book = convert(buffer.getvalue(), "parquet", target)
        assert book.warnings == ()
        back = pq.read_table(io.BytesIO(convert(book.file, target, "parquet").file))
        assert back.to_pylist()[0] == {
            "whole": 1, "part": 0.1, "truth": True, "day": date(2024, 2, 29), "moment": moment,
            "hours": time(1, 2, 3), "span": timedelta(hours=30), "word": "=x",
        }  # fmt: skip
        assert back.to_pylist()[1]["word"] == "007"


def test_what_a_workbook_cannot_hold_is_written_as_text_and_said() -> None:
    rows = [{"n": 12345678901234567, "d": "x"}, {"n": 2, "d": "y" * 40_000}]
    for target in ("xlsx", "ods"):
        reply = convert(json.dumps(rows).encode(), "json", target)
        assert any(said.endswith("15 digits of one: 1") for said in reply.warnings)
        assert b"12345678901234567" in convert(reply.file, target, "csv").file
    arrow = pa.table({"t": [datetime(1850, 1, 1, tzinfo=UTC), datetime(2024, 1, 1, 5, tzinfo=UTC)]})
    buffer = io.BytesIO()
    pq.write_table(arrow, buffer)
    reply = convert(buffer.getvalue(), "parquet", "xlsx")
    assert any("UTC" in said for said in reply.warnings)
    assert any("1900" in said for said in reply.warnings)


@pytest.mark.parametrize("word", ["=1+1", "@SUM(A1)", "+cmd|x", "-x"])
def test_text_like_a_formula_is_said_or_defused(word: str) -> None:
    content = json.dumps([{"a": word, "b": -5, "c": "-5"}]).encode()
    said = convert(content, "json", "csv")
    assert said.file.decode() == f"a,b,c\n{word},-5,-5\n"
    assert "formulas=escape" in said.warnings[0]
    safe = convert(content, "json", "csv", formulas="escape")
    assert safe.file.decode() == f"a,b,c\n'{word},-5,-5\n"
    book = zipfile.ZipFile(io.BytesIO(convert(content, "json", "xlsx").file))
    assert b"<f>" not in book.read("xl/worksheets/sheet1.xml")


def test_formulas_of_a_workbook_are_not_run_and_said() -> None:
    buffer = io.BytesIO()
    with xlsxwriter.Workbook(buffer, {"in_memory": True}) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["a", "b"])
        sheet.write_formula(1, 0, "=1+1", None, 99)
        sheet.write_formula(1, 1, "=1/0", None, "#DIV/0!")
    reply = convert(buffer.getvalue(), "xlsx", "json")
    assert json.loads(reply.file) == [{"a": 99, "b": None}]
    assert len(reply.warnings) == 2


def test_how_a_csv_is_written_is_chosen() -> None:
    options = {
        "delimiter_out": "semicolon", "encoding_out": "utf-8-bom", "quote_out": "text",
        "newline": "crlf", "decimal_out": "comma", "date_format": "%d.%m.%Y", "null_out": "NULL",
        "titles": False,
    }  # fmt: skip
    content = b"n,d,t\n1.5,2024-02-29,x\n,,\xc3\xa4\n"
    written = convert(content, "csv", "csv", **options).file
    assert written == '\ufeff"1,5";"29.02.2024";"x"\r\n"NULL";"NULL";"\u00e4"\r\n'.encode()
    assert convert(content, "csv", "csv", encoding_out="iso-8859-1").file.endswith(b"\xe4\n")
    assert convert("a\n\u4e2d\n".encode(), "csv", "csv", encoding_out="iso-8859-1").error == (
        "TargetImpossible"
    )


def test_json_has_the_shape_that_was_asked_for() -> None:
    content = b"a,b\n1,x\n2,y\n"
    assert _json(content, "csv", orient="columns") == {"a": [1, 2], "b": ["x", "y"]}
    assert _json(content, "csv", orient="values") == [["a", "b"], [1, "x"], [2, "y"]]
    split = convert(content, "csv", "json", orient="split", pretty=False).file
    assert split == b'{"columns":["a","b"],"rows":[[1,"x"],[2,"y"]]}\n'
    for orient in ("columns", "split", "values"):
        shaped = convert(content, "csv", "json", orient=orient).file
        assert convert(shaped, "json", "csv").file == content


def test_nesting_is_kept_flattened_or_found() -> None:
    document = {"meta": 1, "data": {"items": [{"a": {"b": 1, "c": [1, 2]}}, {"a": {"b": 2}}]}}
    content = json.dumps(document).encode()
    reply = convert(content, "json", "csv", records="data.items")
    assert reply.file == b'a.b,a.c\n1,"[1,2]"\n2,\n'
    assert reply.warnings == ("lists within rows were written as JSON text",)
    parquet = convert(content, "json", "parquet", records="data.items").file
    assert pq.read_table(io.BytesIO(parquet)).to_pylist()[0] == {"a": {"b": 1, "c": [1, 2]}}
    assert convert(content, "json", "csv", records="data.nothing").error == "TargetImpossible"


def test_xml_has_the_names_that_were_asked_for() -> None:
    root = ET.fromstring(  # noqa: S314  # our own
        convert(b"a b,2nd\n1,x\n", "csv", "xml", root="all", row="one").file
    )
    assert [root.tag, root[0].tag, [child.tag for child in root[0]]] == [
        "all",
        "one",
        ["a_b", "_2nd"],
    ]


def test_attributes_namespaces_and_empty_elements_survive_xml() -> None:
    document = (
        '<a xmlns:x="urn:x" x:k="1"><b>t</b><b/><x:c n="2">v &amp; w</x:c>'
        "<d>one<e>two</e>three</d></a>"
    )
    reply = convert(document.encode(), "xml", "xml", pretty=False)
    root = ET.fromstring(reply.file)  # noqa: S314  # our own
    assert root.attrib == {"{urn:x}k": "1"}
    assert [child.text for child in root][:2] == ["t", None]
    assert root.find("{urn:x}c").text == "v & w"  # type: ignore[union-attr]
    assert "text between elements" in reply.warnings[0]


def test_sql_is_written_in_the_dialect_that_was_asked_for() -> None:
    content = json.dumps([{"it's": "a'b\\c", "ok": True, "n": None}]).encode()
    postgres = convert(content, "json", "sql", dialect="postgresql", table="t").file.decode()
    assert postgres.endswith("INSERT INTO \"t\" VALUES\n('a''b\\c', TRUE, NULL);\n")
    mysql = convert(content, "json", "sql", dialect="mysql").file.decode()
    assert "`it's` LONGTEXT" in mysql
    assert "'a''b\\\\c'" in mysql


def test_packings_are_chosen_and_impossible_ones_refused() -> None:
    packed = convert(_SHEET, "csv", "parquet", compression="zstd").file
    column = pq.ParquetFile(io.BytesIO(packed)).metadata.row_group(0).column(0)
    assert column.compression == "ZSTD"
    with pytest.raises(OptionInvalid, match="compression: Avro"):
        parse_options(by_name("data.convert"), {"compression": "zstd"}, target="avro")


@pytest.mark.parametrize(
    ("option", "value", "source", "target"),
    [
        ("delimiter", "tab", "json", "csv"),
        ("delimiter_out", "tab", "csv", "json"),
        ("orient", "split", "csv", "xlsx"),
        ("root", "x", "csv", "json"),
        ("dialect", "mysql", "csv", "sqlite"),
        ("password", "x", "csv", "json"),
        ("records", "a", "csv", "json"),
        ("types", "text", "parquet", "csv"),
        ("titles", "false", "csv", "json"),
        ("formulas", "escape", "csv", "xlsx"),
    ],
)
def test_an_option_without_meaning_for_the_pair_is_refused(
    option: str, value: str, source: str, target: str
) -> None:
    try:
        reply = convert(_SHEET, source, target, **{option: value})
    except OptionInvalid as error:
        said = str(error)
    else:
        assert reply.error == "OptionInvalid"
        said = reply.detail
    assert said.startswith(f"{option}: has no meaning")
