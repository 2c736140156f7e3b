"""Many at once: on one account, between settle and refund, between gateways."""

import asyncio
import random
from uuid import UUID

import asyncpg
import msgspec
import pytest

from ledger.accounts.accounts import Account
from ledger.conversion_id import new_conversion_id
from ledger.credits.operation import Kind, Operation, Status
from ledger.errors import DebitLapsed, InsufficientCredits, LedgerUnavailable
from ledger.ledger import Ledger
from ledger.settings import LedgerSettings
from tests.ledger.waiting import turn_taken, writer_waits

# Written by triggers of the test, on the server's side, for every row that moves or marks credits.
WATCH = """
create table public.seen (relation text, operation text, isolation text);
grant insert on public.seen to public;
create function public.watch() returns trigger language plpgsql as $$
begin
    insert into public.seen
        values (tg_table_name, tg_op, current_setting('transaction_isolation'));
    return null;
end $$;
create trigger watch after insert or update or delete on credits.entry
    for each row execute function public.watch();
create trigger watch after update of balance on credits.account
    for each row execute function public.watch();
create trigger watch after insert or update or delete on credits.open_debit
    for each row execute function public.watch();
create trigger watch after insert or update on credits.idempotency_key
    for each row execute function public.watch();
"""


async def test_of_256_at_once_exactly_the_affordable_ones_succeed(
    ledger: Ledger, account: Account
) -> None:
    async def attempt() -> bool:
        try:
            async with ledger.debit(account.id, 3, conversion_id=new_conversion_id()):
                return True
        except InsufficientCredits:
            return False

    succeeded = await asyncio.gather(*(attempt() for _ in range(256)))
    assert sum(succeeded) == 33
    assert await ledger.balance(account.id) == 1


async def test_of_four_gateways_at_once_exactly_the_affordable_ones_succeed(
    ledger: Ledger, account: Account, settings: LedgerSettings
) -> None:
    async def attempts() -> int:
        async with Ledger.connect(settings) as other:
            succeeded = 0

            async def attempt() -> None:
                nonlocal succeeded
                try:
                    async with other.debit(account.id, 1, conversion_id=new_conversion_id()):
                        succeeded += 1
                except InsufficientCredits:
                    pass

            await asyncio.gather(*(attempt() for _ in range(50)))
            return succeeded

    assert sum(await asyncio.gather(*(attempts() for _ in range(4)))) == 100
    assert await ledger.balance(account.id) == 0


async def test_a_refund_makes_room_for_a_debit_that_waits_with_it(
    ledger: Ledger, account: Account, books: asyncpg.Connection
) -> None:
    """Within one batch what gives comes first, whichever arrived first."""
    refunded = ledger.debit(account.id, 100, conversion_id=new_conversion_id())
    await refunded.__aenter__()
    hungry = ledger.debit(account.id, 100, conversion_id=new_conversion_id())
    other = await ledger.accounts.create("Grace")
    async with turn_taken(books):
        holding = asyncio.create_task(ledger.accounts.grant(other.id, 1, "hold the writer"))
        await writer_waits(books)
        entering = asyncio.create_task(hungry.__aenter__())
        await asyncio.sleep(0)
        leaving = asyncio.create_task(refunded.__aexit__(ValueError, ValueError(), None))
        await asyncio.sleep(0)
    await asyncio.gather(entering, leaving, holding)
    await hungry.settle()
    assert await ledger.balance(account.id) == 0


@pytest.mark.parametrize("seed", range(5))
async def test_settle_and_sweeper_race_and_one_of_them_wins(
    ledger: Ledger, account: Account, books: asyncpg.Connection, settings: LedgerSettings, seed: int
) -> None:
    """Two other gateways sweep while twenty lapsed debits are settled: each has one end."""
    rng = random.Random(seed)  # noqa: S311 (a reproducible race)
    debits = [ledger.debit(account.id, 1, conversion_id=new_conversion_id()) for _ in range(20)]
    await asyncio.gather(*(debit.__aenter__() for debit in debits))
    async with Ledger.connect(settings) as second, Ledger.connect(settings) as third:
        await books.execute("update credits.open_debit set deadline = now()")

        async def settle(position: int) -> bool:
            await asyncio.sleep(rng.random() * 0.01)
            try:
                await debits[position].settle()
            except DebitLapsed:
                return False
            return True

        settled, *_ = await asyncio.gather(
            asyncio.gather(*(settle(position) for position in range(20))),
            second.sweeper.sweep(),
            third.sweeper.sweep(),
            ledger.sweeper.sweep(),
        )
    assert await books.fetchval("select count(*) from credits.open_debit") == 0
    assert await ledger.balance(account.id) == 100 - sum(settled)
    assert await _refunds(books) == {
        debit.conversion_id for debit, kept in zip(debits, settled, strict=True) if not kept
    }


