"""Tickets: what somebody wrote to us and what we answered, until 24 months after the last word."""

import secrets
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Literal

import asyncpg
import msgspec

from ledger.database import Database
from ledger.errors import OutboxFull, TicketsExceeded, TicketUnknown
from ledger.mail.outbox import Outbox
from ledger.people.person import Clock

State = Literal["open", "answered", "closed"]
Author = Literal["customer", "staff"]

# What a ticket is after somebody's word.
STATE_AFTER: Mapping[Author, State] = {"customer": "open", "staff": "answered"}
SUBJECT_CHARS_MAX = 150
TEXT_CHARS_MAX = 10_000
# Of one account, or of one address: whoever has that many waits for answers.
OPEN_MAX = 20
# A conversation that is longer is worth a telephone call.
MESSAGES_MAX = 200
PAGE_MAX = 200
# Crockford's: no letters that are read as digits. 50 bits, so nobody tries ids.
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
ID_CHARS = 10

_OPEN = """
select count(*) from support.ticket
 where state = 'open'
   and (account_id = $1
        or $1::bigint is null and account_id is null and lower(address) = lower($2))
"""
_INSERT = """
insert into support.ticket (id, account_id, person_id, address, name, subject, created_at,
                            updated_at)
values ($1, $2, $3, $4, $5, $6, $7, $7)
"""
_LOCK = """
select id, address, subject, state from support.ticket
 where id = $1 and ($2::bigint is null or account_id = $2) for update
"""
_ADD = """
insert into support.message (ticket_id, seq, author, person_id, text, at)
select $1, 1 + coalesce(max(seq), 0), $2, $3, $4, $5 from support.message where ticket_id = $1
returning seq
"""
_SET = "update support.ticket set state = $2, updated_at = $3 where id = $1"
_COLUMNS = "id, account_id, address, name, subject, state, created_at, updated_at"
_LIST = f"""
select {_COLUMNS} from support.ticket
 where ($1::bigint is null or account_id = $1) and ($2::text is null or state = $2)
   and ($3::timestamptz is null or (updated_at, id) < ($3, $4))
 order by updated_at desc, id desc limit $5
"""  # noqa: S608 -- columns
_GET = f"""
select {_COLUMNS} from support.ticket where id = $1 and ($2::bigint is null or account_id = $2)
"""  # noqa: S608 -- columns
_MESSAGES = """
select seq, author, person_id, text, at from support.message where ticket_id = $1 order by seq
"""


class Ticket(msgspec.Struct, frozen=True, kw_only=True):
    """A ticket without its messages."""

    id: str
    # None: it came through the contact form.
    account_id: int | None
    address: str
    name: str
    subject: str
    state: State
    created_at: datetime
    updated_at: datetime

    def __repr__(self) -> str:
        return f"Ticket(id={self.id!r})"


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One message of a ticket."""

    seq: int
    author: Author
    # None: the contact form, or somebody who is gone.
    person_id: int | None
    text: str
    at: datetime

    def __repr__(self) -> str:
        return f"Message(seq={self.seq})"


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody writes, and who that is."""

    address: str
    name: str
    subject: str
    text: str
    account_id: int | None = None
    person_id: int | None = None

    def __repr__(self) -> str:
        return "Asked(…)"


