"""`/info…`: which converters there are, in the words of ConvertAPI's own catalogue.

Made of the tables that requests go by (`parameters/`), so that what is listed works: a converter
that is not installed here is missing, and so are parameters and values that are always refused.
"""

import functools
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
from aiohttp import hdrs, web

from engine import errors, formats
from gateway.api.answers import encoded
from gateway.api.formats import CACHE
from gateway.compat.convertapi.parameters import kinds, table
from gateway.compat.convertapi.parameters.shared import GENERAL
from gateway.compat.convertapi.parameters.terms import (
    Counterpart,
    Holds,
    Never,
    Only,
    Parameter,
    Sets,
)
from gateway.errors import RouteUnknown

_ALL = frozenset({"*", "any"})
# Where a word of a name begins.
_WORDS = re.compile(r"(?<=[a-z])(?=[A-Z])")


class Range(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """What a number may be."""

    from_: float = msgspec.field(name="From")
    to: float


class ConverterParameter(
    msgspec.Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True
):
    """One parameter that can be sent."""

    name: str
    label: str
    # Bool, Integer, Double, String, Color, Collection or File.
    type: str
    description: str
    group_name: str
    # Always there, as clients insist on both.
    required: bool | None = None
    array: bool | None = None
    default: bool | int | float | str | None = None
    range: Range | None = None
    # An enum's values, and what they are called.
    values: dict[str, str] | None = None


class ConverterParameterGroup(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """Parameters under one heading."""

    name: str
    converter_parameters: tuple[ConverterParameter, ...]


class ConverterInfo(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """One converter: a pair of formats, or of a format and what is done with it."""

    name: str
    title: str
    description: str
    # Whether another converter of the pair is the usual one: never here.
    alternative: bool = False
    source_file_formats: tuple[str, ...]
    source_extensions: tuple[str, ...]
    destination_file_formats: tuple[str, ...]
    destination_extensions: tuple[str, ...]
    converter_parameter_groups: tuple[ConverterParameterGroup, ...]


class Convertible(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """A pair that is served."""

    source_file_format: str
    destination_file_format: str


async def list_all(_request: web.Request) -> web.StreamResponse:
    """`GET /info`."""
    return _cached(_everything())


async def list_pairs(request: web.Request) -> web.StreamResponse:
    """`GET /info/{source}/to/{target}`; `*` and `any` are all of them."""
    source, target = (table.canonical(request.match_info[name]) for name in ("source", "target"))
    found = [
        one
        for one in converters()
        if (source in _ALL or source in (*one.source_file_formats, *one.source_extensions))
        and (target in _ALL or target in one.destination_file_formats)
    ]
    return _cached(msgspec.json.encode(found))


async def show(request: web.Request) -> web.StreamResponse:
    """`GET /info/converter/{name}`: a list, as of everything at `/info`."""
    wanted = request.match_info["name"].lower()
    found = [one for one in converters() if one.name.lower() == wanted]
    if not found:
        raise RouteUnknown("there is no converter of this name; GET /info lists what there is")
    return _cached(msgspec.json.encode(found))


async def can_convert(request: web.Request) -> web.StreamResponse:
    """`GET /info/canconvert/{source}/to/{target}`: 200, or 404 with the reason."""
    source, target = (table.canonical(request.match_info[name]) for name in ("source", "target"))
    _found(source, target)
    pair = Convertible(source_file_format=source, destination_file_format=target)
    return _cached(msgspec.json.encode(pair))


async def describe(request: web.Request) -> web.StreamResponse:
    """`GET /info/openapi/{source}/to/{target}`: one converter as OpenAPI 3.0.1."""
    source, target = (table.canonical(request.match_info[name]) for name in ("source", "target"))
    return _cached(msgspec.json.encode(openapi(source, target, _found(source, target))))


@functools.cache
def converters() -> tuple[ConverterInfo, ...]:
    """All that are served here. Made once: what is installed does not change."""
    return tuple(_info(source, counterpart) for source, counterpart in table.pairs())


def openapi(source: str, target: str, counterpart: Counterpart) -> dict[str, Any]:
    """The description of one converter, with ConvertAPI's own `x-ca-` extensions."""
    offered = _offered(counterpart)
    properties = {one.name: _property(one) for one in offered}
    required = [one.name for one in offered if one.required]
    schema = {"type": "object", "properties": properties} | (
        {"required": required} if required else {}
    )
    return {
        "openapi": "3.0.1",
        "info": {"title": _title(source, target), "version": "v2"},
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}],
        "paths": {
            f"/convert/{source}/to/{target}": {
                "post": {
                    "operationId": f"convert{converter_name(source, target)}",
                    "summary": _title(source, target),
                    "description": counterpart.note,
                    "x-ca-source-formats": list(_extensions(source, counterpart)),
                    "x-ca-destination-formats": [_extension(target, counterpart)],
                    "requestBody": {"content": {"multipart/form-data": {"schema": schema}}},
                    "responses": {
                        "200": {
                            "description": "The results.",
                            "content": {"application/json": {"schema": _RESULT}},
                        },
                        "default": {
                            "description": "A refusal, with its code.",
                            "content": {"application/json": {"schema": _REFUSAL}},
                        },
                    },
                }
            }
        },
        "components": {"securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}}},
    }


_RESULT = {
    "type": "object",
    "properties": {
        "ConversionCost": {"type": "integer"},
        "Files": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "FileName": {"type": "string"},
                    "FileExt": {"type": "string"},
                    "FileSize": {"type": "integer"},
                    "FileId": {"type": "string"},
                    "Url": {"type": "string"},
                    "FileData": {"type": "string", "format": "byte"},
                },
            },
        },
    },
}
_REFUSAL = {
    "type": "object",
    "properties": {
        "Code": {"type": "integer"},
        "Message": {"type": "string"},
        "InvalidParameters": {
            "type": "object",
            "additionalProperties": {"type": "array", "items": {"type": "string"}},
        },
    },
}


