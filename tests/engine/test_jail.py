"""What runs inside the jail: which modules, no thread, and after warming not one file opened."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from engine.registry import FAMILIES
from tests.engine.jail_probe import MARKER

_PROBE = str(Path(__file__).parent / "jail_probe.py")
# Not `_socket`: typing_extensions takes a type from that C module on Python 3.11.
_FORBIDDEN = re.compile(
    r"^(_?asyncio|aiohttp|asyncpg|uvloop|_?pickle|gateway|ledger|socket|_?ssl|multiprocessing"
    r"|concurrent|http|structlog|sandbox\.host)(\.|$)"
)
# What every process imports of every family: its declarations, and nothing of its code.
_DECLARATIONS = re.compile(r"\.(catalogue(_\w+)?|ranges)$")
_NAMES = [family.name for family in FAMILIES]
# Those that execute a program or read files do so in the sandbox only, and are traced there.
_SELF_CONTAINED = [one.name for one in FAMILIES if not one.program and not one.reads]


def _probe(*arguments: str, tracer: tuple[str, ...] = ()) -> str:
    command = [*tracer, sys.executable, "-I", _PROBE, *arguments]
    done = subprocess.run(command, capture_output=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


@pytest.mark.parametrize("family", _NAMES)
@pytest.mark.claim("C-JAIL-1")
def test_a_zygote_holds_no_forbidden_module_even_transitively(family: str) -> None:
    loaded = _probe(family, "modules").split("\n")[1].split()
    assert len(loaded) > 50
    assert [name for name in loaded if _FORBIDDEN.match(name)] == []


@pytest.mark.parametrize("family", _NAMES)
def test_families_do_not_load_each_other(family: str) -> None:
    loaded = _probe(family, "modules").split("\n")[1].split()
    others = [f"engine.converters.{name}." for name in _NAMES if name != family]
    foreign = [name for name in loaded if name.startswith(tuple(others))]
    assert [name for name in foreign if not _DECLARATIONS.search(name)] == []


@pytest.mark.parametrize("family", _SELF_CONTAINED)
def test_after_warming_a_worker_opens_no_file_and_starts_nothing(
    family: str, tmp_path: Path
) -> None:
    """The whole family's conversions, good and broken files, under strace and an audit hook."""
    trace = tmp_path / "trace"
    threads_max = next(one.limits.threads for one in FAMILIES if one.name == family)
    starts = "fork,vfork" if threads_max else "clone,clone3,fork,vfork"
    calls = f"trace=%file,memfd_create,socket,{starts}"
    told = _probe(family, "events", tracer=("strace", "-f", "-o", str(trace), "-e", calls))
    threads, converted, *events = told.strip().split("\n")
    assert threads == "threads 1"
    assert int(converted.split()[1]) > 100
    assert events == []
    lines = trace.read_text().splitlines()
    begin = next(index for index, line in enumerate(lines) if MARKER in line)
    worker = lines[begin].split()[0]
    assert [line for line in lines[begin + 1 :] if re.match(rf"{worker} +\w+\(", line)] == []
