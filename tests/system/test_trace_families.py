"""By strace: a conversion of every family writes nothing, hides nothing, calls nobody.

And only a family with a program of its own executes anything, which is that program.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from engine.registry import FAMILIES
from tests.system import judge
from tests.system.one_of_each import MARKER, PAIRS

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")

_NAMES = [family.name for family in FAMILIES]
# Chromium shares memory with itself: see docs/security.md.
_ARENA = re.compile(r"MAP_SHARED\|MAP_ANONYMOUS.*, -1, 0\)")
_ARENA_BYTES_MAX = 512 * 2**20


@pytest.fixture(scope="module")
def traces(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """By family, the trace of its conversion."""
    file = tmp_path_factory.mktemp("trace") / "trace"
    command = list(judge.strace(file, sys.executable, "-m", "tests.system.one_of_each"))
    at = command.index("-e") + 1
    command[at] += ",?execve,?execveat,?access,?faccessat,?faccessat2"
    root = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if "ptrace" in done.stderr and "not permitted" in done.stderr:
        pytest.skip("strace may not trace here")
    assert done.returncode == 0, done.stderr
    parts: dict[str, list[str]] = {}
    name = ""
    for line in file.read_text().splitlines():
        if MARKER in line:
            name = line.partition(MARKER)[2].partition('"')[0]
        parts.setdefault(name, []).append(line)
    return {name: "\n".join(lines) for name, lines in parts.items()}


def test_each_family_has_its_conversion(traces: dict[str, str]) -> None:
    assert set(_NAMES) <= set(PAIRS)
    assert set(traces) == {"", "the-end", *_NAMES}


@pytest.mark.claim("C-DISK-1")
@pytest.mark.parametrize("family", _NAMES)
def test_no_conversion_of_a_family_writes_hides_or_calls(
    family: str, traces: dict[str, str]
) -> None:
    offences = [call for call in judge.offences(_watched(traces[family])) if not _is_arena(call)]
    assert offences == []
    arenas = [call for call in judge.offences(_watched(traces[family])) if _is_arena(call)]
    assert len(arenas) <= 2 * (family == "browser"), (
        "one for the conversion, one for the next spare"
    )


@pytest.mark.claim("C-PROGRAM-1")
@pytest.mark.parametrize("family", _NAMES)
def test_only_a_familys_own_program_is_executed(family: str, traces: dict[str, str]) -> None:
    executed = [
        line
        for line in traces[family].splitlines()
        if re.search(r"\bexecve(at)?\(", line) and " = -1 " not in line
    ]
    if next(one.program for one in FAMILIES if one.name == family):
        assert executed
        # By its descriptor and no path.
        assert all(re.search(r'execveat\(\d+, "",', line) for line in executed)
    else:
        assert executed == []


def _watched(trace: str) -> str:
    """The lines that the judge knows how to read."""
    return "\n".join(
        line for line in trace.splitlines() if not re.search(r"\b(exec|faccess|access)", line)
    )


def _is_arena(call: judge.Call) -> bool:
    size = re.match(r"NULL, (\d+),", call.rest)
    return (
        call.name == "mmap"
        and bool(_ARENA.search(call.rest))
        and size is not None
        and int(size[1]) <= _ARENA_BYTES_MAX
    )
