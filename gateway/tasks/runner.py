"""Runs tasks: claims what there is room for, keeps the leases alive, records how attempts end.

One runner a process. It wakes at an announcement, at the end of an attempt, and now and then by
itself, because behind a pooler nothing is announced. What runs is inside the door as any conversion
is: a drain lets it finish, and gives back to the queue what did not.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import cast
from uuid import UUID, uuid4

import msgspec
import structlog

from engine.errors import ConversionTimedOut, EngineBusy, EngineDraining, EngineUnavailable
from gateway import problems
from gateway.drain import SENTENCE
from gateway.errors import (
    FetchCrowded,
    FetchFailed,
    FetchTooSlow,
    MemoryFull,
    ServiceDraining,
    StorageFailed,
    StorageTooSlow,
    TaskExpired,
    TaskInstanceLost,
    TaskTimedOut,
)
from gateway.tasks import recording
from gateway.tasks.attempt import Attempt, TaskLost, Unfetched, Workshop
from gateway.tasks.held import Held
from gateway.tasks.parts import Parts
from gateway.tasks.request import TaskOutcome, request_of
from gateway.tasks.watch import Watch
from ledger.credits.debit import uninterrupted
from ledger.errors import DebitLapsed, FileLapsed, LedgerError, LedgerUnavailable, StoreFull
from ledger.tasks.limits import ATTEMPTS_MAX
from ledger.tasks.states import End, State
from ledger.tasks.task import Beat, Claimed

log = structlog.get_logger()

# Between two looks at the queue where announcements arrive (one may be lost), and where not.
HEARD_S = 5.0
UNHEARD_S = 0.5
# Progress of tasks that run elsewhere is as old as this at most.
BEAT_S = 2.0
# Nothing is wrong with the task: it waits for room, and that is no attempt.
WAITS = (EngineBusy, MemoryFull, FetchCrowded, EngineDraining, ServiceDraining, LedgerUnavailable)
# It may work in a moment, and is tried as often as a task is.
PASSING = (
    *(DebitLapsed, EngineUnavailable, FetchFailed, FetchTooSlow, FileLapsed, StoreFull),
    *(StorageFailed, StorageTooSlow),
)
AGAIN_S = 2.0
# How long a stopping process waits until its ends are recorded; then leases and sweepers do it.
CLOSE_S = 5.0


class Runner:
    """All tasks that this process runs or holds."""

    def __init__(self, parts: Parts) -> None:
        self._config = parts.settings.tasks
        self._engine = parts.engine
        self._ledger = parts.ledger
        self._door = parts.door
        self._metrics = parts.metrics
        # Who has a task's bytes, or runs it.
        self.instance = uuid4()
        self.held = Held(parts.memory, self._config.memory_bytes_max)
        self.watch = Watch(self._ledger)
        self._workshop = Workshop(parts, self.held)
        self._records = parts.settings.records.keep
        self._attempts: dict[UUID, Attempt] = {}
        self._wake = asyncio.Event()
        self._beat = asyncio.Event()
        self._closing = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run tasks for the block; what is not over at its end is given back, or given up."""
        self._ledger.tasks.heard.add(self._hear)
        self.watch.open()
        loops = [asyncio.create_task(self._claim()), asyncio.create_task(self._keep())]
        try:
            yield
        finally:
            self._closing = True
            self._ledger.tasks.heard.discard(self._hear)
            self.watch.close()
            for loop in loops:
                loop.cancel()
            await asyncio.gather(*loops, return_exceptions=True)
            await self._close()

    def attempt_at(self, seq: int) -> Attempt | None:
        """The attempt at a task that runs here."""
        return next((one for one in self._attempts.values() if one.claimed.seq == seq), None)

    @property
    def busy(self) -> int:
        """How many tasks run here; those that wait to be fetched do not count."""
        return sum(not one.resting for one in self._attempts.values())

    def _hear(self, said: str) -> None:
        word, _, seq = said.partition(" ")
        if word == "queued":
            self._wake.set()
        elif word == "changed" and seq.isdigit():
            attempt = self.attempt_at(int(seq))
            held = any(room.seq == int(seq) for _, room in self.held.rooms())
            if (attempt and not attempt.ended) or held:
                self._beat.set()

    async def _claim(self) -> None:
        while True:
            try:
                await self._claim_some()
            except LedgerError:
                pass  # there will be another look
            except Exception as error:
                # A runner that ended would run nothing.
                log.error("unforeseen", exc_info=error)
            await _pause(self._wake, HEARD_S if self._ledger.tasks.hearing else UNHEARD_S)

    async def _claim_some(self) -> None:
        status = self._engine.status()
        room = (self._config.running_max or max(status.slots, 1)) - self.busy
        if room <= 0 or status.paused or status.draining or self._door.draining:
            return
        for claimed in await self._ledger.tasks.claim(self.instance, room):
            self._begin(claimed)

    def _begin(self, claimed: Claimed) -> None:
        try:
            changed = partial(self.watch.changed, claimed.seq)
            attempt = Attempt(claimed, request_of(claimed.request), changed)
        except msgspec.MsgspecError as error:
            # Of another version; its lease lapses, and it ends as lost.
            log.error("unforeseen", exc_info=error)
            return
        self._attempts[claimed.conversion_id] = attempt
        attempt.work = asyncio.create_task(self._work(attempt), name="task")
        attempt.work.add_done_callback(partial(self._over, attempt))
        self.watch.changed(claimed.seq)

    def _over(self, attempt: Attempt, work: "asyncio.Task[None]") -> None:
        self._attempts.pop(attempt.claimed.conversion_id, None)
        if not work.cancelled() and (error := work.exception()):
            log.error("unforeseen", exc_info=error)
        self.watch.changed(attempt.claimed.seq)
        self._wake.set()

    async def _keep(self) -> None:
        """Beat for all that runs here or is held here; let go what is not ours any more."""
        pause_s = min(BEAT_S, self._config.lease_s / 3)
        while True:
            await _pause(self._beat, pause_s)
            try:
                await self._beat_once()
            except LedgerError:
                pass  # the lease is longer than one beat
            except Exception as error:
                # Without beats every task would be lost.
                log.error("unforeseen", exc_info=error)

    async def _beat_once(self) -> None:
        attempts = [one for one in self._attempts.values() if not one.ended or one.resting]
        run = {one.claimed.seq for one in attempts}
        rooms = [(at, room) for at, room in self.held.rooms() if room.seq and room.seq not in run]
        beats = [
            Beat(one.claimed.seq, one.claimed.conversion_id, one.stage, one.progress)
            for one in attempts
        ]
        beats += [Beat(room.seq, None) for _, room in rooms]
        if not beats:
            return
        ours = await self._ledger.tasks.beat(self.instance, beats)
        for attempt in attempts:
            # One that was ended meanwhile has an end of its own.
            if attempt.claimed.seq not in ours and (not attempt.ended or attempt.resting):
                attempt.lost = True
                if attempt.work:
                    attempt.work.cancel()
        for (account_id, task_id), room in rooms:
            if room.seq in ours:
                continue
            # One that is being claimed at this moment has a conversion id, and is not lost.
            task = await self._ledger.tasks.look(room.seq)
            if task is None or task.over:
                self.held.free(account_id, task_id)

    async def _work(self, attempt: Attempt) -> None:
        claimed = attempt.claimed
        try:
            await self._run(attempt)
        except asyncio.CancelledError:
            if attempt.lost:
                self.held.free(claimed.account_id, claimed.id)
                return
            cast("asyncio.Task[None]", asyncio.current_task()).uncancel()
            await uninterrupted(self._failed(attempt, ServiceDraining(SENTENCE)))
        except TaskLost:
            self.held.free(claimed.account_id, claimed.id)
        except Exception as error:  # noqa: BLE001 -- the border: whatever it is, the task ends of it
            # A stop that comes now must not lose what is about to be recorded.
            await uninterrupted(self._failed(attempt, error))
        else:
            self._metrics.task_ended(State.SUCCEEDED)
            if self._records:
                recording.note(self._ledger.requests, attempt, 200, credits=attempt.credits)
            self.held.free(claimed.account_id, claimed.id)

    async def _run(self, attempt: Attempt) -> None:
        limit_s = attempt.request.timeout_s
        with self._door.enter():
            timer = asyncio.timeout(limit_s)
            try:
                async with timer:
                    unpaid = await self._workshop.run(attempt, timer)
            except TimeoutError:
                if not timer.expired():
                    raise
                raise TaskTimedOut(
                    f"the {limit_s:.0f} s of timeout_s were over; nothing was charged"
                ) from None
        if unpaid is not None:
            self._over_soon(attempt)
            async with unpaid:
                await self._workshop.fetched(attempt)

    def _over_soon(self, attempt: Attempt) -> None:
        """Its place is free; it only waits to be fetched."""
        self.watch.changed(attempt.claimed.seq)
        self._wake.set()

    async def _failed(self, attempt: Attempt, error: Exception) -> None:
        """Give the attempt back, or end the task with this error."""
        claimed = attempt.claimed
        in_memory = attempt.request.hold == "memory"
        again = isinstance(error, WAITS)
        tried = isinstance(error, PASSING) and claimed.attempt < ATTEMPTS_MAX
        if (again or tried) and not (in_memory and (self._closing or attempt.resting)):
            await self._release(attempt, error, counts=not again)
            return
        if in_memory and isinstance(error, ServiceDraining):
            error = TaskInstanceLost("the service stopped, and the task was in its memory")
        elif isinstance(error, Unfetched):
            error = TaskExpired("nobody fetched the result in time; nothing was charged")
        end = self._end(attempt, error)
        since = (State.RUNNING, State.SUCCEEDED) if attempt.resting else (State.RUNNING,)
        if await self._workshop.known(attempt, end, since) == "done":
            self._metrics.task_ended(end.state)
            if self._records:
                status = problems.kind_of(error).status
                recording.note(self._ledger.requests, attempt, status, credits=0)
            log.info(
                "task",
                account_id=claimed.account_id,
                conversion_id=str(claimed.conversion_id),
                reason=end.state,
                code=end.code,
                attempt=claimed.attempt,
            )
        self.held.free(claimed.account_id, claimed.id)

    async def _release(self, attempt: Attempt, error: Exception, *, counts: bool) -> None:
        after_s = max(getattr(error, "retry_after_s", None) or AGAIN_S, AGAIN_S)
        if self._closing or isinstance(error, ServiceDraining):
            after_s = 0.0
        with suppress(LedgerError):  # its lease lapses
            await self._ledger.tasks.release(attempt.claimed, after_s=after_s, counts=counts)
        asyncio.get_running_loop().call_later(after_s, self._wake.set)

    def _end(self, attempt: Attempt, error: Exception) -> End:
        kind = problems.kind_of(error)
        if kind is problems.UNFORESEEN:
            log.error("unforeseen", exc_info=error)
        problem = problems.problem_of(error, attempt.claimed.conversion_id)
        ends = {
            TaskTimedOut: State.TIMED_OUT,
            ConversionTimedOut: State.TIMED_OUT,
            TaskExpired: State.EXPIRED,
        }
        ended = next((ends[one] for one in type(error).__mro__ if one in ends), State.FAILED)
        return End(
            state=ended,
            reason=kind.code,
            outcome=msgspec.msgpack.encode(
                TaskOutcome(
                    problem=problem,
                    converter=attempt.converter,
                    with_password="password" in attempt.request.options,
                )
            ),
            results=(),
            code=kind.code,
            keep_s=self._config.remembered_s,
        )

    async def _close(self) -> None:
        """Stop what still runs; its ends are recorded, or its leases lapse."""
        works = [one.work for one in self._attempts.values() if one.work]
        for work in works:
            work.cancel()
        if works:
            await asyncio.wait(works, timeout=CLOSE_S)
        await self._give_up_held()

    async def _give_up_held(self) -> None:
        """Say of what waits in memory that it is lost; otherwise a sweeper does, later."""
        for (account_id, task_id), _ in self.held.rooms():
            with suppress(LedgerError):
                task = await self._ledger.tasks.get(account_id, task_id)
                error = TaskInstanceLost("the service stopped, and the task was in its memory")
                end = End(
                    state=State.FAILED,
                    reason="lost-instance",
                    code=problems.kind_of(error).code,
                    results=(),
                    keep_s=self._config.remembered_s,
                )
                await self._ledger.tasks.finish(task, end, since=(State.QUEUED,))
            self.held.free(account_id, task_id)


async def _pause(event: asyncio.Event, most_s: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(most_s):
            await event.wait()
    event.clear()
