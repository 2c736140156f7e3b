"""Framing: however the bytes are cut, the same requests come out, and nothing is left of them."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest
from aiohttp import StreamReader, web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http import HttpRequestParser
from aiohttp.http_exceptions import BadHttpMessage

from engine.wiping import wipe
from gateway.chunked import Chunked, ChunksBroken
from gateway.multipart import HEAD_BYTES_MAX, WINDOW_BYTES, MultipartBroken, Parts
from gateway.receiving import AHEAD_MAX, READ_BYTES, Body, Framer, pieces
from gateway.wiping import Gathering, Wiper

GET = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
SIZED = b"POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab\r\n\r"
CHUNKED = (
    b"POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3\r\nabc\r\n4;x=y\r\n\r\n\r\n\r\n0\r\nT: t\r\n\r\n"
)
EMPTY = b"POST /d HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
ALL = GET + SIZED + CHUNKED + EMPTY + SIZED + GET + CHUNKED
EXPECTED = [
    ("/a", b""),
    ("/b", b"ab\r\n\r"),
    ("/c", b"abc\r\n\r\n"),
    ("/d", b""),
    ("/b", b"ab\r\n\r"),
    ("/a", b""),
    ("/c", b"abc\r\n\r\n"),
]


class Connection(BaseProtocol):
    """As much of a connection as a parser needs."""


def _framer() -> Framer:
    loop = asyncio.get_running_loop()
    connection = Connection(loop)

    def parser() -> Any:
        return HttpRequestParser(
            connection,
            loop,
            2**16,
            payload_exception=web.RequestPayloadError,
            max_msg_queue_size=AHEAD_MAX,
        )

    framer = Framer(connection, parser, 2**16)
    connection._parser = framer  # type: ignore[assignment]
    return framer


async def _requests(framer: Framer, cuts: Iterable[bytes]) -> list[tuple[str, bytes]]:
    messages = [message for cut in cuts for message in framer.feed_data(memoryview(cut))[0]]
    return [(message.path, await _whole(body)) for message, body in messages]


async def _whole(content: StreamReader) -> bytes:
    return b"".join([bytes(piece) async for piece in pieces(content)])


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 64, 10_000])
async def test_a_stream_of_requests_may_be_cut_anywhere(size: int) -> None:
    cuts = (ALL[start : start + size] for start in range(0, len(ALL), size))
    assert await _requests(_framer(), cuts) == EXPECTED


@pytest.mark.parametrize("cut", range(1, len(SIZED + CHUNKED)))
async def test_two_requests_may_be_cut_in_two_at_any_byte(cut: int) -> None:
    both = SIZED + CHUNKED
    assert await _requests(_framer(), (both[:cut], both[cut:])) == EXPECTED[1:3]


async def test_a_client_that_is_far_ahead_is_held_back_and_then_served() -> None:
    framer = _framer()
    first = framer.feed_data((SIZED + GET) * AHEAD_MAX)[0]
    assert len(first) == AHEAD_MAX
    for _ in first:
        framer.message_consumed()
    assert len(framer.feed_data(b"")[0]) == AHEAD_MAX


async def test_a_body_is_ours_wherever_it_has_a_length_or_chunks() -> None:
    framer = _framer()
    messages = framer.feed_data(SIZED + CHUNKED)[0]
    assert [type(body) for _, body in messages] == [Body, Body]


async def test_a_long_body_is_taken_from_the_client_when_somebody_asks_for_more() -> None:
    framer = _framer()
    head = b"POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
    ((_, body),) = framer.feed_data(head % (3 * READ_BYTES) + bytes(READ_BYTES))[0]
    assert isinstance(body, Body)
    connection = body._protocol
    connection.transport = asyncio.Transport()  # not one that can pause: the wish is looked at
    assert connection._reading_paused
    assert len(await body.piece()) == READ_BYTES
    assert connection._reading_paused
    asked = asyncio.ensure_future(body.piece())
    await asyncio.sleep(0)
    assert not connection._reading_paused
    framer.feed_data(bytes(READ_BYTES))
    assert connection._reading_paused
    assert len(await asked) == READ_BYTES
    framer.skip(READ_BYTES)
    assert (await body.piece(), body.is_eof(), framer.left) == (b"", True, 0)
    assert not connection._reading_paused


async def test_no_more_of_a_body_can_go_another_way_than_it_has() -> None:
    framer = _framer()
    framer.feed_data(b"POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc")
    with pytest.raises(RuntimeError):
        framer.skip(7)
    framer.skip(6)
    with pytest.raises(RuntimeError):
        framer.skip(1)


async def test_broken_chunks_reach_the_reader_and_end_the_connection() -> None:
    framer = _framer()
    ((_, body),) = framer.feed_data(CHUNKED[:-30])[0]
    with pytest.raises(BadHttpMessage):
        framer.feed_data(b"zz\r\nzzzzzzzzzzzzzzzzz\r\n")
    with pytest.raises(web.RequestPayloadError):
        await _whole(body)
    assert framer.feed_data(GET)[0] == []


@pytest.mark.parametrize(
    "body",
    [
        b"\r\n",
        b"g\r\n",
        b"-1\r\n",
        b"0x3\r\nabc\r\n",
        b"+3\r\nabc\r\n",
        b" 3\r\nabc\r\n",
        b"3\nabc\r\n",
        b"3\r\nabcd\r\n",
        b"3\r\nabc\n\n",
        b"3\r\rabc\r\n",
        b"1" * 16 + b"\r\n",
        b"3;" + b"x" * 300 + b"\r\n",
        b"0\r\n" + b"T: t\r\n" * 2000 + b"\r\n",
        b"0\r\nT: t\n\r\n",
    ],
)
@pytest.mark.claim("C-HTTP-1")
def test_chunks_that_two_readers_could_read_differently_are_refused(body: bytes) -> None:
    with pytest.raises(ChunksBroken):
        Chunked().take(memoryview(body))


async def test_what_is_read_is_wiped_and_so_is_what_nobody_reads() -> None:
    framer = _framer()
    ((_, body), (_, unread)) = framer.feed_data(SIZED * 2)[0]
    kept = [body._buffer[0], unread._buffer[0]]
    async for piece in pieces(body):
        assert piece is kept[0]
    unread.set_exception(ConnectionResetError())
    assert [bytes(piece) for piece in kept] == [bytes(5), bytes(5)]
    late = bytearray(b"late")
    unread._eof = False
    unread.feed_data(late)  # type: ignore[arg-type]
    assert late == bytes(4)


async def test_reading_a_body_by_the_line_wipes_it_too() -> None:
    ((_, body),) = _framer().feed_data(SIZED)[0]
    kept = body._buffer[0]
    assert await body.readline() == b"ab\r\n"
    assert await body.read() == b"\r"
    assert bytes(kept) == bytes(5)


@pytest.mark.parametrize("size", [1, 2, 3, 10, 500_000])
async def test_a_form_may_be_cut_anywhere(size: int) -> None:
    large = bytes(range(256)) * 3000
    body = (
        b"preamble\r\n--b \t\r\nContent-Disposition: form-data; name=file; filename=x\r\n\r\n"
        b"one\r\n--\r\n\r\n--c\r\n--b\r\nContent-Disposition: form-data; name=file\r\n\r\n"
        b"\r\n--b\r\n\r\n" + large[: size * 3000] + b"\r\n--b--\r\nepilogue"
    )
    with Parts(_cut(body, size), "b") as parts:
        found = []
        while (head := await parts.next()) is not None:
            whole = Gathering(0)
            while chunk := await parts.chunk():
                whole.add(chunk)
            found.append((head.name, head.filename, bytes(whole.whole())))
    assert found == [
        ("file", "x", b"one\r\n--\r\n\r\n--c"),
        ("file", None, b""),
        (None, None, large[: size * 3000]),
    ]
    assert parts._room == bytes(WINDOW_BYTES)


async def test_parts_that_nobody_reads_are_skipped() -> None:
    body = b"--b\r\nA: 1\r\n\r\n" + bytes(WINDOW_BYTES * 2) + b"\r\n--b\r\nA: 2\r\n\r\nx\r\n--b--"
    with Parts(_cut(body, 70_000), "b") as parts:
        heads = [await parts.next(), await parts.next(), await parts.next()]
    assert [head and head.headers for head in heads] == [{"a": "1"}, {"a": "2"}, None]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--b",
        b"--b\r\nA: 1\r\n\r\nno end",
        b"--b\r\nno header\r\n\r\n\r\n--b--",
        b"--b\r\n: nameless\r\n\r\n\r\n--b--",
        b"--bc\r\n\r\n\r\n--b--",
        b"--b\r\nA: " + b"x" * HEAD_BYTES_MAX + b"\r\n\r\n\r\n--b--",
    ],
)
async def test_a_form_that_is_none_is_refused(body: bytes) -> None:
    with pytest.raises(MultipartBroken):
        await _all_parts(body)


@pytest.mark.parametrize("boundary", ["", "x" * 71, "ä"])
def test_a_boundary_that_cannot_be_one_is_refused(boundary: str) -> None:
    with pytest.raises(MultipartBroken):
        Parts(_cut(b"", 1), boundary)


@pytest.mark.parametrize("sizes", [[0], [1], [100_000, 1], [5] * 10_000, [9_000_000, 9_000_000]])
def test_a_file_grows_from_pieces_and_leaves_nothing_where_it_was(sizes: list[int]) -> None:
    gathering, whole = Gathering(100), b""
    for number, size in enumerate(sizes):
        piece = bytes([number % 255 + 1]) * size
        gathering.add(piece)
        whole += piece
    old = gathering._room
    assert len(gathering) == len(whole)
    assert gathering.whole() == whole
    with Wiper() as wiper:
        wiper.add([old, b"cannot be wiped"])
    assert not any(old)


def test_a_buffer_of_any_size_is_wiped_whole() -> None:
    for size in (0, 1, 256 * 1024, 256 * 1024 + 1, 1_000_000):
        buffer = bytearray(b"x" * size)
        wipe(memoryview(buffer))
        assert buffer == bytes(size)


async def _all_parts(body: bytes) -> None:
    with Parts(_cut(body, 1000), "b") as parts:
        while await parts.next() is not None:
            pass


async def _cut(body: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]
