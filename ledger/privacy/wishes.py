"""What people wish short of an end: that nothing is done with their data, or not for a purpose.

A restriction (GDPR, article 18) freezes the account: what is there stays until it is lifted, and
nothing is converted, stored or spent. An objection (article 21) is to one of the purposes that rest
on legitimate interest; it takes effect where rows are written, in the database, so that no part of
the service can forget it.
"""

from collections.abc import Mapping
from datetime import datetime

import asyncpg
import msgspec

from ledger.database import Database
from ledger.errors import AccountUnknown, ErasureKnown
from ledger.people.person import Clock

_STATUS = """
select a.status,
       exists (select from privacy.erasure e where e.account_id = a.id
                and e.state in ('waiting', 'running')) as erasing,
       exists (select from accounts.suspension s
                where s.account_id = a.id and s.key_id is null) as suspended
  from credits.account a where a.id = $1 and a.status <> 'closed'
"""
_RESTRICT = """
insert into privacy.restriction (account_id, since, was) values ($1, $2, $3) on conflict do nothing
"""
_FREEZE = "update credits.account set status = 'frozen' where id = $1 and status = 'active'"
_LIFT = "delete from privacy.restriction where account_id = $1 returning was"
_THAW = "update credits.account set status = 'active' where id = $1 and status = 'frozen'"
_SINCE = "select since from privacy.restriction where account_id = $1"
_OBJECT = """
insert into privacy.objection (person_id, account_id, purpose, since) values ($1, $2, $3, $4)
on conflict do nothing
"""
_WITHDRAW = """
delete from privacy.objection
 where purpose = $3 and (person_id = $1 or account_id = $2)
"""
_LIST = """
select purpose, since from privacy.objection where person_id = $1 or account_id = $2
 order by purpose
"""
_FORGET_DEVICES = "delete from people.device where person_id = $1"


class Purpose(msgspec.Struct, frozen=True, kw_only=True):
    """Something that may be objected to."""

    # Of the person, or of the account.
    personal: bool
    says: str
    effect: str


PURPOSES: Mapping[str, Purpose] = {
    "devices": Purpose(
        personal=True,
        says="machines you signed in from are remembered for 180 days, so that somebody who guesses"
        " your password does not lock you out",
        effect="they are forgotten now and not remembered again; every sign-in is told by mail",
    ),
}


class Objection(msgspec.Struct, frozen=True, kw_only=True):
    """An objection that counts."""

    purpose: str
    since: datetime


class Wishes:
    """Restrictions and objections. Raises LedgerUnavailable everywhere."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def restrict(self, account_id: int) -> datetime:
        """Let nothing be done with an account's data; gives since when.

        Raises AccountUnknown, and ErasureKnown where it is to be erased anyway.
        """

        async def body(connection: asyncpg.Connection) -> datetime:
            status = await self._status(connection, account_id)
            was = "active" if status["status"] == "active" or status["suspended"] else "frozen"
            await connection.execute(_RESTRICT, account_id, self._clock(), was)
            await connection.execute(_FREEZE, account_id)
            since: datetime = await connection.fetchval(_SINCE, account_id)
            return since

        return await self._database.serializable(body)

    async def lift(self, account_id: int) -> None:
        """Let it be as it was before. Raises AccountUnknown, ErasureKnown."""

        async def body(connection: asyncpg.Connection) -> None:
            status = await self._status(connection, account_id)
            was = await connection.fetchval(_LIFT, account_id)
            if was == "active" and not status["suspended"]:
                await connection.execute(_THAW, account_id)

        await self._database.serializable(body)

    async def restricted_since(self, account_id: int) -> datetime | None:
        """Since when nothing is done with the account's data; None: it is not so."""
        since: datetime | None = await self._database.value(_SINCE, account_id)
        return since

    async def objections(self, account_id: int | None, person_id: int) -> list[Objection]:
        """What a person, and the account they act for, object to."""
        rows = await self._database.rows(_LIST, person_id, account_id)
        return [Objection(**row) for row in rows]

    async def object_to(self, purpose: str, account_id: int | None, person_id: int) -> None:
        """Note an objection; what was kept for that purpose goes at once."""
        person, account = _of_whom(purpose, account_id, person_id)
        async with self._database.session() as connection, connection.transaction():
            await connection.execute(_OBJECT, person, account, purpose, self._clock())
            if purpose == "devices":
                await connection.execute(_FORGET_DEVICES, person_id)

    async def withdraw(self, purpose: str, account_id: int | None, person_id: int) -> None:
        """Take an objection back; there being none is not an error."""
        await self._database.value(_WITHDRAW, *_of_whom(purpose, account_id, person_id), purpose)

    @staticmethod
    async def _status(connection: asyncpg.Connection, account_id: int) -> asyncpg.Record:
        status = await connection.fetchrow(_STATUS, account_id)
        if status is None:
            raise AccountUnknown(f"there is no open account {account_id}")
        if status["erasing"]:
            raise ErasureKnown("the account is to be erased; call that off first")
        return status


def _of_whom(purpose: str, account_id: int | None, person_id: int) -> tuple[int | None, int | None]:
    """Person and account of an objection; one of them is None."""
    return (person_id, None) if PURPOSES[purpose].personal else (None, account_id)
