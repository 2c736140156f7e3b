"""Taking a task: what its head gives away, its files to where they wait, its place in the queue.

Files that come with the request go into the store for as long as the task may wait and run, and go
when it is over (`tasks.finish`); with `hold=memory` they stay in this process. Whoever hangs up
after the task was taken has a task all the same: the list shows it.
"""

import hashlib
from collections.abc import Sequence
from contextlib import AsyncExitStack, aclosing

import msgspec
from aiohttp import web

from engine.errors import SourceEmpty
from gateway import idempotency, price_limit, state, uploads
from gateway.connections import delivering
from gateway.errors import RequestMalformed, UploadPartsExceeded
from gateway.stages import Stage
from gateway.storing import HELD_BYTES
from gateway.tasks.asked import TaskAsked, asked_of
from gateway.tasks.held import Room
from gateway.tasks.request import TaskRequest
from gateway.uploads import Hold, Memory, Upload
from gateway.wiping import Gathering, Wiper
from ledger.conversion_id import new_conversion_id
from ledger.tasks.deliveries import Target
from ledger.tasks.task import NewTask, Submitted

OCTETS = "application/octet-stream"
# As long as file systems take; it is sealed with the file.
NAME_CHARS_MAX = 255


class Taken(msgspec.Struct, kw_only=True):
    """The files that came with a request."""

    # Handles, in their order, and ids.
    handles: list[str] = []
    ids: list[str] = []
    digests: list[bytes] = []


def check(request: web.Request) -> None:
    """Refuse what the head gives away, and note the rest as `state.TASK_ASKED`.

    Raises RequestMalformed, StoreOff, FetchOff, FetchRefused, HooksOff, UploadPartsExceeded,
    MemoryFull, the refusals of `engine.errors`.
    """
    app = request.app
    ledger, settings, outbound = app[state.LEDGER], app[state.SETTINGS], app[state.OUTBOUND]
    asked = asked_of(request, ledger.files.limits, settings.tasks)
    request[state.TASK_ASKED] = asked
    stores = asked.hold == "store" and not (asked.deliver_to and asked.named)
    if asked.files or stores:
        ledger.files.demand()
    if asked.places or asked.deliver_to:
        delivering.check_caller(request[state.CALLER])
        app[state.STORAGE].demand()
    for url in asked.urls:
        outbound.check(url)
    if asked.hook_url is not None:
        outbound.check_hook(asked.hook_url)
    if sum(map(bool, (asked.files, asked.urls, asked.places))) > 1:
        raise RequestMalformed("file=, url= or source_from= name what to convert: send one kind")
    if asked.named and request.can_read_body:
        raise RequestMalformed("file=, url= and source_from= name what to convert: send no body")
    if len(asked.named) > settings.upload.files_max:
        raise UploadPartsExceeded(f"one task converts at most {settings.upload.files_max} files")
    several = len(asked.named) > 1 or uploads.is_multipart(request)
    converter = app[state.ENGINE].check(asked.source, asked.target, asked.options, several=several)
    price_limit.check_head(request, (converter.name,) if converter else ())
    announced = request.content_length or 0
    if asked.hold == "memory":
        app[state.TASKS].held.budget.check(announced)
    in_memory = asked.hold == "memory" or uploads.is_multipart(request)
    app[state.MEMORY].check(announced if in_memory else HELD_BYTES)


async def submit(request: web.Request) -> Submitted:
    """Take the files and the task.

    Raises the upload errors of `gateway.errors`, StoreFull, StoreQuotaExceeded, TaskQueueFull,
    TaskQuotaExceeded, HookUnknown, KeyMismatch, AccountFrozen.
    """
    app, asked = request.app, request[state.TASK_ASKED]
    with app[state.DOOR].enter(), app[state.MEMORY].hold() as hold, Wiper() as wiper:
        if asked.hold == "memory":
            return await _submit_held(request, asked)
        for place in (*asked.places, *([asked.deliver_to] if asked.deliver_to else [])):
            await app[state.STORAGE].known(request[state.CALLER].account_id, place)
        async with AsyncExitStack() as stored:
            taken = Taken()
            if not asked.named:
                await _store(request, asked, taken, stored, hold, wiper)
            request[state.TRAIL].reached(Stage.READ)
            submitted = await _queue(request, asked, taken, new_task_id())
        if submitted.repeat:
            for file_id in taken.ids:
                account_id = request[state.CALLER].account_id
                await app[state.LEDGER].files.delete(file_id, account_id)
        return submitted


def new_task_id() -> str:
    """Make an id: a UUID whose first digits are the time."""
    return str(new_conversion_id())


async def _submit_held(request: web.Request, asked: TaskAsked) -> Submitted:
    """Take a task whose bytes stay here."""
    runner, account_id = request.app[state.TASKS], request[state.CALLER].account_id
    task_id, taken = new_task_id(), Taken()
    room = runner.held.room()
    # Before it is in the queue: it may be claimed at once.
    runner.held.put(account_id, task_id, room)
    submitted = None
    try:
        if not asked.named:
            files = await _gathered(request, room)
            taken.digests = [_digest(one, asked) for one in files]
        request[state.TRAIL].reached(Stage.READ)
        submitted = await _queue(request, asked, taken, task_id)
        room.seq = submitted.seq
        return submitted
    finally:
        if submitted is None or submitted.repeat:
            runner.held.free(account_id, task_id)


