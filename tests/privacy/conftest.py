"""A ledger with a clock of its own, people in it, and a view of every byte of its database."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import count

import asyncpg
import msgspec
import pytest

from ledger.ledger import Ledger
from ledger.people.person import Client, Hashed, Link
from ledger.people.secret import new_link
from ledger.settings import LedgerSettings
from tests.postgres import Server
from tests.privacy import scanning

PEPPER = b"a pepper for tests, not a secret"
KEK = b"an envelope key, also no secret."
NAME = "Augusta Kingsworth"


class Clock:
    """What time it is. It only moves when it is told to."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **span: float) -> None:
        self.now += timedelta(**span)


class Somebody(msgspec.Struct, frozen=True, kw_only=True):
    """A person with an account."""

    address: str
    person_id: int
    account_id: int


class Town:
    """A ledger, its clock, and those who live there."""

    def __init__(self, ledger: Ledger, clock: Clock, books: asyncpg.Connection, dsn: str) -> None:
        self.ledger = ledger
        self.dsn = dsn
        self.clock = clock
        self.books = books
        self._numbers = count(1)

    async def somebody(self, credits: int = 100) -> Somebody:
        """Somebody who has signed up, and has credits to begin with."""
        address = f"Augusta.{next(self._numbers)}@kingsworth.example"
        shown, client = new_link(), Client(network=None, name="test")
        links = self.ledger.people.links
        await links.ask_sign_up(address, NAME, Link(shown=shown, url="https://a/b"), "https://a")
        hashed = Hashed("$argon2id$test", "test")
        begun = await links.sign_up(shown.text, hashed, NAME, client, credits=credits)
        assert begun.account_id is not None
        return Somebody(address=address, person_id=begun.person_id, account_id=begun.account_id)

    async def found(self, *words: str) -> dict[str, int]:
        """How many rows of each table have one of these words anywhere, in whatever case."""
        return await scanning.found(self.books, *words)


@pytest.fixture(scope="session")
def server(postgres: Server) -> Server:
    return postgres


@pytest.fixture
async def town(server: Server) -> AsyncIterator[Town]:
    clock = Clock()
    async with server.database() as name:
        settings = LedgerSettings(dsn=server.dsn(name), pepper=PEPPER, keks=(KEK,))
        books = await asyncpg.connect(dsn=server.admin(name))
        async with Ledger.connect(settings, clock=clock) as ledger:
            yield Town(ledger, clock, books, settings.dsn)
            assert await ledger.audit() == []
        await books.close()
