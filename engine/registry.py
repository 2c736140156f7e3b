"""Which converter does what: the catalogues put together, and options made from strings.

A family whose libraries or programs are not installed is left out here, and so everywhere: nothing
lists, plans, prices or boots what is not in these tables.

Nothing here imports a codec. The gateway lists and checks from these tables; the jail finds an
implementation by name in the same ones.
"""

import functools
import os
import stat
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec

from engine.converter import Converter, Family
from engine.converters.archive import catalogue as archive
from engine.converters.browser import catalogue as browser
from engine.converters.data import catalogue as data
from engine.converters.document import catalogue as document
from engine.converters.image import catalogue as image
from engine.converters.media import catalogue as media
from engine.converters.misc import catalogue as misc
from engine.converters.ocr import catalogue as ocr
from engine.converters.office import catalogue as office
from engine.converters.pdf import catalogue as pdf
from engine.converters.photo import catalogue as photo
from engine.converters.signing import catalogue as signing
from engine.converters.solid import catalogue as solid
from engine.converters.vector import catalogue as vector
from engine.errors import ConversionUnsupported, OptionInvalid, SourceCountInvalid
from engine.formats import find

__all__ = [
    "CONVERTERS",
    "FAMILIES",
    "Converter",
    "Family",
    "by_name",
    "converter_for",
    "family_of",
    "options_schema",
    "parse_options",
]

_CATALOGUES = (
    image,
    photo,
    vector,
    pdf,
    signing,
    ocr,
    data,
    browser,
    office,
    document,
    archive,
    media,
    misc,
    solid,
)


def _is_installed(family: Family) -> bool:
    modules = all(find_spec(module) is not None for module in family.needs)
    files = all(Path(path).exists() for path in family.needs_files)
    return modules and files and all(_is_reachable(Path(path)) for path in family.reads)


def _is_reachable(path: Path) -> bool:
    """Whether workers may come to what they read: root's are somebody else, whom a folder can stop.

    What is not there needs nobody.
    """
    if os.geteuid() != 0 or not path.exists():
        return True
    enterable = all(folder.stat().st_mode & stat.S_IXOTH for folder in path.parents)
    return enterable and bool(path.stat().st_mode & stat.S_IROTH)


_INSTALLED = tuple(one for one in _CATALOGUES if _is_installed(one.FAMILY))
FAMILIES: tuple[Family, ...] = tuple(one.FAMILY for one in _INSTALLED)
CONVERTERS: tuple[Converter, ...] = tuple(
    converter for one in _INSTALLED for converter in one.CONVERTERS
)

# The same, installed here or not: for the manual, which is of all machines.
DECLARED: tuple[tuple[Family, tuple[Converter, ...]], ...] = tuple(
    (one.FAMILY, tuple(one.CONVERTERS)) for one in _CATALOGUES
)

_BY_NAME = {converter.name: converter for converter in CONVERTERS}
_BY_FAMILY = {family.name: family for family in FAMILIES}


def by_name(name: str) -> Converter:
    """The converter of this full name. Raises KeyError: names come from our own tables."""
    return _BY_NAME[name]


def family_of(converter: Converter) -> Family:
    """The family whose zygote runs this converter."""
    return _BY_FAMILY[converter.family]


def converter_for(
    source: str, target: str, operation: str | None = None, *, inputs: int = 1
) -> Converter:
    """Choose the converter of a pair of format names (aliases count).

    Where several serve the pair, `operation` decides; with several files and nothing said, the
    first one that takes several. Raises FormatUnknown, ConversionUnsupported, OptionInvalid,
    SourceCountInvalid.
    """
    candidates = _candidates(source, target)
    if operation is not None:
        candidates = [one for one in candidates if one.operation == operation]
        if not candidates:
            names = _operations(_candidates(source, target))
            raise OptionInvalid(
                f"operation: {operation[:40]!r} does not exist from {source} to {target};"
                f" known are {names}"
            )
    elif inputs > 1:
        # Several files of one kind; what takes a companion of another kind has to be named.
        plural = [one for one in candidates if one.inputs_max > 1]
        candidates = [one for one in plural if one.default or not one.companions] or candidates[:1]
    elif len(candidates) > 1 and not any(one.default for one in candidates):
        raise OptionInvalid(
            f"operation: {source} to {target} can mean several things;"
            f" say one of {_operations(candidates)}"
        )
    # The first one that is the default, or else the only one.
    chosen = max(candidates, key=lambda one: one.default and operation is None and inputs == 1)
    if inputs > chosen.inputs_max:
        raise SourceCountInvalid(
            f"{chosen.name} takes {_files(chosen.inputs_max)} and {inputs} were sent"
        )
    return chosen


