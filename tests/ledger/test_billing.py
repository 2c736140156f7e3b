"""Purchases and refunds in the books: once, in any order, never below zero, never by halves."""

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from ledger.accounts.accounts import Account
from ledger.billing.billing import EVENTS_KEPT
from ledger.billing.payment import Action, Applied, Drift, EventState, Order, Payment
from ledger.conversion_id import new_conversion_id
from ledger.errors import OrderUnknown
from ledger.ledger import Ledger
from ledger.settings import LedgerSettings

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
APPLIED = Applied(EventState.APPLIED, None)


def order(**changed: Any) -> Order:
    said: dict[str, Any] = {
        "id": "77", "currency": "EUR", "total": 1000, "refunded": 0, "test": False,
        "ordered_at": NOON,
    }  # fmt: skip
    return Order(**said | changed)


def bought(account: Account, body: str = "bought", **changed: Any) -> Payment:
    return Payment(
        provider="lemonsqueezy",
        digest=hashlib.sha256(body.encode()).digest(),
        kind="order_created",
        action=Action.BUY,
        account_id=account.id,
        pack="small",
        credits=500,
        order=order(**changed),
    )


def refunded(amount: int, body: str | None = None, **changed: Any) -> Payment:
    return Payment(
        provider="lemonsqueezy",
        digest=hashlib.sha256((body or f"refunded {amount}").encode()).digest(),
        kind="order_refunded",
        action=Action.REFUND,
        order=order(refunded=amount, **changed),
    )


async def spend(ledger: Ledger, account: Account, credits: int) -> None:
    async with ledger.debit(account.id, credits, conversion_id=new_conversion_id()):
        pass


async def booked(ledger: Ledger, account: Account) -> list[tuple[str, int, str | None]]:
    """What came after the opening credits, the oldest first."""
    entries = reversed(await ledger.entries(account.id))
    return [(one.kind, one.credits, one.reference) for one in entries][1:]


@pytest.fixture(autouse=True)
async def own_books(ledger: Ledger) -> AsyncIterator[None]:
    """At the end of every test, purchases and books say the same."""
    yield
    drifts = await ledger.billing.own_drifts("nobody", NOON)
    assert drifts == []


async def test_a_purchase_gives_its_credits_once(ledger: Ledger, account: Account) -> None:
    assert await ledger.billing.apply(bought(account)) == APPLIED
    assert (await ledger.billing.apply(bought(account))).state is EventState.REPEAT
    # Another body about the same order: signed anew, or sent by hand.
    assert await ledger.billing.apply(bought(account, "again")) == APPLIED
    assert await booked(ledger, account) == [("purchase", 500, "ls:order:77")]
    assert await ledger.balance(account.id) == 600


async def test_the_same_webhook_at_two_gateways_at_once_counts_once(
    ledger: Ledger, settings: LedgerSettings, account: Account
) -> None:
    async with Ledger.connect(settings) as other:
        said = await asyncio.gather(
            *(one.billing.apply(bought(account)) for one in (ledger, other) for _ in range(4))
        )
    assert sorted(one.state for one in said) == ["applied", *["repeat"] * 7]
    assert await ledger.balance(account.id) == 600


async def test_refunds_take_the_same_part_of_the_credits(ledger: Ledger, account: Account) -> None:
    await ledger.billing.apply(bought(account))
    for amount in (333, 500, 1000):
        assert await ledger.billing.apply(refunded(amount)) == APPLIED
    assert await booked(ledger, account) == [
        ("purchase", 500, "ls:order:77"),
        ("adjustment", -166, "ls:order:77:refund:333"),
        ("adjustment", -84, "ls:order:77:refund:500"),
        ("adjustment", -250, "ls:order:77:refund:1000"),
    ]


