"""From the socket to a request's body, through memory that is ours and is wiped.

The event loop and aiohttp's parser would keep a body's bytes: uvloop reads every connection into
one buffer of 256 KiB and copies it into `bytes`, the parser copies that, its stream joins the
copies. None of them can be overwritten, and 20 uploads of 5 MB left 57,730 of 102,400 marked
kibibytes in the freed and unfreed memory of an idle gateway.

So the two are told apart here. `Receiver` is a `BufferedProtocol`: the kernel writes into our one
scratch buffer, which is wiped after every read. `Framer` stands where aiohttp has its parser. It
hands that parser heads only, whole and one at a time; the parser checks them and says what body
follows. The body goes to a `Body`, one copy, and the reader of a `Body` wipes what it has used.

Who decides where a body ends is thereby us, by the two ways that HTTP/1.1 has: a Content-Length
that the parser has checked, or chunks (`gateway/chunked.py`). Of a body with a Content-Length, what
has not arrived yet need not come here at all: `Body.rest` gives out the socket, for the kernel to
move it on from there.
"""

import asyncio
import os
import re
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, cast

from aiohttp import StreamReader, hdrs, web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_exceptions import BadHttpMessage
from aiohttp.http_parser import RawRequestMessage

from engine.job import Buffer
from engine.wiping import wipe
from gateway.chunked import Chunked, ChunksBroken
from gateway.rest import Rest

# What one read takes from the socket: at 64 KiB a large upload costs a third more CPU.
READ_BYTES = 256 * 1024
# What it takes while a head is due: enough to tell the format of the file behind it, little enough
# that of a large file nearly all is still with the kernel when somebody knows where it is to go.
HEAD_READ_BYTES = 72 * 1024
# Requests that a client may have sent ahead; aiohttp's own number, behind which it stops reading.
AHEAD_MAX = 32

_HEAD_END = b"\r\n\r\n"
_HEAD_END_IN = re.compile(_HEAD_END)
_HEAD_TAIL = len(_HEAD_END) - 1

Message = tuple[RawRequestMessage, StreamReader]
Fed = tuple[list[Message], bool, bytes]


class HeadParser(Protocol):
    """What is used of aiohttp's request parser."""

    def feed_data(self, data: bytes) -> tuple[Any, bool, bytes]:
        """Parse; gives messages, whether the protocol changes, and what is left then."""

    def message_consumed(self) -> None:
        """Hear that a queued message is being handled."""

    def pause_reading(self) -> None:
        """Stop handing out the present body."""


class Body(StreamReader):
    """A request's body in pieces that are ours. What nobody reads is wiped, too.

    A long one is taken from the client piece by piece, each when its reader asks for it.
    """

    # Until its end, and where that is known: who frames it.
    framer: "Framer | None" = None
    _on_demand = False
    _left = False

    def read_on_demand(self) -> None:
        """Have the client wait while nobody asks for more."""
        self._on_demand = True
        self._low_water = -1  # nobody's taking a piece is reason enough to read the next

    @contextmanager
    def rest(self) -> Iterator[Rest | None]:
        """What has not arrived yet, if that is known; nothing else is read from the client then."""
        protocol, framer = self._protocol, self.framer
        sock = protocol.transport and protocol.transport.get_extra_info("socket")
        if not sock or framer is None or not framer.left or self._exception is not None:
            yield None
            return
        # The loop has the socket's own descriptor, and lets nobody else wait for it. Where none is
        # left the body comes through memory.
        try:
            source = os.dup(sock.fileno())
        except OSError:
            source = -1
        if source < 0:
            yield None
            return
        # To empty the queue has the connection read on, so it stops after that.
        arrived = [
            cast("bytearray", super(Body, self)._read_nowait_chunk(-1)) for _ in list(self._buffer)
        ]
        protocol.pause_reading()
        try:
            yield Rest(arrived, source, framer)
        finally:
            os.close(source)
            for piece in arrived:
                wipe(piece)
            protocol.resume_reading()

    def leave(self) -> None:
        """Nobody will want it: its request is answered."""
        self._left = True

    async def piece(self) -> bytearray:
        """The next piece, empty at the end. Whoever takes it wipes it.

        Raises RequestPayloadError where the body is broken.
        """
        if self._exception is not None:
            raise self._exception
        while not self._buffer and not self._eof:
            await self._wait("piece")
        if not self._buffer:
            return bytearray()
        # What is fed is a bytearray, and so is the rest of one that was partly read.
        return cast("bytearray", super()._read_nowait_chunk(-1))

    async def readany(self) -> bytes:
        """Give what there is of it; of a body that is left nothing, and what is to come is dropped.

        Raises RequestPayloadError where the body is broken.
        """
        if not self._left:
            return await super().readany()
        with self.rest() as rest:
            ended = rest is not None and not await rest.drop()
        if ended:
            self._left = False  # the loop hears of the end when it reads again
        elif not self._eof:
            wipe(await self.piece())
        return b""

    def feed_data(self, data: Buffer, size: int = 0) -> bool:
        """Take a piece over. One that nobody will read any more is wiped at once."""
        if self._exception is not None:
            wipe(data)
            return False
        fed = super().feed_data(data, size)  # type: ignore[arg-type]  # a bytearray does as well
        if self._on_demand and not self._protocol._reading_paused:  # noqa: SLF001 -- aiohttp's own idiom
            self._protocol.pause_reading()
        return fed

    def set_exception(self, exc: BaseException, *cause: BaseException) -> None:
        """Nobody reads on: the request is over, or its client is gone."""
        super().set_exception(exc, *cause)
        for piece in self._buffer:
            wipe(piece)
        self._buffer.clear()
        self._size = 0

    async def _wait(self, func_name: str) -> None:
        if self._on_demand:
            self._protocol.resume_reading()
        await super()._wait(func_name)

    def _read_nowait_chunk(self, n: int) -> bytes:
        first = self._buffer[0]
        taken = bytes(super()._read_nowait_chunk(n))
        if not self._buffer or self._buffer[0] is not first:
            wipe(first)
        return taken


