"""Takes away what has expired. Every gateway runs one; any number of them is harmless.

An expired file is unreadable at its very second, because every read asks for the time; the sweeper
is there for its bytes, which are gone at most a minute later.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

import asyncpg
import msgspec

from ledger.database import Database
from ledger.errors import LedgerUnavailable

# With its jitter half a minute at most, so that one failed round still keeps the promise.
INTERVAL_S = 20.0
# One transaction takes that many: half a gigabyte goes in about a second.
_FILES_MAX = 8
_TIMEOUT_S = 60.0
# Who is being written or deleted at this moment is for the next round.
_SWEEP = """
delete from files.file where id in (
    select id from files.file where expires_at <= now()
     order by expires_at limit $1 for update skip locked)
"""
_LOOK = "select count(*) as files, coalesce(sum(bytes), 0)::bigint as bytes from files.file"

_log = logging.getLogger(__name__)


class Fill(msgspec.Struct, frozen=True):
    """How full the store was when this process last looked."""

    files: int = 0
    bytes: int = 0


class FileSweeper:
    """Looks for expired files a few times a minute."""

    def __init__(self, database: Database) -> None:
        self.fill = Fill()
        # By this process.
        self.purged = 0
        self._database = database

    async def run(self) -> None:
        """Sweep until cancelled."""
        await repeated(self.sweep)

    async def sweep(self) -> int:
        """Purge all that has expired, half and chunks and all; gives the number of files."""
        purged = 0
        while count := await self._sweep_some():
            purged += count
        self.purged += purged
        row = await self._database.row(_LOOK)
        if row is not None:
            self.fill = Fill(**row)
        return purged

    async def _sweep_some(self) -> int:
        async with self._database.session() as connection:
            done = await connection.execute(_SWEEP, _FILES_MAX, timeout=_TIMEOUT_S)
        return int(done.removeprefix("DELETE "))


async def repeated(sweep: Callable[[], Awaitable[object]]) -> None:
    """Sweep again and again until cancelled, whatever a round ends in."""
    while True:
        try:
            await sweep()
        except LedgerUnavailable:
            pass  # there will be a next round
        except asyncpg.PostgresError:
            _log.exception("a sweep of stored files failed")
        # Jitter, so that many gateways do not look at the same moment.
        await asyncio.sleep(INTERVAL_S * random.uniform(0.5, 1.5))  # noqa: S311 (not a secret)
