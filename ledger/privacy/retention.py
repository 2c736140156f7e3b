"""Nothing is kept longer than the inventory says: one job for all tables, with evidence.

Sweepers of their own take most things sooner; this is who sees to it that nothing was forgotten.
A round deletes so many rows of one table and writes down, in the same transaction, that it did. One
gateway at a time does this (an advisory lock), each table about once a day.
"""

import asyncio
import logging
import random
import re
from collections.abc import Iterator
from datetime import datetime

import asyncpg
import msgspec

from ledger.database import AUDIT_TIMEOUT_S, Database
from ledger.errors import LedgerError, LedgerUnavailable
from ledger.people.person import Clock
from ledger.privacy.inventory import Inventory, Retention, Table
from ledger.settings import LedgerSettings

# A round must not be a long transaction; there will be another at once.
_ROUND_MAX = 5000
# One table is done with in a day; so many rounds are 50 million rows.
_ROUNDS_MAX = 10_000
_PERIOD_S = 900.0
# A little less than a day, so that the hour does not wander.
_DUE = "23 hours"
_LIST_MAX = 1000

_LOCK = "select pg_try_advisory_xact_lock(hashtextextended('privacy.retention', 0))"
_CUTOFF = "select $1::timestamptz - $2::text::interval"
_DONE = f"""
select true from privacy.retention_run
 where table_name = $1 and complete and at > $2::timestamptz - interval '{_DUE}' limit 1
"""  # noqa: S608 (constants)
_EVIDENCE = """
insert into privacy.retention_run (at, table_name, retention, cutoff, rows, complete)
values ($1, $2, $3, $4, $5, $6)
"""
_LIST = """
select at, table_name as table, retention, cutoff, rows, complete
  from privacy.retention_run order by id desc limit $1
"""
# What removes rows that the service may not simply delete; each has its own idea of now, and checks
# for itself, but for days, which are told. Gives the number of what went.
BY = {
    "credits.purge": "select credits.purge($1)",
    "credits.forget_keys": "select credits.forget_keys($1)",
    "credits.forget_spent": "select credits.forget_spent($1)",
}
BY_DAY = {
    "requests.drop_days": "select count(*) from requests.drop_days($1::date)",
}
_SETTING = re.compile(r"\{([a-z_]+)\.([a-z_]+)\}")
_UNITS = (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1))

_log = logging.getLogger(__name__)


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One round of one table."""

    at: datetime
    table: str
    retention: str
    cutoff: datetime
    rows: int
    complete: bool


class RetentionJob:
    """Keeps every table within what the inventory promises."""

    def __init__(
        self, database: Database, inventory: Inventory, settings: LedgerSettings, clock: Clock
    ) -> None:
        self._database = database
        self._inventory = inventory
        self._settings = settings
        self._clock = clock

    def says(self, retention_id: str) -> str:
        """How long, in words, with the operator's settings in it."""
        text = self._inventory.retention[retention_id].says
        return _SETTING.sub(lambda found: in_words(self._seconds(found)), text)

    def keeps(self, retention: Retention) -> str | None:
        """How long, as an interval of PostgreSQL."""
        if retention.keeps is None:
            return None
        return _SETTING.sub(lambda found: f"{self._seconds(found)} seconds", retention.keeps)

    async def run(self) -> None:
        """Look every quarter of an hour whether something is due, until cancelled."""
        while True:
            # Jitter, so that many gateways do not look at the same moment.
            await asyncio.sleep(_PERIOD_S * random.uniform(0.5, 1.5))  # noqa: S311 (not a secret)
            try:
                await self.sweep()
            except LedgerUnavailable:
                continue
            except (LedgerError, asyncpg.PostgresError):
                _log.exception("retention failed")

    async def sweep(self) -> list[Run]:
        """Do what is due; gives what was done. Another gateway that does it has it all.

        Raises LedgerUnavailable.
        """
        runs = []
        for table, retention in self._limited():
            for _ in range(_ROUNDS_MAX):
                run = await self._round(table, retention)
                if run is not None:
                    runs.append(run)
                if run is None or run.complete:
                    break
        return runs

    async def list(self, limit: int = 100) -> "list[Run]":
        """Give the last rounds, the newest first."""
        return [Run(**row) for row in await self._database.rows(_LIST, min(limit, _LIST_MAX))]

    def _limited(self) -> Iterator[tuple[Table, Retention]]:
        for table in self._inventory.tables.values():
            retention = self._inventory.retention[table.retention]
            if retention.keeps is not None and table.age is not None:
                yield table, retention

    async def _round(self, table: Table, retention: Retention) -> Run | None:
        """One round; None where another gateway is at it, or it was done today."""
        now = self._clock()
        async with self._database.session() as connection, connection.transaction():
            if not await connection.fetchval(_LOCK):
                return None
            if await connection.fetchval(_DONE, table.name, now):
                return None
            cutoff = await connection.fetchval(_CUTOFF, now, self.keeps(retention))
            rows = await self._remove(connection, table, retention, cutoff)
            run = Run(
                at=now,
                table=table.name,
                retention=table.retention,
                cutoff=cutoff,
                rows=rows,
                complete=rows < _ROUND_MAX,
            )
            await connection.execute(_EVIDENCE, *msgspec.structs.astuple(run))
            return run

    @staticmethod
    async def _remove(
        connection: asyncpg.Connection, table: Table, retention: Retention, cutoff: datetime
    ) -> int:
        if retention.by is not None:
            statement = BY.get(retention.by) or BY_DAY[retention.by]
            limit = cutoff.date() if retention.by in BY_DAY else _ROUND_MAX
            return int(await connection.fetchval(statement, limit, timeout=AUDIT_TIMEOUT_S))
        done: str = await connection.execute(_delete(table), cutoff, timeout=AUDIT_TIMEOUT_S)
        return int(done.rpartition(" ")[2])

    def _seconds(self, found: re.Match[str]) -> float:
        return float(getattr(getattr(self._settings, found[1]), found[2]))


def in_words(seconds: float) -> str:
    """A time for people: `3 hours`, `90 minutes`, `7 days`."""
    unit, size = next((unit, size) for unit, size in _UNITS if seconds % size == 0 or size == 1)
    count = round(seconds / size)
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"


def _delete(table: Table) -> str:
    # By place, so that a round ends after so many; the age is asked again of what has moved since.
    return f"""
        delete from {table.name} where {table.age} < $1::timestamptz and ctid = any (array(
            select ctid from {table.name} where {table.age} < $1::timestamptz limit {_ROUND_MAX}))
    """  # noqa: S608 (names of the inventory)
