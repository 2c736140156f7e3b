"""`ephemera billing`: book what was paid elsewhere, see what waits, compare with the provider."""

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Annotated

from cyclopts import App, Parameter

from gateway.billing.desk import BillingDesk
from gateway.billing.invoices import Booking, Invoice, InvoiceRefund, Invoices, Staff
from gateway.cli.accounts import Name, find
from gateway.cli.books import books
from gateway.cli.terminal import DEFAULTS, Exit, Source, complain, run, table
from gateway.outbound.client import Outbound
from gateway.process import this_process
from ledger.billing.billing import money
from ledger.billing.payment import Event, Purchase, Reconciliation
from ledger.ledger import Ledger

app = App(name="billing", help="Invoices, refunds and debts; what the payment provider said.")

HEAD = ("REFERENCE", "ACCOUNT", "CREDITS", "PAID", "REFUNDED", "WITHDRAWN", "DEBT")

Number = Annotated[str, Parameter(help="The invoice's number: 1 to 100 characters, no spaces.")]


@app.command
def grant(
    account: Name,
    amount: Annotated[int, Parameter(name="CREDITS", help="Credits that were paid.")],
    *,
    invoice: Number,
    paid: Annotated[int, Parameter(help="In the smallest unit: 1990 is 19.90 EUR.")],
    currency: Annotated[str, Parameter(help="Three letters: EUR.")] = "EUR",
    source: Source = DEFAULTS,
) -> None:
    """Book an invoice, on record and once for its number; the account's members get a mail."""
    purchase = run(_grant(source, account, amount, invoice, paid, currency))
    table(HEAD, [_row(purchase)])


@app.command
def refund(
    invoice: Number,
    refunded: Annotated[int, Parameter(help="What was paid back until now, all refunds together.")],
    *,
    source: Source = DEFAULTS,
) -> None:
    """Take back the same part of an invoice's credits, on record."""
    table(HEAD, [_row(run(_refund(source, InvoiceRefund(invoice=invoice, refunded=refunded))))])


@app.command
def held(*, source: Source = DEFAULTS) -> None:
    """List the provider's events that wait for a person (held) or for their purchase (parked)."""
    rows = [_event(one) for one in run(_held(source))]
    table(("ID", "STATE", "REASON", "KIND", "ORDER", "ACCOUNT", "CREDITS", "PAID"), rows)


@app.command
def book(
    event: Annotated[int, Parameter(help="The event's id: ephemera billing held.")],
    account: Name,
    amount: Annotated[int, Parameter(name="CREDITS", help="What the order gives.")],
    *,
    pack: Annotated[str, Parameter(help="What it is called in the receipt.")] = "by hand",
    source: Source = DEFAULTS,
) -> None:
    """Book a held order for an account, on record."""
    table(HEAD, [_row(run(_book(source, event, account, amount, pack)))])


@app.command
def close(
    event: Annotated[int, Parameter(help="The event's id: ephemera billing held.")],
    *,
    source: Source = DEFAULTS,
) -> None:
    """Note that an event waits for nobody any more."""
    run(_close(source, event))


@app.command
def debts(*, source: Source = DEFAULTS) -> None:
    """List purchases whose credits were refunded after they were spent."""
    table(HEAD, [_row(one) for one in run(_debts(source))])


@app.command
def waive(
    reference: Annotated[str, Parameter(help="The purchase's: ephemera billing debts.")],
    *,
    source: Source = DEFAULTS,
) -> None:
    """Let a debt go, on record."""
    print(f"{run(_waive(source, reference))} credits")


@app.command
def reconcile(
    *,
    days: Annotated[int, Parameter(help="How far back.")] = 3,
    source: Source = DEFAULTS,
) -> int:
    """Compare the provider's orders with ours. A running service does it every day as well.

    Exits 0 when both say the same, 65 when they do not.
    """
    done = run(_reconcile(source, timedelta(days=max(1, days))))
    for drift in done.drifts:
        complain(f"{drift.order_id}: {drift.what}")
    print(f"{done.orders} orders at {done.provider}, {len(done.drifts)} differ")
    return Exit.REFUSED if done.drifts else Exit.OK


@asynccontextmanager
async def _invoices(source: Source) -> AsyncIterator[tuple[Ledger, Invoices]]:
    async with books(source) as ledger:
        yield ledger, Invoices(ledger)


def _staff() -> Staff:
    return Staff(f"uid:{os.getuid()}", this_process().label)


async def _grant(  # noqa: PLR0917 -- the parts of one invoice
    source: Source, name: str, amount: int, invoice: str, paid: int, currency: str
) -> Purchase:
    async with _invoices(source) as (ledger, invoices):
        account = await find(ledger, name)
        asked = Invoice(
            account_id=account.id,
            credits=amount,
            invoice=invoice,
            amount=paid,
            currency=currency,
        )
        purchase = await invoices.grant(asked, _staff())
        await ledger.billing.tell()
        return purchase


async def _refund(source: Source, asked: InvoiceRefund) -> Purchase:
    async with _invoices(source) as (_, invoices):
        return await invoices.refund(asked, _staff())


async def _held(source: Source) -> Sequence[Event]:
    async with books(source) as ledger:
        return await ledger.billing.open_events()


async def _book(source: Source, event: int, name: str, amount: int, pack: str) -> Purchase:
    async with _invoices(source) as (ledger, invoices):
        account = await find(ledger, name)
        asked = Booking(event=event, account_id=account.id, credits=amount, pack=pack)
        return await invoices.book(asked, _staff())


async def _close(source: Source, event: int) -> None:
    async with _invoices(source) as (_, invoices):
        await invoices.close(event, _staff())


async def _debts(source: Source) -> Sequence[Purchase]:
    async with books(source) as ledger:
        return await ledger.billing.debts()


async def _waive(source: Source, reference: str) -> int:
    async with _invoices(source) as (_, invoices):
        return await invoices.waive(reference, _staff())


async def _reconcile(source: Source, back: timedelta) -> Reconciliation:
    settings = source.settings()
    async with books(source) as ledger:
        outbound = Outbound(settings.fetch, settings.hooks)
        try:
            desk = BillingDesk(settings.billing, ledger, outbound, lambda _outcome: None)
            return await desk.reconcile(ledger.billing.clock() - back)
        finally:
            outbound.close()


def _row(one: Purchase) -> tuple[object, ...]:
    paid, refunded = money(one.total, one.currency), money(one.refunded, one.currency)
    return (one.reference, one.account_id, one.credits, paid, refunded, one.withdrawn, one.debt)


def _event(one: Event) -> tuple[object, ...]:
    paid = money(one.total, one.currency) if one.total is not None and one.currency else ""
    return (
        *(one.id, one.state, one.reason or "", one.kind, one.order_id or ""),
        *(one.account_id or "", one.credits or "", paid),
    )
