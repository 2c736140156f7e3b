"""`GET /v1/account`, its entries (JSON pages or one CSV file), its usage: what it has, and why."""

import csv
import io
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Literal

import msgspec
from aiohttp import hdrs, web

from gateway import state
from gateway.api.answers import answer
from gateway.asked import whole_of
from gateway.errors import RequestMalformed
from ledger.credits.operation import Entry

LIMIT = 50
# A page of 200 entries is about 40 KB of JSON.
LIMIT_MAX = 200
# A leap year; what is longer is asked for in parts.
USAGE_DAYS_MAX = 366
USAGE_DAYS = 30
CSV = "text/csv"
# A read of the ledger and a write to the client; about 150 KB.
CSV_PAGE = 1000
# A spreadsheet takes a cell that begins with one of these for a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r")


class AccountPage(msgspec.Struct, frozen=True, kw_only=True):
    """The account of the key that asks."""

    id: int
    name: str
    balance: int
    # active, frozen or closed.
    status: str
    # The balance below which its owner wants to hear of it; null: never.
    low_balance: int | None


class EntryItem(msgspec.Struct, frozen=True, kw_only=True):
    """One movement of credits. Entries are never changed; a correction is another entry."""

    seq: int
    kind: str
    # Signed: a positive number gives to the account.
    credits: int
    # After this entry.
    balance: int
    created_at: str
    # The request id of the conversion, for consumption and refund.
    conversion_id: str | None
    reference: str | None
    reason: str | None


class EntriesPage(msgspec.Struct, frozen=True, kw_only=True):
    """Entries, newest first."""

    entries: tuple[EntryItem, ...]
    # The `cursor` of the next page; null at the end.
    next: str | None


class UsageLine(msgspec.Struct, frozen=True, kw_only=True):
    """All entries of one kind, of one day or of all days asked for."""

    # A day of UTC; null where the days are not told apart.
    day: date | None
    kind: str
    entries: int
    # Signed: a positive number gave to the account.
    credits: int


class UsagePage(msgspec.Struct, frozen=True, kw_only=True, rename={"first": "from", "last": "to"}):
    """What came and went on these days, both included."""

    first: date
    last: date
    by: Literal["day", "kind"]
    usage: tuple[UsageLine, ...]


async def show(request: web.Request) -> web.StreamResponse:
    """`GET /v1/account`."""
    account = await request.app[state.LEDGER].accounts.get(request[state.CALLER].account_id)
    return answer(
        AccountPage(
            id=account.id,
            name=account.name,
            balance=account.balance,
            status=account.status,
            low_balance=account.low_balance,
        )
    )


async def list_entries(request: web.Request) -> web.StreamResponse:
    """`GET /v1/account/entries`: a page, or everything as CSV."""
    before = whole_of(request, "cursor", 0) or None
    limit = whole_of(request, "limit", LIMIT)
    if not 1 <= limit <= LIMIT_MAX:
        raise RequestMalformed(f"limit is a whole number from 1 to {LIMIT_MAX}")
    if _wants_csv(request):
        return await _stream_csv(request, before)
    account_id = request[state.CALLER].account_id
    # One more than asked for says whether there is another page.
    entries = await request.app[state.LEDGER].entries(
        account_id, before_seq=before, limit=limit + 1
    )
    page = entries[:limit]
    more = len(entries) > limit
    return answer(
        EntriesPage(
            entries=tuple(_item(entry) for entry in page), next=str(page[-1].seq) if more else None
        )
    )


async def show_usage(request: web.Request) -> web.StreamResponse:
    """`GET /v1/account/usage`."""
    last = _day(request, "to", datetime.now(UTC).date())
    first = _day(request, "from", first_day(last))
    if not 0 <= (last - first).days < USAGE_DAYS_MAX:
        raise RequestMalformed(
            f"from is not after to, and at most {USAGE_DAYS_MAX} days are added up at once"
        )
    by = _one_of(request, "by", ("day", "kind"))
    usage = await request.app[state.LEDGER].usage(
        request[state.CALLER].account_id, first, last, by_day=by == "day"
    )
    lines = tuple(
        UsageLine(day=one.day, kind=one.kind, entries=one.entries, credits=one.credits)
        for one in usage
    )
    return answer(
        UsagePage(first=first, last=last, by="day" if by == "day" else "kind", usage=lines)
    )


def _wants_csv(request: web.Request) -> bool:
    if "format" in request.query:
        return _one_of(request, "format", ("json", "csv")) == "csv"
    ranges = request.headers.get(hdrs.ACCEPT, "").lower().split(",")
    return CSV in (one.partition(";")[0].strip() for one in ranges)


async def _stream_csv(request: web.Request, before: int | None) -> web.StreamResponse:
    """Everything from the cursor on, page by page: no connection is held while the client reads."""
    ledger, account_id = request.app[state.LEDGER], request[state.CALLER].account_id
    # Before the answer begins, so that a ledger that is away can still be answered as such.
    entries = await ledger.entries(account_id, before_seq=before, limit=CSV_PAGE)
    response = web.StreamResponse(
        headers={
            hdrs.CONTENT_TYPE: f"{CSV}; charset=utf-8",
            hdrs.CONTENT_DISPOSITION: 'attachment; filename="entries.csv"',
        }
    )
    # From here on an error cuts the connection: a part must not look like the whole.
    request[state.RESPONSE] = response
    await response.prepare(request)
    if request.method == hdrs.METH_HEAD:
        return response
    await response.write(_rows([EntryItem.__struct_fields__]))
    while entries:
        await response.write(_rows([_cells(_item(entry)) for entry in entries]))
        entries = await ledger.entries(account_id, before_seq=entries[-1].seq, limit=CSV_PAGE)
    await response.write_eof()
    return response


def _rows(rows: Sequence[Sequence[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _cells(item: EntryItem) -> tuple[object, ...]:
    return tuple(
        f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
        for value in msgspec.structs.astuple(item)
    )


def _one_of(request: web.Request, name: str, known: tuple[str, ...]) -> str:
    """A query parameter that is one of these words; the first if it is not there."""
    text = request.query.get(name, known[0])
    if text not in known:
        raise RequestMalformed(f"{name} is one of: {', '.join(known)}")
    return text


def first_day(last: date) -> date:
    """Where usage begins, if nobody says; calendars begin with the year 1."""
    return date.fromordinal(max(last.toordinal() - USAGE_DAYS + 1, 1))


def _day(request: web.Request, name: str, default: date) -> date:
    """A query parameter that is a day, as 2026-11-20."""
    text = request.query.get(name)
    if text is None:
        return default
    try:
        return msgspec.convert(text, date)
    except msgspec.ValidationError as error:
        raise RequestMalformed(f"{name} is a day, written as 2026-11-20") from error


def _item(entry: Entry) -> EntryItem:
    return EntryItem(
        seq=entry.seq,
        kind=entry.kind,
        credits=entry.credits,
        balance=entry.balance,
        created_at=entry.created_at.isoformat().replace("+00:00", "Z"),
        conversion_id=str(entry.conversion_id) if entry.conversion_id else None,
        reference=entry.reference,
        reason=entry.reason,
    )
