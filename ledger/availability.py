"""Whether PostgreSQL is there, as the last one who tried knows it: a flag, never a round trip.

Requests are refused by this flag in microseconds while the database is away, instead of each of
them waiting for a connection that cannot come. Only the writer of credits sets it: it is the one
that never stops trying.
"""

import asyncpg

from ledger.errors import LedgerUnavailable

# After these nobody knows whether the statement took effect, or it did not because the server
# cannot work at present: connections that break, servers that stop, statements that are cut off,
# a lock that is held for seconds, full disks, a standby where the primary was. What was asked is
# asked again when it is back.
AWAY = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.PostgresSystemError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.LockNotAvailableError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    EOFError,
    TimeoutError,
)

# A restart of PostgreSQL takes about this long; clients need not ask sooner.
RETRY_AFTER_S = 2.0


class Availability:
    """Up or down, and what callers are told when it is down."""

    def __init__(self) -> None:
        self.up = False

    def demand(self) -> None:
        """Raise LedgerUnavailable, at once, while PostgreSQL is known to be away."""
        if not self.up:
            raise unavailable()


def unavailable() -> LedgerUnavailable:
    """Give the one sentence for a database that is away."""
    return LedgerUnavailable(
        "the ledger cannot be reached at present; nothing was charged", retry_after_s=RETRY_AFTER_S
    )
