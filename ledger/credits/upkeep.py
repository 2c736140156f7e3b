"""What the books need now and then: seals, the end of old accounts and keys.

Every gateway does this; the database sees to it that each thing happens once.
"""

import asyncio
import logging
import random
from datetime import date

import asyncpg
import msgspec

from ledger.database import AUDIT_TIMEOUT_S, Database
from ledger.errors import LedgerUnavailable

_SEAL = "select day, entries, total::bigint, digest from credits.seal_days()"
_SEALS = "select day, entries, total::bigint, digest from credits.seal order by day desc limit $1"
_BROKEN = "select broken_seals as day from credits.broken_seals()"
_PURGE = "select credits.purge($1)"
_FORGET_KEYS = "select credits.forget_keys($1)"
_FORGET_SPENT = "select credits.forget_spent($1)"
_FORGET_TOKENS = """
delete from accounts.token_ended
 where (account_id, jti) in (select account_id, jti from accounts.token_ended
                              where expires_at < now() order by expires_at limit $1)
"""
# Bounded, so that no round is a long transaction; there will be a next one.
_ACCOUNTS_MAX = 100
_KEYS_MAX = 5000
_INTERVAL_S = 60.0

_log = logging.getLogger(__name__)


class Seal(msgspec.Struct, frozen=True, kw_only=True):
    """One day: the number and the sum of its entries, and the digest to publish."""

    day: date
    entries: int
    total: int
    digest: bytes


class Upkeep:
    """Seals days, purges accounts that were closed seven years ago, forgets old keys."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(self) -> None:
        """Do it every minute until cancelled."""
        while True:
            await asyncio.sleep(_INTERVAL_S * random.uniform(0.5, 1.5))  # noqa: S311 (not a secret)
            try:
                await self.seal()
                await self.purge()
                await self.forget_keys()
                await self.forget_spent()
                await self.forget_tokens()
            except LedgerUnavailable:
                continue
            except asyncpg.PostgresError:
                _log.exception("the upkeep of the books failed")

    async def seal(self) -> list[Seal]:
        """Seal the days that have ended; gives the new seals."""
        return [Seal(**row) for row in await self._database.rows(_SEAL, timeout_s=AUDIT_TIMEOUT_S)]

    async def seals(self, limit: int = 366) -> list[Seal]:
        """Give the last seals, the newest first."""
        return [Seal(**row) for row in await self._database.rows(_SEALS, limit)]

    async def broken_seals(self) -> list[date]:
        """Give the days whose entries are no longer what was sealed; empty is the good answer."""
        rows = await self._database.rows(_BROKEN, timeout_s=AUDIT_TIMEOUT_S)
        return [row["day"] for row in rows]

    async def purge(self) -> int:
        """Remove accounts that were closed seven years ago; gives their number."""
        return int(await self._database.value(_PURGE, _ACCOUNTS_MAX))

    async def forget_spent(self) -> int:
        """Remove what keys with caps spent two months ago; gives the number of days."""
        return int(await self._database.value(_FORGET_SPENT, _KEYS_MAX))

    async def forget_tokens(self) -> None:
        """Remove denied and used tokens that would have expired by now."""
        await self._database.value(_FORGET_TOKENS, _KEYS_MAX)

    async def forget_keys(self) -> int:
        """Remove idempotency keys that are older than a day; gives their number."""
        return int(await self._database.value(_FORGET_KEYS, _KEYS_MAX))
