"""Where tokens are issued and checked, and where the keys that sign them change.

A token that was found good is believed for seconds, as an API key is, and forgotten by the same
announcements: a revoked key, a denied token and a closed account end it everywhere at once. One
that is good for a single request is never kept; its first use is written down, so that no other
gateway takes it either. It is used by the first request that shows it, whatever becomes of that.
"""

import asyncio
import hashlib
import random
import re
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta

import msgspec
import structlog
from joserfc import jws

from gateway.tokens import checking
from gateway.tokens.claims import (
    TOKEN_CHARS_MAX,
    TYPE,
    Claims,
    TokenMalformed,
    head_of,
    unverified,
)
from gateway.tokens.ring import PublishedKeys, Ring, make
from gateway.tokens.settings import TokensConfig
from ledger.accounts.believed import Believed
from ledger.accounts.caller import Caller
from ledger.accounts.keys import left_s
from ledger.accounts.rights import KeyKind, Network, Scope
from ledger.accounts.secret import ID_CHARS, PREFIXES, key_id_of
from ledger.accounts.tokens import Standing
from ledger.errors import LedgerUnavailable
from ledger.ledger import Ledger

LIFETIME_S = 300
# Long enough for a page that uploads a few files; a longer one is asked for again.
LIFETIME_S_MAX = 900
_BELIEVED_S = 10.0
_BELIEVED_MAX = 10_000
# Whether a key's time is up is looked at this often; it is a matter of days.
_ROTATION_PAUSE_S = 3600.0

# A signing key's id, or what is shown of it.
_KID = re.compile(rf"(?:{PREFIXES[KeyKind.SIGNING]})?[0-9A-Za-z]{{{ID_CHARS}}}")

