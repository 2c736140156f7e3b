"""Stored files: whole or not there, for their owner or for nobody, until they expire."""

import asyncio
import itertools
import random
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta

import asyncpg
import msgspec
import pytest

from ledger.accounts.accounts import Account
from ledger.errors import (
    AccountFrozen,
    FileDamaged,
    FileLapsed,
    FileUnknown,
    LedgerUnavailable,
    StoreFull,
    StoreOff,
    StoreQuotaExceeded,
)
from ledger.files import files, sweeper
from ledger.files.files import Stored
from ledger.files.handle import new_handle, parse_handle
from ledger.files.limits import LIFETIME_S_MAX, FileLimits
from ledger.files.sealing import CHUNK_BYTES, Seal, new_half
from ledger.ledger import Ledger
from ledger.settings import LedgerSettings
from tests import fake_time

TABLES = ("file", "half", "chunk")


def content(size: int) -> bytes:
    return random.Random(size).randbytes(size)  # noqa: S311 -- the same in every run


async def store(ledger: Ledger, account_id: int, body: bytes, **rest: object) -> Stored:
    wanted = {"media_type": "image/png", "name": None, "lifetime_s": 600.0} | rest
    async with ledger.files.write(account_id, expected=len(body)) as writer:
        await writer.add(body)
        return await writer.keep(**wanted)  # type: ignore[arg-type]


async def fetch(ledger: Ledger, handle: str, *span: int) -> bytes:
    file = await ledger.files.open(handle)
    return b"".join([bytes(piece) async for piece in file.pieces(*span)])


async def expire(books: asyncpg.Connection) -> None:
    """Let all files be a second too old, as if their time had passed."""
    await books.execute("update files.file set expires_at = now() - interval '1 second'")


async def rows(books: asyncpg.Connection) -> dict[str, int]:
    return {name: await books.fetchval(f"select count(*) from files.{name}") for name in TABLES}  # noqa: S608


@pytest.fixture
async def limited(settings: LedgerSettings) -> AsyncIterator[Callable[..., object]]:
    """Ledgers with store limits of their own."""
    async with AsyncExitStack() as stack:

        async def connect(**limits: float) -> Ledger:
            given = msgspec.structs.replace(settings, files=FileLimits(**limits))  # type: ignore[arg-type]
            return await stack.enter_async_context(Ledger.connect(given))

        yield connect


@pytest.mark.parametrize(
    "size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES + 77]
)
async def test_what_was_stored_comes_back(ledger: Ledger, account: Account, size: int) -> None:
    body = content(size)
    async with ledger.files.write(account.id) as writer:
        for start in range(0, size, 300_001):
            await writer.add(body[start : start + 300_001])
        stored = await writer.keep(media_type="image/png", name="Ünï.png", lifetime_s=60)
    file = await ledger.files.open(stored.handle, account.id)
    assert await fetch(ledger, stored.handle) == body
    assert (file.bytes, file.media_type, file.name) == (size, "image/png", "Ünï.png")
    assert file.expires_at - file.created_at < timedelta(seconds=61)
    assert file.expires_at == stored.expires_at > datetime.now(UTC)


async def test_any_part_can_be_read_without_what_is_before_it(
    ledger: Ledger, account: Account
) -> None:
    body = content(2 * CHUNK_BYTES + 500)
    stored = await store(ledger, account.id, body)
    for start, stop in (
        (0, 1),
        (CHUNK_BYTES - 1, CHUNK_BYTES + 1),
        (CHUNK_BYTES, 2 * CHUNK_BYTES),
        (2 * CHUNK_BYTES + 499, 2 * CHUNK_BYTES + 500),
        (5, 2 * CHUNK_BYTES + 5),
    ):
        assert await fetch(ledger, stored.handle, start, stop) == body[start:stop]


async def test_a_file_takes_no_more_room_than_it_has_bytes_once_it_is_kept(
    ledger: Ledger, account: Account, books: asyncpg.Connection
) -> None:
    async with ledger.files.write(account.id) as writer:
        assert await books.fetchval("select bytes from files.file") == CHUNK_BYTES
        await writer.add(b"four")
        await writer.keep(media_type="text/plain", name=None, lifetime_s=60)
    assert await books.fetchval("select bytes from files.file") == 4


