"""Every pair of the registry meets a real file, in real workers of its family.

Run as usual, every converter, every source and every target of a family meets one at least. With
`EPHEMERA_EVERY_PAIR=1` each pair is walked, some thousands, which takes minutes. Whatever
comes out must be recognised as the target: the sniffer did not make it.

A new format needs a file: `tests/files/samples/sample.<format>`, or any file of its extension below
`tests/files`. One that cannot be had is listed here with the reason.
"""

import os
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path

import pytest

from engine.engine import Batch, Engine, EngineConfig
from engine.errors import ConversionUnsupported, EngineError, TargetImpossible
from engine.job import Buffer
from engine.likeness import fits
from engine.registry import CONVERTERS, FAMILIES, Converter
from engine.sniff import sniff
from tests.engine.calls import FILES
from tests.engine.pairs import (
    ASKED,
    FINDERS,
    FIRST,
    NEEDED,
    OPTIONS,
    OTHERS,
    WITHOUT_SAMPLE,
    format_of,
    sample,
)

EVERY = bool(os.environ.get("EPHEMERA_EVERY_PAIR"))
# One worker serves so many here: what is tested are the converters, not the forks.
USES = 100


def pairs(family: str) -> Iterator[tuple[Converter, str, str]]:
    """All pairs; or so many that each source, each target and each converter is among them."""
    sources: set[str] = set()
    targets: set[str] = set()
    for converter in (one for one in CONVERTERS if one.family == family):
        known = [one for one in converter.sources if one not in WITHOUT_SAMPLE]
        chosen = product(known, converter.targets) if EVERY else _diagonal(known, converter.targets)
        for number, (source, target) in enumerate(chosen):
            if EVERY or not number or source not in sources or target not in targets:
                sources.add(source)
                targets.add(target)
                yield converter, source, target


def _diagonal(sources: Sequence[str], targets: Sequence[str]) -> Iterator[tuple[str, str]]:
    for number in range(max(len(sources), len(targets)) if sources else 0):
        yield sources[number % len(sources)], targets[number % len(targets)]


async def _fault(
    engine: Engine, converter: Converter, source: str, target: str, batch: Batch | None = None
) -> str | None:
    """What is wrong with a pair, None for nothing."""
    body = await _first(engine, converter, source)
    if body is None:
        return f"there is no tests/files/samples/sample.{source}"
    options = {"operation": converter.operation, **OPTIONS.get(converter.name, {})}
    known = converter.options.__struct_fields__
    needed = NEEDED.get(source, {}) | ASKED.get(target, {})
    options |= {name: value for name, value in needed.items() if name in known}
    uploads = [body, *((FILES / name).read_bytes() for name in OTHERS.get(converter.name, ()))]
    try:
        job = engine.plan(source if len(uploads) == 1 else "auto", target, options, uploads)
        assert job.converter == converter.name
        output = await (batch or engine).convert(job)
    except TargetImpossible as error:
        return None if converter.name in FINDERS else str(error)
    except EngineError as error:
        return f"{type(error).__name__}: {error}"
    return next(
        (fault for file in output.files if (fault := _judged(converter, target, file))), None
    )


async def _first(engine: Engine, converter: Converter, source: str) -> Buffer | None:
    """The converter's file, in the format of the source where something makes it that."""
    path = FIRST.get(converter.name)
    if path is None:
        return sample(source)
    body = (FILES / path).read_bytes()
    if format_of(Path(path).suffix) == source:
        return body
    try:
        output = await engine.convert(engine.plan("auto", source, {}, [body]))
    except ConversionUnsupported:
        return sample(source)
    return output.files[0]


def _judged(converter: Converter, target: str, file: Buffer) -> str | None:
    if not len(file):
        return None if converter.name in FINDERS else "an empty file came"
    seen = sniff(file)
    return None if fits(target, seen) else f"what came looks like {seen}"


@pytest.mark.parametrize("family", [family.name for family in FAMILIES])
async def test_every_source_and_target_of_a_family_is_converted(family: str) -> None:
    engine = await Engine.start(EngineConfig(slots=2, started=(family,), uses=USES))
    try:
        faults = [
            f"{converter.name} {source} to {target}: {fault}"
            for converter, source, target in pairs(family)
            if (fault := await _fault(engine, converter, source, target)) is not None
        ]
        # A worker that somebody waits for touches nothing ahead: what a touch starts is missing.
        async with engine.batch() as batch:
            if (fault := await _fault(engine, *next(pairs(family)), batch)) is not None:
                faults.append(f"without a touch: {fault}")
    finally:
        await engine.close()
    assert faults == []


def test_what_has_no_sample_is_still_a_source_and_has_none() -> None:
    sources = {source for converter in CONVERTERS for source in converter.sources}
    assert set(WITHOUT_SAMPLE) <= sources
    assert [name for name in WITHOUT_SAMPLE if sample(name) is not None] == []
