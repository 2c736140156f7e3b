"""A client's process, and what a test says to it."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from tests.compat.clients import Client
from tests.gateway.service import PATIENCE_S, Customer, Service


class ClientError(Exception):
    """What the library raised, as its user sees it."""

    def __init__(self, message: str, code: int | None, invalid: dict[str, list[str]]) -> None:
        super().__init__(message)
        self.code = code
        self.invalid = invalid


class Program:
    """A driver (`python/driver.py`, `node/driver.cjs`) that is running."""

    def __init__(self, client: Client, process: asyncio.subprocess.Process) -> None:
        self.name = client.name
        self._process = process

    async def configure(
        self, service: Service, customer: Customer, *, below: str = "", **more: object
    ) -> None:
        said = {"base_uri": f"{service.url}/{below}", "credentials": customer.key}
        await self._ask("configure", **(said | more))

    async def convert(self, target: str, **said: Any) -> Any:
        """`convert("pdf", File=PATH)`; `_from` and `_timeout` are the library's own arguments."""
        apart = {name: said.pop(f"_{name}", None) for name in ("from", "timeout")}
        return await self._ask("convert", to=target, **{"with": said}, **apart)

    async def save(self, result: Any, folder: Path) -> list[Path]:
        saved = await self._ask("save", number=result["number"], folder=str(folder))
        return [Path(path) for path in saved]

    async def user(self) -> Any:
        return await self._ask("user")

    async def get(self, path: str) -> Any:
        return await self._ask("get", path=path)

    async def _ask(self, do: str, **said: Any) -> Any:
        writer, reader = self._process.stdin, self._process.stdout
        assert writer
        assert reader
        writer.write(msgspec.json.encode({"do": do, **said}) + b"\n")
        async with asyncio.timeout(PATIENCE_S):
            await writer.drain()
            line = await reader.readline()
        assert line, "the client's process has ended; its traceback is on standard error"
        answer = msgspec.json.decode(line)
        if "error" in answer:
            raise ClientError(answer["error"], answer["code"], answer["invalid"])
        return answer["ok"]


@asynccontextmanager
async def running(client: Client) -> AsyncIterator[Program]:
    """Start its driver; it ends with the block."""
    command, environment = client.command()
    # No proxy of this machine's, and no settings of its user's.
    process = await asyncio.create_subprocess_exec(
        *command,
        env={"PATH": os.environ["PATH"], **environment},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**24,
    )
    try:
        yield Program(client, process)
    finally:
        process.kill()
        await process.wait()