@pytest.mark.parametrize(
    "error", [ValueError, asyncio.CancelledError], ids=["exception", "cancellation"]
)
@pytest.mark.parametrize("kept", [False, True])
async def test_an_exception_in_its_block_takes_a_file_back(
    ledger: Ledger,
    account: Account,
    books: asyncpg.Connection,
    kept: bool,
    error: type[BaseException],
) -> None:
    async def fail() -> None:
        async with ledger.files.write(account.id) as writer:
            await writer.add(content(2 * CHUNK_BYTES))
            if kept:
                await writer.keep(media_type="image/png", name=None, lifetime_s=60)
            raise error

    with pytest.raises(error):
        await fail()
    assert await rows(books) == dict.fromkeys(TABLES, 0)


async def test_a_block_that_keeps_nothing_leaves_nothing(
    ledger: Ledger, account: Account, books: asyncpg.Connection
) -> None:
    async with ledger.files.write(account.id) as writer:
        await writer.add(content(CHUNK_BYTES + 1))
    assert await rows(books) == dict.fromkeys(TABLES, 0)


async def test_a_file_that_is_being_written_is_not_there_and_has_no_half(
    ledger: Ledger, account: Account, books: asyncpg.Connection
) -> None:
    async with ledger.files.write(account.id) as writer:
        await writer.add(content(2 * CHUNK_BYTES))
        assert await rows(books) == {"file": 1, "half": 0, "chunk": 1}
        assert await ledger.files.list(account.id) == []
        with pytest.raises(FileUnknown):
            await ledger.files.open(writer._handle.text)


async def test_every_handle_that_opens_nothing_is_answered_alike(
    ledger: Ledger, account: Account, books: asyncpg.Connection
) -> None:
    other = await ledger.accounts.create("Grace", 1, "test")
    stored, deleted, expired = [await store(ledger, account.id, b"x") for _ in range(3)]
    await ledger.files.delete(deleted.handle, account.id)
    await books.execute("update files.file set expires_at = now() where id = $1", expired.id)
    right = parse_handle(stored.handle)
    assert right
    wrong_secret = msgspec.structs.replace(new_handle(), file_id=right.file_id)
    sentences = set()
    for handle, account_id in (
        (deleted.handle, account.id),
        (expired.handle, account.id),
        (stored.handle, other.id),
        (wrong_secret.text, account.id),
        (new_handle().text, account.id),
        (stored.handle[:-1], account.id),
        (stored.handle + "a", account.id),
        (stored.id, account.id),
        ("", account.id),
        ("ephf_é_\x00", account.id),
    ):
        with pytest.raises(FileUnknown) as raised:
            await ledger.files.open(handle, account_id)
        sentences.add(str(raised.value))
    assert len(sentences) == 1
    assert await fetch(ledger, stored.handle) == b"x"


async def test_a_file_that_is_deleted_while_it_is_read_ends_there(
    ledger: Ledger, account: Account
) -> None:
    stored = await store(ledger, account.id, content(3 * CHUNK_BYTES))
    file = await ledger.files.open(stored.handle)
    pieces = file.pieces()
    assert len(await anext(pieces)) == CHUNK_BYTES
    await ledger.files.delete(stored.id, account.id)
    with pytest.raises(FileUnknown):
        await anext(pieces)


async def test_a_deletion_leaves_nothing_is_the_owners_and_can_be_repeated(
    ledger: Ledger, account: Account, books: asyncpg.Connection
) -> None:
    other = await ledger.accounts.create("Grace", 1, "test")
    stored = await store(ledger, account.id, content(2 * CHUNK_BYTES))
    await ledger.files.delete(stored.handle, other.id)
    await ledger.files.delete("no such thing", account.id)
    assert await rows(books) == {"file": 1, "half": 1, "chunk": 2}
    await ledger.files.delete(stored.handle, account.id)
    await ledger.files.delete(stored.handle, account.id)
    assert await rows(books) == dict.fromkeys(TABLES, 0)


async def test_whoever_has_the_handle_can_delete(ledger: Ledger, account: Account) -> None:
    stored = await store(ledger, account.id, b"x")
    right = parse_handle(stored.handle)
    assert right
    with pytest.raises(FileUnknown):
        await ledger.files.delete_by_handle(
            msgspec.structs.replace(right, secret=new_handle().secret).text
        )
    await ledger.files.delete_by_handle(stored.handle)
    with pytest.raises(FileUnknown):
        await ledger.files.delete_by_handle(stored.handle)


