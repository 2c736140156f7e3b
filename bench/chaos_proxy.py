"""The network between gateways and PostgreSQL under chaos: it loses requests, and answers.

A cut comes at the next message of a connection that is in use. Half of the cuts swallow the
request; half let it pass, wait until the server has answered, and swallow the answer: then only
the server knows what happened.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from enum import Enum
from pathlib import Path

SOCKET = ".s.PGSQL.5432"
_CHUNK_BYTES = 1 << 18
# Who has sent something within this time carries traffic.
_BUSY_S = 0.5


class Loss(Enum):
    """What a cut loses."""

    REQUEST = "cut before the request"
    ANSWER = "cut before the answer"


class Proxy:
    """Passes connections on and cuts those that it is told to."""

    def __init__(self, upstream: Path, chance: random.Random) -> None:
        self._upstream = upstream
        self._chance = chance
        self._connections: set[_Connection] = set()
        self.cuts: Counter[Loss] = Counter()

    def cut(self) -> bool:
        """Cut a busy connection; False where there is none."""
        now = time.monotonic()
        busy = [one for one in self._connections if now - one.used_at < _BUSY_S]
        if not busy:
            return False
        self._chance.choice(busy).loss = self._chance.choice(list(Loss))
        return True

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one connection on until it ends or is cut."""
        connection = _Connection()
        self._connections.add(connection)
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                up_reader, up_writer = await asyncio.open_unix_connection(str(self._upstream))
                try:
                    await self._pass(connection, (reader, writer), (up_reader, up_writer))
                finally:
                    up_writer.transport.abort()
        finally:
            self._connections.discard(connection)
            writer.transport.abort()

    async def _pass(
        self,
        connection: "_Connection",
        client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        server: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        ways = [
            asyncio.create_task(self._way(connection, client[0], server[1], Loss.REQUEST)),
            asyncio.create_task(self._way(connection, server[0], client[1], Loss.ANSWER)),
        ]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)

    async def _way(
        self,
        connection: "_Connection",
        source: asyncio.StreamReader,
        target: asyncio.StreamWriter,
        loss: Loss,
    ) -> None:
        while chunk := await source.read(_CHUNK_BYTES):
            if connection.loss is loss and connection.asked >= (loss is Loss.ANSWER):
                self.cuts[loss] += 1
                return
            # An answer is only lost on purpose if its request came after the order to lose it.
            connection.asked += connection.loss is Loss.ANSWER and loss is Loss.REQUEST
            connection.used_at = time.monotonic()
            target.write(chunk)
            await target.drain()


class _Connection:
    def __init__(self) -> None:
        self.loss: Loss | None = None
        self.asked = 0
        self.used_at = 0.0


@asynccontextmanager
async def proxied(upstream: Path, folder: Path, chance: random.Random) -> AsyncIterator[Proxy]:
    """Listen in `folder` as if PostgreSQL did."""
    proxy = Proxy(upstream / SOCKET, chance)
    server = await asyncio.start_unix_server(proxy.serve, str(folder / SOCKET))
    try:
        yield proxy
    finally:
        server.close()
