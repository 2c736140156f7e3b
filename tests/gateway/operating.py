"""A service with its operators' doors open: the Unix socket, and the address with a token."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from engine.engine import Engine
from gateway import admin, listener, state
from ledger.audit.actions import Action
from ledger.ledger import Ledger
from tests.gateway.service import Reply, Service, listening

TOKEN = "a token for tests, not a secret"


class Operated(msgspec.Struct, frozen=True, kw_only=True):
    """Ways to ask as an operator."""

    service: Service
    home: Path
    socket: Path
    url: str

    async def order(self, name: str, body: Any = None, **headers: str) -> Reply:
        """Give an order over the socket."""
        return await self.ask("POST", f"/admin/{name}", body, headers)

    async def look(self, path: str) -> Reply:
        return await self.ask("GET", path)

    async def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Reply:
        async with aiohttp.ClientSession(
            connector=aiohttp.UnixConnector(str(self.socket)), headers=headers
        ) as client:
            return await _reply(client, method, f"http://ephemera{path}", body)

    async def from_afar(self, method: str, path: str, token: str | None, body: Any = None) -> Reply:
        """Ask over the address."""
        headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
        async with aiohttp.ClientSession(headers=headers) as client:
            return await _reply(client, method, f"{self.url}{path}", body)

    async def records(self) -> list[Action]:
        """What this test did, the newest first: it is the only one at work."""
        return await self.service.ledger.actions.list(20)


async def _reply(client: aiohttp.ClientSession, method: str, url: str, body: Any) -> Reply:
    data = body if body is None or isinstance(body, bytes) else msgspec.json.encode(body)
    async with client.request(method, url, data=data) as response:
        return Reply(status=response.status, headers=response.headers, body=await response.read())


@asynccontextmanager
async def operated(
    engine: Engine, ledger: Ledger, home: Path, token: str = TOKEN, **sections: Any
) -> AsyncIterator[Operated]:
    """The whole HTTP side, and both of the operators' doors."""
    sections.setdefault("server", {})["operator_token"] = token
    async with listening(engine, ledger, **sections) as service:
        settings = msgspec.structs.replace(service.app[state.SETTINGS], home=home)
        with socket.socket() as address:
            address.bind(("127.0.0.1", 0))
            async with admin.open_doors(service.app, settings, address):
                [path] = home.glob("admin-*.sock")
                yield Operated(
                    service=service, home=home, socket=path, url=listener.url_of(address)
                )
                await service.quiet()
