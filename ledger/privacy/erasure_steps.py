"""The steps of an erasure: one table after the other loses its owner's rows.

A step and the note that it is done are one transaction, and every step may be done twice, so
whoever comes after a death goes on where it was. The first one closes the account and ends what is
left of its sessions; the others wait until what gateways still had to write of it is written.
"""

from datetime import datetime, timedelta
from uuid import UUID

import asyncpg
import msgspec

from ledger.database import AUDIT_TIMEOUT_S, Database
from ledger.mail.outbox import Outbox
from ledger.people.person import Clock
from ledger.privacy.inventory import Erase, Inventory, Table
from ledger.privacy.owner import WITH_OWNER, Whose, condition, in_order

# The table of those whose addresses the other steps go by: the last one.
_PERSONS = "people.person"
BEGIN_STEP, CLOSE_STEP = "begin", "close"
# What is left of a column whose row stays.
_LEFT = {Erase.NULL: "null", Erase.PSEUDONYMISE: "'erased'"}
_ERASED_BY = {"accounts.erase": "select accounts.erase($1)"}

# Records of requests and uses of keys are written within seconds; a gateway without a database for
# longer has lost them.
SETTLED = timedelta(minutes=2)
# Rows of one table in one transaction.
_ROUND_MAX = 5000

# One gateway at a time is at one erasure.
_LOCK = "select pg_try_advisory_xact_lock(hashtextextended('privacy.erasure', 0))"
_LOOK = """
select account_id, requested_by, state, began_at, persons, steps from privacy.erasure
 where id = $1 and state in ('waiting', 'running') and begins_at <= $2
"""
# Those whom nothing else holds here: no other account that is open, and no work for us.
_WHO_GOES = """
select coalesce(array_agg(m.person_id order by m.person_id), '{}') from people.member m
 where m.account_id = $1
   and not exists (select from people.staff f where f.person_id = m.person_id)
   and not exists (select from people.member o join credits.account a on a.id = o.account_id
                    where o.person_id = m.person_id and o.account_id <> m.account_id
                      and a.status <> 'closed')
"""
_BEGIN = """
update privacy.erasure set state = 'running', began_at = $3, persons = $2 where id = $1
"""
_END_SESSIONS = "delete from people.session where account_id = $1 or person_id = any ($2)"
_STEP = "update privacy.erasure set steps = steps || $2::text, rows = rows + $3 where id = $1"
_COUNT = "update privacy.erasure set rows = rows + $2 where id = $1"
_END = """
update privacy.erasure set state = 'done', ended_at = $2, requested_by = null, persons = '{}'
 where id = $1 and state = 'running'
"""
_ADDRESSES = "select address from people.person where id = any ($1) order by id"
_CLOSE = """
update credits.account set status = 'closed', closed_at = $2 where id = $1 and status <> 'closed'
"""
_DROP_PERSON = "delete from people.person where id = any ($1)"


class _Under(msgspec.Struct, frozen=True, kw_only=True):
    """An erasure that is under way, as one step needs it."""

    account_id: int | None
    requested_by: int | None
    state: str
    persons: tuple[int, ...]
    steps: frozenset[str]


