"""`/v1/staff/billing`: what finance books by hand, what waits for a person, what does not agree."""

from datetime import timedelta

import msgspec
from aiohttp import web

from gateway import state
from gateway.api.answers import answer
from gateway.api.billing import ReceiptItem, desk_of, item
from gateway.api.keys import moment
from gateway.asked import DIGITS_MAX, whole_of
from gateway.billing.invoices import Booking, Invoice, InvoiceRefund, Invoices, Staff
from gateway.errors import RequestMalformed
from gateway.json_body import body_of
from ledger.errors import OrderUnknown

DAYS, DAYS_MAX = 3, 366


class EventItem(msgspec.Struct, frozen=True, kw_only=True):
    """An event of the provider that waits: parked for its purchase, held for a person."""

    id: int
    provider: str
    kind: str
    state: str
    reason: str | None
    order: str | None
    account_id: int | None
    pack: str | None
    credits: int | None
    currency: str | None
    amount: int | None
    refunded: int | None
    received_at: str


class EventsPage(msgspec.Struct, frozen=True, kw_only=True):
    """All that waits, the oldest first."""

    events: tuple[EventItem, ...]


class DebtItem(ReceiptItem, frozen=True, kw_only=True):
    """A purchase whose credits were refunded after they were spent."""

    account_id: int


class DebtsPage(msgspec.Struct, frozen=True, kw_only=True):
    """All debts, the oldest first."""

    debts: tuple[DebtItem, ...]


class Waived(msgspec.Struct, frozen=True, kw_only=True):
    """Credits that nobody asks for any more."""

    credits: int


class DriftItem(msgspec.Struct, frozen=True, kw_only=True):
    """missing-here, missing-there, amounts, held, parked, or books (ours disagree)."""

    order: str
    what: str


class ReconciliationPage(msgspec.Struct, frozen=True, kw_only=True):
    """A comparison of the provider's orders with ours."""

    provider: str
    since: str
    ran_at: str
    orders: int
    drifts: tuple[DriftItem, ...]


async def grant(request: web.Request) -> web.StreamResponse:
    """`POST /v1/staff/billing/invoices`."""
    wanted = await body_of(request, Invoice)
    return answer(item(await _invoices(request).grant(wanted, _staff(request))), 201)


async def refund(request: web.Request) -> web.StreamResponse:
    """`POST /v1/staff/billing/refunds`."""
    wanted = await body_of(request, InvoiceRefund)
    return answer(item(await _invoices(request).refund(wanted, _staff(request))))


async def list_events(request: web.Request) -> web.StreamResponse:
    """`GET /v1/staff/billing/events`."""
    found = await request.app[state.LEDGER].billing.open_events()
    return answer(
        EventsPage(
            events=tuple(
                EventItem(
                    id=one.id,
                    provider=one.provider,
                    kind=one.kind,
                    state=one.state,
                    reason=one.reason,
                    order=one.order_id,
                    account_id=one.account_id,
                    pack=one.pack,
                    credits=one.credits,
                    currency=one.currency,
                    amount=one.total,
                    refunded=one.refunded,
                    received_at=moment(one.received_at) or "",
                )
                for one in found
            )
        )
    )


async def book_event(request: web.Request) -> web.StreamResponse:
    """`POST /v1/staff/billing/bookings`."""
    wanted = await body_of(request, Booking)
    return answer(item(await _invoices(request).book(wanted, _staff(request))), 201)


async def close_event(request: web.Request) -> web.StreamResponse:
    """`DELETE /v1/staff/billing/events/{id}`."""
    text = request.match_info["id"]
    if not text.isascii() or not text.isdigit() or len(text) > DIGITS_MAX:
        raise OrderUnknown("there is no such event")
    await _invoices(request).close(int(text), _staff(request))
    return web.Response(status=204)


async def list_debts(request: web.Request) -> web.StreamResponse:
    """`GET /v1/staff/billing/debts`."""
    found = await request.app[state.LEDGER].billing.debts()
    return answer(
        DebtsPage(
            debts=tuple(
                DebtItem(**msgspec.structs.asdict(item(one)), account_id=one.account_id)
                for one in found
            )
        )
    )


async def waive_debt(request: web.Request) -> web.StreamResponse:
    """`DELETE /v1/staff/billing/debts/{reference}`."""
    reference = request.match_info["reference"]
    if not reference.isascii() or "\x00" in reference:
        raise OrderUnknown("there is no such purchase")
    return answer(Waived(credits=await _invoices(request).waive(reference, _staff(request))))


async def reconcile(request: web.Request) -> web.StreamResponse:
    """`POST /v1/staff/billing/reconciliations`."""
    days = whole_of(request, "days", DAYS)
    if not 1 <= days <= DAYS_MAX:
        raise RequestMalformed(f"days is a whole number from 1 to {DAYS_MAX}")
    now = request.app[state.LEDGER].billing.clock()
    done = await desk_of(request).reconcile(now - timedelta(days=days))
    return answer(
        ReconciliationPage(
            provider=done.provider,
            since=moment(done.since) or "",
            ran_at=moment(done.ran_at) or "",
            orders=done.orders,
            drifts=tuple(DriftItem(order=one.order_id, what=one.what) for one in done.drifts),
        )
    )


def _invoices(request: web.Request) -> Invoices:
    return Invoices(request.app[state.LEDGER])


def _staff(request: web.Request) -> Staff:
    """Who does it, by number: names do not belong into records that are never erased."""
    actor = f"person:{request[state.PERSON].person_id}"
    return Staff(actor, request.app[state.PROCESS].label)
