"""The outbox: a mail is queued in the transaction of what it tells of, and delivered afterwards.

    await ledger.mail.queue(connection, "verify", address, {"link": url})

With the caller's connection it is sent if and only if the caller commits; without one, at once in
a transaction of its own. A gateway claims what is due, one claimant a mail (SKIP LOCKED and a
lease), sends it, and notes how that went. At least once: who dies between sending and noting leaves
a lease that lapses, and the mail goes out again under the same Message-ID.

Who it goes to and what it says are sealed, and destroyed when it was delivered.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg
import msgspec

from ledger.conversion_id import new_conversion_id
from ledger.database import Database
from ledger.envelope import Envelope
from ledger.errors import LetterUnknown, OutboxFull
from ledger.mail.kinds import KINDS
from ledger.mail.limits import MailLimits
from ledger.people.person import ADDRESS_CHARS_MAX, Clock

# An hour: what `recipient_hour_max` counts in.
_HOUR = timedelta(hours=1)
ONCE_CHARS_MAX = 200
PAGE_MAX = 1000

_INSERT = """
insert into mail.letter (id, kind, content, recipient, once, state, next_at, expires_at, error,
                         created_at, ended_at)
values ($1, $2, $3, $4, $5, case when $6::text is null then 'waiting' else 'dead' end,
        $7::timestamptz, $8, $6,
        $7, case when $6::text is not null then $7::timestamptz end)
on conflict (once) do nothing returning id
"""
_RECENT = """
select count(*) from mail.letter
 where recipient = $1 and created_at > $2 and kind = any ($3) and error is distinct from 'too-many'
"""
_CROWDED = """
select count(*) >= $1::bigint
  from (select from mail.letter where state in ('waiting', 'sending') limit $1::bigint) waiting
"""
_CLAIM = """
with chosen as (
    select id from mail.letter where state in ('waiting', 'sending') and next_at <= $1
     order by next_at, created_at limit $2 for update skip locked)
update mail.letter l set state = 'sending', next_at = $1 + $3::interval, attempts = attempts + 1
  from chosen where l.id = chosen.id
returning l.id, l.kind, l.content, l.attempts, l.expires_at, l.created_at
"""
# Fenced by the attempt: whoever has lost the lease has lost the word.
_SENT = """
update mail.letter set state = 'sent', content = null, ended_at = $3, error = null, status = null
 where id = $1 and attempts = $2 and state = 'sending' returning id
"""
_PUT_OFF = """
update mail.letter set state = 'waiting', next_at = $3, error = $4, status = $5
 where id = $1 and attempts = $2 and state = 'sending' returning id
"""
_DEAD = """
update mail.letter set state = 'dead', ended_at = $3, error = $4, status = $5
 where id = $1 and attempts = $2 and state = 'sending' returning id
"""
_LIST = """
select id, kind, state, attempts, error, status, created_at, next_at, expires_at, ended_at
  from mail.letter where state = any ($1) order by created_at desc, id desc limit $2
"""
_RETRY = """
update mail.letter set state = 'waiting', attempts = 0, next_at = $2, ended_at = null
 where state = 'dead' and ($1::uuid is null or id = $1) and (expires_at is null or expires_at > $2)
