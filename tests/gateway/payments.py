"""Webhooks of a payment provider for tests, as Lemon Squeezy sends them, well or badly signed."""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

import msgspec

SECRETS = ("the-old-secret", "the-new-secret")
OLD, NEW = SECRETS
PACKS = (
    {"id": "small", "title": "Small", "credits": 500, "amount": 1000, "currency": "EUR",
     "variant": "11"},
    {"id": "large", "title": "Large", "credits": 5000, "amount": 9000, "currency": "EUR",
     "variant": "12"},
)  # fmt: skip
LEMONSQUEEZY = {
    "provider": "lemonsqueezy",
    "webhook_secrets": " ".join(SECRETS),
    "api_key": "an API key, not a real one",
    "store": "5",
    "packs": PACKS,
}
FAKE = {"provider": "fake", "mode": "test", "packs": PACKS}


def order(
    kind: str = "order_created",
    reference: str | None = None,
    *,
    test: bool = False,
    meta: Mapping[str, Any] | None = None,
    data: Mapping[str, Any] | None = None,
    item: Mapping[str, Any] | None = None,
    **attributes: Any,
) -> bytes:
    """The body of a webhook: a whole order, with what is named here changed."""
    said = {
        "store_id": 5,
        "customer_id": 901,
        "identifier": "104e18a2-d755-4d4b-80c4-a6c1dcbe1c10",
        "order_number": 1,
        "user_name": "Canary Ada",
        "user_email": "canary@example.com",
        "currency": "EUR",
        "currency_rate": "1.0000",
        "subtotal": 1000,
        "tax": 0,
        "total": 1000,
        "refunded_amount": 0,
        "status": "paid",
        "refunded": False,
        "refunded_at": None,
        "first_order_item": {"id": 1, "variant_id": 11, "price": 1000, "quantity": 1}
        | dict(item or {}),
        "urls": {"receipt": "https://app.lemonsqueezy.com/my-orders/canary"},
        "created_at": "2026-11-20T12:00:00.000000Z",
        "test_mode": test,
    }
    custom = {} if reference is None else {"custom_data": {"account_ref": reference}}
    return msgspec.json.encode(
        {
            "meta": {"event_name": kind, "test_mode": test, **custom, **(meta or {})},
            "data": {"type": "orders", "id": "77", "attributes": said | attributes, **(data or {})},
        }
    )


def signed(body: bytes, secret: str = NEW) -> dict[str, str]:
    """The headers that belong to it."""
    made = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {"X-Signature": made, "Content-Type": "application/json"}
