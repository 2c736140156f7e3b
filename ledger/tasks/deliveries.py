"""Deliveries of events: due ones are leased, tried, noted; each row is its own log.

`tasks.finish` puts them here in the transaction that ends a task, so an event that is due is never
forgotten; a lease that lapses while one is being sent makes it due again, under the same
`webhook-id`: at least once. A lane (one endpoint; or all one-time addresses of one account) has few
attempts at a time, so a target that hangs delays no other.

Every statement takes the time as an argument, None being the database's own: tests have a clock.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

import asyncpg
import msgspec

from ledger.database import Database
from ledger.envelope import Envelope
from ledger.errors import DeliveryUnknown
from ledger.tasks import hooks
from ledger.tasks.limits import TaskLimits
from ledger.tasks.sealed import callback_opened

Clock = Callable[[], datetime | None]

# Longer than any attempt (15 s), so that only a dead process's lapses.
_LEASE = timedelta(seconds=30)
# Of one lane at a time: two, so that a single slow answer is no standstill.
LANE_MAX = 2
# Of all lanes of one account, so that sixteen hanging endpoints leave room for others.
ACCOUNT_MAX = 8

_CLAIM = """
with due as (
    select d.seq, d.lane, d.account_id from tasks.delivery d
     where d.next_at <= coalesce($1, now())
       and (d.state = 'waiting' or d.state = 'sending' and d.lease_until < coalesce($1, now()))),
lanes as (
    select l.lane, l.account_id, row_number() over (partition by l.account_id) as place,
           $3 - (select count(*) from tasks.delivery b where b.lane = l.lane
                  and b.state = 'sending' and b.lease_until >= coalesce($1, now())) as room,
           $4 - (select count(*) from tasks.delivery b where b.account_id = l.account_id
                  and b.state = 'sending' and b.lease_until >= coalesce($1, now())) as account_room
      from (select distinct lane, account_id from due) l),
chosen as (
    select one.seq from lanes, lateral (
        select d.seq from tasks.delivery d
         where d.lane = lanes.lane and d.next_at <= coalesce($1, now())
           and (d.state = 'waiting' or d.state = 'sending' and d.lease_until < coalesce($1, now()))
         order by d.next_at, d.seq limit 1 for update skip locked) one
     where lanes.room > 0 and lanes.place <= lanes.account_room
     order by lanes.place limit $2)
update tasks.delivery d
   set state = 'sending', lease_until = coalesce($1, now()) + $5, attempts = d.attempts + 1
  from chosen where d.seq = chosen.seq
returning d.seq, d.account_id, d.event_id, d.event, d.task_id, d.hook_id, d.callback, d.body,
          d.attempts, d.lane
"""
_TARGET = """
select url, secret, status, case when old_until > coalesce($2, now()) then old_secret end as old
  from tasks.hook where id = $1
"""
_NOTE = """
update tasks.delivery
   set state = $2, next_at = coalesce($6, now()) + coalesce($3::interval, '0'),
       lease_until = null, status = $4, error = $5,
       ended_at = case when $2 = 'waiting' then null else coalesce($6, now()) end,
       log = log || jsonb_build_object('at', coalesce($6, now()), 'status', $4::int,
                                       'error', $5::text)
 where seq = $1
"""
_SUCCEEDED = (
    "update tasks.hook set failing_since = null where id = $1 and failing_since is not null"
)
_FAILED = """
update tasks.hook
   set failing_since = coalesce(failing_since, coalesce($2, now())),
       status = case when failing_since < coalesce($2, now()) - $3::interval then 'disabled'
                     else status end,
       reason = case when failing_since < coalesce($2, now()) - $3::interval then 'failing'
                     else reason end
 where id = $1 and status = 'active' returning status
"""
_DISABLE = "update tasks.hook set status = 'disabled', reason = $2 where id = $1"
_DROP = """
update tasks.delivery set state = 'dropped', error = $2, ended_at = now(), lease_until = null
 where hook_id = $1 and state = 'waiting'
