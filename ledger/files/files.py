"""The front door of stored files: write one, open one, list them, delete one.

    async with ledger.files.write(account_id, expected=size) as writer:
        async for piece in pieces:
            await writer.add(piece)
        stored = await writer.keep(media_type="image/webp", name="photo.webp", lifetime_s=600)
        …                       # leaving this block by an exception takes the file back

Every chunk is a statement of its own: no transaction and no connection is held while a client sends
or reads. What a writer that died has left behind is room without a half: no key to it exists, and
the sweeper takes it away.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta

import asyncpg
import msgspec

from ledger.credits.debit import uninterrupted
from ledger.database import Database
from ledger.errors import (
    AccountFrozen,
    FileLapsed,
    FileUnknown,
    LedgerUnavailable,
    StoreFull,
    StoreOff,
    StoreQuotaExceeded,
)
from ledger.files.handle import Handle, new_handle, new_short_handle, parse_handle, parse_id
from ledger.files.limits import FileLimits
from ledger.files.sealing import CHUNK_BYTES, Seal, chunks_of, new_half

# Room for a file of unknown size doubles, up to steps of this much: few locks, and little is kept
# from others.
_ROOM_BYTES = 16 * CHUNK_BYTES
# The slowest client that is borne takes a minute for a chunk; a dead writer's room comes back soon.
_PATIENCE = timedelta(minutes=5)
# Of the pool's eight connections: keys and balances are not to wait behind other people's files.
_TURNS = 4
# A chunk is a megabyte on a disk that may be busy.
_CHUNK_TIMEOUT_S = 30.0

_MAKE_ROOM = "select files.make_room($1, $2, $3, $4, $5, $6, $7, $8)"
# A file that was swept has no row to prolong, and so gets no chunk.
_ADD = """
with written as (update files.file set expires_at = now() + $4 where id = $1 returning id)
insert into files.chunk (file_id, number, sealed) select id, $2, $3 from written
"""
_KEEP = """
with kept as (update files.file set bytes = $2, media_type = $3, expires_at = now() + $4
               where id = $1 returning id, created_at, expires_at),
     half as (insert into files.half (file_id, half, proof, name) select id, $5, $6, $7 from kept)
select created_at, expires_at from kept
"""
_OPEN = """
select f.id, f.account_id, f.bytes, f.media_type, f.created_at, f.expires_at,
       h.half, h.proof, h.name
  from files.file f join files.half h on h.file_id = f.id
 where f.id = $1 and f.expires_at > now()
"""
_CHUNK = """
select c.sealed from files.chunk c join files.file f on f.id = c.file_id
 where c.file_id = $1 and c.number = $2 and f.expires_at > now()
   and exists (select from files.half h where h.file_id = c.file_id)
"""
_LIST = """
select f.seq, f.id, f.bytes, f.media_type, f.created_at, f.expires_at
  from files.file f
 where f.account_id = $1 and f.expires_at > now() and ($2::bigint is null or f.seq < $2)
   and exists (select from files.half h where h.file_id = f.id)
 order by f.seq desc limit $3
"""
# Half and chunks go with it, in the same transaction.
_DELETE = "delete from files.file where id = $1"
_DELETE_OWN = "delete from files.file where id = $1 and account_id = $2"


class FileFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A stored file as it is listed: all that is known of it without its handle."""

    seq: int
    id: str
    bytes: int
    media_type: str
    created_at: datetime
    expires_at: datetime


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """A file at the one moment its handle is known. Give it away, then forget it."""

    handle: str
    id: str
    bytes: int
    media_type: str
    expires_at: datetime

    def __repr__(self) -> str:
        return f"Stored(id={self.id!r}, bytes={self.bytes})"


