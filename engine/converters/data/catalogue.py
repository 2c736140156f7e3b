"""What the data family offers: declarations only, no codec."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from engine.converter import Converter, Family
from engine.converters.data.scope import Packing, check_target
from engine.job import Bounds
from sandbox.limits import MIB, Limits

# An encrypted XLSX or XLSB looks like any encrypted Office document until it is opened.
SPREADSHEETS = ("xlsx", "xls", "xlsb", "ods", "ooxml-encrypted")
TEXT_TABLES = ("csv", "tsv")
TREES = ("json", "ndjson", "yaml", "toml", "xml")
COLUMNAR = ("parquet", "arrow", "orc", "avro")
DATABASES = ("sqlite", "sql")
SOURCES = (*TEXT_TABLES, *TREES, *SPREADSHEETS, *COLUMNAR, *DATABASES)
TARGETS = (*TEXT_TABLES, *TREES, "xlsx", "xls", "ods", *COLUMNAR, *DATABASES, "html", "md")

Encoding = Literal[
    "auto", "utf-8", "utf-16", "windows-1250", "windows-1251", "windows-1252", "windows-1253",
    "windows-1254", "windows-1255", "windows-1256", "windows-1257", "iso-8859-1", "iso-8859-2",
    "iso-8859-15", "koi8-r", "mac-roman", "cp437", "cp850", "shift_jis", "euc-jp", "gb18030",
    "big5", "euc-kr",
]  # fmt: skip
EncodingOut = Literal["utf-8", "utf-8-bom", "utf-16", "windows-1252", "iso-8859-1"]
Delimiter = Literal["auto", "comma", "semicolon", "tab", "pipe", "colon", "space"]

_Names = Annotated[
    str,
    Meta(
        max_length=4000,
        description="Columns of the result in their order, joined by commas; a name that holds a"
        " comma stands in double quotes. Absent: all.",
        examples=["id,name"],
    ),
]


class DataOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of data.convert. Which of them a pair can obey is checked; the others are refused."""

    sheet: Annotated[
        str,
        Meta(
            max_length=200,
            description="Which sheet or table: its name, its number (first is 1), or all. With all,"
            " a target that holds one table becomes several files. Absent: all where the target"
            " holds several, else the first.",
            examples=["Prices"],
        ),
    ] = ""
    records: Annotated[
        str,
        Meta(
            max_length=400,
            description="Where the rows are in a JSON, YAML, TOML or XML document: keys from the"
            " top joined by dots. Absent: the list of objects nearest to the top.",
            examples=["data.items"],
        ),
    ] = ""
    columns: _Names = ""
    rename: Annotated[
        str,
        Meta(
            max_length=4000,
            description="New names of columns: old=new pairs joined by commas.",
            examples=["id=Number,name=Full name"],
        ),
    ] = ""
    skip: Annotated[
        int,
        Meta(
            ge=0,
            le=1_000_000,
            description="Rows left out at the top, before the names of the columns.",
            examples=[2],
        ),
    ] = 0
    limit: Annotated[
        Annotated[int, Meta(ge=0, le=100_000_000)] | None,
        Meta(description="Rows kept at most, names not counted.", examples=[1000]),
    ] = None
    header: Annotated[
        bool,
        Meta(
            description="Whether the first row of a CSV, TSV or spreadsheet names the columns;"
            " otherwise they are called column_1, column_2 and so on.",
            examples=[False],
        ),
    ] = True
    encoding: Annotated[
        Encoding,
        Meta(
            description="Encoding of a CSV or TSV. auto: by its byte order mark, else UTF-8, else"
            " Windows-1252.",
            examples=["windows-1252"],
        ),
    ] = "auto"
    delimiter: Annotated[
        Delimiter,
        Meta(
            description="What separates the fields of a CSV. auto: what gives most rows the same"
            " number of fields.",
            examples=["semicolon"],
        ),
    ] = "auto"
    quote: Annotated[
        Literal["double", "single", "none"],
        Meta(
            description="What encloses a CSV's fields that hold a delimiter.", examples=["single"]
        ),
    ] = "double"
    decimal: Annotated[
        Literal["auto", "point", "comma"],
        Meta(
            description="Decimal mark of numbers in a CSV or TSV. auto: a comma in a CSV separated"
            " by semicolons, else a point.",
            examples=["comma"],
        ),
    ] = "auto"
    dates: Annotated[
        Literal["iso", "dmy", "mdy"],
        Meta(
            description="How a text source writes days: iso 2024-12-31, dmy 31.12.2024 or"
            " 31/12/2024, mdy 12/31/2024. ISO days are always understood.",
            examples=["dmy"],
        ),
    ] = "iso"
    types: Annotated[
        Literal["auto", "infer", "text"],
        Meta(
            description="Whether the words of CSV, TSV and XML become numbers, days, times and"
            " true/false, column by column (007 stays text). auto: where the target holds types.",
            examples=["text"],
        ),
    ] = "auto"
    nulls: Annotated[
        str,
        Meta(
            max_length=200,
            description="Words of a CSV or TSV that mean no value, joined by commas; an empty field"
            " always does.",
            examples=["NA,NULL,-"],
        ),
    ] = ""
    password: Annotated[
        str,
        Meta(
            max_length=255,
            description="Password that opens an encrypted workbook.",
            examples=["correct horse"],
            extra_json_schema={"format": "password", "writeOnly": True},
        ),
    ] = ""
    titles: Annotated[
        bool,
        Meta(
            description="Whether the first row of a CSV, TSV, XLSX or ODS result names the"
            " columns.",
            examples=[False],
        ),
    ] = True
    delimiter_out: Annotated[
        Literal["comma", "semicolon", "tab", "pipe", "colon", "space"],
        Meta(description="What separates the fields of a CSV result.", examples=["semicolon"]),
    ] = "comma"
    encoding_out: Annotated[
        EncodingOut,
        Meta(
            description="Encoding of a CSV or TSV result. utf-8-bom is what older versions of Excel"
            " recognise.",
            examples=["utf-8-bom"],
        ),
    ] = "utf-8"
    quote_out: Annotated[
        Literal["minimal", "all", "text"],
        Meta(
            description="Which fields of a CSV or TSV result are quoted: those that need it, all,"
            " or all that are no numbers.",
            examples=["all"],
        ),
    ] = "minimal"
    newline: Annotated[
        Literal["lf", "crlf"],
        Meta(description="How lines of a CSV or TSV result end.", examples=["crlf"]),
    ] = "lf"
    decimal_out: Annotated[
        Literal["point", "comma"],
        Meta(
            description="Decimal mark in a CSV, TSV, HTML or Markdown result.", examples=["comma"]
        ),
    ] = "point"
    date_format: Annotated[
        str,
        Meta(
            pattern=r"^([^%\x00-\x1f]|%[YymdbBaAjHMSf%])*$",
            max_length=60,
            description="How a CSV, TSV, HTML or Markdown result writes days, in strftime's letters"
            " (Y y m d b B a A j); a time of day follows as HH:MM:SS unless H, M or S are among"
            " them. Absent: ISO 8601.",
            examples=["%d.%m.%Y"],
        ),
    ] = ""
    null_out: Annotated[
        str,
        Meta(
            max_length=40,
            description="What a CSV, TSV, HTML or Markdown result holds where there is no value.",
            examples=["NULL"],
        ),
    ] = ""
    formulas: Annotated[
        Literal["warn", "escape"],
        Meta(
            description="What becomes of text in a CSV or TSV result that a spreadsheet would run"
            " as a formula (it begins with = + - @, a tab or a return). warn: kept, and said in a"
            " warning. escape: an apostrophe is put before it.",
            examples=["escape"],
        ),
    ] = "warn"
    orient: Annotated[
        Literal["records", "columns", "split", "values"],
        Meta(
            description="Shape of a table in JSON and YAML. records: a list of objects. columns: an"
            " object of lists. split: columns and rows apart. values: lists only, names first.",
            examples=["columns"],
        ),
    ] = "records"
    pretty: Annotated[
        bool,
        Meta(description="Whether JSON and XML results are indented.", examples=[False]),
    ] = True
    root: Annotated[
        str,
        Meta(
            pattern=r"^[A-Za-z_][A-Za-z0-9_.-]*$",
            max_length=60,
            description="Name of the outermost element of an XML result.",
            examples=["invoices"],
        ),
    ] = "rows"
    row: Annotated[
        str,
        Meta(
            pattern=r"^[A-Za-z_][A-Za-z0-9_.-]*$",
            max_length=60,
            description="Name of the element of each row, or item of a list without a name, in an"
            " XML result.",
            examples=["invoice"],
        ),
    ] = "row"
    table: Annotated[
        str,
        Meta(
            max_length=60,
            description="Name of the table in a SQLite, SQL, XLSX, XLS or ODS result. Absent: as"
            " in the source, else data.",
            examples=["invoices"],
        ),
    ] = ""
    dialect: Annotated[
        Literal["sqlite", "postgresql", "mysql"],
        Meta(description="Whose SQL the SQL result is.", examples=["postgresql"]),
    ] = "sqlite"
    compression: Annotated[
        Packing,
        Meta(
            description="How Parquet, Arrow, ORC and Avro results are packed. auto: Parquet and"
            " Avro with snappy and deflate, as most readers expect; Arrow and ORC with zstd. What a"
            " format cannot have is refused.",
            examples=["zstd"],
        ),
    ] = "auto"


