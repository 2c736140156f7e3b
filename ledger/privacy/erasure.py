"""Erasure: asked for, waited for a week, done step by step, and proved without naming anybody.

    asked for   the keys are revoked and the sessions ended in the same transaction; the account is
                frozen. Until `begins_at` it can be called off: its people sign in again and say so.
    running     the account is closed for good; minutes later, one table after the other loses its
                owner's rows, in the order of the inventory. A step and the note that it is done are
                one transaction, and every step may be done twice, so whoever comes after a death
                goes on where it was.
    done        the last mail is queued in the transaction that deletes the last of the addresses;
                what is left of the erasure is a number, times and a count.

The ledger stays, under a number that means nothing, for as long as the books have to be kept.
"""

import asyncio
import logging
import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg
import msgspec

from ledger.audit.actions import Actions
from ledger.conversion_id import new_conversion_id
from ledger.database import Database
from ledger.errors import (
    AccountUnknown,
    ErasureKnown,
    ErasureUnknown,
    LedgerError,
    LedgerUnavailable,
    OwnerWanted,
)
from ledger.mail.outbox import Outbox
from ledger.people.person import Clock
from ledger.privacy.erasure_steps import CLOSE_STEP, SETTLED, ErasureSteps, moment
from ledger.privacy.inventory import Inventory

# Somebody whose session was stolen, or who was angry, can still change their mind.
COOLING_OFF = timedelta(days=7)
# GDPR, article 12(3): within a month.
FINISHED_WITHIN = timedelta(days=30)
_LIST_MAX = 1000
# A week's wait ends a few minutes later.
_PERIOD_S = 300.0
_COLUMNS = "id, account_id, state, requested_at, begins_at, finish_by, ended_at, rows"
_STATUS = """
select a.status, s.was_active from credits.account a
  left join accounts.suspension s on s.account_id = a.id and s.key_id is null
 where a.id = $1 and a.status <> 'closed'
"""
_RESTRICTED = "select was from privacy.restriction where account_id = $1"
_ASK = f"""
insert into privacy.erasure (id, account_id, requested_by, requested_at, begins_at, finish_by, was)
values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing
returning {_COLUMNS}
"""  # noqa: S608 (constants)
_FREEZE = "update credits.account set status = 'frozen' where id = $1 and status = 'active'"
_THAW = """
update credits.account a set status = 'active' where id = $1 and status = 'frozen'
   and not exists (select from accounts.suspension s
                    where s.account_id = a.id and s.key_id is null)
"""
_REVOKE = """
update accounts.api_key set revoked_at = $2 where account_id = $1 and revoked_at is null
"""
_END_TOKENS = "update accounts.profile set tokens_not_before = $2 where account_id = $1"
_END_SESSIONS = "delete from people.session where account_id = $1 or person_id = $2"
_HOOKS_OFF = """
update tasks.hook set status = 'disabled', reason = 'the account is to be erased'
 where account_id = $1 and status = 'active'
"""
_OWNERS = """
select p.address, coalesce(n.name, '') as account from people.member m
  join people.person p on p.id = m.person_id
  left join people.account n on n.account_id = m.account_id
 where m.account_id = $1 and m.role in ('owner', 'admin') order by p.id
"""
_SOLE_OWNER = """
select true from people.member m join credits.account a on a.id = m.account_id
 where m.person_id = $1 and m.role = 'owner' and a.status <> 'closed'
   and not exists (select from people.member o where o.account_id = m.account_id
                      and o.role = 'owner' and o.person_id <> m.person_id)
"""
_ADDRESS = "select address from people.person where id = $1"
_CALL_OFF = f"""
update privacy.erasure set state = 'cancelled', ended_at = $3
 where (account_id = $1 or $1 is null and account_id is null and requested_by = $2)
   and state = 'waiting'
returning {_COLUMNS}, was
"""  # noqa: S608 (constants)
_OF = f"""
select {_COLUMNS} from privacy.erasure
 where (account_id = $1 or account_id is null and requested_by = $2)
   and state in ('waiting', 'running')
 order by requested_at desc limit 1
"""  # noqa: S608 (constants)
_LIST = f"select {_COLUMNS} from privacy.erasure order by requested_at desc limit $1"  # noqa: S608 (constants)
_DUE = """
select id from privacy.erasure
 where state = 'waiting' and begins_at <= $1 or state = 'running' and began_at <= $1 - $2::interval
 order by begins_at limit 100
"""
_log = logging.getLogger(__name__)


class Erasure(msgspec.Struct, frozen=True, kw_only=True):
    """An erasure as it is now."""

    id: UUID
    account_id: int | None
    # waiting, running, done or cancelled.
    state: str
    requested_at: datetime
    # Until then it can be called off.
    begins_at: datetime
    finish_by: datetime
    ended_at: datetime | None
    rows: int


