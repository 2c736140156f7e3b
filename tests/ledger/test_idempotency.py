"""Idempotency keys: a request that is paid for is never paid for again within a day."""

import asyncio
import hashlib

import asyncpg
import pytest

from ledger.accounts.accounts import Account
from ledger.conversion_id import new_conversion_id
from ledger.credits.operation import IdempotencyKey
from ledger.errors import InsufficientCredits, KeyInFlight, KeyMismatch
from ledger.ledger import Ledger


def key(name: str = "key-1", request: bytes = b"request") -> IdempotencyKey:
    return IdempotencyKey(name, hashlib.sha256(request).digest())


async def paid(ledger: Ledger, account: Account, idempotency_key: IdempotencyKey) -> None:
    async with ledger.debit(
        account.id, 3, conversion_id=new_conversion_id(), key=idempotency_key
    ) as debit:
        assert not debit.repeat


async def test_a_repeat_of_a_paid_request_converts_again_without_a_debit(
    ledger: Ledger, account: Account
) -> None:
    await paid(ledger, account, key())
    async with ledger.debit(account.id, 3, conversion_id=new_conversion_id(), key=key()) as debit:
        assert (debit.repeat, debit.credits, debit.balance) == (True, 0, 97)
    assert await ledger.balance(account.id) == 97


async def test_a_failed_repeat_stays_paid_for(ledger: Ledger, account: Account) -> None:
    await paid(ledger, account, key())
    with pytest.raises(ZeroDivisionError):
        async with ledger.debit(account.id, 3, conversion_id=new_conversion_id(), key=key()):
            raise ZeroDivisionError
    assert await ledger.balance(account.id) == 97
    async with ledger.debit(account.id, 3, conversion_id=new_conversion_id(), key=key()) as debit:
        assert debit.repeat


async def test_the_key_of_another_request_is_refused(ledger: Ledger, account: Account) -> None:
    await paid(ledger, account, key())
    with pytest.raises(KeyMismatch):
        await paid(ledger, account, key(request=b"another request"))
    assert await ledger.balance(account.id) == 97


async def test_while_the_first_request_runs_its_repeat_is_told_to_wait(
    ledger: Ledger, account: Account
) -> None:
    async with ledger.debit(account.id, 3, conversion_id=new_conversion_id(), key=key()):
        with pytest.raises(KeyInFlight):
            await paid(ledger, account, key())
        with pytest.raises(KeyMismatch):
            await paid(ledger, account, key(request=b"another request"))
    assert await ledger.balance(account.id) == 97


async def test_of_many_at_once_with_one_key_one_is_charged(
    ledger: Ledger, account: Account
) -> None:
    results = await asyncio.gather(
        *(paid(ledger, account, key()) for _ in range(20)), return_exceptions=True
    )
    assert results.count(None) == 1
    assert sum(isinstance(result, KeyInFlight) for result in results) == 19
    assert await ledger.balance(account.id) == 97


async def test_after_a_failure_the_key_is_free_for_a_new_attempt(
    ledger: Ledger, account: Account
) -> None:
    with pytest.raises(ZeroDivisionError):
        async with ledger.debit(account.id, 3, conversion_id=new_conversion_id(), key=key()):
            raise ZeroDivisionError
    await paid(ledger, account, key(request=b"even with another request"))
    assert await ledger.balance(account.id) == 97


async def test_after_a_refusal_the_key_is_free_for_a_new_attempt(
    ledger: Ledger, account: Account
) -> None:
    with pytest.raises(InsufficientCredits):
        async with ledger.debit(account.id, 101, conversion_id=new_conversion_id(), key=key()):
            pytest.fail("the block must not run")
    await paid(ledger, account, key())


async def test_keys_of_different_accounts_have_nothing_to_do_with_each_other(
    ledger: Ledger, account: Account
) -> None:
    other = await ledger.accounts.create("Grace", 100, "test")
    await paid(ledger, account, key())
    await paid(ledger, other, key())
    assert await ledger.balance(other.id) == 97


async def test_a_key_is_forgotten_after_a_day(
    ledger: Ledger, account: Account, books: asyncpg.Connection
) -> None:
    await paid(ledger, account, key())
    kept = await books.fetchval(
        "select expires_at - now() between '23:59' and '24:00' from credits.idempotency_key"
    )
    assert kept
    await books.execute("update credits.idempotency_key set expires_at = now()")
    await paid(ledger, account, key())
    assert await ledger.balance(account.id) == 94


async def test_old_keys_are_cleared_away(
    ledger: Ledger, account: Account, books: asyncpg.Connection
) -> None:
    await paid(ledger, account, key("old"))
    await books.execute("update credits.idempotency_key set expires_at = now()")
    await paid(ledger, account, key("young"))
    assert await ledger.upkeep.forget_keys() == 1
    assert [row["key"] for row in await books.fetch("select key from credits.idempotency_key")] == [
        "young"
    ]


@pytest.mark.parametrize("text", ["", "x" * 256, "nul\x00", "lone \ud800 surrogate"])
def test_a_key_that_the_database_could_not_keep_is_refused_at_once(text: str) -> None:
    with pytest.raises(ValueError, match="idempotency key"):
        key(text)


def test_a_fingerprint_is_a_sha256() -> None:
    with pytest.raises(ValueError, match="SHA-256"):
        IdempotencyKey("key", b"short")
