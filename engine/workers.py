"""What the engine needs of the sandbox, and how the pool holds it.

Three small protocols, so that policy can be tested without processes; then one zygote and its
workers, as the pool keeps count of them.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from engine.job import Buffer
from sandbox.limits import Limits

# What a retiring zygote has beyond a conversion's deadline before it is closed all the same.
DRAIN_GRACE_S = 5.0


class Reply(Protocol):
    """What a worker answers: an opaque header and the files."""

    @property
    def header(self) -> bytes:
        """For `engine.task` alone to understand."""

    @property
    def files(self) -> Sequence[Buffer]:
        """The outputs' bytes, in order."""

    @property
    def layers(self) -> tuple[str, ...]:
        """The confinement steps that the worker attested."""


class Worker(Protocol):
    """One confined process that is ready to convert."""

    @property
    def name(self) -> str:
        """Never given twice: the zygote's process id and the worker's."""

    @property
    def uses_left(self) -> int:
        """How many conversions it will still serve; 0 for a single-use worker that has served."""

    @property
    def alive(self) -> bool:
        """False from the moment its end is known."""

    async def run(
        self,
        header: Buffer,
        inputs: Sequence[Buffer],
        *,
        deadline_s: float,
        output_bytes_max: int,
    ) -> Reply:
        """Convert. Raises a SandboxError however the process ends otherwise."""

    def kill(self) -> None:
        """End it now; harmless when it is over already."""


class WorkerSource(Protocol):
    """Where workers come from: a zygote."""

    @property
    def pid(self) -> int:
        """Its process id on this machine."""

    async def spawn(self, uses: int | None = None) -> Worker:
        """Fork one worker and wait until it is confined and warm. ZygoteDied, WorkerCrashed."""

    async def wait_closed(self) -> None:
        """Return when the zygote is gone, however it ended."""

    async def close(self) -> None:
        """End the zygote and all its workers; idempotent."""


class Zygote:
    """One zygote with what was forked from it: its spares, and how many of its workers run."""

    def __init__(self, source: WorkerSource, limits: Limits) -> None:
        self.source = source
        self.limits = limits
        self.booted_s = asyncio.get_running_loop().time()
        # The oldest on the left.
        self.spares: deque[Held] = deque()
        # Spares on their way.
        self.ordered = 0
        # Of its workers, while they had a conversion.
        self.crashes = 0
        self.idle = asyncio.Event()
        self.idle.set()
        self._running = 0

    def begin(self) -> None:
        """One of its workers begins a conversion."""
        self._running += 1
        self.idle.clear()

    def end(self) -> None:
        """One of its workers has ended one."""
        self._running -= 1
        if not self._running:
            self.idle.set()

    async def drained(self) -> None:
        """Close it when what runs is over, or certainly should be."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.limits.wall_s + DRAIN_GRACE_S):
                await self.idle.wait()
        await self.source.close()

    def kill_spares(self) -> None:
        """End all that wait."""
        for held in self.spares:
            held.worker.kill()
        self.spares.clear()


class Held:
    """A worker in the pool's hands: which zygote it came from, and when."""

    def __init__(self, worker: Worker, zygote: Zygote) -> None:
        self.worker = worker
        self.zygote = zygote
        self.forked_s = asyncio.get_running_loop().time()
