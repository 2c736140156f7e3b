"""The storm: gateways that are started again and again, and what is done to them and PostgreSQL."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from enum import Enum
from pathlib import Path

import asyncpg
import msgspec

from bench.chaos_gateway import GatewaySettings
from bench.chaos_log import Counter as LogCounter
from bench.chaos_log import Event
from bench.chaos_proxy import Proxy
from ledger.availability import AWAY
from ledger.embedded import EmbeddedPostgres

ROOT = Path(__file__).parents[1]
_PROGRESS_S = 15.0
# A gateway gets this long to notice a restart before it is no use to kill it again.
_BREATH_S = 0.3
_BACKENDS = """
select pid from pg_stat_activity
 where backend_type = 'client backend' and pid <> pg_backend_pid()
"""


class Fault(Enum):
    """What is done, and how it is printed."""

    GATEWAY = "gateway killed"
    POSTMASTER = "postmaster killed"
    BACKEND = "backend killed"
    PAUSE = "gateway paused"
    TERMINATE = "backend terminated"
    CANCEL = "statement cancelled"
    CUT = "cut ordered"


# SIGKILLs, by weight; a backend's takes the whole server through crash recovery as well.
KILLS = {Fault.GATEWAY: 6, Fault.POSTMASTER: 2, Fault.BACKEND: 2}
OTHERS = {Fault.PAUSE: 1, Fault.TERMINATE: 4, Fault.CANCEL: 3, Fault.CUT: 6}
# Of the time that is there, kills shall be done in this share: what is slow may then be slow.
_SHARE = 0.7


class Storm:
    """Keeps gateways running and hurts them and their PostgreSQL."""

    def __init__(
        self,
        postgres: EmbeddedPostgres,
        proxy: Proxy,
        gateway: GatewaySettings,
        logs: Path,
        chance: random.Random,
    ) -> None:
        self.proxy = proxy
        self.faults: Counter[Fault] = Counter()
        # Name of the log → the moment (of the epoch) of the kill.
        self.deaths: dict[str, float] = {}
        self._postgres = postgres
        self._settings = gateway
        self._logs = logs
        self._chance = chance
        self._gateways: dict[str, subprocess.Popen[bytes]] = {}
        self._started = 0
        self._debits = LogCounter(Event.DEBITED)

    @property
    def kills(self) -> int:
        """How many SIGKILLs there were."""
        return sum(self.faults[fault] for fault in KILLS)

    async def rage(self, gateways: int, *, debits: int, kills: int, minutes: float) -> None:
        """Go on until both numbers are reached or the time is over; then kill all gateways."""
        ends = time.monotonic() + minutes * 60
        pause_s = minutes * 60 * _SHARE / max(1, kills)
        rest = [
            asyncio.create_task(self._keep(gateways)),
            asyncio.create_task(self._hurt(pause_s)),
            asyncio.create_task(self._tell(ends)),
        ]
        try:
            while time.monotonic() < ends:
                done, _ = await asyncio.wait(rest, timeout=0.2)
                for task in done:
                    task.result()
                count = await asyncio.to_thread(self._debits.look, self._logs)
                if count >= debits and self.kills >= kills:
                    break
        finally:
            for task in rest:
                task.cancel()
            await asyncio.gather(*rest, return_exceptions=True)
            for name in list(self._gateways):
                self._kill_gateway(name)

    async def _keep(self, count: int) -> None:
        """See to it that so many gateways run."""
        while True:
            for name, process in list(self._gateways.items()):
                if process.poll() is not None:
                    del self._gateways[name]
            while len(self._gateways) < count:
                self._start_gateway()
            await asyncio.sleep(_BREATH_S)

    def _start_gateway(self) -> None:
        self._started += 1
        name = f"gateway-{self._started:04}"
        settings = msgspec.structs.replace(
            self._settings,
            log=str(self._logs / name),
            seed=self._settings.seed * 10_000 + self._started,
        )
        self._gateways[name] = subprocess.Popen(
            [sys.executable, "-m", "bench.chaos_gateway", msgspec.json.encode(settings).decode()],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
        )

    async def _hurt(self, pause_s: float) -> None:
        """Kill something every so often, and do something gentler in between."""
        async with asyncio.TaskGroup() as pauses:
            while True:
                await asyncio.sleep(pause_s * self._chance.uniform(0.3, 0.7))
                await self._do(self._choose(OTHERS), pauses)
                await asyncio.sleep(pause_s * self._chance.uniform(0.3, 0.7))
                while not await self._do(self._choose(KILLS), pauses):  # noqa: ASYNC110 (kills)
                    await asyncio.sleep(_BREATH_S)

    def _choose(self, faults: dict[Fault, int]) -> Fault:
        return self._chance.choices(list(faults), list(faults.values()))[0]

    async def _do(self, fault: Fault, pauses: asyncio.TaskGroup) -> bool:
        """Do it; False where there was nothing to do it to."""
        match fault:
            case Fault.GATEWAY:
                done = bool(working := self._working()) and self._kill_gateway(working)
            case Fault.POSTMASTER:
                pid = self._postgres.pid
                done = pid is not None and _signal(pid, signal.SIGKILL)
            case Fault.BACKEND:
                pid = await self._backend()
                done = pid is not None and _signal(pid, signal.SIGKILL)
            case Fault.PAUSE:
                done = bool(working := self._working())
                if done:
                    pauses.create_task(self._pause(self._gateways[working]))
            case Fault.TERMINATE:
                done = await self._ask("select pg_terminate_backend($1)")
            case Fault.CANCEL:
                done = await self._ask("select pg_cancel_backend($1)")
            case Fault.CUT:
                done = self.proxy.cut()
        self.faults[fault] += done
        return done

    def _working(self) -> str:
        """A gateway that has come as far as to write its log; empty where there is none."""
        working = [name for name in self._gateways if (self._logs / name).exists()]
        return self._chance.choice(working) if working else ""

    def _kill_gateway(self, name: str) -> bool:
        process = self._gateways.pop(name)
        if process.poll() is None:
            process.kill()
            self.deaths[name] = time.time()
            process.wait()
        return name in self.deaths

    async def _pause(self, process: subprocess.Popen[bytes]) -> None:
        """Half of the pauses outlive the lease."""
        process.send_signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(self._settings.lease_s * self._chance.uniform(0.2, 1.8))
        finally:
            process.send_signal(signal.SIGCONT)

    async def _backend(self) -> int | None:
        """The process of some connection of the gateways."""
        with suppress(asyncpg.PostgresError, *AWAY):
            connection = await asyncpg.connect(dsn=self._postgres.admin_dsn, timeout=2)
            try:
                found = await connection.fetch(_BACKENDS)
                return self._chance.choice(found)["pid"] if found else None
            finally:
                connection.terminate()
        return None

    async def _ask(self, statement: str) -> bool:
        pid = await self._backend()
        if pid is None:
            return False
        with suppress(asyncpg.PostgresError, *AWAY):
            connection = await asyncpg.connect(dsn=self._postgres.admin_dsn, timeout=2)
            try:
                return bool(await connection.fetchval(statement, pid))
            finally:
                connection.terminate()
        return False

    async def _tell(self, ends: float) -> None:
        """A line now and then."""
        while True:
            await asyncio.sleep(_PROGRESS_S)
            print(
                f"{self._debits.count:,} debits, {self.kills} kills,"
                f" {self.faults.total() - self.kills} other faults;"
                f" at most {ends - time.monotonic():.0f} s to go",
                flush=True,
            )


def _signal(pid: int, number: signal.Signals) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
        return True
    return False
