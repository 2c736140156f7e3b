"""Accounts: opened, found, credited, frozen, closed."""

import asyncio

import pytest

from ledger.accounts.accounts import Account
from ledger.errors import (
    AccountFrozen,
    AccountUnknown,
    InsufficientCredits,
    LedgerFault,
    NameTaken,
    ReferenceUsed,
)
from ledger.ledger import Ledger


async def test_an_account_is_found_by_name_and_by_id(ledger: Ledger, account: Account) -> None:
    assert await ledger.accounts.find("Ada") == account
    assert await ledger.accounts.get(account.id) == account
    assert await ledger.accounts.list() == [account]
    assert (account.name, account.status, account.balance) == ("Ada", "active", 100)


async def test_an_account_can_be_opened_without_credits(ledger: Ledger) -> None:
    account = await ledger.accounts.create("Grace")
    assert account.balance == 0
    assert await ledger.entries(account.id) == []


async def test_an_unknown_account_is_unknown_everywhere(ledger: Ledger) -> None:
    assert await ledger.accounts.find("nobody") is None
    for asking in (
        ledger.accounts.get(1),
        ledger.balance(1),
        ledger.accounts.grant(1, 5, "reason"),
        ledger.accounts.set_status(1, "frozen"),
    ):
        with pytest.raises(AccountUnknown):
            await asking


async def test_a_name_is_given_once(ledger: Ledger, account: Account) -> None:
    with pytest.raises(NameTaken, match="Ada"):
        await ledger.accounts.create(account.name)


async def test_ids_survive_a_reader_of_json_that_knows_only_doubles(ledger: Ledger) -> None:
    accounts = await asyncio.gather(*(ledger.accounts.create(f"{n}") for n in range(20)))
    assert all(int(float(account.id)) == account.id > 0 for account in accounts)


async def test_a_reference_is_booked_once_however_often_it_arrives(
    ledger: Ledger, account: Account
) -> None:
    balances = await asyncio.gather(
        *(ledger.accounts.purchase(account.id, 50, "payment 1") for _ in range(10))
    )
    assert set(balances) == {150}
    assert await ledger.accounts.purchase(account.id, 50, "payment 1") == 150
    assert await ledger.balance(account.id) == 150


async def test_a_reference_with_another_amount_is_a_contradiction(
    ledger: Ledger, account: Account
) -> None:
    await ledger.accounts.purchase(account.id, 50, "payment 1")
    with pytest.raises(ReferenceUsed, match="payment 1"):
        await ledger.accounts.purchase(account.id, 51, "payment 1")
    assert await ledger.balance(account.id) == 150


async def test_grants_without_a_reference_are_all_booked(ledger: Ledger, account: Account) -> None:
    await ledger.accounts.grant(account.id, 5, "a present")
    assert await ledger.accounts.grant(account.id, 5, "a present") == 110
    newest = (await ledger.entries(account.id))[0]
    assert (newest.kind, newest.credits, newest.reason) == ("adjustment", 5, "a present")


async def test_nothing_is_taken_below_zero(ledger: Ledger, account: Account) -> None:
    with pytest.raises(InsufficientCredits):
        await ledger.accounts.grant(account.id, -101, "mistake")
    assert await ledger.accounts.grant(account.id, -100, "mistake") == 0


async def test_a_closed_account_is_booked_no_more_and_stays_closed(
    ledger: Ledger, account: Account
) -> None:
    await ledger.accounts.set_status(account.id, "closed")
    with pytest.raises(AccountFrozen):
        await ledger.accounts.purchase(account.id, 5, "payment 1")
    with pytest.raises(AccountUnknown):
        await ledger.accounts.set_status(account.id, "active")


async def test_a_frozen_account_can_be_credited_and_thawed(
    ledger: Ledger, account: Account
) -> None:
    await ledger.accounts.set_status(account.id, "frozen")
    assert await ledger.accounts.purchase(account.id, 5, "payment 1") == 105
    await ledger.accounts.set_status(account.id, "active")
    assert (await ledger.accounts.get(account.id)).status == "active"


@pytest.mark.parametrize("name", ["", "x" * 201])
async def test_a_name_has_a_sensible_length(ledger: Ledger, name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        await ledger.accounts.create(name)


@pytest.mark.parametrize("text", ["nul\x00", "\ud800", "x" * 501])
async def test_one_bad_text_never_reaches_the_batch_of_others(
    ledger: Ledger, account: Account, text: str
) -> None:
    with pytest.raises(ValueError, match="reason"):
        await ledger.accounts.grant(account.id, 1, text)


async def test_an_operation_that_postgresql_refuses_does_not_take_its_batch_with_it(
    ledger: Ledger, account: Account
) -> None:
    """The balance leaves its range, which nobody can know before."""
    rich = await ledger.accounts.create("Grace", 2**53 - 1)
    results = await asyncio.gather(
        *(ledger.accounts.grant(account.id, 1, f"little {number}") for number in range(10)),
        ledger.accounts.grant(rich.id, 1, "too much"),
        return_exceptions=True,
    )
    assert sorted(results[:10]) == list(range(101, 111))
    assert isinstance(results[10], LedgerFault)
