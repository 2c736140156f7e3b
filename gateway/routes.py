"""Every address of the service, in one table: who may ask, what it takes, what it answers."""

from datetime import date
from typing import Annotated, Literal

from aiohttp import web
from msgspec import Meta

from engine import errors as engine
from gateway import errors as gateway
from gateway import receipt_desk
from gateway.api import account, batch, conversions, documents, formats, health
from gateway.endpoint import Access, Answer, Content, Endpoint, Parameter
from gateway.idempotency import KEY_CHARS_MAX
from gateway.middleware import expectation
from gateway.receipts import KeySet
from ledger import errors as ledger

BINARY = {"type": "string", "contentMediaType": "application/octet-stream"}
FILES = {
    "type": "object",
    "required": ["file"],
    "properties": {"file": {"type": "array", "items": BINARY, "minItems": 1}},
}

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
)
CONVERSION_PROBLEMS: tuple[type[Exception], ...] = (
    gateway.RequestMalformed,
    gateway.UploadCut,
    ledger.InsufficientCredits,
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

ROUTES: tuple[Endpoint, ...] = (
    Endpoint(
        method="POST",
        path="/v1/convert/{source}/{target}",
        handler=conversions.convert,
        access=Access.CUSTOMER,
        name="convert",
        tag="conversions",
        summary="Convert a file",
        description="Send one file as the raw body, or several as multipart/form-data in fields "
        "named `file`. Options are query parameters; an unknown one is refused by name. The result "
        "comes as raw bytes; several results come as one ZIP archive. The credits are debited "
        "before the conversion and refunded when it fails or when the connection ends before the "
        "last byte was sent. With an `Idempotency-Key` a repeat within 24 hours is not charged "
        "again.",
        uploads=True,
        check=conversions.check,
        parameters=CONVERSION_PARAMETERS,
        body=(
            Content(media_type="application/octet-stream", schema=BINARY),
            Content(media_type="multipart/form-data", schema=FILES),
        ),
        answers=(
            Answer(
                status=200,
                description="The result. A body shorter than Content-Length means that the "
                "conversion was not delivered, and not charged.",
                content=(Content(media_type="*/*", schema=BINARY),),
                headers=(
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
                ),
            ),
        ),
        problems=CONVERSION_PROBLEMS,
    ),
    Endpoint(
        method="POST",
        path="/v1/batch/{source}/{target}",
        handler=batch.convert_batch,
        access=Access.CUSTOMER,
        name="convertBatch",
        tag="conversions",
        summary="Convert many small files with the same options",
        description="Send files as multipart/form-data in fields named `file`. Each is converted "
        "and charged by itself; a few workers that live for this request alone convert "
        "them. The answer is a ZIP archive, or `multipart/mixed` where Accept names it; its first "
        "member `manifest.json` says of each file what became of it, what it cost, and where it "
        "failed the problem. Charged is what is in the answer, once its last byte is sent. Where "
        "all files fail in the same way, that problem is the answer.",
        uploads=True,
        check=batch.check,
        parameters=tuple(one for one in CONVERSION_PARAMETERS if one.name != "Prefer"),
        body=(Content(media_type="multipart/form-data", schema=FILES),),
        answers=(
            Answer(
                status=200,
                description="The results and their manifest.",
                content=(
                    Content(media_type="application/zip", schema=BINARY),
                    Content(media_type="multipart/mixed", schema=BINARY),
                ),
                headers=(
                    ("X-Request-Id", "Names this request."),
                    ("X-Credits-Used", "What was charged for all files."),
                    ("X-Credits-Remaining", "The account's balance after it."),
                    ("X-Isolation-Policy", "`per-request`."),
                ),
            ),
        ),
        problems=CONVERSION_PROBLEMS,
    ),
    Endpoint(
        method="GET",
        path="/v1/formats",
        handler=formats.list_formats,
        access=Access.PUBLIC,
        name="listFormats",
        tag="conversions",
        summary="What becomes what, with options and prices",
        answers=(
            Answer(
                status=200,
                description="All formats, converters and prices.",
                content=(Content(type=formats.FormatsPage),),
            ),
        ),
    ),
    Endpoint(
        method="GET",
        path="/v1/account",
        handler=account.show,
        access=Access.CUSTOMER,
        name="getAccount",
        tag="account",
        summary="The key's account and its balance",
        answers=(
            Answer(
                status=200,
                description="The account.",
                content=(Content(type=account.AccountPage),),
            ),
        ),
        problems=(ledger.LedgerUnavailable,),
    ),
    Endpoint(
        method="GET",
        path="/v1/account/entries",
        handler=account.list_entries,
        access=Access.CUSTOMER,
        name="listEntries",
        tag="account",
        summary="Every credit that came or went, newest first",
        parameters=(
            Parameter(
                name="limit",
                place="query",
                description="How many entries a page holds.",
                type=Annotated[int, Meta(ge=1, le=account.LIMIT_MAX)],
            ),
            Parameter(
                name="cursor",
                place="query",
                description="`next` of the page before.",
            ),
            Parameter(
                name="format",
                place="query",
                description="`csv` for all entries in one file, as `Accept: text/csv` asks for.",
                type=Literal["json", "csv"],
            ),
        ),
        answers=(
            Answer(
                status=200,
                description="A page of entries; as CSV, all of them from the cursor on.",
                content=(
                    Content(type=account.EntriesPage),
                    Content(media_type=account.CSV, schema={"type": "string"}),
                ),
            ),
        ),
        problems=(gateway.RequestMalformed, ledger.LedgerUnavailable),
    ),
    Endpoint(
        method="GET",
        path="/v1/account/usage",
        handler=account.show_usage,
        access=Access.CUSTOMER,
        name="getUsage",
        tag="account",
        summary="What was used, by day or by kind of entry",
        parameters=(
            Parameter(
                name="from",
                place="query",
                description="The first day (UTC); 30 days up to `to` without it.",
                type=date,
            ),
            Parameter(name="to", place="query", description="The last day; today.", type=date),
            Parameter(
                name="by",
                place="query",
                description="`day` is the default.",
                type=Literal["day", "kind"],
            ),
        ),
        answers=(
            Answer(
                status=200,
                description="The sums.",
                content=(Content(type=account.UsagePage),),
            ),
        ),
        problems=(gateway.RequestMalformed, ledger.LedgerUnavailable),
    ),
    Endpoint(
        method="GET",
        path="/livez",
        handler=health.livez,
        access=Access.PUBLIC,
        name="livez",
        tag="operations",
        summary="Is the process alive",
        answers=(Answer(status=200, description="It is.", content=(Content(type=health.Health),)),),
    ),
    Endpoint(
        method="GET",
        path="/readyz",
        handler=health.readyz,
        access=Access.PUBLIC,
        name="readyz",
        tag="operations",
        summary="Would a conversion be taken now",
        answers=(
            Answer(status=200, description="Yes.", content=(Content(type=health.Health),)),
            Answer(status=503, description="No, and why.", content=(Content(type=health.Health),)),
        ),
    ),
    Endpoint(
        method="GET",
        path="/metrics",
        handler=health.metrics,
        access=Access.OPERATOR,
        name="metrics",
        tag="operations",
        summary="Prometheus figures",
        answers=(
            Answer(
                status=200,
                description="Text format.",
                content=(Content(media_type="text/plain", schema={"type": "string"}),),
            ),
        ),
    ),
    Endpoint(
        method="GET",
        path="/status",
        handler=health.status,
        access=Access.OPERATOR,
        name="status",
        tag="operations",
        summary="What the service does at this moment",
        answers=(
            Answer(
                status=200,
                description="Figures.",
                content=(Content(type=health.ServiceStatus),),
            ),
        ),
    ),
    Endpoint(
        method="GET",
        path="/openapi.json",
        handler=documents.openapi,
        access=Access.PUBLIC,
        name="openapi",
        tag="documents",
        summary="This description",
        answers=(
            Answer(
                status=200,
                description="OpenAPI 3.1.",
                content=(Content(schema={"type": "object"}),),
            ),
        ),
    ),
    Endpoint(
        method="GET",
        path="/.well-known/ephemera-receipts.json",
        handler=documents.receipt_keys,
        access=Access.PUBLIC,
        name="getReceiptKeys",
        tag="documents",
        summary="The public keys that receipts are checked with",
        answers=(
            Answer(
                status=200,
                description="A JSON Web Key Set; the last key signs now.",
                content=(Content(type=KeySet),),
            ),
        ),
    ),
    Endpoint(
        method="GET",
        path="/problems/{code}",
        handler=documents.problem,
        access=Access.PUBLIC,
        name="getProblem",
        tag="documents",
        summary="What a problem code means",
        parameters=(
            Parameter(name="code", place="path", description="`code` of a problem document."),
        ),
        answers=(
            Answer(
                status=200,
                description="Its meaning.",
                content=(Content(type=documents.ProblemPage),),
            ),
        ),
        problems=(gateway.RouteUnknown,),
    ),
)


def add_routes(router: web.UrlDispatcher) -> None:
    """Register every row. HEAD comes with GET; OPTIONS is answered from what exists."""
    for row in ROUTES:
        router.add_route(row.method, row.path, row.handler, expect_handler=expectation)
        if row.method == "GET":
            router.add_route("HEAD", row.path, row.handler, expect_handler=expectation)
