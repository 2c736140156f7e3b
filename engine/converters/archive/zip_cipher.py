"""WinZip's encryption of ZIP members with AES, in both its versions (AE-1 and AE-2).

As https://www.winzip.com/en/support/aes-encryption/ lays it out: PBKDF2 with HMAC-SHA1 and 1,000
rounds makes both keys and two bytes that tell a wrong password from a right one; AES in counter
mode, its counter little-endian and from 1; the first ten bytes of an HMAC-SHA1 over what is sealed.
"""

import hashlib
import hmac
import os
import struct
from collections.abc import Iterator

from Cryptodome.Cipher import AES
from Cryptodome.Util import Counter

from engine.job import Buffer

# The number of the method that stands in place of the real one, and of the extra field with that.
METHOD, EXTRA = 99, 0x9901
_ROUNDS = 1_000
_VERIFIER, _TAG = 2, 10
_KEY_BYTES = {1: 16, 2: 24, 3: 32}
_STRENGTH = 3  # AES-256
_FIELD = struct.Struct("<H2sBH")
_FIELD_HEAD = struct.Struct("<HH")
_VERSION_1, _VERSION_2 = 1, 2
_VENDOR = b"AE"


class WrongPassword(Exception):
    """The password does not open the member."""


class Seal:
    """What a member's extra field says of its encryption. Raises ValueError for one without."""

    def __init__(self, extra: bytes) -> None:
        version, vendor, strength, self.method = _FIELD.unpack(_field(extra, EXTRA))
        if vendor != _VENDOR or strength not in _KEY_BYTES:
            raise ValueError
        # The other version leaves it out, because it tells of short files what they hold.
        self.has_checksum = version == _VERSION_1
        self._key_bytes = _KEY_BYTES[strength]

    def opened(self, sealed: memoryview, password: str) -> bytes:
        """What was sealed, still packed. Raises WrongPassword, ValueError for damage."""
        salt_bytes = self._key_bytes // 2
        content, tag = sealed[salt_bytes + _VERIFIER : -_TAG], bytes(sealed[-_TAG:])
        if len(sealed) < salt_bytes + _VERIFIER + _TAG:
            raise ValueError
        salt, verifier = bytes(sealed[:salt_bytes]), bytes(sealed[salt_bytes:][:_VERIFIER])
        for candidate in spellings(password):
            key, tag_key, verifier_found = _keys(candidate, salt, self._key_bytes)
            if verifier_found == verifier:
                # One wrong password in 65,536 comes this far, and no further.
                if not hmac.compare_digest(_tag(tag_key, content), tag):
                    raise ValueError
                return bytes(_cipher(key).decrypt(content))
        raise WrongPassword


def sealed(content: Buffer, password: str) -> bytes:
    """Seal packed bytes with AES-256."""
    salt = os.urandom(_KEY_BYTES[_STRENGTH] // 2)
    key, tag_key, verifier = _keys(password.encode(), salt, _KEY_BYTES[_STRENGTH])
    closed = _cipher(key).encrypt(content)
    return b"".join((salt, verifier, closed, _tag(tag_key, closed)))


def field(method: int) -> bytes:
    """The extra field of a member that is packed by this method and sealed by `sealed`."""
    return _FIELD_HEAD.pack(EXTRA, _FIELD.size) + _FIELD.pack(
        _VERSION_2, _VENDOR, _STRENGTH, method
    )


def spellings(password: str) -> Iterator[bytes]:
    """The password as programs may have written it: no rule says in which encoding."""
    seen = set()
    for encoding in ("utf-8", "cp1252", "cp437"):
        spelt = password.encode(encoding, "ignore")
        if spelt not in seen and (encoding == "utf-8" or spelt.decode(encoding) == password):
            seen.add(spelt)
            yield spelt


def find_field(extra: bytes, number: int) -> bytes | None:
    """An extra field by its number, None where there is none."""
    at = 0
    while at + _FIELD_HEAD.size <= len(extra):
        found, size = _FIELD_HEAD.unpack_from(extra, at)
        at += _FIELD_HEAD.size
        if found == number:
            return extra[at : at + size]
        at += size
    return None


def _field(extra: bytes, number: int) -> bytes:
    found = find_field(extra, number)
    if found is None or len(found) != _FIELD.size:
        raise ValueError
    return found


def _keys(password: bytes, salt: bytes, key_bytes: int) -> tuple[bytes, bytes, bytes]:
    both = hashlib.pbkdf2_hmac("sha1", password, salt, _ROUNDS, 2 * key_bytes + _VERIFIER)
    return both[:key_bytes], both[key_bytes : 2 * key_bytes], both[2 * key_bytes :]


def _tag(key: bytes, content: Buffer) -> bytes:
    return hmac.digest(key, content, "sha1")[:_TAG]


def _cipher(key: bytes) -> "AES.CtrMode":  # type: ignore[name-defined]
    counter = Counter.new(128, little_endian=True, initial_value=1)
    return AES.new(key, AES.MODE_CTR, counter=counter)
