"""The envelope: secrets that must be read again, sealed with a key that is not in the database.

    sealed = 01 || key id (8) || nonce (12) || AES-256-GCM(key, plain, AAD = head || place)

A password or an API key is kept as a hash; what has to be used again (a customer's secret for
somebody else's store, a webhook's, a private signing key) is kept in here, so that a copy of the
database without the keys opens nothing. The place says where it stands (`accounts.signing_key|…`):
sealed bytes that are moved to another row or column do not open there.

There are several keys so that they can be changed: the last one seals, every one opens. To rotate,
add a key in front of all others at every process, restart, move it to the end, restart, reseal
(`ephemera envelope reseal`), and take the old one away when nothing needs resealing.
"""

import hashlib
import re
import secrets
import struct
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ledger.errors import DamagedEnvelope, EnvelopeMissing

KEY_BYTES = 32
KEY_ID_BYTES = 8
# A rotation needs two at a time; a list of more is a list that nobody cleans up.
KEYS_MAX = 16
# What is sealed is a secret or a small request, never a file: those have keys of their own.
PLAIN_BYTES_MAX = 1024 * 1024
_VERSION = 1
# Random: 2^32 seals under one key keep a repetition below one in 2^32 (NIST SP 800-38D, 8.3).
_NONCE_BYTES = 12
_TAG_BYTES = 16
_HEAD = struct.Struct(f">B{KEY_ID_BYTES}s")


def new_key() -> str:
    """Make a key, as the setting and the file in EPHEMERA_HOME have it."""
    return secrets.token_hex(KEY_BYTES)


def parse_keys(text: str) -> tuple[bytes, ...]:
    """Read a list of keys, separated by spaces, commas or ends of lines. Raises ValueError."""
    keys = [word for word in re.split(r"[\s,]+", text) if word]
    if not 1 <= len(keys) <= KEYS_MAX:
        raise ValueError(f"there are 1 to {KEYS_MAX} envelope keys")
    if len(set(keys)) != len(keys):
        raise ValueError("an envelope key stands in the list twice")
    for number, key in enumerate(keys, 1):
        if not re.fullmatch(rf"[0-9a-f]{{{2 * KEY_BYTES}}}", key):
            raise ValueError(
                f"envelope key {number} is not {2 * KEY_BYTES} hexadecimal digits in lower case;"
                " make one with: ephemera envelope new-key"
            )
    return tuple(bytes.fromhex(key) for key in keys)


def key_id(key: bytes) -> bytes:
    """Give a name for the key that tells nothing about it."""
    return hashlib.blake2b(b"envelope", digest_size=KEY_ID_BYTES, key=key).digest()


class Envelope:
    """Seals and opens; one for all that a process keeps secret."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        """Take the keys, the one that seals last. Without any, nothing is sealed or opened."""
        self._ciphers = {key_id(key): AESGCM(key) for key in keys}
        self._current = key_id(keys[-1]) if keys else None

    def __repr__(self) -> str:
        return f"Envelope({', '.join(self.key_ids())})"

    def key_ids(self) -> tuple[str, ...]:
        """Name the keys, the one that seals last."""
        return tuple(one.hex() for one in self._ciphers)

    def close(self, plain: bytes, place: str) -> bytes:
        """Seal what opens at this place only. Raises EnvelopeMissing, ValueError if too long."""
        if self._current is None:
            raise EnvelopeMissing("there is no envelope key; set ledger.kek or ledger.kek_file")
        if len(plain) > PLAIN_BYTES_MAX:
            raise ValueError(f"an envelope takes at most {PLAIN_BYTES_MAX} bytes")
        head = _HEAD.pack(_VERSION, self._current)
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return head + nonce + self._ciphers[self._current].encrypt(nonce, plain, _aad(head, place))

    def open(self, sealed: bytes, place: str) -> bytes:
        """Open what was sealed for this place. Raises DamagedEnvelope, EnvelopeMissing."""
        named = self.sealed_with(sealed)
        head, rest = sealed[: _HEAD.size], sealed[_HEAD.size :]
        cipher = self._ciphers.get(bytes.fromhex(named))
        if cipher is None:
            raise EnvelopeMissing(
                f"something is sealed with the envelope key {named}, which is not in ledger.kek;"
                " put it back into the list"
            )
        try:
            return cipher.decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], _aad(head, place))
        except InvalidTag as error:
            raise DamagedEnvelope("a sealed secret is not what was put at this place") from error

    def needs_resealing(self, sealed: bytes) -> bool:
        """Say whether it is sealed with a key other than the current. Raises DamagedEnvelope."""
        return self._current is None or self.sealed_with(sealed) != self._current.hex()

    def reseal(self, sealed: bytes, place: str) -> bytes:
        """Seal again with the current key. Raises DamagedEnvelope, EnvelopeMissing."""
        return self.close(self.open(sealed, place), place)

    @staticmethod
    def sealed_with(sealed: bytes) -> str:
        """Name the key it is sealed with. Raises DamagedEnvelope."""
        if len(sealed) < _HEAD.size + _NONCE_BYTES + _TAG_BYTES:
            raise DamagedEnvelope("a sealed secret is too short to be one")
        version, named = _HEAD.unpack_from(sealed)
        if version != _VERSION:
            raise DamagedEnvelope(f"a sealed secret says it is of version {version}")
        return str(named.hex())


def _aad(head: bytes, place: str) -> bytes:
    return head + place.encode()
