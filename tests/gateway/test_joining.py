"""Many small buffers leave in few pieces, and none of their bytes stays behind."""

import pytest

from gateway.downloads import CHUNK_BYTES
from gateway.joining import SMALL_BYTES, Joined

SIZES = {
    "nothing": [],
    "one": [5],
    "empty ones": [0, 0, 3, 0],
    "small ones": [30, 3_000] * 200,
    "at the border": [SMALL_BYTES, SMALL_BYTES + 1, SMALL_BYTES] * 20,
    "large ones": [10, CHUNK_BYTES * 2 + 1, 10, CHUNK_BYTES],
}


@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
async def test_the_pieces_are_the_buffers_in_their_order(sizes: list[int]) -> None:
    buffers = [bytes([number % 251 + 1]) * size for number, size in enumerate(sizes)]
    body = Joined(buffers)
    pieces = [bytes(piece) async for piece in body.pieces()]
    assert b"".join(pieces) == b"".join(buffers)
    assert body.size == sum(sizes)
    assert all(0 < len(piece) <= CHUNK_BYTES for piece in pieces)


async def test_four_hundred_small_buffers_are_a_few_pieces() -> None:
    buffers = [b"x" * 30, b"y" * 3_000] * 200
    pieces = [len(piece) async for piece in Joined(buffers).pieces()]
    assert len(pieces) == -(-sum(pieces) // CHUNK_BYTES)


async def test_large_buffers_are_sent_from_where_they_lie() -> None:
    large = bytearray(SMALL_BYTES + 1)
    async for piece in Joined([large]).pieces():
        assert piece.obj is large


async def test_what_was_gathered_is_wiped_in_the_end() -> None:
    (piece,) = [piece async for piece in Joined([b"secret"]).pieces()]
    assert bytes(piece) == bytes(6)
