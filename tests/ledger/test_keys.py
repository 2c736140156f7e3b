"""API keys: their text, their hash, their revocation."""

import asyncio
import os
from typing import cast

import asyncpg
import msgspec
import pytest

from ledger.accounts.accounts import Account
from ledger.accounts.keys import Keys
from ledger.accounts.secret import hash_secret, new_secret, parse_secret
from ledger.conversion_id import new_conversion_id
from ledger.database import Database
from ledger.errors import AccountUnknown, KeyUnknown
from ledger.ledger import Ledger
from ledger.settings import LedgerSettings
from tests.ledger.waiting import eventually


def test_a_new_key_is_well_formed_and_is_parsed_back() -> None:
    secret = new_secret()
    assert parse_secret(secret.text) == secret
    assert secret.text.startswith(f"eph_live_{secret.key_id}_")
    assert len(secret.text) == 60


def test_every_single_wrong_character_is_noticed_without_a_database() -> None:
    text = new_secret().text
    for position, character in enumerate(text):
        wrong = "x" if character != "x" else "y"
        assert parse_secret(text[:position] + wrong + text[position + 1 :]) is None


@pytest.mark.parametrize(
    "text", ["", "eph_live_", "eph_live_short", "Bearer token", "é" * 60, "eph_live_" + "_" * 51]
)
def test_what_is_no_key_is_none(text: str) -> None:
    assert parse_secret(text) is None


def test_the_hash_depends_on_the_pepper() -> None:
    secret = new_secret()
    assert hash_secret(secret, b"a" * 16) != hash_secret(secret, b"b" * 16)


def test_neither_secret_nor_key_shows_itself_in_a_log() -> None:
    secret = new_secret()
    assert secret.text not in repr(secret)


async def test_a_key_speaks_for_its_account(ledger: Ledger, account: Account) -> None:
    key = await ledger.keys.create(account.id, "laptop")
    assert key.secret not in repr(key)
    caller = await ledger.keys.authenticate(key.secret)
    assert caller is not None
    assert (caller.account_id, caller.key_id, caller.label) == (account.id, key.id, "laptop")


@pytest.mark.claim("C-KEY-1")
async def test_the_secret_is_nowhere_in_the_database(
    ledger: Ledger, account: Account, books: asyncpg.Connection
) -> None:
    key = await ledger.keys.create(account.id, "laptop")
    row = str(await books.fetchrow("select * from accounts.api_key"))
    assert key.secret[22:54] not in row


async def test_a_well_formed_key_that_was_never_made_is_refused(ledger: Ledger) -> None:
    assert await ledger.keys.authenticate(new_secret().text) is None


async def test_a_well_formed_key_with_the_id_of_another_is_refused(
    ledger: Ledger, account: Account, books: asyncpg.Connection
) -> None:
    await ledger.keys.create(account.id, "laptop")
    guess = new_secret()
    await books.execute("update accounts.api_key set id = $1", guess.key_id)
    assert await ledger.keys.authenticate(guess.text) is None


async def test_a_malformed_key_costs_no_round_trip(settings: LedgerSettings) -> None:
    async with Ledger.connect(settings) as ledger:
        ledger._database = None  # type: ignore[assignment]
        assert await ledger.keys.authenticate("eph_live_nonsense") is None


async def test_a_verified_key_is_believed_for_a_moment_without_a_round_trip(
    ledger: Ledger, account: Account, books: asyncpg.Connection
) -> None:
    key = await ledger.keys.create(account.id, "laptop")
    await eventually(lambda: _is_heard(ledger))
    await ledger.keys.authenticate(key.secret)
    await books.execute("alter table accounts.api_key rename to elsewhere")
    assert await ledger.keys.authenticate(key.secret) is not None


@pytest.mark.parametrize("name", ["id", "prefix", "secret"])
@pytest.mark.claim("C-KEY-2")
async def test_a_revoked_key_is_refused_at_once(
    ledger: Ledger, account: Account, name: str
) -> None:
    key = await ledger.keys.create(account.id, "laptop")
    assert await ledger.keys.authenticate(key.secret) is not None
    names = {"id": key.id, "prefix": f"eph_live_{key.id}", "secret": key.secret}
    await ledger.keys.revoke(names[name])
    assert await ledger.keys.authenticate(key.secret) is None
    assert [listed.revoked_at is None for listed in await ledger.keys.list(account.id)] == [False]


async def test_a_revocation_reaches_the_other_gateways(
    ledger: Ledger, account: Account, settings: LedgerSettings
) -> None:
    forever = msgspec.structs.replace(settings, key_cache_s=3600.0)
    key = await ledger.keys.create(account.id, "laptop")
    async with Ledger.connect(forever) as other:
        await eventually(lambda: _is_heard(other))
        assert await other.keys.authenticate(key.secret) is not None
        await ledger.keys.revoke(key.id)
        await eventually(lambda: _is_refused(other, key.secret))


