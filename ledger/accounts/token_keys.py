"""The keys that sign tokens, and their states: next -> active -> retired -> gone.

The next one is published for a whole period before it signs, so that whoever checks tokens has it
in time. The private part of a retired key is destroyed; the public part stays until its last token
has expired. How a key is made is not known here, only where it is kept.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Literal

import asyncpg
import msgspec

from ledger.database import Database
from ledger.envelope import Envelope
from ledger.errors import DamagedEnvelope

# A token lives 15 minutes; the rest is for clocks.
_RETIRED_KEPT = timedelta(hours=1)

_LOCK = "select pg_advisory_xact_lock(hashtextextended('accounts.token_key', 0))"
_ALL = "select kid, public, sealed, state, since from accounts.token_key order by since, kid"
_ANY = "select exists (select from accounts.token_key where state = 'active')"
_DUE = """
select exists (select from accounts.token_key
                where state = 'active' and since <= now() - $1::interval)
"""
_RETIRE = """
update accounts.token_key set state = 'retired', since = now(), sealed = null
 where state = 'active'
"""
_PROMOTE = """
update accounts.token_key set state = 'active', since = now() where state = 'next' returning kid
"""
_INSERT = "insert into accounts.token_key (kid, public, sealed, state) values ($1, $2, $3, $4)"
_FORGET = "delete from accounts.token_key where state = 'retired' and since < now() - $1::interval"


class MadeKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key that was just made: its name, and both parts as 32 bytes."""

    kid: str
    public: bytes
    private: bytes

    def __repr__(self) -> str:
        return f"MadeKey(kid={self.kid!r})"


class TokenKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key as it is kept; `sealed` is destroyed when it retires."""

    kid: str
    public: bytes
    state: Literal["next", "active", "retired"]
    since: datetime
    sealed: bytes | None


class TokenKeys:
    """The keys of all gateways together."""

    def __init__(self, database: Database, envelope: Envelope) -> None:
        self._database = database
        self._envelope = envelope

    async def list(self) -> "list[TokenKey]":
        """Give all keys, in the order of when they came into their state."""
        return [TokenKey(**row) for row in await self._database.rows(_ALL)]

    def private(self, key: TokenKey) -> bytes:
        """Open the private part. Raises DamagedEnvelope, EnvelopeMissing."""
        if key.sealed is None:
            raise DamagedEnvelope("the private part of a retired key is destroyed")
        return self._envelope.open(key.sealed, place_of(key.kid))

    async def begin(self, make: Callable[[], MadeKey]) -> None:
        """Make the first two keys, unless there is one that signs. Raises EnvelopeMissing."""
        async with self._database.session() as connection, connection.transaction():
            await connection.execute(_LOCK)
            if not await connection.fetchval(_ANY):
                await self._advance(connection, make)

    async def rotate(
        self, make: Callable[[], MadeKey], *, older_than: timedelta = timedelta()
    ) -> bool:
        """Let the next key sign, if one did so for long enough; says whether it does now.

        Public parts that no token needs any more go as well. Raises EnvelopeMissing.
        """
        async with self._database.session() as connection, connection.transaction():
            await connection.execute(_LOCK)
            await connection.execute(_FORGET, _RETIRED_KEPT)
            if not await connection.fetchval(_DUE, older_than):
                return False
            await self._advance(connection, make)
            return True

    async def _advance(self, connection: asyncpg.Connection, make: Callable[[], MadeKey]) -> None:
        await connection.execute(_RETIRE)
        if await connection.fetchval(_PROMOTE) is None:
            await self._insert(connection, make(), "active")
        await self._insert(connection, make(), "next")

    async def _insert(
        self, connection: asyncpg.Connection, made: MadeKey, state: Literal["next", "active"]
    ) -> None:
        sealed = self._envelope.close(made.private, place_of(made.kid))
        await connection.execute(_INSERT, made.kid, made.public, sealed, state)


def place_of(kid: str) -> str:
    """Where a key's private part stands, for the envelope."""
    return f"accounts.token_key.sealed|{kid}"
