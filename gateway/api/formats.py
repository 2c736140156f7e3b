"""`GET /v1/formats`: what becomes what, with which options, at what price.

Built once from the engine's tables and the price tables, so it cannot disagree with what runs.
"""

import functools
from typing import Any

import msgspec
from aiohttp import hdrs, web

from engine import formats, registry
from engine.registry import Converter
from gateway import pricing, state
from gateway.api.answers import encoded

# The tables change with a release only; five minutes keep a rollout from being confusing for long.
CACHE = "public, max-age=300"


class FormatEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One format that is a source or a target of some conversion."""

    name: str
    title: str
    media_type: str
    extensions: tuple[str, ...]
    aliases: tuple[str, ...]


class ConverterEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One capability: any of `sources` into any of `targets`."""

    name: str
    # The value of the query parameter `operation`, needed where a pair has several converters.
    operation: str
    title: str
    sources: tuple[str, ...]
    targets: tuple[str, ...]
    # How many files one request may carry; more than one only as multipart/form-data.
    files_max: int
    # Credits, times the factor of the upload's size.
    credits: int
    # JSON Schema of the query parameters.
    options: dict[str, Any]


class FormatsPage(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that can be asked of `POST /v1/convert/{source}/{target}`."""

    formats: tuple[FormatEntry, ...]
    converters: tuple[ConverterEntry, ...]
    # The first step that holds the upload's bytes, all files together, gives the factor.
    size_steps: tuple[pricing.SizeStep, ...]


async def list_formats(request: web.Request) -> web.StreamResponse:
    """`GET /v1/formats`."""
    response = encoded(request.app[state.FORMATS_PAGE])
    response.headers[hdrs.CACHE_CONTROL] = CACHE
    return response


def query_schema(converter: Converter) -> dict[str, Any]:
    """A converter's options as JSON Schema, as they can be written in a query."""
    schema = registry.options_schema(converter)
    properties = {}
    for name, option in schema["properties"].items():
        # A query cannot say null; absent says it.
        absent = option.get("default", ...) is None
        properties[name] = {key: option[key] for key in option if not (absent and key == "default")}
    return schema | {"properties": properties}


@functools.cache
def page() -> bytes:
    """The page as it is served, made once a process."""
    return msgspec.json.encode(build_page())


def build_page() -> FormatsPage:
    """The page from the tables."""
    used = {
        name
        for converter in registry.CONVERTERS
        for name in (*converter.sources, *converter.targets)
    }
    return FormatsPage(
        formats=tuple(
            FormatEntry(
                name=one.name,
                title=one.title,
                media_type=one.media_type,
                extensions=one.extensions,
                aliases=one.aliases,
            )
            for one in formats.FORMATS
            if one.name in used
        ),
        converters=tuple(
            ConverterEntry(
                name=converter.name,
                operation=converter.operation,
                title=converter.title,
                sources=converter.sources,
                targets=converter.targets,
                files_max=converter.inputs_max,
                credits=pricing.WEIGHTS[converter.name],
                options=query_schema(converter),
            )
            for converter in registry.CONVERTERS
        ),
        size_steps=pricing.SIZE_STEPS,
    )
