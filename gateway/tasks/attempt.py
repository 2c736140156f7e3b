"""One attempt at a task: its files in, planned, priced, paid, converted, kept, and ended.

The head of `ledger/tasks/tasks.py` says why it is done once or refunded. Here that means two rules.
Everything between the debit and the end is inside the debit's block, so that whatever fails
refunds; and the end is waited for until it is known (`_known`), whoever cancels meanwhile, because
results are taken back where their block fails.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import cast

import msgspec
import structlog

from engine import pipeline, planning
from engine.job import Output
from engine.passage import Delivery
from engine.pipeline import Pipeline
from gateway.asked import DELIVER_TO
from gateway.connections.places import place_of
from gateway.operation_names import operation_of
from gateway.pricing import demand, price, price_of_steps
from gateway.stages import Stage, Trail
from gateway.tasks import results
from gateway.tasks.held import Held, Room
from gateway.tasks.inputs import Inputs
from gateway.tasks.parts import Parts
from gateway.tasks.request import ResultFile, TaskOutcome, TaskRequest
from gateway.tasks.results import Result
from gateway.uploads import Hold, Upload
from gateway.wiping import Wiper
from ledger.credits.debit import Debit
from ledger.errors import DebitLapsed, LedgerUnavailable
from ledger.tasks.states import End, Money, State
from ledger.tasks.task import Claimed

log = structlog.get_logger()

# Between two questions of how a task ended, while PostgreSQL is away.
ASK_AGAIN_S = 0.5


class TaskLost(Exception):
    """Somebody else decided over this task: there is nothing left to do, and nothing to say."""


class Unfetched(Exception):
    """A result in memory that nobody came for."""


class TaskTrail(Trail):
    """The stages of a task's attempt; observers can tell it from a request's."""

    __slots__ = ()


class Attempt:
    """What this process knows of one attempt that runs here."""

    def __init__(self, claimed: Claimed, request: TaskRequest, changed: Callable[[], None]) -> None:
        self._changed = changed
        self.claimed = claimed
        self.request = request
        self.stage = "starting"
        self.progress = 0.0
        # What is tried, of how many bytes and for how many credits, once that is known.
        self.converter = ""
        self.operation = ""
        self.bytes_in = 0
        self.credits = 0
        self.began = time.monotonic()
        # Somebody else decided: cancelled, or another attempt runs.
        self.lost = False
        # Its end is recorded.
        self.ended = False
        # It waits for nothing but that its result is fetched.
        self.resting = False
        self.work: asyncio.Task[None] | None = None

    def at(self, stage: str) -> None:
        """Note what it does now."""
        self.stage = stage
        self._changed()

    def heard(self, fraction: float) -> None:
        """Note how far the conversion is."""
        self.progress = fraction
        self._changed()


class Workshop:
    """Runs attempts with the parts of one application."""

    def __init__(self, parts: Parts, held: Held) -> None:
        self._parts = parts
        self._engine = parts.engine
        self._ledger = parts.ledger
        self._config = parts.settings.tasks
        self._held = held
        self._inputs = Inputs(
            parts.ledger.files, parts.outbound, parts.storage, parts.settings.upload
        )

    async def run(self, attempt: Attempt, timer: asyncio.Timeout) -> AsyncExitStack | None:
        """Do it all. A result in memory leaves its debit open: the block that is given back.

        Raises what it fails of, TaskLost, DebitLapsed.
        """
        claimed, request = attempt.claimed, attempt.request
        trail = TaskTrail(claimed.conversion_id, self._parts.observers)
        trail.reached(Stage.RECEIVED)
        trail.reached(Stage.AUTHENTICATED)
        with self._parts.memory.hold() as hold, Wiper() as wiper:
            attempt.at("reading")
            uploads = await self._uploads(claimed, request, hold, wiper)
            trail.reached(Stage.READ)
            plan = _planned(request, uploads)
            attempt.converter = plan.jobs[0].converter
            attempt.operation = operation_of(plan.jobs)
            attempt.bytes_in = sum(len(one.body) for one in uploads)
            self._parts.permit(request.terms, plan.jobs)
            for job in plan.jobs:
                self._engine.check_room(job.family, account=str(claimed.account_id))
            trail.reached(Stage.PLANNED)
            trail.reached(Stage.DEBITING)
            async with AsyncExitStack() as paid:
                debit = await paid.enter_async_context(
                    self._ledger.debit(
                        claimed.account_id,
                        demand(_price(plan), request.credits_max),
                        conversion_id=claimed.conversion_id,
                        terms=request.terms,
                    )
                )
                trail.credits = attempt.credits = debit.credits
                trail.reached(Stage.DEBITED)
                attempt.at("converting")
                trail.reached(Stage.CONVERTING)
                async with self._converted(attempt, plan) as delivery:
                    trail.reached(Stage.CONVERTED)
                    hold.count(sum(delivery.sizes))
                    attempt.at("storing")
                    name = request.name or next((one.name for one in uploads if one.name), None)
                    made = await results.results_of(request, delivery, name, wiper)
                    trail.reached(Stage.RESPONDING)
                    async with self._kept(claimed, request, made) as told:
                        end = self._success(request, debit, told, delivery.output)
                        timer.reschedule(None)
                        trail.reached(Stage.DELIVERED)
                        await self._succeed(attempt, end)
                if request.hold == "memory":
                    return paid.pop_all()
        trail.reached(Stage.SETTLED)
        return None

    async def fetched(self, attempt: Attempt) -> None:
        """Wait until a result in memory was fetched whole and is paid for. Raises Unfetched."""
        room = self._room(attempt.claimed)
        attempt.at("succeeded")
        attempt.progress = 1.0
        try:
            async with asyncio.timeout(self._config.memory_s):
                await room.done.wait()
        except TimeoutError:
            async with room.reading:  # whoever reads it now may finish
                if not room.done.is_set():
                    raise Unfetched("nobody fetched the result in time") from None

    async def known(self, attempt: Attempt, end: End, since: Sequence[State]) -> str:
        """End the task and wait for the answer; a cancellation is raised after it.

        Once it succeeded there is nothing to cancel any more: that is forgotten.
        """
        asking = asyncio.create_task(self._asked(attempt, end, since))
        cancelled = 0
        while not asking.done():
            try:
                await asyncio.wait([asking])
            except asyncio.CancelledError:
                cancelled += 1
        said = asking.result()
        attempt.ended = attempt.ended or said == "done"
        if cancelled and said != "done":
            raise asyncio.CancelledError
        task = cast("asyncio.Task[object]", asyncio.current_task())
        for _ in range(cancelled):
            task.uncancel()
        return said

    async def _uploads(
        self, claimed: Claimed, request: TaskRequest, hold: Hold, wiper: Wiper
    ) -> Sequence[Upload]:
        if request.files:
            # ConvertAPI's clients convert what they have uploaded without a key.
            owned = request.dialect != "convertapi"
            return await self._inputs.gathered(
                request.files, claimed.account_id, hold, wiper, owned=owned
            )
        return self._room(claimed).uploads

    def _room(self, claimed: Claimed) -> Room:
        room = self._held.get(claimed.account_id, claimed.id)
        if room is None:
            raise TaskLost("the memory of this task is gone")
        return room

    @asynccontextmanager
    async def _converted(self, attempt: Attempt, plan: Pipeline) -> AsyncIterator[Delivery]:
        account, metrics = str(attempt.claimed.account_id), self._parts.metrics
        if len(plan.jobs) == 1:
            (job,) = plan.jobs
            async with self._engine.conversion(
                job, account=account, progress=attempt.heard
            ) as delivery:
                metrics.converted(job, delivery.output)
                yield delivery
            return
        async with (
            self._engine.batch(account=account) as batch,
            pipeline.run(plan, batch, metrics.converted, attempt.heard) as delivery,
        ):
            yield delivery

    @asynccontextmanager
    async def _kept(
        self, claimed: Claimed, request: TaskRequest, made: Sequence[Result]
    ) -> AsyncIterator[tuple[ResultFile, ...]]:
        if request.hold == "memory":
            yield await results.into_memory(self._room(claimed), made)
            return
        if request.deliver_to is not None:
            place = place_of(DELIVER_TO, request.deliver_to, folder=True)
            yield await results.delivered(self._parts.storage, claimed.account_id, place, made)
            return
        files = self._ledger.files
        async with results.stored(files, claimed.account_id, request, made) as told:
            yield told

    def _success(
        self, request: TaskRequest, debit: Debit, told: tuple[ResultFile, ...], output: Output
    ) -> End:
        config = self._config
        keep_s = max(request.lifetime_s, config.remembered_s)
        money: Money = "settle" if debit.credits else "free"
        if request.hold == "memory":
            money = "leave"
        outcome = TaskOutcome(
            files=told,
            warnings=tuple(output.warnings),
            isolation=output.isolation,
            convert_s=output.convert_s,
            inline=request.inline,
        )
        return End(
            state=State.SUCCEEDED,
            money=money,
            outcome=msgspec.msgpack.encode(outcome),
            results=tuple(file.id for file in told if file.id),
            keep_s=config.memory_s if request.hold == "memory" else keep_s,
            credits=debit.credits,
        )

    async def _succeed(self, attempt: Attempt, end: End) -> None:
        """Record the success: the debit is final in the same moment. Raises TaskLost, DebitLapsed.

        A result in memory leaves it open until it is fetched.
        """
        match await self.known(attempt, end, (State.RUNNING,)):
            case "done":
                attempt.resting = attempt.request.hold == "memory"
            case "lapsed":
                raise DebitLapsed("the debit was refunded meanwhile; the task is tried again")
            case _:
                raise TaskLost("the task was cancelled, or another attempt has it")

    async def _asked(self, attempt: Attempt, end: End, since: Sequence[State]) -> str:
        claimed = attempt.claimed
        while True:
            try:
                return await self._ledger.tasks.finish(
                    claimed, end, conversion_id=claimed.conversion_id, since=since
                )
            except LedgerUnavailable:
                await asyncio.sleep(ASK_AGAIN_S)


def _planned(request: TaskRequest, uploads: Sequence[Upload]) -> Pipeline:
    """All that can be refused before anything is paid. Raises the refusals of `engine.errors`."""
    bodies = [one.body for one in uploads]
    if request.steps:
        return pipeline.plan(request.source, request.steps, bodies)
    names = [one.name for one in uploads]
    job = planning.plan(request.source, request.target, request.options, bodies, names)
    return Pipeline(jobs=(job,))


def _price(plan: Pipeline) -> int:
    return price(plan.jobs[0]) if len(plan.jobs) == 1 else price_of_steps(plan)
