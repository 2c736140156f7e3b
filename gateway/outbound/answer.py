"""One HTTP/1.1 answer as it arrives: a head that aiohttp's parser checks, a body in memory of ours.

aiohttp's client would keep a file's bytes as its server once did (docs/security.md, residue): in
the loop's buffer, in the parser's copy, in its stream. So a connection is read through the same
parts as an upload: `Receiver` and its one scratch buffer, `Body`, whose reader wipes what it has
used. A connection carries one request and ends with it, so nothing is kept alive, and nothing that
comes after the answer can be taken for another one.

No body is unpacked here, whatever its head says: that is for the sandbox.
"""

import asyncio
import re
from collections.abc import Mapping

import msgspec
from aiohttp import hdrs
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import HttpResponseParser, RawResponseMessage

from engine.job import Buffer
from gateway.chunked import Chunked, ChunksBroken
from gateway.receiving import READ_BYTES, Body

# Status line and fields; servers send 1 to 4 KiB.
HEAD_BYTES_MAX = 32 * 1024
LINE_BYTES_MAX = 8 * 1024
FIELDS_MAX = 128
# Heads of 1xx before the real one; more is a server that plays for time.
INTERIM_MAX = 4

_HEAD_END = b"\r\n\r\n"
_HEAD_END_IN = re.compile(_HEAD_END)
_STRADDLE = len(_HEAD_END) - 1
_INTERIM = range(100, 200)
_BODILESS = frozenset({204, 304})
_DIGITS_MAX = 18


class AnswerBroken(Exception):
    """This is no HTTP answer, or it ended before its end."""


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """What comes before the body."""

    status: int
    headers: Mapping[str, str]
    # Bytes of the body, where the server says so.
    length: int | None


class Answer(BaseProtocol):
    """The reading end of one connection. `head` first, then the pieces of `body`."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(loop)
        self.head: asyncio.Future[Head] = loop.create_future()
        self.body = Body(self, READ_BYTES, loop=loop)
        self._head_bytes = bytearray()
        self._interim = 0
        self._unbuffered = False
        # How the body ends: after so many bytes, in chunks, or (None) with the connection.
        self._framing: _Sized | Chunked | None = None

    def data_received(self, data: bytes | memoryview) -> None:
        """Take what arrived: a view, whose bytes are gone when this returns."""
        arrived = memoryview(data)
        try:
            while arrived and not self.head.done():
                arrived = self._take_head(arrived)
            if arrived:
                self._take_body(arrived)
        except (AnswerBroken, ChunksBroken, HttpProcessingError) as error:
            self._break(error)

    def connection_lost(self, exc: BaseException | None) -> None:
        """The other side is gone: the end of the answer, or too early."""
        super().connection_lost(exc)
        if self.head.done() and self._framing is None and exc is None:
            self._end()
        else:
            self._break(exc)

    def pause_reading(self) -> None:
        """The body's reader is behind."""
        self._reading_paused = True
        self._pause_transport_reading()

    def resume_reading(self, resume_parser: bool = True) -> None:  # noqa: ARG002, FBT -- aiohttp's
        """It has caught up. Nothing was held back here."""
        self._reading_paused = False
        self._resume_transport_reading()

    def send(self, request: bytes) -> None:
        """Ask. What does not get out is seen by the answer that does not come."""
        if self.transport is not None:
            self.transport.write(request)

    async def give(self, piece: Buffer) -> bool:
        """Send a piece of a large body; when this returns True the kernel has all of it.

        False: an answer came before the body was out. Then some of the piece may be waiting still;
        abort before its memory is used again. Raises AnswerBroken where nobody takes it.
        """
        if self.transport is None:
            raise AnswerBroken("the server broke off")
        if not self._unbuffered:
            # A finished write then means that the kernel has the bytes (`gateway/downloads.py`).
            self.transport.set_write_buffer_limits(high=0)
            self._unbuffered = True
        if self.head.done():
            return False
        self.transport.write(piece)
        try:
            await self._drain_helper()
        except ConnectionError as error:
            raise AnswerBroken("the server broke off") from error
        if not self.connected and not self.head.done():
            raise AnswerBroken("the server broke off")
        return not self.writing_paused

    def abort(self) -> None:
        """Close the connection at once, and forget what was not read."""
        self._break(None)
        # Of an answer that is complete, too: what was not read of it is wiped.
        self.body.set_exception(AnswerBroken("the answer is not wanted any more"))

    def _take_head(self, arrived: memoryview) -> memoryview:
        """One head, or as much of it as is here; gives what comes after it."""
        tail = bytes(self._head_bytes[-_STRADDLE:])
        straddle = (tail + bytes(arrived[:_STRADDLE])).find(_HEAD_END)
        if straddle >= 0:
            end = straddle + len(_HEAD_END) - len(tail)
        else:
            # Not `bytes.find`: there is body behind the head, and no copy is to be made of it.
            found = _HEAD_END_IN.search(arrived)
            end = found.end() if found else 0
        self._head_bytes += arrived[: end or HEAD_BYTES_MAX]
        if len(self._head_bytes) >= HEAD_BYTES_MAX:
            raise AnswerBroken("the answer's head is too long")
        if end:
            self._read_head(bytes(self._head_bytes))
            self._head_bytes.clear()
        return arrived[end:] if end else arrived[:0]

    def _read_head(self, head: bytes) -> None:
        message = _parsed(self, head)
        if message.code in _INTERIM:
            self._interim += 1
            if self._interim > INTERIM_MAX or message.upgrade:
                raise AnswerBroken("the server answers with something else than an answer")
            return
        length = _length(message)
        if message.chunked:
            self._framing = Chunked()
        elif length is not None:
            self._framing = _Sized(length)
        self.head.set_result(Head(status=message.code, headers=message.headers, length=length))
        if self._drain_waiter is not None and not self._drain_waiter.done():
            self._drain_waiter.set_result(None)  # whoever still sends need not go on
            self._drain_waiter = None
        if length == 0 or message.code in _BODILESS:
            self._framing = _Sized(0)
            self._end()

    def _take_body(self, arrived: memoryview) -> None:
        if self.body.is_eof():
            return  # more than was announced: of no use to anybody
        if self._framing is None:
            self.body.feed_data(bytearray(arrived))
            return
        piece, _ = self._framing.take(arrived)
        self.body.feed_data(piece)
        if self._framing.ended:
            self._end()

    def _end(self) -> None:
        if not self.body.is_eof():
            self.body.feed_eof()

    def _break(self, cause: BaseException | None) -> None:
        """Tell whoever waits, unless the answer is complete."""
        if not self.head.done():
            self.head.set_exception(AnswerBroken("the server broke off"))
            self.head.exception()  # it may be that nobody waits any more
        if not self.body.is_eof():
            self.body.set_exception(
                AnswerBroken("the server broke off"), *(cause,) if cause else ()
            )
        if self.transport is not None:
            self.transport.abort()


