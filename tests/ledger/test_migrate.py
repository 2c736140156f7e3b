"""Migrations: once, in order, by one of many, never changed, never backwards."""

import asyncio
import os
import re
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from ledger.errors import SchemaBehind, SchemaChanged, SchemaNewer
from ledger.ledger import Ledger
from ledger.migrate import migrate, read_migrations
from ledger.postgres_binaries import find_binaries
from ledger.settings import LedgerSettings
from tests.postgres import TEST_DSN, Server

FILES = Path(__file__).parents[2] / "ledger" / "migrations"
SCHEMA = FILES.parent / "schema.sql"
SCHEMA_HEAD = """\
-- The schema as it is today: what the migrations make, printed by pg_dump. For reading; nothing
-- applies it. EPHEMERA_WRITE_SCHEMA=1 make test ARGS=tests/ledger/test_migrate.py writes it anew.

"""


@pytest.fixture
async def empty(server: Server) -> AsyncIterator[str]:
    """Give the DSN of a database without any of our tables."""
    async with server.database(migrated=False) as name:
        yield server.dsn(name)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FILES, tmp_path / "migrations"))


async def query(dsn: str, question: str) -> object:
    connection = await asyncpg.connect(dsn=dsn)
    try:
        return await connection.fetchval(question)
    finally:
        await connection.close()


async def test_of_four_who_start_at_once_one_migrates(empty: str) -> None:
    applied = await asyncio.gather(*(migrate(empty) for _ in range(4)))
    assert sorted(map(len, applied)) == [0, 0, 0, len(read_migrations())]


async def test_a_second_start_has_nothing_to_do(empty: str) -> None:
    assert await migrate(empty) == [each.name for each in read_migrations()]
    assert await migrate(empty) == []


async def test_a_file_that_fails_leaves_nothing_of_itself(empty: str, folder: Path) -> None:
    (folder / "9000_fails.sql").write_text("create table public.half (); select 1/0;")
    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate(empty, folder)
    assert await query(empty, "select to_regclass('public.half')") is None
    (folder / "9000_fails.sql").write_text("create table public.half ();")
    assert await migrate(empty, folder) == ["9000_fails"]


async def test_a_file_may_ask_to_run_outside_a_transaction(empty: str, folder: Path) -> None:
    (folder / "9000_index.sql").write_text(
        "-- no-transaction\ncreate index concurrently entry_amount on credits.entry (amount)\n"
    )
    assert (await migrate(empty, folder))[-1] == "9000_index"


async def test_a_file_that_was_changed_afterwards_is_refused(empty: str, folder: Path) -> None:
    await migrate(empty, folder)
    first = folder / f"{read_migrations()[0].name}.sql"
    first.write_text(first.read_text() + "\n-- an afterthought\n")
    with pytest.raises(SchemaChanged, match=first.stem):
        await migrate(empty, folder)


async def test_a_file_that_appears_below_the_newest_one_is_refused(
    empty: str, folder: Path
) -> None:
    (folder / "9000_late.sql").write_text("select 1")
    await migrate(empty, folder)
    (folder / "8000_early.sql").write_text("select 1")
    with pytest.raises(SchemaBehind, match="8000_early"):
        await migrate(empty, folder)


async def test_a_database_that_is_newer_than_the_program_is_refused(
    empty: str, folder: Path
) -> None:
    (folder / "9000_future.sql").write_text("select 1")
    await migrate(empty, folder)
    with pytest.raises(SchemaNewer, match="9000"):
        await migrate(empty)
    with pytest.raises(SchemaNewer, match="9000"):
        async with Ledger.connect(LedgerSettings(dsn=empty, pepper=bytes(16))):
            pytest.fail("the ledger must not start")


async def test_the_ledger_does_not_start_on_a_database_without_its_tables(empty: str) -> None:
    with pytest.raises(SchemaBehind, match="ephemera migrate"):
        async with Ledger.connect(LedgerSettings(dsn=empty, pepper=bytes(16))):
            pytest.fail("the ledger must not start")


@pytest.mark.skipif(TEST_DSN is not None, reason="pg_dump must fit the server")
async def test_the_schema_file_is_what_the_migrations_make(empty: str) -> None:
    await migrate(empty)
    dumped = subprocess.run(
        [
            find_binaries(None).folder / "pg_dump",
            *("--schema-only", "--no-owner", "--no-privileges"),
            *("--schema=credits", "--schema=accounts", "--schema=audit"),
            *("--schema=files", "--schema=tasks", "--schema=ephemera"),
            *("--schema=people", "--schema=mail", "--schema=support"),
            *("--schema=limits", "--schema=requests"),
            "--schema=privacy",
            "--schema=connections",
            empty,
        ],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    # Comments name the version; settings and \\restrict belong to the restoring session.
    kept = [line for line in dumped.splitlines() if not re.match(r"--|SET |SELECT pg_cat|\\", line)]
    schema = SCHEMA_HEAD + re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).strip() + "\n"
    if os.environ.get("EPHEMERA_WRITE_SCHEMA"):
        SCHEMA.write_text(schema, encoding="utf-8")
    assert SCHEMA.read_text(encoding="utf-8") == schema


def test_the_files_are_numbered_without_gaps() -> None:
    names = sorted(path.name for path in FILES.iterdir())
    assert all(re.fullmatch(r"\d{4}_[a-z0-9_]+\.sql", name) for name in names)
    assert [int(name[:4]) for name in names] == list(range(1, len(names) + 1))
