"""CSV and TSV: found out, read in two passes, written.

What a file does not say (its encoding, its delimiter) is found from its beginning and can be given
as options. Fields are passed on as they stand where the target holds words only: 1.10 stays 1.10.
"""

import codecs
import csv
import io
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Literal

from engine.converter import Work
from engine.converters.capped import CappedBuffer
from engine.converters.data.tables import Notes, Row, Table, bounded, check_cells, distinct
from engine.converters.data.words import Reading, Writing, infer, typed, word_of
from engine.errors import SourceUnreadable, TargetImpossible
from engine.job import Buffer

DELIMITERS = {
    "comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|", "colon": ":", "space": " ",
}  # fmt: skip
# Tried in this order where the file must tell; colons and spaces stand in ordinary text.
_LIKELY = (",", ";", "\t", "|")
_QUOTES = {"double": '"', "single": "'", "none": None}
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
CODECS = {
    "windows-1252": "cp1252",
    "utf-8": "utf-8-sig",
    "mac-roman": "mac_roman",
}
# How far a file is read to find its delimiter.
_SAMPLE_CHARACTERS = 64 * 1024
_SAMPLE_ROWS = 200
_QUOTING: Mapping[str, Literal[0, 1, 2]] = {"minimal": 0, "all": 1, "text": 2}  # csv.QUOTE_*
# A field longer than this is a quote that was never closed, or no table.
_FIELD_MAX = 16 * 1024 * 1024
# What a spreadsheet takes for the beginning of a formula (OWASP, CSV injection).
_FORMULA_STARTS = frozenset({"=", "+", "-", "@", "\t", "\r"})
# Written in pieces, so that the bound on the result is met early.
_PIECE_CHARACTERS = 256 * 1024
# The writer must see a number to leave it without quotes.
_NUMBERS = frozenset({int, float})


def decode(upload: Buffer, encoding: str, notes: Notes) -> str:
    """The text of an upload. Raises SourceUnreadable."""
    content = bytes(upload)
    if encoding == "auto":
        encoding = next((name for mark, name in _MARKS if content.startswith(mark)), "")
    else:
        encoding = CODECS.get(encoding, encoding)
    try:
        return content.decode(encoding or "utf-8")
    except UnicodeDecodeError as error:
        if encoding:
            raise SourceUnreadable(
                "the text is not in the encoding that was given or that its first bytes name;"
                " name the right one in the option encoding"
            ) from error
    notes.say("the text is no UTF-8 and was read as Windows-1252; the option encoding decides")
    return content.decode("cp1252", "replace")


def read(work: Work, notes: Notes) -> list[Table]:
    """The table of a CSV or TSV. Raises SourceUnreadable, SourceTooComplex."""
    options = work.options
    text = decode(work.inputs[0], options.encoding, notes)
    if "\0" in text:
        raise SourceUnreadable("the file holds zero bytes: it is no text, or of another encoding")
    csv.field_size_limit(_FIELD_MAX)
    if work.source == "tsv":
        delimiter = "\t"
    else:
        delimiter = DELIMITERS.get(options.delimiter) or _delimiter(text, options.quote)
    records = _records(text, delimiter, _QUOTES[options.quote], options.skip)
    first = next(records(), [])
    widest, count = _measure(records)
    names = first if options.header else []
    columns = distinct([*names, *[""] * (widest - len(names))], notes)
    body = _body(records, len(columns), 1 if options.header else 0, notes, count)
    how = Reading(
        comma=options.decimal == "comma" or (options.decimal == "auto" and delimiter == ";"),
        dates=options.dates,
        nulls=frozenset({"", *next(csv.reader([options.nulls]), [])}),
    )
    rows = _values(body, len(columns), how, work)
    return [Table(name="data", columns=columns, rows=rows, flat=True)]


def holds_words_only(target: str) -> bool:
    """Whether values go into this target as words, so that inference would only spoil them."""
    return target in {"csv", "tsv", "html", "md"}


def _values(
    body: Callable[[], Iterator[Sequence[str]]], width: int, how: Reading, work: Work
) -> Callable[[], Iterator[Row]]:
    options = work.options
    formats = options.date_format or options.decimal_out != "point"
    if options.types == "text" or (
        options.types == "auto" and holds_words_only(work.target) and not formats
    ):
        nulls = how.nulls
        return lambda: ([None if word in nulls else word for word in row] for row in body())
    kinds = infer(body(), width, how)
    return lambda: typed(body(), kinds, how)


