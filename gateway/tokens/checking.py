"""Whether a token's signature and claims are good, as far as that needs no database. Pure.

The algorithm is the key's and never the header's choice: a key of ours is Ed25519 and nothing else,
a customer's is HS256 and nothing else. So neither `none`, nor a public key used as an HMAC secret,
nor one kind of token in the place of the other is ever tried.
"""

from datetime import UTC, datetime
from typing import Literal

import msgspec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OctKey, OKPKey

from gateway.tokens.claims import TYPE, Claims, Head, TokenMalformed, claims_of
from ledger.accounts.caller import Caller
from ledger.accounts.rights import (
    ADDRESSES_MAX,
    TOKEN_SCOPES,
    Network,
    check_operations,
    network,
)
from ledger.accounts.tokens import LIFETIME_MAX

# Of the clock of whoever signed, against ours; an expiry has none.
LEEWAY_S = 60.0
OURS: Literal["Ed25519"] = "Ed25519"
CUSTOMERS: Literal["HS256"] = "HS256"


def issued(text: str, head: Head, key: OKPKey, *, audience: str, now: float) -> Claims:
    """The claims of a token of ours. Raises TokenMalformed for one that is not good."""
    if head.alg != OURS or (head.typ or "").lower() != TYPE:
        raise TokenMalformed("not the algorithm or the type of our tokens")
    claims = _verified(text, key, OURS)
    if claims.iss != audience or audience not in claims.audience:
        raise TokenMalformed("of or for another service")
    if claims.iat is None or claims.jti is None or claims.client_id is None:
        raise TokenMalformed("iat, jti or client_id is missing")
    _check_times(claims, now)
    return claims


def self_signed(text: str, head: Head, secret: bytes, *, audience: str, now: float) -> Claims:
    """The claims of a token that a customer signed. Raises TokenMalformed if it is not good."""
    if head.alg != CUSTOMERS or (head.typ or "JWT").upper() != "JWT":
        raise TokenMalformed("not the algorithm or the type of self-signed tokens")
    claims = _verified(text, OctKey.import_key(secret), CUSTOMERS)
    if claims.audience and audience not in claims.audience:
        raise TokenMalformed("for another service")
    _check_times(claims, now)
    return claims


def check_not_before(claims: Claims, not_before: datetime | None) -> None:
    """Raise TokenMalformed for one that was signed before its owner refused all until then.

    One that does not say when it was signed may be such a one.
    """
    if not_before is not None and (claims.iat or 0.0) <= not_before.timestamp():
        raise TokenMalformed("all tokens of its time were denied")


def narrowed(caller: Caller, claims: Claims, *, bound: tuple[Network, ...]) -> Caller:
    """Who speaks: the key, with no more powers than its token has. Raises TokenMalformed.

    `bound` are addresses that the token cannot lead out of.
    """
    scopes = caller.scopes & TOKEN_SCOPES
    if claims.scope is not None:
        scopes &= frozenset(claims.scope.split())
    try:
        check_operations(claims.ops)
        addresses = _addresses(claims, bound)
    except ValueError as error:  # which says the value, and that is for no log
        raise TokenMalformed("its operations or its addresses") from error
    terms = msgspec.structs.replace(
        caller.terms,
        operations=caller.terms.operations + ((claims.ops,) if claims.ops else ()),
        bytes_max=claims.max_bytes,
    )
    return msgspec.structs.replace(
        caller, scopes=scopes, addresses=addresses, terms=terms, token=True
    )


def end_of(claims: Claims) -> datetime:
    """When it expires."""
    return datetime.fromtimestamp(claims.exp, UTC)


def _verified(text: str, key: OKPKey | OctKey, algorithm: str) -> Claims:
    try:
        signed = jws.deserialize_compact(text, key, algorithms=[algorithm])
    except (JoseError, ValueError) as error:
        raise TokenMalformed("its signature") from error
    return claims_of(signed.payload)


def _check_times(claims: Claims, now: float) -> None:
    longest_s = LIFETIME_MAX.total_seconds()
    if claims.exp <= now:
        raise TokenMalformed("expired")
    if claims.exp - now > longest_s or claims.exp - (claims.iat or claims.exp) > longest_s:
        raise TokenMalformed("it would live for more than 24 hours")
    if max(claims.nbf or 0.0, claims.iat or 0.0) > now + LEEWAY_S:
        raise TokenMalformed("not valid yet")


def _addresses(claims: Claims, bound: tuple[Network, ...]) -> tuple[Network, ...]:
    if len(claims.addresses) > ADDRESSES_MAX:
        raise ValueError(f"at most {ADDRESSES_MAX} addresses")
    claimed = tuple(network(text) for text in claims.addresses)
    if not all(_within(one, bound) for one in claimed):
        raise ValueError("an address outside of those of its key")
    return claimed or bound


def _within(one: Network, bound: tuple[Network, ...]) -> bool:
    return not bound or any(
        one.version == other.version and one.subnet_of(other)  # type: ignore[arg-type]
        for other in bound
    )