class _Sized:
    """A body of an announced length."""

    def __init__(self, length: int) -> None:
        self._left = length

    @property
    def ended(self) -> bool:
        return not self._left

    def take(self, arrived: memoryview) -> tuple[bytearray, memoryview]:
        piece = bytearray(arrived[: self._left])
        self._left -= len(piece)
        return piece, arrived[len(piece) :]


def _parsed(protocol: BaseProtocol, head: bytes) -> RawResponseMessage:
    """One whole head. Raises AnswerBroken, HttpProcessingError."""
    parser = HttpResponseParser(
        protocol,
        asyncio.get_running_loop(),
        READ_BYTES,
        max_line_size=LINE_BYTES_MAX,
        max_field_size=LINE_BYTES_MAX,
        max_headers=FIELDS_MAX,
        read_until_eof=True,
        auto_decompress=False,
    )
    messages, _, _ = parser.feed_data(head)
    if len(messages) != 1:
        raise AnswerBroken("the answer's head is not well formed")
    message: RawResponseMessage = messages[0][0]
    return message


def _length(message: RawResponseMessage) -> int | None:
    """The announced length. Raises AnswerBroken where two readers could disagree about the end."""
    codings = message.headers.getall(hdrs.TRANSFER_ENCODING, [])
    lengths = message.headers.getall(hdrs.CONTENT_LENGTH, [])
    if codings:
        if lengths or [coding.strip().lower() for coding in codings] != ["chunked"]:
            raise AnswerBroken("the answer's transfer coding is not understood")
        return None
    if not lengths:
        return None
    text = lengths[0].strip()
    if len(set(lengths)) > 1 or not (text.isascii() and text.isdigit()) or len(text) > _DIGITS_MAX:
        raise AnswerBroken("the answer's length is not a number")
    return int(text)