returning id
"""
_FORGET = """
with gone as (delete from mail.letter where recipient = $1 returning id) select count(*) from gone
"""
_ANYBODY = [name for name, kind in KINDS.items() if kind.anybody]


class Content(msgspec.Struct, frozen=True):
    """What is sealed of a mail."""

    to: str
    fields: dict[str, str]

    def __repr__(self) -> str:
        return "Content(…)"


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """A mail that its claimant is to send now."""

    id: UUID
    kind: str
    to: str
    fields: dict[str, str]
    # This one included.
    attempts: int
    created_at: datetime
    # Whether it is of use no more.
    expired: bool

    def __repr__(self) -> str:
        return f"Letter(id={self.id}, kind={self.kind!r})"


class Posted(msgspec.Struct, frozen=True, kw_only=True):
    """What can be seen of a mail: neither to whom it goes nor what it says."""

    id: UUID
    kind: str
    # waiting, sending, sent or dead.
    state: str
    attempts: int
    error: str | None
    status: int | None
    created_at: datetime
    next_at: datetime
    expires_at: datetime | None
    ended_at: datetime | None


class Outbox:
    """All mails that wait. Raises LedgerUnavailable everywhere."""

    def __init__(
        self,
        database: Database,
        envelope: Envelope,
        pepper: bytes,
        limits: MailLimits,
        clock: Clock,
    ) -> None:
        self.limits = limits
        self._database = database
        self._envelope = envelope
        self._pepper = hashlib.blake2b(b"mail recipients", key=pepper).digest()
        self._clock = clock

    async def queue(
        self,
        connection: asyncpg.Connection | None,
        kind: str,
        to: str,
        fields: Mapping[str, str],
        *,
        once: str | None = None,
    ) -> UUID | None:
        """Put a mail into the outbox, in the caller's transaction; gives its id.

        Of one name `once` there is one mail: None says that it was queued before. An address that
        is sent too much of what anybody can ask for gets a dead letter. Raises ValueError for an
        unknown kind or wrong fields, OutboxFull.
        """
        if connection is not None:
            return await self._queue(connection, kind, to, fields, once)
        async with self._database.session() as own, own.transaction():
            return await self._queue(own, kind, to, fields, once)

    async def _queue(
        self,
        connection: asyncpg.Connection,
        kind: str,
        to: str,
        fields: Mapping[str, str],
        once: str | None,
    ) -> UUID | None:
        made_of = KINDS.get(kind)
        if made_of is None:
            raise ValueError(f"there is no mail of the kind {kind}; add it to ledger/mail/kinds.py")
        made_of.check(kind, fields)
        if not 3 <= len(to) <= ADDRESS_CHARS_MAX:  # noqa: PLR2004 -- a@b
            raise ValueError("a mail goes to an address of 3 to 254 characters")
        now, recipient, error = self._clock(), self._recipient(to), None
        if made_of.anybody:
            if await connection.fetchval(_CROWDED, self.limits.waiting_max):
                raise OutboxFull
            recent = await connection.fetchval(_RECENT, recipient, now - _HOUR, _ANYBODY)
            error = "too-many" if recent >= self.limits.recipient_hour_max else None
        letter_id = new_conversion_id()
        sealed = self._envelope.close(
            msgspec.json.encode(Content(to, dict(fields))), _place(letter_id)
        )
        expires_at = made_of.lifetime and now + made_of.lifetime
        queued: UUID | None = await connection.fetchval(
            *(_INSERT, letter_id, kind, sealed, recipient, once, error, now, expires_at)
        )
        return queued

    async def claim(self, count: int) -> list[Letter]:
        """Take up to so many that are due, for the time of the lease."""
        now = self._clock()
        lease = timedelta(seconds=self.limits.lease_s)
        rows = await self._database.rows(_CLAIM, now, count, lease)
        return [self._letter(row, now) for row in sorted(rows, key=lambda row: row["created_at"])]

    async def sent(self, letter: Letter) -> bool:
        """Note that it was delivered, and destroy what it said."""
        return bool(await self._database.value(_SENT, letter.id, letter.attempts, self._clock()))

    async def put_off(
        self, letter: Letter, pause_s: float, error: str, status: int | None = None
    ) -> bool:
        """Note a failure after which it is tried again."""
        then = self._clock() + timedelta(seconds=pause_s)
        return bool(
            await self._database.value(_PUT_OFF, letter.id, letter.attempts, then, error, status)
        )

    async def give_up(self, letter: Letter, error: str, status: int | None = None) -> bool:
        """Note that it is a dead letter."""
        now = self._clock()
        return bool(
            await self._database.value(_DEAD, letter.id, letter.attempts, now, error, status)
        )

    async def list(
        self, states: tuple[str, ...] = ("dead",), limit: int = PAGE_MAX
    ) -> "list[Posted]":
        """Give mails in these states, the newest first."""
        rows = await self._database.rows(_LIST, list(states), max(1, min(limit, PAGE_MAX)))
        return [Posted(**row) for row in rows]

    async def retry(self, letter_id: UUID | None = None) -> int:
        """Have a dead letter, or all, tried again from now on; gives their number.

        Those whose links are over stay dead. Raises LetterUnknown where a named one is none.
        """
        rows = await self._database.rows(_RETRY, letter_id, self._clock())
        if letter_id is not None and not rows:
            raise LetterUnknown(
                "there is no such dead letter, or what it says is of no use any more;"
                " see: ephemera mail list"
            )
        return len(rows)

    async def forget(self, connection: asyncpg.Connection | None, address: str) -> int:
        """Delete all mails to an address, in the caller's transaction; gives their number."""
        recipient = self._recipient(address)
        if connection is not None:
            return int(await connection.fetchval(_FORGET, recipient))
        return int(await self._database.value(_FORGET, recipient))

    def mailbox(self, address: str) -> bytes:
        """Give what stands for an address in `mail.letter`."""
        return self._recipient(address)

    def _recipient(self, address: str) -> bytes:
        text = address.strip().lower().encode()
        return hashlib.blake2b(text, digest_size=32, key=self._pepper).digest()

    def _letter(self, row: asyncpg.Record, now: datetime) -> Letter:
        opened = self._envelope.open(row["content"], _place(row["id"]))
        content = msgspec.json.decode(opened, type=Content)
        return Letter(
            id=row["id"],
            kind=row["kind"],
            to=content.to,
            fields=content.fields,
            attempts=row["attempts"],
            created_at=row["created_at"],
            expired=row["expires_at"] is not None and row["expires_at"] <= now,
        )


def _place(letter_id: UUID) -> str:
    return f"mail.letter.content|{letter_id}"
