"""Whatever a table holds comes back from every format that can hold it (property tests)."""

import io
import json
import math
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import olefile
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.converters.data.compound import compound
from tests.engine.own_converter import of_family

convert = of_family("data")

_WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Cn"]), max_size=12)
# What a spreadsheet keeps: 15 digits, and no other words than these for nothing.
_EXACT = st.integers(-(10**15), 10**15)
_FLOATS = st.floats(allow_nan=False, allow_infinity=False, width=64)
_DAYS = st.dates(date(1900, 3, 1), date(2200, 1, 1))
_MOMENTS = st.datetimes(datetime(1900, 3, 1), datetime(2200, 1, 1)).map(  # noqa: DTZ001
    lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)
)
_COLUMNS: dict[str, tuple[Any, st.SearchStrategy[Any]]] = {
    "whole": (pa.int64(), _EXACT),
    "part": (pa.float64(), _FLOATS),
    "truth": (pa.bool_(), st.booleans()),
    "word": (pa.string(), _WORDS),
    "day": (pa.date32(), _DAYS),
    "moment": (pa.timestamp("us"), _MOMENTS),
    "hours": (pa.time64("us"), st.times().map(lambda one: one.replace(microsecond=0))),
    "instant": (pa.timestamp("us", "UTC"), _MOMENTS.map(lambda one: one.replace(tzinfo=UTC))),
    "exact": (
        pa.decimal128(38, 6),
        st.decimals(-(10**20), 10**20, places=6, allow_nan=False, allow_infinity=False),
    ),
    "raw": (pa.binary(), st.binary(max_size=12)),
}


@st.composite
def _tables(draw: st.DrawFn, columns: tuple[str, ...]) -> pa.Table:
    rows = draw(st.integers(1, 4))
    filled = {}
    for name in columns:
        kind, values = _COLUMNS[name]
        column = draw(st.lists(st.none() | values, min_size=rows, max_size=rows))
        # A column of nothing has no type in most formats.
        column[0] = draw(values) if column[0] is None else column[0]
        filled[name] = pa.array(column, kind)
    return pa.table(filled)


def _there_and_back(table: pa.Table, through: str, **options: object) -> list[dict[str, Any]]:
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    there = convert(buffer.getvalue(), "parquet", through, **options)
    back = convert(there.file, through, "parquet")
    return pq.read_table(io.BytesIO(back.file)).to_pylist()


@pytest.mark.parametrize("through", ["parquet", "arrow", "avro", "orc"])
@settings(max_examples=12, deadline=None, derandomize=True)
@given(table=_tables(tuple(_COLUMNS)))
def test_columnar_formats_hold_every_type(through: str, table: pa.Table) -> None:
    if through == "orc":
        table = table.drop_columns(["hours"])
    assert _there_and_back(table, through) == table.to_pylist()


_SQL = ("whole", "part", "truth", "day", "moment", "exact", "raw", "word")


@pytest.mark.parametrize("through", ["sqlite", "sql"])
@settings(max_examples=12, deadline=None, derandomize=True)
@given(table=_tables(_SQL))
def test_databases_hold_numbers_days_decimals_and_bytes(through: str, table: pa.Table) -> None:
    for row, wanted in zip(_there_and_back(table, through), table.to_pylist(), strict=True):
        # SQLite reads the words of very small and very large numbers to fifteen digits.
        part, expected = row.pop("part"), wanted.pop("part")
        assert part == expected or (
            through == "sql" and math.isclose(part, expected, rel_tol=1e-14)
        )
        assert row == wanted


@pytest.mark.parametrize("through", ["xlsx", "xls", "ods"])
@settings(max_examples=12, deadline=None, derandomize=True)
@given(table=_tables(("whole", "truth", "day", "moment", "word")))
def test_spreadsheets_hold_whole_numbers_truth_days_and_words(
    through: str, table: pa.Table
) -> None:
    back = _there_and_back(table, through)
    expected = [{**row, "word": row["word"] or None} for row in table.to_pylist()]
    for row, wanted in zip(back, expected, strict=False):
        # Empty words come back as nothing, and moments that all are midnights as days.
        moment = row["moment"]
        if isinstance(moment, date) and not isinstance(moment, datetime):
            moment = datetime.combine(moment, time())
        assert {**row, "word": row.get("word") or None, "moment": moment} == wanted
    assert all(not any(row.values()) for row in expected[len(back) :])


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    st.lists(st.floats(-1e300, 1e300).filter(lambda n: n == 0 or abs(n) > 1e-300),
             min_size=1, max_size=5),
    st.sampled_from(["xlsx", "xls", "ods"]),
)  # fmt: skip
def test_spreadsheets_hold_doubles_to_fifteen_digits(numbers: list[float], through: str) -> None:
    content = json.dumps([{"n": number} for number in numbers]).encode()
    book = convert(content, "json", through).file
    back = json.loads(convert(book, through, "json").file)
    for row, number in zip(back, numbers, strict=True):
        assert math.isclose(float(row["n"]), number, rel_tol=1e-14, abs_tol=5e-324)


