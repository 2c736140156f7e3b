"""The addresses that take a file: what each accepts, answers and can refuse."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from engine import errors as engine
from gateway import errors as gateway
from gateway import receipt_desk
from gateway.api import batch, conversions, inspections, pipelines
from gateway.asked import FILE, STORE
from gateway.connection_routes import (
    CONNECTION_PROBLEMS,
    DELIVER_PARAMETER,
    KEPT_ELSEWHERE,
    PLACES_PARAMETER,
)
from gateway.endpoint import Access, Answer, Content, Endpoint, Parameter
from gateway.file_routes import (
    FETCH_PROBLEMS,
    LIFETIME_PARAMETER,
    STORE_PROBLEMS,
    STORED,
    URL_PARAMETER,
)
from gateway.idempotency import KEY_CHARS_MAX
from gateway.manifest import Manifest
from gateway.permissions import Permission
from gateway.pricing import LIMIT_HEADER
from ledger import errors as ledger

BINARY = {"type": "string", "contentMediaType": "application/octet-stream"}
FILES = {
    "type": "object",
    "required": ["file"],
    "properties": {"file": {"type": "array", "items": BINARY, "minItems": 1}},
}

LIMIT_PARAMETER = Parameter(
    name=LIMIT_HEADER,
    place="header",
    description="What this request may cost at the most, in credits; more is refused, unpaid.",
    type=Annotated[int, Meta(ge=0)],
)
CONVERSION_PARAMETERS = (
    Parameter(
        name="source",
        place="path",
        description="The file's format, by name or extension; `auto` looks at the bytes.",
    ),
    Parameter(name="target", place="path", description="The format to convert to."),
    Parameter(
        name="operation",
        place="query",
        description="Which conversion is meant, where two formats have several between "
        "them; see `operation` in /v1/formats.",
    ),
    Parameter(
        name="options",
        place="query",
        description="The converter's own options, each a query parameter of its own.",
        exploded=True,
    ),
    Parameter(
        name="Prefer",
        place="header",
        description="`receipt` asks for a signed receipt in X-Ephemera-Receipt.",
    ),
    Parameter(
        name="Idempotency-Key",
        place="header",
        description="Makes a retry safe: the same key and request is charged once.",
        type=Annotated[str, Meta(min_length=1, max_length=KEY_CHARS_MAX)],
    ),
    LIMIT_PARAMETER,
)
STORING_PARAMETERS = (
    Parameter(
        name=STORE,
        place="query",
        description="`true`: the result is stored, and the answer is its handle.",
        type=Literal["true", "false"],
    ),
    msgspec.structs.replace(
        LIFETIME_PARAMETER, description=f"With `{STORE}=true`: {LIFETIME_PARAMETER.description}"
    ),
    Parameter(
        name=FILE,
        place="query",
        description="The handle of a stored file that is converted; then there is no body. "
        "Several, in their order, where the converter takes several files.",
        type=list[str],
    ),
)
URLS_PARAMETER = msgspec.structs.replace(
    URL_PARAMETER,
    type=list[str],
    description=f"{URL_PARAMETER.description} Several, in their order, where the converter takes "
    "several files.",
)
CONVERSION_HEADERS = (
    ("X-Request-Id", "Names this request, its conversion and its entries."),
    ("X-Credits-Used", "What this request was charged; 0 for a paid repeat."),
    ("X-Credits-Remaining", "The account's balance after it."),
    (
        "X-Isolation-Policy",
        "Whose files the worker converted: `per-conversion`, ...",
    ),
    ("X-Conversion-Warnings", "RFC 8941 list of what the result lacks."),
    ("Idempotent-Replay", "`true` where the conversion was paid for before."),
    (receipt_desk.HEADER, "A signed receipt (JWS), where it was asked for."),
    ("Preference-Applied", "`receipt` where there is one."),
    ("Content-Disposition", "A file name made from the upload's."),
)
STORED_RESULT = msgspec.structs.replace(STORED, headers=(*STORED.headers, *CONVERSION_HEADERS[:-1]))
BATCH_HEADERS = (
    ("X-Request-Id", "Names this request."),
    ("X-Credits-Used", "What was charged for all files."),
    ("X-Credits-Remaining", "The account's balance after it."),
    ("X-Isolation-Policy", "`per-request`."),
)
CONVERSION_PROBLEMS: tuple[type[Exception], ...] = (
    gateway.RequestMalformed,
    gateway.UploadCut,
    ledger.InsufficientCredits,
    ledger.CapReached,
    gateway.PriceAboveLimit,
    gateway.OperationRefused,
    ledger.AccountFrozen,
    engine.FormatUnknown,
    gateway.UploadTooSlow,
    ledger.KeyInFlight,
    gateway.UploadTooLarge,
    gateway.UploadPartsExceeded,
    engine.SourceTooLarge,
    gateway.MediaTypeUnsupported,
    gateway.ExpectationUnknown,
    engine.ConversionUnsupported,
    engine.OptionInvalid,
    engine.SourceCountInvalid,
    engine.SourceEmpty,
    engine.SourceUnrecognised,
    engine.SourceMismatch,
    engine.SourceUnreadable,
    engine.SourceTooComplex,
    engine.PasswordRequired,
    engine.TargetTooLarge,
    engine.TargetImpossible,
    engine.ConversionCrashed,
    engine.ConversionOutOfMemory,
    ledger.KeyMismatch,
    engine.EngineBusy,
    engine.EngineUnavailable,
    gateway.ServiceDraining,
    ledger.LedgerUnavailable,
    engine.ConversionTimedOut,
)

CONVERSION_ROUTES: tuple[Endpoint, ...] = (
    Endpoint(
        method="POST",
        path="/v1/convert/{source}/{target}",
        handler=conversions.convert,
        access=Access.CUSTOMER,
        permission=Permission.CONVERT,
        name="convert",
        tag="conversions",
        summary="Convert a file",
        description="Send one file as the raw body, or several as multipart/form-data in fields "
        "named `file`. Options are query parameters; an unknown one is refused by name. The result "
        "comes as raw bytes; several results come as one ZIP archive. The credits are debited "
        "before the conversion and refunded when it fails or when the connection ends before the "
        "last byte was sent. With `store=true` the result is stored for a while, and the answer is "
        "its handle. With `file=HANDLE` a stored file is converted, with `url=` a fetched one. "
        "With `source_from=` the file comes from storage of your own, with `deliver_to=` the "
        "result goes there, and the answer says so. "
        "With an `Idempotency-Key` a repeat within 24 hours is not charged again.",
        uploads=True,
        check=conversions.check,
        parameters=(
            *(*CONVERSION_PARAMETERS, *STORING_PARAMETERS, URLS_PARAMETER),
            *(PLACES_PARAMETER, DELIVER_PARAMETER),
        ),
        body=(
            Content(media_type="application/octet-stream", schema=BINARY),
            Content(media_type="multipart/form-data", schema=FILES),
        ),
        bodyless=True,
        answers=(
            Answer(
                status=200,
                description="The result. A body shorter than Content-Length means that the "
                "conversion was not delivered, and not charged.",
                content=(Content(media_type="*/*", schema=BINARY),),
                headers=CONVERSION_HEADERS,
            ),
            msgspec.structs.replace(
                STORED_RESULT,
                description="The result is stored, and its handle is given this once; or it was "
                "written to storage of your own, which has confirmed it.",
                content=(Content(schema=KEPT_ELSEWHERE),),
            ),
        ),
        problems=(
            *CONVERSION_PROBLEMS,
            ledger.FileUnknown,
            *STORE_PROBLEMS,
            *FETCH_PROBLEMS,
            *CONNECTION_PROBLEMS,
        ),
    ),
    Endpoint(
        method="POST",
        path="/v1/batch/{source}/{target}",
        handler=batch.convert_batch,
        access=Access.CUSTOMER,
        permission=Permission.CONVERT,
        name="convertBatch",
        tag="conversions",
        summary="Convert many small files with the same options",
        description="Send files as multipart/form-data in fields named `file`. Each is converted "
        "and charged by itself; a few workers that live for this request alone convert "
        "them. The answer is a ZIP archive, or `multipart/mixed` where Accept names it; its first "
        "member `manifest.json` (the schema Manifest) says of each file what became of it, what it "
        "cost, and where it failed the problem. Charged is what is in the answer, once its last "
        "byte is sent. Where all files fail in the same way, that problem is the answer. Stored "
        "files are converted with `file=HANDLE`, once for each, in place of a body; with "
        "`store=true` each result is stored, and the answer is the manifest with their handles.",
        uploads=True,
        check=batch.check,
        parameters=(
            *(one for one in CONVERSION_PARAMETERS if one.name != "Prefer"),
            *STORING_PARAMETERS[:-1],
            msgspec.structs.replace(
                STORING_PARAMETERS[-1],
                description="The handle of a stored file that is converted, once for each; then "
                "there is no body. One that is unknown refuses the request, before any is charged.",
            ),
        ),
        body=(Content(media_type="multipart/form-data", schema=FILES),),
        bodyless=True,
        answers=(
            Answer(
                status=200,
                description="The results and their manifest.",
                content=(
                    Content(media_type="application/zip", schema=BINARY),
                    Content(media_type="multipart/mixed", schema=BINARY),
                ),
                headers=BATCH_HEADERS,
            ),
            Answer(
                status=201,
                description="The manifest of results that are stored, with their handles: given "
                "this once, and nobody can find them out again.",
                content=(Content(type=Manifest),),
                headers=BATCH_HEADERS,
            ),
        ),
        problems=(*CONVERSION_PROBLEMS, ledger.FileUnknown, *STORE_PROBLEMS),
    ),
    Endpoint(
        method="POST",
        path="/v1/pipelines",
        handler=pipelines.convert_steps,
        access=Access.CUSTOMER,
        permission=Permission.CONVERT,
        name="convertSteps",
        tag="conversions",
        summary="Convert a file in several steps",
        description="Each `step` of the query names the format to convert to next; the parameters "
        "that follow it, up to the next `step`, are its `operation` and options, as in the query "
        "of a conversion: `?source=docx&step=pdf&step=pdf&operation=watermark&text=DRAFT"
        "&step=pdf&operation=protect&password=...`. Steps of the same family of converters run in "
        "one worker, which is this request's alone. All steps are checked before the body is read. "
        "One debit covers them, each at the price of a conversion of the upload; it is refunded as "
        "a whole when any step fails, and the problem says which. Only the last step may make "
        "several files. `store`, `lifetime_s` and `file` belong to no step, wherever they stand: "
        "the last step's result is stored, and the first step's files are stored ones.",
        uploads=True,
        check=pipelines.check,
        parameters=(
            Parameter(
                name="source",
                place="query",
                description="The file's format; before the first step. `auto` is the default.",
            ),
            Parameter(
                name="step",
                place="query",
                description="The format that this step converts to; once for each step.",
                required=True,
            ),
            *(one for one in CONVERSION_PARAMETERS if one.place != "path"),
            *STORING_PARAMETERS,
        ),
        body=(
            Content(media_type="application/octet-stream", schema=BINARY),
            Content(media_type="multipart/form-data", schema=FILES),
        ),
        bodyless=True,
        answers=(
            Answer(
                status=200,
                description="The last step's result.",
                content=(Content(media_type="*/*", schema=BINARY),),
                headers=CONVERSION_HEADERS,
            ),
            STORED_RESULT,
        ),
        problems=(*CONVERSION_PROBLEMS, ledger.FileUnknown, *STORE_PROBLEMS),
    ),
    Endpoint(
        method="POST",
        path="/v1/inspect",
        handler=inspections.inspect,
        access=Access.CUSTOMER,
        permission=Permission.CONVERT,
        name="inspect",
        tag="conversions",
        summary="What a file is, and what it says of itself",
        description="Send one file as the raw body. Its format is told by its bytes; pages, "
        "pixels, frames, duration, encryption and metadata by a worker of its own, for the formats "
        "that have one. That costs 1 credit whatever the file's size, and nothing where no worker "
        "reads it: with `details=false`, for a format without a reader, and for one that is "
        "encrypted and came without its password.",
        uploads=True,
        check=inspections.check,
        parameters=(
            Parameter(
                name="source",
                place="query",
                description="The file's format, where its bytes may not tell; `auto` without it.",
            ),
            Parameter(
                name="details",
                place="query",
                description="`false`: only what the bytes tell without a worker, for nothing.",
                type=Literal["true", "false"],
            ),
            Parameter(name="password", place="query", description="Opens an encrypted document."),
            Parameter(
                name=FILE,
                place="query",
                description="The handle of a stored file; then there is no body.",
            ),
        ),
        body=(Content(media_type="application/octet-stream", schema=BINARY),),
        bodyless=True,
        answers=(
            Answer(
                status=200,
                description="What is known.",
                content=(Content(type=inspections.Inspection),),
                headers=(
                    ("X-Request-Id", "Names this request and its entries."),
                    ("X-Credits-Used", "1 where a worker read the file, otherwise 0."),
                    ("X-Isolation-Policy", "Of the worker, where there was one."),
                ),
            ),
        ),
        problems=(*CONVERSION_PROBLEMS, ledger.FileUnknown, ledger.StoreOff),
    ),
)
