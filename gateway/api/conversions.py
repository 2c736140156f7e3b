"""The main path of the service: START READING HERE.

A file comes in, is planned and priced, paid for, converted by a worker of its own, and goes out.
Whatever happens inside the `async with ledger.debit`, an error or a client that hangs up, refunds.
The debit is settled after the last byte was handed to the socket (`gateway/downloads.py` states the
rule). Results are not kept; a client may ask to have one stored for a while, and gets its handle
(`gateway/storing.py`), or written to storage of its own (`gateway/connections/delivering.py`).
"""

import asyncio

from aiohttp import hdrs, web

from engine import formats
from engine.job import Buffer, Output
from engine.passage import Delivery
from gateway import downloads, intake, permits, price_limit, state, storing, uploads
from gateway.api import tasks
from gateway.connections import delivering
from gateway.intake import Intake
from gateway.operation_names import operation_of
from gateway.pricing import price
from gateway.stages import Stage
from gateway.tasks import submitting
from gateway.tasks.asked import wants_task
from gateway.wiping import Wiper
from ledger.credits.debit import Debit


def check(request: web.Request) -> None:
    """Refuse what the head gives away, before the first byte of the body is read."""
    if wants_task(request):
        submitting.check(request)
        return
    intake.check(request, several=uploads.is_multipart(request), storable=True)


async def convert(request: web.Request) -> web.StreamResponse:
    """`POST /v1/convert/{source}/{target}`: a file in, a file out."""
    if state.TASK_ASKED in request:  # Prefer: respond-async
        return await tasks.submit(request)
    app, caller, trail = request.app, request[state.CALLER], request[state.TRAIL]
    ledger, settings = app[state.LEDGER], app[state.SETTINGS]
    with app[state.DOOR].enter(), app[state.MEMORY].hold() as hold, Wiper() as wiper:
        await delivering.known(request)
        async with intake.take_in(request, hold, wiper) as taken:
            trail.reached(Stage.READ)
            trail.operation = operation_of([taken.job])
            permits.check(caller.terms, [taken.job])
            trail.reached(Stage.PLANNED)

            trail.reached(Stage.DEBITING)
            async with ledger.debit(
                caller.account_id,
                price_limit.check(request, price(taken.job)),
                conversion_id=trail.conversion_id,
                key=taken.key,
                terms=caller.terms,
            ) as debit:
                trail.credits = debit.credits
                trail.reached(Stage.DEBITED)
                trail.reached(Stage.CONVERTING)
                async with taken.convert() as delivery:
                    trail.reached(Stage.CONVERTED)
                    app[state.METRICS].converted(taken.job, delivery.output)
                    hold.count(sum(delivery.sizes))
                    response = begun(taken, delivery, debit)
                    body = await body_of(request, response, taken, delivery, debit, wiper)
                    name = name_of(taken, delivery)
                    if place := request[state.ASKED].deliver_to:
                        named = place.called(name)
                        return await delivering.send(request, response, body, named, debit)
                    async with storing.stored(request, response, body, name) as answer:
                        request[state.RESPONSE] = response
                        trail.reached(Stage.RESPONDING)
                        await downloads.send(request, response, answer, settings.download)
                        trail.reached(Stage.DELIVERED)
            trail.reached(Stage.SETTLED)
    return response


def begun(taken: Intake, delivery: Delivery, debit: Debit) -> web.StreamResponse:
    """A response that has its head but is not sent yet."""
    media_type, _ = _kind(delivery)
    response = web.StreamResponse(
        headers={
            hdrs.CONTENT_TYPE: media_type,
            hdrs.CONTENT_DISPOSITION: downloads.disposition(name_of(taken, delivery)),
            "X-Credits-Used": str(debit.credits),
            "X-Credits-Remaining": str(debit.balance),
            "X-Isolation-Policy": delivery.output.isolation,
        }
    )
    if warnings := delivery.output.warnings:
        response.headers["X-Conversion-Warnings"] = downloads.warnings_header(warnings)
    if debit.repeat:
        response.headers["Idempotent-Replay"] = "true"
    return response


def name_of(taken: Intake, delivery: Delivery) -> str:
    """A file name made from the upload's; the result's own, where there is one that has one."""
    _, extension = _kind(delivery)
    own = delivery.output.names if len(delivery.sizes) == 1 else ()
    (name,) = downloads.called(own, 1, downloads.stem(taken.name), extension)
    return name.rpartition("/")[2]


def _kind(delivery: Delivery) -> tuple[str, str]:
    """Media type and extension of what the client gets."""
    if len(delivery.sizes) > 1:
        return downloads.ZIP_MEDIA_TYPE, "zip"
    target = formats.find(delivery.output.target)
    return target.media_type, target.extensions[0]


async def body_of(  # noqa: PLR0917 -- the parts of one answer
    request: web.Request,
    response: web.StreamResponse,
    taken: Intake,
    delivery: Delivery,
    debit: Debit,
    wiper: Wiper,
) -> downloads.Body:
    """The result as it leaves its worker; or in memory, for an archive or a receipt."""
    asked = request[state.ASKED]
    if len(delivery.sizes) == 1 and not asked.receipt:
        return downloads.Passing(delivery)
    output = await delivery.whole()
    wiper.add(output.files)
    body = downloads.Kept(await _archived(output, downloads.stem(taken.name)))
    if asked.receipt:
        desk = request.app[state.RECEIPTS]
        await desk.attach(response, taken.job, output, debit, taken.digests, body.buffers)
    return body


async def _archived(output: Output, base: str) -> list[Buffer]:
    if len(output.files) == 1:
        return list(output.files)
    return await asyncio.to_thread(downloads.zipped, downloads.named(output, base))
