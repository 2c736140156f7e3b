"""The main path of the service: START READING HERE.

A file comes in, is planned and priced, paid for, converted by a worker of its own, and goes out.
Whatever happens inside the `async with`, an error or a client that hangs up, refunds. The debit is
settled after the last byte was handed to the socket, because results are not kept
(`gateway/downloads.py` states the rule).
"""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial

from aiohttp import hdrs, web

from engine import formats
from engine.errors import OptionInvalid
from engine.job import Buffer, Output
from gateway import downloads, idempotency, receipt_desk, state, uploads
from gateway.pricing import price
from gateway.stages import Stage
from gateway.uploads import Upload
from gateway.wiping import Wiper
from ledger.credits.debit import Debit
from ledger.credits.operation import IdempotencyKey

# Beyond this many bytes a hash takes longer than a hop to another thread and back.
HASH_INLINE_BYTES_MAX = 256 * 1024


async def convert(request: web.Request) -> web.StreamResponse:
    """`POST /v1/convert/{source}/{target}`: a file in, a file out."""
    app, caller, trail = request.app, request[state.CALLER], request[state.TRAIL]
    engine, ledger, settings = app[state.ENGINE], app[state.LEDGER], app[state.SETTINGS]
    with app[state.DOOR].enter(), app[state.MEMORY].hold() as hold, Wiper() as wiper:
        files = await uploads.read(request, settings.upload, hold)
        wiper.add(file.body for file in files)
        trail.reached(Stage.READ)
        options = _options(request)
        job = engine.plan(*_formats(request), options, [file.body for file in files])
        key = await _idempotency_key(request, options, files)
        trail.reached(Stage.PLANNED)

        trail.reached(Stage.DEBITING)
        async with ledger.debit(
            caller.account_id, price(job), conversion_id=trail.conversion_id, key=key
        ) as debit:
            trail.credits = debit.credits
            trail.reached(Stage.DEBITED)
            trail.reached(Stage.CONVERTING)
            output = await engine.convert(job, account=str(caller.account_id))
            trail.reached(Stage.CONVERTED)
            app[state.METRICS].converted(job, output)
            wiper.add(output.files)
            hold.count(sum(len(file) for file in output.files))
            body, response = await _answer(output, debit, files)
            wiper.add([body])
            if receipt_desk.wanted(request):
                await app[state.RECEIPTS].attach(response, job, output, debit, body)
            request[state.RESPONSE] = response
            trail.reached(Stage.RESPONDING)
            await downloads.send(request, response, body, settings.download)
            trail.reached(Stage.DELIVERED)
        trail.reached(Stage.SETTLED)
    return response


def _formats(request: web.Request) -> tuple[str, str]:
    return request.match_info["source"], request.match_info["target"]


def _options(request: web.Request) -> dict[str, str]:
    """The query as options. A name that comes twice is refused: which one counts is a guess."""
    options = dict(request.query)
    if len(options) < len(request.query):
        twice = next(name for name in options if len(request.query.getall(name)) > 1)
        raise OptionInvalid(f"{twice[:40]}: this option is given more than once")
    return options


async def _idempotency_key(
    request: web.Request, options: Mapping[str, str], files: Sequence[Upload]
) -> IdempotencyKey | None:
    name = idempotency.checked_key(request.headers.get(idempotency.HEADER))
    if name is None:
        return None
    hashed = partial(
        idempotency.fingerprint,
        request.method,
        request.path,
        options,
        [file.body for file in files],
    )
    if sum(len(file.body) for file in files) > HASH_INLINE_BYTES_MAX:
        return IdempotencyKey(name, await asyncio.to_thread(hashed))
    return IdempotencyKey(name, hashed())


async def _answer(
    output: Output, debit: Debit, files: Sequence[Upload]
) -> tuple[Buffer, web.StreamResponse]:
    """The body, and a response that has its head but is not sent yet."""
    target = formats.find(output.target)
    extension = target.extensions[0]
    base = downloads.stem(next((file.name for file in files if file.name), None))
    body, media_type = output.files[0], target.media_type
    if len(output.files) > 1:
        body = await asyncio.to_thread(downloads.zipped, output.files, base, extension)
        media_type, extension = downloads.ZIP_MEDIA_TYPE, "zip"
    response = web.StreamResponse(
        headers={
            hdrs.CONTENT_TYPE: media_type,
            hdrs.CONTENT_DISPOSITION: downloads.disposition(f"{base}.{extension}"),
            "X-Credits-Used": str(debit.credits),
            "X-Credits-Remaining": str(debit.balance),
        }
    )
    if output.warnings:
        response.headers["X-Conversion-Warnings"] = downloads.warnings_header(output.warnings)
    if debit.repeat:
        response.headers["Idempotent-Replay"] = "true"
    return body, response