async def pieces(content: StreamReader) -> AsyncGenerator[bytearray | bytes, None]:
    """A body as it arrives. A piece is wiped when the next one is asked for: copy, do not keep.

    Close it (`contextlib.aclosing`), or the piece of a refused request waits for the collector.

    Raises RequestPayloadError where the body is broken.
    """
    if not isinstance(content, Body):
        while chunk := await content.readany():
            yield chunk
        return
    while piece := await content.piece():
        try:
            yield piece
        finally:
            wipe(piece)


class _Sized:
    """A body with a Content-Length."""

    def __init__(self, length: int) -> None:
        self.left = length

    @property
    def ended(self) -> bool:
        return not self.left

    def take(self, arrived: memoryview) -> tuple[bytearray, memoryview]:
        piece = bytearray(arrived[: self.left])
        self.left -= len(piece)
        return piece, arrived[len(piece) :]


class Framer:
    """In the place of aiohttp's parser: heads to a real one, bodies to a `Body`.

    Where the parser begins a body of its own accord, because it saw the end of a head elsewhere
    than here or changes the protocol, it is left to itself until that message is over.
    """

    def __init__(
        self, protocol: BaseProtocol, new_parser: Callable[[], HeadParser], limit: int
    ) -> None:
        self._protocol = protocol
        self._new_parser = new_parser
        self._limit = limit
        self._parser = new_parser()
        # The end of what the parser was fed of a head: the head's end may straddle two reads.
        self._seen = b""
        self._body: tuple[_Sized | Chunked, Body] | None = None
        # A body that the parser takes apart itself.
        self._foreign: StreamReader | None = None
        self._ahead = 0
        self._tail = b""
        self._broken = False

    def feed_data(self, data: Buffer) -> Fed:
        """Take what arrived; `b""` goes on with what was held back. As aiohttp's method."""
        if self._broken:
            return [], False, b""
        held, self._tail = self._tail, b""
        arrived = memoryview(held + bytes(data) if held else data)
        messages: list[Message] = []
        if self._foreign is not None and not arrived:
            return self._feed_parser(arrived, messages)
        while arrived:
            if self._body is not None:
                arrived = self._feed_body(*self._body, arrived)
            elif self._foreign is None and self._ahead >= AHEAD_MAX:
                self._tail = bytes(arrived)
                break
            else:
                end = len(arrived) if self._foreign is not None else self._head_end(arrived)
                fed = self._feed_parser(arrived[:end], messages)
                if fed[1]:
                    return messages, True, fed[2] + arrived[end:]
                arrived = arrived[end:]
        return messages, False, b""

    def message_consumed(self) -> None:
        """One of the messages is being handled."""
        self._ahead = max(self._ahead - 1, 0)
        self._parser.message_consumed()

    def pause_reading(self) -> None:
        """The body's reader is behind; the transport pauses, and one read's bytes are taken."""
        if self._foreign is not None:
            self._parser.pause_reading()

    @property
    def left(self) -> int:
        """Bytes of the present body that have not arrived; 0 where that is not known."""
        framing = self._body[0] if self._body else None
        return framing.left if isinstance(framing, _Sized) else 0

    @property
    def room(self) -> int:
        """How many bytes the next read should take at most."""
        return READ_BYTES if self._body else HEAD_READ_BYTES

    def skip(self, count: int) -> None:
        """So many bytes of the present body went another way."""
        if self._body is None or not isinstance(self._body[0], _Sized) or count > self.left:
            raise RuntimeError("more was taken than the body has left")
        self._body[0].left -= count
        self._body[1].total_bytes += count
        self._end_body()

    def _head_end(self, arrived: memoryview) -> int:
        """How much of this belongs to the present head."""
        straddle = self._seen + bytes(arrived[:_HEAD_TAIL])
        end = straddle.find(_HEAD_END) + len(_HEAD_END) - len(self._seen)
        if _HEAD_END not in straddle:
            # Not `bytes.find`: there is body behind the head, and no copy is to be made of it.
            found = _HEAD_END_IN.search(arrived)
            end = found.end() if found else 0
        if end:
            self._seen = b""
            return end
        self._seen = (self._seen + bytes(arrived[-_HEAD_TAIL:]))[-_HEAD_TAIL:]
        return len(arrived)

    def _feed_parser(self, piece: memoryview, messages: list[Message]) -> Fed:
        parsed, upgraded, tail = self._parser.feed_data(bytes(piece))
        for message, payload in parsed:
            self._ahead += 1
            self._foreign = None if payload.is_eof() else payload
            body = self._own_body(message, payload) if len(parsed) == 1 else None
            messages.append((message, body or payload))
        if self._foreign is not None and self._foreign.is_eof():
            self._foreign = None
        return messages, upgraded, tail

    def _own_body(self, message: RawRequestMessage, payload: StreamReader) -> Body | None:
        """Take the body over from a parser that is exactly at its beginning."""
        if payload.is_eof() or payload.total_bytes or message.upgrade:
            return None
        if message.chunked:
            framing: _Sized | Chunked = Chunked()
        elif hdrs.CONTENT_LENGTH in message.headers:
            framing = _Sized(int(message.headers[hdrs.CONTENT_LENGTH]))
        else:
            return None
        body = Body(self._protocol, self._limit, loop=asyncio.get_running_loop())
        body.framer = self
        self._body = framing, body
        if self.left > READ_BYTES:
            body.read_on_demand()
        # The old one still waits for the body that it announced.
        self._parser, self._foreign = self._new_parser(), None
        return body

    def _feed_body(self, framing: _Sized | Chunked, body: Body, arrived: memoryview) -> memoryview:
        try:
            piece, arrived = framing.take(arrived)
        except ChunksBroken as error:
            self._broken = True
            body.set_exception(web.RequestPayloadError(str(error)))
            body.feed_eof()
            raise BadHttpMessage(str(error)) from error
        body.feed_data(piece)
        self._end_body()
        return arrived

    def _end_body(self) -> None:
        if self._body is not None and self._body[0].ended:
            body, self._body = self._body[1], None
            body.framer = None
            body.feed_eof()


