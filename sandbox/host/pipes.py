"""Bytes through a worker's pipes: never blocking the loop, never copied on this side.

`os.readv` fills the memory that a wire reader asks for; `os.writev` sends from memoryviews;
`os.splice` moves a socket's pages into a pipe, so that their bytes are never in this process. Works
alike on asyncio and uvloop, because it uses nothing of them but add_reader and add_writer.
"""

import asyncio
import contextlib
import ctypes
import fcntl
import os
import select
from collections.abc import Callable

from sandbox import wire

# The largest an unprivileged user may ask for by default (fs.pipe-max-size): a 20 MB file then
# crosses in 20 wake-ups instead of 320. In pieces of 256 KiB, which is what a read of the socket
# gives, a quarter of it costs twice the CPU there and back (`python -m bench pipes`).
_PIPE_BYTES = 1024 * 1024

# A worker that keeps its pipe full must not keep the loop from everybody else: after this many
# bytes (a few milliseconds) a transfer stands back in line.
_TURN_BYTES = 4 * 1024 * 1024

_AT_ONCE = os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK

_new_bytearray = ctypes.pythonapi.PyByteArray_FromStringAndSize
_new_bytearray.restype = ctypes.py_object
_new_bytearray.argtypes = (ctypes.c_void_p, ctypes.c_ssize_t)


def untouched(size: int) -> bytearray:
    """Return a bytearray that is not zeroed: it costs memory only where bytes arrive.

    `bytearray(size)` writes every page of it, so that a worker that merely announces half a
    gigabyte would stop the loop for a third of a second. Only complete files leave the sandbox,
    so nobody sees the old content.
    """
    blank: bytearray = _new_bytearray(None, size)
    return blank


def pipe_pair() -> tuple[int, int, int, int]:
    """Make the two pipes of a worker: (its up, our up, our down, its down). Raises OSError.

    Our ends do not block. All of them are closed on exec.
    """
    its_up, our_up = os.pipe()
    try:
        our_down, its_down = os.pipe()
    except OSError:
        os.close(its_up)
        os.close(our_up)
        raise
    for end in (our_up, our_down):
        os.set_blocking(end, False)
        # Refused where this user already holds fs.pipe-user-pages-soft; a small pipe works too.
        with contextlib.suppress(OSError):
            fcntl.fcntl(end, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    return its_up, our_up, our_down, its_down


async def drain(pipe: int, pieces: list[memoryview]) -> None:
    """Write all pieces, taking them out of the list as they leave. Raises BrokenPipeError."""
    turn = 0
    while pieces:
        try:
            written = os.writev(pipe, pieces[: wire.PIECES_MAX])
        except BlockingIOError:
            await writable(pipe)
            turn = 0
            continue
        pieces[:] = wire.unsent(pieces, written)
        turn = await _stand_back(turn + written)


async def pour(source: int, pipe: int, most: int) -> int:
    """Move what a socket has, at most so many bytes, and say how many: 0 for none just now.

    Waits for room in the pipe, never for the socket. Raises BrokenPipeError, and
    ConnectionResetError where the socket has come to its end. (The other way, a result from the
    pipe into the socket, was tried: it moves page by page as the worker writes, and costs more.)
    """
    moved = turn = 0
    while moved < most:
        try:
            count = os.splice(source, pipe, most - moved, flags=_AT_ONCE)
        except BlockingIOError:
            if _has_room(pipe):
                break
            await writable(pipe)
            turn = 0
            continue
        if not count:
            raise ConnectionResetError("the source ended early")
        moved += count
        turn = await _stand_back(turn + count)
    return moved


async def fill(pipe: int, reader: wire.Reader) -> None:
    """Read what the reader wants. Raises EOFError at a premature end, and what the reader does."""
    turn = 0
    while (wanted := reader.wanted) is not None:
        try:
            received = os.readv(pipe, [wanted])
        except BlockingIOError:
            await readable(pipe)
            turn = 0
            continue
        if not received:
            raise EOFError
        reader.filled(received)
        turn = await _stand_back(turn + received)


async def readable(descriptor: int) -> None:
    """Wait until there is something to read, or the end."""
    loop = asyncio.get_running_loop()
    await _event(descriptor, loop.add_reader, loop.remove_reader)


async def writable(descriptor: int) -> None:
    """Wait until there is room, or nobody at the far end."""
    loop = asyncio.get_running_loop()
    await _event(descriptor, loop.add_writer, loop.remove_writer)


def _has_room(pipe: int) -> bool:
    poll = select.poll()
    poll.register(pipe, select.POLLOUT)
    return bool(poll.poll(0))


async def _event(
    descriptor: int,
    add: Callable[[int, Callable[[], None]], None],
    remove: Callable[[int], object],
) -> None:
    happened = asyncio.get_running_loop().create_future()

    def wake() -> None:
        # It may be called again before the waiter runs and removes it.
        if not happened.done():
            happened.set_result(None)

    add(descriptor, wake)
    try:
        await happened
    finally:
        remove(descriptor)


async def _stand_back(turn: int) -> int:
    if turn < _TURN_BYTES:
        return turn
    await asyncio.sleep(0)
    return 0
