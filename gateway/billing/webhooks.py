"""Webhooks as Lemon Squeezy sends them: the signature over the raw bytes, then what they say.

Nothing is decoded before the signature is right. What was bought is read from the order's variant,
never from its price or from what the buyer could have changed; whose it is, from the reference that
we signed. Facts: Lemon Squeezy's documentation of webhooks and the order object.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from gateway.billing.settings import BillingConfig, Pack
from gateway.errors import RequestMalformed, WebhookRefused
from ledger.billing.payment import Action, EventState, Order, Payment
from ledger.billing.references import References

SIGNATURE = "X-Signature"
ACCOUNT_REF = "account_ref"
# The whole of an order with all its fields is 4 KB; custom data and names come on top.
BODY_BYTES_MAX = 256 * 1024
QUANTITY_MAX = 1000
ACTIONS = {"order_created": Action.BUY, "order_refunded": Action.REFUND}
# Money was taken, whatever became of it since.
PAID = frozenset({"paid", "refunded", "partial_refund"})
UNPAID = frozenset({"pending", "failed"})
_KIND = re.compile(r"[a-z][a-z_]{0,59}")
_HEX = re.compile(r"[0-9a-f]{64}")


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """What was ordered."""

    variant_id: int | str
    quantity: int = 1


class OrderAttributes(msgspec.Struct, frozen=True, kw_only=True):
    """An order's own fields, those of them that are of use here."""

    store_id: int | str
    currency: str
    total: int
    status: str
    created_at: datetime
    customer_id: int | str | None = None
    refunded_amount: int | None = None
    # Since 2024 only where all of it was.
    refunded: bool = False
    first_order_item: Item | None = None
    test_mode: bool = False


class Resource(msgspec.Struct, frozen=True, kw_only=True):
    """Any object of theirs (JSON:API)."""

    type: str
    id: int | str
    attributes: msgspec.Raw = msgspec.Raw(b"{}")


class _Meta(msgspec.Struct, frozen=True, kw_only=True):
    event_name: str
    custom_data: dict[str, Any] | None = None
    test_mode: bool = False


class _Webhook(msgspec.Struct, frozen=True, kw_only=True):
    meta: _Meta
    data: Resource


class Webhooks:
    """Reads the webhooks of one provider that speaks like this."""

    def __init__(self, provider: str, config: BillingConfig, references: References) -> None:
        self._provider = provider
        self._config = config
        self._references = references

    def verify(self, raw: bytes, headers: Mapping[str, str]) -> None:
        """Raise WebhookRefused where no secret of ours made the signature of these bytes."""
        given = headers.get(SIGNATURE, "")
        formed = _HEX.fullmatch(given)
        made = [signature(one, raw) for one in self._config.secrets] if formed else []
        if not any(hmac.compare_digest(one, given) for one in made):
            raise WebhookRefused("the signature is missing, or is not of these bytes")

    def read(self, raw: bytes) -> Payment:
        """What it says. Raises RequestMalformed for what is no webhook of theirs."""
        digest = hashlib.sha256(raw).digest()
        try:
            said = msgspec.json.decode(raw, type=_Webhook)
            action = ACTIONS.get(said.meta.event_name)
            if action is None or said.data.type != "orders":
                return self._noted(said.meta.event_name, digest, "kind-unknown")
            found = msgspec.json.decode(said.data.attributes, type=OrderAttributes)
            return self._payment(digest, said.meta, action, str(said.data.id), found)
        except (msgspec.DecodeError, RecursionError) as error:
            raise RequestMalformed(f"the webhook is not as it should be: {error}") from error
        except ValueError as error:
            raise RequestMalformed(f"the webhook cannot be: {error}") from error

    def _payment(
        self, digest: bytes, meta: _Meta, action: Action, order_id: str, found: OrderAttributes
    ) -> Payment:
        order = order_of(order_id, found, test=meta.test_mode)
        noted = self._noted(meta.event_name, digest, None, order)
        if order.test and self._config.mode == "production":
            return msgspec.structs.replace(noted, reason="test-mode")
        if reason := self._held(order, found):
            return _held(noted, reason)
        if action is Action.REFUND:
            return msgspec.structs.replace(noted, action=action)
        if found.status in UNPAID:
            return msgspec.structs.replace(noted, reason="unpaid")
        if found.status not in PAID:
            return _held(noted, "status-unknown")
        return self._bought(noted, found.first_order_item, _reference(meta))

    def _bought(self, noted: Payment, item: Item | None, reference: str) -> Payment:
        """A purchase, or why it is none yet; what is known of it is noted all the same."""
        pack = self._config.sold_as(str(item.variant_id)) if item else None
        account_id = self._references.account_of(self._provider, reference)
        quantity = item.quantity if item else 0
        known = msgspec.structs.replace(
            noted,
            account_id=account_id,
            pack=pack and pack.id,
            credits=pack.credits * quantity if pack and 1 <= quantity <= QUANTITY_MAX else None,
        )
        if reason := _missing(known, pack):
            return _held(known, reason)
        return msgspec.structs.replace(known, action=Action.BUY)

    def _held(self, order: Order, found: OrderAttributes) -> str | None:
        """Why a person has to look at any event of this order; None where nobody has."""
        if not order.test and self._config.mode == "test":
            return "live-mode"
        if self._config.store and str(found.store_id) != self._config.store:
            return "store-unknown"
        return None

    def _noted(
        self, kind: str, digest: bytes, reason: str | None, order: Order | None = None
    ) -> Payment:
        return Payment(
            provider=self._provider,
            digest=digest,
            kind=kind if _KIND.fullmatch(kind) else "unknown",
            reason=reason,
            order=order,
        )


def signature(secret: str, raw: bytes) -> str:
    """What a secret makes of a body: HMAC-SHA256 in hexadecimal digits, lower case."""
    return hmac.digest(secret.encode(), raw, "sha256").hex()


def order_of(order_id: str, found: OrderAttributes, *, test: bool = False) -> Order:
    """An order in our words. Raises ValueError for one that cannot be."""
    refunded = found.refunded_amount or 0
    if found.refunded or found.status == "refunded":
        refunded = max(refunded, found.total)
    return Order(
        id=order_id,
        currency=found.currency,
        total=found.total,
        refunded=refunded,
        test=test or found.test_mode,
        ordered_at=found.created_at,
        customer=None if found.customer_id is None else str(found.customer_id),
    )


def _held(noted: Payment, reason: str) -> Payment:
    return msgspec.structs.replace(noted, state=EventState.HELD, reason=reason)


def _missing(known: Payment, pack: Pack | None) -> str | None:
    """Why this is no purchase yet."""
    if pack is None:
        return "pack-unknown"
    if known.credits is None:
        return "quantity"
    if known.order is not None and known.order.currency != pack.currency:
        return "currency"
    if known.account_id is None:
        return "account-unknown"
    return None


def _reference(meta: _Meta) -> str:
    value = (meta.custom_data or {}).get(ACCOUNT_REF)
    return value if isinstance(value, str) else ""
