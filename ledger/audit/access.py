"""Who of the staff may look into a customer's account: for a reason, for a time, in plain sight.

Staff give it to themselves, and that is the point: nothing is looked at without a sentence that its
owner will read. The owners are told by mail, `GET /v1/account/access` lists every one with how
often it was used, and the audit records keep that it was.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from ledger.conversion_id import new_conversion_id
from ledger.database import Database
from ledger.errors import AccessMissing, AccessUnknown, AccountUnknown
from ledger.mail.outbox import Outbox
from ledger.people.person import Clock

# A working day; whoever needs longer says why again.
LONGEST = timedelta(hours=8)
REASON_CHARS_MIN = 10
REASON_CHARS_MAX = 500
LIST_MAX = 200

_OPEN = "select true from credits.account where id = $1 and status <> 'closed'"
_GRANT = """
insert into audit.access (id, account_id, person_id, role, reason, granted_at, expires_at)
values ($1, $2, $3, $4, $5, $6, $7)
"""
_OWNERS = """
select p.address, coalesce(n.name, '') as account from people.member m
  join people.person p on p.id = m.person_id
  left join people.account n on n.account_id = m.account_id
 where m.account_id = $1 and m.role in ('owner', 'admin') order by p.id
"""
_USE = """
update audit.access set reads = reads + 1, read_at = $3
 where id = (select id from audit.access
              where account_id = $1 and person_id = $2 and expires_at > $3 and ended_at is null
              order by expires_at desc limit 1)
returning id
"""
_END = """
update audit.access set ended_at = $3
 where id = $1 and person_id = $2 and ended_at is null and expires_at > $3 returning true
"""
_LIST = """
select id, account_id, person_id, role, reason, granted_at, expires_at, ended_at, reads, read_at
  from audit.access where account_id = $1 order by granted_at desc, id limit $2
"""


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """One permission to look into an account."""

    id: UUID
    account_id: int
    person_id: int
    role: str
    reason: str
    granted_at: datetime
    expires_at: datetime
    ended_at: datetime | None = None
    # How often, and when last, something was read under it.
    reads: int = 0
    read_at: datetime | None = None


class Accesses:
    """Grants them, counts what is read under them, ends them. Raises LedgerUnavailable."""

    def __init__(self, database: Database, mail: Outbox, clock: Clock) -> None:
        self._database = database
        self._mail = mail
        self._clock = clock

    async def grant(
        self, account_id: int, person_id: int, *, role: str, reason: str, lifetime: timedelta
    ) -> Access:
        """Let a person of the staff look into an account for so long; its owners are told.

        Raises AccountUnknown.
        """
        now = self._clock()
        access = Access(
            id=new_conversion_id(),
            account_id=account_id,
            person_id=person_id,
            role=role,
            reason=reason,
            granted_at=now,
            expires_at=now + min(lifetime, LONGEST),
        )
        async with self._database.session() as connection, connection.transaction():
            if not await connection.fetchval(_OPEN, account_id):
                raise AccountUnknown(f"there is no open account {account_id}")
            await connection.execute(
                *(_GRANT, access.id, account_id, person_id, role, reason),
                *(access.granted_at, access.expires_at),
            )
            for owner in await connection.fetch(_OWNERS, account_id):
                fields = {
                    "account": owner["account"],
                    "role": role,
                    "reason": reason,
                    "at": now.isoformat(timespec="minutes"),
                    "until": access.expires_at.isoformat(timespec="minutes"),
                }
                await self._mail.queue(connection, "staff_access", owner["address"], fields)
        return access

    async def use(self, account_id: int, person_id: int) -> UUID:
        """Note that something of the account is about to be read. Raises AccessMissing."""
        found: UUID | None = await self._database.value(_USE, account_id, person_id, self._clock())
        if found is None:
            raise AccessMissing(
                "looking into an account takes a reason that its owner can read:"
                " POST /v1/staff/access"
            )
        return found

    async def end(self, access_id: UUID, person_id: int) -> None:
        """Give it back before its time. Raises AccessUnknown."""
        if not await self._database.value(_END, access_id, person_id, self._clock()):
            raise AccessUnknown("there is no such access of yours, or it is over")

    async def of(self, account_id: int, limit: int = LIST_MAX) -> Sequence[Access]:
        """Give every access to an account, the newest first."""
        rows = await self._database.rows(_LIST, account_id, limit)
        return [Access(**row) for row in rows]
