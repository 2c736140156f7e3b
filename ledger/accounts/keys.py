"""API keys: shown once, stored as a keyed hash, believed for seconds, revoked at once.

A verified key is kept in memory for a few seconds, so that the next request costs no round trip.
Every change of a key or of an account's status is announced by PostgreSQL (NOTIFY), and then all
of that is forgotten (`believed.py`). What a key may do (`rights.py`) is said when it is made. To
replace a key is to make another one that may do the same; both work until the old one's time is up.

The secret of a signing key is kept, sealed, because its owner's signatures are checked with it.
"""

import asyncio
import hmac
import logging
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import asyncpg
import msgspec

from ledger.accounts.believed import Believed, Hearing
from ledger.accounts.caller import Caller
from ledger.accounts.key_uses import KeyUses
from ledger.accounts.rights import KeyKind, Network, Rights, Scope
from ledger.accounts.secret import (
    PREFIXES,
    Secret,
    hash_secret,
    key_id_of,
    new_secret,
    parse_secret,
    pepper_id,
)
from ledger.connection import Connector
from ledger.database import Database
from ledger.envelope import Envelope
from ledger.errors import AccountUnknown, KeysExceeded, KeyUnknown
from ledger.listening import listen
from ledger.settings import LedgerSettings

__all__ = ["ApiKey", "Caller", "Keys", "NewKey"]

LABEL_CHARS_MAX = 200
LIST_MAX = 1000
# Of an account, at one time. Somebody who needs more makes tokens.
KEYS_MAX = 100
# A week is a release cycle; longer is a second key and not a rotation.
OVERLAP_MAX = timedelta(days=7)
CHANNEL = "ephemera_keys"

# Serialises the making of one account's keys, so that the count is right.
_LOCK = "select pg_advisory_xact_lock(hashtextextended('accounts.api_key', $1))"
_COUNT = """
select count(*) from accounts.api_key
 where account_id = $1 and revoked_at is null and (expires_at is null or expires_at > now())
"""
_INSERT = """
insert into accounts.api_key (id, account_id, label, hash, pepper_id, last_four, kind, scopes,
    operations, addresses, day_max, month_max, expires_at, spender, sealed)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
returning id, account_id, label, kind, last_four, scopes, operations, addresses, day_max,
    month_max, created_at, expires_at, deprecated_at, last_used_at, revoked_at
"""
_KEYS = """
select k.id, k.account_id, k.label, k.kind, k.last_four, k.scopes, k.operations, k.addresses,
       k.day_max, k.month_max, k.created_at, k.expires_at, k.deprecated_at, k.last_used_at,
       k.revoked_at, k.spender
  from accounts.api_key k
"""
_LIST = f"{_KEYS} where k.account_id = $1 order by k.created_at, k.id limit $2"
_GET = f"{_KEYS} where k.id = $1 and k.account_id = $2"
_OLD = f"""{_KEYS}
 where k.id = $1 and k.account_id = $2 and k.revoked_at is null
   and (k.expires_at is null or k.expires_at > now())
   for update
"""
# What becomes a Caller (`caller_of`), and what shows that it is the one.
_VERIFY = """
select k.id, k.account_id, k.label, k.kind, k.scopes, k.operations, k.addresses, k.day_max,
       k.month_max, k.expires_at, k.deprecated_at, k.spender, k.hash, k.pepper_id,
       exists (select from accounts.suspension s
                where s.account_id = k.account_id and coalesce(s.key_id, k.id) = k.id) as suspended
  from accounts.api_key k join credits.account a on a.id = k.account_id
 where k.id = $1 and k.revoked_at is null and (k.expires_at is null or k.expires_at > now())
   and a.status <> 'closed'
"""
_REPLACED = """
update accounts.api_key
   set deprecated_at = now(), expires_at = least(expires_at, now() + $2) where id = $1
"""
_REVOKE = """
update accounts.api_key set revoked_at = coalesce(revoked_at, now())
 where id = $1 and ($2::bigint is null or account_id = $2) returning id
"""

_log = logging.getLogger(__name__)


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key as it is listed: everything but the secret."""

    id: str
    account_id: int
    label: str
    kind: KeyKind
    last_four: str
    scopes: frozenset[Scope]
    operations: tuple[str, ...]
    addresses: tuple[Network, ...]
    day_max: int | None
    month_max: int | None
    created_at: datetime
    expires_at: datetime | None
    deprecated_at: datetime | None
    # Within seconds.
    last_used_at: datetime | None
    revoked_at: datetime | None

    @property
    def prefix(self) -> str:
        """What may be shown of it: `eph_live_<id>`."""
        return PREFIXES[self.kind] + self.id


class NewKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key at the one moment its secret is known. Show it, then forget it."""

    id: str
    account_id: int
    label: str
    secret: str
    key: ApiKey

    def __repr__(self) -> str:
        return f"NewKey(id={self.id!r}, account_id={self.account_id})"


