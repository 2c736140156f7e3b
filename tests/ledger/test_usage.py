"""What an account used: added up from its entries, by kind or by day."""

from contextlib import suppress
from datetime import UTC, date, datetime, timedelta

import asyncpg

from ledger.accounts.accounts import Account
from ledger.conversion_id import new_conversion_id
from ledger.credits.history import Usage
from ledger.ledger import Ledger


async def use(ledger: Ledger, account: Account) -> None:
    """Two conversions that succeed, one that fails; 100 credits came at the opening."""
    for cost in (2, 3):
        async with ledger.debit(account.id, cost, conversion_id=new_conversion_id()):
            pass
    with suppress(ZeroDivisionError):
        async with ledger.debit(account.id, 4, conversion_id=new_conversion_id()):
            raise ZeroDivisionError


async def today(books: asyncpg.Connection) -> date:
    """The database's."""
    now: datetime = await books.fetchval("select now()")
    return now.astimezone(UTC).date()


async def test_usage_by_kind_adds_up_to_the_balance(
    ledger: Ledger, account: Account, books: asyncpg.Connection
) -> None:
    await use(ledger, account)
    day = await today(books)
    found = await ledger.usage(account.id, day - timedelta(days=1), day, by_day=False)
    assert found == [
        Usage(day=None, kind="consumption", entries=3, credits=-9),
        Usage(day=None, kind="refund", entries=1, credits=4),
        Usage(day=None, kind="adjustment", entries=1, credits=100),
    ]
    assert sum(line.credits for line in found) == await ledger.balance(account.id)


async def test_usage_by_day_has_a_line_for_each_day_and_kind(
    ledger: Ledger, account: Account, books: asyncpg.Connection
) -> None:
    await use(ledger, account)
    # Yesterday's last moment and today's first, in UTC whatever the session's zone is.
    day = await today(books)
    await books.execute("set timezone = 'Pacific/Auckland'")
    await books.execute("set session_replication_role = replica")
    await books.execute(
        "update credits.entry set created_at = case when seq <= 2"
        " then $1::date::timestamp at time zone 'UTC' - interval '1 microsecond'"
        " else $1::date::timestamp at time zone 'UTC' end",
        day,
    )
    found = await ledger.usage(account.id, day - timedelta(days=1), day, by_day=True)
    assert [(line.day, line.kind, line.entries, line.credits) for line in found] == [
        (day - timedelta(days=1), "consumption", 1, -2),
        (day - timedelta(days=1), "adjustment", 1, 100),
        (day, "consumption", 2, -7),
        (day, "refund", 1, 4),
    ]
    assert await ledger.usage(account.id, day, day, by_day=True) == found[2:]


async def test_another_accounts_usage_is_not_in_it(
    ledger: Ledger, account: Account, books: asyncpg.Connection
) -> None:
    await use(ledger, account)
    other = await ledger.accounts.create("Grace")
    day = await today(books)
    assert await ledger.usage(other.id, day - timedelta(days=1), day, by_day=False) == []
