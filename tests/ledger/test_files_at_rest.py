"""What is left of a stored file in the database, its log and its disk: nothing that opens it."""

import base64
import hashlib
import hmac
import os
import signal
import subprocess
from pathlib import Path

import asyncpg
import pytest

from ledger.accounts.accounts import Account
from ledger.embedded import EmbeddedPostgres
from ledger.errors import FileUnknown, LedgerUnavailable
from ledger.files.files import FileWriter
from ledger.files.handle import parse_handle
from ledger.ledger import Ledger
from ledger.migrate import migrate
from ledger.postgres_binaries import find_binaries
from ledger.settings import LedgerSettings
from tests.ledger.waiting import eventually
from tests.postgres import TEST_DSN, Server, private_home

pytestmark = pytest.mark.skipif(TEST_DSN is not None, reason="looks into the server's own folder")

CANARY = b"canary: the customer's own words, 7d1e, "
NAME = "canary-name-7d1e.pdf"
PEPPER = b"a pepper for tests, not a secret"


@pytest.fixture
async def folder(books: asyncpg.Connection) -> Path:
    return Path(await books.fetchval("show data_directory"))


async def write_out(server: Server) -> None:
    """Have every buffer written; an ordinary checkpoint leaves unlogged tables in memory."""
    async with server.database():  # made by copying files, so everything must be in them
        pass


def on_disk(folder: Path, needle: bytes) -> set[str]:
    """The parts of the server's folder that hold these bytes."""
    return {
        path.relative_to(folder).parts[0]
        for path in folder.rglob("*")
        if path.is_file() and needle in path.read_bytes()
    }


class Kept:
    """A stored file and all that only its gateway knew."""

    def __init__(self, writer: FileWriter, handle: str) -> None:
        parsed = parse_handle(handle)
        assert parsed
        self.handle = handle
        self.secret = parsed.secret.encode()
        self.half = writer._half
        self.file_id = parsed.file_id


@pytest.fixture
async def kept(ledger: Ledger, account: Account) -> Kept:
    async with ledger.files.write(account.id) as writer:
        await writer.add(CANARY * 60_000)
        stored = await writer.keep(media_type="application/pdf", name=NAME, lifetime_s=600)
        return Kept(writer, stored.handle)


def spellings(secret: bytes) -> list[bytes]:
    """How a dump might write these bytes."""
    return [secret, secret.hex().encode(), base64.b64encode(secret)]


@pytest.mark.claim("C-STORE-1")
async def test_a_dump_of_every_table_holds_neither_content_nor_name_nor_secret(
    server: Server, database: str, kept: Kept
) -> None:
    dump = subprocess.run(
        [find_binaries(None).folder / "pg_dump", server.admin(database)],
        check=True,
        capture_output=True,
    ).stdout
    for needle in (CANARY, NAME.encode(), kept.secret):
        for spelling in spellings(needle):
            assert spelling not in dump
    # What the dump does hold: the half, which opens nothing by itself, and the ciphertext.
    assert kept.half.hex().encode() in dump
    without = subprocess.run(
        [
            find_binaries(None).folder / "pg_dump",
            "--no-unlogged-table-data",
            server.admin(database),
        ],
        check=True,
        capture_output=True,
    ).stdout
    assert kept.half.hex().encode() not in without
    assert kept.file_id.encode() not in without


@pytest.mark.claim("C-STORE-1")
async def test_the_key_is_in_no_column(
    ledger: Ledger, account: Account, books: asyncpg.Connection
) -> None:
    """All bytes of a file's rows, against the key that its writer derived."""
    async with ledger.files.write(account.id) as writer:
        await writer.add(CANARY)
        key = _key(writer)
        await writer.keep(media_type="text/plain", name=NAME, lifetime_s=60)
    for table in ("file", "half", "chunk"):
        for row in await books.fetch(f"select * from files.{table}"):  # noqa: S608
            for value in row.values():
                seen = value if isinstance(value, bytes) else str(value).encode()
                assert not any(spelling in seen for spelling in spellings(key))


