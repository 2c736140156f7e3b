"""Credentials for customers' storage: sealed for their place, replaced whole, and mortal."""

import asyncpg
import pytest

from ledger.accounts.accounts import Account
from ledger.connections.connections import (
    ACCOUNT_CONNECTIONS_MAX,
    PLAIN_BYTES_MAX,
    NewConnection,
)
from ledger.errors import ConnectionsExceeded, ConnectionUnknown, DamagedEnvelope
from ledger.ledger import Ledger

SECRET = b'{"secret_access_key":"sesame-4711"}'
NEW = NewConnection(kind="s3", label="archive", host="s3.example", document=SECRET)


async def test_a_connection_is_listed_without_what_opens_it(
    ledger: Ledger, account: Account
) -> None:
    made = await ledger.connections.create(account.id, NEW)
    assert (made.kind, made.label, made.host, made.last_used_at) == (
        *("s3", "archive", "s3.example"),
        None,
    )
    assert await ledger.connections.list(account.id) == [made]
    assert await ledger.connections.get(account.id, made.id) == made
    assert b"sesame" not in repr((made, NEW)).encode()


async def test_it_is_opened_at_its_use_which_is_noted(ledger: Ledger, account: Account) -> None:
    made = await ledger.connections.create(account.id, NEW)
    assert await ledger.connections.open(account.id, made.id, used=False) == SECRET
    assert (await ledger.connections.get(account.id, made.id)).last_used_at is None
    assert await ledger.connections.open(account.id, made.id) == SECRET
    assert (await ledger.connections.get(account.id, made.id)).last_used_at is not None


@pytest.mark.claim("C-CONN-1")
async def test_nothing_of_the_credentials_stands_in_the_clear(
    ledger: Ledger, account: Account, books: asyncpg.Connection
) -> None:
    await ledger.connections.create(account.id, NEW)
    row = await books.fetchrow("select c::text, sealed from connections.connection c")
    assert "sesame" not in row[0]
    assert b"sesame" not in row[1]


@pytest.mark.claim("C-CONN-2")
async def test_what_is_moved_to_another_account_or_connection_does_not_open(
    ledger: Ledger, account: Account, books: asyncpg.Connection
) -> None:
    other = await ledger.accounts.create("Eve")
    mine = await ledger.connections.create(account.id, NEW)
    second = await ledger.connections.create(account.id, NEW)
    await books.execute(
        "update connections.connection set sealed ="
        " (select sealed from connections.connection where id = $1) where id = $2",
        *(mine.id, second.id),
    )
    with pytest.raises(DamagedEnvelope):
        await ledger.connections.open(account.id, second.id)
    await books.execute(
        "update connections.connection set account_id = $1 where id = $2", other.id, mine.id
    )
    with pytest.raises(DamagedEnvelope):
        await ledger.connections.open(other.id, mine.id)


async def test_another_accounts_connection_is_not_there(ledger: Ledger, account: Account) -> None:
    other = await ledger.accounts.create("Eve")
    made = await ledger.connections.create(account.id, NEW)
    for asked in (
        ledger.connections.get(other.id, made.id),
        ledger.connections.open(other.id, made.id),
        ledger.connections.replace(other.id, made.id, NEW),
        ledger.connections.checked(other.id, made.id, "ok"),
    ):
        with pytest.raises(ConnectionUnknown):
            await asked
    await ledger.connections.delete(other.id, made.id)
    assert await ledger.connections.get(account.id, made.id) == made


async def test_a_replacement_is_of_all_of_it_and_forgets_the_last_check(
    ledger: Ledger, account: Account
) -> None:
    made = await ledger.connections.create(account.id, NEW)
    assert (await ledger.connections.checked(account.id, made.id, "ok")).found == "ok"
    anew = NewConnection(kind="http", label="b", host="other.example", document=b"{}")
    replaced = await ledger.connections.replace(account.id, made.id, anew)
    assert (replaced.id, replaced.kind, replaced.host) == (made.id, "http", "other.example")
    assert (replaced.found, replaced.checked_at) == (None, None)
    assert replaced.changed_at > made.changed_at
    assert await ledger.connections.open(account.id, made.id) == b"{}"


async def test_an_account_has_so_many_and_no_more(ledger: Ledger, account: Account) -> None:
    for _ in range(ACCOUNT_CONNECTIONS_MAX):
        made = await ledger.connections.create(account.id, NEW)
    with pytest.raises(ConnectionsExceeded):
        await ledger.connections.create(account.id, NEW)
    await ledger.connections.delete(account.id, made.id)
    await ledger.connections.delete(account.id, made.id)
    await ledger.connections.create(account.id, NEW)


async def test_a_document_that_is_too_long_is_refused(ledger: Ledger, account: Account) -> None:
    long = NewConnection(kind="s3", label="a", host="h", document=bytes(PLAIN_BYTES_MAX + 1))
    with pytest.raises(ValueError, match="bytes"):
        await ledger.connections.create(account.id, long)


@pytest.mark.claim("C-CONN-4")
async def test_an_account_that_is_closed_takes_its_credentials_along(
    ledger: Ledger, account: Account, books: asyncpg.Connection
) -> None:
    other = await ledger.accounts.create("Eve")
    await ledger.connections.create(account.id, NEW)
    kept = await ledger.connections.create(other.id, NEW)
    await ledger.accounts.set_status(account.id, "frozen")
    assert len(await ledger.connections.list(account.id)) == 1
    await ledger.accounts.set_status(account.id, "closed")
    assert await books.fetchval("select count(*) from connections.connection") == 1
    assert await ledger.connections.list(other.id) == [kept]
