"""What a payment provider says, in our words: the same struct whoever says it.

Checked here, so that nothing that PostgreSQL would refuse by its form reaches a transaction.
"""

import re
from datetime import datetime
from enum import StrEnum

import msgspec

from ledger.credits.operation import CREDITS_MAX

DIGEST_BYTES = 32
ORDER_CHARS_MAX = 100
# Nobody pays more at once; exact where a reader of JSON knows only doubles.
AMOUNT_MAX = 10**13
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_KIND = re.compile(r"[a-z][a-z_]{0,59}")
_REASON = re.compile(r"[a-z][a-z-]{0,39}")
_CURRENCY = re.compile(r"[A-Z]{3}")
_ORDER = re.compile(r"[!-~]{1,100}")
_COUNTRY = re.compile(r"[A-Z]{2}")
_LAST_FOUR = re.compile(r"[0-9]{4}")
# Where a provider's name is long, its entries say it short.
_PREFIXES = {"lemonsqueezy": "ls:order", "manual": "manual:invoice"}


class Action(StrEnum):
    """What an event does to credits."""

    BUY = "buy"
    REFUND = "refund"


class EventState(StrEnum):
    """What became of an event. All but REPEAT are written down."""

    APPLIED = "applied"
    # It waits for its purchase, which comes later than its refund.
    PARKED = "parked"
    # It waits for a person: nothing moved.
    HELD = "held"
    IGNORED = "ignored"
    # The same body came before.
    REPEAT = "repeat"


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """One order, as it is at its provider at this moment. Amounts are in minor units."""

    id: str
    currency: str
    total: int
    # All refunds of it together.
    refunded: int
    test: bool
    ordered_at: datetime
    # What the provider calls who pays.
    customer: str | None = None
    brand: str | None = None
    last_four: str | None = None
    country: str | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for an order that cannot be."""
        if not _ORDER.fullmatch(self.id):
            raise ValueError(f"an order's id is 1 to {ORDER_CHARS_MAX} characters of ASCII")
        if not _CURRENCY.fullmatch(self.currency):
            raise ValueError("a currency is three capital letters")
        if not 0 <= self.refunded <= self.total <= AMOUNT_MAX:
            raise ValueError("of what was paid, nothing to all was refunded")
        if self.customer is not None and not _ORDER.fullmatch(self.customer):
            raise ValueError("a customer is 1 to 100 characters of ASCII")
        if self.country is not None and not _COUNTRY.fullmatch(self.country):
            raise ValueError("a country is two capital letters")
        if self.last_four is not None and not _LAST_FOUR.fullmatch(self.last_four):
            raise ValueError("of a card, four digits are known")
        if self.brand is not None and not 1 <= len(self.brand) <= 40:  # noqa: PLR2004 -- as billing.customer
            raise ValueError("a card's brand has 1 to 40 characters")


class Payment(msgspec.Struct, frozen=True, kw_only=True):
    """One event of a provider. Without an action it is only noted, as held or ignored."""

    provider: str
    # SHA-256 of the body as it came.
    digest: bytes
    # What the provider calls such events.
    kind: str
    action: Action | None = None
    state: EventState = EventState.IGNORED
    reason: str | None = None
    order: Order | None = None
    account_id: int | None = None
    # What was bought.
    pack: str | None = None
    credits: int | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for what the database would refuse."""
        if not _NAME.fullmatch(self.provider) or not _KIND.fullmatch(self.kind):
            raise ValueError("a provider and a kind of event are short words")
        if len(self.digest) != DIGEST_BYTES:
            raise ValueError("the digest is a SHA-256: 32 bytes")
        if self.reason is not None and not _REASON.fullmatch(self.reason):
            raise ValueError("a reason is a short word")
        if self.action is not None and self.order is None:
            raise ValueError("credits move with an order only")
        if self.action is Action.BUY and None in {self.account_id, self.pack, self.credits}:
            raise ValueError("a purchase names its account, its pack and its credits")
        if self.credits is not None and not 1 <= self.credits <= CREDITS_MAX:
            raise ValueError("a purchase gives at least one credit")

    @property
    def reference(self) -> str | None:
        """Of the entry in the books; None without an order."""
        return reference_of(self.provider, self.order.id) if self.order else None


class Applied(msgspec.Struct, frozen=True):
    """What became of an event, and why that."""

    state: EventState
    reason: str | None


class Purchase(msgspec.Struct, frozen=True, kw_only=True):
    """An order that gave credits."""

    provider: str
    order_id: str
    account_id: int
    reference: str
    pack: str
    credits: int
    currency: str
    total: int
    refunded: int
    # Credits taken back, those that were spent already, and those that somebody let go.
    withdrawn: int
    debt: int
    waived: int
    test: bool
    ordered_at: datetime
    booked_at: datetime


class Customer(msgspec.Struct, frozen=True, kw_only=True):
    """How an account pays, as far as we were told."""

    provider: str
    brand: str | None
    last_four: str | None
    country: str | None
    updated_at: datetime


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """An event as it is listed."""

    id: int
    provider: str
    kind: str
    state: EventState
    reason: str | None
    order_id: str | None
    account_id: int | None
    pack: str | None
    credits: int | None
    currency: str | None
    total: int | None
    refunded: int | None
    received_at: datetime


class Drift(msgspec.Struct, frozen=True, kw_only=True):
    """An order of which a provider and we, or our own two books, say different things."""

    order_id: str
    # missing-here, missing-there, amounts, books, held, parked.
    what: str


class Reconciliation(msgspec.Struct, frozen=True, kw_only=True):
    """One comparison of a provider's orders with ours."""

    provider: str
    since: datetime
    ran_at: datetime
    orders: int
    drifts: tuple[Drift, ...]


def reference_of(provider: str, order_id: str) -> str:
    """What an order is called in the books: `ls:order:1234`."""
    return f"{_PREFIXES.get(provider, f'{provider}:order')}:{order_id}"
