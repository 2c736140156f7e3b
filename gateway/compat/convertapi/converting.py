"""`/convert/{from}/to/{to}`: the main path (`gateway/api/conversions.py`) in ConvertAPI's words.

A call is decoded, its parameters become a plan in our words, its files are gathered, and from there
on everything is as on the native surface: planned, priced, debited before, refunded on any failure
and settled after the last byte of the answer was handed to the socket. Results that are stored are
kept inside the debit, and taken back with it (`gateway/storing.py` has the rule).
"""

import asyncio
import math
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, contextmanager
from functools import partial

import msgspec
from aiohttp import hdrs, web

from engine import formats, likeness, pipeline, sniff
from engine.engine import Engine
from engine.errors import ConversionTimedOut
from engine.job import Job, Output
from engine.line import Seat
from engine.passage import Delivery
from engine.pipeline import Pipeline, Step
from gateway import downloads, permits, state
from gateway.addresses import client_address
from gateway.api.pipelines import STEPS_MAX_S
from gateway.compat.convertapi import answering, auth, names, references, request
from gateway.compat.convertapi.answering import ConvertAnswer, FileAnswer
from gateway.compat.convertapi.call import Call, Plan
from gateway.compat.convertapi.dialect import ATTEMPT, identified
from gateway.compat.convertapi.errors import Attempt
from gateway.compat.convertapi.fields import Fields
from gateway.compat.convertapi.general import (
    JSON,
    OCTETS,
    PARTS,
    General,
    answer_type,
    demand_at_once,
)
from gateway.compat.convertapi.parameters.resolve import resolve
from gateway.compat.convertapi.parameters.table import WILD
from gateway.compat.convertapi.visitors import network_of
from gateway.errors import MethodNotAllowed
from gateway.operation_names import operation_of
from gateway.pricing import price, price_of_steps
from gateway.stages import Stage
from gateway.uploads import Hold, Upload
from gateway.wiping import Wiper
from ledger.credits.debit import Debit

IGNORED = "X-Ignored-Parameters"
IGNORED_CHARS_MAX = 500
_FILES = ("file", "files")


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """A conversion whose files are here: one job, or several steps."""

    plan: Plan
    pipeline: Pipeline
    # What the client called the first file.
    name: str | None

    @property
    def price(self) -> int:
        """Credits, as on the native surface."""
        jobs = self.pipeline.jobs
        return price(jobs[0]) if len(jobs) == 1 else price_of_steps(self.pipeline)


def check(asked: web.Request) -> None:
    """Refuse what the head gives away. Raises MethodNotAllowed, MemoryFull."""
    if asked.method == hdrs.METH_HEAD:
        raise MethodNotAllowed(
            "this address takes GET and POST", allowed=frozenset({"GET", "POST"})
        )
    asked.app[state.MEMORY].check(asked.content_length or 0)


async def convert(asked: web.Request) -> web.StreamResponse:
    """`POST /convert/{source}/to/{target}`."""
    app, trail = asked.app, asked[state.TRAIL]
    with app[state.DOOR].enter(), app[state.MEMORY].hold() as hold, Wiper() as wiper:
        call, general = await read(asked, hold, wiper)
        demand_at_once(general)
        trail.reached(Stage.READ)
        async with within(general.timeout_s) as clock:
            ready = await readied(asked, call, hold, wiper)
            trail.reached(Stage.PLANNED)
            caller = asked[state.CALLER]
            trail.operation = operation_of(ready.pipeline.jobs)
            permits.check(caller.terms, ready.pipeline.jobs)
            trail.reached(Stage.DEBITING)
            engine, family = app[state.ENGINE], ready.pipeline.jobs[0].family
            # A line that is full would refuse after the debit: a refund, and two entries for it.
            with engine.seat(family, account=str(caller.account_id)) as seat:
                async with app[state.LEDGER].debit(
                    caller.account_id,
                    ready.price,
                    conversion_id=trail.conversion_id,
                    terms=caller.terms,
                ) as debit:
                    trail.credits = debit.credits
                    trail.reached(Stage.DEBITED)
                    trail.reached(Stage.CONVERTING)
                    async with delivered(asked, ready.pipeline, hold, seat) as delivery:
                        clock.reschedule(None)
                        trail.reached(Stage.CONVERTED)
                        hold.count(sum(delivery.sizes))
                        response = begun(ready.plan, delivery, debit)
                        async with _answered(
                            asked, response, call, general, ready, delivery, debit
                        ) as body:
                            asked[state.RESPONSE] = response
                            trail.reached(Stage.RESPONDING)
                            await downloads.send(
                                asked, response, body, app[state.SETTINGS].download
                            )
                            trail.reached(Stage.DELIVERED)
            trail.reached(Stage.SETTLED)
    return response


