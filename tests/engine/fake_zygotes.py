"""Zygotes and workers that are only promises, for tests of the engine's policy in fake time."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import msgspec

from engine.job import TaskReply
from engine.pool import Pool
from sandbox.errors import SandboxError, SandboxUnavailable, WorkerCrashed, ZygoteDied
from sandbox.limits import Limits
from tests import fake_time

FORK_S = 0.002


class FakeReply:
    header = msgspec.msgpack.encode(TaskReply())
    files = (b"file",)


class FakeWorker:
    def __init__(self, zygote: "FakeZygote", number: int, *, uses: int) -> None:
        self.name = f"worker {number}"
        self.zygote = zygote
        self.uses_left = uses
        self.alive = True
        self.killed = asyncio.Event()

    async def run(self, *_: object, **__: object) -> FakeReply:
        if self.zygote.failures:
            self.alive = False
            raise self.zygote.failures.pop()
        self.uses_left -= 1
        self.alive = self.uses_left > 0
        try:
            async with asyncio.timeout(self.zygote.seconds):
                await self.killed.wait()
        except TimeoutError:
            return FakeReply()
        raise WorkerCrashed("killed")

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
        self.exhausted = False

    @property
    def idle(self) -> list[FakeWorker]:
        return [worker for worker in self.spawned if worker.alive]

    async def spawn(self, uses: int | None = None) -> FakeWorker:
        if self.hangs:
            await self.dead.wait()
        await asyncio.sleep(FORK_S)
        if self.exhausted:
            raise SandboxUnavailable("no descriptors, no processes")
        if self.dead.is_set():
            raise ZygoteDied("gone")
        self.spawned.append(FakeWorker(self, len(self.spawned), uses=uses or 1))
        self.spawned_at.append(asyncio.get_running_loop().time())
        return self.spawned[-1]

    async def wait_closed(self) -> None:
        await self.dead.wait()

    async def close(self) -> None:
        self.dead.set()
        for worker in self.spawned:
            worker.kill()


def pool_of(*zygotes: FakeZygote | Exception, spares: int = 2, **more: Any) -> Pool:
    coming = iter(zygotes)

    async def boot(limits: Limits) -> FakeZygote:
        zygote = next(coming)
        if isinstance(zygote, Exception):
            raise zygote
        zygote.limits = limits
        return zygote

    return Pool("image", boot=boot, spares_max=spares, **{"limits": Limits(), **more})


def in_fake_time(test: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    def wrapped() -> None:
        fake_time.run(test)

    wrapped.__name__ = test.__name__
    return wrapped
