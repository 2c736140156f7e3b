"""The life of a debit: taken, settled, refunded; refused; cancelled anywhere."""

import asyncio
from collections.abc import Coroutine, Generator
from typing import Any

import asyncpg
import pytest

from ledger.accounts.accounts import Account
from ledger.conversion_id import new_conversion_id
from ledger.errors import (
    AccountFrozen,
    AccountUnknown,
    DebitLapsed,
    InsufficientCredits,
)
from ledger.ledger import Ledger
from tests.ledger.waiting import turn_taken, writer_waits


class ConversionFailed(Exception):
    pass


async def kinds(ledger: Ledger, account: Account) -> list[str]:
    return [entry.kind for entry in reversed(await ledger.entries(account.id))][1:]


async def test_leaving_the_block_settles(ledger: Ledger, account: Account) -> None:
    async with ledger.debit(account.id, 3, conversion_id=new_conversion_id()) as debit:
        assert (debit.credits, debit.balance, debit.repeat) == (3, 97, False)
        assert await ledger.balance(account.id) == 97
    assert await ledger.balance(account.id) == 97
    assert await kinds(ledger, account) == ["consumption"]


async def test_an_exception_in_the_block_refunds_and_goes_on(
    ledger: Ledger, account: Account
) -> None:
    with pytest.raises(ConversionFailed):
        async with ledger.debit(account.id, 3, conversion_id=new_conversion_id()):
            raise ConversionFailed
    assert await ledger.balance(account.id) == 100
    assert await kinds(ledger, account) == ["consumption", "refund"]


async def test_a_refund_names_its_conversion_and_its_reason(
    ledger: Ledger, account: Account
) -> None:
    conversion_id = new_conversion_id()
    with pytest.raises(ConversionFailed):
        async with ledger.debit(account.id, 3, conversion_id=conversion_id):
            raise ConversionFailed
    refund = (await ledger.entries(account.id))[0]
    assert (refund.conversion_id, refund.credits, refund.reason) == (conversion_id, 3, "failed")


async def test_an_early_settle_is_final_even_if_the_block_fails_later(
    ledger: Ledger, account: Account
) -> None:
    async def convert() -> None:
        async with ledger.debit(account.id, 3, conversion_id=new_conversion_id()) as debit:
            await debit.settle()
            await debit.settle()
            raise ConversionFailed

    with pytest.raises(ConversionFailed):
        await convert()
    assert await ledger.balance(account.id) == 97
    assert await kinds(ledger, account) == ["consumption"]


async def test_a_debit_beyond_the_balance_is_refused_and_says_both(
    ledger: Ledger, account: Account
) -> None:
    with pytest.raises(InsufficientCredits) as refusal:
        async with ledger.debit(account.id, 101, conversion_id=new_conversion_id()):
            pytest.fail("the block must not run")
    assert (refusal.value.cost, refusal.value.balance) == (101, 100)
    assert "101 credits" in str(refusal.value)
    assert await kinds(ledger, account) == []


async def test_the_last_credit_can_be_spent(ledger: Ledger, account: Account) -> None:
    async with ledger.debit(account.id, 100, conversion_id=new_conversion_id()) as debit:
        assert debit.balance == 0


async def test_an_unknown_account_is_refused(ledger: Ledger) -> None:
    with pytest.raises(AccountUnknown):
        async with ledger.debit(4711, 1, conversion_id=new_conversion_id()):
            pytest.fail("the block must not run")


async def test_a_frozen_account_spends_nothing(ledger: Ledger, account: Account) -> None:
    await ledger.accounts.set_status(account.id, "frozen")
    with pytest.raises(AccountFrozen):
        async with ledger.debit(account.id, 1, conversion_id=new_conversion_id()):
            pytest.fail("the block must not run")


async def test_what_ran_when_the_account_was_frozen_still_ends(
    ledger: Ledger, account: Account
) -> None:
    async with ledger.debit(account.id, 1, conversion_id=new_conversion_id()):
        await ledger.accounts.set_status(account.id, "frozen")
    assert await ledger.balance(account.id) == 99


