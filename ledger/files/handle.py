"""The text that opens a stored file: `ephf_<16 characters id>_<43 characters secret>`, base 62.

The id names the file in lists and is no secret. The secret has 256 random bits, is nowhere but in
the handle, and is half of what the file's key is made of (`sealing.py`): whoever loses the handle
has lost the file. Underscores keep it one word for a double click, and the prefix lets scanners
find handles that leaked.
"""

import secrets
from typing import Final

import msgspec

PREFIX: Final = "ephf_"
ID_CHARS: Final = 16
# 43 x log2(62) = 256.03 bits.
SECRET_CHARS: Final = 43
_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_DIGITS: Final = frozenset(_ALPHABET)


class Handle(msgspec.Struct, frozen=True):
    """A well-formed handle. Its secret must reach neither a log nor a disk."""

    file_id: str
    secret: str

    @property
    def text(self) -> str:
        """The whole of it, for its owner."""
        return f"{PREFIX}{self.file_id}_{self.secret}"

    def __repr__(self) -> str:
        return f"Handle({PREFIX}{self.file_id}_…)"


def new_handle() -> Handle:
    """Make a handle."""
    return Handle(_random(ID_CHARS), _random(SECRET_CHARS))


def parse_handle(text: str) -> Handle | None:
    """Give the handle if it is well-formed."""
    if not text.startswith(PREFIX):
        return None
    file_id, separator, secret = text.removeprefix(PREFIX).partition("_")
    if not separator or len(file_id) != ID_CHARS or len(secret) != SECRET_CHARS:
        return None
    return Handle(file_id, secret) if _DIGITS.issuperset(file_id + secret) else None


def parse_id(text: str) -> str | None:
    """Give the id of a handle, or of an id as lists show it; None for anything else."""
    if handle := parse_handle(text):
        return handle.file_id
    return text if len(text) == ID_CHARS and _DIGITS.issuperset(text) else None


def _random(count: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(count))
