"""Words to values and back: how text formats write numbers, days, times and truth.

Inference is by column and cautious: a column is of a kind only where each of its words is, and what
would not be written the same way again (007, +49 30, 1e400) stays text.
"""

import base64
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal

import msgspec

from engine.converters.data.tables import Row, Value

# Beyond 18 digits a whole number does not fit into 64 bits; such words are numbers of accounts.
_INTEGER = re.compile(r"-?(0|[1-9]\d{0,17})")
_FLOAT = re.compile(r"-?(0|[1-9]\d*)?(\.\d+)?([eE][+-]?\d{1,3})?")
# With a comma, points may group thousands.
_COMMA = re.compile(r"-?(0|[1-9]\d*|[1-9]\d{0,2}(\.\d{3})+)(,\d+)?")
_GROUPED = re.compile(r"-?[1-9]\d{0,2}(\.\d{3})+")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_DATETIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d([.,]\d{1,9})?)?( ?Z|[+-]\d\d:?\d\d)?")
_TIME = re.compile(r"\d\d:\d\d(:\d\d(\.\d{1,6})?)?")
_ORDERED = re.compile(r"(\d{1,2})([./-])(\d{1,2})\2(\d{4})")
# What a double holds exactly in decimal.
_FLOAT_DIGITS = 15

# Nested values inside a word.
_JSON = msgspec.json.Encoder(decimal_format="number")

_WIDER = {
    frozenset({"int", "float"}): "float",
    frozenset({"int", "decimal"}): "decimal",
    frozenset({"float", "decimal"}): "decimal",
    frozenset({"date", "datetime"}): "datetime",
}


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """How a text source writes its values."""

    comma: bool = False
    dates: str = "iso"
    nulls: frozenset[str] = frozenset({""})


def kind_of(word: str, how: Reading) -> str:
    """Which kind of value a word is."""
    first = word[:1]
    if first in "tTfF":
        return "bool" if word.lower() in {"true", "false"} else "text"
    if first not in "-.0123456789":
        return "text"
    if _INTEGER.fullmatch(word):
        return "text" if word == "-0" else "int"
    if (_COMMA if how.comma else _FLOAT).fullmatch(word):
        return _kind_of_fraction(word, how)
    return _kind_of_time(word, how)


def _kind_of_fraction(word: str, how: Reading) -> str:
    plain = _plain(word) if how.comma else word
    if not any(sign in plain for sign in ".eE"):
        return "int" if _INTEGER.fullmatch(plain) and _GROUPED.fullmatch(word) else "text"
    if plain[-1] in "-.eE" or abs(float(plain)) == float("inf"):
        return "text"
    digits = re.sub(r"[eE].*|[-.]", "", plain).strip("0")
    if len(digits) <= _FLOAT_DIGITS or Decimal(plain) == Decimal(repr(float(plain))):
        return "float"
    return "decimal"


def _kind_of_time(word: str, how: Reading) -> str:
    for pattern, kind in ((_DATE, "date"), (_DATETIME, "datetime"), (_TIME, "time")):
        if pattern.fullmatch(word):
            try:
                value = _PARSERS[kind](word, how)
            except ValueError:
                return "text"
            return "zoned" if isinstance(value, datetime) and value.tzinfo else kind
    if how.dates != "iso" and _ORDERED.fullmatch(word):
        try:
            _date(word, how)
        except ValueError:
            return "text"
        return "date"
    return "text"


def merged(one: str | None, other: str) -> str:
    """The kind that holds both."""
    if one is None or one == other:
        return other
    return _WIDER.get(frozenset({one, other}), "text")


def infer(rows: Iterable[Sequence[str]], width: int, how: Reading) -> list[str]:
    """The kind of each column, after one pass over its words."""
    kinds: list[str | None] = [None] * width
    open_columns = list(range(width))
    for row in rows:
        settled = False
        for index in open_columns:
            word = row[index]
            if word in how.nulls:
                continue
            kind = merged(kinds[index], kind_of(word, how))
            kinds[index] = kind
            settled = settled or kind == "text"
        if settled:
            open_columns = [index for index in open_columns if kinds[index] != "text"]
            if not open_columns:
                break
    return [kind or "text" for kind in kinds]


