"""Signed heads: what the chain of audit records was at a moment, under a key that is not here.

A superuser can rewrite the whole chain so that it holds together; what was signed and given out
before will not fit. The signature is Ed25519 over the JSON array

    ["ephemera-audit-head", seq, hash in hexadecimal, microseconds since 1970]

without spaces; whoever has the public key checks it with any program.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ledger.audit.record import Head
from ledger.database import Database
from ledger.people.person import Clock

EVERY = timedelta(hours=1)
# Twelve years of hours.
LIST_MAX = 100_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

_LAST = """
select r.seq, r.hash, h.seq as signed, h.at
  from (select seq, hash from audit.record order by seq desc limit 1) r
  left join lateral (select seq, at from audit.head order by seq desc limit 1) h on true
"""
_INSERT = """
insert into audit.head (seq, hash, at, kid, signature) values ($1, $2, $3, $4, $5)
on conflict do nothing
"""
_LIST = "select seq, hash, at, kid, signature from audit.head order by seq desc limit $1"

# What signs: gives the key's id and the signature.
Signer = Callable[[bytes], tuple[str, bytes]]


class SignedHead(msgspec.Struct, frozen=True, kw_only=True):
    """A head, when it was signed, and by which key."""

    seq: int
    hash: bytes
    at: datetime
    kid: str
    signature: bytes

    @property
    def head(self) -> Head:
        """The head alone."""
        return Head(self.seq, self.hash)

    def signed_by(self, keys: Mapping[str, Ed25519PublicKey]) -> bool:
        """Say whether one of these keys signed it as it is."""
        key = keys.get(self.kid)
        if key is None:
            return False
        try:
            key.verify(self.signature, words(self.seq, self.hash, self.at))
        except InvalidSignature:
            return False
        return True


class Heads:
    """Signs heads and lists them. Raises LedgerUnavailable."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def sign(self, signer: Signer, *, at_once: bool = False) -> SignedHead | None:
        """Sign the head if there is a new one and the last was signed an hour ago."""
        last = await self._database.row(_LAST)
        now = self._clock()
        if last is None or last["seq"] == last["signed"]:
            return None
        if not at_once and last["at"] is not None and now - last["at"] < EVERY:
            return None
        kid, signature = signer(words(last["seq"], last["hash"], now))
        signed = SignedHead(
            seq=last["seq"], hash=last["hash"], at=now, kid=kid, signature=signature
        )
        # Two gateways at once sign the same head; the first one's is kept.
        await self._database.value(_INSERT, *msgspec.structs.astuple(signed))
        return signed

    async def list(self, limit: int = LIST_MAX) -> "list[SignedHead]":
        """Give the signed heads, the newest first."""
        return [SignedHead(**row) for row in await self._database.rows(_LIST, limit)]


def words(seq: int, digest: bytes, at: datetime) -> bytes:
    """Give the bytes that are signed."""
    microseconds = (at - _EPOCH) // _MICROSECOND
    return msgspec.json.encode(["ephemera-audit-head", seq, digest.hex(), microseconds])
