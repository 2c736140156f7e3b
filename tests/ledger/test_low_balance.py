"""An account that fell below its threshold is announced: once for each crossing, to all who ask."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from ledger.accounts.accounts import Account
from ledger.accounts.low_balance import LowBalance
from ledger.conversion_id import new_conversion_id
from ledger.errors import AccountUnknown
from ledger.ledger import Ledger
from ledger.settings import LedgerSettings
from tests.ledger.waiting import eventually

LISTENING = "select exists (select from pg_stat_activity where query like 'LISTEN%balance%')"


class Ear:
    def __init__(self) -> None:
        self.heard: list[LowBalance] = []
        self._news = asyncio.Event()

    def __call__(self, event: LowBalance) -> None:
        self.heard.append(event)
        self._news.set()

    async def news(self) -> LowBalance:
        """Wait for something, and give the last thing."""
        async with asyncio.timeout(30):
            await self._news.wait()
        self._news.clear()
        return self.heard[-1]


@pytest.fixture
def ear() -> Ear:
    return Ear()


@pytest.fixture
async def ledger(
    settings: LedgerSettings, ear: Ear, books: asyncpg.Connection
) -> AsyncIterator[Ledger]:
    async with Ledger.connect(settings, on_low_balance=ear) as ledger:
        await eventually(lambda: books.fetchval(LISTENING))
        yield ledger


async def spend(ledger: Ledger, account: Account, credits: int) -> int:
    async with ledger.debit(account.id, credits, conversion_id=new_conversion_id()) as debit:
        return debit.balance


async def test_a_crossing_is_announced_with_what_it_is_about(
    ledger: Ledger, account: Account, ear: Ear
) -> None:
    await ledger.accounts.set_low_balance(account.id, 50)
    await spend(ledger, account, 60)
    assert await ear.news() == LowBalance(account_id=account.id, seq=2, balance=40, threshold=50)


async def test_what_goes_on_below_is_not_announced_again(
    ledger: Ledger, account: Account, ear: Ear
) -> None:
    await ledger.accounts.set_low_balance(account.id, 50)
    await spend(ledger, account, 50)  # to the threshold, not below it
    await spend(ledger, account, 1)
    await spend(ledger, account, 1)
    await ledger.accounts.grant(account.id, 12, "a gift")
    await spend(ledger, account, 20)
    while (await ear.news()).balance != 40:
        pass
    assert [event.balance for event in ear.heard] == [49, 40]


async def test_everybody_who_asks_hears_the_same_event(
    ledger: Ledger, account: Account, ear: Ear, settings: LedgerSettings, books: asyncpg.Connection
) -> None:
    other = Ear()
    async with Ledger.connect(settings, on_low_balance=other):
        await eventually(
            lambda: books.fetchval(LISTENING.replace("exists (select", "(select count(*) = 2"))
        )
        await ledger.accounts.set_low_balance(account.id, 100)
        await spend(ledger, account, 1)
        assert await ear.news() == await other.news()


async def test_an_account_without_a_threshold_says_nothing(
    ledger: Ledger, account: Account, ear: Ear
) -> None:
    talkative = await ledger.accounts.create("Grace", 10, "test")
    await ledger.accounts.set_low_balance(account.id, 100)
    await ledger.accounts.set_low_balance(account.id, None)
    await ledger.accounts.set_low_balance(talkative.id, 10)
    await spend(ledger, account, 100)
    await spend(ledger, talkative, 1)
    assert (await ear.news()).account_id == talkative.id
    assert len(ear.heard) == 1
    assert (await ledger.accounts.get(account.id)).low_balance is None


async def test_a_listener_that_was_cut_off_hears_again(
    ledger: Ledger, account: Account, ear: Ear, books: asyncpg.Connection
) -> None:
    await ledger.accounts.set_low_balance(account.id, 100)
    await books.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity where query like 'LISTEN%balance%'"
    )
    await eventually(lambda: books.fetchval(f"select not ({LISTENING[7:]})"))
    await eventually(lambda: books.fetchval(LISTENING))
    await spend(ledger, account, 1)
    assert (await ear.news()).balance == 99


async def test_a_threshold_is_a_positive_number_of_an_account_that_is_there(
    ledger: Ledger, account: Account
) -> None:
    with pytest.raises(ValueError, match="positive"):
        await ledger.accounts.set_low_balance(account.id, 0)
    with pytest.raises(AccountUnknown):
        await ledger.accounts.set_low_balance(4711, 5)
