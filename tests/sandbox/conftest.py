"""The sandbox is used from asyncio and from uvloop: what waits and fails is tested on both."""

import asyncio
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
import uvloop

Factory = Callable[[], asyncio.AbstractEventLoop]


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Factory]:
    del config
    if item.path.name in {"test_faults.py", "test_forkserver.py"}:
        return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
def readable() -> Iterator[Path]:
    """A directory that the worker's user gets at, which pytest's own are not."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        yield Path(directory)


@pytest.fixture(scope="session")
def intruder() -> Iterator[Path]:
    """The program of a test family, with another one and a library beside it, for all to read."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler is installed")
    source = str(Path(__file__).with_name("intruder.c"))
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        for name, flags in (
            ("intruder", ["-static"]),
            ("other", ["-static"]),
            ("library.so", ["-shared", "-fPIC", "-DLIBRARY"]),
        ):
            made = str(Path(directory, name))
            subprocess.run([compiler, "-O1", *flags, "-o", made, source], check=True)
        yield Path(directory, "intruder")
