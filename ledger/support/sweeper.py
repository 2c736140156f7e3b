"""Deletes support mails in time, forgets proofs, reminds of clocks, and sees what is waiting."""

import asyncio
import logging
import random

import asyncpg
import msgspec

from ledger.database import Database
from ledger.errors import LedgerError, LedgerUnavailable
from ledger.people.person import Clock
from ledger.support.incidents import Incidents

# What is promised of support mails.
RETENTION = "24 months"
_PERIOD_S = 300.0
_ROUND_MAX = 500
_FORGET = """
with gone as (
    delete from support.ticket where id in (
        select id from support.ticket where updated_at <= $1::timestamptz - $2::text::interval
         limit $3 for update skip locked)
    returning id)
select count(*) from gone
"""
_PROOFS = "delete from support.proof where expires_at <= $1"
_LOOK = """
select (select count(*) from support.ticket where state = 'open') as open_tickets,
       (select count(*) from support.incident where state <> 'closed') as open_incidents
"""

_log = logging.getLogger(__name__)


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """What there was when this process last looked."""

    open_tickets: int = 0
    open_incidents: int = 0
    # Hours until the first authority has to know; negative: too late. None: no clock runs.
    notice_h: float | None = None


class SupportSweeper:
    """Looks every five minutes, in every gateway; any number of them does no harm."""

    def __init__(self, database: Database, incidents: Incidents, clock: Clock) -> None:
        self.waiting = Waiting()
        self._database = database
        self._incidents = incidents
        self._clock = clock

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            try:
                await self.sweep()
            except LedgerUnavailable:
                pass  # there will be a next round
            except (LedgerError, asyncpg.PostgresError):
                _log.exception("a sweep of tickets failed")
            # Jitter, so that many gateways do not look at the same moment.
            await asyncio.sleep(_PERIOD_S * random.uniform(0.5, 1.5))  # noqa: S311 (not a secret)

    async def sweep(self) -> None:
        """One round. Raises LedgerUnavailable."""
        now = self._clock()
        while await self._database.value(_FORGET, now, RETENTION, _ROUND_MAX) == _ROUND_MAX:
            pass
        await self._database.value(_PROOFS, now)
        await self._incidents.remind()
        due = [one.authority_by for one in await self._incidents.running() if one.authority_by]
        notice_h = (min(due) - now).total_seconds() / 3600 if due else None
        (row,) = await self._database.rows(_LOOK)
        self.waiting = Waiting(**row, notice_h=notice_h)
