"""Workers in stock: one pool a family, so that a conversion finds one ready.

A worker is used up by one conversion, so the pool's art is to have the next one forked, confined
and warmed before it is asked for, without stealing the cores from conversions that run. Measured:
a replacement that is ordered when the reply is out, instead of when the worker is taken, brings a
tiny job from 4.7 ms down to 0.9 ms, and costs a saturated machine nothing. So: take a spare; if it
was the last, order its replacement at once; otherwise when the conversion is over.

The pool is policy only. It sees the sandbox through three methods (`WorkerSource.spawn`,
`Worker.run`, `Worker.kill`), so that its tests need neither processes nor a real clock.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import structlog

from engine.errors import EngineDraining, EngineUnavailable
from engine.job import Buffer
from sandbox.errors import SandboxError, WorkerCrashed, ZygoteDied

log = structlog.get_logger()

# A zygote that does not come up is tried again after this long, doubling up to the second number:
# long enough not to burn a core on a machine that lacks something, short enough for a hiccup.
RESTART_FIRST_S = 0.05
RESTART_MAX_S = 5.0
# A fork, its confinement and its first tiny conversion take milliseconds; a zygote that needs
# seconds hangs, and is replaced.
SPAWN_MAX_S = 3.0
# How long a conversion waits for its worker while the zygote is being replaced (a boot takes
# 0.1 to 0.3 s; three tries and their back-off fit).
WORKER_WAIT_S = 5.0


class Reply(Protocol):
    """What a worker answers: an opaque header and the files."""

    @property
    def header(self) -> bytes:
        """For `engine.task` alone to understand."""

    @property
    def files(self) -> Sequence[Buffer]:
        """The outputs' bytes, in order."""


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

    async def spawn(self) -> Worker:
        """Fork one worker and wait until it is confined and warm. ZygoteDied, WorkerCrashed."""

    async def wait_closed(self) -> None:
        """Return when the zygote is gone, however it ended."""

    async def close(self) -> None:
        """End the zygote and all its workers; idempotent."""


class Pool:
    """The workers of one family.

    `boot` starts a zygote; the pool replaces it when it dies. `spares_max` workers are kept ready.
    Errors of `run`: EngineUnavailable (no worker to be had), EngineDraining (stopped meanwhile),
    and whatever SandboxError the worker ends in.
    """

    def __init__(
        self,
        family: str,
        *,
        boot: Callable[[], Awaitable[WorkerSource]],
        spares_max: int,
        deadline_s: float,
        output_bytes_max: int,
    ) -> None:
        self.family = family
        self.restarts = 0
        self._boot = boot
        self._spares_max = spares_max
        self._deadline_s = deadline_s
        self._output_bytes_max = output_bytes_max
        self._source: WorkerSource | None = None
        self._spares: deque[Worker] = deque()
        self._running: set[Worker] = set()
        self._ordered = 0
        self._stopping = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._supervisor: asyncio.Task[None] | None = None
        self._takers = 0
        self._stocked = asyncio.Event()

    @property
    def spares(self) -> int:
        """How many workers wait for a conversion."""
        return len(self._spares)

    @property
    def running(self) -> int:
        """How many conversions run now."""
        return len(self._running)

    @property
    def source(self) -> WorkerSource | None:
        """The zygote of the moment, None while it is being replaced."""
        return self._source

    async def start(self) -> None:
        """Boot the zygote and its first spares. SandboxUnavailable goes up to the caller."""
        self._source = source = await self._boot()
        for _ in range(self._spares_max):
            self._stock(await source.spawn())
        self._supervisor = asyncio.create_task(self._supervise(), name=f"pool {self.family}")

    async def run(self, header: Buffer, inputs: Sequence[Buffer]) -> tuple[Reply, str]:
        """Convert in a worker of its own. Returns the reply and the worker's unique name."""
        worker = await self._take()
        self._running.add(worker)
        try:
            reply = await worker.run(
                header,
                inputs,
                deadline_s=self._deadline_s,
                output_bytes_max=self._output_bytes_max,
            )
        except (WorkerCrashed, ZygoteDied) as error:
            if self._stopping:
                raise EngineDraining("the service is stopping; nothing was charged") from error
            raise
        else:
            if worker.uses_left > 0 and not self._stopping:
                self._stock(worker)
            return reply, worker.name
        finally:
            self._running.discard(worker)
            self._order()

    async def close(self) -> None:
        """Kill what runs and end the zygote. Conversions under way fail with EngineDraining."""
        self._stopping = True
        for worker in (*self._running, *self._spares):
            worker.kill()
        self._spares.clear()
        tasks = [*self._tasks, *([self._supervisor] if self._supervisor else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._source is not None:
            await self._source.close()
            self._source = None

    async def _take(self) -> Worker:
        """A ready worker: a spare if there is one, otherwise the next that is delivered."""
        self._takers += 1
        try:
            async with asyncio.timeout(WORKER_WAIT_S):
                while (worker := self._next_spare()) is None:
                    self._order()
                    self._stocked.clear()
                    await self._stocked.wait()
        except TimeoutError:
            raise EngineUnavailable(
                "no worker can be started at present; try again in a few seconds"
            ) from None
        finally:
            self._takers -= 1
        if not self._spares:
            self._order()
        return worker

    def _next_spare(self) -> Worker | None:
        # The youngest has the warmest caches; the oldest stay for a burst.
        while self._spares:
            worker = self._spares.pop()
            if worker.alive:
                return worker
        return None

    def _order(self) -> None:
        """Have workers forked in the background: one for each taker, and the spares."""
        missing = self._spares_max + self._takers - len(self._spares) - self._ordered
        if self._stopping or self._source is None:
            return
        for _ in range(missing):
            self._ordered += 1
            task = asyncio.create_task(self._deliver(self._source))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _deliver(self, source: WorkerSource) -> None:
        """Fork one worker and put it into stock. A taker that gave up does not cancel this."""
        try:
            async with asyncio.timeout(SPAWN_MAX_S):
                worker = await source.spawn()
        except TimeoutError:
            log.error("zygote_hangs", family=self.family)
            await source.close()  # the supervisor sees it end and boots another
        except ZygoteDied:
            pass  # likewise
        except SandboxError as error:
            log.warning("spare_failed", family=self.family, reason=error.reason)
            await asyncio.sleep(RESTART_FIRST_S)  # a spare that always dies must not fork in a loop
        else:
            if source is self._source and not self._stopping:
                self._stock(worker)
            else:
                worker.kill()
        finally:
            self._ordered -= 1
        if self._takers > len(self._spares):
            self._order()

    def _stock(self, worker: Worker) -> None:
        self._spares.append(worker)
        self._stocked.set()

    async def _supervise(self) -> None:
        """Replace the zygote whenever it dies, for as long as the pool lives."""
        while True:
            if (source := self._source) is not None:
                await source.wait_closed()
                log.warning("zygote_died", family=self.family)
                self._source = None
                self._spares.clear()  # they died with it: it was PID 1 of their namespace
                await source.close()
            await self._reboot()
            self.restarts += 1
            self._order()

    async def _reboot(self) -> None:
        delay_s = RESTART_FIRST_S
        while True:
            try:
                self._source = await self._boot()
            except SandboxError as error:
                log.error("zygote_failed", family=self.family, reason=error.reason)
                await asyncio.sleep(delay_s)
                delay_s = min(delay_s * 2, RESTART_MAX_S)
            else:
                return