class Files:
    """Stored files of all accounts."""

    def __init__(self, database: Database, limits: FileLimits) -> None:
        self.limits = limits
        self._database = database
        self._turns = asyncio.Semaphore(_TURNS)

    def demand(self) -> None:
        """Raise StoreOff where nothing is stored at all."""
        if not self.limits.bytes_max:
            raise StoreOff("nothing is stored here: send files whole, and take results at once")

    @asynccontextmanager
    async def write(
        self, account_id: int, *, expected: int | None = None, short: bool = False
    ) -> AsyncIterator["FileWriter"]:
        """Begin a file, of so many bytes where that is known; its handle may be a short one.

        What is not kept (`FileWriter.keep`) when the block ends, and what is when it ends by an
        exception, is deleted. Raises StoreOff, StoreFull, StoreQuotaExceeded, AccountFrozen.
        """
        self.demand()
        handle = new_short_handle() if short else new_handle()
        writer = FileWriter(self._database, self._turns, self.limits, account_id, handle)
        whole = False
        try:
            await writer.make_room(CHUNK_BYTES if expected is None else expected)
            yield writer
            whole = writer.kept
        finally:
            writer.wipe()
            if not whole:
                await uninterrupted(self._discard(writer.file_id))

    async def open(self, handle: str, account_id: int | None = None) -> "StoredFile":
        """Find a file by its handle; with an account, only among that one's. Raises FileUnknown."""
        parsed = parse_handle(handle)
        if parsed is None:
            raise unknown()
        row = await self._database.row(_OPEN, parsed.file_id)
        if row is None or account_id not in (None, row["account_id"]):
            raise unknown()
        seal = Seal(parsed, row["half"], row["account_id"])
        if not seal.proves(row["proof"]):
            raise unknown()
        return StoredFile(self._database, self._turns, seal, row)

    async def list(
        self, account_id: int, *, before_seq: int | None = None, limit: int = 50
    ) -> "list[FileFacts]":
        """Give a page of the account's files, the newest first."""
        rows = await self._database.rows(_LIST, account_id, before_seq, limit)
        return [FileFacts(**row) for row in rows]

    async def delete(self, name: str, account_id: int) -> None:
        """Delete the account's file of this handle or id. There being none is not an error."""
        if file_id := parse_id(name):
            await self._execute(_DELETE_OWN, file_id, account_id)

    async def delete_by_handle(self, handle: str) -> None:
        """Delete a file for whoever has its handle. Raises FileUnknown."""
        await self._execute(_DELETE, (await self.open(handle)).id)

    async def _discard(self, file_id: str) -> None:
        # While PostgreSQL is away the sweeper has to do it.
        with suppress(LedgerUnavailable):
            await self._execute(_DELETE, file_id)

    async def _execute(self, statement: str, *arguments: object) -> None:
        async with self._database.session() as connection:
            await connection.execute(statement, *arguments, timeout=_CHUNK_TIMEOUT_S)