async def test_a_refund_that_comes_late_or_again_takes_nothing(
    ledger: Ledger, account: Account
) -> None:
    await ledger.billing.apply(bought(account))
    await ledger.billing.apply(refunded(800))
    await ledger.billing.apply(refunded(300))
    await ledger.billing.apply(refunded(800, "the same in other words"))
    found = await ledger.billing.purchase("ls:order:77", account.id)
    assert (found.refunded, found.withdrawn) == (800, 400)
    assert await ledger.balance(account.id) == 200


async def test_a_refund_before_its_purchase_waits_for_it(ledger: Ledger, account: Account) -> None:
    early = await ledger.billing.apply(refunded(400))
    assert early == Applied(EventState.PARKED, "purchase-unknown")
    await ledger.billing.apply(refunded(200))
    assert [one.state for one in await ledger.billing.open_events()] == [EventState.PARKED] * 2
    assert await ledger.billing.apply(bought(account)) == APPLIED
    assert await ledger.balance(account.id) == 100 + 300
    assert await ledger.billing.open_events() == []


async def test_what_was_spent_before_the_refund_becomes_a_debt(
    ledger: Ledger, account: Account
) -> None:
    await ledger.billing.apply(bought(account))
    await spend(ledger, account, 450)
    await ledger.billing.apply(refunded(1000))
    assert await ledger.balance(account.id) == 0
    [owed] = await ledger.billing.debts()
    assert (owed.withdrawn, owed.debt) == (150, 350)
    assert await ledger.billing.debt(account.id) == 350
    # Given, not bought: it stays.
    await ledger.accounts.grant(account.id, 10, "a present")
    assert await ledger.balance(account.id) == 10
    # What is bought next pays for it.
    await ledger.billing.apply(bought(account, "next", id="78"))
    assert await ledger.balance(account.id) == 10 + 500 - 350
    assert await ledger.billing.debts() == []
    assert (await booked(ledger, account))[-1] == ("adjustment", -350, "ls:order:77:debt:500")


async def test_a_debt_is_paid_in_parts_and_can_be_waived(ledger: Ledger, account: Account) -> None:
    await ledger.billing.apply(bought(account))
    await spend(ledger, account, 600)
    await ledger.billing.apply(refunded(1000))
    await ledger.billing.apply(bought(account, "next", id="78", refunded=900))
    # The new order was refunded nearly whole when it came: nothing is left of it.
    assert await ledger.balance(account.id) == 0
    assert await ledger.billing.debt(account.id) == 450
    for number in ("77", "78"):
        await ledger.billing.waive("lemonsqueezy", number)
    assert await ledger.billing.debt(account.id) == 0
    with pytest.raises(OrderUnknown):
        await ledger.billing.waive("lemonsqueezy", "79")


@pytest.mark.parametrize(
    "changed", [{"currency": "USD"}, {"total": 999}], ids=["currency", "total"]
)
async def test_a_refund_that_does_not_fit_its_purchase_is_held(
    ledger: Ledger, account: Account, changed: dict[str, Any]
) -> None:
    await ledger.billing.apply(bought(account))
    held = await ledger.billing.apply(refunded(500, **changed))
    assert held == Applied(EventState.HELD, "changed")
    assert await ledger.balance(account.id) == 600


async def test_an_order_is_never_booked_for_another_account(
    ledger: Ledger, account: Account
) -> None:
    other = await ledger.accounts.create("Bob", 1)
    await ledger.billing.apply(bought(account))
    said = await ledger.billing.apply(bought(other, "for somebody else"))
    assert said == Applied(EventState.HELD, "changed")
    assert await ledger.balance(other.id) == 1
    with pytest.raises(OrderUnknown):
        await ledger.billing.purchase("ls:order:77", other.id)


async def test_a_purchase_for_nobody_or_for_a_closed_account_is_held(
    ledger: Ledger, account: Account
) -> None:
    await ledger.accounts.set_status(account.id, "closed")
    assert await ledger.billing.apply(bought(account)) == Applied(EventState.HELD, "account-closed")
    [held] = await ledger.billing.open_events()
    await ledger.billing.close_event(held.id)
    with pytest.raises(OrderUnknown):
        await ledger.billing.close_event(held.id)


