"""Everything that is read or written besides moving credits: a small pool of connections.

Balances, entries, accounts and keys. Errors of the connection become LedgerUnavailable here and
nowhere else; a database that is known to be away is not asked.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import asyncpg

from ledger.availability import AWAY, Availability, unavailable
from ledger.transaction import serializable

# Audits and seals read everything there is; on a hundred million entries that takes minutes.
AUDIT_TIMEOUT_S = 3600.0
# A longer wait means that the pool is exhausted by statements that hang.
_ACQUIRE_TIMEOUT_S = 3.0

T = TypeVar("T")


class Database:
    """A pool, with the errors of its connections translated."""

    def __init__(self, pool: asyncpg.Pool, availability: Availability) -> None:
        self._pool = pool
        self._availability = availability

    @asynccontextmanager
    async def session(self) -> AsyncIterator[asyncpg.Connection]:
        """Lend a connection. Raises LedgerUnavailable."""
        self._availability.demand()
        try:
            async with self._pool.acquire(timeout=_ACQUIRE_TIMEOUT_S) as connection:
                yield connection
        except ValueError:  # asyncpg's complaints about arguments are InterfaceErrors as well
            raise
        except AWAY as error:
            raise unavailable() from error

    async def rows(
        self, statement: str, *arguments: object, timeout_s: float | None = None
    ) -> list[asyncpg.Record]:
        """Fetch all rows; `timeout_s` is for statements that may take longer than any other."""
        async with self.session() as connection:
            rows: list[asyncpg.Record] = await connection.fetch(
                statement, *arguments, timeout=timeout_s
            )
            return rows

    async def row(self, statement: str, *arguments: object) -> asyncpg.Record | None:
        """Fetch the first row, None where there is none."""
        async with self.session() as connection:
            return await connection.fetchrow(statement, *arguments)

    async def value(self, statement: str, *arguments: object) -> Any:
        """Fetch the first column of the first row."""
        async with self.session() as connection:
            return await connection.fetchval(statement, *arguments)

    async def serializable(self, body: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
        """Run `body` in a SERIALIZABLE transaction, again from the start if it is refused."""
        async with self.session() as connection:
            return await serializable(connection, body)
