"""Which option speaks of which formats: one that a pair cannot obey is refused, never ignored."""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from engine.errors import OptionInvalid
from engine.formats import title

Packing = Literal["auto", "none", "snappy", "gzip", "zstd", "lz4"]

_DELIMITED = frozenset({"csv", "tsv"})
_WORDS = _DELIMITED | {"html", "md"}
_SHEETS = frozenset({"xlsx", "xls", "xlsb", "ods", "ooxml-encrypted"})
_TREES = frozenset({"json", "ndjson", "yaml", "toml", "xml"})

# What a source must be for an option to mean something.
OF_SOURCE: Mapping[str, frozenset[str]] = {
    "sheet": _SHEETS | _TREES | {"sqlite", "sql"},
    "records": _TREES,
    "skip": _DELIMITED | _SHEETS,
    "header": _DELIMITED | _SHEETS,
    "encoding": _DELIMITED | {"sql"},
    "delimiter": frozenset({"csv"}),
    "quote": frozenset({"csv"}),
    "decimal": _DELIMITED,
    "dates": _DELIMITED | {"xml"},
    "types": _DELIMITED | {"xml"},
    "nulls": _DELIMITED,
    "password": _SHEETS - {"ods"},
}

# What a target must be.
OF_TARGET: Mapping[str, frozenset[str]] = {
    "titles": _DELIMITED | {"xlsx", "xls", "ods"},
    "delimiter_out": frozenset({"csv"}),
    "encoding_out": _DELIMITED,
    "quote_out": _DELIMITED,
    "newline": _DELIMITED,
    "decimal_out": _WORDS,
    "date_format": _WORDS,
    "null_out": _WORDS,
    "formulas": _DELIMITED,
    "orient": frozenset({"json", "yaml"}),
    "pretty": frozenset({"json", "xml"}),
    "root": frozenset({"xml"}),
    "row": frozenset({"xml"}),
    "table": frozenset({"sqlite", "sql", "xlsx", "xls", "ods"}),
    "dialect": frozenset({"sql"}),
    "compression": frozenset({"parquet", "arrow", "orc", "avro"}),
}

PACKED: Mapping[str, frozenset[Packing]] = {
    "parquet": frozenset({"auto", "none", "snappy", "gzip", "zstd", "lz4"}),
    "arrow": frozenset({"auto", "none", "zstd", "lz4"}),
    "orc": frozenset({"auto", "none", "snappy", "gzip", "zstd", "lz4"}),
    "avro": frozenset({"auto", "none", "gzip"}),
}


def check_target(options: Any, target: str) -> None:
    """Refuse what the target cannot obey. Raises OptionInvalid."""
    _check(options, target, OF_TARGET, "result")
    if target in PACKED and options.compression not in PACKED[target]:
        raise OptionInvalid(
            f"compression: {title(target)} cannot be packed with {options.compression}; it takes"
            f" {', '.join(sorted(PACKED[target]))}"
        )


def check_source(options: Any, source: str) -> None:
    """Refuse what has no meaning for this source. Raises OptionInvalid."""
    _check(options, source, OF_SOURCE, "source")


def _check(options: Any, name: str, scopes: Mapping[str, frozenset[str]], side: str) -> None:
    defaults = type(options)()
    for option in msgspec.structs.fields(type(options)):
        scope = scopes.get(option.name)
        if scope is None or name in scope:
            continue
        if getattr(options, option.name) != getattr(defaults, option.name):
            raise OptionInvalid(
                f"{option.name}: has no meaning where the {side} is {title(name)}; it is for"
                f" {', '.join(sorted(scope))}"
            )