class Tickets:
    """All tickets. Raises LedgerUnavailable everywhere."""

    def __init__(self, database: Database, outbox: Outbox, clock: Clock) -> None:
        self._database = database
        self._outbox = outbox
        self._clock = clock

    async def open(self, asked: Asked, *, staff: str = "") -> str:
        """Keep what somebody writes, and tell them and `staff` by mail; gives the ticket's id.

        Raises TicketsExceeded.
        """
        ticket_id, now = new_id("T"), self._clock()
        async with self._database.session() as connection, connection.transaction():
            waiting = await connection.fetchval(_OPEN, asked.account_id, asked.address)
            if waiting >= OPEN_MAX:
                raise TicketsExceeded(
                    f"{OPEN_MAX} of your messages wait for an answer; let us answer them first"
                )
            await connection.execute(
                *(_INSERT, ticket_id, asked.account_id, asked.person_id, asked.address),
                *(asked.name, asked.subject, now),
            )
            await connection.fetchval(_ADD, ticket_id, "customer", asked.person_id, asked.text, now)
            with suppress(OutboxFull):  # it can be read all the same
                await self._outbox.queue(
                    connection, "contact_received", asked.address, {"ticket": ticket_id}
                )
            await self._tell_staff(connection, staff, ticket_id, asked.subject, asked.text)
        return ticket_id

    async def add(
        self, account_id: int, ticket_id: str, text: str, *, by: int, staff: str = ""
    ) -> None:
        """Add what a member of the account goes on with: the ticket is open again.

        Raises TicketUnknown, TicketsExceeded.
        """
        async with self._database.session() as connection, connection.transaction():
            row = await self._locked(connection, ticket_id, account_id)
            await self._add(connection, ticket_id, "customer", text, by=by)
            await self._tell_staff(connection, staff, ticket_id, row["subject"], text)

    async def answer(self, ticket_id: str, text: str, *, by: int) -> None:
        """Add the answer of a member of staff, and send it. Raises TicketUnknown."""
        async with self._database.session() as connection, connection.transaction():
            row = await self._locked(connection, ticket_id, None)
            await self._add(connection, ticket_id, "staff", text, by=by)
            fields = {"ticket": ticket_id, "subject": row["subject"], "message": text}
            await self._outbox.queue(connection, "ticket_answered", row["address"], fields)

    async def close(self, ticket_id: str, account_id: int | None = None) -> None:
        """Note that nothing is left to be done. Raises TicketUnknown."""
        async with self._database.session() as connection, connection.transaction():
            await self._locked(connection, ticket_id, account_id)
            await connection.execute(_SET, ticket_id, "closed", self._clock())

    async def page(
        self,
        *,
        account_id: int | None = None,
        state: State | None = None,
        before: tuple[datetime, str] | None = None,
        limit: int = 50,
    ) -> list[Ticket]:
        """Give a page, the last changed first; `before`: time and id of the last one seen."""
        moment, ticket_id = before or (None, None)
        count = max(1, min(limit, PAGE_MAX))
        rows = await self._database.rows(_LIST, account_id, state, moment, ticket_id, count)
        return [Ticket(**row) for row in rows]

    async def get(
        self, ticket_id: str, account_id: int | None = None
    ) -> tuple[Ticket, list[Message]]:
        """Give one with its messages, the first one first. Raises TicketUnknown."""
        row = await self._database.row(_GET, ticket_id, account_id)
        if row is None:
            raise _unknown()
        rows = await self._database.rows(_MESSAGES, ticket_id)
        return Ticket(**row), [Message(**one) for one in rows]

    async def _locked(
        self, connection: asyncpg.Connection, ticket_id: str, account_id: int | None
    ) -> asyncpg.Record:
        row = await connection.fetchrow(_LOCK, ticket_id, account_id)
        if row is None:
            raise _unknown()
        return row

    async def _add(
        self,
        connection: asyncpg.Connection,
        ticket_id: str,
        author: Author,
        text: str,
        *,
        by: int,
    ) -> None:
        now = self._clock()
        seq = await connection.fetchval(_ADD, ticket_id, author, by, text, now)
        if seq > MESSAGES_MAX:
            raise TicketsExceeded("this conversation is full; begin another one")
        await connection.execute(_SET, ticket_id, STATE_AFTER[author], now)

    async def _tell_staff(
        self, connection: asyncpg.Connection, staff: str, ticket_id: str, subject: str, text: str
    ) -> None:
        if staff:
            fields = {"ticket": ticket_id, "subject": subject, "message": text}
            await self._outbox.queue(connection, "contact_message", staff, fields)


def new_id(letter: str) -> str:
    """Make an id that can be read out over a telephone."""
    return f"{letter}-{''.join(secrets.choice(_ALPHABET) for _ in range(ID_CHARS))}"


def _unknown() -> TicketUnknown:
    return TicketUnknown("there is no such ticket, or it is somebody else's")
