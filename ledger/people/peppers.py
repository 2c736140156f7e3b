"""The peppers: keys that passwords and recovery codes are mixed with, and that no database has.

Whoever has the database alone can then not even begin to guess. There may be several, so that they
can be changed: the last one is used for what is hashed from now on, and each hash says which one
made it. The first is derived from the pepper of API keys, so nothing has to be set.
"""

import hashlib
import hmac
from collections.abc import Sequence

from ledger.accounts.secret import pepper_id

_DERIVED = b"eph passwords"
_RECOVERY = b"eph recovery"


class Peppers:
    """All peppers that passwords are mixed with, and the key of recovery codes."""

    def __init__(self, pepper: bytes, more: Sequence[bytes] = ()) -> None:
        derived = hashlib.blake2b(key=pepper, person=_DERIVED, digest_size=32).digest()
        self._keys = {pepper_id(key): key for key in (derived, *more)}
        self._recovery = hashlib.blake2b(key=pepper, person=_RECOVERY, digest_size=32).digest()
        self.current = pepper_id(more[-1] if more else derived)

    def __repr__(self) -> str:
        return f"Peppers({', '.join(self._keys)})"

    def mix(self, password: str, named: str) -> bytes | None:
        """Give what is hashed in the place of a password; None where the pepper is not here."""
        key = self._keys.get(named)
        if key is None:
            return None
        return _mixed(key, password)

    def mix_now(self, password: str) -> bytes:
        """Give the same with the pepper that is used from now on."""
        return _mixed(self._keys[self.current], password)

    def alias(self, text: str) -> str:
        """Give a name for something that names somebody, where only sameness matters."""
        return hashlib.blake2b(text.encode(), key=self._recovery, digest_size=16).hexdigest()

    def recovery_hash(self, person_id: int, code: str) -> bytes:
        """Give what is stored of a recovery code. It has 80 bits: one fast hash is enough."""
        text = f"{person_id}|{code}".encode()
        return hashlib.blake2b(text, key=self._recovery, digest_size=32).digest()


def _mixed(key: bytes, password: str) -> bytes:
    return hmac.digest(key, password.encode(), "sha256").hex().encode()
