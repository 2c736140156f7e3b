"""Records on their way into the database: noted in memory, written in batches beside the requests.

A request notes one tuple, and waits for nothing. Every second, and when many wait, all of them are
written by COPY, with their sums, in one transaction; at the end of the service as well. While
PostgreSQL is away they wait, up to a limit; what comes beyond is dropped and counted, because a
service that fills its memory with records of what it does is worse than one with a gap in them.
"""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Sequence
from datetime import UTC, date, datetime
from itertools import islice
from typing import Any

import asyncpg

from ledger.database import Database
from ledger.errors import LedgerFault, LedgerUnavailable
from ledger.requests.record import RequestRecord

# About 20 MB, and half a minute of the fastest requests one process answers.
QUEUE_MAX = 50_000
# 2,000 records are about 15 ms of PostgreSQL's time.
BATCH_MAX = 2000
PERIOD_S = 1.0
_COLUMNS = RequestRecord.__struct_fields__
_ADD = """
insert into requests.usage as u
select s.account_id, s.day, s.key_id, s.operation, s.requests, s.failed, s.bytes_in,
       s.milliseconds, s.credits
  from unnest($1::bigint[], $2::date[], $3::text[], $4::text[], $5::bigint[], $6::bigint[],
              $7::bigint[], $8::bigint[], $9::bigint[])
       as s (account_id, day, key_id, operation, requests, failed, bytes_in, milliseconds, credits)
 order by s.account_id, s.day, s.key_id, s.operation
on conflict (account_id, day, key_id, operation) do update
   set requests = u.requests + excluded.requests,
       failed = u.failed + excluded.failed,
       bytes_in = u.bytes_in + excluded.bytes_in,
       milliseconds = u.milliseconds + excluded.milliseconds,
       credits = u.credits + excluded.credits
"""
_MAKE_DAYS = "select requests.make_days($1, $1)"

_log = logging.getLogger(__name__)

Key = tuple[int, date, str, str]


class RecordWriter:
    """The records of one process that are not written yet."""

    def __init__(self, database: Database, *, queue_max: int = QUEUE_MAX) -> None:
        self.dropped = 0
        self._database = database
        self._queue_max = queue_max
        self._queue: deque[tuple[Any, ...]] = deque()
        self._many = asyncio.Event()
        self._writing = asyncio.Lock()

    @property
    def waiting(self) -> int:
        """How many wait to be written."""
        return len(self._queue)

    def note(self, record: RequestRecord | tuple[Any, ...]) -> None:
        """Remember a request: a record, or a tuple of its fields in their order."""
        if len(self._queue) >= self._queue_max:
            self.dropped += 1
            return
        self._queue.append(tuple(record) if isinstance(record, tuple) else _fields(record))
        if len(self._queue) >= BATCH_MAX:
            self._many.set()

    async def run(self) -> None:
        """Write every second, or sooner where many wait, until cancelled."""
        while True:
            try:
                async with asyncio.timeout(PERIOD_S):
                    await self._many.wait()
            except TimeoutError:
                pass
            self._many.clear()
            if not await self.try_to_write():
                await asyncio.sleep(PERIOD_S)

    async def try_to_write(self) -> bool:
        """Write what can be written; nothing depends on it. Says whether all went well."""
        try:
            await self.write()
        except LedgerUnavailable:
            return False
        except LedgerFault:
            _log.exception("records of requests were refused")
            return False
        return True

    async def write(self) -> int:
        """Write everything that waits now; gives its number. Raises LedgerUnavailable, LedgerFault.

        A batch that PostgreSQL refuses for what it says is dropped and counted: it would be refused
        for ever.
        """
        written = 0
        async with self._writing:
            # Not what comes meanwhile: under load that would be written in ever smaller batches.
            waiting = len(self._queue)
            while batch := list(islice(self._queue, min(BATCH_MAX, waiting - written))):
                try:
                    await self._write(batch)
                except asyncpg.PostgresError as error:
                    self._forget(len(batch))
                    self.dropped += len(batch)
                    raise LedgerFault("records of requests were refused") from error
                self._forget(len(batch))
                written += len(batch)
        return written

    async def _write(self, batch: Sequence[tuple[Any, ...]]) -> None:
        try:
            await self._copy(batch)
        except asyncpg.CheckViolationError:
            # No partition for a day: the upkeep was late, or a clock jumped.
            for day in sorted({_day(row[0]) for row in batch}):
                await self._database.value(_MAKE_DAYS, day)
            await self._copy(batch)

    async def _copy(self, batch: Sequence[tuple[Any, ...]]) -> None:
        sums = _sums(batch)
        async with self._database.session() as connection, connection.transaction():
            await connection.copy_records_to_table(
                "record", schema_name="requests", columns=_COLUMNS, records=batch
            )
            await connection.execute(_ADD, *map(list, zip(*sums, strict=True)))

    def _forget(self, count: int) -> None:
        for _ in range(count):
            self._queue.popleft()


def _fields(record: RequestRecord) -> tuple[Any, ...]:
    return tuple(getattr(record, name) for name in _COLUMNS)


def _day(at: datetime) -> date:
    return at.astimezone(UTC).date()


def _sums(batch: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """What each day, key and operation of each account adds up to."""
    counts: dict[Key, Counter[str]] = {}
    for at, _, account_id, key_id, _, _, operation, status, size, took_ms, credits, _ in batch:
        key = (account_id, _day(at), key_id or "", operation)
        sums = counts.setdefault(key, Counter())
        sums["requests"] += 1
        sums["failed"] += status >= 400  # noqa: PLR2004 -- of HTTP
        sums["bytes_in"] += size
        sums["milliseconds"] += took_ms
        sums["credits"] += credits
    names = ("requests", "failed", "bytes_in", "milliseconds", "credits")
    return [(*key, *(sums[name] for name in names)) for key, sums in counts.items()]
