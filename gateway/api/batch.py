"""Many small files in one request: converted a few at a time in workers that are this request's.

Every file is a conversion of its own, with its own debit, its own failure and its own line in the
manifest. The debits of those that succeed stay open until the last byte of the answer was handed to
the socket, and are settled then, together; a client that hangs up before gets all of them back.
Results that are stored are in the manifest by their handles, and taken back in the same way.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import msgspec
import structlog
from aiohttp import hdrs, web

from engine import formats
from engine.engine import Batch
from engine.errors import ConversionTimedOut
from engine.job import Job, Output
from engine.wiping import wipe
from gateway import (
    downloads,
    idempotency,
    intake,
    manifest,
    permits,
    price_limit,
    problems,
    state,
    storing,
    uploads,
)
from gateway.asked import FILE, Asked, options_of, stored_s_of
from gateway.errors import MediaTypeUnsupported, RequestMalformed
from gateway.joining import Joined
from gateway.manifest import Item, Manifest
from gateway.operation_names import operation_of
from gateway.operations import WALL_S_MAX
from gateway.pricing import demand, price
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
    app, config = request.app, request.app[state.SETTINGS].upload
    request[state.ASKED] = asked = _asked(request)
    if not asked.files and not uploads.is_multipart(request):
        raise MediaTypeUnsupported(
            f"a batch is {uploads.MULTIPART} with files in fields `file`, or stored files by file="
        )
    storing.check(request, files_max=config.batch_files_max)
    longest = idempotency.KEY_CHARS_MAX - len("#000")
    if asked.key is not None and len(asked.key) > longest:
        raise RequestMalformed(f"for a batch the Idempotency-Key has at most {longest} characters")
    engine, account = app[state.ENGINE], str(request[state.CALLER].account_id)
    converter = engine.check(asked.source, asked.target, asked.options, several=False)
    if converter is not None:
        price_limit.check_head(request, (converter.name,), files=max(len(asked.files), 1))
        engine.check_room(converter.family, account=account)
    app[state.MEMORY].check(request.content_length or 0)


async def convert_batch(request: web.Request) -> web.StreamResponse:
    """`POST /v1/batch/{source}/{target}`: files in, an archive out, or their handles."""
    app, trail = request.app, request[state.TRAIL]
    engine, settings = app[state.ENGINE], app[state.SETTINGS]
    account = str(request[state.CALLER].account_id)
    with app[state.DOOR].enter(), app[state.MEMORY].hold() as hold, Wiper() as wiper:
        files = await _files(request, hold)
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


def _asked(request: web.Request) -> Asked:
    """What the head asks for. Raises OptionInvalid, RequestMalformed."""
    options = options_of(request, apart=FILE)
    return Asked(
        source=request.match_info["source"],
        target=request.match_info["target"],
        stored_s=stored_s_of(options, request.app[state.LEDGER].files.limits),
        options=options,
        key=idempotency.checked_key(request.headers.get(idempotency.HEADER)),
        receipt=False,
        files=tuple(request.query.getall(FILE, ())),
    )


async def _files(request: web.Request, hold: Hold) -> list[Upload]:
    """All files, sent or stored; one stored file that is not there refuses the whole."""
    if request[state.ASKED].files:
        return await storing.gathered(await storing.sources(request, hold))
    config = request.app[state.SETTINGS].upload
    return await uploads.read_parts(request, config, hold, files_max=config.batch_files_max)


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
        # What is left of X-Max-Credits, for all files together.
        self._credits_left = price_limit.limit_of(request)
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
        self._request[state.TRAIL].operation = operation_of([job])
        permits.check(caller.terms, [job])
        key = await self._key(asked, number, file)
        trail.reached(Stage.DEBITING)
        async with app[state.LEDGER].debit(
            caller.account_id,
            self._allowed(price(job)),
            conversion_id=trail.conversion_id,
            key=key,
            terms=caller.terms,
        ) as debit:
            trail.credits = debit.credits
            trail.reached(Stage.DEBITED)
            async with AsyncExitStack() as until_delivered:
                async with self._turns:
                    trail.reached(Stage.CONVERTING)
                    output = await self._in_time(job)
                    trail.reached(Stage.CONVERTED)
                    app[state.METRICS].converted(job, output)
                    self._wiper.add(output.files)
                    size = sum(len(result) for result in output.files)
                    self._hold.take(size)
                    # In its turn as well: each file that is being stored has chunks in memory.
                    stored = await self._stored(file, output, until_delivered)
                self._note(
                    Item(
                        number=number,
                        status="converted",
                        conversion_id=str(trail.conversion_id),
                        credits=debit.credits,
                        repeat=debit.repeat,
                        files=manifest.names(number, self._count, file.name, output),
                        bytes=size,
                        stored=stored,
                        warnings=output.warnings,
                    ),
                    output,
                )
                await asyncio.shield(self._delivered)

    def _allowed(self, credits: int) -> int:
        """A file's price, if it is within what is left. Raises PriceAboveLimit."""
        demand(credits, self._credits_left)
        if self._credits_left is not None:
            self._credits_left -= credits
        return credits

    async def _stored(
        self, file: Upload, output: Output, until_delivered: AsyncExitStack
    ) -> tuple[storing.StoredAnswer, ...]:
        """Store a file's results, if that is asked for; they are taken back if the stack fails."""
        lifetime_s = self._request[state.ASKED].stored_s
        if lifetime_s is None:
            return ()
        results = [
            (name.rpartition("/")[2], result)
            for name, result in downloads.named(output, downloads.stem(file.name))
        ]
        media_type = formats.find(output.target).media_type
        block = storing.all_stored(
            self._request, results, media_type=media_type, lifetime_s=lifetime_s
        )
        stored = await until_delivered.enter_async_context(block)
        for result in output.files:
            wipe(result)
        return stored

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
        hashes = [bytes.fromhex(digest.sha256)]
        print_ = idempotency.fingerprint(method, path, asked.parameters, hashes)
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
    balance = await request.app[state.LEDGER].balance(request[state.CALLER].account_id)
    request[state.TRAIL].credits = told.credits
    request[state.TRAIL].repeated = sum(item.credits for item in items if item.repeat)
    response = web.StreamResponse(
        headers={
            "X-Credits-Used": str(told.credits),
            "X-Credits-Remaining": str(balance),
            "X-Isolation-Policy": POLICY,
        }
    )
    if request[state.ASKED].stored_s is not None:
        response.set_status(web.HTTPCreated.status_code)
        response.headers[hdrs.CONTENT_TYPE] = "application/json"
        return response, downloads.Kept([msgspec.json.encode(told)])
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
        response.headers[hdrs.CONTENT_DISPOSITION] = downloads.disposition("converted.zip")
    response.headers[hdrs.CONTENT_TYPE] = content_type
    return response, Joined(pieces)
