"""What staff do about money, each time on record: invoices, refunds, and events that wait for them.

A grant with an invoice's number is a purchase like any other: it stands in the account's receipts,
is booked once for its number, and is refunded in parts. The API and the command line call these.
"""

import hashlib
from datetime import UTC, datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from gateway.billing.manual import NAME
from gateway.errors import RequestMalformed
from ledger.billing.payment import (
    AMOUNT_MAX,
    Action,
    Applied,
    EventState,
    Order,
    Payment,
    Purchase,
)
from ledger.credits.operation import CREDITS_MAX
from ledger.errors import AccountFrozen, AccountUnknown, OrderUnknown, ReferenceUsed
from ledger.ledger import Ledger

Amount = Annotated[int, Meta(ge=0, le=AMOUNT_MAX)]
InvoiceNumber = Annotated[str, Meta(pattern="^[!-~]{1,100}$")]
Currency = Annotated[str, Meta(pattern="^[A-Z]{3}$")]


class Staff(msgspec.Struct, frozen=True):
    """Who does it, and in which process, as the records have it."""

    actor: str
    gateway: str


class Invoice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Credits that were paid elsewhere. The amount is in the smallest unit of the currency."""

    account_id: Annotated[int, Meta(ge=1)]
    credits: Annotated[int, Meta(ge=1, le=CREDITS_MAX)]
    invoice: InvoiceNumber
    amount: Amount
    currency: Currency


class InvoiceRefund(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much of an invoice was paid back until now, all refunds together."""

    invoice: InvoiceNumber
    refunded: Amount


class Booking(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A held order is booked after all: for this account, with so many credits."""

    event: Annotated[int, Meta(ge=1)]
    account_id: Annotated[int, Meta(ge=1)]
    credits: Annotated[int, Meta(ge=1, le=CREDITS_MAX)]
    # What it is called in the receipt.
    pack: Annotated[str, Meta(min_length=1, max_length=60)]


class Invoices:
    """Staff's own way into the books. Raises LedgerUnavailable everywhere."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def grant(self, invoice: Invoice, staff: Staff) -> Purchase:
        """Book an invoice, once for its number.

        Raises AccountUnknown, AccountFrozen (closed), ReferenceUsed (for another sum).
        """
        order = _order(invoice.invoice, invoice.currency, invoice.amount)
        payment = Payment(
            provider=NAME,
            digest=_digest(invoice),
            kind="invoice",
            action=Action.BUY,
            account_id=invoice.account_id,
            pack="invoice",
            credits=invoice.credits,
            order=order,
        )
        await self._ledger.accounts.get(invoice.account_id)
        before = await self._ledger.billing.find(NAME, invoice.invoice)
        if before is not None and not _same(before, invoice):
            raise ReferenceUsed(f"the invoice {invoice.invoice} was booked with other figures")
        await self._recorded("billing-grant", invoice, payment, staff)
        return await self._booked(invoice.invoice)

    async def refund(self, refund: InvoiceRefund, staff: Staff) -> Purchase:
        """Take back the same part of an invoice's credits.

        Raises OrderUnknown, RequestMalformed.
        """
        before = await self._booked(refund.invoice)
        if refund.refunded > before.total:
            raise RequestMalformed("more than was paid cannot be paid back")
        order = _order(refund.invoice, before.currency, before.total, refund.refunded)
        payment = Payment(
            provider=NAME,
            digest=_digest(refund),
            kind="invoice_refunded",
            action=Action.REFUND,
            order=order,
        )
        await self._recorded("billing-refund", refund, payment, staff)
        return await self._booked(refund.invoice)

    async def book(self, booking: Booking, staff: Staff) -> Purchase:
        """Book a held order for an account that staff found out.

        Raises OrderUnknown, AccountUnknown, AccountFrozen, ReferenceUsed, RequestMalformed.
        """
        held = await self._ledger.billing.open_event(booking.event)
        if held.state is not EventState.HELD or held.order_id is None or held.currency is None:
            raise RequestMalformed("this event is no order that waits for somebody")
        await self._ledger.accounts.get(booking.account_id)
        if await self._ledger.billing.find(held.provider, held.order_id) is not None:
            raise ReferenceUsed("the order of this event is booked already; close the event")
        order = Order(
            id=held.order_id,
            currency=held.currency,
            total=held.total or 0,
            refunded=held.refunded or 0,
            test=False,
            ordered_at=held.received_at,
        )
        payment = Payment(
            provider=held.provider,
            digest=_digest(booking),
            kind="booked_by_staff",
            action=Action.BUY,
            account_id=booking.account_id,
            pack=booking.pack,
            credits=booking.credits,
            order=order,
        )
        await self._recorded("billing-book", booking, payment, staff)
        await self._ledger.billing.close_event(booking.event)
        found = await self._ledger.billing.find(held.provider, held.order_id)
        if found is None:
            raise OrderUnknown("the order was not booked; look at: ephemera billing held")
        return found

    async def close(self, event_id: int, staff: Staff) -> None:
        """Note that an event waits for nobody any more. Raises OrderUnknown."""
        await self._ledger.billing.open_event(event_id)
        async with self._ledger.actions.recorded(
            actor=staff.actor,
            gateway=staff.gateway,
            action="billing-close",
            parameters=msgspec.json.encode({"event": event_id}).decode(),
        ):
            await self._ledger.billing.close_event(event_id)

    async def waive(self, reference: str, staff: Staff) -> int:
        """Let a debt go; gives its credits. Raises OrderUnknown."""
        purchase = await self._ledger.billing.purchase(reference)
        async with self._ledger.actions.recorded(
            actor=staff.actor,
            gateway=staff.gateway,
            action="billing-waive",
            parameters=msgspec.json.encode({"reference": reference}).decode(),
        ) as act:
            waived = await self._ledger.billing.waive(purchase.provider, purchase.order_id)
            act.detail = f"{waived} credits"
        return waived

    async def _recorded(
        self, action: str, asked: msgspec.Struct, payment: Payment, staff: Staff
    ) -> None:
        async with self._ledger.actions.recorded(
            actor=staff.actor,
            gateway=staff.gateway,
            action=action,
            parameters=msgspec.json.encode(asked).decode(),
        ) as act:
            applied = await self._ledger.billing.apply(payment)
            act.detail = applied.state
            _check(applied)

    async def _booked(self, invoice: str) -> Purchase:
        found = await self._ledger.billing.find(NAME, invoice)
        if found is None:
            raise OrderUnknown(f"there is no invoice {invoice} in the books")
        return found


def _check(applied: Applied) -> None:
    """Raise where a booking became an event that waits for somebody."""
    if applied.state is not EventState.HELD:
        return
    if applied.reason == "account-closed":
        raise AccountFrozen("the account is closed")
    if applied.reason == "account-unknown":
        raise AccountUnknown("there is no such account")
    raise ReferenceUsed(f"it was not booked: {applied.reason}")


def _same(before: Purchase, invoice: Invoice) -> bool:
    asked = (invoice.account_id, invoice.credits, invoice.currency, invoice.amount)
    return (before.account_id, before.credits, before.currency, before.total) == asked


def _order(invoice: str, currency: str, total: int, refunded: int = 0) -> Order:
    return Order(
        id=invoice,
        currency=currency,
        total=total,
        refunded=refunded,
        test=False,
        ordered_at=datetime.now(UTC),
    )


def _digest(asked: msgspec.Struct) -> bytes:
    """The same order of staff is the same event."""
    said = type(asked).__name__.encode() + msgspec.json.encode(asked)
    return hashlib.sha256(said).digest()
