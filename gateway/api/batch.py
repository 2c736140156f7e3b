"""Many small files in one request: converted a few at a time in workers that are this request's.

Every file is a conversion of its own, with its own debit, its own failure and its own line in the
manifest. The debits of those that succeed stay open until the last byte of the answer was handed to
the socket, and are settled then, together; a client that hangs up before gets all of them back.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import structlog
from aiohttp import hdrs, web

from engine import formats
from engine.engine import Batch
from engine.errors import ConversionTimedOut
from engine.job import Job, Output
from gateway import downloads, intake, manifest, problems, state, uploads
from gateway.asked import Asked
from gateway.errors import MediaTypeUnsupported, RequestMalformed
from gateway.idempotency import KEY_CHARS_MAX, fingerprint
from gateway.manifest import Item, Manifest
from gateway.operations import WALL_S_MAX
from gateway.pricing import price
from gateway.stages import Stage, Trail
from gateway.uploads import Hold, Upload
from gateway.wiping import Wiper
from ledger.conversion_id import new_conversion_id
from ledger.credits.operation import IdempotencyKey

log = structlog.get_logger()

# What all conversions of a request may take: as long as the longest single one, because a debit's
# life (`app.ledger_settings`) is made from that. What is not converted by then is not charged.
BATCH_MAX_S = WALL_S_MAX
POLICY = "per-request"


def check(request: web.Request) -> None:
    """Refuse what the head gives away. Raises as the check of a single conversion does."""
    if not uploads.is_multipart(request):
        raise MediaTypeUnsupported(f"a batch is {uploads.MULTIPART}, with files in fields `file`")
    intake.check(request, several=False)
    key = request[state.ASKED].key
    longest = KEY_CHARS_MAX - len("#000")
    if key is not None and len(key) > longest:
        raise RequestMalformed(f"for a batch the Idempotency-Key has at most {longest} characters")


async def convert_batch(request: web.Request) -> web.StreamResponse:
    """`POST /v1/batch/{source}/{target}`: files in, an archive out."""
    app, trail = request.app, request[state.TRAIL]
    engine, settings = app[state.ENGINE], app[state.SETTINGS]
    account = str(request[state.CALLER].account_id)
    with app[state.DOOR].enter(), app[state.MEMORY].hold() as hold, Wiper() as wiper:
        files = await uploads.read_parts(
            request, settings.upload, hold, files_max=settings.upload.batch_files_max
        )
        wiper.add(file.body for file in files)
        trail.reached(Stage.READ)
        async with engine.batch(account=account) as batch:
            work = _Work(request, batch, hold, wiper, len(files))
            async with _together(
                work.run(number, file) for number, file in enumerate(files, start=1)
            ) as tasks:
                await work.converted()
                response, body = await _answer(request, work, files)
                request[state.RESPONSE] = response
                trail.reached(Stage.RESPONDING)
                await downloads.send(request, response, body, settings.download)
                trail.reached(Stage.DELIVERED)
                work.deliver()
                await asyncio.gather(*tasks)
        trail.reached(Stage.SETTLED)
    return response


class _Work:
    """The conversions of one request, and what is known of each."""

    def __init__(
        self, request: web.Request, batch: Batch, hold: Hold, wiper: Wiper, count: int
    ) -> None:
        self.items: dict[int, Item] = {}
        self.outputs: dict[int, Output] = {}
        self.errors: dict[int, Exception] = {}
        self._request = request
        self._batch = batch
        self._hold = hold
        self._wiper = wiper
        self._count = count
        loop = asyncio.get_running_loop()
        # As many at once as could run at once: the others would only stand in line, before others.
        self._turns = asyncio.Semaphore(max(request.app[state.ENGINE].status().slots, 1))
        self._ends_s = loop.time() + BATCH_MAX_S
        self._all_known = loop.create_future()
        self._delivered: asyncio.Future[None] = loop.create_future()

    async def converted(self) -> None:
        """Wait until every file has its result or its error."""
        await self._all_known

    def deliver(self) -> None:
        """Say that the answer is out: what succeeded is settled."""
        self._delivered.set_result(None)

    async def run(self, number: int, file: Upload) -> None:
        """Convert one file and keep its debit open until the answer is delivered."""
        observers = self._request.app[state.OBSERVERS]
        trail = Trail(new_conversion_id(), observers)
        try:
            await self._run(number, file, trail)
        except Exception as error:
            if number in self.items:  # after its conversion: the settling failed, or the delivery
                raise
            if Stage.DEBITED in trail.reached_at:
                self._request.app[state.METRICS].refunded(trail.credits)
            self._fail(number, trail, error)

    async def _run(self, number: int, file: Upload, trail: Trail) -> None:
        app, asked = self._request.app, self._request[state.ASKED]
        caller = self._request[state.CALLER]
        plan, body, names = app[state.ENGINE].plan, [file.body], [file.name]
        job = plan(asked.source, asked.target, asked.options, body, names)
        key = await self._key(asked, number, file)
        trail.reached(Stage.DEBITING)
        async with app[state.LEDGER].debit(
            caller.account_id, price(job), conversion_id=trail.conversion_id, key=key
        ) as debit:
            trail.credits = debit.credits
            trail.reached(Stage.DEBITED)
            async with self._turns:
                trail.reached(Stage.CONVERTING)
                output = await self._in_time(job)
            trail.reached(Stage.CONVERTED)
            app[state.METRICS].converted(job, output)
            self._wiper.add(output.files)
            size = sum(len(result) for result in output.files)
            self._hold.take(size)
            self._note(
                Item(
                    number=number,
                    status="converted",
                    conversion_id=str(trail.conversion_id),
                    credits=debit.credits,
                    repeat=debit.repeat,
                    files=manifest.names(number, self._count, file.name, output),
                    bytes=size,
                    warnings=output.warnings,
                ),
                output,
            )
            await asyncio.shield(self._delivered)

    async def _in_time(self, job: Job) -> Output:
        try:
            async with asyncio.timeout_at(self._ends_s):
                return await self._batch.convert(job)
        except TimeoutError:
            raise ConversionTimedOut(
                f"the request's {BATCH_MAX_S:.0f} s were over before this file was converted"
            ) from None

    async def _key(self, asked: Asked, number: int, file: Upload) -> IdempotencyKey | None:
        if asked.key is None:
            return None
        (digest,) = await intake.digests_of([file.body])
        path, method = self._request.path, self._request.method
        print_ = fingerprint(method, path, asked.options, [bytes.fromhex(digest.sha256)])
        return IdempotencyKey(f"{asked.key}#{number}", print_)

    def _fail(self, number: int, trail: Trail, error: Exception) -> None:
        if problems.kind_of(error) is problems.UNFORESEEN:
            log.error("unforeseen", exc_info=error)
        self.errors[number] = error
        conversion_id = str(trail.conversion_id)
        problem = problems.problem_of(error, trail.conversion_id)
        self._note(
            Item(number=number, status="failed", conversion_id=conversion_id, problem=problem)
        )

    def _note(self, item: Item, output: Output | None = None) -> None:
        self.items[item.number] = item
        if output is not None:
            self.outputs[item.number] = output
        if len(self.items) == self._count and not self._all_known.done():
            self._all_known.set_result(None)


@asynccontextmanager
async def _together(
    works: Iterable[Coroutine[Any, Any, None]],
) -> AsyncIterator[Sequence["asyncio.Task[None]"]]:
    """Run all; a block that fails cancels them, and their refunds are waited for."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        yield tasks
    except BaseException:
        for task in tasks:
            task.cancel()
        raise
    finally:
        await asyncio.wait(tasks)