def test_an_old_workbook_continues_long_texts_from_record_to_record() -> None:
    # Around the size of a record, and with a letter of two bytes on each side of its border.
    lengths = (0, 1, 4089, 4090, 8208, 8209, 8210, 8211, 8212, 8213, 8220, 16_430, 32_767)
    rows = [["x" * size, "ä" * (size - 1) + "€", "漢" * size] for size in lengths if size]
    content = json.dumps([["a", "b", "c"], *rows]).encode()
    book = convert(content, "json", "xls").file
    back = convert(book, "xls", "json", orient="values").file
    assert json.loads(back) == [["a", "b", "c"], *rows]


def test_an_old_workbook_has_all_sheets_of_a_new_one() -> None:
    content = json.dumps({"first": [{"a": 1}], "söcond": [{"b": "x"}, {"b": None}]}).encode()
    new = convert(content, "json", "xlsx", sheet="all").file
    old = convert(new, "xlsx", "xls", sheet="all").file
    for sheet in ("first", "söcond"):
        options = {"sheet": sheet, "orient": "values"}
        assert convert(old, "xls", "json", **options).file == (
            convert(new, "xlsx", "json", **options).file
        )


@pytest.mark.parametrize("size", [0, 4095, 4097, 7_130_000, 7_200_000, 16_000_000])
def test_a_compound_file_lists_its_sectors_however_many_there_are(size: int) -> None:
    # From seven megabytes on the table of sectors needs a list of its own, then another.
    stream = (bytes(range(251)) * (size // 251 + 1))[:size]
    held = olefile.OleFileIO(compound("Workbook", stream), raise_defects=olefile.DEFECT_POTENTIAL)
    assert held.openstream("Workbook").read().rstrip(b"\0") == stream.rstrip(b"\0")


def test_an_old_workbook_says_what_it_cannot_hold() -> None:
    long = convert(b"a\n" + b"1\n" * 65_536, "csv", "xls")
    assert long.error == "TargetImpossible"
    assert "65536 rows" in long.detail
    assert not convert(b"a\n" + b"1\n" * 65_535, "csv", "xls").error
    wide = convert(",".join(f"c{number}" for number in range(257)).encode() + b"\n", "csv", "xls")
    assert "256 columns" in wide.detail


@pytest.mark.parametrize("through", ["csv", "tsv"])
@settings(max_examples=15, deadline=None, derandomize=True)
@given(table=_tables(("whole", "part", "truth", "day", "moment", "word")))
def test_delimited_text_holds_what_it_can_say(through: str, table: pa.Table) -> None:
    back = _there_and_back(table, through)
    # Words may look like values; they are what they were written as.
    for row, wanted in zip(back, table.to_pylist(), strict=True):
        row.pop("word")
        wanted.pop("word")
        assert row == wanted


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.lists(st.lists(_WORDS.filter(lambda w: not w.startswith(("\ufeff",))), min_size=2,
                      max_size=2), min_size=1, max_size=5),
    st.sampled_from(["comma", "semicolon", "tab", "pipe"]),
)  # fmt: skip
def test_words_in_csv_come_back_as_they_were(rows: list[list[str]], delimiter: str) -> None:
    content = json.dumps([["a", "b"], *rows]).encode()
    text = convert(content, "json", "csv", delimiter_out=delimiter, quote_out="all").file
    back = convert(text, "csv", "json", delimiter=delimiter, types="text", orient="values").file
    assert json.loads(back) == [["a", "b"], *[[word or None for word in row] for row in rows]]


_SCALARS = st.none() | st.booleans() | st.integers() | _FLOATS | _WORDS
_TREES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_WORDS, inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(_TREES)
def test_yaml_holds_every_json_document(tree: Any) -> None:
    there = convert(json.dumps(tree).encode(), "json", "yaml").file
    assert json.loads(convert(there, "yaml", "json").file) == tree


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.dictionaries(_WORDS, st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | _FLOATS | _WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_WORDS, inner, max_size=3),
    max_leaves=8,
), max_size=3))  # fmt: skip
def test_toml_holds_every_json_object_without_null(tree: Any) -> None:
    there = convert(json.dumps(tree).encode(), "json", "toml").file
    assert json.loads(convert(there, "toml", "json").file) == tree


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.lists(st.dictionaries(st.sampled_from("abc"), _SCALARS, max_size=3), max_size=4))
def test_ndjson_holds_every_list_of_objects(records: list[dict[str, Any]]) -> None:
    there = convert(json.dumps(records).encode(), "json", "ndjson").file
    assert len(there.splitlines()) == len(records)
    assert json.loads(convert(there, "ndjson", "json").file) == records


_NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]{0,8}", fullmatch=True)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.dictionaries(_NAMES, _WORDS | st.lists(_WORDS, min_size=2, max_size=3), min_size=2,
                       max_size=4))  # fmt: skip
def test_xml_holds_words_and_lists_of_them(tree: dict[str, Any]) -> None:
    there = convert(json.dumps(tree).encode(), "json", "xml", root="all").file
    back = json.loads(convert(there, "xml", "json", types="text").file)["all"]
    assert back == tree


def test_a_time_with_fractions_and_a_decimal_are_exact_in_text() -> None:
    table = pa.table({"t": [time(1, 2, 3, 400_000)], "d": [Decimal("0.10")]})
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    text = convert(buffer.getvalue(), "parquet", "csv").file
    assert text == b"t,d\n01:02:03.400000,0.10\n"
