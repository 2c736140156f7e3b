"""What the kernel was really asked during conversions, by strace over zygote and workers."""

import re
import shutil
import signal
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

from sandbox.jail.seccomp import ALLOWED, INSPECTED
from tests.sandbox.zygotes import ask, zygote

CONVERSIONS = 5
# What a spare tries to prove its own filter (`probe.QUICK`).
PROOFS = {"openat", "socket", "memfd_create", "kill"}

CALL = re.compile(r"^(?P<pid>\d+) +(?P<name>\w+)\((?P<rest>.*)$")
RESUMED = re.compile(r"^(?P<pid>\d+) +<\.\.\. (?P<name>\w+) resumed>(?P<rest>.*)$")


class Call(NamedTuple):
    pid: int
    name: str
    line: str

    @property
    def failed(self) -> bool:
        return " = -1 " in self.line


def calls(trace: str) -> list[Call]:
    """The calls in the order of their ends, with a call that was cut in two put together."""
    begun: dict[tuple[str, str], str] = {}
    found = []
    for line in trace.splitlines():
        if resumed := RESUMED.match(line):
            key = (resumed["pid"], resumed["name"])
            found.append(Call(int(key[0]), key[1], begun.pop(key, "") + resumed["rest"]))
        elif (call := CALL.match(line)) and "<unfinished" in line:
            begun[call["pid"], call["name"]] = call["rest"]
        elif call:
            found.append(Call(int(call["pid"]), call["name"], call["rest"]))
    return found


@pytest.fixture
async def trace(tmp_path: Path) -> list[Call]:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    file = tmp_path / "trace"
    async with zygote() as server:
        tracer = subprocess.Popen(
            ["strace", "-f", "-o", str(file), "-p", str(server.pid)], stderr=subprocess.PIPE
        )
        with tracer:
            assert tracer.stderr is not None
            attached = tracer.stderr.readline().decode()
            if "attached" not in attached:
                pytest.skip(f"strace may not attach here: {attached.strip()}")
            for size in range(CONVERSIONS):
                upload = bytes(size * 1_000_000)
                assert (await ask(server, "grow", [upload])).files == [upload]
            tracer.send_signal(signal.SIGINT)
            tracer.stderr.read()
    return calls(file.read_text())


@pytest.mark.claim("C-DISK-1")
async def test_nothing_is_opened_for_writing_and_nothing_is_hidden(trace: list[Call]) -> None:
    writers = re.compile(r"O_WRONLY|O_RDWR|O_CREAT|O_TMPFILE|O_TRUNC")
    assert [call for call in trace if writers.search(call.line) and not call.failed] == []
    hidden = {"memfd_create", "memfd_secret", "socket", "socketpair", "connect", "shmget", "creat"}
    assert [call for call in trace if call.name in hidden and not call.failed] == []


@pytest.mark.claim("C-WORKER-5")
async def test_a_confined_worker_asks_for_nothing_beyond_the_allow_list(trace: list[Call]) -> None:
    confined: set[int] = set()
    allowed = {*ALLOWED, *INSPECTED}
    seen = set()
    for call in trace:
        if call.pid in confined:
            seen.add(call.name)
            assert call.name in allowed or (call.name in PROOFS and call.failed), call
        if call.name == "seccomp" and not call.failed:
            confined.add(call.pid)
    assert len(confined) == CONVERSIONS
    assert {"readv", "writev", "exit_group"} <= seen
