"""The text of an API key: `eph_live_<12 characters id>_<32 secret><6 checksum>`, base 62.

The prefix lets scanners find leaked keys and says what kind one is, underscores keep it one word
for a double click, and the checksum refuses typing errors and guesses without asking the database.
The secret has 190 bits, so a fast keyed hash is enough: there is nothing to guess slowly.
"""

import hashlib
import secrets
import zlib
from collections.abc import Mapping
from typing import Final

import msgspec

from ledger.accounts.rights import KeyKind

PREFIXES: Final[Mapping[KeyKind, str]] = {
    KeyKind.LIVE: "eph_live_",
    KeyKind.TEST: "eph_test_",
    KeyKind.SIGNING: "eph_sign_",
}
# A signing key is never sent, so no text with its prefix lets anybody in.
_SENT: Final = {PREFIXES[kind]: kind for kind in (KeyKind.LIVE, KeyKind.TEST)}
_PREFIX_CHARS: Final = 9
_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_DIGITS: Final = frozenset(_ALPHABET)
ID_CHARS: Final = 12
_SECRET_CHARS: Final = 32
_CHECKSUM_CHARS: Final = 6
_LENGTH: Final = _PREFIX_CHARS + ID_CHARS + 1 + _SECRET_CHARS + _CHECKSUM_CHARS


class Secret(msgspec.Struct, frozen=True):
    """A well-formed key. `text` is the whole of it and must reach neither a log nor a disk."""

    key_id: str
    text: str

    def __repr__(self) -> str:
        return f"Secret({self.text[:_PREFIX_CHARS]}{self.key_id}_…)"


def new_secret(kind: KeyKind = KeyKind.LIVE) -> Secret:
    """Make a key."""
    key_id = _random(ID_CHARS)
    body = f"{PREFIXES[kind]}{key_id}_{_random(_SECRET_CHARS)}"
    return Secret(key_id, body + _checksum(body))


def parse_secret(text: str) -> Secret | None:
    """Give the key if it is one that is sent, is well-formed, and its checksum is right."""
    if len(text) != _LENGTH or text[:_PREFIX_CHARS] not in _SENT:
        return None
    key_id, separator, rest = text[_PREFIX_CHARS:].partition("_")
    if len(key_id) != ID_CHARS or not separator or not _DIGITS.issuperset(key_id + rest):
        return None
    body, checksum = text[:-_CHECKSUM_CHARS], text[-_CHECKSUM_CHARS:]
    return Secret(key_id, text) if checksum == _checksum(body) else None


def key_id_of(name: str) -> str:
    """Give a key's id from its id, its visible prefix (`eph_live_<id>`), or the whole of it."""
    for prefix in PREFIXES.values():
        name = name.removeprefix(prefix)
    return name.partition("_")[0]


def hash_secret(secret: Secret, pepper: bytes) -> bytes:
    """Give what is stored: BLAKE2b-256 keyed with the pepper."""
    return hashlib.blake2b(secret.text.encode(), digest_size=32, key=pepper).digest()


def pepper_id(pepper: bytes) -> str:
    """Give a name for the pepper that tells nothing about it."""
    return hashlib.blake2b(b"pepper", digest_size=8, key=pepper).hexdigest()


def _random(count: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(count))


def _checksum(body: str) -> str:
    number = zlib.crc32(body.encode())
    digits = []
    for _ in range(_CHECKSUM_CHARS):
        number, digit = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
