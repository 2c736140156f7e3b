"""`GET /v1/requests` and `GET /v1/usage`: what an account asked of the service, and its sums."""

import csv
import io
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from aiohttp import hdrs, web

from gateway import state
from gateway.api.answers import answer
from gateway.asked import whole_of
from gateway.errors import RequestMalformed
from ledger.requests.record import DAYS, By, Cursor, Network, RequestRecord, Wanted

LIMIT = 50
# A page of 200 records is about 60 KB of JSON.
LIMIT_MAX = 200
CSV = "text/csv"
# A read of the ledger and a write to the client; about 150 KB.
CSV_PAGE = 1000
USAGE_DAYS = 30
_STATUS_CLASSES = {f"{digit}xx": digit for digit in range(1, 6)}
_BYS: tuple[By, ...] = ("day", "operation", "key")
# Longer ones are no key's, and no operation.
_CHARS_MAX = 120


class RequestItem(msgspec.Struct, frozen=True, kw_only=True):
    """One request."""

    at: str
    request_id: str
    method: str
    # The pattern of the address, not what stood in its place.
    path: str
    # `source/target:operation` of a conversion; null for everything else.
    operation: str | None
    status: int
    bytes_in: int
    milliseconds: int
    # What it was charged in the end.
    credits: int
    # The id of the API key; null for somebody who had signed in.
    key: str | None
    # Where it came from, as much as is kept of it.
    address: str | None


class RequestsPage(msgspec.Struct, frozen=True, kw_only=True):
    """Requests, newest first."""

    requests: tuple[RequestItem, ...]
    # The `cursor` of the next page; null at the end.
    next: str | None


class UsageItem(msgspec.Struct, frozen=True, kw_only=True):
    """The sums of one day, operation or key."""

    # A day as 2026-11-20, `source/target:operation`, or a key's id; null: no conversion, no key.
    of: str | None
    requests: int
    # Answered with a status of 400 or more.
    failed: int
    bytes_in: int
    milliseconds: int
    credits: int


class UsageSums(msgspec.Struct, frozen=True, kw_only=True, rename={"first": "from", "last": "to"}):
    """What was asked on these days, both included."""

    first: date
    last: date
    by: By
    usage: tuple[UsageItem, ...]


async def list_requests(request: web.Request) -> web.StreamResponse:
    """`GET /v1/requests`: a page, or everything as CSV."""
    wanted, before = _wanted(request), _cursor(request)
    if _wants_csv(request):
        return await _stream_csv(request, wanted, before)
    limit = whole_of(request, "limit", LIMIT)
    if not 1 <= limit <= LIMIT_MAX:
        raise RequestMalformed(f"limit is a whole number from 1 to {LIMIT_MAX}")
    # One more than asked for says whether there is another page.
    found = await request.app[state.LEDGER].requests.page(
        request[state.CALLER].account_id, wanted, before=before, limit=limit + 1
    )
    more = len(found) > limit
    return answer(
        RequestsPage(
            requests=tuple(_item(one) for one in found[:limit]),
            next=_told(found[limit - 1]) if more else None,
        )
    )


async def show_usage(request: web.Request) -> web.StreamResponse:
    """`GET /v1/usage`."""
    today = request.app[state.LEDGER].requests.clock().astimezone(UTC).date()
    last = _of_type(request, "to", date, today, "a day, written as 2026-11-20")
    first = _of_type(
        request,
        "from",
        date,
        max(date.min + timedelta(USAGE_DAYS), last) - timedelta(USAGE_DAYS - 1),
        "a day, written as 2026-11-20",
    )
    if not 0 <= (last - first).days <= DAYS:
        raise RequestMalformed(f"from is not after to, and at most {DAYS} days are kept")
    by = _of_type(request, "by", By, "day", f"one of: {', '.join(_BYS)}")
    sums = await request.app[state.LEDGER].requests.usage(
        request[state.CALLER].account_id, first, last, by
    )
    lines = tuple(
        UsageItem(
            of=one.of or None,
            requests=one.requests,
            failed=one.failed,
            bytes_in=one.bytes_in,
            milliseconds=one.milliseconds,
            credits=one.credits,
        )
        for one in sums
    )
    return answer(UsageSums(first=first, last=last, by=by, usage=lines))