async def _answer(
    request: web.Request, work: _Work, files: Sequence[Upload]
) -> tuple[web.StreamResponse, downloads.Body]:
    """The answer, whose head is not sent yet. Raises the error that all files have in common."""
    codes = {problems.kind_of(error) for error in work.errors.values()}
    if len(work.errors) == len(files) and len(codes) == 1:
        raise work.errors[1]
    items = tuple(work.items[number] for number in sorted(work.items))
    told = Manifest(
        request_id=str(request[state.REQUEST_ID]),
        isolation=POLICY,
        converted=len(work.outputs),
        failed=len(work.errors),
        credits=sum(item.credits for item in items),
        items=items,
    )
    results = [
        (name, result)
        for item in items
        if item.number in work.outputs
        for name, result in zip(item.files, work.outputs[item.number].files, strict=True)
    ]
    if manifest.wants_parts(request.headers.get(hdrs.ACCEPT, "")):
        media_type = formats.find(request[state.ASKED].target).media_type
        content_type, pieces = manifest.parts(told, results, media_type)
    else:
        content_type = downloads.ZIP_MEDIA_TYPE
        pieces = await asyncio.to_thread(manifest.archive, told, results)
    balance = await request.app[state.LEDGER].balance(request[state.CALLER].account_id)
    response = web.StreamResponse(
        headers={
            hdrs.CONTENT_TYPE: content_type,
            "X-Credits-Used": str(told.credits),
            "X-Credits-Remaining": str(balance),
            "X-Isolation-Policy": POLICY,
        }
    )
    if content_type == downloads.ZIP_MEDIA_TYPE:
        response.headers[hdrs.CONTENT_DISPOSITION] = downloads.disposition("converted.zip")
    request[state.TRAIL].credits = told.credits
    return response, downloads.Kept(pieces)