def typed(rows: Iterable[Sequence[str]], kinds: Sequence[str], how: Reading) -> Iterator[Row]:
    """The rows' words as values of their columns' kinds."""
    parsers = [_PARSERS[kind] for kind in kinds]
    nulls = how.nulls
    for row in rows:
        yield [
            None if word in nulls else parse(word, how)
            for word, parse in zip(row, parsers, strict=True)
        ]


def value_of(word: str, kind: str, how: Reading) -> Value:
    """One word as a value of this kind, which it is."""
    return _PARSERS[kind](word, how)


def _plain(word: str) -> str:
    return word.replace(".", "").replace(",", ".")


def _integer(word: str, how: Reading) -> Value:
    return int(_plain(word) if how.comma else word)


def _float(word: str, how: Reading) -> Value:
    return float(_plain(word) if how.comma else word)


def _decimal(word: str, how: Reading) -> Value:
    return Decimal(_plain(word) if how.comma else word)


def _date(word: str, how: Reading) -> date:
    ordered = _ORDERED.fullmatch(word)
    if ordered is None:
        return date.fromisoformat(word)
    one, other, year = int(ordered[1]), int(ordered[3]), int(ordered[4])
    return date(year, one, other) if how.dates == "mdy" else date(year, other, one)


def _datetime(word: str, how: Reading) -> Value:
    if len(word) <= 10:  # noqa: PLR2004  # a day, in a column that also holds times of day
        return datetime.combine(_date(word, how), time())
    return datetime.fromisoformat(word.replace(" Z", "Z"))


_PARSERS: dict[str, Callable[[str, Reading], Value]] = {
    "int": _integer,
    "float": _float,
    "decimal": _decimal,
    "bool": lambda word, _: word.lower() == "true",
    "date": _date,
    "datetime": _datetime,
    "zoned": _datetime,
    "time": lambda word, _: time.fromisoformat(word),
    "text": lambda word, _: word,
}


class Writing(msgspec.Struct, frozen=True, kw_only=True):
    """How a text target wants its values."""

    comma: bool = False
    date_format: str = ""
    null: str = ""


def word_of(value: Value, how: Writing = Writing()) -> str:  # noqa: B008  # frozen
    """A value as a word."""
    return value if type(value) is str else _WORDS.get(type(value), _nested)(value, how)


def _nested(value: Value, _how: Writing) -> str:
    return _JSON.encode(value).decode()


def _fraction(value: float | Decimal, how: Writing) -> str:
    word = repr(value) if isinstance(value, float) else format(value, "f")
    return word.replace(".", ",") if how.comma else word


def _day(value: date, how: Writing) -> str:
    pattern = how.date_format
    if not pattern:
        return value.isoformat(sep=" ") if isinstance(value, datetime) else value.isoformat()
    if isinstance(value, datetime) and not re.search("%[HMS]", pattern):
        pattern += " %H:%M:%S"
    return value.strftime(pattern)


_WORDS: dict[type, Callable[[Value, Writing], str]] = {
    type(None): lambda _, how: how.null,
    bool: lambda value, _: "true" if value else "false",
    int: lambda value, _: str(value),
    float: _fraction,
    Decimal: _fraction,
    date: _day,
    datetime: _day,
    time: lambda value, _: value.isoformat(),
    timedelta: lambda value, _: clock(value),
    bytes: lambda value, _: base64.b64encode(value).decode(),
}


def is_finite(value: Value) -> bool:
    """Whether a number is neither infinite nor not a number."""
    return bool(value - value == 0)


def clock(value: timedelta) -> str:
    """A duration as spreadsheets show it: hours, minutes, seconds."""
    micros = value // timedelta(microseconds=1)
    sign, micros = ("-", -micros) if micros < 0 else ("", micros)
    seconds, fraction = divmod(micros, 1_000_000)
    tail = f".{fraction:06d}".rstrip("0") if fraction else ""
    return f"{sign}{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{tail}"
