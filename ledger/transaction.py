"""The SERIALIZABLE retry, in one place.

PostgreSQL may refuse a serializable transaction that was right (40001): run it again from its
first read. Between our own writers this practically never happens, because they take turns before
their snapshots (`credits.apply`); what is left are an administrator's session, a deadlock, and the
moment between the release of a transaction's locks and its end in PostgreSQL's own list of
serializable transactions, in which a busy machine can stop a backend ("prepared pivot").
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

import asyncpg

# Nothing happened, and the next try may succeed.
RETRIED = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError)
# Doubling from half a millisecond this ends after about two seconds; whoever still loses then
# competes with something that will not go away.
ATTEMPTS_MAX = 50
_PAUSE_MAX_S = 0.05

T = TypeVar("T")


async def retried(attempt: Callable[[], Awaitable[T]]) -> T:
    """Await `attempt()` until it is not refused by a concurrent transaction."""
    for number in range(1, ATTEMPTS_MAX):
        try:
            return await attempt()
        except RETRIED:
            # Jitter, so that two who met do not meet again.
            await asyncio.sleep(random.random() * min(_PAUSE_MAX_S, 0.0005 * 2**number))  # noqa: S311 (not a secret)
    return await attempt()


async def serializable(
    connection: asyncpg.Connection,
    body: Callable[[asyncpg.Connection], Awaitable[T]],
) -> T:
    """Run `body(connection)` in a SERIALIZABLE transaction, again from the start if refused."""

    async def attempt() -> T:
        async with connection.transaction(isolation="serializable"):
            return await body(connection)

    return await retried(attempt)
