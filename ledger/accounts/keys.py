"""API keys: shown once, stored as a keyed hash, believed for seconds, revoked at once.

A verified key is kept in memory for a few seconds, so that the next request costs no round trip.
Every change of a key or of an account's status is announced by PostgreSQL (NOTIFY), and then all
of that is forgotten; while nobody listens (the connection is broken, or a pooler stands between)
nothing is kept for longer than a moment.
"""

import hmac
import logging
import time
from datetime import datetime

import asyncpg
import msgspec

from ledger.accounts.secret import Secret, hash_secret, new_secret, parse_secret, pepper_id
from ledger.availability import Availability
from ledger.connection import Connector
from ledger.database import Database
from ledger.errors import AccountUnknown, KeyUnknown
from ledger.listening import listen
from ledger.settings import LedgerSettings

LABEL_CHARS_MAX = 200
LIST_MAX = 1000
CHANNEL = "ephemera_keys"

_INSERT = """
insert into accounts.api_key (id, account_id, label, hash, pepper_id, last_four)
values ($1, $2, $3, $4, $5, $6) returning created_at
"""
_VERIFY = """
select k.hash, k.pepper_id, k.account_id, k.id as key_id, k.label
  from accounts.api_key k join credits.account a on a.id = k.account_id
 where k.id = $1 and k.revoked_at is null and a.status <> 'closed'
"""
_LIST = """
select id, account_id, label, last_four, created_at, revoked_at
  from accounts.api_key where account_id = $1 order by created_at, id limit $2
"""
_REVOKE = """
update accounts.api_key set revoked_at = coalesce(revoked_at, now()) where id = $1 returning id
"""
# Without announcements a revocation must still hold within a second.
_UNHEARD_CACHE_S = 0.5

_log = logging.getLogger(__name__)


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key as it is listed: everything but the secret."""

    id: str
    account_id: int
    label: str
    last_four: str
    created_at: datetime
    revoked_at: datetime | None


class NewKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key at the one moment its secret is known. Show it, then forget it."""

    id: str
    account_id: int
    label: str
    secret: str

    def __repr__(self) -> str:
        return f"NewKey(id={self.id!r}, account_id={self.account_id})"


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who speaks: the result of a successful authentication."""

    account_id: int
    key_id: str
    label: str


class Keys:
    """Makes, lists, revokes and verifies API keys."""

    def __init__(
        self, database: Database, availability: Availability, settings: LedgerSettings
    ) -> None:
        self._database = database
        self._availability = availability
        self._pepper = settings.pepper
        self._pepper_id = pepper_id(settings.pepper)
        self._cache_s = settings.key_cache_s
        self._cache_max = settings.key_cache_max
        self._cache: dict[bytes, tuple[float, Caller]] = {}
        self._generation = 0
        self._heard = False

    async def create(self, account_id: int, label: str) -> NewKey:
        """Make a key for the account. Raises AccountUnknown."""
        if not 1 <= len(label) <= LABEL_CHARS_MAX:
            raise ValueError(f"a key's label has 1 to {LABEL_CHARS_MAX} characters")
        secret = new_secret()
        try:
            await self._database.value(
                _INSERT,
                secret.key_id,
                account_id,
                label,
                hash_secret(secret, self._pepper),
                self._pepper_id,
                secret.text[-4:],
            )
        except asyncpg.ForeignKeyViolationError as error:
            raise AccountUnknown(f"there is no account {account_id}") from error
        return NewKey(id=secret.key_id, account_id=account_id, label=label, secret=secret.text)

    async def list(self, account_id: int) -> "list[ApiKey]":
        """Give the account's keys, revoked ones included, the oldest first."""
        return [ApiKey(**row) for row in await self._database.rows(_LIST, account_id, LIST_MAX)]

    async def revoke(self, key: str) -> None:
        """Revoke a key, given its id or its visible prefix `eph_live_<id>`. Raises KeyUnknown."""
        key_id = key.removeprefix("eph_live_").partition("_")[0]
        if await self._database.value(_REVOKE, key_id) is None:
            raise KeyUnknown(f"there is no key {key_id!r}")
        self.forget()

    async def authenticate(self, text: str) -> Caller | None:
        """Give who speaks with this key; None for a malformed, wrong or revoked one.

        Raises LedgerUnavailable when the key is not in memory and PostgreSQL is away.
        """
        secret = parse_secret(text)
        if secret is None:
            return None
        digest = hash_secret(secret, self._pepper)
        cached = self._cache.get(digest)
        if cached is not None and time.monotonic() < cached[0]:
            return cached[1]
        generation = self._generation
        caller = await self._verify(secret, digest)
        # A revocation that was announced while we asked may be newer than the answer.
        if caller is not None and generation == self._generation:
            self._remember(digest, caller)
        return caller

    def forget(self) -> None:
        """Believe no key without asking again."""
        self._generation += 1
        self._cache.clear()

    async def listen(self, connector: Connector) -> None:
        """Forget on every announcement, until cancelled. Takes one connection."""
        await listen(connector, CHANNEL, heard=lambda _: self.forget(), hearing=self._set_hearing)

    def _set_hearing(self, now: bool) -> None:
        self._heard = now
        # What was announced in between was not heard.
        self.forget()

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
        return Caller(account_id=row["account_id"], key_id=row["key_id"], label=row["label"])

    def _remember(self, digest: bytes, caller: Caller) -> None:
        if len(self._cache) >= self._cache_max:
            # The oldest tenth: dictionaries keep the order of insertion.
            for old in list(self._cache)[: max(1, self._cache_max // 10)]:
                del self._cache[old]
        age_s = self._cache_s if self._heard else min(self._cache_s, _UNHEARD_CACHE_S)
        self._cache[digest] = (time.monotonic() + age_s, caller)
