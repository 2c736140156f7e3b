"""The texts that stand for a person: sessions, links of mails, known devices. All are random.

    eph_sess_<12 characters id>_<32 secret>   eph_link_<43>   eph_dev_<43>, in base 62

They have 190 and 256 bits, so a plain SHA-256 is stored: there is nothing to guess slowly.
"""

import hashlib
import re
import secrets
from datetime import UTC, datetime
from ipaddress import ip_network

import msgspec

from ledger.accounts.rights import Network

SESSION_PREFIX = "eph_sess_"
LINK_PREFIX = "eph_link_"
DEVICE_PREFIX = "eph_dev_"
ID_CHARS = 12
_SECRET_CHARS = 32
# 62^43 is a little more than 2^256.
_TOKEN_CHARS = 43
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SESSION = re.compile(
    rf"{SESSION_PREFIX}([0-9A-Za-z]{{{ID_CHARS}}})_[0-9A-Za-z]{{{_SECRET_CHARS}}}"
)
_ID = re.compile(rf"[0-9A-Za-z]{{{ID_CHARS}}}")
_TOKEN = re.compile(rf"(?:{LINK_PREFIX}|{DEVICE_PREFIX})[0-9A-Za-z]{{{_TOKEN_CHARS}}}")


class Shown(msgspec.Struct, frozen=True):
    """A secret at the one moment it is known, and what is stored of it."""

    text: str
    hash: bytes

    def __repr__(self) -> str:
        return "Shown(…)"


def new_link() -> Shown:
    """Make what a mail's link carries."""
    return _shown(LINK_PREFIX + random_text(_TOKEN_CHARS))


def new_device() -> Shown:
    """Make what a client keeps, to be known again."""
    return _shown(DEVICE_PREFIX + random_text(_TOKEN_CHARS))


def new_session(session_id: str | None = None) -> tuple[str, Shown]:
    """Make a session's secret, for a session that is there or for a new one."""
    session_id = session_id or random_text(ID_CHARS)
    return session_id, _shown(f"{SESSION_PREFIX}{session_id}_{random_text(_SECRET_CHARS)}")


def session_id_of(text: str) -> str | None:
    """Give the id in a session's secret; None for what cannot be one."""
    found = _SESSION.fullmatch(text)
    return found[1] if found else None


def is_id(text: str) -> bool:
    """Say whether this can be the id of a session or of an invitation."""
    return bool(_ID.fullmatch(text))


def hash_of(text: str) -> bytes | None:
    """Give what is stored of a link or a device; None for what cannot be one."""
    return digest(text) if _TOKEN.fullmatch(text) else None


def digest(text: str) -> bytes:
    """Give what is stored of a secret."""
    return hashlib.sha256(text.encode()).digest()


def random_text(count: int) -> str:
    """Give that many random characters of base 62."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(count))


def random_number() -> int:
    """Give an id that tells neither how many there are nor in which order they came.

    53 bits, so that it survives a JSON reader that knows only doubles.
    """
    return secrets.randbelow(2**53 - 1) + 1


def network_of(address: object) -> Network | None:
    """Give the network of an address, as it is kept: the /24, or the /64."""
    if address is None:
        return None
    text = str(address)
    return ip_network(f"{text}/{64 if ':' in text else 24}", strict=False)


def utc_now() -> datetime:
    """Give the time of this machine; tests hand in another clock."""
    return datetime.now(UTC)


def _shown(text: str) -> Shown:
    return Shown(text, digest(text))
