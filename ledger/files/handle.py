"""The text that opens a stored file: `ephf_<16 characters id>_<43 characters secret>`, base 62.

The id names the file in lists and is no secret. The secret has 256 random bits, is nowhere but in
the handle, and is half of what the file's key is made of (`sealing.py`): whoever loses the handle
has lost the file. Underscores keep it one word for a double click, and the prefix lets scanners
find handles that leaked.

**The short spelling** is for clients of another protocol, which have room for 32 characters of
[a-z0-9] and no more (`gateway/compat/`). All of them are the secret: 165 random bits, more than the
128 that nobody can try through. Cutting a part off for the id would leave fewer, so the id is a
hash of the whole: 16 base-62 characters that find the row. The hash goes one way. Who reads the
database learns 95 bits about a secret of 165 and has no better way to it than to try them all; the
file's key is derived from the secret itself, as for the long spelling.
"""

import hashlib
import secrets
from typing import Final

import msgspec

PREFIX: Final = "ephf_"
ID_CHARS: Final = 16
# 43 x log2(62) = 256.03 bits.
SECRET_CHARS: Final = 43
# 32 x log2(36) = 165.4 bits.
SHORT_CHARS: Final = 32
_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_DIGITS: Final = frozenset(_ALPHABET)
_SHORT_ALPHABET: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_SHORT_DIGITS: Final = frozenset(_SHORT_ALPHABET)


class Handle(msgspec.Struct, frozen=True):
    """A well-formed handle. Its secret must reach neither a log nor a disk."""

    file_id: str
    secret: str
    short: bool = False

    @property
    def text(self) -> str:
        """The whole of it, for its owner."""
        return self.secret if self.short else f"{PREFIX}{self.file_id}_{self.secret}"

    def __repr__(self) -> str:
        return f"Handle({PREFIX}{self.file_id}_…)"


def new_handle() -> Handle:
    """Make a handle."""
    return Handle(_random(ID_CHARS), _random(SECRET_CHARS))


def new_short_handle() -> Handle:
    """Make a handle in the short spelling."""
    secret = _random(SHORT_CHARS, _SHORT_ALPHABET)
    return Handle(_id_of(secret), secret, short=True)


def parse_handle(text: str) -> Handle | None:
    """Give the handle if it is well-formed, in either spelling."""
    if not text.startswith(PREFIX):
        return parse_short_handle(text)
    file_id, separator, secret = text.removeprefix(PREFIX).partition("_")
    if not separator or len(file_id) != ID_CHARS or len(secret) != SECRET_CHARS:
        return None
    return Handle(file_id, secret) if _DIGITS.issuperset(file_id + secret) else None


def parse_short_handle(text: str) -> Handle | None:
    """Give the handle if it is well-formed in the short spelling."""
    if len(text) != SHORT_CHARS or not _SHORT_DIGITS.issuperset(text):
        return None
    return Handle(_id_of(text), text, short=True)


def parse_id(text: str) -> str | None:
    """Give the id of a handle, or of an id as lists show it; None for anything else."""
    if handle := parse_handle(text):
        return handle.file_id
    return text if len(text) == ID_CHARS and _DIGITS.issuperset(text) else None


def _id_of(secret: str) -> str:
    number = int.from_bytes(
        hashlib.blake2b(secret.encode(), digest_size=32, person=b"short handle").digest()
    )
    digits = []
    for _ in range(ID_CHARS):
        number, digit = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(digits)


def _random(count: int, alphabet: str = _ALPHABET) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(count))
