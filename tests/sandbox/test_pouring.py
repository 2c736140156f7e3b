"""From a socket into a pipe by the kernel: all of it, in order, and every end of either side."""

import asyncio
import os
import socket
from collections.abc import Iterator

import pytest

from sandbox.host import pipes

SIZE = 3_000_000
BODY = bytes(range(256)) * (SIZE // 256)


@pytest.fixture
def client() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a TCP connection; what a worker's host has of one does not block."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        sender = socket.create_connection(server.getsockname())
        receiver, _ = server.accept()
    for end in (sender, receiver):
        end.setblocking(False)
    with sender, receiver:
        yield sender, receiver


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A worker's pipe: (its end, ours)."""
    its_up, our_up, our_down, its_down = pipes.pipe_pair()
    os.close(our_down)
    os.close(its_down)
    yield its_up, our_up
    for end in (its_up, our_up):
        try:
            os.close(end)
        except OSError:
            continue  # the test closed it


async def test_everything_arrives_in_order_however_slowly_it_is_read(
    client: tuple[socket.socket, socket.socket], pipe: tuple[int, int]
) -> None:
    sender, receiver = client
    its_up, our_up = pipe
    os.set_blocking(its_up, False)
    received = bytearray()

    async def take() -> None:
        while len(received) < len(BODY):
            await pipes.readable(its_up)
            received.extend(os.read(its_up, 100_001))

    async def pour() -> None:
        left = len(BODY)
        while left:
            if not (count := await pipes.pour(receiver.fileno(), our_up, left)):
                await pipes.readable(receiver.fileno())
            left -= count

    loop = asyncio.get_running_loop()
    await asyncio.gather(loop.sock_sendall(sender, BODY), pour(), take())
    assert received == BODY


async def test_no_more_is_taken_than_was_asked_for(
    client: tuple[socket.socket, socket.socket], pipe: tuple[int, int]
) -> None:
    sender, receiver = client
    sender.send(b"body" + b"the next head")
    await pipes.readable(receiver.fileno())
    assert await pipes.pour(receiver.fileno(), pipe[1], 4) == 4
    assert os.read(pipe[0], 100) == b"body"
    assert receiver.recv(100) == b"the next head"


async def test_a_client_that_sends_nothing_is_nobodys_fault_and_one_that_hangs_up_is_told_apart(
    client: tuple[socket.socket, socket.socket], pipe: tuple[int, int]
) -> None:
    sender, receiver = client
    assert await pipes.pour(receiver.fileno(), pipe[1], 10) == 0
    sender.close()
    await pipes.readable(receiver.fileno())
    with pytest.raises(ConnectionResetError):
        await pipes.pour(receiver.fileno(), pipe[1], 10)


async def test_a_worker_that_is_gone_is_a_broken_pipe(
    client: tuple[socket.socket, socket.socket], pipe: tuple[int, int]
) -> None:
    sender, receiver = client
    sender.send(b"body")
    await pipes.readable(receiver.fileno())
    os.close(pipe[0])
    with pytest.raises(BrokenPipeError):
        await pipes.pour(receiver.fileno(), pipe[1], 4)