async def test_a_listener_that_was_cut_off_believes_nothing_it_knew(
    ledger: Ledger, account: Account, settings: LedgerSettings, books: asyncpg.Connection
) -> None:
    """A revocation may have been announced to nobody."""
    forever = msgspec.structs.replace(settings, key_cache_s=3600.0)
    key = await ledger.keys.create(account.id, "laptop")
    async with Ledger.connect(forever) as other:
        await eventually(lambda: _is_heard(other))
        assert await other.keys.authenticate(key.secret) is not None
        await books.execute("alter table accounts.api_key disable trigger api_key_changed")
        await ledger.keys.revoke(key.id)
        await books.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and query ilike 'listen%'"
        )
        await eventually(lambda: _is_refused(other, key.secret))


async def test_a_crowd_that_shows_a_forgotten_key_asks_the_database_once(
    ledger: Ledger, account: Account, settings: LedgerSettings
) -> None:
    key = await ledger.keys.create(account.id, "laptop")
    keys, asked = _counted(ledger, settings)
    crowd = [asyncio.create_task(keys.authenticate(key.secret)) for _ in range(1000)]
    await asyncio.sleep(0)
    crowd.pop(0).cancel()  # the first one, who asked
    callers = await asyncio.gather(*crowd)
    assert {caller and caller.key_id for caller in callers} == {key.id}
    assert asked.times == 1


async def test_who_shows_a_key_after_a_revocation_does_not_share_an_older_answer(
    ledger: Ledger, account: Account, settings: LedgerSettings
) -> None:
    key = await ledger.keys.create(account.id, "laptop")
    keys, asked = _counted(ledger, settings)
    before = asyncio.create_task(keys.authenticate(key.secret))
    await asyncio.sleep(0)
    keys.forget()
    await keys.authenticate(key.secret)
    await before
    assert asked.times == 2


async def test_behind_a_pooler_a_revocation_is_noticed_without_being_announced(
    ledger: Ledger, account: Account, settings: LedgerSettings
) -> None:
    key = await ledger.keys.create(account.id, "laptop")
    async with Ledger.connect(msgspec.structs.replace(settings, pooled=True)) as pooled:
        assert await pooled.keys.authenticate(key.secret) is not None
        await ledger.keys.revoke(key.id)
        await eventually(lambda: _is_refused(pooled, key.secret))
        async with pooled.debit(account.id, 1, conversion_id=new_conversion_id()):
            pass
    assert await ledger.balance(account.id) == 99


async def test_the_keys_of_a_closed_account_are_refused(ledger: Ledger, account: Account) -> None:
    key = await ledger.keys.create(account.id, "laptop")
    assert await ledger.keys.authenticate(key.secret) is not None
    await ledger.accounts.set_status(account.id, "closed")
    await eventually(lambda: _is_refused(ledger, key.secret))


@pytest.mark.claim("C-KEY-1")
async def test_with_another_pepper_no_key_is_known(
    ledger: Ledger, account: Account, settings: LedgerSettings
) -> None:
    key = await ledger.keys.create(account.id, "laptop")
    async with Ledger.connect(msgspec.structs.replace(settings, pepper=os.urandom(32))) as other:
        assert await other.keys.authenticate(key.secret) is None


async def test_the_memory_for_keys_is_bounded(
    account: Account, ledger: Ledger, settings: LedgerSettings
) -> None:
    keys = await asyncio.gather(*(ledger.keys.create(account.id, "many") for _ in range(25)))
    async with Ledger.connect(msgspec.structs.replace(settings, key_cache_max=10)) as small:
        for key in keys:
            assert await small.keys.authenticate(key.secret) is not None
            assert len(small.keys.believed) <= 10


async def test_a_key_needs_an_account_and_a_label(ledger: Ledger, account: Account) -> None:
    with pytest.raises(AccountUnknown):
        await ledger.keys.create(account.id + 1, "laptop")
    with pytest.raises(ValueError, match="label"):
        await ledger.keys.create(account.id, "")


async def test_an_unknown_key_cannot_be_revoked(ledger: Ledger) -> None:
    with pytest.raises(KeyUnknown):
        await ledger.keys.revoke("eph_live_nothing")


@pytest.mark.parametrize("size", [15, 65])
def test_a_pepper_of_the_wrong_size_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="pepper"):
        LedgerSettings(dsn="postgresql:///", pepper=bytes(size))


class _Counted:
    """The database, and how many times a row of it was asked for."""

    def __init__(self, database: Database) -> None:
        self.times = 0
        self._database = database

    async def row(self, statement: str, *arguments: object) -> asyncpg.Record | None:
        self.times += 1
        return await self._database.row(statement, *arguments)


def _counted(ledger: Ledger, settings: LedgerSettings) -> tuple[Keys, _Counted]:
    asked = _Counted(ledger.keys._database)
    return Keys(cast("Database", asked), settings, ledger.keys._envelope), asked


async def _is_heard(ledger: Ledger) -> bool:
    return ledger.keys.hearing.now


async def _is_refused(ledger: Ledger, secret: str) -> bool:
    return await ledger.keys.authenticate(secret) is None
