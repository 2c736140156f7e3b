"""The catalogue for people to read: `python -m gateway.manual > docs/formats.md`.

Written from the declarations, installed here or not, so it says the same on every machine; a test
compares it with the committed page.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from engine import formats, libraries, registry
from engine.converter import Converter, Family
from gateway.api.formats import query_schema
from gateway.fidelity import FIDELITY, MEANING
from gateway.pricing import INSPECTION, MIB, SIZE_STEPS

# Longer lists of choices are cut; `/v1/formats` has them whole.
CHOICES_MAX = 24

_TYPES = {"integer": "whole number", "number": "number", "boolean": "`true` or `false`"}


def page() -> str:
    """The whole page."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    declared = registry.DECLARED
    pairs = {
        (source, target)
        for _, converters in declared
        for one in converters
        for source in one.sources
        for target in one.targets
    }
    names = {name for pair in pairs for name in pair}
    yield "# Formats"
    yield ""
    yield "Generated from the declarations by `python -m gateway.manual > docs/formats.md`."
    yield ""
    yield (
        f"{len(pairs)} pairs of {len(names)} formats, where all families are installed. A running"
        " service lists its own at `GET /v1/formats`, and says of a file what it is and what it can"
        f" become at `POST /v1/inspect` ({INSPECTION} credit, or none where no worker is needed)."
    )
    yield ""
    yield from _fidelity()
    yield from _prices()
    yield from _index(declared)
    for family, converters in declared:
        yield from _family(family, converters)


def _fidelity() -> Iterator[str]:
    yield "## How true a result is"
    yield ""
    yield from (f"- **{tier}**: {meaning}" for tier, meaning in MEANING.items())
    yield ""
    yield "What one particular file lost stands in the answer's `X-Conversion-Warnings`."
    yield ""


def _prices() -> Iterator[str]:
    yield "## Prices"
    yield ""
    steps = [
        f"up to {step.input_bytes_max // MIB} MiB times {step.factor}"
        if step.input_bytes_max
        else f"beyond that times {step.factor}"
        for step in SIZE_STEPS
    ]
    yield f"A converter's credits, for uploads {', '.join(steps)}. A pipeline costs the sum."
    yield ""


def _index(declared: Sequence[tuple[Family, Sequence[Converter]]]) -> Iterator[str]:
    becomes: dict[str, set[str]] = {}
    for _, converters in declared:
        for one in converters:
            for source in one.sources:
                becomes.setdefault(source, set()).update(one.targets)
    yield "## What becomes what"
    yield ""
    yield "| from | to |"
    yield "|---|---|"
    for source in sorted(becomes):
        yield f"| {source} ({formats.title(source)}) | {', '.join(sorted(becomes[source]))} |"
    yield ""


def _family(family: Family, converters: Sequence[Converter]) -> Iterator[str]:
    limits, bounds = family.limits, family.bounds
    yield f"## {family.name}"
    yield ""
    names = libraries.LIBRARIES.get(family.name, ())
    yield f"Libraries: {', '.join(names) or 'a program of the system'}."
    yield ""
    yield (
        f"Limits of one conversion: upload {_mib(limits.input_bytes_max)}, result"
        f" {_mib(limits.output_bytes_max)}, memory"
        f" {_mib(limits.data_bytes or limits.address_space_bytes)}, CPU {limits.cpu_s} s, time"
        f" {limits.wall_s:.0f} s; {bounds.pixels_max:,} pixels, {bounds.frames_max:,} frames,"
        f" {bounds.pages_max:,} pages."
    )
    yield ""
    for converter in converters:
        yield from _converter(converter)


def _mib(size: int) -> str:
    return f"{size // MIB} MiB"


def _converter(one: Converter) -> Iterator[str]:
    yield f"### {one.name}"
    yield ""
    yield f"{one.title}. {_credits(one.credits)}, {FIDELITY[one.name]}.{_files(one)}"
    yield ""
    yield f"- from: {', '.join(one.sources)}"
    yield f"- to: {', '.join(one.targets)}"
    yield ""
    options: Mapping[str, Any] = query_schema(one)["properties"]
    if not options:
        return
    yield "| option | takes | default | |"
    yield "|---|---|---|---|"
    for name, entry in options.items():
        told = str(entry.get("description", "")).replace("|", "\\|").replace("\n", " ")
        yield f"| `{name}` | {_takes(entry)} | {_default(entry)} | {told} |"
    yield ""


def _credits(count: int) -> str:
    return "1 credit" if count == 1 else f"{count} credits"


def _files(one: Converter) -> str:
    if one.inputs_max == 1:
        return ""
    others = (
        f"; those after the first: {', '.join(_some(one.companions))}" if one.companions else ""
    )
    return f" Takes {one.inputs_min} to {one.inputs_max} files{others}."


def _some(names: Sequence[str]) -> list[str]:
    cut = [f"and {len(names) - CHOICES_MAX} more"] if len(names) > CHOICES_MAX else []
    return [*names[:CHOICES_MAX], *cut]


def _takes(entry: Mapping[str, Any]) -> str:
    """What a value may be, from its schema."""
    if "enum" in entry:
        return ", ".join(_some([f"`{value}`" for value in entry["enum"]]))
    if "anyOf" in entry:
        return " or ".join(_takes(choice) for choice in entry["anyOf"])
    kind = _TYPES.get(str(entry.get("type")), "text")
    low, high = entry.get("minimum"), entry.get("maximum")
    if low is not None and high is not None:
        return f"{kind} from {low} to {high}"
    longest = entry.get("maxLength")
    return f"{kind}, at most {longest} characters" if longest else kind


def _default(entry: Mapping[str, Any]) -> str:
    value = entry.get("default")
    if value is None or value == "":
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


if __name__ == "__main__":
    sys.stdout.write(page())
