"""`/async/...`: the same conversions, that nobody waits for. A job is a task (`ledger/tasks`).

What a client hands in is decoded, resolved and refused as on the main path (`converting.py`); then
it stands in the queue of all tasks, under the id that ConvertAPI's clients know: 32 letters and
digits, theirs or ours. Files that came along go into the store until the job is over; ids and URLs
are taken when it runs. Results are always stored: what is to be in the answer itself is read from
there when somebody asks for it.

A job is seen by its account alone, so asking takes credentials here: ids that clients choose can be
guessed.
"""

import re
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager

import msgspec
from aiohttp import web

from engine.pipeline import Step
from gateway import state, storing
from gateway.compat.convertapi import converting, names, references
from gateway.compat.convertapi.call import Call, Part, Plan, Value
from gateway.compat.convertapi.general import OCTETS, General
from gateway.compat.convertapi.parameters.resolve import resolve
from gateway.compat.convertapi.parameters.table import WILD
from gateway.errors import FetchRefused, HooksOff, ParametersInvalid
from gateway.intake import HEAD_BYTES
from gateway.stages import Stage
from gateway.tasks.request import TaskRequest
from gateway.uploads import Upload
from gateway.wiping import Gathering, Wiper
from ledger.errors import NameTaken
from ledger.files.files import Files
from ledger.tasks.deliveries import Target
from ledger.tasks.task import NewTask

ID_CHARS = 32
# Where the files are before it is known what is to be done with them.
_FILES = ("file", "files")
_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"
_ID = re.compile(rf"[a-z0-9]{{{ID_CHARS}}}")


class JobAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """A job that was taken, or is under way; the body of a webhook too."""

    job_id: str


def check(asked: web.Request) -> None:
    """Refuse what the head gives away. Raises StoreOff, MemoryFull, MethodNotAllowed."""
    storing.check_on(asked)
    converting.check(asked)


async def submit(asked: web.Request) -> web.StreamResponse:
    """`POST /async/convert/{source}/to/{target}`."""
    app, trail = asked.app, asked[state.TRAIL]
    with app[state.DOOR].enter(), app[state.MEMORY].hold() as hold, Wiper() as wiper:
        call, general = await converting.read(asked, hold, wiper)
        trail.reached(Stage.READ)
        job_id, callback = _job_id(general), _callback(asked, general)
        account_id = asked[state.CALLER].account_id
        seen = None
        if call.source in WILD:
            first = references.values_of(asked, call, _FILES)[0]
            seen = await _seen(asked, first, wiper)
        plan = resolve(call, seen=seen)
        values = references.values_of(asked, call, plan.files)
        lifetime_s = _lifetime_s(asked, general)
        # A job that is refused takes back what it stored.
        async with _handed_in(asked, values, lifetime_s) as (named, stored):
            wanted = _task(asked, call, general, plan, named)
            trail.reached(Stage.PLANNED)
            task = NewTask(
                account_id=account_id,
                id=job_id,
                source=plan.source,
                target=_made(plan),
                request=wanted.encoded(),
                callback=_told(callback, job_id),
                inputs=stored,
            )
            try:
                await app[state.LEDGER].tasks.submit(task)
            except NameTaken as error:
                reason = "A job of this id exists already: ask for it, or choose another id."
                raise ParametersInvalid({"JobId": [reason]}) from error
    response = answered(JobAnswer(job_id=job_id))
    if plan.ignored:
        response.headers[converting.IGNORED] = converting.ignored(plan.ignored)
    return response


def answered(told: msgspec.Struct, status: int = web.HTTPOk.status_code) -> web.Response:
    """A document as JSON."""
    return web.Response(
        status=status, body=msgspec.json.encode(told), content_type="application/json"
    )


def is_job_id(text: str) -> bool:
    """Whether this can be the id of a job."""
    return _ID.fullmatch(text) is not None


def _job_id(general: General) -> str:
    """The client's own id, or a new one. Raises ParametersInvalid."""
    if general.job_id is None:
        return "".join(secrets.choice(_ALPHABET) for _ in range(ID_CHARS))
    if not is_job_id(general.job_id):
        raise ParametersInvalid(
            {"JobId": [f"The value must have exactly {ID_CHARS} letters a-z and digits."]}
        )
    return general.job_id


