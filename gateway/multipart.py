"""`multipart/form-data` (RFC 7578) taken apart in one window of memory that is wiped at the end.

aiohttp's own reader makes `bytes` of every chunk, several times, and none of them can be wiped.
Here the pieces of a body are copied into a window, and what is surely a part's is handed out as a
view of it, valid until the next call. So a part of any size passes through 320 KiB.
"""

import re
from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import Self

import msgspec
from aiohttp import content_disposition_filename, hdrs, parse_content_disposition

from engine.job import Buffer
from engine.wiping import wipe

# A piece (256 KiB), and room for what of the last one could still be a boundary or a head.
WINDOW_BYTES = 320 * 1024
# One part's head: a disposition with a long name, a type. Browsers send 200 bytes.
HEAD_BYTES_MAX = 8 * 1024
# RFC 2046 allows no longer one.
BOUNDARY_CHARS_MAX = 70

# A part as browsers and form libraries send it. What it matches means the same to aiohttp's parser,
# which has everything else, and takes 65 microseconds for it.
_USUAL = re.compile(r'form-data; ?name="([\w\[\]-]+)"(?:; ?filename="((?:[^"\\;/][^"\\;]*)?)")?')
_NEW_LINE = b"\r\n"
_HEAD_END = b"\r\n\r\n"
_CLOSE = b"--"
_DISPOSITION = hdrs.CONTENT_DISPOSITION.lower()


class MultipartBroken(Exception):
    """This body is not what its Content-Type says."""


class PartHead(msgspec.Struct, frozen=True):
    """What a part says of itself. Header names are in lower case; all of it is a claim."""

    headers: dict[str, str]
    # The form field.
    name: str | None
    # The file's name, in whichever of its two forms it came.
    filename: str | None


class Parts:
    """The parts of one body, in order: `next`, then `chunk` until it gives nothing.

    Both raise MultipartBroken, and whatever the body's pieces raise.
    """

    def __init__(self, pieces: AsyncIterator[Buffer], boundary: str) -> None:
        if not (0 < len(boundary) <= BOUNDARY_CHARS_MAX and boundary.isascii()):
            raise MultipartBroken("the boundary is not one")
        self._pieces = pieces
        self._piece = memoryview(b"")
        self._delimiter = _NEW_LINE + _CLOSE + boundary.encode()
        # The first delimiter may stand at the very beginning, without its line end.
        self._room = bytearray(WINDOW_BYTES)
        self._room[: len(_NEW_LINE)] = _NEW_LINE
        self._start, self._end = 0, len(_NEW_LINE)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._piece.release()
        wipe(self._room)

    async def next(self) -> PartHead | None:
        """The next part's head; None after the last. What is unread of this part is skipped."""
        while await self.chunk():
            pass
        self._start += len(self._delimiter)
        while self._end - self._start < len(_CLOSE):
            await self._fill()
        if self._room.startswith(_CLOSE, self._start, self._end):
            await self._skip_the_rest()
            return None
        await self._skip_line()
        # A part without a head has nothing but its blank line.
        head = await self._until(_HEAD_END)
        headers = _headers(head)
        return PartHead(headers, *_called(headers.get(_DISPOSITION)))

    async def chunk(self) -> memoryview:
        """More of the part, valid until the next call; empty at its end."""
        while True:
            found = self._room.find(self._delimiter, self._start, self._end)
            sure = found if found >= 0 else self._end - len(self._delimiter) + 1
            if found >= 0 or sure > self._start:
                given = memoryview(self._room)[self._start : sure]
                self._start = sure
                return given
            await self._fill()

    async def _skip_line(self) -> None:
        """The rest of a boundary's line: blanks, and its end, which begins the head as well."""
        rest = await self._until(_NEW_LINE)
        if rest.strip(b" \t"):
            raise MultipartBroken("a boundary's line holds something else")
        self._start -= len(_NEW_LINE)

    async def _until(self, end: bytes) -> bytes:
        """What comes before `end`, which is skipped as well. For heads: it makes a copy."""
        while (found := self._room.find(end, self._start, self._end)) < 0:
            if self._end - self._start > HEAD_BYTES_MAX:
                raise MultipartBroken("the head of a part is too long")
            await self._fill()
        if found - self._start > HEAD_BYTES_MAX:
            raise MultipartBroken("the head of a part is too long")
        text = bytes(self._room[self._start : found])
        self._start = found + len(end)
        return text

    async def _skip_the_rest(self) -> None:
        """An epilogue means nothing, but it has to be read: the next request comes after it."""
        async for _ in self._pieces:
            pass

    async def _fill(self) -> None:
        """Move what is left to the front and add what has come."""
        with memoryview(self._room) as room:
            left = self._end - self._start
            room[:left] = room[self._start : self._end]
            self._start, self._end = 0, left
            if not self._piece:
                self._piece.release()
                self._piece = memoryview(await anext(self._pieces, b""))
            if not self._piece:
                raise MultipartBroken("the body ends before its last boundary")
            more = self._piece[: len(room) - left]
            room[left : left + len(more)] = more
            self._end += len(more)
            self._piece = self._piece[len(more) :]


def _headers(head: bytes) -> dict[str, str]:
    headers = {}
    for line in head.decode("utf-8", "replace").split("\r\n"):
        name, colon, value = line.partition(":")
        if not line:
            continue
        if not colon or not name or name != name.strip():
            raise MultipartBroken("a part has a line in its head that is no header")
        headers[name.lower()] = value.strip()
    return headers


def _called(disposition: str | None) -> tuple[str | None, str | None]:
    """The names of a part's field and of its file."""
    if disposition is not None and (usual := _USUAL.fullmatch(disposition)) is not None:
        return usual[1], usual[2]
    parameters: Mapping[str, str] = parse_content_disposition(disposition)[1]
    return parameters.get("name"), content_disposition_filename(parameters)
