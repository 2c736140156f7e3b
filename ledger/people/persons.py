"""Persons: found by their address, made by a confirmed link, and what they change of themselves.

Each change and the mail that tells of it are one transaction: nobody is told of what did not
happen, and nothing happens that nobody is told of.
"""

import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

import asyncpg

from ledger.credits.operation import Status
from ledger.database import Database
from ledger.envelope import Envelope
from ledger.errors import LedgerFault, LinkUnknown, PersonUnknown
from ledger.people.person import (
    Begun,
    Client,
    Clock,
    Credentials,
    Hashed,
    Mailer,
    Membership,
    Person,
)
from ledger.people.roles import Role
from ledger.people.secret import Shown, random_number
from ledger.people.sessions import Sessions

# As long as anybody is likely to remember the machine; counted from its last sign-in.
DEVICE_LIFETIME = timedelta(days=180)
DEVICES_MAX = 50
# 60 bits: the name tells nothing, and two are never the same.
_ACCOUNT_NAME_CHARS = 12
_BASE32 = "abcdefghijklmnopqrstuvwxyz234567"

_CREDENTIALS = """
select id, address, name, created_at, suspended_at, totp_since, password, pepper_id, totp
  from people.person
"""
_BY_ADDRESS = f"{_CREDENTIALS} where lower(address) = lower($1)"
_BY_ID = f"{_CREDENTIALS} where id = $1"
_LIST = """
select id, address, name, created_at, suspended_at, totp_since from people.person
 order by created_at, id limit $1
"""
_INSERT = """
insert into people.person (id, address, name, created_at, password, pepper_id, password_at)
values ($1, $2, $3, $4, $5, $6, $4)
"""
_OPEN = "insert into credits.account (id) values ($1)"
_PROFILE = "insert into accounts.profile (account_id, name) values ($1, $2)"
_NAME_ACCOUNT = """
insert into people.account (account_id, name) values ($1, $2)
on conflict (account_id) do update set name = excluded.name
"""
_JOIN = """
insert into people.member (account_id, person_id, role, since) values ($1, $2, $3, $4)
"""
_TAKE_TURN = "lock table credits.turn in share row exclusive mode"
_GIVE = """
select outcomes[1] from credits.post(0, interval '0', array['adjustment'], array[$1]::bigint[],
    array[$2]::bigint[], array[null]::uuid[], array[null]::text[], array[null]::bytea[],
    array[$3], array['sign-up'])
"""
_REPLACE_HASH = """
update people.person set password = $2, pepper_id = $3, password_at = $4
 where id = $1 returning address
"""
_REHASH = "update people.person set password = $3, pepper_id = $4 where id = $1 and password = $2"
_RENAME = "update people.person set name = $2 where id = $1 returning true"
_SUSPEND = """
update people.person set suspended_at = case when $2 then coalesce(suspended_at, $3) end
 where id = $1 returning true
"""
_DEVICE = """
insert into people.device (hash, person_id, created_at, used_at) values ($1, $2, $3, $3)
on conflict (hash) do update set used_at = excluded.used_at
"""
_KNOWS_DEVICE = """
select true from people.device where hash = $1 and person_id = $2 and used_at > $3
"""
_MAKE_ROOM = """
delete from people.device where hash in (
    select hash from people.device where person_id = $1 order by used_at desc, hash offset $2)
"""
_STILL_SO = """
select true from people.person where id = $1 and password = $2 and suspended_at is null for share
"""
_SIGNED_IN_BEFORE = "select exists (select from people.device where person_id = $1)"
_MEMBERSHIPS = """
select m.account_id, coalesce(n.name, '') as name, m.role, a.status
  from people.member m
  join credits.account a on a.id = m.account_id and a.status <> 'closed'
  left join people.account n on n.account_id = m.account_id
 where m.person_id = $1 order by m.since, m.account_id
"""