async def test_lists_are_of_one_account_newest_first_in_pages(
    ledger: Ledger, account: Account
) -> None:
    other = await ledger.accounts.create("Grace", 1, "test")
    await store(ledger, other.id, b"not mine")
    made = [await store(ledger, account.id, bytes(size)) for size in range(1, 6)]
    first = await ledger.files.list(account.id, limit=3)
    rest = await ledger.files.list(account.id, before_seq=first[-1].seq, limit=3)
    assert [one.id for one in (*first, *rest)] == [one.id for one in reversed(made)]
    assert [one.bytes for one in rest] == [2, 1]


async def test_the_same_handle_of_another_account_is_another_key() -> None:
    handle, half = new_handle(), new_half()
    sealed = Seal(handle, half, 1).close(0, memoryview(b"secret"), last=True)
    for seal in (Seal(handle, half, 2), Seal(handle, new_half(), 1), Seal(new_handle(), half, 1)):
        with pytest.raises(FileDamaged):
            seal.open(0, sealed, memoryview(bytearray(6)), last=True)


MOVES = {
    "swapped": "update files.chunk set number = case number when 0 then 9 else 0 end"
    " where number in (0, 1)",
    "cut off": "update files.file set bytes = bytes - 500",
    "cut at a chunk": "update files.file set bytes = 1024 * 1024",
    "changed": "update files.chunk set sealed = set_byte(sealed, 7, get_byte(sealed, 7) # 1)",
    "of another file": "update files.chunk c set sealed = o.sealed from files.chunk o"
    " where o.number = c.number and o.file_id <> c.file_id",
    "shorter": "update files.chunk set sealed = substr(sealed, 2)",
    "another name": "update files.half h set name = o.name from files.half o"
    " where o.file_id <> h.file_id",
}


@pytest.mark.parametrize("move", MOVES)
@pytest.mark.claim("C-STORE-5")
async def test_a_chunk_that_was_tampered_with_in_the_database_does_not_open(
    ledger: Ledger, account: Account, books: asyncpg.Connection, move: str
) -> None:
    size = CHUNK_BYTES + 500
    first = await store(ledger, account.id, content(size), name="a")
    await store(ledger, account.id, content(size), name="b")
    await books.execute("alter table files.chunk drop constraint chunk_pkey")
    await books.execute(MOVES[move])
    with pytest.raises(FileDamaged):
        await fetch(ledger, first.handle)


async def test_a_full_store_a_full_account_and_none_at_all_are_refused(
    limited: Callable[..., object], ledger: Ledger, account: Account
) -> None:
    other = await ledger.accounts.create("Grace", 1, "test")
    await store(ledger, other.id, bytes(1000))
    for limits, error in (
        ({"bytes_max": 0}, StoreOff),
        ({"bytes_max": 1999}, StoreFull),
        ({"files_max": 1}, StoreFull),
        ({"account_bytes_max": 999}, StoreQuotaExceeded),
        ({"account_files_max": 0}, StoreQuotaExceeded),
    ):
        narrow = await limited(**limits)  # type: ignore[misc]
        with pytest.raises(error):
            await store(narrow, account.id, bytes(1000))
    exact = await limited(bytes_max=2000, files_max=2, account_bytes_max=1000)  # type: ignore[misc]
    stored = await store(exact, account.id, bytes(1000))
    with pytest.raises(StoreFull):
        await store(exact, account.id, b"")
    await exact.files.delete(stored.id, account.id)
    await store(exact, account.id, bytes(1000))


async def test_a_file_of_unknown_size_meets_the_limit_while_it_comes(
    limited: Callable[..., object], account: Account, books: asyncpg.Connection
) -> None:
    narrow = await limited(account_bytes_max=20 * CHUNK_BYTES)  # type: ignore[misc]

    async def write() -> None:
        async with narrow.files.write(account.id) as writer:
            for _ in range(22):
                await writer.add(bytes(CHUNK_BYTES))

    with pytest.raises(StoreQuotaExceeded):
        await write()
    assert await rows(books) == dict.fromkeys(TABLES, 0)


async def test_of_many_who_want_the_last_room_one_gets_it(
    limited: Callable[..., object], account: Account
) -> None:
    ledgers = [await limited(files_max=1) for _ in range(2)]  # type: ignore[misc]
    outcomes = await asyncio.gather(
        *(store(ledgers[number % 2], account.id, b"x") for number in range(12)),
        return_exceptions=True,
    )
    assert sum(isinstance(one, Stored) for one in outcomes) == 1
    assert sum(isinstance(one, StoreFull) for one in outcomes) == 11


