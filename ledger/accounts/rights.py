"""What an API key may do: a closed list of scopes, operations, addresses, caps, and until when."""

import ipaddress
import re
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

import msgspec

from ledger.credits.operation import CREDITS_MAX
from ledger.credits.terms import Terms

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# A list that a person can still read; each is looked at for every request.
OPERATIONS_MAX = 100
ADDRESSES_MAX = 100
# `jpeg/webp`, `*/pdf`, `pdf/pdf:compress`: source, target and, where it matters, the operation.
_PART = r"[a-z0-9][a-z0-9_.+-]{0,63}"
_PATTERN = re.compile(rf"(?:{_PART}|\*)/(?:{_PART}|\*)(?::{_PART})?")


class KeyKind(StrEnum):
    """What a key is for."""

    LIVE = "live"
    TEST = "test"  # converts small files for nothing
    SIGNING = "signing"  # never sent: its owner signs tokens with it


class Scope(StrEnum):
    """What a key can be let into. The list is closed."""

    CONVERT = "convert"
    FILES = "files"
    TASKS = "tasks"
    HOOKS = "hooks"
    ACCOUNT_READ = "account:read"
    KEYS_READ = "keys:read"
    KEYS_WRITE = "keys:write"
    TOKENS = "tokens"
    CONNECTIONS_READ = "connections:read"
    CONNECTIONS_WRITE = "connections:write"


# What can be had with a token. Keys and tokens are not to be made by what lives in a browser.
TOKEN_SCOPES = frozenset({Scope.CONVERT, Scope.FILES, Scope.TASKS, Scope.HOOKS, Scope.ACCOUNT_READ})
# Of a key of which nothing was said: all but other keys, and credentials for other storage.
DEFAULT_SCOPES = TOKEN_SCOPES | {Scope.TOKENS}


class Rights(msgspec.Struct, frozen=True, kw_only=True):
    """What is said when a key is made, and never changed after. Raises ValueError."""

    scopes: frozenset[Scope] = DEFAULT_SCOPES
    # Empty: all.
    operations: tuple[str, ...] = ()
    # Empty: from anywhere.
    addresses: tuple[Network, ...] = ()
    # Credits in a day and in a month of UTC, all keys of one row of rotations together.
    day_max: int | None = None
    month_max: int | None = None
    expires_at: datetime | None = None

    def __post_init__(self) -> None:
        """Refuse what makes no key."""
        if not self.scopes:
            raise ValueError("a key without a scope opens nothing; give it one")
        check_operations(self.operations)
        if len(self.addresses) > ADDRESSES_MAX:
            raise ValueError(f"a key is bound to at most {ADDRESSES_MAX} addresses")
        for cap in (self.day_max, self.month_max):
            if cap is not None and not 1 <= cap <= CREDITS_MAX:
                raise ValueError("a cap is a positive number of credits; leave it out for none")
        if self.capped and Scope.KEYS_WRITE in self.scopes:
            raise ValueError("a key that makes keys has no cap: the keys that it makes had none")
        if self.expires_at is not None and self.expires_at.tzinfo is None:
            raise ValueError("the end of a key's life says its time zone: 2027-01-31T12:00:00Z")

    @property
    def capped(self) -> bool:
        """Whether it may spend only so much."""
        return self.day_max is not None or self.month_max is not None

    def terms(self, kind: KeyKind, spender: str) -> Terms:
        """On what terms such a key converts."""
        test = kind is KeyKind.TEST
        return Terms(
            operations=(self.operations,) if self.operations else (),
            free=test,
            spender=spender if self.capped and not test else None,
            day_max=self.day_max,
            month_max=self.month_max,
        )


def check_operations(patterns: Iterable[str]) -> None:
    """Raise ValueError for what is no list of operations."""
    patterns = list(patterns)
    if len(patterns) > OPERATIONS_MAX:
        raise ValueError(f"a list of operations has at most {OPERATIONS_MAX} entries")
    for pattern in patterns:
        if not _PATTERN.fullmatch(pattern):
            raise ValueError(
                f"{pattern[:80]!r} is no operation: write SOURCE/TARGET or"
                " SOURCE/TARGET:OPERATION, as GET /v1/formats names them, with * for any format"
            )


def allows(patterns: Iterable[str], source: str, target: str, operation: str) -> bool:
    """Say whether one of the patterns means this conversion."""
    for pattern in patterns:
        pair, _, named = pattern.partition(":")
        one, _, other = pair.partition("/")
        if one in {source, "*"} and other in {target, "*"} and named in {operation, ""}:
            return True
    return False


def network(text: str) -> Network:
    """Read an address or a network (CIDR). Raises ValueError."""
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise ValueError(
            f"{text[:60]!r} is no address and no network: write 192.0.2.7, 192.0.2.0/24 or"
            " 2001:db8::/32"
        ) from error