async def test_a_refund_after_the_account_was_closed_is_a_debt(
    ledger: Ledger, account: Account
) -> None:
    await ledger.billing.apply(bought(account))
    await ledger.accounts.set_status(account.id, "closed")
    await ledger.billing.apply(refunded(1000))
    assert await ledger.billing.debt(account.id) == 500


async def test_what_moves_nothing_is_noted_and_forgotten(
    ledger: Ledger, account: Account, books: asyncpg.Connection
) -> None:
    noted = Payment(
        provider="fake", digest=bytes(32), kind="license_key_created", reason="unknown-kind"
    )
    assert (await ledger.billing.apply(noted)).state is EventState.IGNORED
    await ledger.billing.apply(bought(account))
    await ledger.billing.sweep()
    assert await books.fetchval("select count(*) from billing.event") == 2
    await books.execute(
        "update billing.event set ended_at = ended_at - $1::interval",
        EVENTS_KEPT + timedelta(days=1),
    )
    await ledger.billing.sweep()
    assert await books.fetchval("select count(*) from billing.event") == 0
    # The order is still booked once.
    assert await ledger.billing.apply(bought(account)) == APPLIED
    assert await ledger.balance(account.id) == 600


async def test_what_an_account_pays_with_is_noted_and_never_forgotten_by_less(
    ledger: Ledger, account: Account
) -> None:
    told = {"customer": "9", "brand": "visa", "last_four": "4242"}
    await ledger.billing.apply(bought(account, **told))
    await ledger.billing.note_country("lemonsqueezy", "9", "AT")
    await ledger.billing.apply(bought(account, "less", id="78", customer="9"))
    [customer] = await ledger.billing.customers(account.id)
    assert (customer.brand, customer.last_four, customer.country) == ("visa", "4242", "AT")


async def test_in_whatever_order_events_come_and_credits_go_the_sums_are_the_same(
    ledger: Ledger,
) -> None:
    for seed in range(8):
        await shuffled(ledger, await ledger.accounts.create(f"Ada {seed}", 100), seed)


async def shuffled(ledger: Ledger, account: Account, seed: int) -> None:
    chance, this = random.Random(seed), str(seed)  # noqa: S311 -- no secret
    amounts = sorted(chance.sample(range(1, 1001), 4))
    events = [
        *(bought(account, f"{body} {seed}", id=this) for body in ("bought", "again")),
        *(refunded(one, f"{one} of {seed}", id=this) for one in amounts),
    ]
    events += chance.sample(events, 3)
    chance.shuffle(events)
    spent = 0
    for event in events:
        await ledger.billing.apply(event)
        balance = await ledger.balance(account.id)
        if balance and chance.random() < 0.5:
            part = chance.randint(1, balance)
            await spend(ledger, account, part)
            spent += part
    found = await ledger.billing.purchase(f"ls:order:{seed}")
    assert found.refunded == amounts[-1]
    assert found.withdrawn + found.debt == 500 * amounts[-1] // 1000
    assert await ledger.balance(account.id) == 600 - spent - found.withdrawn
    assert await ledger.billing.open_events() == []


async def test_purchases_are_listed_by_pages(ledger: Ledger, account: Account) -> None:
    for number in range(5):
        await ledger.billing.apply(bought(account, f"{number}", id=f"{number}"))
    first = await ledger.billing.purchases(account.id, limit=3)
    rest = await ledger.billing.purchases(account.id, before=first[-1])
    assert [one.order_id for one in first + rest] == ["4", "3", "2", "1", "0"]


async def test_books_that_disagree_are_found(
    ledger: Ledger, account: Account, books: asyncpg.Connection
) -> None:
    await ledger.billing.apply(bought(account))
    await books.execute("update billing.purchase set withdrawn = 5, credits = 501")
    wrong = await ledger.billing.own_drifts("lemonsqueezy", NOON)
    assert wrong == [Drift(order_id="ls:order:77", what="books")] * 2
    await books.execute("update billing.purchase set withdrawn = 0, credits = 500")
