"""What does a conversion cost with one gateway and with two, and with 1 to 10,000 in the line?

Services of one and of two gateways beside each other (`gateway.processes`), asked in turns, each
with the same slots in all. A line is made so long and kept so long, by clients that send their next
request when the last one is answered; then so many conversions are counted. CPU is that of all
processes of a service, PostgreSQL included, read from /proc. A cost that grows with the line, or
memory that grows by more than the uploads that wait, would be a fault.
"""

import argparse
import asyncio
import os
import re
import statistics
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import msgspec

from bench import cpu
from bench.load import Client, kinds
from bench.processes import PAGE_BYTES, children
from bench.service import Service, running_service

LINES = (1, 10, 100, 1000, 10_000)
# Nothing is refused here: not for its number, not for its wait.
SETTINGS = {
    "EPHEMERA__ENGINE__WAITING_MAX": "24000",
    "EPHEMERA__ENGINE__WAIT_MAX_S": "3600",
    "EPHEMERA__SERVER__CONNECTIONS_MAX": "24000",
    "EPHEMERA__SERVER__KEEPALIVE_S": "3600",
    "EPHEMERA__UPLOAD__STALL_S": "3600",
    "EPHEMERA__UPLOAD__TOTAL_S": "3600",
    "EPHEMERA__LIMITS__QUOTAS": (
        "key-requests=900000000/60 account-requests=900000000/60 account-bytes=off "
        "account-concurrency=off"
    ),
}
POLL_S = 0.1
# More than that at one moment and the ledger's queue of 8,192 debits would refuse some.
TOGETHER = 500


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What so many conversions took, each."""

    rate: float
    cpu_ms: float
    gateway_ms: float
    gateway_mib: float
    refused: Counter[str]


class Crowd:
    """So many clients of one service, each with a connection and one request under way."""

    def __init__(self, client: Client) -> None:
        self.done = 0
        # By what was said.
        self.refused: Counter[str] = Counter()
        self._client = client
        self._answered = asyncio.Event()

    @asynccontextmanager
    async def waiting(self, clients: int) -> AsyncIterator[None]:
        """Ask for the block; whoever still waits at its end hangs up."""
        tasks = []
        try:
            for number in range(clients):
                tasks.append(asyncio.create_task(self._ask()))
                if number % TOGETHER == 0:
                    await asyncio.sleep(POLL_S)
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def count(self, conversions: int) -> None:
        """Wait for so many answers from now."""
        end = self.done + conversions
        while self.done < end:
            self._answered.clear()
            await self._answered.wait()

    async def _ask(self) -> None:
        while True:
            shot = await self._client.send()
            if shot.status == 200:
                self.done += 1
            else:
                self.refused[shot.code] += 1
                # A crowd that is refused would only measure refusals.
                await asyncio.sleep(POLL_S)
            self._answered.set()


def gateways(service: Service) -> list[int]:
    """The gateways: the process itself, or those that it is the parent of."""
    found = [
        pid
        for pid in children(service.pid)
        if b"gateway.processes.child" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]
    return found or [service.pid]


def mib(pids: list[int]) -> float:
    """What the processes have in memory."""
    pages = (int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids)
    return sum(pages) * PAGE_BYTES / 2**20


async def in_line(service: Service, session: aiohttp.ClientSession) -> int:
    """How many requests wait for a slot, have one, or wait for the ledger, in all gateways."""
    async with session.get(f"{service.url}/metrics") as response:
        page = await response.text()
    names = r"^ephemera_(?:(?:waiting|running)\{.*\}|ledger_queue) (\S+)$"
    figures = re.findall(names, page, re.MULTILINE)
    return round(sum(map(float, figures)))


async def measure(service: Service, kind: str, line: int, conversions: int) -> Row:
    """Keep a line of this length and count so many conversions."""
    async with (
        aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=None)
        ) as session,
        aiohttp.ClientSession() as looks,
    ):
        crowd = Crowd(Client(service, session, kinds()[kind]))
        async with crowd.waiting(line):
            # Those whose conversion is just beginning or ending are in no line.
            while line > 10 and await in_line(service, looks) < 0.95 * line:  # noqa: ASYNC110 -- in other processes
                await asyncio.sleep(POLL_S)
            await crowd.count(max(20, conversions // 10))
            pids = gateways(service)
            before, own = cpu.cpu_s(service.pid), sum(map(cpu.own_cpu_s, pids))
            begun = time.perf_counter()
            done = crowd.done
            await crowd.count(conversions)
            done = crowd.done - done
            wall = time.perf_counter() - begun
            row = Row(
                rate=done / wall,
                cpu_ms=1000 * (cpu.cpu_s(service.pid) - before) / done,
                gateway_ms=1000 * (sum(map(cpu.own_cpu_s, pids)) - own) / done,
                gateway_mib=mib(pids),
                refused=crowd.refused,
            )
        while await in_line(service, looks):  # noqa: ASYNC110 -- in other processes
            await asyncio.sleep(POLL_S)
    return row


async def main_async(arguments: argparse.Namespace) -> None:
    """Ask in turns and print the table: medians of the rounds."""
    many = [int(word) for word in arguments.processes.split(",")]
    slots = max(*many, len(os.sched_getaffinity(0)))
    lines = [line for line in LINES if arguments.line_min <= line <= arguments.line_max]
    rows: dict[tuple[int, int], list[Row]] = {}
    async with AsyncExitStack() as stack:
        services = {
            processes: await stack.enter_async_context(
                running_service(
                    settings=SETTINGS
                    | {
                        "EPHEMERA__GATEWAY__PROCESSES": str(processes),
                        "EPHEMERA__ENGINE__SLOTS": str(slots),
                        "EPHEMERA__ENGINE__STARTED": "image",
                    }
                )
            )
            for processes in many
        }
        print(f"{arguments.kind}, {slots} slots, {arguments.rounds} rounds, medians\n")
        print("gateways   line   a second   CPU ms   of it gateway   gateways' MiB   refused")
        for line in lines:
            for _ in range(arguments.rounds):
                for processes, service in services.items():
                    row = await measure(service, arguments.kind, line, arguments.conversions)
                    rows.setdefault((line, processes), []).append(row)
            for processes in many:
                _print(processes, line, rows[line, processes])


def _print(processes: int, line: int, rows: list[Row]) -> None:
    def median(name: str) -> float:
        return statistics.median(getattr(row, name) for row in rows)

    refused = sum((row.refused for row in rows), Counter[str]())
    print(
        f"{processes:8} {line:6} {median('rate'):10.1f} {median('cpu_ms'):8.2f}"
        f" {median('gateway_ms'):15.2f} {median('gateway_mib'):15.1f}"
        f"   {', '.join(f'{refused[code]} {code}' for code in sorted(refused)) or 'nobody'}",
        flush=True,
    )


def main(argv: list[str]) -> None:
    """`python -m bench scaling [--processes 1,2] [--line-max 10000]`."""
    parser = argparse.ArgumentParser(prog="python -m bench scaling", description=__doc__)
    parser.add_argument("--kind", default="icon")
    parser.add_argument("--processes", default="1,2")
    parser.add_argument("--line-min", type=int, default=1)
    parser.add_argument("--line-max", type=int, default=10_000)
    parser.add_argument("--conversions", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    asyncio.run(main_async(parser.parse_args(argv)))


if __name__ == "__main__":
    main(sys.argv[1:])
