"""What the database knows of tokens: the keys they stand for, and which ended before their time.

A token itself is kept nowhere. It is good while its signature is (`gateway/tokens/`), its key is in
force, its owner has denied neither it nor all tokens of its time, and, if it is good for a single
request, while nobody has used it.
"""

from datetime import datetime, timedelta

import msgspec

from ledger.accounts.caller import Caller
from ledger.accounts.key_uses import KeyUses
from ledger.accounts.keys import Keys, caller_of, place_of
from ledger.accounts.token_keys import TokenKeys
from ledger.database import Database
from ledger.envelope import Envelope
from ledger.errors import AccountUnknown

JTI_CHARS_MAX = 100
# No token lives longer, whoever signs it; so nothing of it is remembered for longer.
LIFETIME_MAX = timedelta(hours=24)
# Between the clocks of those who sign and ours.
_SLACK = timedelta(minutes=5)

_STANDING = """
select k.id, k.account_id, k.label, k.kind, k.scopes, k.operations, k.addresses, k.day_max,
       k.month_max, k.expires_at, k.deprecated_at, k.spender, k.sealed, p.tokens_not_before,
       exists (select from accounts.token_ended e
                where e.account_id = k.account_id and e.jti = $2) as ended,
       exists (select from accounts.suspension s
                where s.account_id = k.account_id and coalesce(s.key_id, k.id) = k.id) as suspended
  from accounts.api_key k
  join credits.account a on a.id = k.account_id and a.status <> 'closed'
  join accounts.profile p on p.account_id = k.account_id
 where k.id = $1 and k.revoked_at is null and (k.expires_at is null or k.expires_at > now())
"""
_SPEND = """
insert into accounts.token_ended (account_id, jti, denied, expires_at) values ($1, $2, false, $3)
on conflict do nothing returning true
"""
_DENY = """
insert into accounts.token_ended (account_id, jti, denied, expires_at)
values ($1, $2, true, now() + $3)
on conflict (account_id, jti) do update set denied = true, expires_at = excluded.expires_at
"""
_DENY_ALL = """
update accounts.profile set tokens_not_before = greatest(now(), $2::timestamptz)
 where account_id = $1 returning true
"""


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What is true of a token's key and of the token at this moment."""

    caller: Caller
    # Of a signing key: what its owner signs with.
    secret: bytes | None
    # Tokens that were signed before are refused.
    not_before: datetime | None
    ended: bool

    def __repr__(self) -> str:
        return f"Standing(key_id={self.caller.key_id!r}, ended={self.ended})"


class Tokens:
    """The tokens of all accounts."""

    def __init__(self, database: Database, envelope: Envelope, keys: Keys) -> None:
        self.keys = TokenKeys(database, envelope)
        self.hearing = keys.hearing
        self.uses: KeyUses = keys.uses
        self._database = database
        self._envelope = envelope

    async def standing(self, key_id: str, jti: str | None) -> Standing | None:
        """Give what is known of a token by its key and its id; None where the key is not in force.

        Raises LedgerUnavailable, DamagedEnvelope, EnvelopeMissing.
        """
        row = await self._database.row(_STANDING, key_id, jti)
        if row is None:
            return None
        sealed = row["sealed"]
        return Standing(
            caller=caller_of(row),
            secret=None if sealed is None else self._envelope.open(sealed, place_of(key_id)),
            not_before=row["tokens_not_before"],
            ended=row["ended"],
        )

    async def spend(self, account_id: int, jti: str, expires_at: datetime) -> bool:
        """Use a token that is good for one request; says whether this was that request."""
        return bool(await self._database.value(_SPEND, account_id, jti, expires_at + _SLACK))

    async def deny(self, account_id: int, jti: str) -> None:
        """Refuse a token from now on, everywhere. One that never was is none the worse for it."""
        if not 1 <= len(jti) <= JTI_CHARS_MAX or "\x00" in jti:
            raise ValueError(f"a token's id has 1 to {JTI_CHARS_MAX} characters")
        await self._database.value(_DENY, account_id, jti, LIFETIME_MAX + _SLACK)
        self.hearing.forget()

    async def deny_all(self, account_id: int, now: datetime) -> None:
        """Refuse all tokens of the account that were signed until now, by the clock of who signs.

        Raises AccountUnknown.
        """
        if not await self._database.value(_DENY_ALL, account_id, now):
            raise AccountUnknown(f"there is no account {account_id}")
        self.hearing.forget()
