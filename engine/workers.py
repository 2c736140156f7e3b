"""What the engine needs of the sandbox, and how the pool holds it.

Three small protocols, so that policy can be tested without processes; then one zygote and its
workers, as the pool keeps count of them.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from engine.job import Buffer
from sandbox.errors import SandboxError, ZygoteDied
from sandbox.limits import Limits

# What a retiring zygote has before it is closed all the same: its workers may be in the middle of
# the slowest upload (15 minutes), the wait, the conversion and the slowest download (10 minutes).
DRAIN_MAX_S = 1800.0


class ReplyHead(Protocol):
    """What a worker answers ahead of its files."""

    @property
    def header(self) -> bytes:
        """For `engine.task` alone to understand."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """The outputs' sizes in bytes, in order."""


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

    @property
    def layers(self) -> tuple[str, ...]:
        """The confinement steps that it attested."""

    def open(self, header: Buffer, ceilings: Sequence[int]) -> None:
        """Begin a use, with the most bytes of each input. Raises a SandboxError."""

    async def feed(self, piece: Buffer) -> None:
        """Give it bytes of the present input. Raises a SandboxError, WorkerGone where it had none.

        They are out of our hands on return.
        """

    def announce(self, size: int) -> None:
        """Say that so many bytes of the present input come by `pour`."""

    async def pour(self, source: int, most: int) -> int:
        """Give it what a socket has now, at most so many bytes; returns how many. As `feed`.

        Raises ConnectionResetError where the socket has come to its end.
        """

    def end(self) -> None:
        """Say that the present input is complete."""

    async def go(
        self,
        *,
        deadline_s: float,
        output_bytes_max: int,
        progress: Callable[[int], None] | None = None,
    ) -> ReplyHead:
        """Have it convert. Raises a SandboxError however the process ends otherwise.

        `progress` hears how many hundredths are done.
        """

    async def read(self, room: memoryview) -> None:
        """Fill `room` with the next bytes of its files. Raises a SandboxError."""

    def release(self) -> bool:
        """End the use; True where it can be used again. One not read to its end is ended."""

    def kill(self) -> None:
        """End it now; harmless when it is over already."""


class WorkerSource(Protocol):
    """Where workers come from: a zygote."""

    @property
    def pid(self) -> int:
        """Its process id on this machine."""

    async def spawn(self, uses: int | None = None, *, touch: bool = True) -> Worker:
        """Fork one worker and wait until it is confined. ZygoteDied, WorkerCrashed.

        With `touch` it also has touched its pages.
        """

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
        self._touching = 0
        # Of its workers, while they had a conversion.
        self.crashes = 0
        self.idle = asyncio.Event()
        self.idle.set()
        self._running = 0

    async def fill(self, count: int, uses: int, spawn_max_s: float, touched_max: int) -> None:
        """Fork so many spares. Raises SandboxError, and is closed, where not even one comes."""
        try:
            async with asyncio.timeout(spawn_max_s * count):
                while len(self.spares) < count:
                    touch = len(self.spares) < touched_max
                    worker = await self.source.spawn(uses, touch=touch)
                    self.spares.append(Held(worker, self, touched=touch))
        except BaseException as error:
            # One worker proves that it forks; on a machine short of processes the rest comes later.
            if self.spares and isinstance(error, SandboxError | TimeoutError):
                return
            await self.source.close()
            if isinstance(error, TimeoutError):
                raise ZygoteDied("the new zygote does not fork") from None
            raise

    @contextlib.contextmanager
    def on_order(self, touched_max: int) -> Iterator[bool]:
        """One of `ordered` is being forked; says whether it shall touch its pages ahead."""
        touch = self._touching + sum(held.touched for held in self.spares) < touched_max
        self._touching += touch
        try:
            yield touch
        finally:
            self._touching -= touch
            self.ordered -= 1

    def take(self) -> "Held | None":
        """The spare to use next: one that has touched its pages, and of those the youngest.

        Its caches are the warmest; the oldest stay for a burst.
        """
        if not self.spares:
            return None
        held = max(reversed(self.spares), key=lambda one: one.touched)
        self.spares.remove(held)
        return held

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
            async with asyncio.timeout(DRAIN_MAX_S):
                await self.idle.wait()
        await self.source.close()

    def ready(self) -> int:
        """How many spares wait. Those that died while they waited are let go."""
        if not all(held.worker.alive for held in self.spares):
            self.spares = deque(held for held in self.spares if held.worker.alive)
        return len(self.spares)

    def kill_spares(self) -> None:
        """End all that wait."""
        for held in self.spares:
            held.worker.kill()
        self.spares.clear()


class Held:
    """A worker in the pool's hands: which zygote it came from, and when."""

    def __init__(self, worker: Worker, zygote: Zygote, *, touched: bool) -> None:
        self.worker = worker
        self.zygote = zygote
        # Whether it has touched its pages ahead of its conversion.
        self.touched = touched
        self.forked_s = asyncio.get_running_loop().time()
