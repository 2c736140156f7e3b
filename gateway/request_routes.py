"""The addresses of request records and their sums: what each accepts, answers and can refuse."""

from datetime import date, datetime
from typing import Annotated, Literal

from msgspec import Meta

from gateway import errors as gateway
from gateway.api import requests
from gateway.endpoint import Access, Answer, Content, Endpoint, Parameter
from gateway.permissions import Permission
from ledger import errors as ledger

REQUEST_ROUTES: tuple[Endpoint, ...] = (
    Endpoint(
        method="GET",
        path="/v1/requests",
        handler=requests.list_requests,
        access=Access.MEMBER,
        permission=Permission.REQUESTS_READ,
        name="listRequests",
        tag="account",
        summary="What the account asked of the service in the last 90 days",
        description="Addresses as patterns, sizes, times and credits; no names and no contents. A "
        "request appears within seconds.",
        parameters=(
            Parameter(
                name="from",
                place="query",
                description="Not before this moment; UTC, where it does not say.",
                type=datetime,
            ),
            Parameter(name="to", place="query", description="Before this one.", type=datetime),
            Parameter(
                name="status",
                place="query",
                description="The class of the status.",
                type=Literal["1xx", "2xx", "3xx", "4xx", "5xx"],
            ),
            Parameter(
                name="operation",
                place="query",
                description="`source/target:operation`, as in the list.",
                type=Annotated[str, Meta(min_length=1, max_length=120)],
            ),
            Parameter(
                name="key",
                place="query",
                description="The id of an API key.",
                type=Annotated[str, Meta(min_length=1, max_length=120)],
            ),
            Parameter(
                name="limit",
                place="query",
                description="How many requests a page holds.",
                type=Annotated[int, Meta(ge=1, le=requests.LIMIT_MAX)],
            ),
            Parameter(name="cursor", place="query", description="`next` of the page before."),
            Parameter(
                name="format",
                place="query",
                description="`csv` for all of them in one file, as `Accept: text/csv` asks for.",
                type=Literal["json", "csv"],
            ),
        ),
        answers=(
            Answer(
                status=200,
                description="A page of requests; as CSV, all of them from the cursor on.",
                content=(
                    Content(type=requests.RequestsPage),
                    Content(media_type=requests.CSV, schema={"type": "string"}),
                ),
            ),
        ),
        problems=(gateway.RequestMalformed, ledger.LedgerUnavailable),
    ),
    Endpoint(
        method="GET",
        path="/v1/usage",
        handler=requests.show_usage,
        access=Access.MEMBER,
        permission=Permission.REQUESTS_READ,
        name="sumRequests",
        tag="account",
        summary="The same added up by day, by operation or by key",
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
                type=Literal["day", "operation", "key"],
            ),
        ),
        answers=(
            Answer(
                status=200,
                description="The sums.",
                content=(Content(type=requests.UsageSums),),
            ),
        ),
        problems=(gateway.RequestMalformed, ledger.LedgerUnavailable),
    ),
)
