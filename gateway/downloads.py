"""The result out to the socket, and the one rule about when it counts as delivered.

A conversion is charged when its last byte was handed to the kernel's socket buffer. Results are
not stored, so nothing can be fetched later; settling any earlier would charge for what a dead
gateway never sent. The other error is left: a gateway that dies between the last byte and the
settling gave one conversion away. A client that hangs up before that moment gets its credits back;
what the kernel has taken and the client then does not read is charged.

A single result passes through: its worker holds it and writes it to a pipe, one chunk of it is
here, and the kernel's socket buffer takes it. That is one copy of each byte in this process, from
the pipe into the chunk, at the client's pace; several results are gathered for their archive.
"""

import asyncio
import re
import zipfile
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from typing import IO, Protocol, cast
from urllib.parse import quote

from aiohttp import ClientConnectionResetError, hdrs, web
from aiohttp.http import StreamWriter

from engine import formats
from engine.job import Buffer, Output
from engine.passage import Delivery
from engine.wiping import wipe
from gateway.config import DownloadConfig
from gateway.errors import DownloadStalled

# The first file name that a name could be taken from decides; without any, this.
NAMELESS = "converted"
NAME_CHARS_MAX = 120
# Of names that results bring along: NAME_MAX and PATH_MAX of Linux.
PART_CHARS_MAX, PATH_CHARS_MAX = 255, 4096
# Header lines that clients accept; a converter with more to say repeats itself.
WARNINGS_MAX = 8
WARNING_CHARS_MAX = 200
# What is here of a result that passes through: with 64 KiB it costs three quarters more CPU, with
# 1 MiB a third less and four times the memory (`python -m bench pipes`).
CHUNK_BYTES = 256 * 1024
ZIP_MEDIA_TYPE = "application/zip"

# What may not be in a name on some system, or would end the header's quoting.
_UNSAFE = re.compile(r'[\x00-\x1f\x7f-\x9f"\\/:*?<>|%;\u2028\u2029\u202a-\u202e\u2066-\u2069]')


def stem(claimed: str | None) -> str:
    """A safe stem from a file name that a client claimed: no path, no extension, no tricks."""
    if not claimed:
        return NAMELESS
    last = re.split(r"[/\\]", claimed)[-1]
    name = _UNSAFE.sub("_", last).strip(" .")
    base = name.rpartition(".")[0] or name
    return base[:NAME_CHARS_MAX].strip(" .") or NAMELESS


def disposition(name: str) -> str:
    """`Content-Disposition` for a download (RFC 6266), with RFC 8187 where ASCII is not enough."""
    plain = name.encode("ascii", "replace").decode("ascii").replace("?", "_")
    header = f'attachment; filename="{plain}"'
    if plain != name:
        header += f"; filename*=UTF-8''{quote(name, safe='')}"
    return header


def warnings_header(warnings: Sequence[str]) -> str:
    """Warnings as an RFC 8941 list of strings. They come from a worker, so they are cleaned."""
    items = []
    for warning in warnings[:WARNINGS_MAX]:
        clean = "".join(char if " " <= char <= "~" else "?" for char in warning)
        escaped = clean[:WARNING_CHARS_MAX].replace("\\", "\\\\").replace('"', '\\"')
        items.append(f'"{escaped}"')
    return ", ".join(items)


class Body(Protocol):
    """What is sent: so many bytes, in pieces."""

    @property
    def size(self) -> int:
        """Bytes in all."""

    def pieces(self) -> AsyncGenerator[memoryview, None]:
        """The bytes in order; a piece is free again when the next one is asked for."""


class Kept:
    """A body that is in memory, in one buffer or several."""

    def __init__(self, buffers: Sequence[Buffer]) -> None:
        self.buffers = buffers
        self.size = sum(len(buffer) for buffer in buffers)

    async def pieces(self) -> AsyncGenerator[memoryview, None]:
        """Views, none larger than a chunk."""
        for buffer in self.buffers:
            view = memoryview(buffer)
            for offset in range(0, len(view), CHUNK_BYTES):
                yield view[offset : offset + CHUNK_BYTES]


class Passing:
    """A body that is still with its worker: it passes through one chunk of memory, wiped after."""

    def __init__(self, delivery: Delivery) -> None:
        self._delivery = delivery
        self.size = sum(delivery.sizes)

    async def pieces(self) -> AsyncGenerator[memoryview, None]:
        """The same chunk, filled again and again."""
        chunk = memoryview(bytearray(min(CHUNK_BYTES, self.size)))
        try:
            for offset in range(0, self.size, CHUNK_BYTES):
                piece = chunk[: self.size - offset]
                await self._delivery.read(piece)
                yield piece
        finally:
            wipe(chunk)