@pytest.mark.parametrize("cost", [0, -1, 2**53])
async def test_a_debit_of_no_sensible_size_is_a_mistake_of_the_caller(
    ledger: Ledger, account: Account, cost: int
) -> None:
    with pytest.raises(ValueError, match="credit"):
        async with ledger.debit(account.id, cost, conversion_id=new_conversion_id()):
            pytest.fail("the block must not run")


async def test_no_transaction_and_no_lock_is_held_in_the_block(
    ledger: Ledger, account: Account, books: asyncpg.Connection
) -> None:
    async with ledger.debit(account.id, 1, conversion_id=new_conversion_id()):
        busy = await books.fetchval(
            "select count(*) from pg_stat_activity"
            " where datname = current_database() and xact_start is not null"
            "   and pid <> pg_backend_pid() and backend_type = 'client backend'"
        )
        assert busy == 0


async def test_a_settle_after_the_deadline_says_that_the_debit_lapsed(
    ledger: Ledger, account: Account, books: asyncpg.Connection
) -> None:
    debit = ledger.debit(account.id, 3, conversion_id=new_conversion_id())
    await debit.__aenter__()
    await books.execute("update credits.open_debit set deadline = now()")
    assert await ledger.sweeper.sweep() == 1
    with pytest.raises(DebitLapsed):
        await debit.__aexit__(None, None, None)
    assert await ledger.balance(account.id) == 100


async def test_cancelled_at_any_await_the_books_are_right(
    ledger: Ledger, account: Account, books: asyncpg.Connection
) -> None:
    """Cancel the task at its first, second, … suspension, until it gets through uncancelled."""
    delivered = 0
    for suspension in range(1, 100):
        finished: list[bool] = []
        convert = _conversion(ledger, account, finished)
        task = asyncio.create_task(_cancelling(convert, suspension))
        await asyncio.wait([task])
        delivered += bool(finished)
        assert await books.fetchval("select count(*) from credits.open_debit") == 0
        assert await ledger.balance(account.id) == 100 - delivered
        if not task.cancelled():
            assert suspension > 5
            return
    pytest.fail("it never got through")


async def _conversion(ledger: Ledger, account: Account, finished: list[bool]) -> None:
    async with ledger.debit(account.id, 1, conversion_id=new_conversion_id()):
        for _ in range(3):
            await asyncio.sleep(0)
        finished.append(True)


async def _cancelling(coroutine: Coroutine[Any, Any, None], suspension: int) -> None:
    await _CancellingAt(coroutine, suspension)


class _CancellingAt:
    """Awaits a coroutine, and cancels the task at the coroutine's n-th suspension."""

    def __init__(self, coroutine: Coroutine[Any, Any, None], suspension: int) -> None:
        self._coroutine = coroutine
        self._left = suspension

    def __await__(self) -> Generator[Any, Any, None]:
        steps = self._coroutine.__await__()
        error: BaseException | None = None
        while True:
            try:
                awaited = steps.send(None) if error is None else steps.throw(error)
            except StopIteration:
                return
            error = None
            self._left -= 1
            if self._left == 0:
                task = asyncio.current_task()
                assert task is not None
                task.cancel()
            try:
                yield awaited
            except BaseException as thrown:  # noqa: BLE001 (handed on to the coroutine)
                error = thrown


async def test_a_client_that_hangs_up_while_its_debit_waits_is_not_charged(
    ledger: Ledger, account: Account, books: asyncpg.Connection
) -> None:
    """The writer is held back by a lock, so that the debit is under way when the task ends."""
    async with turn_taken(books):
        sent = asyncio.create_task(_conversion(ledger, account, []))
        await writer_waits(books)
        queued = asyncio.create_task(_conversion(ledger, account, []))
        await asyncio.sleep(0)
        sent.cancel()
        queued.cancel()
        await asyncio.wait([queued])
    await asyncio.wait([sent])
    assert sent.cancelled()
    assert queued.cancelled()
    assert await kinds(ledger, account) == ["consumption", "refund"]
    assert await ledger.balance(account.id) == 100
    assert await books.fetchval("select count(*) from credits.open_debit") == 0
