"""What a token says, as a type: what is read is believed only after its signature was checked.

Ours follow RFC 9068 (`typ: at+jwt`). Those that customers sign follow what ConvertAPI takes: only
`exp` is required. What narrows the powers of either has the same names in both.
"""

import base64
import binascii
import re
from typing import Any

import msgspec

from ledger.accounts.tokens import JTI_CHARS_MAX

# Claims of ours with full lists stay far below; and nothing longer is looked at.
TOKEN_CHARS_MAX = 4096
# RFC 9068: keeps a token of another kind, signed with the same key, from counting as this one.
TYPE = "at+jwt"
# Clients write these; ConvertAPI's documentation speaks of a client's IP and names no claim.
_ADDRESS_NAMES = ("ip", "client_ip", "clientIp", "clientIP", "ClientIp", "ClientIP")
# Header parameters that point at a key or change what is signed: an attack, or a mistake.
_FORBIDDEN = frozenset({"crit", "b64", "zip", "jku", "jwk", "x5u", "x5c", "x5t", "x5t#S256"})

_JTI = re.compile(rf"[\x21-\x7e]{{1,{JTI_CHARS_MAX}}}")

_Texts = str | tuple[str, ...]


class TokenMalformed(ValueError):
    """The text is no token of a kind that is known here. Says why, for the log."""


class Head(msgspec.Struct, frozen=True):
    """The header: which key is said to have signed it. Nothing of it is believed."""

    alg: str
    kid: str
    typ: str | None = None


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    """The payload. Times are seconds since 1970."""

    exp: float
    iat: float | None = None
    nbf: float | None = None
    iss: str | None = None
    aud: _Texts = ()
    sub: str | None = None
    # The id of the API key that it stands for (RFC 9068).
    client_id: str | None = None
    jti: str | None = None
    # With spaces between them (RFC 8693); None: all that its key has and a token may.
    scope: str | None = None
    ops: tuple[str, ...] = ()
    max_bytes: int | None = None
    one_shot: bool = False
    # Addresses or networks; under any of these names.
    ip: _Texts = ()
    client_ip: _Texts = ()
    clientIp: _Texts = ()  # noqa: N815 (as clients write it)
    clientIP: _Texts = ()  # noqa: N815 (as clients write it)
    ClientIp: _Texts = ()
    ClientIP: _Texts = ()

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        if self.jti is not None and not _JTI.fullmatch(self.jti):
            raise ValueError(f"jti has 1 to {JTI_CHARS_MAX} visible characters")
        if self.one_shot and self.jti is None:
            raise ValueError("one_shot needs a jti")
        if self.max_bytes is not None and self.max_bytes < 1:
            raise ValueError("max_bytes is at least 1")

    @property
    def audience(self) -> tuple[str, ...]:
        """For whom it is; empty: nothing is said."""
        return _several(self.aud)

    @property
    def addresses(self) -> tuple[str, ...]:
        """From where it may be shown; empty: from anywhere."""
        return tuple(text for name in _ADDRESS_NAMES for text in _several(getattr(self, name)))


def head_of(text: str) -> Head:
    """Read the header of a token whose signature was not checked. Raises TokenMalformed."""
    if len(text) > TOKEN_CHARS_MAX or text.count(".") != 2:  # noqa: PLR2004 (header.payload.signature)
        raise TokenMalformed("not three parts, or too long")
    decoded = _decoded(_part(text.partition(".")[0]), dict[str, Any])
    if forbidden := _FORBIDDEN & decoded.keys():
        raise TokenMalformed(f"header parameter {min(forbidden)}")
    try:
        return msgspec.convert(decoded, Head)
    except msgspec.ValidationError as error:
        raise TokenMalformed(f"header: {error}") from error


def claims_of(payload: bytes) -> Claims:
    """Read the payload. Raises TokenMalformed."""
    read: Claims = _decoded(payload, Claims)
    return read


def unverified(text: str) -> Claims:
    """What a token says whose signature was not checked; to look something up by it, no more."""
    return claims_of(_part(text.split(".")[1]))


def _decoded(encoded: bytes, kind: Any) -> Any:
    try:
        return msgspec.json.decode(encoded, type=kind)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise TokenMalformed(f"not as it should be: {error}") from error


def _part(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise TokenMalformed("not base64url") from error


def _several(texts: _Texts) -> tuple[str, ...]:
    return (texts,) if isinstance(texts, str) else texts
