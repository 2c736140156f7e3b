"""Forgets mails that are over, and sees how many wait."""

import asyncio
import logging
import random
from datetime import timedelta

import asyncpg
import msgspec

from ledger.database import Database
from ledger.errors import LedgerError, LedgerUnavailable
from ledger.mail.limits import MailLimits
from ledger.people.person import Clock

_PERIOD_S = 30.0
_ROUND_MAX = 1000
_FORGET = """
with gone as (
    delete from mail.letter where id in (
        select id from mail.letter
         where state = 'sent' and ended_at <= $1 or state = 'dead' and ended_at <= $2
         limit $3 for update skip locked)
    returning id)
select count(*) from gone
"""
_CLOSED = """
delete from mail.low_balance m using credits.account a
 where a.id = m.account_id and a.status = 'closed'
"""
_LOOK = """
select count(*) filter (where state in ('waiting', 'sending')) as waiting,
       count(*) filter (where state = 'dead') as dead,
       coalesce(extract(epoch from $1 - min(created_at)
                filter (where state in ('waiting', 'sending'))), 0)::float8 as lag_s
  from mail.letter where state <> 'sent'
"""

_log = logging.getLogger(__name__)


class Fill(msgspec.Struct, frozen=True, kw_only=True):
    """What there was when this process last looked."""

    waiting: int = 0
    dead: int = 0
    # How long the oldest that waits has waited, in seconds.
    lag_s: float = 0.0


class MailSweeper:
    """Looks twice a minute, in every gateway; any number of them does no harm."""

    def __init__(self, database: Database, limits: MailLimits, clock: Clock) -> None:
        self.fill = Fill()
        self._database = database
        self._limits = limits
        self._clock = clock

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            try:
                await self.sweep()
            except LedgerUnavailable:
                pass  # there will be a next round
            except (LedgerError, asyncpg.PostgresError):
                _log.exception("a sweep of mails failed")
            # Jitter, so that many gateways do not look at the same moment.
            await asyncio.sleep(_PERIOD_S * random.uniform(0.5, 1.5))  # noqa: S311 (not a secret)

    async def sweep(self) -> None:
        """One round: forget, look. Raises LedgerUnavailable."""
        now = self._clock()
        sent = now - timedelta(seconds=self._limits.sent_s)
        dead = now - timedelta(seconds=self._limits.dead_s)
        while await self._database.value(_FORGET, sent, dead, _ROUND_MAX) == _ROUND_MAX:
            pass
        await self._database.value(_CLOSED)
        (row,) = await self._database.rows(_LOOK, now)
        self.fill = Fill(**row)
