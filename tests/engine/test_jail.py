"""What runs inside the jail: which modules, no thread, and after warming not one file opened."""

import functools
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

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


class _Told(NamedTuple):
    """What a probe printed, and what the kernel saw of it."""

    threads: str
    modules: frozenset[str]
    # Of a family that is traced: how many conversions, what Python opened, and the calls.
    converted: int
    events: list[str]
    trace: list[str]


@functools.cache
def _probed(family: str) -> _Told:
    """Preload and warm the family once, for all tests."""
    what = "events" if family in _SELF_CONTAINED else "modules"
    command = [sys.executable, "-I", _PROBE, family, what]
    [one] = [one for one in FAMILIES if one.name == family]
    more = {"LD_PRELOAD": one.library} if one.library else {}
    with tempfile.NamedTemporaryFile("r") as trace:
        if what == "events":
            starts = "fork,vfork" if one.limits.threads else "clone,clone3,fork,vfork"
            traced = f"trace=%file,memfd_create,socket,{starts}"
            command = ["strace", "-f", "-o", trace.name, "-e", traced, *command]
        done = subprocess.run(
            command,
            capture_output=True,
            check=False,
            timeout=120,
            env={**os.environ, **_ENVIRONMENT, **more},
        )
        assert done.returncode == 0, done.stderr.decode()
        threads, modules, *rest = done.stdout.decode().strip().split("\n")
        converted = int(rest[0].split()[1]) if rest else 0
        return _Told(
            threads, frozenset(modules.split()), converted, rest[1:], trace.read().splitlines()
        )


@pytest.mark.parametrize("family", _NAMES)
@pytest.mark.claim("C-JAIL-1")
def test_a_zygote_holds_no_forbidden_module_even_transitively(family: str) -> None:
    loaded = _probed(family).modules
    assert len(loaded) > 50
    found = {name for name in loaded if _FORBIDDEN.match(name)}
    assert {name for name in found if name.split(".")[0] not in _DRAGGED_ALONG.get(family, ())} == (
        set()
    )


@pytest.mark.parametrize("family", _NAMES)
def test_families_do_not_load_each_other(family: str) -> None:
    """What every process imports of every family are its declarations, and nothing of its code."""
    loaded = _probed(family).modules
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
def test_after_warming_a_worker_opens_no_file_and_starts_nothing(family: str) -> None:
    """The whole family's conversions, good and broken files, under strace and an audit hook."""
    told = _probed(family)
    assert told.threads == "threads 1"
    assert told.converted >= len([one for one in CONVERTERS if one.family == family])
    assert told.events == []
    begin = next(index for index, line in enumerate(told.trace) if MARKER in line)
    worker = told.trace[begin].split()[0]
    calls = [line for line in told.trace[begin + 1 :] if re.match(rf"{worker} +\w+\(", line)]
    tried = rf"{worker} +(?:{_TRIED.get(family, 'nothing')})"
    assert [line for line in calls if not re.match(tried, line)] == []
