"""Files that stay for a while: results in place of being sent, uploads for later conversions.

A stored result is answered by a short document with its handle, the only copy of the secret that
opens it. That answer is sent inside the debit as any result is, and settled after its last byte: a
charge for a handle that nobody got would be a charge for a file that nobody can read. A client that
hangs up before, an error and a drain take the file back and refund. A gateway that dies in between
has given a stored file away; never the other way round.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from datetime import UTC, datetime

import msgspec
from aiohttp import hdrs, web

from engine.job import Buffer
from gateway import downloads, state
from gateway.errors import RequestMalformed, UploadPartsExceeded, UploadTooLarge
from gateway.uploads import Hold, Upload
from gateway.wiping import Gathering
from ledger.credits.debit import uninterrupted
from ledger.errors import LedgerUnavailable
from ledger.files.files import Files, Stored, StoredFile
from ledger.files.sealing import CHUNK_BYTES

EXPIRES = "X-File-Expires"
# A writer or a reader has one chunk in the clear and one sealed.
HELD_BYTES = 2 * CHUNK_BYTES


class StoredAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A file that was stored. The handle is shown this once, and nowhere kept."""

    handle: str
    # The file in lists; deletes it, and does not open it.
    id: str
    url: str
    bytes: int
    media_type: str
    expires_at: str


def check(request: web.Request, *, files_max: int | None = None) -> None:
    """Refuse what the head of a conversion gives away.

    Raises StoreOff, RequestMalformed, UploadPartsExceeded.
    """
    asked, most = request[state.ASKED], files_max or request.app[state.SETTINGS].upload.files_max
    if asked.stored_s is not None or asked.files:
        check_on(request)
    if asked.files and request.can_read_body:
        raise RequestMalformed("file= names the stored file to convert: send no body with it")
    if len(asked.files) > most:
        files = "one file" if most == 1 else f"at most {most} files"
        raise UploadPartsExceeded(f"a request to this address takes {files}")


def check_on(request: web.Request) -> None:
    """Raise StoreOff where the operator lets nothing be stored."""
    request.app[state.LEDGER].files.demand()


async def sources(request: web.Request, hold: Hold) -> list[StoredFile]:
    """The stored files to convert. Raises FileUnknown, UploadTooLarge, MemoryFull."""
    files, most = request.app[state.LEDGER].files, request.app[state.SETTINGS].upload.bytes_max
    account_id = request[state.CALLER].account_id
    found = [await files.open(handle, account_id) for handle in request[state.ASKED].files]
    size = sum(file.bytes for file in found)
    if size > most:
        raise UploadTooLarge(f"one request converts at most {most} bytes")
    hold.grow_to(size)
    return found


async def gathered(found: Sequence[StoredFile]) -> list[Upload]:
    """Stored files in memory, in their order. Raises FileUnknown where one goes meanwhile."""
    rooms = [Gathering(file.bytes) for file in found]
    try:
        for file, room in zip(found, rooms, strict=True):
            async with aclosing(file.pieces()) as pieces:
                async for piece in pieces:
                    room.add(piece)
        return [
            Upload(body=room.whole(), name=file.name)
            for file, room in zip(found, rooms, strict=True)
        ]
    finally:
        for room in rooms:
            room.wipe()


@asynccontextmanager
async def stored(
    request: web.Request, response: web.StreamResponse, body: downloads.Body, name: str
) -> AsyncIterator[downloads.Body]:
    """What is sent: the body itself or, where the client wants it stored, the word that it is.

    A block that fails takes the file back. Raises StoreFull, StoreQuotaExceeded, FileLapsed.
    """
    lifetime_s = request[state.ASKED].stored_s
    if lifetime_s is None:
        yield body
        return
    files, account_id = request.app[state.LEDGER].files, request[state.CALLER].account_id
    async with files.write(account_id, expected=body.size) as writer:
        async with aclosing(body.pieces()) as pieces:
            async for piece in pieces:
                await writer.add(piece)
        media_type = response.headers[hdrs.CONTENT_TYPE]
        kept = await writer.keep(media_type=media_type, name=name, lifetime_s=lifetime_s)
        del response.headers[hdrs.CONTENT_DISPOSITION]
        yield announced(response, kept)


@asynccontextmanager
async def all_stored(
    request: web.Request,
    results: Sequence[tuple[str, Buffer]],
    *,
    media_type: str,
    lifetime_s: float,
) -> AsyncIterator[tuple[StoredAnswer, ...]]:
    """Store named results, one after the other. A block that fails takes all of them back.

    Raises StoreFull, StoreQuotaExceeded, FileLapsed.
    """
    files, account_id = request.app[state.LEDGER].files, request[state.CALLER].account_id
    kept: list[Stored] = []
    try:
        for name, result in results:
            async with files.write(account_id, expected=len(result)) as writer:
                await writer.add(result)
                kept.append(
                    await writer.keep(media_type=media_type, name=name, lifetime_s=lifetime_s)
                )
        yield tuple(told(one) for one in kept)
    except BaseException:
        await uninterrupted(_take_back(files, kept, account_id))
        raise


async def _take_back(files: Files, kept: Sequence[Stored], account_id: int) -> None:
    # While PostgreSQL is away they stay until they expire, and nobody has their handles.
    with suppress(LedgerUnavailable):
        for one in kept:
            await files.delete(one.id, account_id)


def told(kept: Stored) -> StoredAnswer:
    """What a client is told of a stored file, this once."""
    return StoredAnswer(
        handle=kept.handle,
        id=kept.id,
        url=f"/v1/files/{kept.handle}",
        bytes=kept.bytes,
        media_type=kept.media_type,
        expires_at=moment(kept.expires_at),
    )


def announced(response: web.StreamResponse, kept: Stored) -> downloads.Body:
    """Make the response say that a file was stored; gives its body."""
    answer = told(kept)
    response.set_status(web.HTTPCreated.status_code)
    response.headers[hdrs.CONTENT_TYPE] = "application/json"
    response.headers[hdrs.LOCATION] = answer.url
    response.headers[EXPIRES] = answer.expires_at
    return downloads.Kept([msgspec.json.encode(answer)])


def moment(when: datetime) -> str:
    """A time as answers write it: whole seconds of UTC, rounded down."""
    return f"{when.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


class Part:
    """A stored file, or a part of it, as a body."""

    def __init__(self, file: StoredFile, span: range) -> None:
        self.size = len(span)
        self._file = file
        self._span = span

    def pieces(self) -> AsyncGenerator[memoryview, None]:
        """A chunk at a time, each wiped after its turn."""
        return self._file.pieces(self._span.start, self._span.stop)
