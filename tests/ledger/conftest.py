"""A fresh database for each test, looked through for violations when the test is over."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from ledger.accounts.accounts import Account
from ledger.ledger import Ledger
from ledger.settings import LedgerSettings
from tests.postgres import Server

# Short, so that tests of leases take a second; no test waits for it otherwise.
LEASE_S = 1.0
PEPPER = b"a pepper for tests, not a secret"
KEK = b"an envelope key, also no secret."


@pytest.fixture(scope="session")
def server(postgres: Server) -> Server:
    return postgres


@pytest.fixture
async def database(server: Server) -> AsyncIterator[str]:
    """Give the name of a migrated database. Its books must be right at the end of every test."""
    async with server.database() as name:
        yield name
        connection = await asyncpg.connect(dsn=server.admin(name))
        violations = await connection.fetch("select * from credits.violations")
        await connection.close()
        assert violations == []


@pytest.fixture
def settings(server: Server, database: str) -> LedgerSettings:
    return LedgerSettings(dsn=server.dsn(database), pepper=PEPPER, keks=(KEK,), lease_s=LEASE_S)


@pytest.fixture
async def ledger(settings: LedgerSettings) -> AsyncIterator[Ledger]:
    async with Ledger.connect(settings) as ledger:
        yield ledger


@pytest.fixture
async def account(ledger: Ledger) -> Account:
    return await ledger.accounts.create("Ada", 100, "test")


@pytest.fixture
async def books(server: Server, database: str) -> AsyncIterator[asyncpg.Connection]:
    """Give the superuser's view of the database."""
    connection = await asyncpg.connect(dsn=server.admin(database))
    yield connection
    await connection.close()
