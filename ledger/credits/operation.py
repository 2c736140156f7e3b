"""The operations that move credits and their outcomes, as `credits.post()` speaks of them.

Operations are checked here, before they are queued: one that PostgreSQL would refuse by its form
must not reach a batch in which others travel.
"""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec

from ledger.credits.terms import Terms

# Balances stay exact where a client reads JSON numbers as doubles.
CREDITS_MAX = 2**53 - 1
KEY_CHARS_MAX = 255
REFERENCE_CHARS_MAX = 200
REASON_CHARS_MAX = 500


class Kind(StrEnum):
    """What an operation does."""

    PURCHASE = "purchase"
    ADJUSTMENT = "adjustment"
    DEBIT = "debit"
    SETTLE = "settle"
    REFUND = "refund"


class Status(StrEnum):
    """How an operation ended. All but LATER come from `credits.post()`."""

    DONE = "done"
    REPEAT = "repeat"
    INSUFFICIENT = "insufficient"
    LAPSED = "lapsed"
    KEY_IN_FLIGHT = "key_in_flight"
    KEY_MISMATCH = "key_mismatch"
    REFERENCE_USED = "reference_used"
    ACCOUNT_UNKNOWN = "account_unknown"
    ACCOUNT_FROZEN = "account_frozen"
    ACCOUNT_CLOSED = "account_closed"
    GATEWAY_UNKNOWN = "gateway_unknown"
    # From `credits.post_capped()`: a debit that the API key's caps do not allow.
    DAY_CAP = "day_cap"
    MONTH_CAP = "month_cap"
    # PostgreSQL is away: the refund is kept and delivered when it is back.
    LATER = "later"


class IdempotencyKey(msgspec.Struct, frozen=True):
    """A client's key and the SHA-256 of the request it was used for."""

    key: str
    fingerprint: bytes

    def __post_init__(self) -> None:
        """Refuse what the database would refuse."""
        _check_text("idempotency key", self.key, KEY_CHARS_MAX)
        if len(self.fingerprint) != 32:  # noqa: PLR2004 (the size of a SHA-256)
            raise ValueError("the fingerprint must be a SHA-256: 32 bytes")


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One movement of credits, or the end of one. `credits` is signed for adjustments only."""

    kind: Kind
    account_id: int
    credits: int = 0
    conversion_id: UUID | None = None
    key: IdempotencyKey | None = None
    # Of a debit by a key with caps.
    terms: Terms | None = None
    reference: str | None = None
    reason: str | None = None

    def __post_init__(self) -> None:
        """Refuse what the database would refuse."""
        if not 0 < self.account_id < 2**63:
            raise ValueError("an account id is a positive number of 63 bits")
        if abs(self.credits) > CREDITS_MAX:
            raise ValueError(f"at most {CREDITS_MAX} credits move at once")
        if self.kind in (Kind.DEBIT, Kind.PURCHASE) and self.credits < 1:
            raise ValueError(f"a {self.kind} moves at least one credit")
        if self.kind is Kind.ADJUSTMENT and self.credits == 0:
            raise ValueError("an adjustment of nothing is none")
        if self.kind is Kind.ADJUSTMENT and self.reason is None:
            raise ValueError("an adjustment needs a reason")
        if self.reference is not None:
            _check_text("reference", self.reference, REFERENCE_CHARS_MAX)
        if self.reason is not None:
            _check_text("reason", self.reason, REASON_CHARS_MAX)


class Outcome(msgspec.Struct, frozen=True):
    """How an operation ended, and the account's balance and last entry after it."""

    status: Status
    balance: int = 0
    seq: int = 0


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One line of an account's history. `credits` is signed; times are the database's."""

    seq: int
    kind: str
    credits: int
    balance: int
    created_at: datetime
    conversion_id: UUID | None
    reference: str | None
    reason: str | None


def _check_text(what: str, text: str, chars_max: int) -> None:
    if not 1 <= len(text) <= chars_max:
        raise ValueError(f"the {what} must have 1 to {chars_max} characters")
    if "\x00" in text or not _is_unicode(text):
        raise ValueError(f"the {what} must be text without NUL")


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return False
    return True
