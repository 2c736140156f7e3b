"""Run jobs in real sandboxed workers, without a sniffer's opinion of the upload."""

from collections.abc import Iterable, Mapping
from itertools import product

from engine.engine import Engine, EngineConfig
from engine.errors import EngineError
from engine.job import Job, Output
from engine.registry import CONVERTERS, Converter, parse_options


def job(
    converter: Converter,
    source: str,
    target: str,
    upload: bytes,
    options: Mapping[str, str] | None = None,
) -> Job:
    """One conversion, checked as planning checks it."""
    return Job(
        converter=converter.name,
        family=converter.family,
        sources=(source,),
        target=target,
        options=parse_options(converter, options or {}, target=target),
        inputs=(upload,),
    )


async def convert_all(
    family: str,
    uploads: Mapping[str, Iterable[bytes]],
    *,
    options: Mapping[str, Mapping[str, str]] | None = None,
    uses: int = 100,
) -> dict[tuple[str, str, str], Output | EngineError]:
    """Every pair of every converter of a family, in few workers: forking hundreds takes seconds.

    `options`: by source, what its files need.
    """
    converters = [one for one in CONVERTERS if one.family == family]
    engine = await Engine.start(EngineConfig(slots=1, started=(family,), uses=uses))
    done: dict[tuple[str, str, str], Output | EngineError] = {}
    try:
        for converter in converters:
            for source, target in product(converter.sources, converter.targets):
                for upload in uploads[source]:
                    try:
                        given = (options or {}).get(source)
                        ready = job(converter, source, target, upload, given)
                        output = await engine.convert(ready)
                        done[converter.name, source, target] = output
                    except EngineError as error:
                        done[converter.name, source, target] = error
    finally:
        await engine.close()
    return done
