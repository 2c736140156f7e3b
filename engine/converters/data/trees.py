"""JSON, NDJSON, YAML and TOML, in and out: documents of free structure.

Trees are walked with a count before they are written: a YAML alias repeats what it points to, so
that a few lines can stand for more nodes than there is memory.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec
import tomli_w
import yaml

from engine.converter import Work
from engine.converters.capped import CappedBuffer
from engine.converters.data.records import records_of
from engine.converters.data.tables import Notes, Table, Tree, Value
from engine.converters.data.words import is_finite, word_of
from engine.errors import SourceTooComplex, SourceUnreadable, TargetImpossible
from engine.job import Buffer

# As many as a table may have cells; each is at least one Python object.
_NODES_MAX = 5_000_000
# Deeper than any document written by hand or by a program that means well; Python's own stack
# ends at a thousand calls.
_DEPTH_MAX = 200
_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
# Longer numbers may not fit into a double.
_FLOAT_WORD = 16


def _number(word: str) -> Value:
    """A fraction as it is written: as a double where that is the same, else as a decimal."""
    near = float(word)
    if len(word) <= _FLOAT_WORD:
        return near
    try:
        exact = Decimal(word)
    except InvalidOperation:
        return near
    return near if Decimal(repr(near)) == exact else exact


_json = msgspec.json.Decoder(float_hook=_number)
_encoder = msgspec.json.Encoder(decimal_format="number")


def text_of(upload: Buffer) -> str:
    """The text of an upload. Raises SourceUnreadable."""
    content = bytes(upload)
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), "utf-8")
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise SourceUnreadable("the text is not in UTF-8, as its format asks for") from error


def _unreadable(kind: str, line: int | None = None) -> SourceUnreadable:
    where = f", near line {line}" if line is not None else ""
    return SourceUnreadable(f"the {kind} document cannot be read: it is not well-formed{where}")


def read_json(work: Work, _notes: Notes) -> Tree:
    """A JSON document. Raises SourceUnreadable, SourceTooComplex."""
    text = text_of(work.inputs[0])
    try:
        return _checked(_json.decode(text))
    except (msgspec.DecodeError, ValueError) as error:
        raise _unreadable("JSON") from error


def read_ndjson(work: Work, _notes: Notes) -> Tree:
    """A list, one JSON value a line. Raises SourceUnreadable, SourceTooComplex."""
    values = []
    for number, line in enumerate(text_of(work.inputs[0]).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            values.append(_json.decode(line))
        except (msgspec.DecodeError, ValueError) as error:
            raise _unreadable("NDJSON", number) from error
    return _checked(values)


def read_toml(work: Work, _notes: Notes) -> Tree:
    """A TOML document. Raises SourceUnreadable, SourceTooComplex."""
    try:
        text = text_of(work.inputs[0]).replace("\r\n", "\n")
        return _checked(tomllib.loads(text, parse_float=_number))
    except (tomllib.TOMLDecodeError, ValueError) as error:
        raise _unreadable("TOML") from error


# YAML 1.2's core types: no, on and 1:30 are words, 0o17 is a number; ISO days are days. Tags of an
# application's own (!Ref) are dropped; those of a programming language are refused.
_Loader: Any = type("_Loader", (yaml.CSafeLoader,), {"yaml_implicit_resolvers": {}})
_FRACTION = (
    r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)
_MOMENT = (
    r"\d{4}-\d\d-\d\d|\d{4}-\d\d?-\d\d?(?:[Tt]|[ \t]+)\d\d?:\d\d:\d\d(?:\.\d*)?"
    r"(?:[ \t]*(?:Z|[-+]\d\d?(?::\d\d)?))?"
)
_CORE = (
    ("bool", "true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", "[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    ("float", _FRACTION, "-+0123456789."),
    ("merge", "<<", "<"),
    ("null", "~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("timestamp", _MOMENT, "0123456789"),
)
for _tag, _pattern, _first in _CORE:
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), list(_first)
    )


def _whole(loader: Any, node: Any) -> int:
    word = str(loader.construct_scalar(node))
    if word.startswith(("0o", "0x")):
        return int(word, 0)
    # Python refuses more than 4,300 digits with a ValueError.
    return int(word)


def _fraction(loader: Any, node: Any) -> Value:
    word = str(loader.construct_scalar(node)).lower()
    return _number(word.replace(".inf", "inf").replace(".nan", "nan"))


def _untagged(loader: Any, _suffix: str, node: Any) -> Value:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return loader.construct_scalar(node)


_Loader.add_constructor("tag:yaml.org,2002:int", _whole)
_Loader.add_constructor("tag:yaml.org,2002:float", _fraction)
_Loader.add_multi_constructor("!", _untagged)


def read_yaml(work: Work, notes: Notes) -> Tree:
    """A YAML document, or a list of the documents of one stream.

    Raises SourceUnreadable, SourceTooComplex.
    """
    text = text_of(work.inputs[0])
    try:
        if "*" in text and "&" in text:
            _check_aliases(text)
        documents = list(yaml.load_all(text, _Loader))  # a safe loader's subclass
    except (yaml.YAMLError, ValueError, TypeError, AttributeError, LookupError) as error:
        mark = getattr(error, "problem_mark", None)
        raise _unreadable("YAML", None if mark is None else mark.line + 1) from error
    if len(documents) > 1:
        notes.say("the documents of the YAML stream became one list")
    root = documents[0] if len(documents) == 1 else documents
    return _checked(root)


def _check_aliases(text: str) -> None:
    """Count what the document is with every alias written out, without writing it out."""
    sizes: dict[str, int] = {}
    # (anchor, nodes so far) of the collections that are open.
    open_ones: list[tuple[str | None, int]] = [(None, 0)]
    for event in yaml.parse(text, yaml.CSafeLoader):
        anchor = getattr(event, "anchor", None)
        if isinstance(event, yaml.CollectionStartEvent):
            open_ones.append((anchor, 1))
            continue
        if isinstance(event, yaml.CollectionEndEvent):
            anchor, nodes = open_ones.pop()
        elif isinstance(event, yaml.AliasEvent):
            anchor, nodes = None, sizes.get(event.anchor, _NODES_MAX)
        elif isinstance(event, yaml.ScalarEvent):
            nodes = 1
        else:
            continue
        if anchor:
            sizes[anchor] = nodes
        holder, so_far = open_ones[-1]
        open_ones[-1] = (holder, so_far + nodes)
        if so_far + nodes > _NODES_MAX:
            raise _too_many()


def _too_many() -> SourceTooComplex:
    return SourceTooComplex(
        f"the document stands for more than {_NODES_MAX} values, the limit (aliases written out)"
    )


def _checked(root: Value) -> Tree:
    """Count and measure a tree before anything walks it without a limit."""
    left, stack = _NODES_MAX, [(root, 0)]
    while stack:
        value, depth = stack.pop()
        if isinstance(value, Mapping):
            children: Any = value.values()
        elif isinstance(value, list):
            children = value
        else:
            continue
        left -= len(value)
        if left < 0:
            raise _too_many()
        if depth > _DEPTH_MAX:
            raise SourceTooComplex(f"the document is nested deeper than {_DEPTH_MAX} levels")
        stack.extend((child, depth + 1) for child in children if isinstance(child, dict | list))
    return Tree(root=root)


def write_json(tree: Tree, work: Work, notes: Notes) -> Buffer:
    """A JSON document. Raises TargetTooLarge."""
    written = _encoder.encode(_plain(tree.root, notes))
    if work.options.pretty:
        written = msgspec.json.format(written, indent=2)
    return _capped(written + b"\n", work)


def write_ndjson(rows: Tree | Table, work: Work, notes: Notes) -> Buffer:
    """One JSON value a line. Raises TargetTooLarge."""
    buffer = CappedBuffer(work.bounds.output_bytes_max)
    values: Any = records_of(rows) if isinstance(rows, Table) else _items(rows.root)
    for value in values:
        buffer.write(_encoder.encode(_plain(value, notes)) + b"\n")
    return buffer.take()


def _items(root: Value) -> Iterator[Value]:
    return iter(root if isinstance(root, list) else [root])


def _plain(value: Value, notes: Notes) -> Value:
    """The same for JSON, which knows no times, no infinity and no keys but words."""
    if isinstance(value, Mapping):
        return {_key(key): _plain(one, notes) for key, one in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(one, notes) for one in value]
    if isinstance(value, float | Decimal) and not is_finite(value):
        notes.say("JSON has no infinite numbers: they became null")
        return None
    if isinstance(value, timedelta):
        return word_of(value)
    return value


def _key(key: Any) -> str:
    return key if isinstance(key, str) else word_of(key)


# Writes no anchors, so that every reader gets the whole.
_Dumper: Any = type(
    "_Dumper", (yaml.CSafeDumper,), {"ignore_aliases": lambda _dumper, _value: True}
)


def _scalar(kind: str, write: Any) -> Any:
    return lambda dumper, value: dumper.represent_scalar(f"tag:yaml.org,2002:{kind}", write(value))


_Dumper.add_representer(Decimal, _scalar("float", lambda value: format(value, "f")))
_Dumper.add_representer(time, _scalar("str", time.isoformat))
_Dumper.add_representer(timedelta, _scalar("str", word_of))


def write_yaml(tree: Tree, work: Work, _notes: Notes) -> Buffer:
    """A YAML document that YAML 1.1 and 1.2 read alike. Raises TargetTooLarge."""
    buffer = CappedBuffer(work.bounds.output_bytes_max)
    yaml.dump(
        tree.root,
        buffer,
        Dumper=_Dumper,
        encoding="utf-8",
        allow_unicode=True,
        default_flow_style=False,
        sort_keys=False,
        width=10_000,
    )
    return buffer.take()


def write_toml(tree: Tree, work: Work, notes: Notes) -> Buffer:
    """A TOML document: a list becomes the table `rows`. Raises TargetImpossible, TargetTooLarge."""
    root = tree.root if isinstance(tree.root, Mapping) else {"rows": tree.root}
    try:
        written = tomli_w.dumps(_for_toml(root, notes))
    except (TypeError, ValueError) as error:
        raise TargetImpossible("the document holds values that TOML cannot write") from error
    return _capped(written.encode(), work)


def _for_toml(value: Value, notes: Notes) -> Value:
    if isinstance(value, Mapping):
        if any(one is None for one in value.values()):
            notes.say("fields without a value are left out: TOML has no null")
        return {_key(k): _for_toml(one, notes) for k, one in value.items() if one is not None}
    if isinstance(value, list | tuple | set):
        if any(one is None for one in value):
            raise TargetImpossible(
                "the document holds a list with null in it, which TOML cannot hold"
            )
        return [_for_toml(one, notes) for one in value]
    if isinstance(value, bool | int | float | str | Decimal | date | datetime):
        return value
    return value if isinstance(value, time) else word_of(value)


def _capped(written: bytes, work: Work) -> Buffer:
    buffer = CappedBuffer(work.bounds.output_bytes_max)
    buffer.write(written)
    return buffer.take()
