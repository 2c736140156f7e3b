"""Looks after tasks whose runner died, that waited too long, or are to be forgotten.

Every gateway runs one; any number of them is harmless, because `tasks.finish` asks again whether a
lease has lapsed or a time is over before it ends anything.
"""

import asyncio
import logging
import random
from collections import Counter
from datetime import timedelta

import asyncpg
import msgspec

from ledger.database import Database
from ledger.errors import LedgerError, LedgerUnavailable
from ledger.tasks.deliveries import Deliveries
from ledger.tasks.limits import ATTEMPTS_MAX, TaskLimits
from ledger.tasks.states import End, State
from ledger.tasks.tasks import Tasks

LOST = "lost-instance"
EXPIRED = "task-expired"
# One round must not be a long one; there will be a next.
_ROUND_MAX = 500
_TIMEOUT_S = 60.0
# After a restart of PostgreSQL nobody could beat, so each holder first gets a whole term to do so.
_SETTLED_IN = "pg_postmaster_start_time() < now() - $1::interval"
# A task of which the bytes are not gone with its gateway is tried again.
_RETRY = f"""
with lapsed as (
    select seq from tasks.task
     where state = 'running' and hold = 'store' and lease_until < now() and attempt < $2
       and {_SETTLED_IN} limit $3 for update skip locked),
again as (
    update tasks.task t
       set state = 'queued', stage = 'queued', progress = 0, holder = null, ready_at = now()
      from lapsed where t.seq = lapsed.seq returning t.seq)
select count(*) as again, case when count(*) > 0 then pg_notify('ephemera_tasks', 'queued') end
  from again
"""  # noqa: S608 -- a constant
_LOST = f"""
select seq from tasks.task
 where (state = 'running' or hold = 'memory' and state = 'queued'
        or hold = 'memory' and state = 'succeeded' and not settled)
   and lease_until < now() and (hold = 'memory' or attempt >= $2) and {_SETTLED_IN} limit $3
"""  # noqa: S608 -- a constant
_EXPIRED = """
select seq from tasks.task
 where expires_at <= now()
   and (state = 'queued' or hold = 'memory' and state = 'succeeded' and not settled) limit $1
"""
_FORGET = """
with gone as (
    delete from tasks.task where seq in (
        select seq from tasks.task
         where expires_at <= now() and state not in ('queued', 'running')
           and (settled or state <> 'succeeded')
         order by expires_at limit $1 for update skip locked)
    returning seq)
select count(*) from gone
"""
_LOOK = """
select coalesce(jsonb_object_agg(state, tasks), '{}')::text as states,
       coalesce(max(age) filter (where state = 'queued'), 0)::float8 as lag_s
  from (select state, count(*) as tasks,
               extract(epoch from now() - min(greatest(created_at, ready_at))) as age
          from tasks.task where state in ('queued', 'running') group by state) s
"""

_log = logging.getLogger(__name__)


class Backlog(msgspec.Struct, frozen=True, kw_only=True):
    """What there was when this process last looked."""

    # Tasks that wait or run, by state; those that are over may be a million.
    states: dict[str, int] = {}
    # How long the oldest that waits has waited, in seconds.
    lag_s: float = 0.0
    # Deliveries that wait for their next attempt.
    waiting_deliveries: int = 0


class TaskSweeper:
    """Looks a few times a lease term."""

    def __init__(
        self, database: Database, tasks: Tasks, deliveries: Deliveries, limits: TaskLimits
    ) -> None:
        self.backlog = Backlog()
        # Ends that this process decided, by state.
        self.ended: Counter[State] = Counter()
        self._database = database
        self._tasks = tasks
        self._deliveries = deliveries
        self._limits = limits
        self._term = timedelta(seconds=limits.lease_s)

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            # Jitter, so that many gateways do not look at the same moment.
            await asyncio.sleep(self._limits.lease_s / 3 * random.uniform(0.5, 1.5))  # noqa: S311 (not a secret)
            try:
                await self.sweep()
            except LedgerUnavailable:
                pass  # there will be a next round
            except (LedgerError, asyncpg.PostgresError):
                _log.exception("a sweep of tasks failed")

    async def sweep(self) -> None:
        """One round: try again, give up, forget, look."""
        again = await self._database.value(_RETRY, self._term, ATTEMPTS_MAX, _ROUND_MAX)
        if again:
            _log.warning("%d tasks of gateways that went away are tried again", again)
        for row in await self._database.rows(_LOST, self._term, ATTEMPTS_MAX, _ROUND_MAX):
            await self._end(row["seq"], State.FAILED, LOST, only="lapsed")
        for row in await self._database.rows(_EXPIRED, _ROUND_MAX):
            await self._end(row["seq"], State.EXPIRED, EXPIRED, only="expired")
        while await self._database.value(_FORGET, _ROUND_MAX) == _ROUND_MAX:
            pass
        await self._deliveries.sweep()
        await self._look()

    async def _end(self, seq: int, state: State, code: str, *, only: str) -> None:
        task = await self._tasks.look(seq)
        if task is None:
            return
        end = End(
            state=state,
            reason=code,
            code=code,
            results=(),
            keep_s=self._limits.remembered_s,
        )
        since = [State.QUEUED, State.SUCCEEDED]
        if state is State.FAILED:
            since.append(State.RUNNING)
        if await self._tasks.finish(task, end, since=since, only=only) == "done":
            self.ended[state] += 1

    async def _look(self) -> None:
        (row,) = await self._database.rows(_LOOK)
        self.backlog = Backlog(
            states=msgspec.json.decode(row["states"], type=dict[str, int]),
            lag_s=row["lag_s"],
            waiting_deliveries=await self._deliveries.waiting(),
        )
