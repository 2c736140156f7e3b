"""What an operator decides of money: who takes it, what is sold, and the secrets for that."""

import re
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from ledger.billing.payment import AMOUNT_MAX

# A list on one page; beyond it people do not choose, they give up.
PACKS_MAX = 50
# During a rotation two, and never more.
SECRETS_MAX = 2
_SECRET = re.compile(r"[!-~]{6,40}")


class Pack(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Credits that are sold together, and their price."""

    id: Annotated[str, Meta(pattern="^[a-z0-9][a-z0-9-]{0,39}$")]
    title: Annotated[str, Meta(min_length=1, max_length=60)]
    # Of 2^53, so that a thousand of a pack are still a number that every reader of JSON knows.
    credits: Annotated[int, Meta(ge=1, le=10**12)]
    # In the smallest unit of the currency: 1990 is 19.90 EUR.
    amount: Annotated[int, Meta(ge=0, le=AMOUNT_MAX)]
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")]
    # What the provider calls it: Lemon Squeezy's variant.
    variant: Annotated[str, Meta(max_length=40, pattern="^[0-9A-Za-z_-]*$")] = ""


class BillingConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Nothing is sold until packs are named; staff can always book an invoice by hand."""

    # `manual`: nobody takes money here, staff book what was paid elsewhere. `lemonsqueezy`: the
    # merchant of record. `fake`: a page of our own that takes nothing, for tests and to look
    # around. Another name is looked for among installed plug-ins (docs/billing.md).
    provider: Annotated[str, Meta(pattern="^[a-z][a-z0-9_]{0,39}$")] = "manual"
    # `test`: the provider's test orders give credits, and real ones are held for a person;
    # `production`: test orders give nothing. The fake provider is refused in production.
    mode: Literal["production", "test"] = "production"
    packs: tuple[Pack, ...] = ()
    # Of the provider's webhooks; two while one is replaced by the other.
    webhook_secrets: str = ""
    # For checkouts, receipts and the comparison of orders.
    api_key: str = ""
    api_url: str = "https://api.lemonsqueezy.com"
    # Orders of other stores are held for a person.
    store: Annotated[str, Meta(max_length=20, pattern="^[0-9]*$")] = ""
    # Where a buyer comes back to; empty: server.public_url.
    return_url: Annotated[str, Meta(max_length=500)] = ""
    # Whoever has not paid by then begins again, at the price of that day.
    checkout_s: Annotated[float, Meta(gt=0, le=7 * 86_400)] = 86_400.0
    # How often all orders are compared, and how far back: three times, so that a day on which the
    # provider was away is seen on the next.
    reconcile_s: Annotated[float, Meta(ge=3600, le=30 * 86_400)] = 86_400.0

    def __post_init__(self) -> None:
        """Raise ValueError for what cannot be sold, or not like this."""
        if self.provider == "fake" and self.mode == "production":
            raise ValueError('billing.provider = "fake" gives credits for nothing: mode = "test"')
        if len(self.packs) > PACKS_MAX:
            raise ValueError(f"there are at most {PACKS_MAX} packs")
        variants = [one.variant for one in self.packs if one.variant]
        ids = [one.id for one in self.packs]
        if len(set(ids)) < len(ids) or len(set(variants)) < len(variants):
            raise ValueError("each pack has an id and a variant of its own")
        if len(self.secrets) > SECRETS_MAX or not all(map(_SECRET.fullmatch, self.secrets)):
            raise ValueError("billing.webhook_secrets is one or two words of 6 to 40 characters")
        if self.provider == "lemonsqueezy":
            self._check_store()

    @property
    def secrets(self) -> tuple[str, ...]:
        """The secrets of webhooks; any of them is good."""
        return tuple(self.webhook_secrets.replace(",", " ").split())

    def pack(self, pack_id: str) -> Pack | None:
        """The pack of this id."""
        return next((one for one in self.packs if one.id == pack_id), None)

    def sold_as(self, variant: str) -> Pack | None:
        """The pack that the provider calls this."""
        return next((one for one in self.packs if one.variant and one.variant == variant), None)

    def _check_store(self) -> None:
        missing = [
            name for name in ("webhook_secrets", "api_key", "store") if not getattr(self, name)
        ]
        if missing:
            raise ValueError(f"lemonsqueezy needs billing.{', billing.'.join(missing)}")
        if not all(one.variant.isdigit() for one in self.packs):
            raise ValueError("lemonsqueezy needs the number of a variant in every pack")
        if not self.api_url.startswith(("https://", "http://")):
            raise ValueError("billing.api_url is a URL")