@pytest.mark.claim("C-STORE-2")
async def test_the_write_ahead_log_knows_nothing_of_a_stored_file(
    server: Server, kept: Kept, books: asyncpg.Connection, folder: Path
) -> None:
    sealed = await books.fetchval("select substr(sealed, 1, 64) from files.chunk where number = 0")
    # The positive control: a logged table of the same shape is found there.
    await books.execute("create table public.logged (marker bytea)")
    await books.execute("insert into public.logged values ($1)", b"marker 51c0" * 3)
    await write_out(server)
    assert "pg_wal" in on_disk(folder, b"marker 51c0")
    # Ciphertext and half are in the tables' own files, and nowhere else.
    assert on_disk(folder, sealed) == {"base"}
    assert on_disk(folder, kept.half) == {"base"}
    for needle in (CANARY, NAME.encode(), kept.secret):
        assert on_disk(folder, needle) == set()


async def test_every_table_of_the_store_is_outside_the_log_and_uncompressed(
    books: asyncpg.Connection,
) -> None:
    kinds = await books.fetch(
        "select relname, relpersistence from pg_class c join pg_namespace n on n.oid = relnamespace"
        " where nspname = 'files' and relkind = 'r'"
        " union all select t.relname, t.relpersistence from pg_class t join pg_class c"
        " on c.reltoastrelid = t.oid join pg_namespace n on n.oid = c.relnamespace"
        " where nspname = 'files'"
    )
    assert len(kinds) >= 6
    assert {row["relpersistence"] for row in kinds} == {b"u"}
    storage = await books.fetchval(
        "select attstorage from pg_attribute where attrelid = 'files.chunk'::regclass"
        " and attname = 'sealed'"
    )
    assert storage == b"e"


def _key(writer: FileWriter) -> bytes:
    """Derived here again, as ledger/files/sealing.py says, from what the writer holds."""
    info = f"{writer.file_id}|{writer._account_id}".encode()
    extracted = hmac.digest(writer._half, writer._handle.secret.encode(), hashlib.sha256)
    key = hmac.digest(extracted, info + b"\x01", hashlib.sha256)
    assert hmac.digest(extracted, key + info + b"\x02", hashlib.sha256) == writer._seal.proof
    return key


async def test_a_stop_in_order_keeps_stored_files_and_a_crash_empties_the_store() -> None:
    with private_home() as home:
        async with EmbeddedPostgres(home, durable=False) as postgres:
            await migrate(postgres.dsn)
            async with Ledger.connect(LedgerSettings(dsn=postgres.dsn, pepper=PEPPER)) as ledger:
                account = await ledger.accounts.create("Ada", 1)
                async with ledger.files.write(account.id) as writer:
                    await writer.add(CANARY)
                    kept = await writer.keep(media_type="", name=None, lifetime_s=600)
        async with EmbeddedPostgres(home, durable=False) as postgres:
            settings = LedgerSettings(dsn=postgres.dsn, pepper=PEPPER)
            async with Ledger.connect(settings) as ledger:
                file = await ledger.files.open(kept.handle, account.id)
                assert [bytes(piece) async for piece in file.pieces()] == [CANARY]
            first = postgres.pid
            assert first is not None
            os.kill(first, signal.SIGKILL)
            await eventually(lambda: _has_another_pid(postgres, first))
            await eventually(lambda: _lets_in(settings))
            async with Ledger.connect(settings) as ledger:
                with pytest.raises(FileUnknown):
                    await ledger.files.open(kept.handle, account.id)
                assert await ledger.files.list(account.id) == []
                # The money is as it was.
                assert await ledger.balance(account.id) == 1


async def _has_another_pid(postgres: EmbeddedPostgres, pid: int) -> bool:
    return postgres.pid not in (None, pid)


async def _lets_in(settings: LedgerSettings) -> bool:
    try:
        async with Ledger.connect(settings):
            return True
    except LedgerUnavailable:
        return False