class Persons:
    """All people. Raises LedgerUnavailable everywhere."""

    def __init__(
        self,
        database: Database,
        envelope: Envelope,
        sessions: Sessions,
        mailer: Mailer,
        clock: Clock,
    ) -> None:
        self._database = database
        self._envelope = envelope
        self._sessions = sessions
        self._mailer = mailer
        self._clock = clock

    async def credentials(self, address: str) -> Credentials | None:
        """Give what a sign-in with this address is checked against."""
        return self._credentials(await self._database.row(_BY_ADDRESS, address))

    async def credentials_of(self, person_id: int) -> Credentials:
        """Give what the person of a session is checked against again. Raises PersonUnknown."""
        found = self._credentials(await self._database.row(_BY_ID, person_id))
        if found is None:
            raise PersonUnknown(f"there is no person {person_id}")
        return found

    async def list(self, limit: int = 1000) -> "list[Person]":
        """Give the people, the oldest first."""
        return [Person(**row) for row in await self._database.rows(_LIST, limit)]

    async def memberships(self, person_id: int) -> Sequence[Membership]:
        """Give the accounts of a person, the first joined first; closed ones are none."""
        rows = await self._database.rows(_MEMBERSHIPS, person_id)
        return [Membership(**dict(row) | {"role": Role(row["role"])}) for row in rows]

    async def knows_device(self, person_id: int, device: bytes) -> bool:
        """Say whether this person has signed in with this device, not too long ago."""
        since = self._clock() - DEVICE_LIFETIME
        return bool(await self._database.value(_KNOWS_DEVICE, device, person_id, since))

    async def sign_in(
        self,
        credentials: Credentials,
        client: Client,
        *,
        mfa: bool,
        device: Shown,
        device_known: bool,
    ) -> Begun:
        """Begin a session, and remember the device; a new one is told to the person.

        The first of all devices is not: somebody who has just signed up knows. Raises
        PersonUnknown where what was checked is no longer so.
        """
        now, person = self._clock(), credentials.person
        async with self._database.session() as connection, connection.transaction():
            if not await connection.fetchval(_STILL_SO, person.id, credentials.password):
                raise PersonUnknown(f"the person {person.id} has another password by now")
            before = await connection.fetchval(_SIGNED_IN_BEFORE, person.id)
            await connection.execute(_DEVICE, device.hash, person.id, now)
            await connection.execute(_MAKE_ROOM, person.id, DEVICES_MAX)
            begun = await self._sessions.begin(connection, person.id, client, mfa=mfa)
            if before and not device_known:
                told = {
                    "at": now.isoformat(timespec="minutes"),
                    "network": str(client.network or ""),
                    "client": client.name,
                }
                await self._mailer.queue(connection, "new_sign_in", person.address, told)
            return begun

    async def remember_device(self, person_id: int, device: Shown) -> None:
        """Let a device be known from now on: whoever reads the person's mails holds it."""
        await self._database.value(_DEVICE, device.hash, person_id, self._clock())

    async def rehash(self, credentials: Credentials, hashed: Hashed) -> None:
        """Keep the same password as it is hashed today, unless it was changed meanwhile."""
        await self._database.value(
            *(_REHASH, credentials.person.id, credentials.password, hashed.text, hashed.pepper_id)
        )

    async def set_password(self, person_id: int, hashed: Hashed, *, kept: str | None) -> None:
        """Change the password: all sessions but `kept` are over, and the person is told.

        Raises PersonUnknown.
        """
        async with self._database.session() as connection, connection.transaction():
            await self.replace_password(connection, person_id, hashed, kept=kept)

    async def replace_password(
        self, connection: asyncpg.Connection, person_id: int, hashed: Hashed, *, kept: str | None
    ) -> None:
        """Do it in the caller's transaction."""
        address = await connection.fetchval(
            _REPLACE_HASH, person_id, hashed.text, hashed.pepper_id, self._clock()
        )
        if address is None:
            raise PersonUnknown(f"there is no person {person_id}")
        await connection.execute("delete from people.device where person_id = $1", person_id)
        await connection.execute("delete from people.link where person_id = $1", person_id)
        await self._sessions.end_others(person_id, kept, connection)
        at = {"at": self._clock().isoformat(timespec="minutes")}
        await self._mailer.queue(connection, "password_changed", address, at)

    async def rename(self, person_id: int, name: str) -> None:
        """Change what a person is called. Raises PersonUnknown."""
        if not await self._database.value(_RENAME, person_id, name):
            raise PersonUnknown(f"there is no person {person_id}")

    async def rename_account(self, account_id: int, name: str) -> None:
        """Change what an account is called by its people."""
        await self._database.value(_NAME_ACCOUNT, account_id, name)

    async def suspend(self, person_id: int, *, suspended: bool) -> None:
        """Let a person in no more, from the next request on, or again. Raises PersonUnknown."""
        if not await self._database.value(_SUSPEND, person_id, suspended, self._clock()):
            raise PersonUnknown(f"there is no person {person_id}")

    async def create(
        self, connection: asyncpg.Connection, address: str, name: str, hashed: Hashed
    ) -> int:
        """Make a person, in the caller's transaction, and give the id.

        Raises UniqueViolationError where somebody has the address; see `one_address`.
        """
        person_id = random_number()
        await connection.execute(
            *(_INSERT, person_id, address, name, self._clock(), hashed.text, hashed.pepper_id)
        )
        return person_id

    async def found_account(
        self, connection: asyncpg.Connection, person_id: int, name: str, credits: int
    ) -> int:
        """Open an account that the person owns, with credits to begin with, and give its id.

        In the caller's transaction; with credits, one that began with `take_turn`.
        """
        account_id = random_number()
        opaque = "a-" + "".join(secrets.choice(_BASE32) for _ in range(_ACCOUNT_NAME_CHARS))
        await connection.execute(_OPEN, account_id)
        await connection.execute(_PROFILE, account_id, opaque)
        await connection.execute(_NAME_ACCOUNT, account_id, name)
        await self.join(connection, account_id, person_id, Role.OWNER)
        if credits:
            outcome = await connection.fetchval(_GIVE, account_id, credits, f"sign-up:{account_id}")
            if outcome != Status.DONE:
                raise LedgerFault(f"unforeseen outcome of a sign-up's credits: {outcome}")
        return account_id

    async def join(
        self, connection: asyncpg.Connection, account_id: int, person_id: int, role: Role
    ) -> None:
        """Make a person a member, in the caller's transaction."""
        await connection.execute(_JOIN, account_id, person_id, role, self._clock())

    def _credentials(self, row: asyncpg.Record | None) -> Credentials | None:
        if row is None:
            return None
        facts = dict(row)
        password, pepper_id, totp = (facts.pop(one) for one in ("password", "pepper_id", "totp"))
        return Credentials(
            person=Person(**facts),
            password=password,
            pepper_id=pepper_id,
            totp=totp and self._envelope.open(totp, totp_place(row["id"])),
        )


async def take_turn(connection: asyncpg.Connection) -> None:
    """Begin a transaction that moves credits, as `credits.apply` does: before its snapshot."""
    await connection.execute(_TAKE_TURN)


@asynccontextmanager
async def one_address() -> AsyncIterator[None]:
    """Of several who make a person of one address at once, the later ones have a used link."""
    try:
        yield
    except asyncpg.UniqueViolationError as error:
        raise LinkUnknown from error


def totp_place(person_id: int) -> str:
    """Where a seed stands, for the envelope."""
    return f"people.person.totp|{person_id}"
