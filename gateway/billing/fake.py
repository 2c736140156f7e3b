"""A provider that takes nothing: its checkout is a page of our own, its webhooks are signed.

For tests and to look around; refused where billing.mode is `production`. It speaks as Lemon Squeezy
does, so what it sends goes the way that a real webhook goes: bytes, signature, decoding, books.
What it sold is remembered in this process alone.
"""

import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import msgspec

from gateway.billing import webhooks
from gateway.billing.provider import RemoteOrder
from gateway.billing.settings import BillingConfig, Pack
from gateway.billing.webhooks import Webhooks, signature
from gateway.errors import BillingOff, PackUnknown, RequestMalformed
from gateway.outbound.client import Outbound
from ledger.billing.payment import Order, Payment
from ledger.billing.references import References

NAME = "fake"
CHECKOUT = "/v1/billing/fake/checkout"
# Somebody plays; the oldest go.
ORDERS_MAX = 1000
# Of whom there is only this process: a secret that nobody has to set.
_SECRET_BYTES = 20


class Sold(msgspec.Struct, kw_only=True):
    """An order of this process."""

    id: str
    reference: str
    pack: Pack
    ordered_at: datetime
    refunded: int = 0


class Signed(msgspec.Struct, frozen=True):
    """A webhook as it is sent."""

    body: bytes
    headers: Mapping[str, str]


class Fake:
    """Sells for nothing."""

    name = NAME
    sells = True
    lists = True

    def __init__(self, config: BillingConfig, references: References, _outbound: Outbound) -> None:
        if not config.secrets:
            config = msgspec.structs.replace(
                config, webhook_secrets=secrets.token_hex(_SECRET_BYTES)
            )
        self._config = config
        self._references = references
        self._webhooks = Webhooks(NAME, config, references)
        self._sold: dict[str, Sold] = {}

    def verify(self, raw: bytes, headers: Mapping[str, str]) -> None:
        """Raise WebhookRefused where these bytes were not signed."""
        self._webhooks.verify(raw, headers)

    def read(self, raw: bytes) -> Payment:
        """What a webhook says. Raises RequestMalformed."""
        return self._webhooks.read(raw)

    async def checkout(self, account_id: int, pack: Pack, return_url: str) -> str:
        """The page of ours, below the service's own address."""
        reference = self._references.of(NAME, account_id)
        asked = {"pack": pack.id, "reference": reference, "return": return_url}
        return f"{CHECKOUT}?{urlencode(asked)}"

    async def receipt(self, order_id: str) -> str | None:
        """The same page, which shows the order."""
        return f"{CHECKOUT}?{urlencode({'order': order_id})}"

    async def orders(self, since: datetime) -> Sequence[RemoteOrder]:
        """What this process sold."""
        found = [one for one in self._sold.values() if one.ordered_at >= since]
        return [RemoteOrder(order=_order(one), paid=True) for one in found]

    def buy(self, pack_id: str, reference: str) -> tuple[Sold, Signed]:
        """Sell a pack; gives the webhook that tells of it. Raises PackUnknown, RequestMalformed."""
        pack = self.pack(pack_id)
        if not pack.variant:
            raise BillingOff("this pack has no variant, so nothing could be sold of it")
        if self._references.account_of(NAME, reference) is None:
            raise RequestMalformed("this checkout is none of ours")
        sold = Sold(
            id=str(secrets.randbelow(10**12)),
            reference=reference,
            pack=pack,
            ordered_at=datetime.now(UTC),
        )
        while len(self._sold) >= ORDERS_MAX:
            del self._sold[next(iter(self._sold))]
        self._sold[sold.id] = sold
        return sold, self._signed("order_created", sold)

    def refund(self, order_id: str, refunded: int) -> Signed:
        """Pay back so much, all refunds together; gives the webhook. Raises RequestMalformed."""
        sold = self.sold(order_id)
        if not sold.refunded <= refunded <= sold.pack.amount:
            raise RequestMalformed("refunds grow, up to what was paid")
        sold.refunded = refunded
        return self._signed("order_refunded", sold)

    def pack(self, pack_id: str) -> Pack:
        """What is sold under this name. Raises PackUnknown."""
        pack = self._config.pack(pack_id)
        if pack is None:
            raise PackUnknown("there is no such pack; see GET /v1/prices")
        return pack

    def sold(self, order_id: str) -> Sold:
        """An order. Raises RequestMalformed."""
        if order_id not in self._sold:
            raise RequestMalformed("this process sold no such order")
        return self._sold[order_id]

    def _signed(self, kind: str, sold: Sold) -> Signed:
        body = msgspec.json.encode(webhook(kind, sold, self._config.store or "1"))
        return Signed(body, {webhooks.SIGNATURE: signature(self._config.secrets[-1], body)})


def webhook(kind: str, sold: Sold, store: str) -> dict[str, Any]:
    """The body of a webhook, as Lemon Squeezy has it, with the fields that are read."""
    amount, all_of_it = sold.pack.amount, sold.refunded >= sold.pack.amount > 0
    status = "refunded" if all_of_it else "partial_refund" if sold.refunded else "paid"
    return {
        "meta": {
            "event_name": kind,
            "custom_data": {webhooks.ACCOUNT_REF: sold.reference},
            "test_mode": True,
            "webhook_id": secrets.token_hex(8),
        },
        "data": {
            "type": "orders",
            "id": sold.id,
            "attributes": {
                "store_id": int(store),
                "customer_id": 1,
                "currency": sold.pack.currency,
                "total": amount,
                "refunded_amount": sold.refunded,
                "refunded": all_of_it,
                "status": status,
                "first_order_item": {"variant_id": sold.pack.variant, "quantity": 1},
                "created_at": sold.ordered_at.isoformat().replace("+00:00", "Z"),
                "test_mode": True,
            },
        },
    }


def _order(sold: Sold) -> Order:
    return Order(
        id=sold.id,
        currency=sold.pack.currency,
        total=sold.pack.amount,
        refunded=sold.refunded,
        test=True,
        ordered_at=sold.ordered_at,
    )
