"""Waiting for what the database shows, instead of sleeping and hoping."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import asyncpg

_LOCK = "lock table credits.turn in share row exclusive mode"
_WAITING = (
    "select exists (select from pg_locks where not granted and relation = 'credits.turn'::regclass)"
)
# Far beyond anything honest: a test that reaches it has failed, and says so.
_PATIENCE_S = 30.0


async def eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    """Return when the condition holds."""
    async with asyncio.timeout(_PATIENCE_S):
        while not await condition():  # noqa: ASYNC110 (the condition is in another process)
            await asyncio.sleep(0.01)


@asynccontextmanager
async def turn_taken(books: asyncpg.Connection) -> AsyncIterator[None]:
    """Hold every writer back for the length of the block."""
    async with books.transaction():
        await books.execute(_LOCK)
        yield


async def writer_waits(books: asyncpg.Connection) -> None:
    """Return when a writer has sent a batch and waits for its turn."""

    async def waits() -> bool:
        return bool(await books.fetchval(_WAITING))

    await eventually(waits)