class _Pieces:
    """A file to write to that keeps what is written where it lies, instead of copying it."""

    def __init__(self) -> None:
        self._at: dict[int, Buffer] = {}
        self._position = 0

    @property
    def buffers(self) -> list[Buffer]:
        """What was written, in the order of its place."""
        return [self._at[place] for place in sorted(self._at)]

    def write(self, piece: Buffer) -> int:
        """Keep the piece here. One that is written again has the size of the first."""
        self._at[self._position] = piece
        self._position += len(piece)
        return len(piece)

    def tell(self) -> int:
        return self._position

    def seek(self, position: int) -> int:
        self._position = position
        return position

    def flush(self) -> None:
        pass


def zipped(files: Iterable[tuple[str, Buffer]]) -> list[Buffer]:
    """Named results as one archive, in pieces; the results themselves are not copied.

    Stored, not compressed: the results are compressed already.
    """
    archive = _Pieces()
    with zipfile.ZipFile(cast("IO[bytes]", archive), "w", zipfile.ZIP_STORED) as members:
        for name, content in files:
            # A fixed time stamp (the ZIP epoch): the same input gives the same bytes.
            with members.open(zipfile.ZipInfo(name), "w") as file:
                file.write(content)
    return archive.buffers


def named(output: Output, base: str) -> list[tuple[str, Buffer]]:
    """The results of one file, with their names."""
    extension = formats.find(output.target).extensions[0]
    names = called(output.names, len(output.files), base, extension)
    return list(zip(names, output.files, strict=True))


def called(own: Sequence[str], count: int, base: str, extension: str) -> list[str]:
    """A name for each of `count` results: its own, where the worker gave one, or the upload's.

    Own names may have folders. They come from a worker, so they are cleaned, and no two are alike.
    """
    if len(own) == count:
        taken: set[str] = set()
        return [_apart(_path(name), taken) for name in own]
    if count == 1:
        return [f"{base}.{extension}"]
    return [f"{base}-{number:0{len(str(count))}}.{extension}" for number in range(1, count + 1)]


def _path(claimed: str) -> str:
    """A path that stays below where it is unpacked, on every system."""
    parts = [_UNSAFE.sub("_", part).rstrip(" .") for part in claimed.split("/")]
    path = "/".join(part[:PART_CHARS_MAX] for part in parts if part)
    return path if 0 < len(path) <= PATH_CHARS_MAX else NAMELESS


def _apart(path: str, taken: set[str]) -> str:
    """The path, numbered where it is taken already; case does not make a difference everywhere."""
    folder, slash, name = path.rpartition("/")
    stem, dot, extension = name.rpartition(".") if "." in name[1:] else (name, "", "")
    number = 1
    while path.lower() in taken:
        number += 1
        path = f"{folder}{slash}{stem} ({number}){dot}{extension}"
    taken.add(path.lower())
    return path


async def send(
    request: web.Request, response: web.StreamResponse, body: Body, config: DownloadConfig
) -> None:
    """Write head and body; return when the kernel has taken the last byte.

    Raises DownloadStalled when the client stops reading, ConnectionError when it hangs up, and what
    the body raises.
    """
    response.content_length = body.size
    response.headers.setdefault(hdrs.ACCEPT_RANGES, "none")
    transport = request.transport
    if transport is None:
        raise ClientConnectionResetError("the client hung up before the first byte")
    await response.prepare(request)
    # Otherwise aiohttp joins the head and the first piece: a copy of it that nobody can wipe.
    cast("StreamWriter", request.writer).send_headers()
    # By default up to 64 KiB stay in this process when a write returns. With no such buffer a
    # finished write means that the kernel has the bytes, which is what settling relies on, and that
    # the piece's memory is ours again.
    before = transport.get_write_buffer_limits()
    transport.set_write_buffer_limits(high=0)
    clock = asyncio.get_running_loop().time
    start, sent = clock(), 0
    try:
        async with asyncio.timeout(config.stall_s) as timer, aclosing(body.pieces()) as pieces:
            async for piece in pieces:
                await response.write(piece)
                await request.writer.drain()
                sent += len(piece)
                least = start + config.rate_grace_s + sent / config.rate_min_bytes_s
                timer.reschedule(min(clock() + config.stall_s, least, start + config.total_s))
            await response.write_eof()
            await request.writer.drain()
    except TimeoutError as error:
        raise DownloadStalled("the client stopped reading its result") from error
    transport.set_write_buffer_limits(high=before[1], low=before[0])
