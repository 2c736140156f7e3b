"""The front door of tasks: take one, claim one, keep it alive, end it, look at it, forget it.

Exactly once. What can die between a queued task and a charged result is a gateway, at any moment:

    claimed ── debited ── converted ── results stored ── ended: state + settlement + webhooks
                                                         (one transaction, `tasks.finish`)

1. Every attempt has a conversion id of its own, written into the row by the claim that makes it.
   The attempt's debit goes by that id. (One id for the whole life would be simpler and wrong: a
   debit whose gateway died is refunded by the lease, and a debit that was refunded is never made
   again, so the second attempt would convert unpaid or not at all.)
2. Nothing settles a task's debit but `tasks.finish`, and that only where the row still is `running`
   under the very same conversion id. It locks `credits.turn`, reads the row, lets `credits.post`
   settle, writes the state and queues the webhooks; all of it commits or none.
3. So a settled debit and a task that succeeded are one fact. Whoever lost the task (its lease
   lapsed, and another claim gave the row another id; or it was cancelled) gets `lost`, and leaves
   its debit's block by an exception, which refunds. Whoever lost its debit (the credits' lease
   lapsed) gets `lapsed`: nothing is written, and the task is tried again.
4. A gateway that dies before that transaction leaves an open debit, which the credits' sweeper
   refunds, and a row whose lease lapses, which `sweeper.py` gives to another attempt or, after
   the second, ends as failed. Results that were stored before have a handle that nobody knows, and
   expire. A gateway that dies after it left nothing open.
5. A lost answer is asked for again: `tasks.finish` says `done` to whoever repeats what is so.

Ends that charge nothing (failed, cancelled, timed out, expired) refund in the same transaction; the
runner's own refund, and the sweeper's, then find it done. A repeat of any of them changes nothing.

With `hold=memory` a result lives in one process until it is fetched. Its task succeeds with the
debit left open, and is settled when the last byte was handed to the socket, as every download is;
until then the death of the process refunds, and the sweeper says `failed`.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg

from ledger.connection import Connector
from ledger.conversion_id import new_conversion_id
from ledger.database import Database
from ledger.envelope import Envelope
from ledger.errors import (
    AccountFrozen,
    DamagedEnvelope,
    EnvelopeMissing,
    HookUnknown,
    KeyMismatch,
    NameTaken,
    TaskQueueFull,
    TaskQuotaExceeded,
    TaskUnknown,
)
from ledger.listening import listen
from ledger.tasks.events import TaskFacts, body_of, new_event_id
from ledger.tasks.limits import TaskLimits
from ledger.tasks.sealed import place
from ledger.tasks.states import LIVE, End, State, event_of
from ledger.tasks.task import Beat, Claimed, NewTask, Submitted, Task
from ledger.transaction import retried

CHANNEL = "ephemera_tasks"
# Of a task that its owner did not want any more.
CANCELLED = "task-cancelled"

_FACTS = """seq, account_id, id, state, hold, source, target, outcome, code, attempt, conversion_id,
       holder, stage, progress, credits, settled, created_at, started_at, ended_at, expires_at"""
_SUBMIT = """
select outcome, task_id, task_seq
  from tasks.submit($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
"""
# Whoever is being claimed by another gateway at this moment is not waited for.
_CLAIM = """
with next as (
    select seq from tasks.task
     where state = 'queued' and ready_at <= now() and expires_at > now()
       and (hold = 'store' or holder = $1)
     order by turn, seq limit $2 for update skip locked),
numbered as (select seq, row_number() over (order by seq) as number from next)
update tasks.task t
   set state = 'running', attempt = t.attempt + 1, holder = $1, lease_until = now() + $3,
       conversion_id = ($4::uuid[])[numbered.number], started_at = coalesce(t.started_at, now()),
       stage = 'starting', progress = 0
  from numbered where t.seq = numbered.seq
returning t.seq, t.account_id, t.id, t.hold, t.source, t.target, t.request, t.attempt,
          t.conversion_id
"""
_BEAT = """
update tasks.task t
   set lease_until = now() + $2, stage = coalesce(b.stage, t.stage),
       progress = coalesce(b.progress, t.progress)
  from unnest($3::bigint[], $4::uuid[], $5::text[], $6::real[])
       as b (seq, conversion_id, stage, progress)
 where t.seq = b.seq and t.holder = $1 and t.conversion_id is not distinct from b.conversion_id
   and (t.state in ('queued', 'running') or t.state = 'succeeded' and not t.settled)
returning t.seq
"""
_RELEASE = """
update tasks.task
   set state = 'queued', stage = 'queued', progress = 0, ready_at = now() + $3,
       attempt = attempt - $4, conversion_id = null,
       holder = case when hold = 'memory' then holder end, lease_until = now() + $5
 where seq = $1 and conversion_id = $2 and state = 'running'
returning pg_notify('ephemera_tasks', 'queued')
"""
_FINISH = """
call tasks.finish($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, null)
"""
_GET = f"select {_FACTS} from tasks.task where account_id = $1 and id = $2"  # noqa: S608 -- columns
_GET_SEQ = f"select {_FACTS} from tasks.task where seq = $1"  # noqa: S608 -- columns
_LIST = f"""
select {_FACTS} from tasks.task
 where account_id = $1 and ($2::bigint is null or seq < $2) and ($3::text is null or state = $3)
 order by seq desc limit $4
"""  # noqa: S608 -- columns
_FORGET = """
with gone as (
    delete from tasks.task
     where account_id = $1 and id = $2 and state not in ('queued', 'running') returning results)
update files.file f set expires_at = now() from gone
 where f.id = any (gone.results) and f.account_id = $1 and f.expires_at > now()
"""

_log = logging.getLogger(__name__)


class Tasks:
    """Tasks of all accounts."""

    def __init__(self, database: Database, envelope: Envelope, limits: TaskLimits) -> None:
        self.limits = limits
        # Told of every announcement: "queued", "changed SEQ", "deliveries".
        self.heard: set[Callable[[str], None]] = set()
        # Whether announcements arrive at present; without, everybody has to look.
        self.hearing = False
        self._database = database
        self._envelope = envelope

    async def submit(self, task: NewTask) -> Submitted:
        """Take a task into the queue.

        Raises TaskQuotaExceeded, TaskQueueFull, AccountFrozen, NameTaken, HookUnknown, KeyMismatch.
        """
        limits, seal = self.limits, self._envelope.close
        (row,) = await self._database.rows(
            _SUBMIT,
            *(task.account_id, task.id, task.hold, task.holder, task.source, task.target),
            seal(task.request, place("request", task.account_id, task.id)),
            seal(task.callback, place("callback", task.account_id, task.id))
            if task.callback
            else None,
            *(task.hook_id, list(task.inputs), task.client_key, task.fingerprint),
            timedelta(seconds=limits.queue_s),
            timedelta(seconds=limits.lease_s),
            *(limits.account_queued_max, limits.queued_max),
        )
        outcome = row["outcome"]
        if outcome not in {"done", "repeat"}:
            raise _refusal(outcome, limits)
        return Submitted(row["task_seq"], row["task_id"], outcome == "repeat")

    async def claim(self, holder: UUID, count: int) -> list[Claimed]:
        """Take up to so many tasks that wait, each as a new attempt of this holder."""
        ids = [new_conversion_id() for _ in range(count)]
        rows = await self._database.rows(_CLAIM, holder, count, self._lease, ids)
        claimed = []
        for row in sorted(rows, key=lambda row: row["seq"]):
            try:
                request = self._opened("request", row)
            except (DamagedEnvelope, EnvelopeMissing):
                # Its lease lapses, and it ends as lost; the others are not to wait for it.
                _log.exception("the task %d cannot be opened", row["seq"])
                continue
            claimed.append(Claimed(**{**row, "request": request}))
        return claimed

    async def beat(self, holder: UUID, beats: Sequence[Beat]) -> set[int]:
        """Prolong the leases; gives those that are still this holder's. The others are lost."""
        rows = await self._database.rows(
            _BEAT,
            holder,
            self._lease,
            [one.seq for one in beats],
            [one.conversion_id for one in beats],
            [one.stage for one in beats],
            [one.progress for one in beats],
        )
        return {row["seq"] for row in rows}

    async def release(self, claimed: Claimed, *, after_s: float = 0.0, counts: bool) -> None:
        """Give an attempt back to the queue; `counts` says whether it was one."""
        await self._database.rows(
            *(_RELEASE, claimed.seq, claimed.conversion_id, timedelta(seconds=after_s)),
            *(0 if counts else 1, self._lease),
        )

    async def finish(
        self,
        task: Claimed | Task,
        end: End,
        *,
        conversion_id: UUID | None = None,
        since: Sequence[State] = (State.RUNNING,),
        only: str | None = None,
    ) -> str:
        """End a task, once: `done`, `lost`, `lapsed` or `gone`, as `tasks.finish` explains.

        With a conversion id, only the attempt of that id. Raises LedgerUnavailable: then nobody
        knows, and it is to be asked again.
        """
        facts = TaskFacts(
            id=task.id,
            state=end.state,
            source=task.source,
            target=task.target,
            credits=end.credits if end.money != "refund" else 0,
            code=end.code,
        )
        outcome = None
        if end.outcome is not None:
            where = place("outcome", task.account_id, task.id)
            outcome = self._envelope.close(end.outcome, where)
        arguments = (
            *(task.seq, conversion_id, list(since), only, end.state, end.money, end.reason),
            outcome,
            None if end.results is None else list(end.results),
            end.code,
            None if end.keep_s is None else timedelta(seconds=end.keep_s),
            event_of(end.state) if end.told else None,
            *(new_event_id(), body_of(facts)),
        )

        async def attempt() -> str:
            async with self._database.session() as connection:
                return str(await connection.fetchval(_FINISH, *arguments))

        return await retried(attempt)

    async def cancel(self, account_id: int, task_id: str) -> Task | None:
        """Cancel a task that is not over, refunded; forget one that is (None). Raises TaskUnknown.

        A result in memory that nobody fetched yet is as good as none.
        """
        task = await self.get(account_id, task_id)
        waits = task.state is State.SUCCEEDED and task.hold == "memory" and not task.settled
        if task.state in LIVE or waits:
            end = End(
                state=State.CANCELLED,
                reason="cancelled",
                code=CANCELLED,
                results=(),
                keep_s=self.limits.remembered_s,
            )
            since = (*LIVE, State.SUCCEEDED) if waits else LIVE
            if await self.finish(task, end, since=since) == "done":
                return await self.get(account_id, task_id)
        async with self._database.session() as connection:
            await connection.execute(_FORGET, account_id, task_id)
        return None

    async def get(self, account_id: int, task_id: str) -> Task:
        """Give the account's task. Raises TaskUnknown."""
        row = await self._database.row(_GET, account_id, task_id)
        if row is None:
            raise TaskUnknown("there is no such task: it never was, or is forgotten")
        return self._task(row)

    async def look(self, seq: int) -> Task | None:
        """Give a task by its number; None where it is forgotten."""
        row = await self._database.row(_GET_SEQ, seq)
        return None if row is None else self._task(row)

    async def list(
        self,
        account_id: int,
        *,
        before_seq: int | None = None,
        state: State | None = None,
        limit: int = 50,
    ) -> "list[Task]":
        """Give a page of the account's tasks, the newest first."""
        rows = await self._database.rows(_LIST, account_id, before_seq, state, limit)
        return [self._task(row) for row in rows]

    async def listen(self, connector: Connector) -> None:
        """Pass on every announcement, until cancelled. Takes one connection."""
        await listen(connector, CHANNEL, heard=self._hear, hearing=self._set_hearing)

    @property
    def _lease(self) -> timedelta:
        return timedelta(seconds=self.limits.lease_s)

    def _hear(self, said: str) -> None:
        for hear in tuple(self.heard):
            hear(said)

    def _set_hearing(self, now: bool) -> None:
        self.hearing = now
        # What was announced in between was not heard.
        self._hear("queued")

    def _opened(self, column: str, row: asyncpg.Record) -> bytes:
        where = place(column, row["account_id"], row["id"])
        return self._envelope.open(row[column], where)

    def _task(self, row: asyncpg.Record) -> Task:
        fields: dict[str, Any] = dict(row)
        fields["state"] = State(row["state"])
        fields["outcome"] = self._opened("outcome", row) if row["outcome"] else None
        return Task(**fields)


def _refusal(outcome: str, limits: TaskLimits) -> Exception:
    match outcome:
        case "account_full":
            return TaskQuotaExceeded(
                f"this account may have {limits.account_queued_max} tasks that wait or run; wait"
                " until some are over, or cancel some"
            )
        case "full":
            return TaskQueueFull("the queue of tasks is full; try again in a few seconds")
        case "taken":
            return NameTaken("a task of this account has this id already; choose another one")
        case "hook_unknown":
            return HookUnknown("there is no such webhook of this account; see GET /v1/webhooks")
        case "mismatch":
            return KeyMismatch(
                "this idempotency key was used for a different request; use a new key"
            )
        case _:
            return AccountFrozen("the account is frozen or closed; it can begin no task")
