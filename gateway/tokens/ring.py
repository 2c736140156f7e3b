"""The keys that sign our tokens, in this process: from the ledger, believed until they change."""

import base64
from collections.abc import Mapping
from typing import Literal

import msgspec
from joserfc.jwk import OKPKey

from ledger.accounts.believed import Believed
from ledger.accounts.token_keys import MadeKey, TokenKey, TokenKeys
from ledger.accounts.tokens import Tokens

# Changes are announced; this is how long one is unheard of at most.
_BELIEVED_S = 60.0
_CURVE: Literal["Ed25519"] = "Ed25519"


class PublishedKey(msgspec.Struct, frozen=True, kw_only=True):
    """A public key as a JSON Web Key (RFC 8037)."""

    kid: str
    x: str
    kty: str = "OKP"
    crv: str = _CURVE
    alg: str = "Ed25519"
    use: str = "sig"


class PublishedKeys(msgspec.Struct, frozen=True, kw_only=True):
    """A JSON Web Key Set: the key that signs, the next one, and those whose tokens still live."""

    keys: tuple[PublishedKey, ...]


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """All keys at one moment."""

    by_kid: Mapping[str, OKPKey]
    active: TokenKey | None
    published: PublishedKeys


class Ring:
    """What `ledger.tokens.keys` holds, ready to sign and to check with."""

    def __init__(self, tokens: Tokens) -> None:
        self._keys: TokenKeys = tokens.keys
        self._believed = Believed[Loaded](tokens.hearing, lasts_s=_BELIEVED_S, most=1)

    async def loaded(self) -> Loaded:
        """Give all keys. Raises LedgerUnavailable."""
        loaded = self._believed.get(b"")
        if loaded is None:
            since = self._believed.since()
            keys = await self._keys.list()
            loaded = Loaded(
                by_kid={key.kid: _public(key.public) for key in keys},
                active=next((key for key in keys if key.state == "active"), None),
                published=PublishedKeys(
                    keys=tuple(PublishedKey(kid=key.kid, x=_text(key.public)) for key in keys)
                ),
            )
            self._believed.remember(b"", loaded, since=since)
        return loaded

    async def signing(self) -> OKPKey:
        """Give the key that signs; the first one is made now. Raises EnvelopeMissing."""
        active = (await self.loaded()).active
        if active is None:
            await self._keys.begin(make)
            active = next(key for key in await self._keys.list() if key.state == "active")
        private = _text(self._keys.private(active))
        return OKPKey.import_key(
            {
                "kty": "OKP",
                "crv": _CURVE,
                "x": _text(active.public),
                "d": private,
                "kid": active.kid,
            }
        )


def make() -> MadeKey:
    """A new key, named by its thumbprint (RFC 7638)."""
    key = OKPKey.generate_key(_CURVE)
    parts = key.as_dict(private=True)
    return MadeKey(
        kid=key.thumbprint(), public=_bytes(str(parts["x"])), private=_bytes(str(parts["d"]))
    )


def _public(public: bytes) -> OKPKey:
    return OKPKey.import_key({"kty": "OKP", "crv": _CURVE, "x": _text(public)})


def _text(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
