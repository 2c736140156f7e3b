"""The front door of conversions: plan what is asked, run it in a worker of its own.

`plan` is pure and refuses all that can be refused without running. `conversion` waits in line for a
slot, hands the bytes to a worker and gives out what it made; `convert` reads that into memory.
`receive` does the same for a file that is still arriving, `batch` for the files of one request
(`engine/passage.py` has the steps). `status` and the controls after it are for operators: each
control is safe under load, may be repeated, and says what it did.
"""

import asyncio
import contextlib
import itertools
import os
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import structlog

from engine import errors, passage, planning, registry
from engine.arrivals import Arrivals
from engine.batch import Batch
from engine.config import EngineConfig
from engine.families import changed, pools
from engine.job import Job, Output
from engine.keep import Owner
from engine.line import Line, Seat
from engine.passage import Asker, Delivery, Intake, Passage, asker_of
from engine.pool import Pool
from engine.progress import Progress
from engine.shares import Demand, shares
from engine.status import Drained, EngineStatus, FamilyStatus, Paused, Recycled, Resized
from sandbox.errors import SandboxError, SandboxUnavailable

__all__ = ["Batch", "Engine", "EngineConfig", "EngineStatus", "FamilyStatus"]

log = structlog.get_logger()

# How often shares and ages are looked at when nothing happens, and at most when much does.
TEND_S = 10.0
SHARE_S = 1.0
# Between two files of a request lie a debit and the waiting line; beyond this nobody comes.
BATCH_KEPT_S = 120.0


