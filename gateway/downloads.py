"""The result out to the socket, and the one rule about when it counts as delivered.

A conversion is charged when its last byte was handed to the kernel's socket buffer. Results are
not stored, so nothing can be fetched later; settling any earlier would charge for what a dead
gateway never sent. The other error is left: a gateway that dies between the last byte and the
settling gave one conversion away. A client that hangs up before that moment gets its credits back;
what the kernel has taken and the client then does not read is charged.
"""

import asyncio
import io
import re
import zipfile
from collections.abc import Sequence
from typing import cast
from urllib.parse import quote

from aiohttp import ClientConnectionResetError, hdrs, web
from aiohttp.http import StreamWriter

from engine.job import Buffer
from gateway.config import DownloadConfig
from gateway.errors import DownloadStalled

# The first file name that a name could be taken from decides; without any, this.
NAMELESS = "converted"
NAME_CHARS_MAX = 120
# Header lines that clients accept; a converter with more to say repeats itself.
WARNINGS_MAX = 8
WARNING_CHARS_MAX = 200
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


def zipped(files: Sequence[Buffer], base: str, extension: str) -> memoryview:
    """Several results as one archive, in memory. Stored: the results are compressed already.

    The memory can be written, so that it can be wiped.
    """
    archive = io.BytesIO()
    width = len(str(len(files)))
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as members:
        for number, content in enumerate(files, start=1):
            # A fixed time stamp (the ZIP epoch): the same input gives the same bytes.
            member = zipfile.ZipInfo(f"{base}-{number:0{width}}.{extension}")
            with members.open(member, "w") as file:
                file.write(content)
    return archive.getbuffer()


async def send(
    request: web.Request, response: web.StreamResponse, body: Buffer, config: DownloadConfig
) -> None:
    """Write head and body; return when the kernel has taken the last byte.

    Raises DownloadStalled when the client stops reading, ConnectionError when it hangs up.
    """
    response.content_length = len(body)
    response.headers.setdefault(hdrs.ACCEPT_RANGES, "none")
    transport = request.transport
    if transport is None:
        raise ClientConnectionResetError("the client hung up before the first byte")
    view = memoryview(body)
    await response.prepare(request)
    # Otherwise aiohttp joins the head and the first piece: a copy of it that nobody can wipe.
    cast("StreamWriter", request.writer).send_headers()
    # By default up to 64 KiB stay in this process when a write returns. With no such buffer a
    # finished write means that the kernel has the bytes, which is what settling relies on.
    before = transport.get_write_buffer_limits()
    transport.set_write_buffer_limits(high=0)
    clock = asyncio.get_running_loop().time
    start = clock()
    try:
        async with asyncio.timeout(config.stall_s) as timer:
            for offset in range(0, len(view), CHUNK_BYTES):
                least = start + config.rate_grace_s + offset / config.rate_min_bytes_s
                timer.reschedule(min(clock() + config.stall_s, least, start + config.total_s))
                await response.write(view[offset : offset + CHUNK_BYTES])
                await request.writer.drain()
            await response.write_eof()
            await request.writer.drain()
    except TimeoutError as error:
        raise DownloadStalled("the client stopped reading its result") from error
    transport.set_write_buffer_limits(high=before[1], low=before[0])
