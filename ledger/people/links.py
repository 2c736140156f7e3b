"""Links of mails: who has one reads the mails of an address. Good for one thing, once, for a while.

What is asked for here is answered alike whether the address is known or not; only the mail differs.
A link is used by deleting its row, so of two who use it at once one comes too late.
"""

from datetime import timedelta

import asyncpg

from ledger.database import Database
from ledger.errors import LinkUnknown
from ledger.people.person import Begun, Client, Clock, FoundLink, Hashed, Link, Mailer
from ledger.people.persons import Persons, one_address, take_turn
from ledger.people.secret import hash_of
from ledger.people.sessions import Sessions
from ledger.transaction import retried

# A mail may be read the next morning.
SIGN_UP_LIFETIME = timedelta(hours=24)
ADDRESS_LIFETIME = timedelta(hours=24)
# Somebody who has just asked for it sits in front of the mailbox.
RESET_LIFETIME = timedelta(minutes=30)
# Of one purpose for one address: somebody who asks again has not found the first mail.
_LIVE_MAX = 3

_KNOWN = "select id, address from people.person where lower(address) = lower($1)"
_INSERT = """
insert into people.link (hash, purpose, person_id, address, name, created_at, expires_at)
values ($1, $2, $3, $4, $5, $6, $7)
"""
_MAKE_ROOM = """
delete from people.link where hash in (
    select hash from people.link where purpose = $1 and lower(address) = lower($2)
     order by created_at desc, hash offset $3)
"""
_LOOK = """
select purpose, address, expires_at from people.link where hash = $1 and expires_at > $2
union all
select 'invitation', address, expires_at from people.invitation
 where hash = $1 and expires_at > $2
"""
_USE = """
delete from people.link where hash = $1 and purpose = $2 and expires_at > $3
returning person_id, address, name
"""
_FORGET = "delete from people.link where purpose = $1 and lower(address) = lower($2)"
_SET_ADDRESS = """
update people.person n set address = $2 from people.person o
 where n.id = $1 and o.id = n.id returning o.address as old
"""


class Links:
    """Asks for links, and uses them. Raises LedgerUnavailable everywhere."""

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

    async def ask_sign_up(self, address: str, name: str, link: Link, known_url: str) -> None:
        """Send a link to an address that is new here, and word of it to one that is not."""
        async with self._database.session() as connection, connection.transaction():
            known = await connection.fetchrow(_KNOWN, address)
            if known is not None:
                fields = {"link": known_url}
                await self._mailer.queue(
                    connection, "already_have_account", known["address"], fields
                )
                return
            await self._keep(
                *(connection, link),
                purpose="sign_up",
                person_id=None,
                address=address,
                name=name,
                lifetime=SIGN_UP_LIFETIME,
            )
            await self._mailer.queue(connection, "verify", address, {"link": link.url})

    async def sign_up(
        self, text: str, hashed: Hashed, name: str, client: Client, *, credits: int
    ) -> Begun:
        """Make the person and the account of a link, with credits to begin with, and sign in.

        Raises LinkUnknown, also where somebody else has come to have the address since.
        """

        async def body(connection: asyncpg.Connection) -> Begun:
            if credits:
                await take_turn(connection)
            row = await self._use(connection, text, "sign_up")
            called = name or row["name"]
            person_id = await self._persons.create(connection, row["address"], called, hashed)
            await self._persons.found_account(
                connection, person_id, called or row["address"].partition("@")[0], credits
            )
            await connection.execute(_FORGET, "sign_up", row["address"])
            return await self._sessions.begin(connection, person_id, client, mfa=False)

        async def attempt() -> Begun:
            # Credits move in SERIALIZABLE transactions that take turns; nothing else needs one.
            isolation = "serializable" if credits else "read_committed"
            async with (
                one_address(),
                self._database.session() as connection,
                connection.transaction(isolation=isolation),
            ):
                return await body(connection)

        return await retried(attempt)

    async def ask_reset(self, address: str, link: Link) -> None:
        """Send a link with which the password can be set anew, if the address is known."""
        async with self._database.session() as connection, connection.transaction():
            known = await connection.fetchrow(_KNOWN, address)
            # A row for nobody costs what a row for somebody costs; it is never sent.
            person_id = known and known["id"]
            to = known["address"] if known else address
            await self._keep(
                *(connection, link),
                purpose="reset",
                person_id=person_id,
                address=to,
                lifetime=RESET_LIFETIME,
            )
            if known is not None:
                await self._mailer.queue(connection, "reset", to, {"link": link.url})

    async def reset(self, text: str, hashed: Hashed) -> int:
        """Set the password anew: all sessions and devices are forgotten. Gives the person's id.

        Raises LinkUnknown.
        """
        async with self._database.session() as connection, connection.transaction():
            row = await self._use(connection, text, "reset")
            if row["person_id"] is None:
                raise LinkUnknown
            await self._persons.replace_password(connection, row["person_id"], hashed, kept=None)
            person_id: int = row["person_id"]
            return person_id

    async def ask_address(self, person_id: int, address: str, link: Link, known_url: str) -> None:
        """Send a link to the address that a person wants to have from now on."""
        async with self._database.session() as connection, connection.transaction():
            known = await connection.fetchrow(_KNOWN, address)
            if known is not None and known["id"] != person_id:
                fields = {"link": known_url}
                await self._mailer.queue(
                    connection, "already_have_account", known["address"], fields
                )
                return
            await self._keep(
                *(connection, link),
                purpose="address",
                person_id=person_id,
                address=address,
                lifetime=ADDRESS_LIFETIME,
            )
            await self._mailer.queue(connection, "confirm_address", address, {"link": link.url})

    async def change_address(self, text: str) -> None:
        """Let the person of a link have its address; the old one is told. Raises LinkUnknown."""
        async with (
            one_address(),
            self._database.session() as connection,
            connection.transaction(),
        ):
            row = await self._use(connection, text, "address")
            old = await connection.fetchval(_SET_ADDRESS, row["person_id"], row["address"])
            # Links on their way to the old address are links for whoever reads it now.
            await connection.execute(
                "delete from people.link where person_id = $1", row["person_id"]
            )
            at = {"at": self._clock().isoformat(timespec="minutes")}
            await self._mailer.queue(connection, "email_changed", old, at)

    async def look(self, text: str) -> FoundLink:
        """Say what a link is for, without using it. Raises LinkUnknown."""
        row = await self._database.row(_LOOK, hash_of(text) or b"", self._clock())
        if row is None:
            raise LinkUnknown
        return FoundLink(**row)

    async def _use(self, connection: asyncpg.Connection, text: str, purpose: str) -> asyncpg.Record:
        row = await connection.fetchrow(_USE, hash_of(text) or b"", purpose, self._clock())
        if row is None:
            raise LinkUnknown
        return row

    async def _keep(
        self,
        connection: asyncpg.Connection,
        link: Link,
        *,
        purpose: str,
        person_id: int | None,
        address: str,
        name: str = "",
        lifetime: timedelta,
    ) -> None:
        await connection.execute(_MAKE_ROOM, purpose, address, _LIVE_MAX - 1)
        now = self._clock()
        await connection.execute(
            *(_INSERT, link.shown.hash, purpose, person_id, address, name, now, now + lifetime)
        )