class Erasures:
    """Takes, calls off and carries out erasures. Raises LedgerUnavailable everywhere."""

    def __init__(
        self,
        database: Database,
        inventory: Inventory,
        mail: Outbox,
        actions: Actions,
        clock: Clock,
    ) -> None:
        self._database = database
        self._mail = mail
        self._actions = actions
        self._clock = clock
        self.steps = ErasureSteps(database, inventory, mail, clock)

    async def run(self) -> None:
        """Carry out what is due, every few minutes, until cancelled."""
        while True:
            # Jitter, so that many gateways do not look at the same moment.
            await asyncio.sleep(_PERIOD_S * random.uniform(0.5, 1.5))  # noqa: S311 (not a secret)
            try:
                await self.sweep()
            except LedgerUnavailable:
                continue
            except (LedgerError, asyncpg.PostgresError):
                _log.exception("an erasure failed; it is tried again")

    async def ask(self, account_id: int, person_id: int | None) -> Erasure:
        """Have an account erased: its keys and sessions end now, the rest goes in a week.

        Raises AccountUnknown, ErasureKnown.
        """

        async def body(connection: asyncpg.Connection) -> Erasure:
            status = await connection.fetchrow(_STATUS, account_id)
            if status is None:
                raise AccountUnknown(f"there is no open account {account_id}")
            restricted = await connection.fetchval(_RESTRICTED, account_id)
            frozen = status["was_active"] is False or restricted == "frozen"
            frozen = frozen or (
                status["status"] == "frozen" and status["was_active"] is None and not restricted
            )
            was = "frozen" if frozen else "active"
            row = await self._insert(connection, account_id, person_id, was)
            await connection.execute(_FREEZE, account_id)
            await connection.execute(_REVOKE, account_id, row.requested_at)
            await connection.execute(_END_TOKENS, account_id, row.requested_at)
            await connection.execute(_END_SESSIONS, account_id, person_id)
            await connection.execute(_HOOKS_OFF, account_id)
            for owner in await connection.fetch(_OWNERS, account_id):
                await self._tell(connection, row, owner["address"], owner["account"])
            return row

        return await self._database.serializable(body)

    async def ask_person(self, person_id: int) -> Erasure:
        """Have a person erased, who leaves all accounts. Raises OwnerWanted, ErasureKnown.

        An account never is without an owner: its only one erases the account, or hands it on.
        """
        async with self._database.session() as connection, connection.transaction():
            if await connection.fetchval(_SOLE_OWNER, person_id):
                raise OwnerWanted(
                    "you are the only owner of an account: make somebody else an owner, or delete"
                    " the account with DELETE /v1/account"
                )
            row = await self._insert(connection, None, person_id, None)
            await connection.execute(_END_SESSIONS, None, person_id)
            address = await connection.fetchval(_ADDRESS, person_id)
            await self._tell(connection, row, address, "")
            return row

    async def call_off(self, account_id: int | None, person_id: int | None) -> Erasure:
        """Keep everything after all; keys that were revoked stay so. Raises ErasureUnknown."""

        async def body(connection: asyncpg.Connection) -> Erasure:
            row = await connection.fetchrow(_CALL_OFF, account_id, person_id, self._clock())
            if row is None:
                raise ErasureUnknown("there is no erasure that could still be called off")
            facts = dict(row)
            if facts.pop("was") == "active":
                await connection.execute(_THAW, account_id)
            return Erasure(**facts)

        return await self._database.serializable(body)

    async def of(self, account_id: int | None, person_id: int | None) -> Erasure | None:
        """The erasure that waits or runs for an account or a person."""
        row = await self._database.row(_OF, account_id, person_id)
        return None if row is None else Erasure(**row)

    async def list(self, limit: int = 100) -> "list[Erasure]":
        """Give the last erasures, the newest first, for those who watch the deadlines."""
        return [Erasure(**row) for row in await self._database.rows(_LIST, min(limit, _LIST_MAX))]

    async def sweep(self) -> Sequence[UUID]:
        """Carry out what is due, each to its end; gives those that came to it."""
        due = [row["id"] for row in await self._database.rows(_DUE, self._clock(), SETTLED)]
        return [one for one in due if await self._carry_out(one)]

    async def _carry_out(self, erasure_id: UUID) -> bool:
        """Every step to the end; on record, by numbers alone. False: another gateway is at it."""
        async with self._actions.recorded(
            actor="service", gateway="ledger", action="erase", parameters=_about(erasure_id)
        ) as act:
            last = None
            while step := await self.steps.take(erasure_id):
                last = step
            act.detail = last or "another gateway is at it"
        return last == CLOSE_STEP

    async def _insert(
        self,
        connection: asyncpg.Connection,
        account_id: int | None,
        person_id: int | None,
        was: str | None,
    ) -> Erasure:
        now = self._clock()
        row = await connection.fetchrow(
            *(_ASK, new_conversion_id(), account_id, person_id, now),
            *(now + COOLING_OFF, now + FINISHED_WITHIN, was),
        )
        if row is None:
            raise ErasureKnown("the erasure was asked for before; see GET /v1/account/erasure")
        return Erasure(**row)

    async def _tell(
        self, connection: asyncpg.Connection, erasure: Erasure, address: str, account: str
    ) -> None:
        fields = {"account": account, "at": moment(erasure.begins_at)}
        await self._mail.queue(connection, "erasure_scheduled", address, fields)


def _about(erasure_id: UUID) -> str:
    return msgspec.json.encode({"erasure": str(erasure_id)}).decode()
