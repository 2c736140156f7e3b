"""Every address of the service, in one table: who may ask, what it takes, what it answers."""

from datetime import date
from typing import Annotated, Literal

from aiohttp import web
from msgspec import Meta

from gateway import errors as gateway
from gateway.api import account, documents, formats, health
from gateway.auth_routes import AUTH_ROUTES
from gateway.billing_routes import BILLING_ROUTES
from gateway.compat.convertapi.job_routes import JOB_ROUTES
from gateway.compat.convertapi.routes import CONVERTAPI_ROUTES
from gateway.connection_routes import CONNECTION_ROUTES
from gateway.conversion_routes import CONVERSION_ROUTES
from gateway.endpoint import Access, Answer, Content, Endpoint, Parameter
from gateway.file_routes import FILE_ROUTES
from gateway.hook_routes import HOOK_ROUTES
from gateway.member_routes import MEMBER_ROUTES
from gateway.middleware import expectation
from gateway.permissions import Permission
from gateway.privacy_routes import PRIVACY_ROUTES
from gateway.receipts import KeySet
from gateway.request_routes import REQUEST_ROUTES
from gateway.support_routes import SUPPORT_ROUTES
from gateway.suspension_routes import SUSPENSION_ROUTES
from gateway.task_routes import TASK_ROUTES
from gateway.token_routes import TOKEN_ROUTES
from ledger import errors as ledger

ROUTES: tuple[Endpoint, ...] = (
    *CONVERSION_ROUTES,
    *FILE_ROUTES,
    *TASK_ROUTES,
    *HOOK_ROUTES,
    *CONNECTION_ROUTES,
    *TOKEN_ROUTES,
    *REQUEST_ROUTES,
    *SUSPENSION_ROUTES,
    *AUTH_ROUTES,
    *MEMBER_ROUTES,
    *SUPPORT_ROUTES,
    *BILLING_ROUTES,
    *PRIVACY_ROUTES,
    *CONVERTAPI_ROUTES,
    *JOB_ROUTES,
    Endpoint(
        method="GET",
        path="/v1/formats",
        handler=formats.list_formats,
        access=Access.PUBLIC,
        permission=Permission.NONE,
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
        access=Access.MEMBER,
        permission=Permission.ACCOUNT_READ,
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
        access=Access.MEMBER,
        permission=Permission.ACCOUNT_READ,
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
        access=Access.MEMBER,
        permission=Permission.ACCOUNT_READ,
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
        permission=Permission.NONE,
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
        permission=Permission.NONE,
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
        permission=Permission.OPERATE,
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
        permission=Permission.OPERATE,
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
        permission=Permission.NONE,
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
        permission=Permission.NONE,
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
        permission=Permission.NONE,
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