async def test_of_a_refund_and_a_settle_in_one_batch_the_refund_wins(
    ledger: Ledger, account: Account, books: asyncpg.Connection
) -> None:
    debit = ledger.debit(account.id, 5, conversion_id=new_conversion_id())
    await debit.__aenter__()
    refund = Operation(kind=Kind.REFUND, account_id=account.id, conversion_id=debit.conversion_id)
    async with turn_taken(books):
        holding = asyncio.create_task(ledger.accounts.grant(account.id, 1, "hold the writer"))
        await writer_waits(books)
        settling = asyncio.create_task(debit.settle())
        await asyncio.sleep(0)
        refunding = ledger._writer.submit(refund)
    assert (await refunding.answer).status is Status.DONE
    with pytest.raises(DebitLapsed):
        await settling
    await holding
    assert await ledger.balance(account.id) == 101


async def test_every_statement_that_moves_credits_is_serializable(
    ledger: Ledger, account: Account, books: asyncpg.Connection
) -> None:
    """Asked on the server, in triggers, not of the client that sent it."""
    await books.execute(WATCH)
    await ledger.accounts.purchase(account.id, 10, "payment 1")
    async with ledger.debit(account.id, 1, conversion_id=new_conversion_id()):
        pass
    with pytest.raises(ZeroDivisionError):
        async with ledger.debit(account.id, 1, conversion_id=new_conversion_id()):
            raise ZeroDivisionError
    seen = await books.fetch("select distinct relation, operation, isolation from public.seen")
    assert {row["isolation"] for row in seen} == {"serializable"}
    assert {(row["relation"], row["operation"]) for row in seen} == {
        ("entry", "INSERT"),
        ("account", "UPDATE"),
        ("open_debit", "INSERT"),
        ("open_debit", "DELETE"),
    }


COUNT_TRIES = """
create sequence credits.tries;
create table credits.committed (try bigint);
create function credits.count_try() returns trigger language plpgsql
    security definer set search_path = credits, pg_temp as $$
begin
    insert into committed values (nextval('tries'));
    return null;
end $$;
create trigger count_try before update on credits.account
    for each statement execute function credits.count_try();
"""


async def test_gateways_that_meet_follow_each_other_instead_of_failing_each_other(
    account: Account, books: asyncpg.Connection, settings: LedgerSettings
) -> None:
    """Each try to move credit leaves a number that no rollback takes back, and a row that one does.

    A few may be refused all the same: PostgreSQL frees a transaction's locks a moment before it
    takes the transaction off its list of serializable ones, and where the kernel stops a backend
    in between, the next two look concurrent to it ("prepared pivot"). Without the turn, half are.
    """
    await books.execute(COUNT_TRIES)

    async def gateway() -> None:
        async with Ledger.connect(settings) as one:
            for _ in range(25):
                await _debit(one, account)

    await asyncio.gather(*(gateway() for _ in range(4)))
    tries, committed = await books.fetchrow(
        "select last_value, (select count(*) from credits.committed) from credits.tries"
    )
    assert 1 < committed <= tries <= 1.1 * committed


async def test_a_queue_at_its_limit_refuses_debits_and_takes_refunds(
    ledger: Ledger, account: Account, books: asyncpg.Connection, settings: LedgerSettings
) -> None:
    async with Ledger.connect(msgspec.structs.replace(settings, queue_max=2)) as small:
        open_debit = small.debit(account.id, 1, conversion_id=new_conversion_id())
        await open_debit.__aenter__()
        async with turn_taken(books):
            sent = asyncio.create_task(_debit(small, account))
            await writer_waits(books)
            queued = [asyncio.create_task(_debit(small, account)) for _ in range(2)]
            await asyncio.sleep(0)
            with pytest.raises(LedgerUnavailable, match="busy"):
                await _debit(small, account)
            leaving = asyncio.create_task(open_debit.__aexit__(ValueError, ValueError(), None))
            await asyncio.sleep(0)
        await asyncio.gather(sent, leaving, *queued)
    assert await ledger.balance(account.id) == 97


async def _debit(ledger: Ledger, account: Account) -> None:
    async with ledger.debit(account.id, 1, conversion_id=new_conversion_id()):
        pass


async def _refunds(books: asyncpg.Connection) -> set[UUID]:
    rows = await books.fetch("select conversion_id from credits.entry where kind = 'refund'")
    return {row["conversion_id"] for row in rows}