def _callback(asked: web.Request, general: General) -> str | None:
    """The address to call at the end. Raises ParametersInvalid."""
    if general.webhook is None:
        return None
    try:
        asked.app[state.OUTBOUND].check_hook(general.webhook)
    except (HooksOff, FetchRefused) as error:
        raise ParametersInvalid({"WebHook": [str(error)]}) from error
    return general.webhook


def _told(callback: str | None, job_id: str) -> bytes | None:
    """What is sent there: the id alone, unsigned; whoever gets it asks for the job."""
    if callback is None:
        return None
    body = msgspec.json.encode(JobAnswer(job_id=job_id)).decode()
    return msgspec.json.encode(Target(url=callback, body=body))


def _task(
    asked: web.Request, call: Call, general: General, plan: Plan, named: Sequence[str]
) -> TaskRequest:
    """The plan as a task has it."""
    options = dict(plan.options)
    if plan.operation is not None:
        options["operation"] = plan.operation
    steps: tuple[Step, ...] = ()
    if plan.steps:
        steps = (Step(target=plan.target, options=options), *plan.steps)
    extension = names.result_extension(call.target, _made(plan))
    return TaskRequest(
        source=plan.source,
        target=plan.target,
        options=options,
        steps=steps,
        files=tuple(named),
        name=_name(general, extension),
        lifetime_s=asked.app[state.LEDGER].files.limits.lifetime_s,
        timeout_s=general.timeout_s,
        separate=True,
        short=True,
        dialect="convertapi",
        called=extension,
        inline=not general.store,
        terms=asked[state.CALLER].terms,
        key_id=asked[state.CALLER].key_id,
    )


def _made(plan: Plan) -> str:
    """The format of what comes out in the end."""
    return plan.steps[-1].target if plan.steps else plan.target


def _name(general: General, extension: str) -> str | None:
    """What the results are named after, where the client says so."""
    if general.file_name is None:
        return None
    return f"{names.base_of(general.file_name, None, extension)}.{extension}"


def _lifetime_s(asked: web.Request, general: General) -> float:
    """How long a file that came along is kept: until the job cannot begin any more, and ran."""
    ledger = asked.app[state.LEDGER]
    wanted = ledger.tasks.limits.queue_s + general.timeout_s
    return min(wanted, ledger.files.limits.lifetime_s_max)


async def _seen(asked: web.Request, value: Value, wiper: Wiper) -> str | None:
    """The format of the first file, by its bytes; nobody looks into one that is at a URL.

    Raises SurfaceRefused (5009).
    """
    if isinstance(value, Part):
        return converting.seen(Upload(body=value.body, name=value.name))
    file = await references.stored_of(asked, value.strip())
    if file is None:
        return None
    head = Gathering(HEAD_BYTES)
    try:
        async with aclosing(file.pieces(0, HEAD_BYTES)) as pieces:
            async for piece in pieces:
                head.add(piece)
        body = head.whole()
    finally:
        head.wipe()
    wiper.add([body])
    return converting.seen(Upload(body=body, name=file.name))


@asynccontextmanager
async def _handed_in(
    asked: web.Request, values: Sequence[Value], lifetime_s: float
) -> AsyncIterator[tuple[list[str], tuple[str, ...]]]:
    """The files as a task names them, and the ids of those that were stored for it.

    A block that fails takes them back. Raises SurfaceRefused (5009, 50010), UploadTooLarge,
    FetchOff, FetchRefused, StoreFull, StoreQuotaExceeded.
    """
    files, account_id = asked.app[state.LEDGER].files, asked[state.CALLER].account_id
    named: list[str] = []
    stored: list[str] = []
    async with AsyncExitStack() as until_taken:
        for value in values:
            if isinstance(value, Part):
                handle, file_id = await _stored(files, account_id, value, lifetime_s, until_taken)
                named.append(handle)
                stored.append(file_id)
                continue
            text = value.strip()
            if await references.stored_of(asked, text) is None:
                asked.app[state.OUTBOUND].check(text)
                named.append(text)
            else:
                named.append(references.handle_of(text) or "")
        yield named, tuple(stored)


async def _stored(
    files: Files, account_id: int, part: Part, lifetime_s: float, stack: AsyncExitStack
) -> tuple[str, str]:
    """Handle and id of a file that came along."""
    writer = await stack.enter_async_context(
        files.write(account_id, expected=len(part.body), short=True)
    )
    await writer.add(part.body)
    name = names.safe(part.name) if part.name else None
    kept = await writer.keep(media_type=OCTETS, name=name, lifetime_s=lifetime_s)
    return kept.handle, kept.id
