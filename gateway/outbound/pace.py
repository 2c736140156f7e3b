"""A server's time, as a client's is measured: a stall, a least rate, a total."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from gateway.errors import FetchTooSlow
from gateway.outbound.settings import FetchConfig

T = TypeVar("T")


class Pace:
    """The deadlines of one fetch, redirects included. Only the server is timed, not who reads."""

    def __init__(self, config: FetchConfig) -> None:
        self._config = config
        self._clock = asyncio.get_running_loop().time
        self._end = self._clock() + config.total_s
        # Of the present answer: a redirect begins anew.
        self._asked = self._clock()

    async def connected(self, connecting: Awaitable[T]) -> T:
        """A connection. Raises FetchTooSlow."""
        connection = await within(
            connecting, min(self._clock() + self._config.connect_s, self._end)
        )
        self._asked = self._clock()
        return connection

    async def kept(self, arriving: Awaitable[T], received: int) -> T:
        """What comes next, when so many bytes came before. Raises FetchTooSlow."""
        config = self._config
        least = self._asked + config.rate_grace_s + received / config.rate_min_bytes_s
        return await within(arriving, min(self._clock() + config.stall_s, least, self._end))


async def within(awaited: Awaitable[T], deadline: float) -> T:
    """What comes before the deadline (in the loop's time). Raises FetchTooSlow."""
    try:
        async with asyncio.timeout_at(deadline):
            return await awaited
    except TimeoutError as error:
        raise FetchTooSlow(
            "the URL's server did not answer, stopped sending or is too slow", reason="slow"
        ) from error
