"""Operators' actions on record: `async with actions.recorded(…) as act` around the action itself.

The first row is committed before the block runs: an action that cannot be recorded does not
happen. The second row says how the block ended. A process that dies in between leaves an action
without an outcome, which is what is true of it.
"""

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

import asyncpg
import msgspec

from ledger.audit.record import GENESIS, Chain, Head, Outcome, Record, Walk
from ledger.conversion_id import new_conversion_id
from ledger.database import Database
from ledger.errors import LedgerError, LedgerFault, LedgerUnavailable

PAGE_MAX = 1000
# As the table has them; a detail that is longer is cut, parameters never are.
PARAMETERS_CHARS_MAX = 2000
DETAIL_CHARS_MAX = 2000
# Each refusal means that another gateway wrote a row in between: nobody has that many operators.
_ATTEMPTS_MAX = 50

_LAST = """
select clock_timestamp() as at, last.seq, last.hash
  from (values (1)) as one
  left join lateral (select seq, hash from audit.record order by seq desc limit 1) last on true
"""
_INSERT = """
insert into audit.record
       (seq, at, action_id, actor, gateway, action, parameters, outcome, detail, hash)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
"""
_COLUMNS = "seq, at, action_id, actor, gateway, action, parameters, outcome, detail"
_PAGE = f"select {_COLUMNS}, hash from audit.record where seq > $1 order by seq limit {PAGE_MAX}"  # noqa: S608 (constants)
_ACTIONS = """
select i.seq, i.at, i.actor, i.gateway, i.action, i.parameters,
       o.at as ended_at, o.outcome, coalesce(o.detail, '') as detail
  from audit.record i
  left join audit.record o on o.action_id = i.action_id and o.outcome is not null
 where i.outcome is null
 order by i.seq desc
 limit $1
"""

_log = logging.getLogger(__name__)


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """An action and how it ended; `outcome` is None while it runs, or if its gateway died."""

    seq: int
    at: datetime
    actor: str
    gateway: str
    action: str
    parameters: str
    ended_at: datetime | None
    outcome: Outcome | None
    detail: str


class Act:
    """An action that is under way. What is put into `detail` is recorded with its outcome."""

    def __init__(self, actor: str, gateway: str, action: str, parameters: str) -> None:
        self.id = new_conversion_id()
        self.actor = actor
        self.gateway = gateway
        self.action = action
        self.parameters = parameters
        self.detail = ""
        # False where the ledger went away in between: the action happened, its end is not on record
        self.complete = False


class Actions:
    """Writes, lists and verifies the audit records."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @asynccontextmanager
    async def recorded(
        self, *, actor: str, gateway: str, action: str, parameters: str = "{}"
    ) -> AsyncIterator[Act]:
        """Record that `actor` does `action`, run the block, and record how it ended.

        Raises LedgerUnavailable before the block, which then does not run. What the block raises
        goes on; a record of its end that cannot be written is logged.
        """
        act = Act(actor, gateway, action, parameters)
        await self._append(act, None)
        try:
            yield act
        except Exception as error:
            act.detail = type(error).__name__
            await self._end(act, Outcome.FAILED)
            raise
        except BaseException:
            await self._end(act, Outcome.CANCELLED)
            raise
        await self._end(act, Outcome.DONE)

    async def list(self, limit: int = 50) -> "list[Action]":
        """Give the last actions, the newest first."""
        rows = await self._database.rows(_ACTIONS, max(1, min(limit, PAGE_MAX)))
        return [msgspec.convert(dict(row), Action) for row in rows]

    async def verify(self, noted: Head | None = None, signed: Sequence[Head] = ()) -> Chain:
        """Walk along the whole chain; `noted` is a head that was printed earlier.

        Those in `signed` (`ledger/audit/heads.py`) have to be in it as well. Without any, rows that
        are missing at the end cannot be seen.
        """
        walk, seq = Walk(noted, signed), 0
        while rows := await self._database.rows(_PAGE, seq):
            for row in rows:
                walk.step(_record(row), row["hash"])
            seq = rows[-1]["seq"]
        return walk.end()

    async def _end(self, act: Act, outcome: Outcome) -> None:
        try:
            await self._append(act, outcome)
        except LedgerError as error:
            _log.error(
                "the end of the action %s %s is not on record: %s", act.action, act.id, error
            )
        else:
            act.complete = True

    async def _append(self, act: Act, outcome: Outcome | None) -> None:
        """Add a row at the end of the chain, wherever that is by then."""
        for _ in range(_ATTEMPTS_MAX):
            last = await self._database.row(_LAST)
            if last is None:
                break
            record = Record(
                seq=(last["seq"] or 0) + 1,
                at=last["at"],
                action_id=act.id,
                actor=act.actor,
                gateway=act.gateway,
                action=act.action,
                parameters=act.parameters,
                outcome=outcome,
                detail=act.detail[:DETAIL_CHARS_MAX],
            )
            try:
                await self._insert(record, record.hash_after(last["hash"] or GENESIS))
            except asyncpg.UniqueViolationError:
                continue  # another gateway's row came first: ours follows that one
            except asyncpg.PostgresError as error:
                raise LedgerFault("the audit record was refused") from error
            return
        raise LedgerUnavailable("the audit record could not be written; nothing was done")

    async def _insert(self, record: Record, digest: bytes) -> None:
        async with self._database.session() as connection:
            await connection.execute(_INSERT, *msgspec.structs.astuple(record), digest)


def _record(row: asyncpg.Record) -> Record:
    return msgspec.convert({**row, "action_id": str(row["action_id"])}, Record)
