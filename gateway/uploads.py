"""The request's body into memory: capped, timed, counted, and never in a file.

A body is raw bytes (one file) or `multipart/form-data` (several). aiohttp's own form reader is
forbidden here, because it spools parts over 1 MiB to temporary files, and its multipart reader,
because it leaves copies; so the parts are read chunk by chunk (`gateway/multipart.py`). Nothing is
read before the announced size was checked, and what is not announced is counted as it comes. All
requests together draw on one `Memory`; a full one refuses at once.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from types import TracebackType
from typing import Self

import msgspec
from aiohttp import content_disposition_filename, hdrs, parse_content_disposition, web
from aiohttp.helpers import parse_mimetype

from gateway.config import UploadConfig
from gateway.errors import (
    MediaTypeUnsupported,
    MemoryFull,
    RequestMalformed,
    UploadCut,
    UploadPartsExceeded,
    UploadTooLarge,
    UploadTooSlow,
)
from gateway.multipart import MultipartBroken, PartHead, Parts
from gateway.receiving import pieces
from gateway.wiping import Gathering

MULTIPART = "multipart/form-data"
# The form field that carries files; `file[]` is what several form libraries make of a list.
FILE_FIELDS = frozenset({"file", "files", "file[]", "files[]"})
# How soon memory is likely to be free again: a few conversions later.
RETRY_AFTER_S = 2.0


class Upload(msgspec.Struct, frozen=True, kw_only=True):
    """One file as it came. The name is the client's claim; it is used for the download only."""

    body: bytearray
    name: str | None = None


class Memory:
    """The bytes in flight of all requests, with a limit."""

    def __init__(self, bytes_max: int) -> None:
        self.bytes_max = bytes_max
        self.taken = 0

    def hold(self) -> "Hold":
        """One request's share, given back when its `with` ends."""
        return Hold(self)


