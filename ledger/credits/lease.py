"""The sign of life of one gateway process: a row in `credits.gateway` that it keeps fresh.

When a gateway dies its row goes stale, any sweeper deletes it, and the debits it left open are
refunded. A late beat still counts as long as nobody has deleted the row: the deletion is the
revocation, and only new debits ask for the row. All clocks are the database's.
"""

import asyncio
import logging
from datetime import timedelta

import asyncpg

from ledger.database import Database
from ledger.errors import LedgerUnavailable

_REGISTER = "insert into credits.gateway (expires_at) values (now() + $1) returning id"
_BEAT = "update credits.gateway set expires_at = now() + $2 where id = $1 returning id"
_RELEASE = "delete from credits.gateway where id = $1"
# Three beats fit into a lease: one may be late and one may be lost.
_BEATS = 3

_log = logging.getLogger(__name__)


class Lease:
    """This process's lease. `id` changes when it was revoked and taken anew."""

    def __init__(self, lease_s: float) -> None:
        self.id = 0
        self._term = timedelta(seconds=lease_s)

    async def register(self, connection: asyncpg.Connection) -> None:
        """Take a lease under a new id."""
        self.id = await connection.fetchval(_REGISTER, self._term)

    async def renew(self, connection: asyncpg.Connection, revoked: int) -> None:
        """Take a new lease in place of the `revoked` one, unless that has been done already."""
        if self.id == revoked:
            await self.register(connection)
            _log.warning("the lease %d was revoked; going on under %d", revoked, self.id)

    async def keep(self, database: Database) -> None:
        """Beat until cancelled."""
        while True:
            await asyncio.sleep(self._term.total_seconds() / _BEATS)
            try:
                await self.beat(database)
            except LedgerUnavailable:
                continue  # after its return the database grants everybody a full term
            except asyncpg.PostgresError:
                _log.exception("the heart-beat was refused")

    async def beat(self, database: Database) -> None:
        """Prolong the lease, or take a new one where it was revoked."""
        held = self.id
        async with database.session() as connection:
            if await connection.fetchval(_BEAT, held, self._term) is None:
                await self.renew(connection, held)

    async def release(self, database: Database) -> None:
        """End the lease; what is still open is for the sweepers, at once."""
        async with database.session() as connection:
            await connection.execute(_RELEASE, self.id)
