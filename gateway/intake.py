"""A request's files on their way to a worker: gathered here while small, passed on while large.

A stored file (`gateway/storing.py`) and one from elsewhere (`gateway/fetching.py`) come as a body
does. A small body or a form is gathered in
memory, and takes a worker when it has a slot: under overload nothing is forked for those who only
wait. A large raw body is looked at (its first 64 KiB tell the format) and from then on goes piece
by piece into the pipe of a worker that receives it without a slot; this process holds one piece,
whatever the file's size. A ZIP or an OLE container shows what it is at its end as well, so it is
gathered whatever its size; and so is one that comes while as many arrive already as may at once.

Copies of a payload's byte in this process, from the socket's buffer in the kernel to the pipe's:

    gathered    one read into the scratch buffer, one into the piece that `Body` queues, and one
                more into the whole file; the pipe takes it from there
    passed on   of what came with the head as much; of a body without a length, or one that is
                hashed here, the first two; of all else none: it goes straight, page by page
"""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from functools import partial

import msgspec
from aiohttp import web

from engine import sniff
from engine.job import Buffer, Job
from engine.passage import Delivery
from engine.passage import Intake as Receiving
from gateway import fetching, idempotency, price_limit, state, storing, straight, uploads
from gateway.asked import Asked, asked_of
from gateway.config import UploadConfig
from gateway.connections import delivering
from gateway.connections.places import Place
from gateway.receipts import Digest, digest
from gateway.uploads import Hold, Upload
from gateway.wiping import Gathering, Wiper
from ledger.credits.operation import IdempotencyKey
from ledger.files.files import StoredFile

# Beyond this many bytes a hash takes longer than a hop to another thread and back.
HASH_INLINE_BYTES_MAX = 256 * 1024
# What tells a file's format, and whether it is longer than that.
HEAD_BYTES = sniff.HEAD_BYTES + 1


class Intake(msgspec.Struct, frozen=True, kw_only=True):
    """A job whose files have all arrived, here or in a worker."""

    job: Job
    # What the client called the first file that it gave a name.
    name: str | None
    # Of each upload, where somebody asked for them.
    digests: Sequence[Digest]
    key: IdempotencyKey | None
    convert: Callable[[], AbstractAsyncContextManager[Delivery]]


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """One file on its way in: from a client, from the store, or from a URL."""

    # Its size, where that is known.
    announced: int | None
    name: str | None
    pieces: AsyncGenerator[Buffer, None]
    # Hands what has not arrived yet to the worker without it passing through here, if it can.
    straight: Callable[[Receiving], Awaitable[None]] | None = None


def check(request: web.Request, *, several: bool, storable: bool = False) -> None:
    """Refuse what the head gives away, and note the rest as `state.ASKED`.

    A client that sent `Expect: 100-continue` is not told to go on then. What needs the bytes (a
    format that is `auto`, a mislabelled file) is refused later. `several` files may decide between
    converters. Files come from the store or by URL, and go to the store, where that is `storable`.
    Raises RequestMalformed, StoreOff, FetchOff, FetchRefused, ConnectionsOff, ScopeMissing, the
    refusals of `engine.errors`, EngineBusy, MemoryFull.
    """
    app = request.app
    engine, account = app[state.ENGINE], str(request[state.CALLER].account_id)
    asked = asked_of(request, app[state.LEDGER].files.limits if storable else None)
    request[state.ASKED] = asked
    storing.check(request)
    fetching.check(request, asked.urls, others=bool(asked.files))
    delivering.check(request)
    several = several or len(asked.files) > 1 or len(asked.remote) > 1
    converter = engine.check(asked.source, asked.target, asked.options, several=several)
    if converter is not None:
        price_limit.check_head(request, (converter.name,))
        engine.check_room(converter.family, account=account)
    app[state.MEMORY].check(request.content_length or 0)


@asynccontextmanager
async def take_in(request: web.Request, hold: Hold, wiper: Wiper) -> AsyncIterator[Intake]:
    """Take all files in and plan the job. A worker that received one lives until the block's end.

    Raises the upload errors of `gateway.errors`, the refusals of `engine.errors`, FileUnknown,
    FetchError, StorageError, ConnectionUnknown.
    """
    config, remote = request.app[state.SETTINGS].upload, request[state.ASKED].remote
    if remote:
        async with _fetched(request, remote, hold, wiper) as intake:
            yield intake
        return
    stored = await storing.sources(request, hold)
    if len(stored) > 1:
        async with _gathered(request, await storing.gathered(stored), wiper) as intake:
            yield intake
        return
    if not stored and uploads.is_multipart(request):
        files = await uploads.read_parts(request, config, hold)
        async with _gathered(request, files, wiper) as intake:
            yield intake
        return
    arrival = _stored(stored[0]) if stored else _sent(request, config, hold)
    async with _arrived(request, arrival, wiper) as intake:
        yield intake


@asynccontextmanager
async def _fetched(
    request: web.Request, remote: tuple[str | Place, ...], hold: Hold, wiper: Wiper
) -> AsyncIterator[Intake]:
    if len(remote) > 1:
        files = await fetching.gathered(request, remote, hold)
        async with _gathered(request, files, wiper) as intake:
            yield intake
        return
    async with fetching.fetched(request, remote[0], hold) as file:
        arrival = Arrival(announced=file.announced, name=file.name, pieces=file.pieces)
        async with _arrived(request, arrival, wiper) as intake:
            yield intake