async def _queue(request: web.Request, asked: TaskAsked, taken: Taken, task_id: str) -> Submitted:
    app, caller = request.app, request[state.CALLER]
    wanted = TaskRequest(
        source=asked.source,
        target=asked.target,
        options=dict(asked.options),
        files=(*asked.named, *taken.handles),
        name=asked.name,
        hold="memory" if asked.hold == "memory" else "store",
        lifetime_s=asked.lifetime_s,
        timeout_s=asked.timeout_s,
        deliver_to=str(asked.deliver_to) if asked.deliver_to else None,
        terms=caller.terms,
        key_id=None if state.PERSON in request else caller.key_id,
        credits_max=price_limit.limit_of(request),
    )
    key = None
    if asked.key is not None:
        path = f"/v1/tasks/{asked.source}/{asked.target}"
        key = idempotency.fingerprint("POST", path, asked.parameters, taken.digests)
    return await app[state.LEDGER].tasks.submit(
        NewTask(
            account_id=caller.account_id,
            id=task_id,
            source=asked.source.lower(),
            target=asked.target.lower(),
            request=wanted.encoded(),
            hold=asked.hold,
            holder=app[state.TASKS].instance if asked.hold == "memory" else None,
            callback=_callback(asked),
            hook_id=asked.hook_id,
            inputs=tuple(taken.ids),
            client_key=asked.key,
            fingerprint=key,
        )
    )


def _callback(asked: TaskAsked) -> bytes | None:
    """The task's own address; without a secret of the client's its calls are unsigned."""
    if asked.hook_url is None:
        return None
    signing = (asked.hook_secret,) if asked.hook_secret else ()
    return msgspec.json.encode(Target(url=asked.hook_url, secrets=signing))


async def _store(  # noqa: PLR0917 -- where files come from, and where they go
    request: web.Request,
    asked: TaskAsked,
    taken: Taken,
    stored: AsyncExitStack,
    hold: Hold,
    wiper: Wiper,
) -> None:
    """Put the body, or each file of a form, into the store; they are taken back with the block."""
    config = request.app[state.SETTINGS].upload
    if uploads.is_multipart(request):
        files = await uploads.read_parts(request, config, hold)
        wiper.add(one.body for one in files)
        for file in files:
            await _store_one(request, asked, taken, stored, file)
        return
    hold.take(HELD_BYTES)
    files_, account_id = request.app[state.LEDGER].files, request[state.CALLER].account_id
    writer = await stored.enter_async_context(
        files_.write(account_id, expected=request.content_length)
    )
    digest, size = hashlib.sha256(), 0
    # Counted for its limit only: what passes through is not kept in memory.
    with Memory(config.bytes_max).hold() as passing:
        async with aclosing(uploads.arriving(request, config, passing)) as arriving:
            async for piece in arriving:
                size += len(piece)
                if asked.key is not None:
                    digest.update(piece)
                await writer.add(piece)
    if not size:
        raise SourceEmpty("no file came: send one as the body, or name one by file= or url=")
    kept = await writer.keep(
        media_type=OCTETS, name=_claimed(uploads.claimed_name(request)), lifetime_s=_wait_s(request)
    )
    taken.handles.append(kept.handle)
    taken.ids.append(kept.id)
    taken.digests.append(digest.digest())


async def _store_one(
    request: web.Request, asked: TaskAsked, taken: Taken, stored: AsyncExitStack, file: Upload
) -> None:
    files, account_id = request.app[state.LEDGER].files, request[state.CALLER].account_id
    writer = await stored.enter_async_context(files.write(account_id, expected=len(file.body)))
    await writer.add(file.body)
    kept = await writer.keep(
        media_type=OCTETS, name=_claimed(file.name), lifetime_s=_wait_s(request)
    )
    taken.handles.append(kept.handle)
    taken.ids.append(kept.id)
    taken.digests.append(_digest(file, asked))


async def _gathered(request: web.Request, room: Room) -> Sequence[Upload]:
    """The body, or each file of a form, into the task's room."""
    config = request.app[state.SETTINGS].upload
    room.grow_to(request.content_length or 0)
    if uploads.is_multipart(request):
        files = await uploads.read_parts(request, config, room.hold)
        room.put_uploads(files)
        return files
    whole = Gathering(request.content_length or 0)
    try:
        async with aclosing(uploads.arriving(request, config, room.hold)) as arriving:
            async for piece in arriving:
                whole.add(piece)
        if not len(whole):
            raise SourceEmpty("no file came: send one as the body, or name one by file= or url=")
        files = [Upload(body=whole.whole(), name=uploads.claimed_name(request))]
        room.put_uploads(files)
        return files
    finally:
        whole.wipe()


def _digest(file: Upload, asked: TaskAsked) -> bytes:
    """For the fingerprint, where there is a key that it belongs to."""
    return b"" if asked.key is None else hashlib.sha256(file.body).digest()


def _claimed(name: str | None) -> str | None:
    return name[:NAME_CHARS_MAX] if name else None


def _wait_s(request: web.Request) -> float:
    """How long a file that came along is kept: while its task may wait, and run."""
    ledger, asked = request.app[state.LEDGER], request[state.TASK_ASKED]
    wanted = ledger.tasks.limits.queue_s + asked.timeout_s
    return min(wanted, ledger.files.limits.lifetime_s_max)
