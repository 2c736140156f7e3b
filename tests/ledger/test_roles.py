"""What the service's own role may not do, tried."""

from collections.abc import AsyncIterator

import asyncpg
import msgspec
import pytest

from ledger.accounts.accounts import Account
from ledger.connection import Connector
from ledger.conversion_id import new_conversion_id
from ledger.ledger import Ledger
from ledger.settings import LedgerSettings
from tests.postgres import TEST_DSN, Server

ATTACKS = [
    "update credits.entry set amount = 1000",
    "delete from credits.entry",
    "truncate credits.entry",
    "insert into credits.entry select * from credits.entry",
    "update credits.account set balance = balance + 1000",
    "update credits.account set seq = 0",
    "insert into credits.account (id, balance) values (1, 1000)",
    "insert into credits.account (id, status) values (1, 'active')",
    "delete from credits.account",
    "delete from credits.open_debit",
    "update credits.open_debit set deadline = 'infinity'",
    "insert into credits.open_debit values (1, gen_random_uuid(), 1, 1, now(), null)",
    "delete from credits.idempotency_key",
    "update credits.idempotency_key set expires_at = now()",
    "update accounts.api_key set hash = ''",
    "update accounts.api_key set account_id = 1",
    "delete from accounts.api_key",
    "update accounts.profile set name = 'Eve'",
    "alter table credits.entry disable trigger all",
    "drop trigger entry_append_only on credits.entry",
    "create or replace function credits.deny_change() returns int language sql as 'select 1'",
    "drop index credits.entry_once",
    "alter table credits.account drop constraint account_opens_empty",
    "set session_replication_role = replica",
    "create table credits.mine ()",
    "create schema mine",
    "insert into ephemera.migration values ('9999', 'mine', '')",
    "delete from ephemera.migration",
    "copy credits.entry to program 'cat'",
    "create function pg_temp.f() returns void language c as '/lib/x'",
    "update files.file set account_id = 1",
    "update files.half set half = ''",
    "update files.chunk set number = 1",
    "alter table files.chunk set logged",
]


@pytest.fixture
async def service(
    server: Server, database: str, ledger: Ledger, account: Account
) -> AsyncIterator[asyncpg.Connection]:
    """Give a session as the service has it, in a database with something to steal."""
    await ledger.keys.create(account.id, "laptop")
    await ledger.debit(account.id, 1, conversion_id=new_conversion_id()).__aenter__()
    connection = await asyncpg.connect(
        dsn=server.dsn(database), server_settings={"role": "ephemera_app"}
    )
    yield connection
    await connection.close()


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.claim("C-MONEY-2")
async def test_the_service_may_not(service: asyncpg.Connection, attack: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with service.transaction(isolation="serializable"):
            await service.execute(attack)


async def test_a_reset_of_the_role_leads_back_to_it(service: asyncpg.Connection) -> None:
    await service.execute("reset role")
    assert await service.fetchval("select current_user") == "ephemera_app"


async def test_all_sessions_of_the_ledger_work_as_its_role(
    ledger: Ledger, account: Account
) -> None:
    """Ask the writer's session, and one from the pool."""
    assert account.balance == 100  # so the writer has written
    async with ledger._database.session() as connection:
        assert await connection.fetchval("select current_user") == "ephemera_app"
    writer = ledger._writer._connection
    assert writer is not None
    assert await writer.fetchval("select current_user") == "ephemera_app"


@pytest.mark.skipif(TEST_DSN is not None, reason="only the embedded server lets the role log in")
async def test_a_login_as_the_role_itself_cannot_become_the_owner(
    server: Server, database: str, settings: LedgerSettings
) -> None:
    dsn = server.dsn(database, "ephemera_app")
    async with Ledger.connect(msgspec.structs.replace(settings, dsn=dsn)) as ledger:
        account = await ledger.accounts.create("Grace", 5, "test")
        async with ledger.debit(account.id, 5, conversion_id=new_conversion_id()):
            pass
        async with ledger._database.session() as connection:
            for attempt in ("set role none", "reset role", "reset session authorization"):
                await connection.execute(attempt)
                assert await connection.fetchval("select current_user") == "ephemera_app"
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute("set role ephemera")


async def test_without_the_role_the_ledger_works_as_the_owner_and_says_so(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """An owner who may not create roles, on a server where nobody has created ours."""
    # Roles belong to the whole server, so the absence of ours is played by another's name.
    async with server.database() as name:
        connector = Connector(LedgerSettings(dsn=server.dsn(name), pepper=bytes(16)))
        connector._role = "a_role_that_nobody_created"
        await connector.probe()
        session = await connector.connect()
        assert await session.fetchval("select current_user = session_user")
        await session.close()
    assert "cannot be used" in caplog.text