@asynccontextmanager
async def _arrived(request: web.Request, arrival: Arrival, wiper: Wiper) -> AsyncIterator[Intake]:
    config = request.app[state.SETTINGS].upload
    head = Gathering(min(arrival.announced or 0, config.stream_over_bytes))
    engine, account = request.app[state.ENGINE], str(request[state.CALLER].account_id)
    try:
        async with aclosing(arrival.pieces):
            if await _is_told(config, arrival, head):
                job = _plan(request, arrival, head)
                if await engine.has_receiver(job, account=account):
                    async with _passed_on(request, arrival, head, job) as intake:
                        yield intake
                    return
                del job  # it holds a view of the head, which could not be completed then
                head.expect(arrival.announced or 0)
                async for piece in arrival.pieces:
                    head.add(piece)
        file = Upload(body=head.whole(), name=arrival.name)
        async with _gathered(request, [file], wiper) as intake:
            yield intake
    finally:
        head.wipe()


def _sent(request: web.Request, config: UploadConfig, hold: Hold) -> Arrival:
    pace = uploads.Pace(config)
    return Arrival(
        announced=request.content_length,
        name=uploads.claimed_name(request),
        pieces=uploads.arriving(request, config, hold, pace),
        straight=partial(straight.pass_on, request, pace),
    )


def _stored(file: StoredFile) -> Arrival:
    return Arrival(announced=file.bytes, name=file.name, pieces=file.pieces())


async def _is_told(config: UploadConfig, arrival: Arrival, head: Gathering) -> bool:
    """Gather until the head tells what it is and more is to come (True), or all of it."""
    announced = arrival.announced
    if announced is None:
        enough = max(config.stream_over_bytes, HEAD_BYTES)
    elif announced > config.stream_over_bytes:
        enough = min(announced, HEAD_BYTES)
    else:
        enough = config.bytes_max + 1
    async for piece in arrival.pieces:
        head.add(piece)
        if len(head) >= enough and sniff.told_by_head(head.view()):
            return True
    return False


def _plan(request: web.Request, arrival: Arrival, head: Gathering) -> Job:
    asked = request[state.ASKED]
    plan = request.app[state.ENGINE].plan
    return plan(asked.source, asked.target, asked.options, [head.view()], [arrival.name])


@asynccontextmanager
async def _passed_on(
    request: web.Request, arrival: Arrival, head: Gathering, job: Job
) -> AsyncIterator[Intake]:
    asked, engine = request[state.ASKED], request.app[state.ENGINE]
    received = hashlib.sha256() if asked.digests else None
    if received:
        received.update(head.view())
    async with engine.receive(
        job,
        ceiling=arrival.announced or request.app[state.SETTINGS].upload.bytes_max,
        account=str(request[state.CALLER].account_id),
    ) as receiving:
        head.wipe()
        if received is None and arrival.straight is not None:
            await arrival.straight(receiving)
        async for piece in arrival.pieces:
            if received:
                received.update(piece)
            await receiving.feed(piece)
        job = receiving.job
        digests = []
        if received:
            digests.append(Digest(sha256=received.hexdigest(), bytes=job.input_bytes))
        yield Intake(
            job=job,
            name=arrival.name,
            digests=digests,
            key=_idempotency_key(request, asked, digests),
            convert=partial(_delivered, receiving),
        )


@asynccontextmanager
async def _delivered(receiving: Receiving) -> AsyncIterator[Delivery]:
    """The worker's life is bound to the upload's block; this one only waits for the result."""
    yield await receiving.convert()


@asynccontextmanager
async def _gathered(
    request: web.Request, files: Sequence[Upload], wiper: Wiper
) -> AsyncIterator[Intake]:
    bodies = [file.body for file in files]
    wiper.add(bodies)
    asked, engine = request[state.ASKED], request.app[state.ENGINE]
    names = [file.name for file in files]
    job = engine.plan(asked.source, asked.target, asked.options, bodies, names)
    digests = await digests_of(bodies) if asked.digests else []
    account = str(request[state.CALLER].account_id)
    # A line that is full would refuse after the debit: a refund, and two entries for it.
    with engine.seat(job.family, account=account) as seat:
        yield Intake(
            job=job,
            name=next((file.name for file in files if file.name), None),
            digests=digests,
            key=_idempotency_key(request, asked, digests),
            convert=partial(engine.conversion, job, account=account, seat=seat),
        )


async def digests_of(files: Sequence[Buffer]) -> list[Digest]:
    """Of each file; in another thread where that takes long."""
    if sum(len(file) for file in files) > HASH_INLINE_BYTES_MAX:
        return await asyncio.to_thread(lambda: [digest(file) for file in files])
    return [digest(file) for file in files]


def _idempotency_key(
    request: web.Request, asked: Asked, digests: Sequence[Digest]
) -> IdempotencyKey | None:
    if asked.key is None:
        return None
    return IdempotencyKey(
        asked.key,
        idempotency.fingerprint(
            request.method,
            request.path,
            asked.parameters,
            [bytes.fromhex(one.sha256) for one in digests],
        ),
    )