def _candidates(source: str, target: str) -> list[Converter]:
    source_name, target_name = find(source).name, find(target).name
    found = list(_serving(source_name, target_name))
    if not found:
        becomes = sorted(
            {name for one in CONVERTERS if source_name in one.sources for name in one.targets}
        )
        known = (
            f"{source_name} becomes {', '.join(becomes)}"
            if becomes
            else (f"{source_name} is recognised but not converted")
        )
        raise ConversionUnsupported(f"nothing here turns {source_name} into {target_name}: {known}")
    return found


@functools.cache
def _serving(source: str, target: str) -> tuple[Converter, ...]:
    """By names of formats, of which there are only so many. Asked of every file of a batch."""
    return tuple(one for one in CONVERTERS if one.takes(source) and target in one.targets)


def _operations(converters: list[Converter]) -> str:
    return ", ".join(one.operation for one in converters)


def _files(count: int) -> str:
    return "one file" if count == 1 else f"at most {count} files"


def parse_options(
    converter: Converter, raw: Mapping[str, str], *, target: str | None = None
) -> msgspec.Struct:
    """Make the converter's options from query strings.

    With `target`, what that format cannot do is refused as well. Raises OptionInvalid, which names
    the option, what it may be, and for an unknown one all that exist.
    """
    types = _types(converter.options)
    values: dict[str, Any] = {}
    for name, text in raw.items():
        if name not in types:
            raise OptionInvalid(
                f"{name[:40]!r} is not an option of {converter.name}; known options:"
                f" {', '.join(types) or 'none'}"
            )
        values[name] = _parse(converter, name, text, types[name])
    options = msgspec.convert(values, converter.options)
    if target is not None and converter.check is not None:
        converter.check(options, find(target).name)
    return options


@functools.cache
def _types(options: type[msgspec.Struct]) -> dict[str, Any]:
    """The options' types by name. Asked of every request, and annotations are slow to read."""
    return {field.encode_name: field.type for field in msgspec.structs.fields(options)}


def _parse(converter: Converter, name: str, text: str, wanted: Any) -> object:
    """One value from its text. Raises OptionInvalid, which never repeats a secret."""
    try:
        value = msgspec.convert(text, wanted, strict=False)
    except msgspec.ValidationError:
        value = None
    if value is None:
        entry = options_schema(converter)["properties"][name]
        said = "the value" if entry.get("format") == "password" else repr(text[:40])
        raise OptionInvalid(f"{name}: {said} is not valid; it takes {_allowed(entry)}")
    return value


def options_schema(converter: Converter) -> dict[str, Any]:
    """The options as a JSON schema of one flat object, for /v1/formats, OpenAPI and the manual.

    Whoever wants it different makes another one: this one is given to all.
    """
    return _schema(converter.options)


@functools.cache
def _schema(options: type[msgspec.Struct]) -> dict[str, Any]:
    """Annotations are slow to read: a millisecond or two a type, for hundreds of converters."""
    schema = msgspec.json.schema(options)
    definition: dict[str, Any] = schema["$defs"][options.__name__]
    properties = {
        name: _without_null(dict(entry)) for name, entry in definition.get("properties", {}).items()
    }
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _without_null(entry: dict[str, Any]) -> dict[str, Any]:
    """An option that may be absent: the schema of its value, since a query cannot say null."""
    choices = entry.pop("anyOf", None)
    if choices is None:
        return entry
    present = [choice for choice in choices if choice != {"type": "null"}]
    return {**(present[0] if len(present) == 1 else {"anyOf": present}), **entry}


def _allowed(entry: Mapping[str, Any]) -> str:
    """Say what a value may be, in words, from its schema."""
    if "enum" in entry:
        return "one of " + ", ".join(str(value) for value in entry["enum"])
    if entry.get("type") == "boolean":
        return "true or false"
    if entry.get("type") in {"integer", "number"}:
        kind = "a whole number" if entry["type"] == "integer" else "a number"
        low, high = entry.get("minimum"), entry.get("maximum")
        return f"{kind} from {low} to {high}" if low is not None and high is not None else kind
    example = entry.get("examples", [""])[0]
    longest = f", at most {entry['maxLength']} characters" if "maxLength" in entry else ""
    return f"text such as {example!r}{longest}"