async def test_files_leave_connections_to_those_who_ask_for_a_balance(
    ledger: Ledger, account: Account
) -> None:
    async with AsyncExitStack() as turns:
        for _ in range(files._TURNS):
            await turns.enter_async_context(ledger.files._turns)
        waiting = asyncio.create_task(store(ledger, account.id, b"x"))
        assert await ledger.balance(account.id) == 100
        assert not waiting.done()
    assert LedgerSettings(dsn="", pepper=bytes(16)).connections_max > files._TURNS
    stored = await waiting
    assert await fetch(ledger, stored.handle) == b"x"


async def test_a_frozen_account_stores_nothing(ledger: Ledger, account: Account) -> None:
    await ledger.accounts.set_status(account.id, "frozen")
    with pytest.raises(AccountFrozen):
        await store(ledger, account.id, b"x")


async def test_a_writer_that_was_given_up_is_told_and_leaves_nothing(
    ledger: Ledger, account: Account, books: asyncpg.Connection
) -> None:
    async def write(size: int) -> None:
        async with ledger.files.write(account.id) as writer:
            await expire(books)
            assert await ledger.file_sweeper.sweep() == 1
            await writer.add(bytes(size))
            await writer.keep(media_type="", name=None, lifetime_s=60)

    for size in (1, 2 * CHUNK_BYTES):
        with pytest.raises(FileLapsed):
            await write(size)
    assert await rows(books) == dict.fromkeys(TABLES, 0)


@pytest.mark.claim("C-STORE-3")
async def test_a_thousand_expired_files_leave_the_tables_empty(
    ledger: Ledger, account: Account, books: asyncpg.Connection
) -> None:
    made = [await store(ledger, account.id, b"%d" % number) for number in range(1000)]
    assert await fetch(ledger, made[-1].handle) == b"999"
    assert await rows(books) == dict.fromkeys(TABLES, 1000)
    await expire(books)
    # Before any sweep they are gone for everybody.
    for stored in made[::100]:
        with pytest.raises(FileUnknown):
            await ledger.files.open(stored.handle)
    assert await ledger.files.list(account.id) == []
    # Two sweepers at once take each file once.
    counts = await asyncio.gather(*(sweeper.FileSweeper(ledger._database).sweep() for _ in "ab"))
    assert sum(counts) == 1000
    assert await rows(books) == dict.fromkeys(TABLES, 0)
    await books.execute("vacuum files.file, files.half, files.chunk")
    for name in TABLES:
        assert await books.fetchval(f"select pg_table_size('files.{name}')") < 100_000


async def test_a_sweep_spares_what_lives_and_tells_how_full_the_store_is(
    ledger: Ledger, account: Account, books: asyncpg.Connection
) -> None:
    keep = await store(ledger, account.id, bytes(10))
    gone = await store(ledger, account.id, bytes(20))
    await books.execute("update files.file set expires_at = now() where id = $1", gone.id)
    watched = sweeper.FileSweeper(ledger._database)
    assert await watched.sweep() == 1
    assert (watched.fill, watched.purged) == (sweeper.Fill(1, 10), 1)
    assert [one.id for one in await ledger.files.list(account.id)] == [keep.id]


@pytest.mark.claim("C-STORE-3")
def test_every_minute_has_a_sweep_even_where_each_second_one_fails() -> None:
    """In an hour of fake time."""
    times = []

    async def sweep() -> None:
        times.append(asyncio.get_running_loop().time())
        if len(times) % 2:
            raise LedgerUnavailable("away")

    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3600):
                await sweeper.repeated(sweep)

    fake_time.run(main)
    succeeded = [0.0, *times[1::2]]
    assert max(b - a for a, b in itertools.pairwise(succeeded)) <= 60


def test_no_lifetime_is_above_three_hours() -> None:
    assert LIFETIME_S_MAX == 3 * 3600
    with pytest.raises(ValueError, match="3 hours"):
        FileLimits(lifetime_s_max=LIFETIME_S_MAX + 1)
    with pytest.raises(ValueError, match="3 hours"):
        FileLimits(lifetime_s=100, lifetime_s_max=99)


def test_a_handle_has_enough_randomness_is_one_word_and_is_not_shown_by_accident() -> None:
    handle = new_handle()
    assert re.fullmatch(r"ephf_[0-9A-Za-z]{16}_[0-9A-Za-z]{43}", handle.text)
    assert parse_handle(handle.text) == handle
    assert handle.secret not in repr(handle)
    assert len({new_handle().secret for _ in range(100)}) == 100
    stored = Stored(
        handle=handle.text, id=handle.file_id, bytes=1, media_type="", expires_at=datetime.now(UTC)
    )
    assert handle.secret not in repr(stored)
