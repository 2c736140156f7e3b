"""`ephemera ledger`, and the records of who gave and took credits by hand."""

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from tests.gateway.command import run
from tests.postgres import Server, private_home

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    with private_home() as home:
        yield home


@pytest_asyncio.fixture(loop_scope="session")
async def books(postgres: Server) -> AsyncIterator[asyncpg.Connection]:
    """The superuser's view of a database of its own."""
    async with postgres.database() as name:
        connection = await asyncpg.connect(dsn=postgres.admin(name))
        try:
            yield connection
        finally:
            await connection.close()


@pytest_asyncio.fixture(loop_scope="session")
async def environ(postgres: Server, books: asyncpg.Connection) -> dict[str, str]:
    name = await books.fetchval("select current_database()")
    return {"EPHEMERA__LEDGER__DSN": postgres.dsn(name)}


class Command:
    def __init__(self, home: Path, environ: dict[str, str]) -> None:
        self._home = home
        self._environ = environ

    def __call__(self, *arguments: str | Path, code: int = 0) -> str:
        ended = run(*arguments, home=self._home, environ=self._environ)
        assert ended.returncode == code, ended.stderr.decode()
        self.complaint = ended.stderr.decode()
        return ended.stdout.decode()


@pytest.fixture
def ephemera(home: Path, environ: dict[str, str]) -> Command:
    return Command(home, environ)


async def two_days_ago(books: asyncpg.Connection) -> None:
    """Move all entries into the past, as the triggers would never allow."""
    async with books.transaction():
        await books.execute("set local session_replication_role = replica")
        await books.execute("update credits.entry set created_at = now() - interval '50 hours'")


async def test_right_books_are_found_right(ephemera: Command) -> None:
    ephemera("accounts", "create", "Ada", "--credits", "5")
    lines = dict(line.split("\t") for line in ephemera("ledger", "audit").splitlines())
    assert lines["adjustments"] == lines["balances"] == "5"
    assert lines["entries"] == "1"


async def test_wrong_books_are_found_wrong(ephemera: Command, books: asyncpg.Connection) -> None:
    ephemera("accounts", "create", "Ada", "--credits", "5")
    async with books.transaction():
        await books.execute("set local session_replication_role = replica")
        await books.execute("update credits.account set balance = 6")
    ephemera("ledger", "audit", code=65)
    assert "balance is not the sum of the entries: account" in ephemera.complaint
    assert "trial balance: all accounts" in ephemera.complaint


async def test_days_are_sealed_published_and_verified(
    ephemera: Command, books: asyncpg.Connection, tmp_path: Path
) -> None:
    ephemera("accounts", "create", "Ada", "--credits", "5")
    assert ephemera("ledger", "seal") == "no day with entries is over yet\n"
    await two_days_ago(books)
    *sealed, last = ephemera("ledger", "seal").splitlines()
    assert sealed[0].endswith("1 entries")
    seals = [json.loads(line) for line in ephemera("ledger", "publish").splitlines()]
    assert f"{seals[-1]['day']} {seals[-1]['digest']}" == last
    assert sum(seal["total"] for seal in seals) == 5
    published = tmp_path / "seals.jsonl"
    published.write_text(ephemera("ledger", "publish"))
    said = ephemera("ledger", "verify", "--published", published)
    assert said == f"{len(seals)} seals, 0 broken, {len(seals)} compared with what was published\n"
    assert len(ephemera("ledger", "publish", "--since", seals[-1]["day"]).splitlines()) == 1


async def test_an_entry_that_was_changed_breaks_its_seal(
    ephemera: Command, books: asyncpg.Connection
) -> None:
    ephemera("accounts", "create", "Ada", "--credits", "5")
    await two_days_ago(books)
    ephemera("ledger", "seal")
    async with books.transaction():
        await books.execute("set local session_replication_role = replica")
        await books.execute("update credits.entry set reason = 'another'")
    ephemera("ledger", "verify", code=65)
    assert "are not what was sealed" in ephemera.complaint
    ephemera("ledger", "audit", code=65)
    assert "broken seal" in ephemera.complaint


async def test_seals_that_were_made_anew_are_not_those_that_were_published(
    ephemera: Command, books: asyncpg.Connection, tmp_path: Path
) -> None:
    """Whoever changes entries and seals alike is found by what somebody else has kept."""
    ephemera("accounts", "create", "Ada", "--credits", "5")
    await two_days_ago(books)
    ephemera("ledger", "seal")
    published = tmp_path / "seals.jsonl"
    published.write_text(ephemera("ledger", "publish"))
    async with books.transaction():
        await books.execute("set local session_replication_role = replica")
        await books.execute("update credits.entry set reason = 'another'")
        await books.execute("delete from credits.seal")
    ephemera("ledger", "seal")
    ephemera("ledger", "verify")
    ephemera("ledger", "verify", "--published", published, code=65)
    assert "not the seal that was published" in ephemera.complaint


async def test_a_file_that_is_no_list_of_seals_is_refused(
    ephemera: Command, tmp_path: Path
) -> None:
    (tmp_path / "other").write_text('{"day": "2026-11-20"}')
    ephemera("ledger", "verify", "--published", tmp_path / "other", code=66)
    ephemera("ledger", "verify", "--published", tmp_path / "nowhere", code=66)


async def test_who_gave_and_took_credits_is_on_record(ephemera: Command) -> None:
    ephemera("accounts", "create", "Ada", "--credits", "5")
    ephemera("accounts", "grant", "Ada", "7", "--reason", "kindness")
    ephemera("accounts", "take", "Ada", "2", "--reason", "a mistake", "--reference", "ticket 7")
    ephemera("accounts", "take", "Ada", "11", "--reason", "too much", code=65)
    records = [line.split("\t") for line in ephemera("audit", "list").splitlines()]
    assert [(record[3], record[5], record[6]) for record in records] == [
        ("take", "failed", "InsufficientCredits"),
        ("take", "done", "balance 10"),
        ("grant", "done", "balance 12"),
        ("grant", "done", "balance 5"),
        ("account-create", "done", records[4][6]),
    ]
    assert records[0][1].startswith("uid:")
    assert json.loads(records[1][4])["reason"] == "a mistake"
    assert json.loads(records[1][4])["credits"] == -2


async def test_an_account_can_be_warned(ephemera: Command, books: asyncpg.Connection) -> None:
    ephemera("accounts", "create", "Ada", "--credits", "5")
    ephemera("accounts", "warn", "Ada", "3")
    assert await books.fetchval("select low_balance from credits.account") == 3
    ephemera("accounts", "warn", "Ada", "0")
    assert await books.fetchval("select low_balance from credits.account") is None