class Scratch:
    """The one buffer that all connections of a loop are read into.

    The loop asks for it, fills it and says so without anything in between, so one does for all.
    """

    def __init__(self) -> None:
        self.view = memoryview(bytearray(READ_BYTES))


class Receiver(asyncio.BufferedProtocol):
    """One connection, as the event loop sees it: `aiohttp`'s protocol behind our own buffer."""

    def __init__(
        self,
        connection: asyncio.Protocol,
        scratch: Scratch,
        room: Callable[[], int] = lambda: READ_BYTES,
    ) -> None:
        """`room` says before each read how many bytes it should take at most."""
        self._connection = connection
        self._scratch = scratch.view
        self._room = room
        self.connection_made = connection.connection_made  # type: ignore[method-assign]
        self.connection_lost = connection.connection_lost  # type: ignore[method-assign]
        self.pause_writing = connection.pause_writing  # type: ignore[method-assign]
        self.resume_writing = connection.resume_writing  # type: ignore[method-assign]
        self.eof_received = connection.eof_received  # type: ignore[method-assign]

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 -- the loop's idea of it
        """Where the next bytes go."""
        return self._scratch[: self._room()]

    def buffer_updated(self, nbytes: int) -> None:
        """So many arrived: hand them on, keep nothing."""
        arrived = self._scratch[:nbytes]
        try:
            self._connection.data_received(arrived)  # type: ignore[arg-type]  # Framer takes views
        finally:
            wipe(arrived)
