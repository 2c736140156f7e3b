"""The records of requests: noted, listed, added up, and gone after 90 days."""

import asyncio
import logging
import random
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import asyncpg

from ledger.database import Database
from ledger.errors import LedgerError, LedgerUnavailable
from ledger.requests.record import DAYS, PAGE_MAX, By, Cursor, RequestRecord, UsageSum, Wanted
from ledger.requests.writer import RecordWriter

# Partitions are there a week before their day: a database that is away for that long is missed.
AHEAD = 7
_PERIOD_S = 900.0
_LIST = """
select at, request_id, account_id, key_id, method, path, operation, status, bytes_in, milliseconds,
       credits, address
  from requests.record
 where account_id = $1 and at >= $2 and at < $3
   and ($4::int is null or status between $4 * 100 and $4 * 100 + 99)
   and ($5::text is null or operation = $5)
   and ($6::text is null or key_id = $6)
   and ($7::timestamptz is null or (at, request_id) < ($7, $8::uuid))
 order by at desc, request_id desc
 limit $9
"""
_USAGE = """
select case $4::text when 'day' then to_char(day, 'YYYY-MM-DD')
                     when 'key' then key_id else operation end as of,
       sum(requests)::bigint as requests, sum(failed)::bigint as failed,
       sum(bytes_in)::bigint as bytes_in, sum(milliseconds)::bigint as milliseconds,
       sum(credits)::bigint as credits
  from requests.usage
 where account_id = $1 and day between $2 and $3
 group by 1 order by 1
"""
_MAKE_DAYS = "select requests.make_days($1, $2)"
_DROP_DAYS = "select drop_days as day from requests.drop_days($1)"
_FORGET_USAGE = "delete from requests.usage where day < $1"
_FORGET_RECORDS = "delete from requests.record where account_id = $1"
_FORGET_SUMS = "delete from requests.usage where account_id = $1"

_log = logging.getLogger(__name__)


class Requests:
    """All records, and the writer of this process."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self.writer = RecordWriter(database)
        self.clock = clock
        self._database = database

    async def page(
        self, account_id: int, wanted: Wanted, *, before: Cursor | None = None, limit: int = 50
    ) -> list[RequestRecord]:
        """Give a page of an account's records, the newest first."""
        now = self.clock()
        rows = await self._database.rows(
            _LIST,
            account_id,
            wanted.first or now - timedelta(days=DAYS + 1),
            wanted.last or now + timedelta(days=1),
            *(wanted.status_class, wanted.operation, wanted.key_id),
            *((before.at, before.request_id) if before else (None, None)),
            min(limit, PAGE_MAX),
        )
        return [RequestRecord(**row) for row in rows]

    async def usage(self, account_id: int, first: date, last: date, by: By) -> list[UsageSum]:
        """Add up these days (UTC, both included) by day, by operation or by key."""
        rows = await self._database.rows(_USAGE, account_id, first, last, by)
        return [UsageSum(**row) for row in rows]

    async def forget_account(self, connection: asyncpg.Connection, account_id: int) -> None:
        """Remove everything of an account, in the caller's transaction."""
        await connection.execute(_FORGET_RECORDS, account_id)
        await connection.execute(_FORGET_SUMS, account_id)

    async def keep_up(self) -> list[date]:
        """Make the partitions of the next days, and drop those of 90 days ago; gives which went.

        Raises LedgerUnavailable.
        """
        today = self.clock().astimezone(UTC).date()
        await self._database.value(_MAKE_DAYS, today - timedelta(days=1), today + timedelta(AHEAD))
        oldest = today - timedelta(days=DAYS - 1)
        gone = [row["day"] for row in await self._database.rows(_DROP_DAYS, oldest)]
        await self._database.value(_FORGET_USAGE, oldest)
        return gone

    async def run(self) -> None:
        """Keep up now and every quarter of an hour until cancelled."""
        while True:
            try:
                await self.keep_up()
            except LedgerUnavailable:
                pass  # there will be a next round
            except (LedgerError, asyncpg.PostgresError):
                _log.exception("the upkeep of request records failed")
            await asyncio.sleep(_PERIOD_S * random.uniform(0.5, 1.5))  # noqa: S311 (not a secret)
