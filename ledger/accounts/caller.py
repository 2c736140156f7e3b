"""Who speaks: the result of an authentication, by a key or by a token that stands for one."""

from datetime import datetime

import msgspec

from ledger.accounts.rights import Network
from ledger.credits.terms import PAYING, Terms


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """An account, the key that speaks for it, and what that key (and its token) may do."""

    account_id: int
    key_id: str
    label: str
    scopes: frozenset[str] = frozenset()
    # Nothing is charged, and answers say that they are of a test.
    test: bool = False
    # Empty: from anywhere.
    addresses: tuple[Network, ...] = ()
    terms: Terms = PAYING
    # Of the key.
    expires_at: datetime | None = None
    # When another key took its place; it ends at `expires_at`.
    deprecated_at: datetime | None = None
    # It, or its account, is shut out until further notice.
    suspended: bool = False
    # It speaks by a token.
    token: bool = False
