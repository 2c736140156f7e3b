"""kill -9 of whoever took a webhook: before its commit nothing is there, after it all of it is."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from ledger.accounts.accounts import Account
from ledger.billing.payment import EventState
from ledger.ledger import Ledger
from ledger.settings import LedgerSettings
from tests.ledger.test_billing import bought

TURN = "select count(*) from pg_locks where not granted and relation = 'credits.turn'::regclass"


@asynccontextmanager
async def receiver(
    settings: LedgerSettings, account: Account
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process that takes the webhook; killed at the end of the block."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.ledger.billing_killed_at", settings.dsn, str(account.id)),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout
    async with asyncio.timeout(60):
        assert await process.stdout.readline() == b"taken\n"
        yield process
    process.kill()
    assert await process.wait() == -signal.SIGKILL


@pytest.mark.parametrize("seen", [True, False], ids=["seen to die", "not yet seen to die"])
async def test_killed_before_the_commit_it_counts_once_when_it_comes_again(
    *,
    ledger: Ledger,
    settings: LedgerSettings,
    account: Account,
    books: asyncpg.Connection,
    seen: bool,
) -> None:
    async with books.transaction():
        # Nobody moves credits now: whoever has a webhook waits with it.
        await books.execute("lock table credits.turn in share row exclusive mode")
        async with receiver(settings, account):
            while not await books.fetchval(TURN):  # noqa: ASYNC110 -- in the database
                await asyncio.sleep(0.01)
        # A server that has not seen the death goes on for the dead one when it is its turn.
        if seen:
            await books.execute(
                "select pg_terminate_backend(pid) from pg_locks where not granted"
                " and relation = 'credits.turn'::regclass"
            )
            assert await ledger.balance(account.id) == 100
            assert await books.fetchval("select count(*) from billing.event") == 0
    # The provider got no answer, and sends again.
    said = await ledger.billing.apply(bought(account))
    assert said.state in ({EventState.APPLIED} if seen else {EventState.APPLIED, EventState.REPEAT})
    assert await ledger.balance(account.id) == 600


async def test_killed_after_the_commit_it_came_once(
    ledger: Ledger, settings: LedgerSettings, account: Account
) -> None:
    async with receiver(settings, account) as process:
        assert process.stdout
        assert await process.stdout.readline() == b"booked\n"
    assert await ledger.balance(account.id) == 600
    assert (await ledger.billing.apply(bought(account))).state is EventState.REPEAT
    assert await ledger.balance(account.id) == 600