async def read(asked: web.Request, hold: Hold, wiper: Wiper) -> tuple[Call, General]:
    """The request decoded; from here on it is known who asks. Raises as `request.taken`."""
    with _unknown(asked):
        return await request.taken(asked, hold, wiper, partial(_identify, asked))


@asynccontextmanager
async def within(timeout_s: float) -> AsyncIterator[asyncio.Timeout]:
    """The time of a conversion, until its holder reschedules it. Raises ConversionTimedOut."""
    clock = asyncio.timeout(timeout_s)
    try:
        async with clock:
            yield clock
    except TimeoutError as error:
        if not clock.expired():
            raise
        raise ConversionTimedOut(
            f"the conversion did not end within the {timeout_s:.0f} s that it had"
        ) from error


async def readied(asked: web.Request, call: Call, hold: Hold, wiper: Wiper) -> Ready:
    """Resolve a call, gather its files and plan it. Needs `state.CALLER`.

    Raises ParametersInvalid, the errors of `references.gathered`, the refusals of `engine.errors`.
    """
    engine: Engine = asked.app[state.ENGINE]
    if call.source in WILD:
        files = await references.gathered(asked, call, _FILES, hold, wiper)
        plan = resolve(call, seen=seen(files[0]))
    else:
        plan = resolve(call)
        files = await references.gathered(asked, call, plan.files, hold, wiper)
    asked[ATTEMPT] = Attempt(password=plan.options.get("password", ""))
    steps = planned(plan, files)
    asked[ATTEMPT] = Attempt(
        converter=steps.jobs[0].converter, password=plan.options.get("password", "")
    )
    for job in steps.jobs:
        engine.check_room(job.family, account=str(asked[state.CALLER].account_id))
    return Ready(
        plan=plan,
        pipeline=steps,
        name=next((one.name for one in files if one.name), None),
    )


def seen(file: Upload) -> str | None:
    """What a file is: by its bytes, and by its name where that says it more exactly."""
    looks = sniff.sniff(file.body)
    named = names.extension_of(file.name or "").lower()
    row = next((one for one in formats.FORMATS if named in one.extensions), None)
    return row.name if row is not None and likeness.fits(row.name, looks) else looks


def planned(plan: Plan, files: Sequence[Upload]) -> Pipeline:
    """The plan with its files as jobs. Raises the refusals of `engine.errors`."""
    options = dict(plan.options)
    if plan.operation is not None:
        options["operation"] = plan.operation
    bodies = [one.body for one in files]
    if plan.steps:
        steps = [Step(target=plan.target, options=options), *plan.steps]
        return pipeline.plan(plan.source, steps, bodies)
    called = [one.name for one in files]
    return Pipeline(jobs=(Engine.plan(plan.source, plan.target, options, bodies, called),))


@asynccontextmanager
async def delivered(
    asked: web.Request, steps: Pipeline, hold: Hold, seat: Seat
) -> AsyncIterator[Delivery]:
    """Run all jobs; what the last one made is still with its worker."""
    engine, metrics = asked.app[state.ENGINE], asked.app[state.METRICS]
    account = str(asked[state.CALLER].account_id)
    if len(steps.jobs) == 1:
        async with engine.conversion(steps.jobs[0], account=account, seat=seat) as delivery:
            metrics.converted(steps.jobs[0], delivery.output)
            yield delivery
        return
    seat.leave()  # each step stands in line by itself

    def done(job: Job, output: Output) -> None:
        metrics.converted(job, output)
        # A step's input and its result are here together; those before are wiped.
        hold.count(sum(len(file) for file in output.files))

    async with engine.batch(account=account) as batch, AsyncExitStack() as until_read:
        async with within(STEPS_MAX_S):
            delivery = await until_read.enter_async_context(pipeline.run(steps, batch, done))
        yield delivery


def begun(plan: Plan, delivery: Delivery, debit: Debit) -> web.StreamResponse:
    """A response with what every kind of answer says in its head."""
    response = web.StreamResponse(
        headers={
            hdrs.CONTENT_TYPE: JSON,
            "X-Credits-Used": str(debit.credits),
            "X-Credits-Remaining": str(debit.balance),
            "X-Isolation-Policy": delivery.output.isolation,
        }
    )
    if warnings := delivery.output.warnings:
        response.headers["X-Conversion-Warnings"] = downloads.warnings_header(warnings)
    if plan.ignored:
        response.headers[IGNORED] = ignored(plan.ignored)
    return response


def ignored(parameters: Sequence[str]) -> str:
    """The names of parameters that mean nothing here, fit for a header."""
    clean = ("".join(char if "!" <= char <= "~" else "?" for char in one) for one in parameters)
    return ", ".join(one.replace(",", "?") for one in clean)[:IGNORED_CHARS_MAX]


