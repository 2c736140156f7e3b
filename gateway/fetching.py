"""Files by URL in place of a body: fetched through the guard, counted like an upload.

They are here before anything is debited, so one that cannot be fetched costs nothing. The URL is
used and not kept: no log line, figure, error or row holds it.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager

import msgspec
from aiohttp import web

from engine.job import Buffer
from gateway import state
from gateway.connections.places import Place
from gateway.errors import FetchTooLarge, RequestMalformed, UploadPartsExceeded
from gateway.outbound.client import Fetched
from gateway.uploads import Hold, Upload
from gateway.wiping import Gathering

# They come one after the other, and each may take `fetch.total_s`.
URLS_MAX = 20


def check(request: web.Request, urls: tuple[str, ...], *, others: bool = False) -> None:
    """Refuse what the head gives away; `others`: there are stored files as well.

    Raises FetchOff, FetchRefused, RequestMalformed, UploadPartsExceeded.
    """
    if not urls:
        return
    for url in urls[:URLS_MAX]:
        request.app[state.OUTBOUND].check(url)
    if request.can_read_body:
        raise RequestMalformed("url= says where the file is: send no body with it")
    if others:
        raise RequestMalformed("url= and file= do not go together: one says where the files are")
    if len(urls) > URLS_MAX:
        raise UploadPartsExceeded(f"one request fetches at most {URLS_MAX} files")


@asynccontextmanager
async def fetched(request: web.Request, where: str | Place, hold: Hold) -> AsyncIterator[Fetched]:
    """A file on its way in, within what an upload may hold.

    Raises FetchError, MemoryFull; of storage of the customer's own StorageError, ConnectionUnknown.
    """
    most = request.app[state.SETTINGS].upload.bytes_max
    account_id = request[state.CALLER].account_id
    if isinstance(where, Place):
        asked = request.app[state.STORAGE].take(account_id, where)
    else:
        asked = request.app[state.OUTBOUND].fetch(where, account_id=account_id)
    async with asked as arriving:
        pieces = _counted(arriving, hold, most)
        async with aclosing(pieces):
            yield msgspec.structs.replace(arriving, pieces=pieces)


async def gathered(
    request: web.Request, remote: tuple[str | Place, ...], hold: Hold
) -> list[Upload]:
    """Several files in memory, in their order. Raises as `fetched`."""
    rooms: list[tuple[Gathering, str | None]] = []
    try:
        for where in remote:
            room = Gathering(0)
            async with fetched(request, where, hold) as arriving:
                rooms.append((room, arriving.name))
                async for piece in arriving.pieces:
                    room.add(piece)
        return [Upload(body=room.whole(), name=name) for room, name in rooms]
    finally:
        for room, _ in rooms:
            room.wipe()


async def _counted(arriving: Fetched, hold: Hold, most: int) -> AsyncGenerator[Buffer, None]:
    """The same pieces. What is announced is held before the first byte of it is read."""
    before = hold.taken
    if before + (arriving.announced or 0) > most:
        raise _too_large(most)
    hold.grow_to(before + (arriving.announced or 0))
    received = before
    async for piece in arriving.pieces:
        received += len(piece)
        if received > most:
            raise _too_large(most)
        hold.grow_to(received)
        yield piece


def _too_large(most: int) -> FetchTooLarge:
    return FetchTooLarge(f"one request carries at most {most} bytes", reason="large")
