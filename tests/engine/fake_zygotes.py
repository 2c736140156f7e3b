"""Zygotes and workers that are only promises, for tests of the engine's policy in fake time."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import msgspec

from engine.config import PoolRules
from engine.job import Buffer, TaskReply
from engine.keep import Owner
from engine.pool import Pool
from sandbox.errors import SandboxError, SandboxUnavailable, WorkerCrashed, ZygoteDied
from sandbox.limits import Limits
from tests import fake_time

FORK_S = 0.002


class FakeHead:
    header = msgspec.msgpack.encode(TaskReply())
    sizes = (4,)


class FakeWorker:
    def __init__(self, zygote: "FakeZygote", number: int, *, uses: int) -> None:
        self.name = f"worker {number}"
        self.zygote = zygote
        self.uses_left = uses
        self.layers = ()
        self.alive = True
        self.killed = asyncio.Event()
        self._in_use = False

    def open(self, *_: object) -> None:
        self._in_use = True
        self.uses_left -= 1
        self.alive = self.uses_left > 0
        if self.zygote.failures:
            self.kill()
            raise self.zygote.failures.pop()

    async def feed(self, _: Buffer) -> None:
        pass

    def end(self) -> None:
        pass

    async def go(self, **_: object) -> FakeHead:
        try:
            async with asyncio.timeout(self.zygote.seconds):
                await self.killed.wait()
        except TimeoutError:
            return FakeHead()
        raise WorkerCrashed("killed")

    async def read(self, room: memoryview) -> None:
        room[:] = b"file"
        self._in_use = False

    def release(self) -> bool:
        if self._in_use:
            self.kill()
        return self.alive

    def kill(self) -> None:
        self.alive = False
        self.killed.set()


class FakeZygote:
    """`failures`: what the next conversions of its workers end in, the last one first."""

    def __init__(self, *, seconds: float = 1.0, failures: Iterable[SandboxError] = ()) -> None:
        self.pid = 1
        self.seconds = seconds
        self.failures = list(failures)
        self.limits: Limits | None = None
        self.spawned: list[FakeWorker] = []
        self.spawned_at: list[float] = []
        self.dead = asyncio.Event()
        self.hangs = False
        self.untouched = 0
        self.exhausted = False

    @property
    def idle(self) -> list[FakeWorker]:
        return [worker for worker in self.spawned if worker.alive]

    async def spawn(self, uses: int | None = None, *, touch: bool = True) -> FakeWorker:
        if self.hangs:
            await self.dead.wait()
        await asyncio.sleep(FORK_S)
        if self.exhausted:
            raise SandboxUnavailable("no descriptors, no processes")
        if self.dead.is_set():
            raise ZygoteDied("gone")
        self.spawned.append(FakeWorker(self, len(self.spawned), uses=uses or 1))
        self.untouched += not touch
        self.spawned_at.append(asyncio.get_running_loop().time())
        return self.spawned[-1]

    async def wait_closed(self) -> None:
        await self.dead.wait()

    async def close(self) -> None:
        self.dead.set()
        for worker in self.spawned:
            worker.kill()


def pool_of(
    *zygotes: FakeZygote | Exception,
    spares: int = 2,
    touched_max: Callable[[], int] = lambda: 9,
    **rules: Any,
) -> Pool:
    coming = iter(zygotes)

    async def boot(limits: Limits) -> FakeZygote:
        zygote = next(coming)
        if isinstance(zygote, Exception):
            raise zygote
        zygote.limits = limits
        return zygote

    return Pool(
        "image",
        boot=boot,
        spares_max=spares,
        limits=Limits(),
        rules=PoolRules(**rules),
        touched_max=touched_max,
    )


async def run(pool: Pool, owner: Owner | None = None) -> str:
    """One conversion; says in which worker."""
    async with pool.exchange(b"header", [4], b"file", owner) as held:
        held.worker.end()
        await held.worker.go(deadline_s=60, output_bytes_max=4)
        await held.worker.read(memoryview(bytearray(4)))
        return held.worker.name


def in_fake_time(test: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    def wrapped() -> None:
        fake_time.run(test)

    wrapped.__name__ = test.__name__
    return wrapped
