"""Real browser workers for tests: one engine, many pages."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from engine import registry
from engine.converters.browser import catalogue
from engine.engine import Engine, EngineConfig
from engine.job import Output
from tests.engine.real_workers import job

FILES = Path(__file__).parent.parent / "files/browser"
CONVERTERS = {one.name: one for one in catalogue.CONVERTERS}

_IS_HERE = any(family.name == "browser" for family in registry.FAMILIES)
needs_browser = pytest.mark.skipif(
    not _IS_HERE,
    reason="no chromium-headless-shell, or `python -m engine.converters.browser.build` not run",
)
needs_poppler = pytest.mark.skipif(shutil.which("pdftotext") is None, reason="no poppler")


class Browser:
    """Asks an engine for pages."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def output(self, upload: bytes, source: str, target: str, **options: object) -> Output:
        name = "browser.print" if target == "pdf" else "browser.capture"
        texts = {key: _as_query(value) for key, value in options.items()}
        ready = job(CONVERTERS[name], source, target, upload, texts)
        return await self._engine.convert(ready)

    async def file(self, upload: bytes | str, target: str, **options: object) -> bytes:
        """The one result of an HTML page."""
        content = upload.encode() if isinstance(upload, str) else upload
        output = await self.output(content, "html", target, **options)
        assert len(output.files) == 1
        return bytes(output.files[0])


@asynccontextmanager
async def browser() -> AsyncIterator[Browser]:
    engine = await Engine.start(EngineConfig(slots=1, started=("browser",)))
    try:
        yield Browser(engine)
    finally:
        await engine.close()


def sample(name: str) -> bytes:
    return (FILES / name).read_bytes()


def _as_query(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
