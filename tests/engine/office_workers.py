"""An engine with the office family alone, for tests that call it like a function."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from engine.engine import Engine, EngineConfig
from engine.errors import EngineError

FILES = Path(__file__).parent.parent / "files" / "office"


class Done(NamedTuple):
    """What became of a conversion: the class name of an error or "", warnings, files."""

    error: str
    detail: str
    warnings: tuple[str, ...]
    files: list[bytes]
    worker: str = ""

    @property
    def file(self) -> bytes:
        """The only file of a conversion that succeeded."""
        assert not self.error, f"{self.error}: {self.detail}"
        assert len(self.files) == 1
        return self.files[0]


class Office:
    """Real workers in their sandbox."""

    def __init__(self, runner: asyncio.Runner, engine: Engine, account: str = "") -> None:
        self._runner, self._engine, self._account = runner, engine, account

    def convert(
        self, upload: bytes | str, target: str, *, source: str = "", **options: object
    ) -> Done:
        """Convert a file of `tests/files/office` by its name, or these bytes."""
        if isinstance(upload, str):
            source = source or upload.rpartition(".")[2]
            upload = (FILES / upload).read_bytes()
        texts = {name: _as_query(value) for name, value in options.items()}
        try:
            job = Engine.plan(source, target, texts, [upload])
            output = self._runner.run(self._engine.convert(job, account=self._account))
        except EngineError as error:
            return Done(type(error).__name__, str(error), (), [])
        files = [bytes(file) for file in output.files]
        return Done("", "", output.warnings, files, output.worker)


@contextmanager
def office(uses: int = 1) -> Iterator[Office]:
    """Start the engine, and stop it. A worker serves one account `uses` times, or anybody once."""
    kept: dict[str, Any] = {"policy": "per-account", "account_uses": uses} if uses > 1 else {}
    with asyncio.Runner() as runner:
        engine = runner.run(Engine.start(EngineConfig(slots=1, started=("office",), **kept)))
        try:
            yield Office(runner, engine, "one" if kept else "")
        finally:
            runner.run(engine.close())


def _as_query(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