class Hold:
    """What one request holds of the memory, for as long as its block lasts."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._taken = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._memory.taken -= self._taken
        self._taken = 0

    def grow_to(self, size: int) -> None:
        """Hold `size` bytes in all. Raises MemoryFull when there is no room."""
        more = size - self._taken
        if more > 0 and self._memory.taken + more > self._memory.bytes_max:
            raise MemoryFull(
                "the service holds as many bytes as it may; try again in a few seconds",
                retry_after_s=RETRY_AFTER_S,
            )
        self.count(more)

    def count(self, more: int) -> None:
        """Hold more without asking: a result exists already, and refusing it frees nothing."""
        if more > 0:
            self._memory.taken += more
            self._taken += more


def check_head(request: web.Request, config: UploadConfig) -> None:
    """Refuse what the headers alone give away, before a byte of the body is read.

    Any other Content-Type is taken as raw bytes, `application/x-www-form-urlencoded` included:
    that is what `curl --data-binary @FILE` calls a file. The bytes themselves are looked at.
    """
    if (request.content_length or 0) > config.bytes_max:
        raise _too_large(config)
    encoding = request.headers.get(hdrs.CONTENT_ENCODING, "identity").strip().lower()
    if encoding != "identity":
        raise MediaTypeUnsupported(
            "Content-Encoding is not taken: send the file's own bytes, not compressed ones"
        )
    media_type = request.content_type.lower()
    if media_type.startswith("multipart/") and media_type != MULTIPART:
        raise MediaTypeUnsupported(f"{MULTIPART} is the only multipart body taken here")


async def read(request: web.Request, config: UploadConfig, hold: Hold) -> list[Upload]:
    """Read the whole body. Raises the upload errors of `gateway.errors`."""
    check_head(request, config)
    if request.content_length:
        hold.grow_to(request.content_length)
    async with _pace(config) as arrived:
        if request.content_type.lower() == MULTIPART:
            return await _read_parts(request, config, hold, arrived)
        body = await _read_raw(request, config, hold, arrived)
    name = _claimed_name(request.headers.get(hdrs.CONTENT_DISPOSITION))
    return [Upload(body=body, name=name)]


@asynccontextmanager
async def _pace(config: UploadConfig) -> AsyncIterator[Callable[[int], None]]:
    """Time the client: each chunk moves the deadline, within the least rate and the total."""
    clock = asyncio.get_running_loop().time
    start = clock()

    def deadline(received: int) -> float:
        return min(
            clock() + config.stall_s,
            start + config.rate_grace_s + received / config.rate_min_bytes_s,
            start + config.total_s,
        )

    try:
        async with asyncio.timeout_at(deadline(0)) as timer:
            yield lambda received: timer.reschedule(deadline(received))
    except TimeoutError as error:
        raise UploadTooSlow(
            "the upload stopped or became too slow; at least "
            f"{config.rate_min_bytes_s} bytes a second are expected"
        ) from error


async def _read_raw(
    request: web.Request, config: UploadConfig, hold: Hold, arrived: Callable[[int], None]
) -> bytearray:
    body = Gathering(request.content_length or 0)
    try:
        async with aclosing(pieces(request.content)) as arriving:
            async for chunk in arriving:
                if len(body) + len(chunk) > config.bytes_max:
                    raise _too_large(config)
                hold.grow_to(len(body) + len(chunk))
                body.add(chunk)
                arrived(len(body))
    except web.RequestPayloadError as error:
        raise UploadCut("the body ended before its announced end, or was badly framed") from error
    else:
        return body.whole()
    finally:
        body.wipe()


async def _read_parts(
    request: web.Request, config: UploadConfig, hold: Hold, arrived: Callable[[int], None]
) -> list[Upload]:
    boundary = parse_mimetype(request.headers[hdrs.CONTENT_TYPE]).parameters.get("boundary", "")
    files: list[tuple[Gathering, str | None]] = []
    received = 0
    try:
        async with aclosing(pieces(request.content)) as arriving:
            with Parts(arriving, boundary) as parts:
                while (head := await parts.next()) is not None:
                    if len(files) >= config.files_max:
                        raise UploadPartsExceeded(
                            f"one request carries at most {config.files_max} files"
                        )
                    _check_part(head)
                    body = Gathering(0)
                    files.append((body, head.filename))
                    while chunk := await parts.chunk():
                        received += len(chunk)
                        if received > config.bytes_max:
                            raise _too_large(config)
                        hold.grow_to(received)
                        body.add(chunk)
                        arrived(received)
    except web.RequestPayloadError as error:
        raise UploadCut("the body ended before its announced end, or was badly framed") from error
    except MultipartBroken as error:
        raise RequestMalformed(f"the {MULTIPART} body is not well formed: {error}") from error
    else:
        if not files:
            raise RequestMalformed(f"the {MULTIPART} body has no part named file")
        return [Upload(body=body.whole(), name=name) for body, name in files]
    finally:
        for body, _ in files:
            body.wipe()


def _check_part(head: PartHead) -> None:
    if head.headers.get("content-type", "").lower().startswith("multipart/"):
        raise RequestMalformed(f"a part of the {MULTIPART} body is itself multipart")
    if head.name not in FILE_FIELDS:
        raise RequestMalformed(
            f"a part of the {MULTIPART} body is not named file; options go into the query string"
        )
    for header in (hdrs.CONTENT_ENCODING, hdrs.CONTENT_TRANSFER_ENCODING):
        encoding = head.headers.get(header.lower(), "binary").strip().lower()
        if encoding not in {"binary", "identity", "8bit", "7bit"}:
            raise MediaTypeUnsupported(f"a part's {header} is not taken: send the plain bytes")


def _claimed_name(disposition: str | None) -> str | None:
    """The file name of a raw body's Content-Disposition, if it has a readable one."""
    if not disposition:
        return None
    _, parameters = parse_content_disposition(disposition)
    return content_disposition_filename(parameters)


def _too_large(config: UploadConfig) -> UploadTooLarge:
    return UploadTooLarge(f"one request carries at most {config.bytes_max} bytes")