class ErasureSteps:
    """Takes one step at a time. Raises LedgerUnavailable."""

    def __init__(
        self, database: Database, inventory: Inventory, mail: Outbox, clock: Clock
    ) -> None:
        self._database = database
        self._inventory = inventory
        self._mail = mail
        self._clock = clock

    async def take(self, erasure_id: UUID) -> str | None:
        """Take the next step, and name it; None when there is none left, or it is another's.

        Every step is one transaction, and leaves the erasure where the next one finds it.
        """
        async with self._database.session() as connection, connection.transaction():
            if not await connection.fetchval(_LOCK):
                return None
            row = await connection.fetchrow(_LOOK, erasure_id, self._clock())
            if row is None:
                return None
            under = _Under(
                account_id=row["account_id"],
                requested_by=row["requested_by"],
                state=row["state"],
                persons=tuple(row["persons"]),
                steps=frozenset(row["steps"]),
            )
            if under.state == "waiting":
                return await self._begin(connection, erasure_id, under)
            if row["began_at"] > self._clock() - SETTLED:
                return None
            for table in in_order(self._inventory):
                if table.name not in under.steps and table.name != _PERSONS and _touched(table):
                    await self._empty(connection, erasure_id, under, table)
                    return table.name
            return await self._finish(connection, erasure_id, under)

    async def _begin(self, connection: asyncpg.Connection, erasure_id: UUID, under: _Under) -> str:
        persons = [under.requested_by]
        if under.account_id is not None:
            persons = await connection.fetchval(_WHO_GOES, under.account_id)
            await connection.execute(_CLOSE, under.account_id, self._clock())
        await connection.execute(_BEGIN, erasure_id, persons, self._clock())
        await connection.execute(_END_SESSIONS, under.account_id, persons)
        return BEGIN_STEP

    async def _empty(
        self, connection: asyncpg.Connection, erasure_id: UUID, under: _Under, table: Table
    ) -> None:
        """A round of one table; the step is done when a round takes all that is left."""
        rows = await self._erase(connection, under, table)
        if rows < _ROUND_MAX:
            await connection.execute(_STEP, erasure_id, table.name, rows)
        else:
            await connection.execute(_COUNT, erasure_id, rows)

    async def _erase(self, connection: asyncpg.Connection, under: _Under, table: Table) -> int:
        if table.erased_by is not None:
            return 0  # with another table, or when the account is closed, as functions ask for
        whose = await self._whose(connection, under)
        statement = _statement(self._inventory, table)
        done = await connection.execute(statement, *whose.arguments(), timeout=AUDIT_TIMEOUT_S)
        return int(done.rpartition(" ")[2])

    async def _whose(self, connection: asyncpg.Connection, under: _Under) -> Whose:
        rows = await connection.fetch(_ADDRESSES, list(under.persons))
        addresses = [row["address"] for row in rows]
        return Whose(
            account_id=under.account_id,
            persons=under.persons,
            addresses=tuple(address.lower() for address in addresses),
            mailboxes=tuple(self._mail.mailbox(address) for address in addresses),
        )

    async def _finish(self, connection: asyncpg.Connection, erasure_id: UUID, under: _Under) -> str:
        """The last of it: the addresses go in the transaction that queues the mail about it."""
        now = self._clock()
        if under.account_id is not None:
            for statement in _ERASED_BY.values():
                await connection.execute(statement, under.account_id)
        for row in await connection.fetch(_ADDRESSES, list(under.persons)):
            await self._mail.forget(connection, row["address"])
            fields = {"account": "", "at": moment(now)}
            await self._mail.queue(connection, "erasure_done", row["address"], fields)
        await connection.execute(_DROP_PERSON, list(under.persons))
        await connection.execute(_COUNT, erasure_id, len(under.persons))
        await connection.execute(_END, erasure_id, now)
        return CLOSE_STEP


def moment(when: datetime) -> str:
    """A time as the templates of mails read it."""
    return when.isoformat(timespec="minutes")


def _touched(table: Table) -> bool:
    """Whether anything of the table changes when its owner goes."""
    return bool(table.of) and any(column.erase is not Erase.KEEP for column in table.columns)


def _statement(inventory: Inventory, table: Table) -> str:
    """What empties a table of its owner, about so many rows at a time.

    Rows of several partitions may stand at the same place: the condition is asked of each again.
    """
    where = f"where ({condition(inventory, table)})"
    if table.erase is Erase.DELETE:
        return f"""{WITH_OWNER} delete from {table.name}
            {where} and ctid = any (array(select ctid from {table.name} {where} limit {_ROUND_MAX}))
        """  # noqa: S608 (names of the inventory)
    changes = ", ".join(
        f"{column.name} = {_LEFT[column.erase]}"
        for column in table.columns
        if column.erase in _LEFT
    )
    return f"{WITH_OWNER} update {table.name} set {changes} {where}"  # noqa: S608 (names of the inventory)