def _wanted(request: web.Request) -> Wanted:
    status = request.query.get("status")
    if status is not None and status not in _STATUS_CLASSES:
        raise RequestMalformed(f"status is one of: {', '.join(_STATUS_CLASSES)}")
    moment = "a moment, written as 2026-11-20T10:00:00Z"
    return Wanted(
        first=_moment(_of_type(request, "from", datetime, None, moment)),
        last=_moment(_of_type(request, "to", datetime, None, moment)),
        status_class=None if status is None else _STATUS_CLASSES[status],
        operation=_text(request, "operation"),
        key_id=_text(request, "key"),
    )


def _cursor(request: web.Request) -> Cursor | None:
    text = request.query.get("cursor")
    if text is None:
        return None
    at, _, request_id = text.partition("_")
    try:
        micros = int(at[:20])
        return Cursor(
            datetime.fromtimestamp(0, UTC) + timedelta(microseconds=micros), UUID(request_id)
        )
    except (ValueError, OverflowError) as error:
        raise RequestMalformed("cursor is `next` of the page before") from error


def _told(record: RequestRecord) -> str:
    micros = (record.at - datetime.fromtimestamp(0, UTC)) // timedelta(microseconds=1)
    return f"{micros}_{record.request_id}"


def _text(request: web.Request, name: str) -> str | None:
    text = request.query.get(name)
    if text is not None and ("\x00" in text or not 1 <= len(text) <= _CHARS_MAX):
        raise RequestMalformed(f"{name} has 1 to {_CHARS_MAX} characters")
    return text


def _moment(at: datetime | None) -> datetime | None:
    return at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at


def _of_type(request: web.Request, name: str, kind: Any, default: Any, what: str) -> Any:
    """A query parameter of a type that msgspec reads."""
    text = request.query.get(name)
    if text is None:
        return default
    try:
        return msgspec.convert(text, kind)
    except msgspec.ValidationError as error:
        raise RequestMalformed(f"{name} is {what}") from error


def _wants_csv(request: web.Request) -> bool:
    form = request.query.get("format", "")
    if form not in {"", "json", "csv"}:
        raise RequestMalformed("format is one of: json, csv")
    ranges = request.headers.get(hdrs.ACCEPT, "").lower().split(",")
    return form == "csv" or (not form and CSV in (one.partition(";")[0].strip() for one in ranges))


async def _stream_csv(
    request: web.Request, wanted: Wanted, before: Cursor | None
) -> web.StreamResponse:
    """Everything from the cursor on, page by page: no connection is held while the client reads."""
    requests, account_id = request.app[state.LEDGER].requests, request[state.CALLER].account_id
    # Before the answer begins, so that a ledger that is away can still be answered as such.
    found = await requests.page(account_id, wanted, before=before, limit=CSV_PAGE)
    response = web.StreamResponse(
        headers={
            hdrs.CONTENT_TYPE: f"{CSV}; charset=utf-8",
            hdrs.CONTENT_DISPOSITION: 'attachment; filename="requests.csv"',
        }
    )
    # From here on an error cuts the connection: a part must not look like the whole.
    request[state.RESPONSE] = response
    await response.prepare(request)
    if request.method == hdrs.METH_HEAD:
        return response
    await response.write(_rows([RequestItem.__struct_fields__]))
    while found:
        await response.write(_rows([msgspec.structs.astuple(_item(one)) for one in found]))
        last = Cursor(found[-1].at, found[-1].request_id)
        found = await requests.page(account_id, wanted, before=last, limit=CSV_PAGE)
    await response.write_eof()
    return response


def _rows(rows: Sequence[Sequence[object]]) -> bytes:
    # No cell can begin a formula: paths begin with a slash, operations with a letter.
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _item(record: RequestRecord) -> RequestItem:
    return RequestItem(
        at=record.at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        request_id=str(record.request_id),
        method=record.method,
        path=record.path,
        operation=record.operation or None,
        status=record.status,
        bytes_in=record.bytes_in,
        milliseconds=record.milliseconds,
        credits=record.credits,
        key=record.key_id,
        address=None if record.address is None else _address(record.address),
    )


def _address(network: Network) -> str:
    """A network; an address where it is one."""
    return str(network.network_address) if network.num_addresses == 1 else str(network)