"""
_COLUMNS = """seq, event_id, event, task_id, state, attempts, status, error, log::text as log,
       created_at, ended_at, case when state = 'waiting' then next_at end as next_at"""
_LIST = f"""
select {_COLUMNS} from tasks.delivery
 where account_id = $1 and hook_id = $2 and ($3::bigint is null or seq < $3)
 order by seq desc limit $4
"""  # noqa: S608 -- columns
_REPLAY = f"""
update tasks.delivery
   set state = 'waiting', next_at = now(), attempts = 0, ended_at = null, lease_until = null
 where account_id = $1 and hook_id = $2 and seq = $3 and state in ('delivered', 'failed', 'dropped')
returning {_COLUMNS}
"""  # noqa: S608 -- columns
_ONE = f"select {_COLUMNS} from tasks.delivery where account_id = $1 and hook_id = $2 and seq = $3"  # noqa: S608 (columns)
_PURGE = """
delete from tasks.delivery where seq in (
    select seq from tasks.delivery where ended_at < now() - $1::interval
     order by ended_at limit $2 for update skip locked)
"""
_OVERFULL = """
select lane, min(hook_id) as hook_id from tasks.delivery
 where state in ('waiting', 'sending') group by lane having count(*) > $1
"""
_DROP_LANE = """
update tasks.delivery set state = 'dropped', error = 'backlog', ended_at = now()
 where seq in (select seq from tasks.delivery where lane = $1 and state = 'waiting'
                order by seq offset $2)