_RUN = "engine.converters.data.convert:convert"

CONVERTERS: tuple[Converter, ...] = (
    Converter(
        name="data.convert",
        family="data",
        title="Convert tables and structured data",
        sources=tuple(name for name in SOURCES if name not in SPREADSHEETS),
        targets=TARGETS,
        options=DataOptions,
        check=check_target,
        run=_RUN,
        default=True,
    ),
    Converter(
        name="data.sheets",
        family="data",
        title="Take the values out of a spreadsheet",
        sources=SPREADSHEETS,
        targets=tuple(name for name in TARGETS if name not in SPREADSHEETS),
        options=DataOptions,
        check=check_target,
        run=_RUN,
        default=True,
    ),
    # Not the default: where an office suite is installed, its own keeps formats and formulas.
    Converter(
        name="data.values",
        family="data",
        title="Copy a spreadsheet's values into another, without formulas, formats and macros",
        sources=SPREADSHEETS,
        targets=("xlsx", "xls", "ods"),
        options=DataOptions,
        check=check_target,
        run=_RUN,
    ),
)

FAMILY = Family(
    name="data",
    needs=(
        "fastavro",
        "lxml",
        "msoffcrypto",
        "olefile",
        "pyarrow",
        "python_calamine",
        "tomli_w",
        "xlsxwriter",
        "yaml",
    ),
    preload=("engine.task", "engine.converters.data.warm"),
    warm="engine.converters.data.warm:warm",
    # pyarrow's libraries take 300 MB of address space before the first row; a table of some million
    # cells takes 1 GB as Python values.
    limits=Limits(address_space_bytes=2560 * MIB, cpu_s=60, wall_s=60.0),
    bounds=Bounds(),
)
