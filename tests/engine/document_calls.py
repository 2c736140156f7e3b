"""Call the document family in real, confined workers: it executes a program, which needs one.

The engine runs in a loop of its own thread, so that tests stay plain functions.
"""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from engine import errors
from engine.engine import Engine, EngineConfig
from engine.job import Job, Output
from engine.registry import converter_for, parse_options

FILES = Path(__file__).parent.parent / "files" / "document"


def sample(name: str) -> bytes:
    """One of the committed inputs of this family."""
    return (FILES / name).read_bytes()


class Made(NamedTuple):
    """The class name of an error or "", its sentence, warnings, files."""

    error: str
    detail: str
    warnings: tuple[str, ...]
    files: list[bytes]

    @property
    def file(self) -> bytes:
        """The only file of a conversion that succeeded."""
        assert not self.error, f"{self.error}: {self.detail}"
        assert len(self.files) == 1
        return self.files[0]


class Workers:
    """Workers of the document family."""

    def __init__(self, engine: Engine, loop: asyncio.AbstractEventLoop) -> None:
        self._engine = engine
        self._loop = loop

    def convert(
        self,
        upload: bytes | str,
        source: str,
        target: str,
        **options: object,
    ) -> Made:
        """Convert in a worker of its own; options are turned into the strings of a query."""
        content = upload.encode() if isinstance(upload, str) else upload
        converter = converter_for(source, target, _ours(source, target))
        assert converter.family == "document", converter.name
        texts = {
            name: str(value).lower() if isinstance(value, bool) else str(value)
            for name, value in options.items()
        }
        try:
            job = Job(
                converter=converter.name,
                family=converter.family,
                sources=(source,),
                target=target,
                options=parse_options(converter, texts, target=target),
                inputs=(content,),
            )
            output = asyncio.run_coroutine_threadsafe(self._run(job), self._loop).result(120)
        except errors.EngineError as error:
            return Made(type(error).__name__, str(error), (), [])
        return Made("", "", output.warnings, [bytes(file) for file in output.files])

    async def _run(self, job: Job) -> Output:
        return await self._engine.convert(job)


@contextmanager
def workers() -> Iterator[Workers]:
    """An engine with this family only, for as long as the block lasts."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    # Kept workers: forking one a conversion would cost as much as half of these tests.
    config = EngineConfig(slots=1, started=("document",), uses=100)
    try:
        engine = asyncio.run_coroutine_threadsafe(Engine.start(config), loop).result(60)
        try:
            yield Workers(engine, loop)
        finally:
            asyncio.run_coroutine_threadsafe(engine.close(), loop).result(60)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def _ours(source: str, target: str) -> str:
    """Which operation is this family's, where another family serves the pair as well."""
    if source in {"eml", "msg"}:
        return "mail-pages" if target == "pdf" else "mail"
    if source == "typst" and target in {"pdf", "png", "svg"}:
        return "compile"
    return "typeset" if target == "pdf" else "restructure"
