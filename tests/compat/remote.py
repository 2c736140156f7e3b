"""Somebody else's web server, for conversions of what lies at an address."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web


class Remote:
    """Serves what a test put there, and keeps what is posted to it."""

    def __init__(self) -> None:
        self.port = 0
        self.posted: list[tuple[str, dict[str, str], bytes]] = []
        self._files: dict[str, bytes] = {}
        self._refusals = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def serve(self, name: str, content: bytes) -> str:
        """Put a file there; gives its address."""
        self._files[name] = content
        return f"{self.url}/{name}"

    def refuse(self, times: int) -> None:
        """Answer so many posts with an error."""
        self._refusals = times

    async def get(self, request: web.Request) -> web.Response:
        content = self._files.get(request.match_info["name"])
        if content is None:
            raise web.HTTPNotFound
        return web.Response(body=content, content_type="application/octet-stream")

    async def take(self, request: web.Request) -> web.Response:
        told = dict(request.headers)
        self.posted.append((request.content_type, told, await request.read()))
        if self._refusals:
            self._refusals -= 1
            raise web.HTTPServiceUnavailable
        return web.Response(status=204)


@asynccontextmanager
async def serving() -> AsyncIterator[Remote]:
    remote = Remote()
    app = web.Application()
    app.router.add_get("/{name}", remote.get)
    app.router.add_route("POST", "/{name}", remote.take)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        remote.port = runner.addresses[0][1]
        yield remote
    finally:
        await runner.cleanup()
