"""PostgreSQL goes away: between a request and its answer, for a while, with a kill -9."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import asyncpg
import msgspec
import pytest

from ledger.accounts.accounts import Account
from ledger.conversion_id import new_conversion_id
from ledger.embedded import EmbeddedPostgres
from ledger.errors import InsufficientCredits, LedgerUnavailable
from ledger.ledger import Ledger
from ledger.migrate import migrate
from ledger.settings import LedgerSettings
from tests.ledger.proxy import Loss, Proxy, proxied
from tests.ledger.waiting import eventually, turn_taken, writer_waits
from tests.postgres import TEST_DSN, private_home

pytestmark = pytest.mark.skipif(
    TEST_DSN is not None and "host=/" not in TEST_DSN,
    reason="the proxy stands in front of a Unix socket",
)


@pytest.fixture
async def proxy(settings: LedgerSettings) -> AsyncIterator[tuple[Proxy, str]]:
    with private_home() as folder:
        async with proxied(settings.dsn, folder) as running:
            yield running


@pytest.fixture
async def network(proxy: tuple[Proxy, str]) -> Proxy:
    return proxy[0]


@pytest.fixture
async def ledger(settings: LedgerSettings, proxy: tuple[Proxy, str]) -> AsyncIterator[Ledger]:
    """Give a ledger whose connections go through the proxy. Its lease outlives every test."""
    there = msgspec.structs.replace(
        settings,
        dsn=proxy[1],
        lease_s=60.0,
        statement_timeout_s=1.0,
        connect_timeout_s=1.0,
        # Where a test ends with PostgreSQL away, nothing that is queued can be delivered.
        close_timeout_s=0.2,
    )
    async with Ledger.connect(there) as ledger:
        yield ledger


async def entries(ledger: Ledger, account: Account) -> list[str]:
    return [entry.kind for entry in reversed(await ledger.entries(account.id))][1:]


@pytest.mark.parametrize("loss", list(Loss))
async def test_a_debit_whose_answer_is_lost_is_made_once(
    ledger: Ledger, account: Account, network: Proxy, loss: Loss
) -> None:
    network.lose_next(loss)
    async with ledger.debit(account.id, 3, conversion_id=new_conversion_id()) as debit:
        assert network.lost.is_set()
        assert debit.balance == 97
    assert await entries(ledger, account) == ["consumption"]


@pytest.mark.parametrize("loss", list(Loss))
async def test_a_settle_whose_answer_is_lost_is_a_settle(
    ledger: Ledger, account: Account, network: Proxy, loss: Loss, books: asyncpg.Connection
) -> None:
    async with ledger.debit(account.id, 3, conversion_id=new_conversion_id()):
        network.lose_next(loss)
    assert network.lost.is_set()
    assert await entries(ledger, account) == ["consumption"]
    assert await books.fetchval("select count(*) from credits.open_debit") == 0


@pytest.mark.parametrize("loss", list(Loss))
async def test_a_refund_whose_answer_is_lost_is_made_once(
    ledger: Ledger, account: Account, network: Proxy, loss: Loss
) -> None:
    debit = ledger.debit(account.id, 3, conversion_id=new_conversion_id())
    await debit.__aenter__()
    network.lose_next(loss)
    await debit.__aexit__(ZeroDivisionError, ZeroDivisionError(), None)
    assert network.lost.is_set()
    assert await entries(ledger, account) == ["consumption", "refund"]


@pytest.mark.parametrize("loss", list(Loss))
async def test_a_purchase_whose_answer_is_lost_is_booked_once(
    ledger: Ledger, account: Account, network: Proxy, loss: Loss
) -> None:
    network.lose_next(loss)
    assert await ledger.accounts.purchase(account.id, 50, "payment 1") == 150
    assert network.lost.is_set()
    assert await entries(ledger, account) == ["purchase"]


async def test_a_refusal_whose_answer_is_lost_is_a_refusal(
    ledger: Ledger, account: Account, network: Proxy
) -> None:
    network.lose_next(Loss.ANSWER)
    with pytest.raises(InsufficientCredits):
        async with ledger.debit(account.id, 101, conversion_id=new_conversion_id()):
            pytest.fail("the block must not run")
    assert await entries(ledger, account) == []


async def test_a_batch_whose_answer_is_lost_is_answered_in_full(
    ledger: Ledger, account: Account, network: Proxy, books: asyncpg.Connection
) -> None:
    """Two settles, two refunds, a debit that succeeds and one that does not, in one batch."""
    debits = [ledger.debit(account.id, 10, conversion_id=new_conversion_id()) for _ in range(5)]
    first, second, third, fourth, fifth = debits
    too_much = ledger.debit(account.id, 1000, conversion_id=new_conversion_id())
    for debit in (first, second, third, fourth):
        await debit.__aenter__()
    network.lose_next(Loss.ANSWER)
    failed = (ZeroDivisionError, ZeroDivisionError(), None)
    results = await asyncio.gather(
        first.settle(),
        second.settle(),
        third.__aexit__(*failed),
        fourth.__aexit__(*failed),
        fifth.__aenter__(),
        too_much.__aenter__(),
        return_exceptions=True,
    )
    assert network.lost.is_set()
    assert isinstance(results[5], InsufficientCredits)
    assert results[:5] == [None, None, None, None, fifth]
    assert await ledger.balance(account.id) == 70
    assert await books.fetchval("select count(*) from credits.open_debit") == 1


async def test_while_postgresql_is_away_a_debit_is_refused_without_waiting_for_it(
    ledger: Ledger, account: Account, network: Proxy
) -> None:
    assert ledger.healthy()
    await network.cut()
    with pytest.raises(LedgerUnavailable) as refusal:
        async with ledger.debit(account.id, 3, conversion_id=new_conversion_id()):
            pytest.fail("the block must not run")
    assert refusal.value.retry_after_s > 0
    assert not ledger.healthy()
    with pytest.raises(LedgerUnavailable):
        await ledger.balance(account.id)
    with pytest.raises(LedgerUnavailable):
        await ledger.accounts.grant(account.id, 1, "while away")
    with pytest.raises(LedgerUnavailable):
        await ledger.ping()


async def test_while_postgresql_is_away_no_key_is_believed_from_memory(
    ledger: Ledger, account: Account, network: Proxy
) -> None:
    """Its revocation could not be heard."""
    key = await ledger.keys.create(account.id, "laptop")
    await eventually(lambda: _is(ledger.keys.hearing.now))
    assert await ledger.keys.authenticate(key.secret) is not None
    await network.cut()
    await eventually(lambda: _is(not ledger.keys.hearing.now and not ledger.healthy()))
    with pytest.raises(LedgerUnavailable):
        await ledger.keys.authenticate(key.secret)


async def test_it_is_noticed_that_postgresql_went_away_and_came_back_without_a_request(
    ledger: Ledger, network: Proxy
) -> None:
    await network.cut()
    await eventually(lambda: _is(not ledger.healthy()))
    await network.open()
    await eventually(lambda: _is(ledger.healthy()))
    await ledger.ping()


async def test_what_ran_when_postgresql_went_away_is_settled_or_refunded_when_it_returns(
    ledger: Ledger, account: Account, network: Proxy, books: asyncpg.Connection
) -> None:
    good = ledger.debit(account.id, 1, conversion_id=new_conversion_id())
    bad = ledger.debit(account.id, 2, conversion_id=new_conversion_id())
    await good.__aenter__()
    await bad.__aenter__()
    await network.cut()
    await eventually(lambda: _is(not ledger.healthy()))
    settling = asyncio.create_task(good.__aexit__(None, None, None))
    # Who is refunded is not kept waiting: the refund is safe with the writer, or with the lease.
    await bad.__aexit__(ZeroDivisionError, ZeroDivisionError(), None)
    assert not settling.done()
    await network.open()
    await settling
    await eventually(lambda: _nothing_open(books))
    assert await entries(ledger, account) == ["consumption", "consumption", "refund"]
    assert await ledger.balance(account.id) == 99


async def test_a_debit_that_was_under_way_when_postgresql_went_away_is_not_charged(
    ledger: Ledger, account: Account, network: Proxy, books: asyncpg.Connection
) -> None:
    """The server may have done it, and cannot be asked: the caller is refused at once."""
    async with turn_taken(books):
        entering = asyncio.create_task(
            ledger.debit(account.id, 3, conversion_id=new_conversion_id()).__aenter__()
        )
        await writer_waits(books)
        await network.cut()
        with pytest.raises(LedgerUnavailable):
            await entering
    await network.open()
    await eventually(lambda: _is(ledger.healthy()))
    await ledger.accounts.grant(account.id, 1, "after the return")
    assert await ledger.balance(account.id) == 101
    assert await books.fetchval("select count(*) from credits.open_debit") == 0


async def test_who_waits_for_a_refund_when_postgresql_goes_away_is_let_go(
    ledger: Ledger, account: Account, network: Proxy, books: asyncpg.Connection
) -> None:
    debit = ledger.debit(account.id, 3, conversion_id=new_conversion_id())
    await debit.__aenter__()
    async with turn_taken(books):
        leaving = asyncio.create_task(debit.__aexit__(OSError, OSError(), None))
        await writer_waits(books)
        await network.cut()
        await leaving
    await network.open()
    await eventually(lambda: _nothing_open(books))
    await eventually(lambda: _is(ledger.healthy()))
    assert await ledger.balance(account.id) == 100


async def test_a_backend_that_is_terminated_under_the_writer_goes_unnoticed(
    ledger: Ledger, account: Account, books: asyncpg.Connection
) -> None:
    for _ in range(5):
        async with ledger.debit(account.id, 1, conversion_id=new_conversion_id()):
            await books.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where datname = current_database() and pid <> pg_backend_pid()"
            )
    assert await ledger.balance(account.id) == 95


async def test_a_cancelled_settle_is_carried_to_its_end_and_then_raised(
    ledger: Ledger, account: Account, books: asyncpg.Connection
) -> None:
    debit = ledger.debit(account.id, 1, conversion_id=new_conversion_id())
    await debit.__aenter__()
    async with turn_taken(books):
        leaving = asyncio.create_task(debit.__aexit__(None, None, None))
        await writer_waits(books)
        leaving.cancel()
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.sleep(0)
        assert not leaving.done()
    await asyncio.wait([leaving])
    assert leaving.cancelled()
    assert await ledger.balance(account.id) == 99
    assert await books.fetchval("select count(*) from credits.open_debit") == 0


async def test_a_ledger_that_closes_while_postgresql_is_away_does_not_hang(
    settings: LedgerSettings, proxy: tuple[Proxy, str]
) -> None:
    """What it could not deliver is refunded by the lease."""
    network, dsn = proxy
    impatient = msgspec.structs.replace(settings, dsn=dsn, close_timeout_s=0.1)
    async with Ledger.connect(impatient) as ledger:
        account = await ledger.accounts.create("Ada", 100, "test")
        debit = ledger.debit(account.id, 3, conversion_id=new_conversion_id())
        await debit.__aenter__()
        await network.cut()
        await eventually(lambda: _is(not ledger.healthy()))
        settling = asyncio.create_task(debit.settle())
    with pytest.raises(LedgerUnavailable):
        await settling
    with pytest.raises(LedgerUnavailable):  # nor does who comes even later
        await debit.settle()
    async with Ledger.connect(settings) as other:
        await eventually(lambda: _balance_is(other, account, 100))


async def test_a_postmaster_killed_in_between_loses_and_doubles_nothing() -> None:
    """The embedded server, its own supervisor, and SIGKILL at a moment of load."""
    with private_home() as home:
        async with EmbeddedPostgres(home, durable=False) as postgres:
            await migrate(postgres.dsn)
            settings = LedgerSettings(dsn=postgres.dsn, pepper=os.urandom(32))
            async with Ledger.connect(settings) as ledger:
                account = await ledger.accounts.create("Ada", 10_000, "test")
                settled = 0
                refused = 0

                async def load() -> None:
                    nonlocal settled, refused
                    for _ in range(100):
                        try:
                            async with ledger.debit(
                                account.id, 1, conversion_id=new_conversion_id()
                            ):
                                await asyncio.sleep(0.001)
                        except LedgerUnavailable:
                            refused += 1
                            await eventually(lambda: _is(ledger.healthy()))
                        else:
                            settled += 1

                loads = [asyncio.create_task(load()) for _ in range(10)]
                await eventually(lambda: _is(settled > 100))
                assert postgres.pid is not None
                os.kill(postgres.pid, signal.SIGKILL)
                await asyncio.gather(*loads)
                await eventually(lambda: _no_open_debits(ledger))
                assert await ledger.balance(account.id) == 10_000 - settled
                assert await ledger.audit() == []
                assert settled + refused == 1000


async def _is(condition: bool) -> bool:
    return condition


async def _nothing_open(books: asyncpg.Connection) -> bool:
    return bool(await books.fetchval("select count(*) = 0 from credits.open_debit"))


async def _no_open_debits(ledger: Ledger) -> bool:
    return (await ledger.trial_balance()).open_debits == 0


async def _balance_is(ledger: Ledger, account: Account, balance: int) -> bool:
    return await ledger.balance(account.id) == balance
