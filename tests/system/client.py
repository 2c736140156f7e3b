"""A customer: sends files, and knows that every one of them must be answered."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import aiohttp
import msgspec

from bench import books
from bench.books import Books

# Only ever reached when something hangs: an answer that takes this long is a missing one.
PATIENCE_S = 60.0
POLL_S = 0.02


class Answer(msgspec.Struct, frozen=True):
    """What came back, to its last byte."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def code(self) -> str:
        """The problem's code, or nothing for a result."""
        return "" if self.status == 200 else str(msgspec.json.decode(self.body)["code"])


class Client:
    """Speaks for one API key."""

    def __init__(self, session: aiohttp.ClientSession, url: str, key: str) -> None:
        self.url = url
        self._session = session
        self._headers = {"Authorization": f"Bearer {key}"}

    async def convert(self, path: str, body: Any, **headers: str) -> Answer:
        """Send one file. A connection that breaks raises aiohttp.ClientError."""
        more = {name.replace("_", "-"): text for name, text in headers.items()}
        async with self._session.post(
            f"{self.url}/v1/convert/{path}",
            data=body,
            headers=self._headers | more,
            timeout=aiohttp.ClientTimeout(total=PATIENCE_S),
        ) as response:
            return Answer(response.status, response.headers, await response.read())

    async def get(self, path: str) -> Any:
        async with self._session.get(self.url + path, headers=self._headers) as response:
            return msgspec.json.decode(await response.read())

    async def status(self) -> Any:
        return await self.get("/status")

    async def balance(self) -> int:
        return int((await self.get("/v1/account"))["balance"])

    async def until(self, condition: Callable[[Any], bool]) -> Any:
        """Poll the status page until it says so; gives it."""
        async with asyncio.timeout(PATIENCE_S):
            while not condition(now := await self.status()):  # noqa: ASYNC110 -- another process
                await asyncio.sleep(POLL_S)
        return now

    async def quiet(self, dsn: str) -> Books:
        """The books once nothing is under way any more."""
        await self.until(lambda now: not now["conversions"])
        return await settled(dsn)


async def settled(dsn: str) -> Books:
    """The books, once no debit is open."""
    async with asyncio.timeout(PATIENCE_S):
        while (found := await books.read(dsn)).open_debits:  # noqa: ASYNC110 -- in the database
            await asyncio.sleep(POLL_S)
    return found