"""
# Whoever closes an account is told nothing more.
_CLOSED = """
delete from tasks.hook h using credits.account a where a.id = h.account_id and a.status = 'closed'
"""
_WAITING = "select count(*) from tasks.delivery where state in ('waiting', 'sending')"
_PURGE_MAX = 1000


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Where an event goes, and what signs it. Of an endpoint, or of one task alone."""

    url: str
    secrets: tuple[str, ...] = ()
    # Sent in place of the event, where the address speaks another protocol.
    body: str | None = None


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt that is to be made."""

    seq: int
    account_id: int
    event_id: str
    event: str
    task_id: str
    hook_id: str | None
    callback: bytes | None
    body: str
    # This one included.
    attempts: int
    lane: str


class Try(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a delivery's log."""

    at: datetime
    status: int | None
    error: str | None


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery as its owner sees it."""

    seq: int
    event_id: str
    event: str
    task_id: str
    state: str
    attempts: int
    status: int | None
    error: str | None
    log: tuple[Try, ...]
    created_at: datetime
    ended_at: datetime | None
    next_at: datetime | None


class Deliveries:
    """Deliveries of all accounts."""

    def __init__(self, database: Database, envelope: Envelope, limits: TaskLimits) -> None:
        self._database = database
        self._envelope = envelope
        self._limits = limits

    async def claim(self, count: int, now: datetime | None = None) -> list[Due]:
        """Take up to so many that are due."""
        rows = await self._database.rows(_CLAIM, now, count, LANE_MAX, ACCOUNT_MAX, _LEASE)
        return [Due(**row) for row in sorted(rows, key=lambda row: row["seq"])]

    async def target(self, due: Due, now: datetime | None = None) -> Target | None:
        """Where it goes; None where its endpoint is gone or disabled."""
        if due.hook_id is None:
            sealed = due.callback or b""
            callback = callback_opened(self._envelope, sealed, due.account_id, due.task_id)
            return msgspec.json.decode(callback, type=Target)
        row = await self._database.row(_TARGET, due.hook_id, now)
        if row is None or row["status"] != "active":
            return None
        opened = {
            column: self._envelope.open(row[source], hooks.place(column, due.hook_id)).decode()
            for column, source in (("url", "url"), ("secret", "secret"), ("old_secret", "old"))
            if row[source] is not None
        }
        signing = tuple(opened[name] for name in ("secret", "old_secret") if name in opened)
        return Target(url=opened["url"], secrets=signing)

    async def delivered(self, due: Due, status: int, now: datetime | None = None) -> None:
        """Note a success."""
        async with self._database.session() as connection, connection.transaction():
            await connection.execute(_NOTE, due.seq, "delivered", None, status, None, now)
            if due.hook_id is not None:
                await connection.execute(_SUCCEEDED, due.hook_id)

    async def failed(
        self,
        due: Due,
        *,
        status: int | None,
        error: str,
        pause_s: float | None,
        now: datetime | None = None,
    ) -> None:
        """Note a failure; without a pause before another attempt, the last one."""
        state, pause = "failed", None
        if pause_s is not None:
            state, pause = "waiting", timedelta(seconds=pause_s)
        async with self._database.session() as connection, connection.transaction():
            await connection.execute(_NOTE, due.seq, state, pause, status, error, now)
            if due.hook_id is None:
                return
            patience = timedelta(seconds=self._limits.hook_patience_s)
            said = await connection.fetchval(_FAILED, due.hook_id, now, patience)
            if said == "disabled":
                await connection.execute(_DROP, due.hook_id, "disabled")

    async def gone(self, due: Due, status: int, now: datetime | None = None) -> None:
        """Note that the address wants no more (410): its endpoint is disabled."""
        async with self._database.session() as connection, connection.transaction():
            await connection.execute(_NOTE, due.seq, "failed", None, status, "gone", now)
            if due.hook_id is not None:
                await connection.execute(_DISABLE, due.hook_id, "gone")
                await connection.execute(_DROP, due.hook_id, "disabled")

    async def dropped(self, due: Due, now: datetime | None = None) -> None:
        """Note that its endpoint is disabled."""
        async with self._database.session() as connection:
            await connection.execute(_NOTE, due.seq, "dropped", None, None, "disabled", now)

    async def list(
        self, account_id: int, hook_id: str, *, before_seq: int | None = None, limit: int = 50
    ) -> "list[Delivery]":
        """Give a page of an endpoint's deliveries, the newest first."""
        rows = await self._database.rows(_LIST, account_id, hook_id, before_seq, limit)
        return [_delivery(row) for row in rows]

    async def replay(self, account_id: int, hook_id: str, seq: int) -> Delivery:
        """Send it again, under its old id; one that waits is left alone. Raises DeliveryUnknown."""
        async with self._database.session() as connection:
            row = await connection.fetchrow(_REPLAY, account_id, hook_id, seq)
            if row is None:
                row = await connection.fetchrow(_ONE, account_id, hook_id, seq)
            else:
                await connection.execute("select pg_notify('ephemera_tasks', 'deliveries')")
        if row is None:
            raise DeliveryUnknown("there is no such delivery of this webhook, or not any more")
        return _delivery(row)

    async def waiting(self) -> int:
        """Count those that are not over."""
        return int(await self._database.value(_WAITING))

    async def sweep(self) -> None:
        """Forget old ones, and drop what is more than an address may have waiting."""
        most = self._limits.hook_backlog_max
        async with self._database.session() as connection:
            await connection.execute(_PURGE, timedelta(seconds=self._limits.log_s), _PURGE_MAX)
            await connection.execute(_CLOSED)
            for row in await connection.fetch(_OVERFULL, most):
                if row["hook_id"] is not None:
                    await connection.execute(_DISABLE, row["hook_id"], "backlog")
                    await connection.execute(_DROP, row["hook_id"], "disabled")
                else:
                    await connection.execute(_DROP_LANE, row["lane"], most)


def _delivery(row: asyncpg.Record) -> Delivery:
    log = msgspec.json.decode(row["log"], type=tuple[Try, ...])
    return Delivery(**{**row, "log": log})
