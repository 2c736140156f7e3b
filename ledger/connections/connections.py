"""Connections: where a customer's own storage is and what opens it, kept to be used and not seen.

Address and credentials are one sealed document, which this package does not read. It is written
whole and opened at its use alone: no list, answer or log line is made of it. To change anything of
it is to write all of it anew, so that credentials never meet an address that somebody else gave.
"""

import secrets
from datetime import datetime

import asyncpg
import msgspec

from ledger.database import Database
from ledger.envelope import Envelope
from ledger.errors import ConnectionsExceeded, ConnectionUnknown

# A list that a person can still read; a company with a bucket for each customer has one connection
# and a path for each.
ACCOUNT_CONNECTIONS_MAX = 50
# The longest session tokens have 2 KB.
PLAIN_BYTES_MAX = 12 * 1024
_ID_CHARS = 16
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

_COLUMNS = "id, kind, label, host, created_at, changed_at, last_used_at, checked_at, found"
# The lock makes two that come at once take turns at the limit.
_INSERT = f"""
with locked as materialized (
    select pg_advisory_xact_lock(hashtextextended('connections.connection', $2))),
counted as (
    select count(*) as connections from locked, connections.connection where account_id = $2)
insert into connections.connection (id, account_id, kind, label, host, sealed)
select $1, $2, $3, $4, $5, $6 from counted where connections < $7
returning {_COLUMNS}
"""  # noqa: S608 -- columns
_LIST = f"""
select {_COLUMNS} from connections.connection where account_id = $1 order by created_at, id
"""  # noqa: S608 -- columns
_GET = f"""
select {_COLUMNS} from connections.connection where account_id = $1 and id = $2
"""  # noqa: S608 -- columns
_REPLACE = f"""
update connections.connection
   set kind = $3, label = $4, host = $5, sealed = $6, changed_at = now(),
       checked_at = null, found = null
 where account_id = $1 and id = $2
returning {_COLUMNS}
"""  # noqa: S608 -- columns
_DELETE = "delete from connections.connection where account_id = $1 and id = $2"
_USE = """
update connections.connection set last_used_at = now()
 where account_id = $1 and id = $2 returning sealed
"""
_SEALED = "select sealed from connections.connection where account_id = $1 and id = $2"
_CHECKED = f"""
update connections.connection set checked_at = now(), found = $3
 where account_id = $1 and id = $2
returning {_COLUMNS}
"""  # noqa: S608 -- columns


class NewConnection(msgspec.Struct, frozen=True, kw_only=True):
    """What a connection is made of; `document` holds address and credentials."""

    kind: str
    label: str
    host: str
    document: bytes

    def __repr__(self) -> str:
        """Nothing of the credentials."""
        return f"NewConnection({self.kind})"


class Connection(msgspec.Struct, frozen=True, kw_only=True):
    """A connection as its owner sees it."""

    id: str
    kind: str
    label: str
    host: str
    created_at: datetime
    # When its credentials were given.
    changed_at: datetime
    last_used_at: datetime | None
    checked_at: datetime | None
    # What the last check of these credentials found.
    found: str | None


class Connections:
    """Connections of all accounts."""

    def __init__(self, database: Database, envelope: Envelope) -> None:
        self._database = database
        self._envelope = envelope

    async def create(self, account_id: int, new: NewConnection) -> Connection:
        """Make one. Raises ConnectionsExceeded, EnvelopeMissing, ValueError if it is too long."""
        connection_id = "".join(secrets.choice(_ALPHABET) for _ in range(_ID_CHARS))
        row = await self._database.row(
            *(_INSERT, connection_id, account_id, new.kind, new.label, new.host),
            self._close(new, account_id, connection_id),
            ACCOUNT_CONNECTIONS_MAX,
        )
        if row is None:
            raise ConnectionsExceeded(
                f"an account has at most {ACCOUNT_CONNECTIONS_MAX} connections; delete one"
            )
        return Connection(**row)

    async def list(self, account_id: int) -> "list[Connection]":
        """Give the account's connections, the oldest first."""
        return [Connection(**row) for row in await self._database.rows(_LIST, account_id)]

    async def get(self, account_id: int, connection_id: str) -> Connection:
        """Give one. Raises ConnectionUnknown."""
        return _found(await self._database.row(_GET, account_id, connection_id))

    async def replace(self, account_id: int, connection_id: str, new: NewConnection) -> Connection:
        """Write all of one anew under its old id. Raises ConnectionUnknown, as `create`."""
        sealed = self._close(new, account_id, connection_id)
        return _found(
            await self._database.row(
                *(_REPLACE, account_id, connection_id, new.kind, new.label, new.host, sealed)
            )
        )

    async def delete(self, account_id: int, connection_id: str) -> None:
        """Delete one. There being none is not an error."""
        async with self._database.session() as connection:
            await connection.execute(_DELETE, account_id, connection_id)

    async def open(self, account_id: int, connection_id: str, *, used: bool = True) -> bytes:
        """Give its document, in the clear, and note that it was `used`.

        Raises ConnectionUnknown, DamagedEnvelope, EnvelopeMissing.
        """
        sealed = await self._database.value(_USE if used else _SEALED, account_id, connection_id)
        if sealed is None:
            raise unknown()
        return self._envelope.open(sealed, place(account_id, connection_id))

    async def checked(self, account_id: int, connection_id: str, found: str) -> Connection:
        """Note what a check found. Raises ConnectionUnknown."""
        return _found(await self._database.row(_CHECKED, account_id, connection_id, found))

    def _close(self, new: NewConnection, account_id: int, connection_id: str) -> bytes:
        if len(new.document) > PLAIN_BYTES_MAX:
            raise ValueError(f"a connection has at most {PLAIN_BYTES_MAX} bytes")
        return self._envelope.close(new.document, place(account_id, connection_id))


def _found(row: asyncpg.Record | None) -> Connection:
    if row is None:
        raise unknown()
    return Connection(**row)


def place(account_id: int, connection_id: str) -> str:
    """Where the sealed document of a connection stands."""
    return f"connections.connection.sealed|{account_id}|{connection_id}"


def unknown() -> ConnectionUnknown:
    """Give the one sentence for a connection that is not there."""
    return ConnectionUnknown("there is no such connection of this account; see GET /v1/connections")
