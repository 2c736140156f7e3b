"""Refunds what dead gateways left open. Every gateway runs one; any number of them is harmless.

A sweeper decides nothing: it hands refunds to the writer, where the open debit's row decides, as
it does for everybody else.
"""

import asyncio
import logging
import random
from datetime import timedelta

import asyncpg

from ledger.credits.operation import Kind, Operation, Status
from ledger.credits.writer import Writer
from ledger.database import Database
from ledger.errors import LedgerError, LedgerUnavailable

# After a restart of PostgreSQL no gateway could beat, so each first gets a whole term to do so.
_REVOKE = """
delete from credits.gateway
 where expires_at < now() and pg_postmaster_start_time() < now() - $1::interval
"""
_ABANDONED = """
select account_id, conversion_id from credits.open_debit o
 where deadline < now()
    or not exists (select from credits.gateway g where g.id = o.gateway_id)
 limit $1
"""
# One round must not fill the queue in front of debits that somebody waits for.
_SWEEP_MAX = 2000

_log = logging.getLogger(__name__)


class Sweeper:
    """Looks for abandoned debits a few times a lease term."""

    def __init__(self, database: Database, writer: Writer, *, lease_s: float) -> None:
        self._database = database
        self._writer = writer
        self._term = timedelta(seconds=lease_s)

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            try:
                await self.sweep()
            except LedgerUnavailable:
                pass  # there will be a next round
            except (LedgerError, asyncpg.PostgresError):
                _log.exception("a sweep failed")
            # Jitter, so that many gateways do not look at the same moment.
            await asyncio.sleep(self._term.total_seconds() / 3 * random.uniform(0.5, 1.5))  # noqa: S311 (not a secret)

    async def sweep(self) -> int:
        """Revoke stale leases, refund abandoned debits; gives the number of refunds."""
        async with self._database.session() as connection:
            await connection.execute(_REVOKE, self._term)
            abandoned = await connection.fetch(_ABANDONED, _SWEEP_MAX)
        tickets = [
            self._writer.submit(
                Operation(
                    kind=Kind.REFUND,
                    account_id=row["account_id"],
                    conversion_id=row["conversion_id"],
                    reason="abandoned",
                )
            )
            for row in abandoned
        ]
        outcomes = [await ticket.answer for ticket in tickets]
        refunds = sum(outcome.status is Status.DONE for outcome in outcomes)
        if refunds:
            _log.warning("refunded %d debits of gateways that went away", refunds)
        return refunds