log = structlog.get_logger()
_Clock = Callable[[], float]


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What a token is to be good for, beside what its key may."""

    scopes: frozenset[Scope]
    lifetime_s: int = LIFETIME_S
    operations: tuple[str, ...] = ()
    bytes_max: int | None = None
    one_shot: bool = False
    addresses: tuple[str, ...] = ()


class Issued(msgspec.Struct, frozen=True, kw_only=True):
    """A token at the one moment it is known here."""

    token: str
    jti: str
    expires_at: datetime

    def __repr__(self) -> str:
        return f"Issued(jti={self.jti!r})"


class TokenDesk:
    """Issues and checks tokens, for one application."""

    def __init__(self, ledger: Ledger, config: TokensConfig, clock: _Clock = time.time) -> None:
        self._tokens = ledger.tokens
        self._config = config
        self._clock = clock
        self._ring = Ring(ledger.tokens)
        self._believed = Believed[tuple[float, Caller]](
            ledger.tokens.hearing, lasts_s=_BELIEVED_S, most=_BELIEVED_MAX
        )

    async def issue(self, caller: Caller, wanted: Wanted) -> Issued:
        """Sign a token for the caller's key. Raises EnvelopeMissing, LedgerUnavailable."""
        now, jti = self._clock(), secrets.token_urlsafe(16)
        expires = now + wanted.lifetime_s
        if caller.expires_at is not None:
            expires = min(expires, caller.expires_at.timestamp())
        claims = Claims(
            iss=self._config.audience,
            aud=self._config.audience,
            sub=str(caller.account_id),
            client_id=caller.key_id,
            jti=jti,
            # Not whole seconds: "all tokens until now" is to be exact.
            iat=round(now, 6),
            exp=int(expires),
            scope=" ".join(sorted(wanted.scopes)),
            ops=wanted.operations,
            max_bytes=wanted.bytes_max,
            one_shot=wanted.one_shot,
            ip=wanted.addresses,
        )
        key = await self._ring.signing()
        head = {"alg": checking.OURS, "typ": TYPE, "kid": key.kid}
        text = jws.serialize_compact(
            head, msgspec.json.encode(_said(claims)), key, algorithms=[checking.OURS]
        )
        return Issued(token=text, jti=jti, expires_at=checking.end_of(claims))

    async def caller(self, text: str) -> Caller | None:
        """Who shows this token; None for one that is not good. Raises LedgerUnavailable."""
        if len(text) > TOKEN_CHARS_MAX:
            return None
        digest = hashlib.blake2b(text.encode(errors="replace"), digest_size=32).digest()
        believed = self._believed.get(digest)
        if believed is not None and self._clock() < believed[0]:
            self._tokens.uses.note(believed[1].key_id)
            return believed[1]
        try:
            return await self._checked(text, digest)
        except TokenMalformed as error:
            log.info("token_refused", reason=str(error))
            return None

    async def published(self) -> PublishedKeys:
        """The public keys. Raises LedgerUnavailable."""
        return (await self._ring.loaded()).published

    async def deny(self, account_id: int, jti: str) -> None:
        """Refuse one token of the account from now on."""
        await self._tokens.deny(account_id, jti)

    async def deny_all(self, account_id: int) -> None:
        """Refuse all tokens of the account that were signed until now."""
        await self._tokens.deny_all(account_id, datetime.fromtimestamp(self._clock(), UTC))

    @asynccontextmanager
    async def rotating(self) -> AsyncIterator[None]:
        """Change the keys when their time is up, for the length of the block."""
        job = asyncio.create_task(self._rotate())
        try:
            yield
        finally:
            job.cancel()
            with suppress(asyncio.CancelledError):
                await job

    async def _rotate(self) -> None:
        period = timedelta(seconds=self._config.rotation_s)
        while True:
            try:
                if await self._tokens.keys.rotate(make, older_than=period):
                    log.info("token_key_rotated")
            except LedgerUnavailable:
                pass  # in an hour
            except Exception as error:
                log.error("token_key_not_rotated", exc_info=error)
            pause_s = _ROTATION_PAUSE_S * random.uniform(0.5, 1.5)  # noqa: S311 (not a secret)
            await asyncio.sleep(pause_s)

    async def _checked(self, text: str, digest: bytes) -> Caller | None:
        head, since, now = head_of(text), self._believed.since(), self._clock()
        bound: tuple[Network, ...] = ()
        audience = self._config.audience
        if key := (await self._ring.loaded()).by_kid.get(head.kid):
            claims = checking.issued(text, head, key, audience=audience, now=now)
            # Where a key may be used from says nothing of whom it makes tokens for.
            standing = await self._standing(str(claims.client_id), claims.jti)
        else:
            if not _KID.fullmatch(head.kid):
                raise TokenMalformed("its kid is no key")
            standing = await self._standing(key_id_of(head.kid), unverified(text).jti)
            if standing.secret is None:
                raise TokenMalformed("its kid is no signing key")
            claims = checking.self_signed(text, head, standing.secret, audience=audience, now=now)
            bound = standing.caller.addresses
        checking.check_not_before(claims, standing.not_before)
        caller = checking.narrowed(standing.caller, claims, bound=bound)
        await self._believe(digest, caller, claims, since)
        self._tokens.uses.note(caller.key_id)
        return caller

    async def _standing(self, key_id: str, jti: str | None) -> Standing:
        standing = await self._tokens.standing(key_id, jti)
        if standing is None or standing.ended:
            raise TokenMalformed("its key is not in force, or it was denied or used")
        return standing

    async def _believe(self, digest: bytes, caller: Caller, claims: Claims, since: int) -> None:
        if claims.one_shot and claims.jti is not None:
            end = checking.end_of(claims)
            if not await self._tokens.spend(caller.account_id, claims.jti, end):
                raise TokenMalformed("it was good for one request, and used")
            return
        self._believed.remember(
            digest, (claims.exp, caller), since=since, lasts_s=left_s(caller.expires_at)
        )


def _said(claims: Claims) -> dict[str, object]:
    """Only what says something."""
    said = msgspec.structs.asdict(claims)
    return {name: value for name, value in said.items() if value not in (None, (), False)}
