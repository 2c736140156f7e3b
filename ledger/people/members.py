"""Members: whose accounts people are members of, who is invited, and who may change that.

An account always has an owner, however many leave at once; nobody gives a role above their own.
"""

from collections.abc import Sequence
from datetime import timedelta

import asyncpg

from ledger.database import Database
from ledger.errors import (
    AddressKnown,
    InvitationUnknown,
    LinkUnknown,
    MemberKnown,
    MembersExceeded,
    MemberUnknown,
    OwnerWanted,
    RoleExceeded,
)
from ledger.people.person import (
    Begun,
    Client,
    Clock,
    Hashed,
    Invitation,
    Link,
    Mailer,
    Member,
)
from ledger.people.persons import Persons
from ledger.people.roles import Role
from ledger.people.secret import ID_CHARS, hash_of, is_id, random_text
from ledger.people.sessions import Sessions

# Somebody who is away for a weekend finds it on Monday.
INVITATION_LIFETIME = timedelta(days=7)
# A list that a person can read; a larger firm has several accounts.
MEMBERS_MAX = 100
INVITATIONS_MAX = 50

_LIST = """
select m.person_id, p.address, p.name, m.role, m.since, p.totp is not null as mfa
  from people.member m join people.person p on p.id = m.person_id
 where m.account_id = $1 order by m.since, m.person_id
"""
# One at a time for each account, so that the last owner is the last.
_LOCK = "select pg_advisory_xact_lock(hashtextextended('people.member', $1))"
_ROLES = "select person_id, role from people.member where account_id = $1"
_SET_ROLE = "update people.member set role = $3 where account_id = $1 and person_id = $2"
_REMOVE = "delete from people.member where account_id = $1 and person_id = $2"
_INVITATIONS = """
select id, address, role, created_at, expires_at from people.invitation
 where account_id = $1 and expires_at > $2 order by created_at, id
"""
_IS_MEMBER = """
select true from people.member m join people.person p on p.id = m.person_id
 where m.account_id = $1 and lower(p.address) = lower($2)
"""
_COUNT = "select count(*) from people.invitation where account_id = $1 and expires_at > $2"
_INVITE = """
insert into people.invitation (id, hash, account_id, address, role, invited_by, created_at,
                               expires_at)
values ($1, $2, $3, $4, $5, $6, $7, $8)
on conflict (account_id, lower(address)) do update
   set id = excluded.id, hash = excluded.hash, address = excluded.address, role = excluded.role,
       invited_by = excluded.invited_by, created_at = excluded.created_at,
       expires_at = excluded.expires_at
"""
# Who may invite no more has invited nobody.
_FORGET_INVITED = "delete from people.invitation where account_id = $1 and invited_by = $2"
# An account that an operator made is called by its people what the operator called it, at first.
_NAME = """
insert into people.account (account_id, name)
select account_id, left(name, 100) from accounts.profile where account_id = $1
on conflict (account_id) do nothing
"""
_WITHDRAW = "delete from people.invitation where id = $1 and account_id = $2 returning true"
_ACCEPT = """
delete from people.invitation i using credits.account a
 where i.hash = $1 and i.expires_at > $2 and a.id = i.account_id and a.status <> 'closed'
   and ($3::bigint is null
        or lower(i.address) = (select lower(address) from people.person where id = $3))
returning i.account_id, i.address, i.role
"""
_ACCOUNT_NAME = "select name from people.account where account_id = $1"
_WARNED = """
select p.address from people.member m join people.person p on p.id = m.person_id
 where m.account_id = $1 and m.role in ('owner', 'admin') and p.suspended_at is null
"""
_INVITER = "select coalesce(nullif(name, ''), address) from people.person where id = $1"


