"""The words of billing that no database is needed for: orders, references, amounts."""

from datetime import UTC, datetime
from typing import Any

import pytest

from ledger.billing.billing import money
from ledger.billing.payment import Order
from ledger.billing.references import References

SAID: dict[str, Any] = {
    "id": "77", "currency": "EUR", "total": 1000, "refunded": 0, "test": False,
    "ordered_at": datetime(2026, 11, 20, tzinfo=UTC),
}  # fmt: skip


@pytest.mark.parametrize(
    "changed",
    [
        {"total": -1}, {"refunded": -1}, {"refunded": 1001}, {"currency": "eur"},
        {"currency": "EURO"}, {"id": ""}, {"id": "x" * 101}, {"id": "a b"}, {"total": 10**14},
        {"country": "at"}, {"last_four": "42424"}, {"customer": ""}, {"brand": ""},
    ],
)  # fmt: skip
def test_an_order_that_cannot_be_is_refused_before_any_transaction(changed: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        Order(**SAID | changed)


def test_a_reference_opens_for_its_provider_and_its_maker_only() -> None:
    mine, others = References(b"one pepper of ours"), References(b"another pepper....")
    text = mine.of("lemonsqueezy", 2**53 - 2)
    assert mine.account_of("lemonsqueezy", text) == 2**53 - 2
    assert mine.account_of("fake", text) is None
    assert others.account_of("lemonsqueezy", text) is None
    for wrong in (text[:-1], text + "a", text.upper(), text.replace("1.", "2.", 1), "", "1..", "ü"):
        assert mine.account_of("lemonsqueezy", wrong) is None
    head, tag = text.rsplit(".", 1)
    swapped = f"{mine.of('lemonsqueezy', 7).rsplit('.', 1)[0]}.{tag}"
    assert head in text
    assert mine.account_of("lemonsqueezy", swapped) is None


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [(1990, "EUR", "19.90 EUR"), (5, "USD", "0.05 USD"), (500, "JPY", "500 JPY"),
     (1234, "KWD", "1.234 KWD")],
)  # fmt: skip
def test_amounts_are_written_as_people_do(amount: int, currency: str, text: str) -> None:
    assert money(amount, currency) == text
