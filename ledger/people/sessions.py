"""Sessions: begun by a sign-in, listed, ended; their secrets change when they gain anything.

A session ends 12 hours after it was last used, and 14 days after it began. What its person may do
is read with it each time, so a member who is removed has lost the account with the next request.
"""

from datetime import datetime, timedelta

import asyncpg

from ledger.database import Database
from ledger.errors import SessionUnknown
from ledger.people.person import Begun, Client, Clock, Session, SessionItem
from ledger.people.roles import Role, StaffRole
from ledger.people.secret import digest, is_id, new_session, session_id_of

IDLE = timedelta(hours=12)
LIFETIME = timedelta(days=14)
# What is dangerous asks for a password that is this fresh.
STEP_UP = timedelta(minutes=10)
# Nobody has more devices; the one that was not used for longest makes room.
SESSIONS_MAX = 50
CLIENT_CHARS_MAX = 120
# `seen_at` is written this seldom, so that a session that is busy is not a write each time.
_SEEN = timedelta(minutes=1)

_AUTHENTICATE = """
select s.id, s.person_id, p.address, p.name, s.account_id, m.role, s.mfa,
       p.totp is not null as totp, s.created_at, s.seen_at, s.stepped_up_at,
       array(select f.role from people.staff f where f.person_id = p.id) as staff
  from people.session s
  join people.person p on p.id = s.person_id and p.suspended_at is null
  left join credits.account a on a.id = s.account_id and a.status <> 'closed'
  left join people.member m on m.account_id = a.id and m.person_id = p.id
 where s.id = $1 and s.hash = $2 and s.seen_at > $3 and s.created_at > $4
"""
_SEE = "update people.session set seen_at = $2 where id = $1 and seen_at < $2"
_INSERT = """
insert into people.session (id, hash, person_id, account_id, mfa, created_at, seen_at,
                            stepped_up_at, network, client)
values ($1, $2, $3, $4, $5, $6, $6, $6, $7, $8)
"""
_MAKE_ROOM = """
delete from people.session where id in (
    select id from people.session where person_id = $1 order by seen_at desc, id offset $2)
"""
_FIRST_ACCOUNT = """
select m.account_id from people.member m join credits.account a on a.id = m.account_id
 where m.person_id = $1 and a.status <> 'closed' order by m.since, m.account_id limit 1
"""
_STEP_UP = """
update people.session set hash = $3, stepped_up_at = $4, seen_at = $4, mfa = mfa or $5
 where id = $1 and hash = $2
returning person_id, account_id, created_at, seen_at
"""
_SWITCH = """
update people.session s set account_id = $3
 where s.id = $1 and exists (select from people.member m join credits.account a
                                 on a.id = m.account_id and a.status <> 'closed'
                              where m.person_id = $2 and m.account_id = $3)
returning true
"""
_LIST = """
select id, created_at, seen_at, network, client, mfa from people.session
 where person_id = $1 and seen_at > $2 and created_at > $3 order by seen_at desc, id
"""
_END = "delete from people.session where id = $1 and person_id = $2 returning true"
_END_OTHERS = "delete from people.session where person_id = $1 and id is distinct from $2"


class Sessions:
    """The sessions of all people."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def authenticate(self, text: str) -> Session | None:
        """Give who speaks with this secret; None for one that is wrong, or over.

        Raises LedgerUnavailable.
        """
        session_id = session_id_of(text)
        if session_id is None:
            return None
        now = self._clock()
        row = await self._database.row(
            _AUTHENTICATE, session_id, digest(text), now - IDLE, now - LIFETIME
        )
        if row is None:
            return None
        if now - row["seen_at"] >= _SEEN:
            await self._database.value(_SEE, session_id, now)
        return _session(row)

    async def begin(
        self,
        connection: asyncpg.Connection,
        person_id: int,
        client: Client,
        *,
        mfa: bool,
    ) -> Begun:
        """Begin a session in the caller's transaction, for the person's first account if any."""
        now = self._clock()
        account_id = await connection.fetchval(_FIRST_ACCOUNT, person_id)
        await connection.execute(_MAKE_ROOM, person_id, SESSIONS_MAX - 1)
        session_id, shown = new_session()
        await connection.execute(
            _INSERT,
            *(session_id, shown.hash, person_id, account_id, mfa, now),
            *(client.network, client.name[:CLIENT_CHARS_MAX]),
        )
        return Begun(
            session_id=session_id,
            secret=shown.text,
            person_id=person_id,
            account_id=account_id,
            created_at=now,
            seen_at=now,
        )

    async def step_up(self, text: str, *, mfa: bool) -> Begun:
        """Note that its person has just been checked again; the session has a new secret.

        Raises SessionUnknown, also for the later of two at once.
        """
        session_id = session_id_of(text)
        if session_id is None:
            raise _unknown()
        _, shown = new_session(session_id)
        row = await self._database.row(
            _STEP_UP, session_id, digest(text), shown.hash, self._clock(), mfa
        )
        if row is None:
            raise _unknown()
        return Begun(session_id=session_id, secret=shown.text, **row)

    async def switch(self, session: Session, account_id: int) -> None:
        """Let the session act for another account of its person. Raises SessionUnknown."""
        if not await self._database.value(_SWITCH, session.id, session.person_id, account_id):
            raise SessionUnknown(
                "you are no member of that account; GET /v1/auth/session lists yours"
            )

    async def list(self, person_id: int) -> "list[SessionItem]":
        """Give the sessions of a person that are not over, the last used first."""
        now = self._clock()
        rows = await self._database.rows(_LIST, person_id, now - IDLE, now - LIFETIME)
        return [SessionItem(**row) for row in rows]

    async def end(self, person_id: int, session_id: str) -> None:
        """End one session of a person. Raises SessionUnknown."""
        if not is_id(session_id) or not await self._database.value(_END, session_id, person_id):
            raise _unknown()

    async def end_others(
        self, person_id: int, kept: str | None = None, connection: asyncpg.Connection | None = None
    ) -> None:
        """End all sessions of a person, or all but one."""
        if connection is not None:
            await connection.execute(_END_OTHERS, person_id, kept)
        else:
            await self._database.value(_END_OTHERS, person_id, kept)


def ends_at(created_at: datetime, seen_at: datetime) -> datetime:
    """Say when a session is over if nobody uses it from now on."""
    return min(created_at + LIFETIME, seen_at + IDLE)


def _session(row: asyncpg.Record) -> Session:
    facts = dict(row)
    role, staff = facts.pop("role"), facts.pop("staff")
    return Session(
        role=None if role is None else Role(role),
        staff=frozenset(StaffRole(one) for one in staff),
        **facts,
    )


def _unknown() -> SessionUnknown:
    return SessionUnknown("there is no such session, or it is over; see GET /v1/auth/sessions")
