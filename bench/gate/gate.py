"""Count what a request costs in things that no clock measures, and compare with the committed file.

The service is the real one, started by its own command, asked by one client: requests that follow
each other, so that a count is of a request and not of how many there were at once. Four looks,
since each disturbs another: page faults undisturbed, statements while PostgreSQL logs them, system
calls under strace, and functions called under a profiler in a service of its own. Instructions are
counted by perf where the machine has such counters.
"""

import argparse
import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import aiohttp
import msgspec
import uvloop

from bench import corpus, cpu, processes
from bench.catalogue_inputs import pdf_page
from bench.gate.figures import FIGURES, Counts, remember, remembered
from bench.gate.statements import statements
from bench.gate.traced import most, trace
from bench.service import Service, running_service, started

_WARM, _LOOKS = 6, 3
_REQUEST_MAX_S, _REST_MAX_S, _POLL_S, _RESTED_POLLS = 60.0, 30.0, 0.1, 8
# /proc/<pid>/stat after the command's name (proc(5)): own minor faults, those of reaped children.
_FAULTS, _FAULTS_REAPED = 7, 8
_COUNTED = (sys.executable, "-m", "bench.gate.counted", "serve", "--port", "0")
_INSTRUCTIONS = re.compile(r"^([\d,]+)\s+instructions", re.MULTILINE)


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One request that is counted."""

    name: str
    title: str
    path: str
    make: Callable[[], bytes]
    requests: int


ROWS = (
    Row(
        name="icon",
        title="64 px PNG to WebP: the fixed cost",
        path="/v1/convert/png/webp",
        make=corpus.png_64px,
        requests=20,
    ),
    Row(
        name="jpeg",
        title="12 MP JPEG to 800 px JPEG",
        path="/v1/convert/jpeg/jpeg?width=800",
        make=corpus.jpeg_12mp,
        requests=10,
    ),
    Row(
        name="web",
        title="1 MP PNG to WebP",
        path="/v1/convert/png/webp",
        make=lambda: corpus.png(1200, 900),
        requests=10,
    ),
    Row(
        name="page",
        title="PDF page to PNG",
        path="/v1/convert/pdf/png?dpi=150",
        make=pdf_page,
        requests=10,
    ),
)


class Asker:
    """One client of one service, asking one row."""

    def __init__(self, service: Service, session: aiohttp.ClientSession, row: Row) -> None:
        self.service, self.row = service, row
        self._session = session
        self._body = row.make()
        self.file_bytes = 0

    async def once(self) -> None:
        """One request to its last byte. Raises SystemExit where it fails."""
        headers = {
            "Authorization": f"Bearer {self.service.key}",
            "Content-Type": "application/octet-stream",
        }
        async with self._session.post(
            self.service.url + self.row.path, data=self._body, headers=headers
        ) as answer:
            result = await answer.read()
            if answer.status != 200:
                raise SystemExit(f"{self.row.name}: {answer.status} {result[:300]!r}")
        self.file_bytes = len(self._body) + len(result)

    async def all(self) -> None:
        """The row's requests, and what they cause afterwards: the next spare, the settlement."""
        for _ in range(self.row.requests):
            await self.once()
        await self.rest()

    async def warm(self) -> None:
        """What is done once only is not a request's."""
        for _ in range(_WARM):
            await self.once()
        await self.rest()

    async def rest(self) -> None:
        """Wait until no worker comes or goes."""
        before: set[int] = set()
        calm, end = 0, time.perf_counter() + _REST_MAX_S
        while calm < _RESTED_POLLS and time.perf_counter() < end:
            await asyncio.sleep(_POLL_S)
            now = set(processes.workers(self.service.pid))
            calm = calm + 1 if now == before else 0
            before = now


async def count(rows: Sequence[Row]) -> dict[str, Counts]:
    """All figures of all rows."""
    found: dict[str, Counts] = {row.name: {} for row in rows}
    timeout = aiohttp.ClientTimeout(total=_REQUEST_MAX_S)
    async with running_service() as service, aiohttp.ClientSession(timeout=timeout) as session:
        for row in rows:
            asker = Asker(service, session, row)
            await asker.warm()
            found[row.name] |= await _faults(asker)
            found[row.name] |= await _statements(asker)
            found[row.name] |= await _instructions(asker)
            found[row.name] |= await _system_calls(asker)
    home = Path(tempfile.mkdtemp(prefix="ephemera-gate-"))
    try:
        calls = home / "calls"
        async with (
            started(home, {"BENCH_GATE_CALLS": str(calls)}, _COUNTED) as service,
            aiohttp.ClientSession(timeout=timeout) as session,
        ):
            for row in rows:
                asker = Asker(service, session, row)
                await asker.warm()
                found[row.name]["gateway_python"] = await _functions(asker, calls)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    return found


