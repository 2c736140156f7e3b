"""Webhook targets for tests: real HTTP servers that answer, hang, redirect, or want no more."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec
from aiohttp import web

# What lets the service call targets of this machine without TLS.
ALLOWED = {"hooks_http": True, "allow": ("127.0.0.0/8",), "ports": ()}


class Call(msgspec.Struct, frozen=True):
    """One call of a webhook."""

    headers: dict[str, str]
    body: str


class Receiver:
    """Keeps every call; answers as it is told to."""

    def __init__(self) -> None:
        self.url = ""
        self.calls: list[Call] = []
        self.status = 204
        self.headers: dict[str, str] = {}
        # Set: it never answers.
        self.hangs = False
        self.released = asyncio.Event()
        self._came = asyncio.Event()

    async def answer(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.calls.append(Call(headers, await request.text()))
        self._came.set()
        if self.hangs:
            await self.released.wait()
        return web.Response(status=self.status, headers=self.headers)

    async def called(self, times: int = 1) -> list[Call]:
        """All calls, once there are so many."""
        async with asyncio.timeout(120):
            while len(self.calls) < times:
                self._came.clear()
                await self._came.wait()
        return self.calls


@asynccontextmanager
async def receiving(prepare: Callable[[Receiver], None] | None = None) -> AsyncIterator[Receiver]:
    """A target for the block, on any port."""
    receiver = Receiver()
    if prepare:
        prepare(receiver)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", receiver.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert runner.addresses
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    try:
        yield receiver
    finally:
        receiver.released.set()
        await runner.cleanup()