def _records(
    text: str, delimiter: str, quote: str | None, skip: int
) -> Callable[[], Iterator[list[str]]]:
    def rows() -> Iterator[list[str]]:
        lines = io.StringIO(text, newline="")
        reader = csv.reader(
            lines,
            delimiter=delimiter,
            quotechar=quote,
            quoting=csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE,
            strict=False,
        )
        try:
            yield from islice((row for row in reader if row), skip, None)
        except csv.Error as error:
            raise SourceUnreadable(
                "the table cannot be read: a field is not closed, or too long; see the options"
                " quote and delimiter"
            ) from error

    return rows


def _measure(records: Callable[[], Iterator[list[str]]]) -> tuple[int, int]:
    """The widest row, and how many there are."""
    widest = count = 0
    for count, row in enumerate(records(), start=1):  # the last one counts
        widest = max(widest, len(row))
        if not count & 0xFFF:
            check_cells(count, widest)
    check_cells(count, widest)
    return widest, count


def _body(
    records: Callable[[], Iterator[list[str]]], width: int, names: int, notes: Notes, count: int
) -> Callable[[], Iterator[Sequence[str]]]:
    if count > names and any(len(row) != width for row in islice(records(), names, None)):
        notes.say("some rows had fewer fields than others; the missing ones are empty")

    def rows() -> Iterator[Sequence[str]]:
        for row in islice(records(), names, None):
            yield row if len(row) == width else row + [""] * (width - len(row))

    return rows


def _delimiter(text: str, quote: str) -> str:
    """What gives most rows of the beginning the same number of fields, at least two."""
    sample = text[:_SAMPLE_CHARACTERS]
    best, chosen = (0.0, 0), ","
    for delimiter in _LIKELY:
        try:
            rows = list(islice(_records(sample, delimiter, _QUOTES[quote], 0)(), _SAMPLE_ROWS))
        except SourceUnreadable:
            continue
        # The last row may be cut.
        widths = Counter(len(row) for row in rows[:-1] or rows)
        fields, times = max(widths.items(), key=lambda item: (item[0] > 1, item[1], item[0]))
        score = (times / widths.total(), fields)
        if fields > 1 and score > best:
            best, chosen = score, delimiter
    return chosen


def write(table: Table, work: Work, notes: Notes) -> Buffer:
    """One table as CSV or TSV. Raises TargetTooLarge, TargetImpossible."""
    options = work.options
    text = io.StringIO(newline="")
    buffer = CappedBuffer(work.bounds.output_bytes_max)
    writer = csv.writer(
        text,
        delimiter="\t" if work.target == "tsv" else DELIMITERS[options.delimiter_out],
        lineterminator="\r\n" if options.newline == "crlf" else "\n",
        quoting=_QUOTING[options.quote_out],
    )
    encode = _encoder(options.encoding_out)
    if options.titles:
        writer.writerow([_defused(name, options, notes) for name in table.columns])
    how = Writing(
        comma=options.decimal_out == "comma", date_format=options.date_format, null=options.null_out
    )
    # What is written as it is: most cells, and a call for each would be half of the work.
    numbers = frozenset() if how.comma else _NUMBERS
    for row in bounded(table.rows(), len(table.columns)):
        writer.writerow(
            [
                value
                if (kind := type(value)) in numbers
                or (kind is str and value[:1] not in _FORMULA_STARTS)
                else _field(value, how, options, notes)
                for value in row
            ]
        )
        if text.tell() > _PIECE_CHARACTERS:
            buffer.write(encode(text.getvalue()))
            text.seek(0)
            text.truncate()
    buffer.write(encode(text.getvalue(), True))
    return buffer.take()


def _encoder(encoding: str) -> Callable[..., bytes]:
    name = {"utf-8-bom": "utf-8-sig", "windows-1252": "cp1252"}.get(encoding, encoding)
    encoder = codecs.getincrementalencoder(name)()

    def encode(text: str, final: bool = False) -> bytes:  # as in codecs
        try:
            return encoder.encode(text, final)
        except UnicodeEncodeError as error:
            raise TargetImpossible(
                f"the table holds characters that {encoding} does not have; take utf-8"
            ) from error

    return encode


def _field(value: Any, how: Writing, options: Any, notes: Notes) -> str:
    if isinstance(value, str):
        return _defused(value, options, notes)
    return word_of(value, how)


def _defused(word: str, options: Any, notes: Notes) -> str:
    if word[:1] not in _FORMULA_STARTS or _is_number(word):
        return word
    if options.formulas == "escape":
        notes.count("fields like formulas, which have an apostrophe before them now: {}")
        return "'" + word
    notes.count(
        "fields that begin like a formula, which a spreadsheet may run: {}; formulas=escape defuses"
        " them"
    )
    return word


def _is_number(word: str) -> bool:
    try:
        float(word.replace(",", "."))
    except ValueError:
        return word in {"-", "+"}
    return True
