"""What runs inside the jail: which modules, no thread, and after warming not one file opened."""

import functools
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from engine.registry import CONVERTERS, FAMILIES
from tests.engine.jail_probe import MARKER

_PROBE = str(Path(__file__).parent / "jail_probe.py")
# Not `_socket`: typing_extensions takes a type from that C module on Python 3.11.
_FORBIDDEN = re.compile(
    r"^(_?asyncio|aiohttp|asyncpg|uvloop|_?pickle|gateway|ledger|socket|_?ssl|multiprocessing"
    r"|concurrent|http|structlog|sandbox\.host)(\.|$)"
)
# What libraries drag along that nobody calls here, and no system call would be allowed to. No event
# loop, no driver, nothing of ours from outside the jail is ever among it.
_NETWORK = ("socket", "ssl", "_ssl", "http")
_DRAGGED_ALONG = {
    "archive": (
        "socket",
        "_pickle",
        "pickle",
        "multiprocessing",
    ),  # py7zr, which could use processes
    "data": (*_NETWORK, "_pickle", "pickle"),  # pyarrow's and fastavro's own stores
    "document": ("socket",),  # the standard library's mail parser
    "misc": _NETWORK,  # fontTools
    "signing": ("socket",),  # cryptography, for addresses in certificates
    "solid": ("socket", "_pickle", "pickle"),  # trimesh, and numpy's files
}
# As zygotes have it.
_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "OMP_THREAD_LIMIT": "1"}
# What libraries try, are refused, and live without (their conversions pass in confined workers):
# FFmpeg would like threads, randomness and the character sets of broadcasts; py7zr looks where a
# link would lead.
_TRIED = {
    "media": r'clone|openat\(AT_FDCWD, "(?:[^"]*gconv|/dev/urandom)|newfstatat\(\d+, ""',
    "archive": r'newfstatat\(AT_FDCWD, "/foo',
}
_NAMES = [family.name for family in FAMILIES]
# Those that execute a program or read files do so in the sandbox only, and are traced there.
_SELF_CONTAINED = [one.name for one in FAMILIES if not one.program and not one.reads]


def _probe(*arguments: str, tracer: tuple[str, ...] = ()) -> str:
    command = [*tracer, sys.executable, "-I", _PROBE, *arguments]
    library = next(one.library for one in FAMILIES if one.name == arguments[0])
    environment = {**os.environ, **_ENVIRONMENT, **({"LD_PRELOAD": library} if library else {})}
    done = subprocess.run(command, capture_output=True, check=False, timeout=120, env=environment)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


@pytest.mark.parametrize("family", _NAMES)
@pytest.mark.claim("C-JAIL-1")
def test_a_zygote_holds_no_forbidden_module_even_transitively(family: str) -> None:
    loaded = _probe(family, "modules").split("\n")[1].split()
    assert len(loaded) > 50
    found = {name for name in loaded if _FORBIDDEN.match(name)}
    assert {name for name in found if name.split(".")[0] not in _DRAGGED_ALONG.get(family, ())} == (
        set()
    )


@pytest.mark.parametrize("family", _NAMES)
def test_families_do_not_load_each_other(family: str) -> None:
    """What every process imports of every family are its declarations, and nothing of its code."""
    loaded = set(_probe(family, "modules").split("\n")[1].split())
    others = tuple(f"engine.converters.{name}." for name in _NAMES if name != family)
    assert {name for name in loaded - _declared() if name.startswith(others)} == set()


@functools.cache
def _declared() -> frozenset[str]:
    """What the registry alone loads, which the gateway does as well."""
    program = "import engine.registry, sys; print(*sys.modules)"
    command = [sys.executable, "-I", "-c", program]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    return frozenset(done.stdout.split())


@pytest.mark.parametrize("family", _SELF_CONTAINED)
def test_after_warming_a_worker_opens_no_file_and_starts_nothing(
    family: str, tmp_path: Path
) -> None:
    """The whole family's conversions, good and broken files, under strace and an audit hook."""
    trace = tmp_path / "trace"
    threads_max = next(one.limits.threads for one in FAMILIES if one.name == family)
    starts = "fork,vfork" if threads_max else "clone,clone3,fork,vfork"
    traced = f"trace=%file,memfd_create,socket,{starts}"
    told = _probe(family, "events", tracer=("strace", "-f", "-o", str(trace), "-e", traced))
    threads, converted, *events = told.strip().split("\n")
    assert threads == "threads 1"
    assert int(converted.split()[1]) >= len([one for one in CONVERTERS if one.family == family])
    assert events == []
    lines = trace.read_text().splitlines()
    begin = next(index for index, line in enumerate(lines) if MARKER in line)
    worker = lines[begin].split()[0]
    calls = [line for line in lines[begin + 1 :] if re.match(rf"{worker} +\w+\(", line)]
    tried = rf"{worker} +(?:{_TRIED.get(family, 'nothing')})"
    assert [line for line in calls if not re.match(tried, line)] == []
