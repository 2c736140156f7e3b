"""The real service for tests: one engine and one ledger, any number of listeners around them."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import aiohttp
import msgspec
from aiohttp import web

from engine.engine import Engine
from gateway import config, listener, state
from gateway.app import build
from gateway.config import Settings
from gateway.listener import Listener
from gateway.stages import Stage, Trail
from ledger.credits.operation import Entry
from ledger.ledger import Ledger

# Only ever reached when something hangs.
PATIENCE_S = 120.0


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that announces itself to nobody."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 -- the engine's figures have no event
            await asyncio.sleep(0.002)


class Reply(msgspec.Struct, kw_only=True):
    """An HTTP answer, read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


class Stages:
    """An observer that tests can wait on, and act at."""

    def __init__(self) -> None:
        self.seen: list[Stage] = []
        self._events = {stage: asyncio.Event() for stage in Stage}
        self._acts: dict[Stage, Callable[[], None]] = {}

    def __call__(self, stage: Stage, _trail: Trail) -> None:
        self.seen.append(stage)
        self._events[stage].set()
        if act := self._acts.get(stage):
            act()

    def at(self, stage: Stage, act: Callable[[], None]) -> None:
        self._acts[stage] = act

    async def wait(self, stage: Stage) -> None:
        async with asyncio.timeout(PATIENCE_S):
            await self._events[stage].wait()


class Customer(msgspec.Struct, frozen=True, kw_only=True):
    """An account with a key."""

    account_id: int
    key: str
    credits: int

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}


class Service:
    """One listener and its application."""

    def __init__(self, app: web.Application, url: str, port: int, stages: Stages) -> None:
        self.app = app
        self.url = url
        self.port = port
        self.stages = stages
        self.engine: Engine = app[state.ENGINE]
        self.ledger: Ledger = app[state.LEDGER]
        self.client = aiohttp.ClientSession(url)

    async def ask(self, method: str, path: str, **rest: Any) -> Reply:
        async with self.client.request(method, path, **rest) as response:
            return Reply(
                status=response.status, headers=response.headers, body=await response.read()
            )

    async def convert(
        self, path: str, body: Any, customer: "Customer", headers: Any = None, **params: str
    ) -> Reply:
        return await self.ask(
            "POST",
            f"/v1/convert/{path}",
            data=body,
            headers=customer.headers | (headers or {}),
            params=params,
        )

    async def customer(self, opening: int = 100) -> Customer:
        account = await self.ledger.accounts.create(f"test {uuid4()}", credits=opening)
        key = await self.ledger.keys.create(account.id, "test")
        return Customer(account_id=account.id, key=key.secret, credits=opening)

    async def entries(self, customer: Customer) -> list[Entry]:
        return await self.ledger.entries(customer.account_id, limit=1000)

    async def kinds(self, customer: Customer) -> list[str]:
        """What was booked after the opening credits, the oldest first."""
        return [entry.kind for entry in reversed(await self.entries(customer))][1:]

    async def quiet(self) -> None:
        """Wait until no conversion is under way, clean-up included."""
        assert await self.app[state.DOOR].wait_empty(PATIENCE_S)

    async def open(self, *, window: int | None = None) -> "Wire":
        """A connection by hand; a small `window` makes a client that takes little at a time."""
        sock = socket.socket()
        if window:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        sock.connect(("127.0.0.1", self.port))
        return Wire(*await asyncio.open_connection(sock=sock, limit=window or 2**16))


class Wire:
    """A client that speaks HTTP by hand, so that it can speak it badly."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.hang_up()

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def post(
        self, path: str, customer: Customer | None, *headers: str, body: bytes = b""
    ) -> None:
        lines = [f"POST /v1/convert/{path} HTTP/1.1", "Host: test", *headers]
        if customer:
            lines.append(f"Authorization: Bearer {customer.key}")
        await self.send("\r\n".join([*lines, "", ""]).encode() + body)

    async def head(self) -> tuple[int, dict[str, str]]:
        async with asyncio.timeout(PATIENCE_S):
            text = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = text.strip().split("\r\n")
        pairs = (line.split(": ", 1) for line in lines)
        return int(first.split()[1]), {name.lower(): value for name, value in pairs}

    async def answer(self) -> Reply:
        status, headers = await self.head()
        async with asyncio.timeout(PATIENCE_S):
            body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        return Reply(status=status, headers=headers, body=body)

    async def rest(self) -> bytes:
        """Everything until the server closes."""
        async with asyncio.timeout(PATIENCE_S):
            try:
                return await self.reader.read()
            except ConnectionError:
                return b""

    def hang_up(self) -> None:
        """Reset the connection, as a client that is killed does."""
        self.writer.transport.abort()


@asynccontextmanager
async def listening(engine: Engine, ledger: Ledger, **sections: Any) -> AsyncIterator[Service]:
    """The HTTP side around an engine and a ledger. `upload={"bytes_max": 10}` and the like."""
    settings = with_settings(**sections)
    stages = Stages()
    app = build(settings, engine, ledger, [stages])
    sock = listener.bind(settings.server)
    door = Listener(sock, app, settings.server)
    await door.open()
    service = Service(app, listener.url_of(sock), sock.getsockname()[1], stages)
    try:
        yield service
    finally:
        await service.client.close()
        await door.close()
        sock.close()


def with_settings(**sections: Any) -> Settings:
    """Settings of a test: any port, nothing from the environment."""
    sections.setdefault("server", {}).setdefault("port", 0)
    # Services share an outbox, and a test looks into it: who wants mails delivered says so.
    sections.setdefault("mail", {}).setdefault("backend", "off")
    overrides = {
        (section, name): value
        for section, values in sections.items()
        for name, value in values.items()
    }
    environ = {"EPHEMERA_HOME": str(Path("/nonexistent")), "EPHEMERA_TEST_MODE": "1"}
    return config.load(environ, None, overrides)