class Members:
    """The members of all accounts. Raises LedgerUnavailable everywhere."""

    def __init__(
        self,
        database: Database,
        persons: Persons,
        sessions: Sessions,
        mailer: Mailer,
        clock: Clock,
    ) -> None:
        self._database = database
        self._persons = persons
        self._sessions = sessions
        self._mailer = mailer
        self._clock = clock

    async def list(self, account_id: int) -> "list[Member]":
        """Give the members of an account, the first joined first."""
        rows = await self._database.rows(_LIST, account_id)
        return [Member(**dict(row) | {"role": Role(row["role"])}) for row in rows]

    async def set_role(
        self, account_id: int, person_id: int, role: Role, *, by: int | None
    ) -> None:
        """Give a member another role, as the member `by` or as an operator (None).

        Raises MemberUnknown, RoleExceeded, OwnerWanted.
        """
        await self._change(account_id, person_id, role, by)

    async def remove(self, account_id: int, person_id: int, *, by: int | None) -> None:
        """Let somebody be no member any more; everybody may leave.

        Raises MemberUnknown, RoleExceeded, OwnerWanted.
        """
        await self._change(account_id, person_id, None, by)

    async def tell_of_key(
        self, account_id: int, *, label: str, prefix: str, by: str | None
    ) -> None:
        """Tell owners and admins that there is another key of their account."""
        at = self._clock().isoformat(timespec="minutes")
        async with self._database.session() as connection, connection.transaction():
            account = await connection.fetchval(_ACCOUNT_NAME, account_id) or ""
            fields = {"account": account, "label": label, "prefix": prefix, "at": at}
            for (address,) in await connection.fetch(_WARNED, account_id):
                await self._mailer.queue(
                    connection, "key_created", address, fields | ({"by": by} if by else {})
                )

    async def invitations(self, account_id: int) -> Sequence[Invitation]:
        """Give the invitations that may still be taken up, the oldest first."""
        rows = await self._database.rows(_INVITATIONS, account_id, self._clock())
        return [Invitation(**dict(row) | {"role": Role(row["role"])}) for row in rows]

    async def invite(
        self,
        account_id: int,
        address: str,
        role: Role,
        link: Link,
        *,
        by: int | None,
    ) -> Invitation:
        """Invite an address, known or not; an earlier invitation of it is replaced.

        As the member `by`, or as an operator (None). Raises RoleExceeded, MemberKnown,
        MembersExceeded.
        """
        now = self._clock()
        made = Invitation(
            id=random_text(ID_CHARS),
            address=address,
            role=role,
            created_at=now,
            expires_at=now + INVITATION_LIFETIME,
        )
        async with self._database.session() as connection, connection.transaction():
            _check_powers(await self._roles(connection, account_id), by, {role})
            if await connection.fetchval(_IS_MEMBER, account_id, address):
                raise MemberKnown("this address belongs to a member; change the member's role")
            if await connection.fetchval(_COUNT, account_id, now) >= INVITATIONS_MAX:
                raise MembersExceeded(
                    f"at most {INVITATIONS_MAX} invitations wait at a time; withdraw one first"
                )
            await connection.execute(
                *(_INVITE, made.id, link.shown.hash, account_id, address, role, by),
                *(made.created_at, made.expires_at),
            )
            if by is None:
                await connection.execute(_NAME, account_id)
            fields = {
                "link": link.url,
                "account": await connection.fetchval(_ACCOUNT_NAME, account_id) or "",
                "by": await connection.fetchval(_INVITER, by) or "",
                "role": role.value,
            }
            await self._mailer.queue(connection, "invitation", address, fields)
        return made

    async def withdraw(self, account_id: int, invitation_id: str) -> None:
        """Take an invitation back. Raises InvitationUnknown."""
        if not is_id(invitation_id) or not await self._database.value(
            _WITHDRAW, invitation_id, account_id
        ):
            raise InvitationUnknown("there is no such invitation; see GET /v1/account/invitations")

    async def accept(self, text: str, person_id: int) -> int:
        """Take up an invitation of one's own address, and give the account's id.

        Raises LinkUnknown, MembersExceeded.
        """
        async with self._database.session() as connection, connection.transaction():
            row = await self._use(connection, text, person_id)
            roles = await self._roles(connection, row["account_id"])
            if person_id not in roles:
                await self._join(connection, row, person_id, roles)
            account_id: int = row["account_id"]
            return account_id

    async def accept_as_new(self, text: str, hashed: Hashed, name: str, client: Client) -> Begun:
        """Take up an invitation as somebody who was not here before, and sign in.

        Raises LinkUnknown, MembersExceeded, and AddressKnown, which leaves the invitation as it
        was: its person signs in first.
        """
        try:
            async with self._database.session() as connection, connection.transaction():
                row = await self._use(connection, text, None)
                roles = await self._roles(connection, row["account_id"])
                person_id = await self._persons.create(connection, row["address"], name, hashed)
                await self._join(connection, row, person_id, roles)
                return await self._sessions.begin(connection, person_id, client, mfa=False)
        except asyncpg.UniqueViolationError as error:
            raise AddressKnown(
                "this address is known here: sign in with it, then take up the invitation"
            ) from error

    async def _change(
        self, account_id: int, person_id: int, role: Role | None, by: int | None
    ) -> None:
        async with self._database.session() as connection, connection.transaction():
            roles = await self._roles(connection, account_id)
            before = roles.get(person_id)
            if before is None:
                raise MemberUnknown("there is no such member; see GET /v1/account/members")
            if by != person_id or role is not None:
                _check_powers(roles, by, {before, role})
            owners = [one for one, has in roles.items() if has is Role.OWNER]
            if owners == [person_id] and role is not Role.OWNER:
                raise OwnerWanted("an account has an owner; make somebody else one first")
            if role is None:
                await connection.execute(_REMOVE, account_id, person_id)
            else:
                await connection.execute(_SET_ROLE, account_id, person_id, role)
            await connection.execute(_FORGET_INVITED, account_id, person_id)

    async def _roles(self, connection: asyncpg.Connection, account_id: int) -> dict[int, Role]:
        """Everybody's role, which nobody changes until the transaction ends."""
        await connection.execute(_LOCK, account_id)
        rows = await connection.fetch(_ROLES, account_id)
        return {row["person_id"]: Role(row["role"]) for row in rows}

    async def _use(
        self, connection: asyncpg.Connection, text: str, person_id: int | None
    ) -> asyncpg.Record:
        row = await connection.fetchrow(_ACCEPT, hash_of(text) or b"", self._clock(), person_id)
        if row is None:
            raise LinkUnknown
        return row

    async def _join(
        self,
        connection: asyncpg.Connection,
        row: asyncpg.Record,
        person_id: int,
        roles: dict[int, Role],
    ) -> None:
        if len(roles) >= MEMBERS_MAX:
            raise MembersExceeded(f"an account has at most {MEMBERS_MAX} members")
        await self._persons.join(connection, row["account_id"], person_id, Role(row["role"]))


def _check_powers(roles: dict[int, Role], by: int | None, touched: set[Role | None]) -> None:
    """Raise RoleExceeded where a member changes what is above the own role; operators never do."""
    if by is None:
        return
    if roles.get(by) not in {Role.OWNER, Role.ADMIN}:
        raise RoleExceeded("only owners and admins change who is a member")
    if Role.OWNER in touched and roles[by] is not Role.OWNER:
        raise RoleExceeded("only an owner makes, changes and removes owners")