class Keys:
    """Makes, lists, replaces, revokes and verifies API keys."""

    def __init__(self, database: Database, settings: LedgerSettings, envelope: Envelope) -> None:
        self.hearing = Hearing()
        self.uses = KeyUses(database)
        self.believed = Believed[Caller](
            self.hearing, lasts_s=settings.key_cache_s, most=settings.key_cache_max
        )
        # Verifications under way, by the key's digest and `believed.since` when they began.
        self._asking: dict[tuple[bytes, int], asyncio.Task[Caller | None]] = {}
        self._database = database
        self._envelope = envelope
        self._pepper = settings.pepper
        self._pepper_id = pepper_id(settings.pepper)

    async def create(
        self,
        account_id: int,
        label: str,
        rights: Rights | None = None,
        *,
        kind: KeyKind = KeyKind.LIVE,
    ) -> NewKey:
        """Make a key for the account. Raises AccountUnknown, KeysExceeded, ValueError."""
        rights = rights or Rights()
        if not 1 <= len(label) <= LABEL_CHARS_MAX or "\x00" in label:
            raise ValueError(f"a key's label has 1 to {LABEL_CHARS_MAX} characters")
        if rights.expires_at is not None and rights.expires_at <= datetime.now(UTC):
            raise ValueError("the key's life would be over already")
        try:
            async with self._database.session() as connection, connection.transaction():
                return await self._insert(connection, account_id, label, rights, kind)
        except asyncpg.ForeignKeyViolationError as error:
            raise AccountUnknown(f"there is no account {account_id}") from error

    async def list(self, account_id: int) -> "list[ApiKey]":
        """Give the account's keys, revoked ones included, the oldest first."""
        return [_listed(row) for row in await self._database.rows(_LIST, account_id, LIST_MAX)]

    async def get(self, account_id: int, key: str) -> ApiKey:
        """Give one of the account's keys. Raises KeyUnknown."""
        row = await self._database.row(_GET, key_id_of(key), account_id)
        if row is None:
            raise _unknown(key)
        return _listed(row)

    async def rotate(self, account_id: int, key: str, overlap: timedelta) -> NewKey:
        """Make a key that may do the same; the old one ends after the overlap.

        Both draw on the same caps, and the new one ends when the old one would have. Raises
        KeyUnknown for one that is not in force, KeysExceeded, ValueError.
        """
        if not timedelta() <= overlap <= OVERLAP_MAX:
            raise ValueError(f"an overlap is at most {OVERLAP_MAX.days} days")
        async with self._database.session() as connection, connection.transaction():
            row = await connection.fetchrow(_OLD, key_id_of(key), account_id)
            if row is None:
                raise _unknown(key)
            old = _listed(row)
            rights = Rights(
                scopes=old.scopes,
                operations=old.operations,
                addresses=old.addresses,
                day_max=old.day_max,
                month_max=old.month_max,
                expires_at=old.expires_at,
            )
            new = await self._insert(
                *(connection, account_id, old.label, rights, old.kind),
                spender=row["spender"] or old.id,
            )
            await connection.execute(_REPLACED, old.id, overlap)
        self.forget()
        return new

    async def revoke(self, key: str, account_id: int | None = None) -> None:
        """Revoke a key, given its id or its visible prefix `eph_live_<id>`. Raises KeyUnknown.

        With an account, only one of that one's.
        """
        if await self._database.value(_REVOKE, key_id_of(key), account_id) is None:
            raise _unknown(key)
        self.forget()

    async def authenticate(self, text: str) -> Caller | None:
        """Give who speaks with this key; None for a malformed, wrong, expired or revoked one.

        Raises LedgerUnavailable when the key is not in memory and PostgreSQL is away.
        """
        secret = parse_secret(text)
        if secret is None:
            return None
        digest = hash_secret(secret, self._pepper)
        caller = self.believed.get(digest)
        if caller is None:
            since = self.believed.since()
            caller = await self._verified(secret, digest, since)
            if caller is None:
                return None
            self.believed.remember(digest, caller, since=since, lasts_s=left_s(caller.expires_at))
        self.uses.note(caller.key_id)
        return caller

    def forget(self) -> None:
        """Believe no key without asking again."""
        self.hearing.forget()

    async def listen(self, connector: Connector) -> None:
        """Forget on every announcement, until cancelled. Takes one connection."""
        await listen(connector, CHANNEL, heard=lambda _: self.forget(), hearing=self.hearing.set)

    async def _verified(self, secret: Secret, digest: bytes, since: int) -> Caller | None:
        """As `_verify`, asked once for all who show the key while the answer is on its way.

        Otherwise a thousand requests that find a busy key forgotten would wait for eight
        connections, longer than anybody may. Who comes after an announcement asks anew.
        """
        asking = self._asking.get((digest, since))
        if asking is None:
            asking = asyncio.create_task(self._verify(secret, digest))
            self._asking[digest, since] = asking
            asking.add_done_callback(partial(self._answered, (digest, since)))
        # Whoever asked first may hang up; the others still wait.
        return await asyncio.shield(asking)

    def _answered(self, what: tuple[bytes, int], asking: asyncio.Task[Caller | None]) -> None:
        del self._asking[what]
        if not asking.cancelled():
            asking.exception()  # seen: all who waited may be gone

    async def _verify(self, secret: Secret, digest: bytes) -> Caller | None:
        row = await self._database.row(_VERIFY, secret.key_id)
        if row is None:
            return None
        if row["pepper_id"] != self._pepper_id:
            _log.error(
                "the key %s was made with another pepper; set the pepper it was made with",
                secret.key_id,
            )
            return None
        if not hmac.compare_digest(row["hash"], digest):
            return None
        return caller_of(row)

    async def _insert(
        self,
        connection: asyncpg.Connection,
        account_id: int,
        label: str,
        rights: Rights,
        kind: KeyKind,
        *,
        spender: str | None = None,
    ) -> NewKey:
        await connection.execute(_LOCK, account_id)
        if await connection.fetchval(_COUNT, account_id) >= KEYS_MAX:
            raise KeysExceeded(f"an account has at most {KEYS_MAX} keys; revoke one first")
        secret = new_secret(kind)
        sealed = None
        if kind is KeyKind.SIGNING:
            sealed = self._envelope.close(secret.text.encode(), place_of(secret.key_id))
        row = await connection.fetchrow(
            _INSERT,
            *(secret.key_id, account_id, label),
            *(hash_secret(secret, self._pepper), self._pepper_id, secret.text[-4:], kind),
            *(sorted(rights.scopes), list(rights.operations), list(rights.addresses)),
            *(rights.day_max, rights.month_max, rights.expires_at, spender, sealed),
        )
        return NewKey(
            id=secret.key_id,
            account_id=account_id,
            label=label,
            secret=secret.text,
            key=_listed(row),
        )


