"""What a file is, without converting it: `POST /v1/inspect`.

Its first bytes tell the format, here and for nothing. Where its family can say more, a worker of
its own reads it, as for any conversion, and that costs one credit whatever the file's size.
"""

import msgspec
from aiohttp import hdrs, web

from engine import formats, inspection, likeness, planning
from engine.engine import Engine
from engine.errors import OptionInvalid, PasswordRequired
from engine.inspection import Figures
from engine.job import Job
from gateway import downloads, idempotency, intake, permits, price_limit, state, storing, uploads
from gateway.asked import FILE, Asked, options_of
from gateway.errors import MediaTypeUnsupported
from gateway.gathering import gathered
from gateway.operation_names import operation_of
from gateway.pricing import INSPECTION
from gateway.stages import Stage
from gateway.uploads import Upload
from gateway.wiping import Wiper
from ledger.credits.operation import IdempotencyKey

_KNOWN = ("source", "details", "password")


class Inspection(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known of a file."""

    format: str
    title: str
    media_type: str
    bytes: int
    # What this was charged.
    credits: int
    # What else it is: a GPX track is XML and text.
    kinds: tuple[str, ...] = ()
    # The formats it can be converted to.
    becomes: tuple[str, ...] = ()
    # Whether a password is needed to read it; absent where nobody looked.
    encrypted: bool | None = None
    width: int | None = None
    height: int | None = None
    frames: int | None = None
    pages: int | None = None
    duration_s: float | None = None
    # Files in an archive.
    members: int | None = None
    # The family's own description, as its conversion to JSON gives it.
    details: msgspec.Raw | None = None


def check(request: web.Request) -> None:
    """Refuse what the head gives away. Raises OptionInvalid, FormatUnknown, MemoryFull, ..."""
    files = tuple(request.query.getall(FILE, ()))
    if not files and uploads.is_multipart(request):
        raise MediaTypeUnsupported("an inspection takes one file, as the raw body")
    options = options_of(request, apart=FILE)
    for name, value in options.items():
        if name not in _KNOWN:
            raise OptionInvalid(f"{name[:40]}: an inspection knows {', '.join((*_KNOWN, FILE))}")
        if name == "details" and value not in {"true", "false"}:
            raise OptionInvalid("details: it is true or false")
    source = options.pop("source", "auto")
    if source.lower() != "auto":
        formats.find(source)
    request[state.ASKED] = Asked(
        source=source,
        target=inspection.TARGET,
        options=options,
        key=idempotency.checked_key(request.headers.get(idempotency.HEADER)),
        receipt=False,
        files=files,
    )
    storing.check(request, files_max=1)
    request.app[state.MEMORY].check(request.content_length or 0)


async def inspect(request: web.Request) -> web.StreamResponse:
    """`POST /v1/inspect`: a file in, what is known of it out."""
    app, asked, trail = request.app, request[state.ASKED], request[state.TRAIL]
    settings = app[state.SETTINGS]
    with app[state.DOOR].enter(), app[state.MEMORY].hold() as hold, Wiper() as wiper:
        (file,) = await gathered(request, settings.upload, hold, wiper)
        trail.reached(Stage.READ)
        planning.check_any(file.body)
        seen = planning.sniffed(asked.source, file.body)
        told = _by_bytes(seen, len(file.body))
        job = _job(app[state.ENGINE], seen, file, asked)
        if job is None:
            return await _send(request, told)
        trail.reached(Stage.PLANNED)
        try:
            return await _described(request, told, job, file, wiper)
        except PasswordRequired:
            # Refunded when the block of its debit was left.
            app[state.METRICS].refunded(trail.credits)
            trail.credits = 0
            return await _send(request, msgspec.structs.replace(told, encrypted=True))


def _by_bytes(seen: str, size: int) -> Inspection:
    row = formats.find(seen)
    return Inspection(
        format=row.name,
        title=row.title,
        media_type=row.media_type,
        bytes=size,
        credits=0,
        kinds=likeness.known(row.name)[1:],
        becomes=inspection.becomes(row.name),
        encrypted=True if inspection.is_encrypted(row.name) else None,
    )


def _job(engine: Engine, seen: str, file: Upload, asked: Asked) -> Job | None:
    """The conversion that describes the file, None where no family can or nobody wants it."""
    describer = inspection.describer_of(seen)
    if describer is None or asked.options.get("details") == "false":
        return None
    options = {"operation": describer.operation}
    if "password" in asked.options and "password" in describer.options.__struct_fields__:
        options["password"] = asked.options["password"]
    return engine.plan(seen, inspection.TARGET, options, [file.body])


async def _described(
    request: web.Request, told: Inspection, job: Job, file: Upload, wiper: Wiper
) -> web.StreamResponse:
    """Have a worker describe it, for its credit; charged once the answer is out."""
    app, caller, trail = request.app, request[state.CALLER], request[state.TRAIL]
    account = str(caller.account_id)
    app[state.ENGINE].check_room(job.family, account=account)
    trail.operation = operation_of([job])
    permits.check(caller.terms, [job])
    key = await _key(request, file)
    trail.reached(Stage.DEBITING)
    async with app[state.LEDGER].debit(
        caller.account_id,
        price_limit.check(request, INSPECTION),
        conversion_id=trail.conversion_id,
        key=key,
        terms=caller.terms,
    ) as debit:
        trail.credits = debit.credits
        trail.reached(Stage.DEBITED)
        trail.reached(Stage.CONVERTING)
        output = await app[state.ENGINE].convert(job, account=account)
        trail.reached(Stage.CONVERTED)
        app[state.METRICS].converted(job, output)
        wiper.add(output.files)
        details, figures = inspection.read(output.files)
        answer = msgspec.structs.replace(
            _with(told, figures), details=details, credits=debit.credits
        )
        response = await _send(request, answer, isolation=output.isolation)
        trail.reached(Stage.DELIVERED)
    trail.reached(Stage.SETTLED)
    return response


def _with(told: Inspection, figures: Figures) -> Inspection:
    found = {name: getattr(figures, name) for name in Figures.__struct_fields__}
    known = {name: value for name, value in found.items() if value is not None}
    return msgspec.structs.replace(told, **known)


async def _key(request: web.Request, file: Upload) -> IdempotencyKey | None:
    asked = request[state.ASKED]
    if asked.key is None:
        return None
    (digest,) = await intake.digests_of([file.body])
    print_ = idempotency.fingerprint(
        request.method,
        request.path,
        {"source": asked.source, **asked.options},
        [bytes.fromhex(digest.sha256)],
    )
    return IdempotencyKey(asked.key, print_)


async def _send(
    request: web.Request, answer: Inspection, *, isolation: str | None = None
) -> web.StreamResponse:
    response = web.StreamResponse(
        headers={hdrs.CONTENT_TYPE: "application/json", "X-Credits-Used": str(answer.credits)}
    )
    if isolation is not None:
        response.headers["X-Isolation-Policy"] = isolation
    request[state.RESPONSE] = response
    request[state.TRAIL].reached(Stage.RESPONDING)
    body = downloads.Kept([msgspec.json.encode(answer)])
    await downloads.send(request, response, body, request.app[state.SETTINGS].download)
    return response
