"""The request's body, as it arrives or in memory: capped, timed, counted, and never in a file.

A body is raw bytes (one file) or `multipart/form-data` (several). aiohttp's own form reader is
forbidden here, because it spools parts over 1 MiB to temporary files, and its multipart reader,
because it leaves copies; so the parts are read chunk by chunk (`gateway/multipart.py`). Nothing is
read before the announced size was checked, and what is not announced is counted as it comes. All
requests together draw on one `Memory`; a full one refuses at once.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable
from contextlib import aclosing
from types import TracebackType
from typing import Self, TypeVar

import msgspec
from aiohttp import content_disposition_filename, hdrs, parse_content_disposition, web
from aiohttp.helpers import parse_mimetype

from engine.job import Buffer
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

T = TypeVar("T")

MULTIPART = "multipart/form-data"
# The form field that carries files; `file[]` is what several form libraries make of a list.
FILE_FIELDS = frozenset({"file", "files", "file[]", "files[]"})
# Room for a part, if as much is still to come; a larger one moves once or twice.
PART_BYTES = 1024 * 1024
# How soon memory is likely to be free again: a few conversions later.
RETRY_AFTER_S = 2.0


class Upload(msgspec.Struct, frozen=True, kw_only=True):
    """One file as it came. The name is the client's claim; it is used for the download only."""

    body: bytearray
    name: str | None = None


class Memory:
    """The bytes in flight of all requests, here and in workers, with a limit."""

    def __init__(self, bytes_max: int) -> None:
        self.bytes_max = bytes_max
        self.taken = 0

    def check(self, more: int) -> None:
        """Raise MemoryFull where there is no room for so many bytes."""
        if more > 0 and self.taken + more > self.bytes_max:
            raise MemoryFull(
                "the service holds as many bytes as it may; try again in a few seconds",
                retry_after_s=RETRY_AFTER_S,
            )

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

    @property
    def taken(self) -> int:
        """Bytes that are held now."""
        return self._taken

    def grow_to(self, size: int) -> None:
        """Hold `size` bytes in all. Raises MemoryFull when there is no room."""
        more = size - self._taken
        self._memory.check(more)
        self.count(more)

    def take(self, more: int) -> None:
        """Hold so many bytes more. Raises MemoryFull when there is no room."""
        self._memory.check(more)
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
    kind = media_type(request)
    if kind.startswith("multipart/") and kind != MULTIPART:
        raise MediaTypeUnsupported(f"{MULTIPART} is the only multipart body taken here")


def is_multipart(request: web.Request) -> bool:
    """Whether the body is a form, which may carry several files."""
    return media_type(request) == MULTIPART


def media_type(request: web.Request) -> str:
    """What the body is said to be, in lower case and without parameters.

    aiohttp's property reads the header as one of a mail: half a millisecond for each new boundary.
    """
    claimed = request.headers.get(hdrs.CONTENT_TYPE, "application/octet-stream")
    return claimed.partition(";")[0].strip().lower()


def claimed_name(request: web.Request) -> str | None:
    """The file name of a raw body's Content-Disposition, if it has a readable one."""
    disposition = request.headers.get(hdrs.CONTENT_DISPOSITION)
    if not disposition:
        return None
    _, parameters = parse_content_disposition(disposition)
    return content_disposition_filename(parameters)


async def arriving(
    request: web.Request, config: UploadConfig, hold: Hold, pace: "Pace | None" = None
) -> AsyncGenerator[Buffer, None]:
    """The body in pieces; each is wiped when the next is asked for. Close it (`aclosing`).

    Raises the upload errors of `gateway.errors`. Only the client is timed, not who takes a piece.
    """
    check_head(request, config)
    hold.grow_to(request.content_length or 0)
    pace, received = pace or Pace(config), 0
    try:
        async with aclosing(pieces(request.content)) as body:
            while piece := await pace.kept(anext(body, b""), received):
                received += len(piece)
                if received > config.bytes_max:
                    raise _too_large(config)
                hold.grow_to(received)
                yield piece
    except web.RequestPayloadError as error:
        raise UploadCut("the body ended before its announced end, or was badly framed") from error


class Pace:
    """A client's time: each piece moves the deadline, within the least rate and the total.

    Only what it keeps us waiting counts, not what we let it wait.
    """

    def __init__(self, config: UploadConfig) -> None:
        self._config = config
        self._clock = asyncio.get_running_loop().time
        self._spent_s = 0.0

    async def kept(self, piece: Awaitable[T], received: int) -> T:
        """The next piece, when so many bytes were received before. Raises UploadTooSlow."""
        config, begun_s = self._config, self._clock()
        least_s = config.rate_grace_s + received / config.rate_min_bytes_s
        left_s = min(least_s, config.total_s) - self._spent_s
        try:
            async with asyncio.timeout(min(config.stall_s, left_s)):
                return await piece
        except TimeoutError as error:
            raise UploadTooSlow(
                "the upload stopped or became too slow; at least "
                f"{config.rate_min_bytes_s} bytes a second are expected"
            ) from error
        finally:
            self._spent_s += self._clock() - begun_s


async def read_parts(
    request: web.Request, config: UploadConfig, hold: Hold, *, files_max: int | None = None
) -> list[Upload]:
    """Read all files of a form into memory, at most `files_max` or as many as a request may have.

    Raises the upload errors of `gateway.errors`.
    """
    most = files_max or config.files_max
    boundary = parse_mimetype(request.headers[hdrs.CONTENT_TYPE]).parameters.get("boundary", "")
    files: list[tuple[Gathering, str | None]] = []
    try:
        async with aclosing(arriving(request, config, hold)) as body:
            with Parts(body, boundary) as parts:
                while (head := await parts.next()) is not None:
                    if len(files) >= most:
                        raise UploadPartsExceeded(f"one request carries at most {most} files here")
                    _check_part(head)
                    here = sum(len(file) for file, _ in files)
                    file = Gathering(min((request.content_length or 0) - here, PART_BYTES))
                    files.append((file, head.filename))
                    while chunk := await parts.chunk():
                        file.add(chunk)
                    file.complete()
    except MultipartBroken as error:
        raise RequestMalformed(f"the {MULTIPART} body is not well formed: {error}") from error
    else:
        if not files:
            raise RequestMalformed(f"the {MULTIPART} body has no part named file")
        return [Upload(body=file.whole(), name=name) for file, name in files]
    finally:
        for file, _ in files:
            file.wipe()


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


def _too_large(config: UploadConfig) -> UploadTooLarge:
    return UploadTooLarge(f"one request carries at most {config.bytes_max} bytes")
