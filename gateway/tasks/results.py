"""A task's results: into the store, its holder's memory, or its owner's own storage."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager

import msgspec

from engine import formats
from engine.job import Buffer, Output
from engine.passage import Delivery
from gateway import downloads, storing
from gateway.connections.desk import StorageDesk
from gateway.connections.places import Place
from gateway.tasks.held import Room
from gateway.tasks.request import ResultFile, TaskRequest
from gateway.wiping import Wiper
from ledger.files.files import Files


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """A result that is still here, or with its worker."""

    name: str
    media_type: str
    body: downloads.Body


async def results_of(
    request: TaskRequest, delivery: Delivery, claimed: str | None, wiper: Wiper
) -> list[Result]:
    """What there is to keep: one file, an archive of several, or each by itself."""
    base = downloads.stem(claimed)
    target = formats.find(delivery.output.target)
    extension, count = request.called or target.extensions[0], len(delivery.sizes)
    if count == 1:
        name = downloads.called(delivery.output.names, 1, base, extension)[0]
        passing = downloads.Passing(delivery)
        return [Result(name=_last(name), media_type=target.media_type, body=passing)]
    output = await delivery.whole()
    wiper.add(output.files)
    if request.separate:
        names = downloads.called(output.names, count, base, extension)
        if request.dialect == "convertapi" and len(output.names) != count:
            names = [f"{base}_{number}.{extension}" for number in range(count)]
        return [
            Result(name=_last(name), media_type=target.media_type, body=downloads.Kept([file]))
            for name, file in zip(names, output.files, strict=True)
        ]
    archive = await asyncio.to_thread(_archived, output, base)
    return [
        Result(
            name=f"{base}.zip",
            media_type=downloads.ZIP_MEDIA_TYPE,
            body=downloads.Kept(archive),
        )
    ]


@asynccontextmanager
async def stored(
    files: Files, account_id: int, request: TaskRequest, results: Sequence[Result]
) -> AsyncIterator[tuple[ResultFile, ...]]:
    """Store them all; a block that fails takes them back.

    Raises StoreFull, StoreQuotaExceeded, FileLapsed.
    """
    async with AsyncExitStack() as kept:
        told = []
        for result in results:
            writer = await kept.enter_async_context(
                files.write(account_id, expected=result.body.size, short=request.short)
            )
            async with aclosing(result.body.pieces()) as pieces:
                async for piece in pieces:
                    await writer.add(piece)
            file = await writer.keep(
                media_type=result.media_type, name=result.name, lifetime_s=request.lifetime_s
            )
            told.append(
                ResultFile(
                    name=result.name,
                    bytes=file.bytes,
                    media_type=file.media_type,
                    handle=file.handle,
                    id=file.id,
                    expires_at=storing.moment(file.expires_at),
                )
            )
        yield tuple(told)


async def delivered(
    storage: StorageDesk, account_id: int, place: Place, results: Sequence[Result]
) -> tuple[ResultFile, ...]:
    """Write the one result to its owner's storage, in place of what an attempt before wrote.

    Raises ConnectionsOff, ConnectionUnknown, FetchCrowded, StorageError.
    """
    (result,) = results
    done = await storage.deliver(
        account_id, place.called(result.name), result.body, result.media_type
    )
    return (
        ResultFile(
            name=result.name,
            bytes=done.bytes,
            media_type=result.media_type,
            delivered_to=str(done.place),
            etag=done.etag,
        ),
    )


async def into_memory(room: Room, results: Sequence[Result]) -> tuple[ResultFile, ...]:
    """Keep the one result here until it is fetched. Raises MemoryFull."""
    (result,) = results
    buffers: Sequence[Buffer]
    if isinstance(result.body, downloads.Kept):
        buffers = [memoryview(bytearray(one)) for one in result.body.buffers]
    else:
        whole = bytearray(result.body.size)
        filled = 0
        async with aclosing(result.body.pieces()) as pieces:
            async for piece in pieces:
                whole[filled : filled + len(piece)] = piece
                filled += len(piece)
        buffers = [whole]
    room.put_result(buffers)
    size = result.body.size
    return (ResultFile(name=result.name, bytes=size, media_type=result.media_type),)


def _archived(output: Output, base: str) -> list[Buffer]:
    return downloads.zipped(downloads.named(output, base))


def _last(path: str) -> str:
    return path.rpartition("/")[2]