class FileWriter:
    """Seals what it is given, chunk by chunk; one chunk of it is here in the clear."""

    def __init__(
        self,
        database: Database,
        turns: asyncio.Semaphore,
        limits: FileLimits,
        account_id: int,
        handle: Handle,
    ) -> None:
        self.bytes = 0
        self.kept = False
        self._database = database
        self._turns = turns
        self._limits = limits
        self._account_id = account_id
        self._handle = handle
        self._half = new_half()
        self._seal = Seal(self._handle, self._half, account_id)
        self._room = 0
        self._number = 0
        self._chunk = bytearray(CHUNK_BYTES)
        self._filled = 0

    @property
    def file_id(self) -> str:
        """The file's id."""
        return self._handle.file_id

    async def make_room(self, room: int) -> None:
        """Keep room for so many bytes in all. Raises StoreFull, StoreQuotaExceeded, ..."""
        limits = self._limits
        said = await self._database.value(
            _MAKE_ROOM,
            *(self.file_id, self._account_id, room, _PATIENCE),
            *(limits.bytes_max, limits.files_max),
            *(limits.account_bytes_max, limits.account_files_max),
        )
        match said:
            case "full":
                raise StoreFull("the store is full; files expire, so try again in a minute")
            case "account_full":
                raise StoreQuotaExceeded(
                    f"this account may store {limits.account_files_max} files of together"
                    f" {limits.account_bytes_max} bytes; delete some, or let them expire"
                )
            case "account_frozen":
                raise AccountFrozen("the account is frozen or closed; it can store nothing")
        self._room = room

    async def add(self, piece: bytes | bytearray | memoryview) -> None:
        """Append a piece, which is free again on return. Raises StoreFull, FileLapsed, ..."""
        with memoryview(piece) as rest:
            taken = 0
            while taken < len(rest):
                # A full chunk waits here until it is known whether it is the last one.
                if self._filled == CHUNK_BYTES:
                    await self._send(last=False)
                part = rest[taken : taken + CHUNK_BYTES - self._filled]
                with memoryview(self._chunk) as chunk:
                    chunk[self._filled : self._filled + len(part)] = part
                self._filled += len(part)
                taken += len(part)

    async def keep(self, *, media_type: str, name: str | None, lifetime_s: float) -> Stored:
        """Make the file readable, from now on for so long. Raises FileLapsed."""
        await self._send(last=True)
        row = await self._database.row(
            _KEEP,
            *(self.file_id, self.bytes, media_type, timedelta(seconds=lifetime_s)),
            *(self._half, self._seal.proof, self._seal.close_name(name) if name else None),
        )
        if row is None:
            raise _lapsed()
        self.kept = True
        self.wipe()
        return Stored(
            handle=self._handle.text,
            id=self.file_id,
            bytes=self.bytes,
            media_type=media_type,
            expires_at=row["expires_at"],
        )

    def wipe(self) -> None:
        """Forget what is here in the clear, and its room: many files can be kept in one block."""
        self._chunk[:] = bytes(len(self._chunk))
        self._chunk = bytearray()

    async def _send(self, *, last: bool) -> None:
        self.bytes += self._filled
        if self.bytes > self._room:
            step = min(self._room, _ROOM_BYTES)
            await self.make_room(max(self.bytes, self._room + step))
        with memoryview(self._chunk) as chunk, chunk[: self._filled] as plain:
            sealed = self._seal.close(self._number, plain, last=last)
        async with self._turns, self._database.session() as connection:
            done = await connection.execute(
                *(_ADD, self.file_id, self._number, sealed, _PATIENCE), timeout=_CHUNK_TIMEOUT_S
            )
        if done != "INSERT 0 1":
            raise _lapsed()
        self._number += 1
        self._filled = 0


class StoredFile:
    """A stored file whose handle was shown."""

    def __init__(
        self, database: Database, turns: asyncio.Semaphore, seal: Seal, row: asyncpg.Record
    ) -> None:
        self.id: str = row["id"]
        self.account_id: int = row["account_id"]
        self.bytes: int = row["bytes"]
        self.media_type: str = row["media_type"]
        self.created_at: datetime = row["created_at"]
        self.expires_at: datetime = row["expires_at"]
        self.name: str | None = seal.open_name(row["name"]) if row["name"] else None
        self._database = database
        self._turns = turns
        self._seal = seal

    async def pieces(
        self, start: int = 0, stop: int | None = None
    ) -> AsyncGenerator[memoryview, None]:
        """The bytes from `start` to before `stop`, a chunk at a time; each is wiped after its turn.

        Raises FileUnknown when the file is deleted or expires meanwhile, FileDamaged.
        """
        end = self.bytes if stop is None else min(stop, self.bytes)
        last = chunks_of(self.bytes) - 1
        room = memoryview(bytearray(min(CHUNK_BYTES, self.bytes)))
        try:
            while start < end:
                number = start // CHUNK_BYTES
                begin = number * CHUNK_BYTES
                chunk = room[: min(CHUNK_BYTES, self.bytes - begin)]
                self._seal.open(number, await self._sealed(number), chunk, last=number == last)
                piece = chunk[start - begin : end - begin]
                yield piece
                start += len(piece)
        finally:
            room[:] = bytes(len(room))

    async def _sealed(self, number: int) -> bytes:
        async with self._turns:
            sealed: bytes | None = await self._database.value(_CHUNK, self.id, number)
        if sealed is None:
            raise unknown()
        return sealed


def unknown() -> FileUnknown:
    """Give the one sentence for every handle that opens nothing."""
    return FileUnknown("there is no such file: it never was, was deleted, or has expired")


def _lapsed() -> FileLapsed:
    return FileLapsed("the file came too slowly, and its room was given to others; send it again")