def caller_of(row: asyncpg.Record) -> Caller:
    """Make a caller of a row: what its key may do."""
    kind = KeyKind(row["kind"])
    rights = _rights(row)
    return Caller(
        account_id=row["account_id"],
        key_id=row["id"],
        label=row["label"],
        scopes=frozenset(row["scopes"]),
        test=kind is KeyKind.TEST,
        addresses=rights.addresses,
        terms=rights.terms(kind, row["spender"] or row["id"]),
        expires_at=row["expires_at"],
        deprecated_at=row["deprecated_at"],
        suspended=row["suspended"],
    )


def place_of(key_id: str) -> str:
    """Where a signing key's secret stands, for the envelope."""
    return f"accounts.api_key.sealed|{key_id}"


def left_s(until: datetime | None) -> float | None:
    """Seconds until then; None for never."""
    return None if until is None else (until - datetime.now(UTC)).total_seconds()


def _rights(row: asyncpg.Record) -> Rights:
    return Rights(
        scopes=_scopes(row),
        operations=tuple(row["operations"]),
        addresses=tuple(row["addresses"]),
        day_max=row["day_max"],
        month_max=row["month_max"],
        expires_at=row["expires_at"],
    )


def _scopes(row: asyncpg.Record) -> frozenset[Scope]:
    return frozenset(Scope(scope) for scope in row["scopes"])


def _listed(row: asyncpg.Record) -> ApiKey:
    facts: dict[str, Any] = {name: row[name] for name in ApiKey.__struct_fields__}
    return ApiKey(
        **facts
        | {
            "kind": KeyKind(row["kind"]),
            "scopes": _scopes(row),
            "operations": tuple(row["operations"]),
            "addresses": tuple(row["addresses"]),
        }
    )


def _unknown(key: str) -> KeyUnknown:
    return KeyUnknown(f"there is no key {key_id_of(key)[:40]!r}; see GET /v1/keys")
