"""The later life of the books: goodwill, seals, closed accounts, people to be forgotten."""

from uuid import UUID

import asyncpg
import pytest

from ledger.accounts.accounts import Account
from ledger.conversion_id import new_conversion_id
from ledger.errors import AccountFrozen, AccountUnknown, ReferenceUsed, RefundRefused
from ledger.ledger import Ledger

AGE = "set session_replication_role = replica; {}; set session_replication_role = origin"


async def settled(ledger: Ledger, account: Account, cost: int = 10) -> UUID:
    conversion_id = new_conversion_id()
    async with ledger.debit(account.id, cost, conversion_id=conversion_id):
        return conversion_id


async def age(books: asyncpg.Connection, statement: str) -> None:
    """Change the past, as only a superuser can who switches the triggers off."""
    await books.execute(AGE.format(statement))


async def close_long_ago(ledger: Ledger, account: Account, books: asyncpg.Connection) -> None:
    await ledger.accounts.set_status(account.id, "closed")
    await books.execute("update credits.account set closed_at = now() - interval '7 years 1 day'")


async def test_goodwill_gives_back_up_to_the_debit_once(ledger: Ledger, account: Account) -> None:
    conversion_id = await settled(ledger, account)
    give = ledger.accounts.goodwill
    with pytest.raises(RefundRefused):
        await give(account.id, conversion_id, 11, "too generous", "ticket 1")
    assert await give(account.id, conversion_id, 4, "blurred", "ticket 1") == 94
    assert await give(account.id, conversion_id, 4, "blurred", "ticket 1") == 94
    with pytest.raises(RefundRefused):
        await give(account.id, conversion_id, 1, "again", "ticket 2")
    newest = (await ledger.entries(account.id))[0]
    assert (newest.kind, newest.credits, newest.reason) == ("refund", 4, "blurred")


async def test_goodwill_is_refused_where_there_is_nothing_to_refund(
    ledger: Ledger, account: Account
) -> None:
    give = ledger.accounts.goodwill
    with pytest.raises(RefundRefused):
        await give(account.id, new_conversion_id(), 1, "never debited", "ticket 1")
    debit = ledger.debit(account.id, 5, conversion_id=new_conversion_id())
    await debit.__aenter__()
    with pytest.raises(RefundRefused):
        await give(account.id, debit.conversion_id, 1, "still runs", "ticket 1")
    await debit.settle()
    with pytest.raises(AccountUnknown):
        await give(account.id + 1, debit.conversion_id, 1, "not his", "ticket 1")


async def test_a_reference_of_goodwill_is_for_one_conversion(
    ledger: Ledger, account: Account
) -> None:
    first, second = await settled(ledger, account), await settled(ledger, account)
    await ledger.accounts.goodwill(account.id, first, 1, "blurred", "ticket 1")
    with pytest.raises(ReferenceUsed):
        await ledger.accounts.goodwill(account.id, second, 1, "blurred", "ticket 1")
    await ledger.accounts.set_status(account.id, "closed")
    with pytest.raises(AccountFrozen):
        await ledger.accounts.goodwill(account.id, second, 1, "blurred", "ticket 2")


# A day counts as ended an hour after midnight; until then the one before it is the last.
ON_THE_DAY_BEFORE_YESTERDAY = """
    update credits.entry set created_at =
        date_trunc('day', (now() - interval '1 hour') at time zone 'UTC') at time zone 'UTC'
        - interval '36 hours'
"""


async def test_days_that_ended_are_sealed_once_and_verified(
    ledger: Ledger, account: Account, books: asyncpg.Connection
) -> None:
    await settled(ledger, account)
    assert await ledger.upkeep.seal() == []
    await age(books, ON_THE_DAY_BEFORE_YESTERDAY)
    first = await ledger.upkeep.seal()
    assert [(seal.entries, seal.total) for seal in first] == [(2, 90), (0, 0)]
    assert await ledger.upkeep.seal() == []
    assert [seal.digest for seal in await ledger.upkeep.seals()] == [
        seal.digest for seal in reversed(first)
    ]
    assert await ledger.audit() == []


@pytest.mark.parametrize(
    "forgery",
    [
        "update credits.entry set reason = 'another reason' where seq = 1",
        "update credits.entry set conversion_id = gen_random_uuid() where seq = 2",
        "update credits.seal set entries = entries + 1",
        "update credits.seal set content = sha256('')",
        "delete from credits.seal where day = (select min(day) from credits.seal)",
    ],
)
async def test_a_seal_finds_what_no_other_guard_could(
    ledger: Ledger, account: Account, books: asyncpg.Connection, forgery: str
) -> None:
    await settled(ledger, account)
    await age(books, ON_THE_DAY_BEFORE_YESTERDAY)
    await ledger.upkeep.seal()
    assert await ledger.upkeep.broken_seals() == []
    await age(books, forgery)
    assert await ledger.upkeep.broken_seals() != []
    assert any("broken seal" in violation.what for violation in await ledger.audit())


@pytest.mark.parametrize("table", ["seal", "tombstone"])
@pytest.mark.parametrize("statement", ["delete from", "truncate"])
async def test_seals_and_tombstones_are_append_only(
    books: asyncpg.Connection, table: str, statement: str
) -> None:
    with pytest.raises(asyncpg.RestrictViolationError):
        await books.execute(f"{statement} credits.{table}")


@pytest.mark.claim("C-PRIV-8")
async def test_an_account_goes_seven_years_after_its_closure_and_leaves_a_tombstone(
    ledger: Ledger, account: Account, books: asyncpg.Connection
) -> None:
    await settled(ledger, account)
    await ledger.keys.create(account.id, "laptop")
    await close_long_ago(ledger, account, books)
    assert await ledger.upkeep.purge() == 1
    stone = await books.fetchrow("select account_id, entries, balance from credits.tombstone")
    assert tuple(stone) == (account.id, 2, 90)
    assert await books.fetchval("select count(*) from credits.entry") == 0
    assert await ledger.accounts.list() == []
    assert await ledger.upkeep.purge() == 0


@pytest.mark.claim("C-PRIV-8")
async def test_an_account_stays_for_seven_years_after_its_closure(
    ledger: Ledger, account: Account, books: asyncpg.Connection
) -> None:
    await ledger.accounts.set_status(account.id, "closed")
    await books.execute("update credits.account set closed_at = now() - interval '2555 days'")
    assert await ledger.upkeep.purge() == 0
    with pytest.raises(asyncpg.RestrictViolationError):
        await books.execute("delete from credits.entry")
    with pytest.raises(asyncpg.RestrictViolationError):
        await books.execute("delete from credits.account")


async def test_who_is_forgotten_leaves_entries_that_name_nobody(
    ledger: Ledger, account: Account, books: asyncpg.Connection
) -> None:
    key = await ledger.keys.create(account.id, "Ada's laptop")
    with pytest.raises(AccountUnknown):
        await ledger.accounts.erase(account.id)
    await ledger.accounts.set_status(account.id, "closed")
    await ledger.accounts.erase(account.id)
    assert (await ledger.accounts.get(account.id)).name == f"erased {account.id}"
    assert await ledger.keys.list(account.id) == []
    assert await ledger.keys.authenticate(key.secret) is None
    assert len(await ledger.entries(account.id)) == 1
    everything = await books.fetch(
        "select a, e, p from credits.account a join accounts.profile p on p.account_id = a.id"
        " join credits.entry e on e.account_id = a.id"
    )
    assert len(everything) == 1
    assert "Ada" not in str(everything)
