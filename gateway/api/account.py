"""`GET /v1/account` and `/v1/account/entries`: what the key's account has, and why."""

import msgspec
from aiohttp import web

from gateway import state
from gateway.api.answers import answer
from gateway.errors import RequestMalformed
from ledger.credits.operation import Entry

LIMIT = 50
# A page of 200 entries is about 40 KB of JSON.
LIMIT_MAX = 200
# The ledger counts in 63 bits; 18 digits are below that, and nobody has more entries.
DIGITS_MAX = 18


class AccountPage(msgspec.Struct, frozen=True, kw_only=True):
    """The account of the key that asks."""

    id: int
    name: str
    balance: int
    # active, frozen or closed.
    status: str


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


async def show(request: web.Request) -> web.StreamResponse:
    """`GET /v1/account`."""
    account = await request.app[state.LEDGER].accounts.get(request[state.CALLER].account_id)
    return answer(
        AccountPage(
            id=account.id, name=account.name, balance=account.balance, status=account.status
        )
    )


async def list_entries(request: web.Request) -> web.StreamResponse:
    """`GET /v1/account/entries`."""
    limit = _whole(request, "limit", LIMIT)
    if not 1 <= limit <= LIMIT_MAX:
        raise RequestMalformed(f"limit is a whole number from 1 to {LIMIT_MAX}")
    before = _whole(request, "cursor", 0) or None
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


def _whole(request: web.Request, name: str, default: int) -> int:
    """A query parameter that is a whole number."""
    text = request.query.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > DIGITS_MAX:
        raise RequestMalformed(f"{name} is a whole number, as a page before gave it")
    return int(text)


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