@functools.cache
def _everything() -> bytes:
    return msgspec.json.encode(converters())


def _cached(page: bytes) -> web.Response:
    response = encoded(page)
    response.headers[hdrs.CACHE_CONTROL] = CACHE
    return response


def _found(source: str, target: str) -> Counterpart:
    """Raises RouteUnknown with the reason: here a pair that is not served is no such address."""
    try:
        return table.find(source, target)
    except errors.ConversionUnsupported as error:
        raise RouteUnknown(str(error)) from error


def _info(source: str, counterpart: Counterpart) -> ConverterInfo:
    target = counterpart.target
    groups: dict[str, list[ConverterParameter]] = {}
    for one in _offered(counterpart):
        groups.setdefault(one.group, []).append(_entry(one))
    return ConverterInfo(
        name=converter_name(source, target),
        title=_title(source, target),
        description=counterpart.note,
        source_file_formats=(source,),
        source_extensions=_extensions(source, counterpart),
        destination_file_formats=(target,),
        destination_extensions=(_extension(target, counterpart),),
        converter_parameter_groups=tuple(
            ConverterParameterGroup(name=name, converter_parameters=tuple(entries))
            for name, entries in groups.items()
        ),
    )


def converter_name(source: str, target: str) -> str:
    """What a converter is called at `/info/converter/{name}`: `PdfToDeletePages`."""
    words = (word for part in (source, "to", target) for word in part.split("-"))
    return "".join(word.capitalize() for word in words)


def _title(source: str, target: str) -> str:
    return f"{source.upper()} to {target.replace('-', ' ').upper()} API"


def _extensions(source: str, counterpart: Counterpart) -> tuple[str, ...]:
    """A source's own name first, then what else the same converter takes."""
    alone = len(counterpart.sources) == 1 or source == counterpart.sources[0]
    return tuple(dict.fromkeys((source, *(counterpart.also if alone else ()))))


def _extension(target: str, counterpart: Counterpart) -> str:
    """What results end with: the target's own word where that is their format, else its own."""
    made = formats.find(counterpart.steps[-1].target)
    try:
        return target if formats.find(target) is made else made.extensions[0]
    except errors.FormatUnknown:
        return made.extensions[0]


def _offered(counterpart: Counterpart) -> Iterable[Parameter]:
    """Parameters that can be honoured, each name once."""
    return [
        one
        for one in (*counterpart.parameters, *GENERAL)
        if not isinstance(one.effect, Never)
        and not (isinstance(one.effect, Holds) and one.effect.why)
    ]


def values_of(parameter: Parameter) -> Sequence[str]:
    """An enum's values that are honoured."""
    if not isinstance(parameter.kind, kinds.Choice):
        return ()
    match parameter.effect:
        case Sets(words=words) if words is not None:
            return [value for value in parameter.kind.values if value in words]
        case Only(values=values):
            return values
        case _:
            return parameter.kind.values


_TYPED: dict[str, Callable[[str], bool | int | float]] = {
    "Bool": lambda text: text == "true",
    "Integer": int,
    "Double": float,
}


def _default(parameter: Parameter) -> bool | int | float | str | None:
    if not parameter.default:
        return None
    return _TYPED.get(parameter.reader.type, str)(parameter.default)


def _entry(parameter: Parameter) -> ConverterParameter:
    kind, values = parameter.kind, values_of(parameter)
    ranged = isinstance(kind, kinds.Whole | kinds.Number)
    return ConverterParameter(
        name=parameter.name,
        label=label(parameter.name),
        type=parameter.reader.type,
        description=f"Takes {parameter.reader.takes()}.",
        group_name=parameter.group,
        required=parameter.required,
        array=isinstance(kind, kinds.Upload) and kind.several,
        default=_default(parameter),
        range=Range(from_=kind.low, to=kind.high) if ranged else None,
        values={value: label(value) for value in values} if values else None,
    )


def label(name: str) -> str:
    """A name as people read it: `PageRange` is Page range."""
    words = _WORDS.sub(" ", name).strip()
    return words[:1].upper() + words[1:].lower() if " " in words else words


_SCHEMAS: dict[str, dict[str, Any]] = {
    "Bool": {"type": "boolean"},
    "Integer": {"type": "integer"},
    "Double": {"type": "number"},
    "File": {"type": "string", "format": "binary"},
}


def _property(parameter: Parameter) -> dict[str, Any]:
    kind, values = parameter.kind, values_of(parameter)
    schema = dict(_SCHEMAS.get(parameter.reader.type, {"type": "string"}))
    if isinstance(kind, kinds.Upload) and kind.several:
        schema = {"type": "array", "items": schema}
    if isinstance(kind, kinds.Text) and kind.secret:
        schema["format"] = "password"
    default = _default(parameter)
    extra: dict[str, Any] = {
        "description": f"Takes {parameter.reader.takes()}.",
        "x-ca-group": parameter.group,
        "x-ca-label": label(parameter.name),
        "x-ca-type": parameter.reader.type,
    }
    if isinstance(kind, kinds.Whole | kinds.Number):
        extra |= {
            "minimum": kind.low,
            "maximum": kind.high,
            "x-ca-range": {"from": kind.low, "to": kind.high},
        }
    if values:
        extra["enum"] = list(values)
    if default is not None:
        extra["default"] = default
    return schema | extra