def result_names(
    call: Call, general: General, ready_name: str | None, output: Output, count: int
) -> list[str]:
    """What the results are called; those of an archive bring their own names, without folders."""
    extension = names.result_extension(call.target, output.target)
    base = names.base_of(general.file_name, ready_name, extension)
    if len(output.names) == count:
        return downloads.called(
            [one.rpartition("/")[2] for one in output.names], count, base, extension
        )
    return names.results(base, extension, count)


@asynccontextmanager
async def _answered(  # noqa: PLR0917 -- the parts of one answer
    asked: web.Request,
    response: web.StreamResponse,
    call: Call,
    general: General,
    ready: Ready,
    delivery: Delivery,
    debit: Debit,
) -> AsyncIterator[downloads.Body]:
    """The body that the client asked for. A block that fails takes stored results back."""
    output, sizes = delivery.output, delivery.sizes
    called = result_names(call, general, ready.name, output, len(sizes))
    files = [answering.file_answer(name, size) for name, size in zip(called, sizes, strict=True)]
    kind = answer_type(asked.headers.get(hdrs.ACCEPT, ""), general)
    if kind != JSON and general.store:
        # Nobody would be told their ids.
        response.headers[IGNORED] = ignored((*ready.plan.ignored, "StoreFile"))
    if kind == OCTETS:
        response.headers[hdrs.CONTENT_TYPE] = OCTETS
        response.headers[hdrs.CONTENT_DISPOSITION] = answering.disposition(
            called[0], general.download or "attachment"
        )
        yield answering.First(sizes[0], delivery.read)
    elif kind == PARTS:
        types = [media_type_of(name, output.target) for name in called]
        mixed = answering.Mixed(files, types, delivery.read)
        response.headers[hdrs.CONTENT_TYPE] = mixed.content_type
        yield mixed
    else:
        told = ConvertAnswer(
            conversion_cost=max(debit.credits, 1),
            conversion_time=max(1, math.ceil(output.queue_s + output.convert_s)),
        )
        if not general.store:
            yield answering.Inline(msgspec.structs.replace(told, files=tuple(files)), delivery.read)
            return
        async with kept(asked, delivery, called) as stored:
            told = msgspec.structs.replace(told, files=stored)
            yield downloads.Kept([msgspec.json.encode(told)])


@asynccontextmanager
async def kept(
    asked: web.Request, delivery: Delivery, called: Sequence[str]
) -> AsyncIterator[tuple[FileAnswer, ...]]:
    """Store each result; a block that fails takes all of them back.

    Raises StoreOff, StoreFull, StoreQuotaExceeded, FileLapsed.
    """
    files, account_id = asked.app[state.LEDGER].files, asked[state.CALLER].account_id
    base = answering.base_url(asked.app[state.SETTINGS], asked)
    told = []
    async with AsyncExitStack() as stored:
        for name, size in zip(called, delivery.sizes, strict=True):
            writer = await stored.enter_async_context(
                files.write(account_id, expected=size, short=True)
            )
            async with aclosing(answering.First(size, delivery.read).pieces()) as pieces:
                async for piece in pieces:
                    await writer.add(piece)
            one = await writer.keep(
                media_type=media_type_of(name, delivery.output.target),
                name=name,
                lifetime_s=files.limits.lifetime_s,
            )
            told.append(answering.stored_answer(name, one, base))
        yield tuple(told)


def media_type_of(name: str, target: str) -> str:
    """Of a result: its own where its name tells more than the conversion's target."""
    extension = names.extension_of(name).lower()
    row = formats.find(target)
    if extension in row.extensions:
        return row.media_type
    return next((one.media_type for one in formats.FORMATS if extension in one.extensions), OCTETS)


@contextmanager
def _unknown(asked: web.Request) -> Iterator[None]:
    """Read as a visitor what may say who it is from. Raises VisitorsCrowded."""
    if state.CALLER in asked:
        yield
        return
    with asked.app[state.VISITORS].enter(network_of(client_address(asked))):
        yield


async def _identify(asked: web.Request, fields: Fields) -> None:
    await identified(asked, auth.of_fields(fields))


# The table of addresses finds a row by its handler, so each row has one of its own.


async def convert_in_query(asked: web.Request) -> web.StreamResponse:
    """`GET /convert/{source}/to/{target}`."""
    return await convert(asked)


async def convert_by(asked: web.Request) -> web.StreamResponse:
    """`POST /convert/{source}/to/{target}/converter/{converter}`: with an engine named."""
    return await convert(asked)


async def convert_by_in_query(asked: web.Request) -> web.StreamResponse:
    """`GET /convert/{source}/to/{target}/converter/{converter}`."""
    return await convert(asked)