class Engine:
    """All conversions of one gateway process. Made by `start`, ended by `drain` or `close`."""

    plan = staticmethod(planning.plan)
    check = staticmethod(planning.check)

    def __init__(self, config: EngineConfig, line: Line, pools: Mapping[str, Pool]) -> None:
        self._config = config
        self._line = line
        self._pools = pools
        self._families = {family.name: family for family in registry.FAMILIES}
        self._demand = Demand(pools)
        self._shared_s = 0.0
        self._batches = itertools.count(1)
        self._draining = False
        self._under_way = 0
        self._arrivals = Arrivals(config.receivers_max, config.account_receivers_max)
        self._idle = asyncio.Event()
        self._idle.set()
        self._tending: asyncio.Task[None] | None = None

    @classmethod
    async def start(cls, config: EngineConfig) -> "Engine":
        """Boot the zygotes and spares of the families that do not rest until they are asked for.

        Raises IsolationUnavailable where the kernel cannot give the isolation that was asked for,
        or a family does not start.
        """
        line = Line(
            slots=config.slots or len(os.sched_getaffinity(0)),
            waiting_max=config.waiting_max,
            wait_max_s=config.wait_max_s,
        )
        engine = cls(config, line, pools(config, line))
        await engine._boot()
        return engine

    def check_room(self, family: str, *, account: str = "", account_weight: float = 1.0) -> None:
        """Raise EngineBusy or EngineDraining where a conversion of this family would at once."""
        self._check_draining()
        self._line.check(account, family=family, weight=account_weight)

    @contextlib.contextmanager
    def seat(
        self, family: str, *, account: str = "", account_weight: float = 1.0
    ) -> Iterator[Seat]:
        """A place in line for a `conversion` that will be asked for. Raises as `check_room`."""
        self.check_room(family, account=account, account_weight=account_weight)
        with self._line.seat(account, family=family, weight=account_weight) as seat:
            yield seat

    async def has_receiver(self, job: Job, *, account: str = "") -> bool:
        """Whether `receive` has a place for this account, now or soon; else gather and `convert`.

        Raises EngineBusy where it comes too late.
        """
        async with self._line.expecting(account, family=job.family):
            return await self._arrivals.place_soon(account)

    async def convert(self, job: Job, *, account: str = "", account_weight: float = 1.0) -> Output:
        """Run a job and read its result into memory. Raises as `conversion` does."""
        async with self.conversion(job, account=account, account_weight=account_weight) as delivery:
            return await delivery.whole()

    @asynccontextmanager
    async def conversion(
        self,
        job: Job,
        *,
        account: str = "",
        account_weight: float = 1.0,
        progress: Progress | None = None,
        seat: Seat | None = None,
    ) -> AsyncIterator[Delivery]:
        """Run a job in a worker that lives for it alone, or for its account under that policy.

        Waits in line when all slots are taken, where the account has `account_weight` turns for
        one of an ordinary account. The slot is free when the block begins; the worker lives until
        its end. `progress` hears how far it is, where its converter says so (`engine/progress.py`).
        Raises EngineBusy, EngineDraining, EngineUnavailable, or the failure of the conversion
        itself, from the block's end too.
        """
        asker = asker_of(self._config, account, account_weight)
        async with self._conversion(job, progress, asker=asker, seat=seat) as delivery:
            yield delivery

    @asynccontextmanager
    async def receive(
        self, job: Job, *, ceiling: int, account: str = "", account_weight: float = 1.0
    ) -> AsyncIterator[Intake]:
        """A worker for a job whose input has begun to arrive and may have `ceiling` bytes.

        `job.inputs` holds its first bytes. Takes no slot until `Intake.convert`. Raises EngineBusy
        when too many arrive already, SourceTooLarge, and what `conversion` does.
        """
        self._check_draining()
        self._arrivals.check(account, partial(self._line.retry_after_s, job.family))
        self._note_demand(job)
        limits = self._pools[job.family].limits
        room = min(ceiling, limits.input_bytes_max)
        with (
            self._arrivals.place(account) as place,
            self._line.seat(account, family=job.family, weight=account_weight) as seat,
        ):
            async with self._passage(
                job, asker_of(self._config, account, account_weight), [room]
            ) as through:
                yield Intake(through, self._line, limits.input_bytes_max, place, seat)

    @asynccontextmanager
    async def batch(
        self, *, account: str = "", account_weight: float = 1.0
    ) -> AsyncIterator[Batch]:
        """Convert the files of one request in workers of its own: as many as it converts at once.

        Each is a conversion of its own, with its own turn in line and its own failure. After one
        that crashes, the rest goes on in a fresh worker.
        """
        owner = Owner(
            policy="per-request",
            name=str(next(self._batches)),
            uses=self._config.request_uses,
            kept_s=BATCH_KEPT_S,
        )
        try:
            yield Batch(
                partial(
                    self._conversion,
                    asker=Asker(account=account, weight=account_weight, owner=owner),
                )
            )
        finally:
            for pool in self._pools.values():
                pool.release(owner)

    async def close(self) -> None:
        """End all workers and zygotes; what still runs fails with EngineDraining."""
        self._draining = True
        if self._tending is not None:
            self._tending.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._tending
        await asyncio.gather(*(pool.close() for pool in self._pools.values()))

    def status(self) -> EngineStatus:
        """The figures of this moment; costs nothing."""
        return EngineStatus(
            slots=self._line.slots,
            busy=self._line.busy,
            waiting=self._line.waiting,
            draining=self._draining,
            paused=self._line.paused,
            isolation=self._config.isolation,
            policy=self._config.policy,
            families=tuple(self._family_status(pool) for pool in self._pools.values()),
        )

    def pause(self) -> Paused:
        """Start nothing new; the line holds who waits, within its bounds."""
        changed = not self._line.paused
        self._line.pause()
        return self._paused(changed=changed)

    def resume(self) -> Paused:
        """Start again what waits."""
        changed = self._line.paused
        self._line.resume()
        return self._paused(changed=changed)

    def resize(self, slots: int) -> Resized:
        """Set the number of conversions at once. Raises ValueError below 1; `pause` is for that."""
        if slots < 1:
            raise ValueError("slots is at least 1; pause stops new conversions")
        before = self._line.slots
        self._line.resize(slots)
        self._share()
        return Resized(before=before, slots=slots, busy=self._line.busy)

    async def recycle(self, family: str | None = None) -> Recycled:
        """Replace the zygotes of one family, or all, one after another; no request fails of it.

        Raises ValueError for an unknown family, EngineUnavailable where a new one does not start:
        the old one then goes on.
        """
        awake = (name for name, pool in self._pools.items() if not pool.resting)
        names = (family,) if family else tuple(awake)
        for name in names:
            with _new_zygote(name):
                await self._pool(name).recycle("asked")
        return Recycled(families=names)

    async def restart_zygote(self, family: str) -> Recycled:
        """Replace a zygote at once: its spares end before the new one is there, what runs finishes.

        Raises ValueError for an unknown family.
        """
        with _new_zygote(family):
            await self._pool(family).restart()
        return Recycled(families=(family,))

    async def set_limit(self, family: str, **limits: float) -> Recycled:
        """Change fields of `sandbox.limits.Limits` for workers from now on, by a rolling recycle.

        Raises ValueError for an unknown family or limit, or an impossible number.
        """
        pool = self._pool(family)
        wanted = changed(pool.limits, limits)
        if wanted == pool.limits:
            return Recycled(families=())
        with _new_zygote(family):
            await pool.set_limits(wanted)
        return Recycled(families=(family,), limits=limits)

    async def drain(self, timeout_s: float) -> Drained:
        """Take nothing new and wait for what runs and waits, at most `timeout_s`."""
        self._draining = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._idle.wait()
        return Drained(finished=not self._under_way, left=self._under_way)

    async def _boot(self) -> None:
        self._share()
        started = await asyncio.gather(
            *(pool.start() for pool in self._pools.values()), return_exceptions=True
        )
        failures = [result for result in started if isinstance(result, BaseException)]
        if failures:
            await self.close()
            if isinstance(failures[0], SandboxUnavailable):
                raise errors.IsolationUnavailable(str(failures[0])) from failures[0]
            raise failures[0]
        self._tending = asyncio.create_task(self._tend(), name="engine")

    @asynccontextmanager
    async def _conversion(
        self,
        job: Job,
        progress: Progress | None = None,
        *,
        asker: Asker,
        seat: Seat | None = None,
    ) -> AsyncIterator[Delivery]:
        self._check_draining()
        planning.check_size(job, self._pools[job.family].limits.input_bytes_max)
        self._note_demand(job)
        asked_s = asyncio.get_running_loop().time()
        async with AsyncExitStack() as until_read:
            async with self._line.slot(
                asker.account, family=job.family, weight=asker.weight, seat=seat
            ):
                ceilings = [len(upload) for upload in job.inputs]
                through = await until_read.enter_async_context(self._passage(job, asker, ceilings))
                for upload in job.inputs[1:]:
                    through.end()
                    await through.feed(upload)
                through.end()
                delivery = await through.go(asked_s, progress)
            yield delivery

    @asynccontextmanager
    async def _passage(
        self, job: Job, asker: Asker, ceilings: Sequence[int]
    ) -> AsyncIterator[Passage]:
        """A worker that has got the first input, or what is there of it."""
        pool = self._pools[job.family]
        header = passage.header(job, self._families[job.family].bounds)
        with self._counted(), passage.failures(pool, job):
            async with pool.exchange(header, ceilings, job.inputs[0], asker.owner) as held:
                yield Passage(job, asker, pool, held)

    def _check_draining(self) -> None:
        if self._draining:
            raise errors.EngineDraining("the service is stopping; nothing was charged")

    def _note_demand(self, job: Job) -> None:
        now_s = asyncio.get_running_loop().time()
        self._demand.arrived(job.family, now_s)
        if now_s - self._shared_s > SHARE_S:
            self._share()

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        self._under_way += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()

    def _paused(self, *, changed: bool) -> Paused:
        running = sum(pool.running for pool in self._pools.values())
        return Paused(
            paused=self._line.paused,
            changed=changed,
            waiting=self._line.waiting,
            running=running,
        )

    def _pool(self, family: str) -> Pool:
        if family not in self._pools:
            raise ValueError(f"no such family: {family}; there are {', '.join(self._pools)}")
        return self._pools[family]

    async def _tend(self) -> None:
        while True:
            await asyncio.sleep(TEND_S)
            self._share()
            for pool in self._pools.values():
                pool.tend()

    def _share(self) -> None:
        """Deal the budget of spares out among the families that are here."""
        self._shared_s = asyncio.get_running_loop().time()
        recent = self._demand.recent(self._shared_s)
        up = {name: recent[name] for name, pool in self._pools.items() if not pool.resting}
        budget = self._config.spares or self._line.slots + len(up)
        for family, count in shares(budget, up).items():
            self._pools[family].spares_max = count

    def _family_status(self, pool: Pool) -> FamilyStatus:
        counts = pool.counts
        return FamilyStatus(
            name=pool.family,
            up=pool.source is not None or pool.resting,
            resting=pool.resting,
            spares=pool.spares,
            spares_max=pool.spares_max,
            kept=pool.kept,
            running=pool.running,
            waiting=self._line.waiting_of(pool.family),
            restarts=pool.restarts,
            conversions=counts.conversions,
            failures=dict(counts.failures),
            recycles=dict(counts.recycles),
            workers=counts.workers,
            cpu_s=counts.cpu_s,
            written_bytes=counts.written_bytes,
            retry_after_s=self._line.retry_after_s(pool.family),
        )


@contextlib.contextmanager
def _new_zygote(family: str) -> Iterator[None]:
    """Translate a start that failed, for an operator."""
    try:
        yield
    except SandboxError as error:
        raise errors.EngineUnavailable(
            f"the new {family} zygote does not start: {error}"
        ) from error
