"""Gateways that die, pause or are cut off: what they left open is refunded, by whoever lives."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import asyncpg
import msgspec
import pytest

from ledger.accounts.accounts import Account
from ledger.conversion_id import new_conversion_id
from ledger.errors import DebitLapsed
from ledger.ledger import Ledger
from ledger.settings import LedgerSettings
from tests.ledger.waiting import eventually

# Another process: opens debits, says so, and beats on; at a line of input it settles them.
GATEWAY = """
import asyncio, sys
import msgspec
from ledger.conversion_id import new_conversion_id
from ledger.errors import DebitLapsed
from ledger.ledger import Ledger
from ledger.settings import LedgerSettings

async def main():
    settings = msgspec.json.decode(sys.argv[1].encode(), type=LedgerSettings)
    async with Ledger.connect(settings) as ledger:
        debits = [
            ledger.debit(int(sys.argv[2]), 1, conversion_id=new_conversion_id()) for _ in range(7)
        ]
        for debit in debits:
            await debit.__aenter__()
        print("open", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        lapsed = 0
        for debit in debits:
            try:
                await debit.settle()
            except DebitLapsed:
                lapsed += 1
        async with ledger.debit(int(sys.argv[2]), 1, conversion_id=new_conversion_id()) as debit:
            print("lapsed", lapsed, "balance", debit.balance, flush=True)

asyncio.run(main())
"""
ROOT = Path(__file__).parents[2]


async def start_gateway(settings: LedgerSettings, account: Account) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", GATEWAY),
        *(msgspec.json.encode(settings).decode(), str(account.id)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"open\n"
    return process


async def test_debits_of_a_gateway_that_was_killed_are_refunded(
    ledger: Ledger, account: Account, settings: LedgerSettings
) -> None:
    gateway = await start_gateway(settings, account)
    assert await ledger.balance(account.id) == 93
    gateway.send_signal(signal.SIGKILL)
    await gateway.wait()
    await eventually(lambda: _balance_is(ledger, account, 100))
    refunds = [e for e in await ledger.entries(account.id) if e.kind == "refund"]
    assert [refund.reason for refund in refunds] == ["abandoned"] * 7


async def test_debits_of_a_gateway_that_lives_are_left_alone(
    ledger: Ledger, account: Account, settings: LedgerSettings, books: asyncpg.Connection
) -> None:
    """For five beats, which is longer than the term of the lease."""
    gateway = await start_gateway(settings, account)
    for _ in range(5):
        beaten = await books.fetchval("select min(expires_at) from credits.gateway")
        await eventually(
            lambda beaten=beaten: _is_so(
                books, "select min(expires_at) > $1 from credits.gateway", beaten
            )
        )
        assert await ledger.sweeper.sweep() == 0
    assert await ledger.balance(account.id) == 93
    gateway.send_signal(signal.SIGKILL)
    await gateway.wait()


async def test_a_paused_gateway_wakes_up_to_lapsed_debits_and_goes_on(
    ledger: Ledger, account: Account, settings: LedgerSettings
) -> None:
    gateway = await start_gateway(settings, account)
    gateway.send_signal(signal.SIGSTOP)
    await eventually(lambda: _balance_is(ledger, account, 100))
    gateway.send_signal(signal.SIGCONT)
    answer, _ = await gateway.communicate(b"go on\n")
    assert answer == b"lapsed 7 balance 99\n"
    assert gateway.returncode == 0


async def test_a_gateway_whose_lease_was_revoked_settles_nothing_and_debits_again(
    ledger: Ledger, account: Account, books: asyncpg.Connection
) -> None:
    debit = ledger.debit(account.id, 3, conversion_id=new_conversion_id())
    await debit.__aenter__()
    await books.execute("delete from credits.gateway")
    await ledger.sweeper.sweep()
    with pytest.raises(DebitLapsed):
        await debit.__aexit__(None, None, None)
    async with ledger.debit(account.id, 3, conversion_id=new_conversion_id()) as again:
        assert again.balance == 97
        assert await books.fetchval(
            "select g.id is not null from credits.open_debit o"
            " left join credits.gateway g on g.id = o.gateway_id"
        )
    assert await ledger.balance(account.id) == 97


async def test_many_debits_at_once_survive_a_revoked_lease(
    ledger: Ledger, account: Account, books: asyncpg.Connection
) -> None:
    await books.execute("delete from credits.gateway")

    async def convert() -> None:
        async with ledger.debit(account.id, 1, conversion_id=new_conversion_id()):
            pass

    await asyncio.gather(*(convert() for _ in range(50)))
    assert await ledger.balance(account.id) == 50


async def test_a_late_beat_keeps_the_lease_while_nobody_has_revoked_it(
    settings: LedgerSettings, books: asyncpg.Connection
) -> None:
    quiet = msgspec.structs.replace(settings, lease_s=3600.0)
    async with Ledger.connect(quiet) as ledger:
        account = await ledger.accounts.create("Ada", 100, "test")
        await books.execute("update credits.gateway set expires_at = now() - interval '1 day'")
        async with ledger.debit(account.id, 3, conversion_id=new_conversion_id()):
            # The server started less than this sweeper's term ago: it gives everybody a term.
            assert await ledger.sweeper.sweep() == 0
        assert await ledger.balance(account.id) == 97


async def test_a_ledger_that_is_closed_gives_its_lease_back(
    settings: LedgerSettings, books: asyncpg.Connection
) -> None:
    async with Ledger.connect(settings):
        assert await books.fetchval("select count(*) from credits.gateway") == 1
    assert await books.fetchval("select count(*) from credits.gateway") == 0


async def test_a_sweep_is_bounded_and_the_next_one_goes_on(
    ledger: Ledger, books: asyncpg.Connection
) -> None:
    account = await ledger.accounts.create("Grace", 3000, "test")
    debits = [ledger.debit(account.id, 1, conversion_id=new_conversion_id()) for _ in range(2100)]
    await asyncio.gather(*(debit.__aenter__() for debit in debits))
    await books.execute("update credits.open_debit set deadline = now()")
    await eventually(lambda: _balance_is(ledger, account, 3000))


async def _is_so(books: asyncpg.Connection, question: str, *arguments: object) -> bool:
    return bool(await books.fetchval(question, *arguments))


async def _balance_is(ledger: Ledger, account: Account, balance: int) -> bool:
    return await ledger.balance(account.id) == balance


def test_a_lease_is_longer_than_a_pause_for_breath() -> None:
    assert LedgerSettings(dsn="postgresql:///", pepper=os.urandom(16)).lease_s >= 15
