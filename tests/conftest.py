"""What the packages of tests share: a PostgreSQL, an engine, and the order of their files.

Both live as long as the session, in each process of pytest-xdist. The engine ends early where a
test on another kind of event loop comes between, so the packages on uvloop come first, together.
Within them, and after them, the files that take longest come first: no core is idle at the end.
"""

import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from engine.engine import Engine, EngineConfig
from tests.postgres import Server, serving

# Processes are started here by the hundred. Where the environment forbids to keep what is compiled,
# each of them, and each process of pytest itself, would compile everything again.
sys.dont_write_bytecode = False

_TESTS = Path(__file__).parent
_ON_UVLOOP = ("system", "gateway", "compat")
# By CPU seconds, from `--durations`; it need not be exact, and a file that is missing comes later.
_LONGEST = (
    "gateway/test_cli_ops.py",
    "system/test_load.py",
)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort by file; the tests of a file keep their order. Run with --no-loadscope-reorder."""
    files = {item.path.relative_to(_TESTS).as_posix() for item in items}
    turns = {file: _turn(file) for file in files}
    items.sort(key=lambda item: turns[item.path.relative_to(_TESTS).as_posix()])


def _turn(file: str) -> tuple[bool, int, str]:
    elsewhere = file.partition("/")[0] not in _ON_UVLOOP
    return elsewhere, _LONGEST.index(file) if file in _LONGEST else len(_LONGEST), file


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def engine() -> AsyncIterator[Engine]:
    engine = await Engine.start(EngineConfig())
    try:
        yield engine
    finally:
        await engine.close()
