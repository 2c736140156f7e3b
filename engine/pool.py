"""Workers in stock: one pool a family, so that a conversion finds one ready.

A worker is used up by one conversion, so the pool's art is to have the next one forked, confined
and warmed before it is asked for, without stealing the cores from conversions that run. Measured:
a replacement that is ordered when the reply is out, instead of when the worker is taken, brings a
tiny job from 4.7 ms down to 0.9 ms, and costs a saturated machine nothing. So: take a spare; if it
was the last, order its replacement at once; otherwise when the conversion is over. A worker of
several uses belongs to its owner (`engine/keep.py`) and is forked to order.

The zygote is replaced when it dies or hangs, when too many of its workers crashed, when it is old,
and when asked. Always the same way: a new one boots and forks its spares while the old one serves;
they change places; the old one closes when its last conversion is over. So no request fails of it.
One that died, hangs or is restarted hard gives up its spares first; takers then wait.

The pool is policy only: its tests need neither processes nor a real clock (`engine/workers.py`).
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager

import structlog

from engine.config import PoolRules
from engine.counts import Counts
from engine.errors import EngineDraining, EngineUnavailable
from engine.job import Buffer
from engine.keep import Keep, Owner
from engine.workers import Held, Worker, WorkerSource, Zygote
from sandbox.errors import SandboxError, WorkerCrashed, WorkerGone, WorkerViolation, ZygoteDied
from sandbox.limits import Limits

log = structlog.get_logger()

# A zygote that does not come up is tried again after this long, doubling up to the second number:
# not to burn a core on a machine that lacks something, and soon enough after a hiccup.
RESTART_FIRST_S, RESTART_MAX_S = 0.05, 5.0
# How long a conversion, which has a slot, waits for its worker: of a zygote that is there or does
# not start, and of one that boots (seconds, on a busy machine).
WORKER_WAIT_S, WAKE_WAIT_S = 5.0, 30.0
AGE_JITTER = 0.2  # families and gateways of a host shall not boot all at once


class Pool:
    """The workers of one family.

    `boot` starts a zygote: in `start`, or, by its rules, when somebody asks. `touched_max` says how
    many spares may have touched their pages ahead; a worker whose owner waits for it never has.
    """

    def __init__(
        self,
        family: str,
        *,
        boot: Callable[[Limits], Awaitable[WorkerSource]],
        spares_max: int,
        limits: Limits,
        rules: PoolRules = PoolRules(),  # noqa: B008 (frozen)
        touched_max: Callable[[], int] = lambda: 1,
        counts: Counts | None = None,
    ) -> None:
        self.family = family
        self.counts = counts or Counts()
        self.spares_max = spares_max  # may be changed while it runs
        self._limits = limits
        self._boot = boot
        self._rules = rules
        self._touched_max = touched_max
        self._keep = Keep(rules.kept_max)
        self._age_max_s = rules.zygote_max_s * random.uniform(1 - AGE_JITTER, 1 + AGE_JITTER)  # noqa: S311 - no secret
        self._zygote: Zygote | None = None
        self._retiring: set[Zygote] = set()
        self._running: set[Worker] = set()
        self._renewal: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._takers, self._taken_s = 0, 0.0
        self._stocked = asyncio.Event()
        self._stopping = self._failing = False

    @property
    def spares(self) -> int:
        """How many workers wait for a conversion."""
        return self._zygote.ready() if self._zygote else 0

    @property
    def kept(self) -> int:
        """How many workers wait for the next conversion of their owner."""
        return len(self._keep)

    @property
    def running(self) -> int:
        """How many conversions run now."""
        return len(self._running)

    @property
    def resting(self) -> bool:
        """Whether it has no zygote because nobody needs one."""
        booting = self._renewal is not None and not self._renewal.done()
        return self._rules.rest_after_s is not None and self._zygote is None and not booting

    @property
    def restarts(self) -> int:
        """How often a zygote died or hung."""
        return sum(self.counts.recycles[cause] for cause in ("died", "hangs"))

    @property
    def source(self) -> WorkerSource | None:
        """The zygote of the moment, None while there is none."""
        return self._zygote.source if self._zygote else None

    @property
    def limits(self) -> Limits:
        """What the workers of the moment may use."""
        return self._zygote.limits if self._zygote else self._limits

    async def start(self) -> None:
        """Boot the zygote and its first spares, if it shall not rest. SandboxError goes up."""
        if not self.resting:
            self._install(await self._booted())

    @asynccontextmanager
    async def exchange(
        self, header: Buffer, ceilings: Sequence[int], first: Buffer, owner: Owner | None = None
    ) -> AsyncIterator[Held]:
        """A worker of its own, or of its owner, that has got the first bytes; ended with the block.

        One that turns out to have ended before it was given anything is replaced, once.
        """
        try:
            held = await self._begin_use(header, ceilings, first, owner)
        except WorkerGone:
            log.warning("worker_gone", family=self.family)
            held = await self._begin_use(header, ceilings, first, owner)
        try:
            yield held
        except (WorkerCrashed, ZygoteDied) as error:
            self._note_crash(held.zygote, error)
            raise
        finally:
            self._end_use(held, owner)

    def release(self, owner: Owner) -> None:
        """Say that this owner has no more conversions."""
        self._keep.release(owner)

    async def recycle(self, cause: str) -> None:
        """Replace the zygote, new one first, or join in when that is under way; return when done.

        A family that rests has none. Raises SandboxError if the new one does not start; the old one
        then goes on.
        """
        if self.resting:
            return
        await asyncio.shield(self._renew(cause))

    async def set_limits(self, limits: Limits) -> None:
        """Replace the zygote by one with other limits. Raises SandboxError as `recycle` does."""
        if self._renewal:
            await asyncio.wait([self._renewal])  # it may boot with the old ones
        before, self._limits = self._limits, limits
        try:
            await self.recycle("limits")
        except SandboxError:
            self._limits = before
            raise

    async def restart(self, cause: str = "restart") -> None:
        """Replace the zygote and give up its spares at once; what runs finishes."""
        if (zygote := self._zygote) is not None:
            self._retire(zygote)
        await self.recycle(cause)

    def tend(self) -> None:
        """Replace what has become old and end what is too much. Call it now and then."""
        if (zygote := self._zygote) is None or self._stopping:
            return
        now_s = asyncio.get_running_loop().time()
        while self._rules.uses == 1 and zygote.ready() > self.spares_max + self._takers:
            zygote.spares.popleft().worker.kill()
        if (
            self._rules.rest_after_s is not None
            and now_s - self._taken_s > self._rules.rest_after_s
        ):
            self._retire(zygote)
        elif now_s - zygote.booted_s > self._age_max_s:
            self._renew("age")
        elif zygote.spares and now_s - zygote.spares[0].forked_s > self._rules.spare_max_s:
            self._order(extra=1)  # one too many: the next time the oldest goes
        else:
            self._order()

    async def close(self) -> None:
        """Kill what runs and end the zygote. Conversions under way fail with EngineDraining."""
        self._stopping = True
        for worker in self._running:
            worker.kill()
        self._keep.clear()
        tasks = [task for task in (*self._tasks, self._renewal) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        zygotes = [one for one in (*self._retiring, self._zygote) if one is not None]
        for zygote in zygotes:
            zygote.kill_spares()
        await asyncio.gather(*(zygote.source.close() for zygote in zygotes))
        self._zygote = None
        self._retiring.clear()

    async def _begin_use(
        self, header: Buffer, ceilings: Sequence[int], first: Buffer, owner: Owner | None
    ) -> Held:
        held = await self._take(owner)
        self._running.add(held.worker)
        held.zygote.begin()
        try:
            held.worker.open(header, ceilings)
            await held.worker.feed(first)
        except BaseException as error:
            self._end_use(held, owner)
            if isinstance(error, WorkerCrashed | ZygoteDied):
                self._note_crash(held.zygote, error)
            raise
        return held

    def _end_use(self, held: Held, owner: Owner | None) -> None:
        worker, zygote = held.worker, held.zygote
        if worker.release():
            if zygote is not self._zygote or self._stopping:
                worker.kill()
            elif owner is not None:
                self._keep.put(owner, held)
            else:
                self._stock(held)
        self._running.discard(worker)
        zygote.end()
        self._order()

    def _note_crash(self, zygote: Zygote, error: SandboxError) -> None:
        """Count it. Raises EngineDraining in its place where we ended the worker ourselves."""
        if self._stopping:
            raise EngineDraining("the service is stopping; nothing was charged") from error
        # These may be somebody's guess at the memory layout that all its workers share.
        zygote.crashes += type(error) in {WorkerCrashed, WorkerViolation}
        if zygote.crashes >= self._rules.zygote_crashes_max and zygote is self._zygote:
            zygote.crashes = 0
            self._renew("crashes")

    async def _take(self, owner: Owner | None) -> Held:
        """A ready worker: the owner's; else a spare, or the next that is delivered."""
        self._taken_s = asyncio.get_running_loop().time()
        wait_s = WORKER_WAIT_S if self._zygote or self._failing else WAKE_WAIT_S
        if self.resting and not self._stopping:
            self._renew("demand")
        try:
            async with asyncio.timeout(wait_s):
                if owner is not None:
                    return self._keep.take(owner) or await self._fork_for(owner)
                return await self._next_delivered()
        except TimeoutError:
            raise EngineUnavailable(
                "no worker can be started at present; try again in a few seconds"
            ) from None

    async def _next_delivered(self) -> Held:
        self._takers += 1
        try:
            while (held := self._next_spare()) is None:
                self._order()
                self._stocked.clear()
                await self._stocked.wait()
        finally:
            self._takers -= 1
        if not self.spares:
            self._order()
        return held

    def _next_spare(self) -> Held | None:
        while self._zygote and (held := self._zygote.take()):
            if held.worker.alive:
                return held
        return None

    async def _fork_for(self, owner: Owner) -> Held:
        while True:
            if (zygote := self._zygote) is None:
                self._stocked.clear()
                await self._stocked.wait()
            elif held := await self._spawn(zygote, owner.uses, touch=False):
                return held

    def _order(self, *, extra: int = 0) -> None:
        """Have workers forked in the background: one for each taker, and the spares."""
        if self._stopping or (zygote := self._zygote) is None:
            return
        missing = self.spares_max + self._takers - zygote.ready() - zygote.ordered
        for _ in range(missing + extra):
            zygote.ordered += 1
            self._begin(self._deliver(zygote))

    async def _deliver(self, zygote: Zygote) -> None:
        """Fork one worker and put it into stock. A taker that gave up does not cancel this."""
        with zygote.on_order(self._touched_max()) as touch:
            held = await self._spawn(zygote, self._rules.uses, touch=touch)
        if held is not None:
            self._stock(held)
        if self._takers > self.spares:
            self._order()

    async def _spawn(self, zygote: Zygote, uses: int, *, touch: bool) -> Held | None:
        """Fork a worker of the present zygote. None where that failed and it may be tried again."""
        try:
            async with asyncio.timeout(self._rules.spawn_max_s):
                worker = await zygote.source.spawn(uses, touch=touch)
        except TimeoutError:
            if zygote is self._zygote:
                log.error("zygote_hangs", family=self.family)
                self._retire(zygote)  # what runs may finish: its workers need it no more
                self._renew("hangs")
        except SandboxError as error:
            if not isinstance(error, ZygoteDied):  # which `_watch` sees as well
                log.warning("spare_failed", family=self.family, reason=error.reason)
            await asyncio.sleep(RESTART_FIRST_S)  # a spare that always dies must not fork in a loop
        else:
            if zygote is self._zygote and not self._stopping:
                return Held(worker, zygote, touched=touch)
            worker.kill()
        return None

    def _stock(self, held: Held) -> None:
        held.zygote.spares.append(held)
        self._stocked.set()

    def _renew(self, cause: str) -> asyncio.Task[None]:
        """Begin to replace the zygote, unless that is under way."""
        if self._renewal is None or self._renewal.done():
            self._renewal = asyncio.create_task(self._replace(cause), name=f"pool {self.family}")
            # Its failure was logged.
            self._renewal.add_done_callback(lambda end: end.cancelled() or end.exception())
        return self._renewal

    async def _replace(self, cause: str) -> None:
        """Boot a zygote and change places. Raises SandboxError while an old one can go on."""
        delay_s, zygote = RESTART_FIRST_S, None
        while zygote is None:
            try:
                zygote = await self._booted()
            except SandboxError as error:
                log.error("zygote_failed", family=self.family, reason=error.reason)
                self._failing = True
                if self._zygote is not None:
                    raise
                await asyncio.sleep(delay_s)
                delay_s = min(delay_s * 2, RESTART_MAX_S)
        self._failing = False
        self.counts.recycles[cause] += 1
        log.info("zygote_replaced", family=self.family, reason=cause)
        if (old := self._zygote) is not None:
            self._retire(old)
        self._install(zygote)

    async def _booted(self) -> Zygote:
        """A new zygote with its spares, beside the present one."""
        limits = self._limits
        zygote = Zygote(await self._boot(limits), limits)
        await zygote.fill(
            self.spares_max, self._rules.uses, self._rules.spawn_max_s, self._touched_max()
        )
        return zygote

    def _install(self, zygote: Zygote) -> None:
        self._zygote = zygote
        self._begin(self._watch(zygote))
        self._stocked.set()
        self._order()

    def _retire(self, zygote: Zygote) -> None:
        """Give the zygote no more work; close it when what runs is over."""
        self._zygote = None
        zygote.kill_spares()
        self._keep.clear()  # they are all of this zygote
        self._retiring.add(zygote)
        self._begin(self._drain(zygote))

    async def _drain(self, zygote: Zygote) -> None:
        await zygote.drained()
        self._retiring.discard(zygote)

    async def _watch(self, zygote: Zygote) -> None:
        """Replace the zygote if it dies while it serves."""
        await zygote.source.wait_closed()
        if zygote is self._zygote:
            log.warning("zygote_died", family=self.family)
            self._retire(zygote)
            self._renew("died")

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
