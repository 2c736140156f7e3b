"""Several conversions in one request, each of what the one before made: `POST /v1/pipelines`.

The query is that of a conversion, again and again: every `step=FORMAT` begins a step, and what
follows it is that step's. Everything else is the main path's (`gateway/api/conversions.py`): one
debit around all of it, settled after the last byte; whatever fails refunds the whole.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

import msgspec
from aiohttp import web

from engine import libraries, pipeline
from engine.engine import Batch
from engine.errors import ConversionTimedOut, OptionInvalid
from engine.job import Job, Output
from engine.passage import Delivery
from engine.pipeline import Pipeline, Step
from gateway import (
    downloads,
    idempotency,
    intake,
    permits,
    price_limit,
    receipt_desk,
    state,
    storing,
    uploads,
)
from gateway.api import conversions
from gateway.asked import FILE, LIFETIME, STORE, Asked, stored_s_of
from gateway.gathering import gathered
from gateway.intake import Intake
from gateway.operation_names import operation_of
from gateway.operations import WALL_S_MAX
from gateway.pricing import price_of_steps
from gateway.receipts import told_options
from gateway.stages import Stage
from gateway.uploads import Hold
from gateway.wiping import Wiper
from ledger.credits.operation import IdempotencyKey

# What all steps together may take: as long as the longest single conversion, because a debit's life
# (`app.ledger_settings`) is made from that.
STEPS_MAX_S = WALL_S_MAX
# Words of the query that belong to no step, wherever they stand.
_APART = (STORE, LIFETIME)


class ToldStep(msgspec.Struct, frozen=True, kw_only=True):
    """One step, as a receipt tells it."""

    converter: str
    target: str
    options: Mapping[str, Any]
    libraries: Mapping[str, str]


class ToldSteps(msgspec.Struct, frozen=True, kw_only=True):
    """What stands in a receipt where a conversion has its options."""

    steps: tuple[ToldStep, ...]


def check(request: web.Request) -> None:
    """Refuse what the head gives away. Raises as the check of a single conversion does."""
    app = request.app
    source, steps = steps_of(request)
    files = tuple(request.query.getall(FILE, ()))
    request[state.ASKED] = Asked(
        source=source,
        target=steps[-1].target if steps else "",
        options=_flat(source, steps),
        key=idempotency.checked_key(request.headers.get(idempotency.HEADER)),
        receipt=receipt_desk.wanted(request),
        stored_s=stored_s_of(_apart(request), app[state.LEDGER].files.limits),
        files=files,
    )
    storing.check(request)
    several = len(files) > 1 if files else uploads.is_multipart(request)
    converter = pipeline.check(source, steps, several=several)
    if price_limit.HEADER in request.headers:
        jobs = [converter, *pipeline.following(steps)]
        price_limit.check_head(
            request, [one.converter if isinstance(one, Job) else one.name for one in jobs if one]
        )
    if converter is not None:
        account = str(request[state.CALLER].account_id)
        app[state.ENGINE].check_room(converter.family, account=account)
    app[state.MEMORY].check(request.content_length or 0)


async def convert_steps(request: web.Request) -> web.StreamResponse:
    """`POST /v1/pipelines`: a file in, what the last step makes of it out."""
    app, caller, trail = request.app, request[state.CALLER], request[state.TRAIL]
    engine, ledger, settings = app[state.ENGINE], app[state.LEDGER], app[state.SETTINGS]
    account = str(caller.account_id)
    with app[state.DOOR].enter(), app[state.MEMORY].hold() as hold, Wiper() as wiper:
        files = await gathered(request, settings.upload, hold, wiper)
        trail.reached(Stage.READ)
        source, steps = steps_of(request)
        plan = pipeline.plan(source, steps, [file.body for file in files])
        for job in plan.jobs:
            engine.check_room(job.family, account=account)
        trail.operation = operation_of(plan.jobs)
        permits.check(caller.terms, plan.jobs)
        trail.reached(Stage.PLANNED)
        async with engine.batch(account=account) as batch:
            convert = partial(_converted, request, plan, batch, hold)
            taken = await _intake(request, plan, files, convert)
            trail.reached(Stage.DEBITING)
            async with ledger.debit(
                caller.account_id,
                price_limit.check(request, price_of_steps(plan)),
                conversion_id=trail.conversion_id,
                key=taken.key,
                terms=caller.terms,
            ) as debit:
                trail.credits = debit.credits
                trail.reached(Stage.DEBITED)
                trail.reached(Stage.CONVERTING)
                async with taken.convert() as delivery:
                    trail.reached(Stage.CONVERTED)
                    hold.count(sum(delivery.sizes))
                    response = conversions.begun(taken, delivery, debit)
                    body = await conversions.body_of(
                        request, response, taken, delivery, debit, wiper
                    )
                    name = conversions.name_of(taken, delivery)
                    async with storing.stored(request, response, body, name) as answer:
                        request[state.RESPONSE] = response
                        trail.reached(Stage.RESPONDING)
                        await downloads.send(request, response, answer, settings.download)
                        trail.reached(Stage.DELIVERED)
            trail.reached(Stage.SETTLED)
    return response


def steps_of(request: web.Request) -> tuple[str, list[Step]]:
    """The source and the steps of a query. Raises OptionInvalid."""
    source = "auto"
    steps: list[tuple[str, dict[str, str]]] = []
    for name, value in request.query.items():
        if name in {*_APART, FILE}:
            continue
        if name == "step":
            steps.append((value, {}))
        elif not steps and name == "source":
            source = value
        elif not steps:
            raise OptionInvalid(
                f"{name[:40]}: options follow the step that they belong to, as in"
                " ?source=png&step=webp&width=800"
            )
        elif name in steps[-1][1]:
            raise OptionInvalid(f"{name[:40]}: step {len(steps)} is given this option twice")
        else:
            steps[-1][1][name] = value
    return source, [Step(target=target, options=options) for target, options in steps]


def _apart(request: web.Request) -> dict[str, str]:
    """What is said of storing. Raises OptionInvalid where it is said twice."""
    said = {name: request.query.getall(name) for name in _APART if name in request.query}
    if twice := next((name for name, values in said.items() if len(values) > 1), None):
        raise OptionInvalid(f"{twice}: this option is given more than once")
    return {name: value for name, (value,) in said.items()}


def _flat(source: str, steps: Sequence[Step]) -> dict[str, str]:
    """All that was asked, as one set of parameters: two equal ones are the same request."""
    flat = {"source": source}
    for number, step in enumerate(steps, start=1):
        flat[f"{number}"] = step.target
        flat |= {f"{number}.{name}": value for name, value in step.options.items()}
    return flat


async def _intake(
    request: web.Request,
    plan: Pipeline,
    files: Sequence[uploads.Upload],
    convert: Callable[[], AbstractAsyncContextManager[Delivery]],
) -> Intake:
    """The upload with all its steps, as the main path and its receipt take it."""
    asked = request[state.ASKED]
    digests = await intake.digests_of([file.body for file in files]) if asked.digests else []
    key = None
    if asked.key is not None:
        hashes = [bytes.fromhex(one.sha256) for one in digests]
        print_ = idempotency.fingerprint(request.method, request.path, asked.parameters, hashes)
        key = IdempotencyKey(asked.key, print_)
    return Intake(
        job=_told(plan),
        name=next((file.name for file in files if file.name), None),
        digests=digests,
        key=key,
        convert=convert,
    )


def _told(plan: Pipeline) -> Job:
    """All steps as one job, for the receipt: no converter of ours has this name."""
    told = ToldSteps(
        steps=tuple(
            ToldStep(
                converter=job.converter,
                target=job.target,
                options=told_options(job.options),
                libraries=libraries.versions(job.family),
            )
            for job in plan.jobs
        )
    )
    return msgspec.structs.replace(
        plan.jobs[0], converter="pipeline", family="", target=plan.jobs[-1].target, options=told
    )


@asynccontextmanager
async def _converted(
    request: web.Request, plan: Pipeline, batch: Batch, hold: Hold
) -> AsyncIterator[Delivery]:
    """Run the steps, within the time that all of them have."""
    metrics = request.app[state.METRICS]
    held = plan.jobs[0].input_bytes

    def done(job: Job, output: Output) -> None:
        nonlocal held
        metrics.converted(job, output)
        # A step's input and its result are here together; those before are wiped.
        both = job.input_bytes + sum(len(file) for file in output.files)
        hold.count(both - held)
        held = max(held, both)

    async with AsyncExitStack() as until_read:
        try:
            async with asyncio.timeout(STEPS_MAX_S):
                delivery = await until_read.enter_async_context(pipeline.run(plan, batch, done))
        except TimeoutError:
            raise ConversionTimedOut(
                f"the {STEPS_MAX_S:.0f} s that all steps have together were over"
            ) from None
        yield delivery
