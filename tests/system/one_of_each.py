"""`python -m tests.system.one_of_each`: one conversion of every family, for a tracer to watch.

Zygotes and spares are there before the first marker; between two markers lies the conversion of one
family, and what is forked in its place.
"""

import asyncio
import os

import uvloop

from engine.engine import Engine, EngineConfig
from engine.registry import FAMILIES
from tests.engine.pairs import sample

MARKER = "/now-comes-"
PAIRS = {
    "archive": ("zip", "tar"),
    "browser": ("html", "pdf"),
    "data": ("csv", "xlsx"),
    "document": ("md", "docx"),
    "image": ("png", "webp"),
    "media": ("mp4", "webm"),
    "misc": ("srt", "vtt"),
    "ocr": ("pdf", "txt"),
    "office": ("odt", "pdf"),
    "pdf": ("pdf", "png"),
    "photo": ("dng", "jpeg"),
    "signing": ("pdf", "json"),
    "solid": ("stl", "glb"),
    "vector": ("svg", "png"),
}
# Where another family is the pair's default.
OPERATIONS = {"ocr": "recognise", "signing": "signatures"}


async def main() -> None:
    """Convert. Raises the first failure."""
    names = tuple(family.name for family in FAMILIES)
    engine = await Engine.start(EngineConfig(slots=1, started=names))
    try:
        for name in names:
            source, target = PAIRS[name]
            options = {"operation": OPERATIONS[name]} if name in OPERATIONS else {}
            body = sample(source)
            assert body is not None, source
            job = engine.plan(source, target, options, [body])
            assert job.family == name, job.converter
            os.access(MARKER + name, os.F_OK)
            output = await engine.convert(job)
            assert output.files
            await _stocked(engine)
    finally:
        os.access(f"{MARKER}the-end", os.F_OK)
        await engine.close()


async def _stocked(engine: Engine) -> None:
    """Return when the worker that was used up is replaced."""
    async with asyncio.timeout(60):
        while any(one.spares < one.spares_max for one in engine.status().families):  # noqa: ASYNC110 -- in other processes
            await asyncio.sleep(0.01)


if __name__ == "__main__":
    uvloop.run(main())