async def _faults(asker: Asker) -> Counts:
    pid = asker.service.pid

    def now() -> tuple[int, int]:
        guardians = [one for one in processes.children(pid) if _is_guardian(one)]
        below = [one for guardian in guardians for one in cpu.family_tree(guardian)]
        return _faulted([pid], reaped=False), _faulted(below, reaped=True)

    before = now()
    await asker.all()
    gateway, workers = (b - a for a, b in zip(before, now(), strict=True))
    each = asker.row.requests
    return {"gateway_faults": gateway / each, "worker_faults": workers / each}


def _is_guardian(pid: int) -> bool:
    return b"sandbox.jail.zygote" in Path(f"/proc/{pid}/cmdline").read_bytes()


def _faulted(pids: Sequence[int], *, reaped: bool) -> int:
    total = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        total += int(fields[_FAULTS]) + (int(fields[_FAULTS_REAPED]) if reaped else 0)
    return total


async def _statements(asker: Asker) -> Counts:
    assert asker.service.home is not None
    said = await statements(asker.service.home, asker.row.requests, asker.all)
    return {"statements": said / asker.row.requests}


async def _system_calls(asker: Asker) -> Counts:
    if shutil.which("strace") is None:
        return {}
    traced = await trace(asker.service.pid, asker.all)
    if traced is None:
        return {}
    each, files = asker.row.requests, asker.row.requests * asker.file_bytes
    for role in ("gateway", "worker"):
        print(f"{asker.row.name:6} {role:8} {most(traced, role, 12, each)}", flush=True)
    return {
        **{f"{role}_calls": traced.calls[role] / each for role in ("gateway", "zygote", "worker")},
        **{f"{role}_copied": traced.copied[role] / files for role in ("gateway", "worker")},
    }


async def _functions(asker: Asker, file: Path) -> float:
    """The least of some looks: clocks that tick meanwhile only add."""
    return min([await _functions_once(asker, file) for _ in range(_LOOKS)])


async def _functions_once(asker: Asker, file: Path) -> float:
    os.kill(asker.service.pid, signal.SIGUSR2)
    for _ in range(asker.row.requests):
        await asker.once()
    os.kill(asker.service.pid, signal.SIGUSR2)
    end = time.perf_counter() + _REST_MAX_S
    while not await asyncio.to_thread(file.is_file) and time.perf_counter() < end:  # noqa: ASYNC110  # another process writes it
        await asyncio.sleep(_POLL_S)
    total = int(await asyncio.to_thread(file.read_text))
    await asyncio.to_thread(file.unlink)
    return total / asker.row.requests


async def _instructions(asker: Asker) -> Counts:
    """By perf; nothing where the machine's counters are not to be had, as in many virtual ones."""
    if shutil.which("perf") is None:
        return {}
    command = ["perf", "stat", "-e", "instructions:u", "-p", str(asker.service.pid)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as perf:  # noqa: ASYNC220  # starts at once
        try:
            await asyncio.sleep(1)  # it says nothing when it has begun
            await asker.all()
        finally:
            perf.send_signal(signal.SIGINT)
        told = (await asyncio.to_thread(perf.communicate))[1]
    counted = _INSTRUCTIONS.search(told.strip())
    if counted is None:
        return {}
    return {"gateway_instructions": int(counted[1].replace(",", "")) / asker.row.requests}


def compare(found: dict[str, Counts], before: dict[str, Counts]) -> int:
    """Print every figure beside the committed one; how many have grown by more than they may."""
    grown = 0
    print(f"\n{'row':6} {'figure':42} {'committed':>12} {'now':>12}  verdict")
    for row in ROWS:
        for name, now in found.get(row.name, {}).items():
            figure, known = FIGURES[name], before.get(row.name, {}).get(name)
            if known is None:
                verdict = "new: --renew writes it down"
            elif not figure.allows(known, now):
                verdict, grown = "GROWN", grown + 1
            elif figure.is_better(known, now):
                verdict = "better: --renew keeps it so"
            else:
                verdict = "as it was"
            shown = "-" if known is None else f"{known:.2f}"
            print(f"{row.name:6} {figure.title:42} {shown:>12} {now:12.2f}  {verdict}")
    return grown


def main(argv: list[str]) -> int:
    """`python -m bench gate [--rows icon,jpeg] [--renew]`; 1 where something has grown."""
    names = [row.name for row in ROWS]
    parser = argparse.ArgumentParser(prog="python -m bench gate", description=__doc__)
    parser.add_argument("--rows", default=",".join(names), help=", ".join(names))
    parser.add_argument("--renew", action="store_true", help="write the figures down")
    told = parser.parse_args(argv)
    chosen: Sequence[Row] = [row for row in ROWS if row.name in told.rows.split(",")]
    if not chosen:
        parser.error(f"there is no such row; there are {', '.join(names)}")
    run: Awaitable[dict[str, Counts]] = count(chosen)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        found = runner.run(run)  # type: ignore[arg-type]
    grown = compare(found, remembered())
    if told.renew:
        remember(found)
        return 0
    if grown:
        print(
            f"\n{grown} figures have grown: find out why, or renew them and say why in the commit"
        )
    return int(grown > 0)
