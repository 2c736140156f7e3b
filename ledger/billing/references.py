"""What a checkout carries so that its purchase finds its account: opaque, and signed by us.

    1.<base32 of the account's id>.<base32 of HMAC-SHA256(key, provider | id), 128 bits>

The buyer's address says nothing about the account: anybody can type it. This can be copied, and
then somebody pays for somebody else's credits; it cannot be made.
"""

import hashlib
import hmac
from base64 import b32decode, b32encode
from binascii import Error

_VERSION = "1"
_ID_BYTES = 8
_TAG_BYTES = 16
CHARS_MAX = 60


class References:
    """Makes and reads references, with a key that is derived from the ledger's pepper."""

    def __init__(self, pepper: bytes) -> None:
        self._key = hashlib.blake2b(b"billing references", key=pepper, digest_size=32).digest()

    def of(self, provider: str, account_id: int) -> str:
        """Give the account's reference for checkouts of this provider."""
        raw = account_id.to_bytes(_ID_BYTES, "big")
        return f"{_VERSION}.{_text(raw)}.{_text(self._tag(provider, raw))}"

    def account_of(self, provider: str, text: str) -> int | None:
        """Give the account that a reference means; None for one that we did not make."""
        version, _, rest = text[:CHARS_MAX].partition(".")
        head, _, tag = rest.partition(".")
        if version != _VERSION:
            return None
        raw, given = _bytes(head), _bytes(tag)
        if raw is None or given is None or len(raw) != _ID_BYTES:
            return None
        if not hmac.compare_digest(given, self._tag(provider, raw)):
            return None
        return int.from_bytes(raw, "big")

    def _tag(self, provider: str, raw: bytes) -> bytes:
        said = provider.encode() + b"|" + raw
        return hmac.digest(self._key, said, "sha256")[:_TAG_BYTES]


def _text(raw: bytes) -> str:
    return b32encode(raw).decode().rstrip("=").lower()


def _bytes(text: str) -> bytes | None:
    """Read base32 without its padding; None for what is not exactly what we write."""
    try:
        raw = b32decode(text.upper() + "=" * (-len(text) % 8))
    except (Error, ValueError):
        return None
    return raw if _text(raw) == text else None
