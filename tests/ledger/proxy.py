"""A network between the ledger and PostgreSQL that loses what a test tells it to lose.

It understands just enough of the protocol (version 3) to tell a batch from other traffic and a
complete answer from a part of one.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from enum import Enum
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

_SOCKET = ".s.PGSQL.5432"
# The name of the procedure is in the message that prepares it; later ones only execute.
_BATCH = b"credits.apply"
_READY_FOR_QUERY = b"Z"


class Loss(Enum):
    """What happens to the next batch."""

    REQUEST = "the connection breaks before the server gets it"
    ANSWER = "the server does it, and the connection breaks before the answer"
    SILENCE = "the server does it, and the answer never comes"


class Proxy:
    """Connections through here can be lost. `dsn` leads to it."""

    def __init__(self, upstream: Path, folder: Path) -> None:
        self._upstream = str(upstream / _SOCKET)
        self._path = str(folder / _SOCKET)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._loss: Loss | None = None
        self.lost = asyncio.Event()

    def lose_next(self, loss: Loss) -> None:
        """Lose the next batch in this way; `lost` is set when that has happened."""
        self._loss = loss
        self.lost.clear()

    async def open(self) -> None:
        """Let connections through."""
        self._server = await asyncio.start_unix_server(self._serve, self._path)

    async def cut(self) -> None:
        """Break all connections and let no new ones through."""
        if self._server is not None:
            self._server.close()
        self._server = None
        Path(self._path).unlink(missing_ok=True)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        # Cancelled by cut(); asyncio would log the cancellation of its callback as an error.
        with suppress(OSError, asyncio.CancelledError):
            await self._pass(reader, writer)
        self._tasks.discard(task)
        writer.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._server is None:  # accepted at the moment of the cut
            return
        up_reader, up_writer = await asyncio.open_unix_connection(self._upstream)
        try:
            await _Connection(self, (reader, writer), (up_reader, up_writer)).run()
        finally:
            up_writer.close()

    def take_loss(self) -> Loss | None:
        """Give what shall happen to the batch that is about to pass."""
        loss, self._loss = self._loss, None
        return loss


class _Connection:
    def __init__(
        self,
        proxy: Proxy,
        client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        server: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        self._proxy = proxy
        self._client_reader, self._client_writer = client
        self._server_reader, self._server_writer = server
        self._carries_batches = False
        self._loss: Loss | None = None

    async def run(self) -> None:
        """Pass both directions until one of them ends."""
        directions = [asyncio.create_task(self._up()), asyncio.create_task(self._down())]
        try:
            await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for direction in directions:
                direction.cancel()
            await asyncio.gather(*directions, return_exceptions=True)

    async def _up(self) -> None:
        while chunk := await self._client_reader.read(1 << 20):
            self._carries_batches = self._carries_batches or _BATCH in chunk
            if self._carries_batches and b"B" in chunk and self._loss is None:
                self._loss = self._proxy.take_loss()
            if self._loss is Loss.REQUEST:
                self._proxy.lost.set()
                return
            self._server_writer.write(chunk)
            await self._server_writer.drain()

    async def _down(self) -> None:
        while True:
            kind = await self._server_reader.readexactly(1)
            size = await self._server_reader.readexactly(4)
            body = await self._server_reader.readexactly(int.from_bytes(size) - 4)
            if self._loss is None:
                self._client_writer.write(kind + size + body)
                await self._client_writer.drain()
            elif kind == _READY_FOR_QUERY:
                self._proxy.lost.set()
                if self._loss is Loss.SILENCE:
                    await asyncio.Event().wait()
                return


@asynccontextmanager
async def proxied(dsn: str, folder: Path) -> AsyncIterator[tuple[Proxy, str]]:
    """Run a proxy in front of the server of `dsn`; gives it and the DSN that leads through it."""
    parts = urlsplit(dsn)
    upstream = Path(parse_qs(parts.query)["host"][0])
    proxy = Proxy(upstream, folder)
    await proxy.open()
    try:
        yield proxy, parts._replace(query=f"host={quote(str(folder))}").geturl()
    finally:
        await proxy.cut()
