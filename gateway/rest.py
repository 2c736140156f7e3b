"""The part of a body that this process need not see, because the kernel can deal with it."""

import contextlib
import socket
from typing import Protocol

from engine.memory import untouched
from engine.waiting import readable

# What is waited for of a body that is thrown away, and where it would go: a recv with MSG_TRUNC
# wants room and writes nothing to it.
_DROPPED_BYTES = 256 * 1024
_NOWHERE = untouched(_DROPPED_BYTES)


class Framer(Protocol):
    """Who knows where the body ends (`gateway/receiving.py`)."""

    @property
    def left(self) -> int:
        """Bytes of it that are still to come."""

    def skip(self, count: int) -> None:
        """So many of them went another way."""


class Rest:
    """The part of a body that this process need not see: so many bytes more, from this socket."""

    def __init__(self, arrived: list[bytearray], source: int, framer: Framer) -> None:
        # What came before it and nobody has read yet; wiped when the block of `Body.rest` ends.
        self.arrived = arrived
        self.source = source
        self._framer = framer

    @property
    def left(self) -> int:
        """Bytes that are still to come."""
        return self._framer.left

    def taken(self, count: int) -> None:
        """So many bytes have left the socket."""
        self._framer.skip(count)

    async def drop(self) -> bool:
        """Have the kernel throw it away as it arrives. False where its sender has ended before.

        To recv(2) with MSG_TRUNC a stream's bytes are only counted (tcp(7)); it is not woken for
        fewer than SO_RCVLOWAT (socket(7)).
        """
        with socket.socket(fileno=self.source) as source:
            try:
                while self.left:
                    least = min(self.left, _DROPPED_BYTES)
                    source.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, least)
                    await readable(self.source)
                    with contextlib.suppress(BlockingIOError):
                        count = source.recv_into(_NOWHERE, least, socket.MSG_TRUNC)
                        if not count:
                            return False
                        self.taken(count)
            except OSError:  # reset
                return False
            finally:
                source.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
                source.detach()
            return True
