"""Nobody takes money here: staff book what was paid elsewhere (`gateway/billing/invoices.py`)."""

# ruff: noqa: ARG002 -- a provider's methods have these arguments

from collections.abc import Mapping, Sequence
from datetime import datetime

from gateway.billing.provider import RemoteOrder
from gateway.billing.settings import BillingConfig, Pack
from gateway.errors import BillingOff, WebhookRefused
from gateway.outbound.client import Outbound
from ledger.billing.payment import Payment
from ledger.billing.references import References

NAME = "manual"


class Manual:
    """Sells nothing by itself, and hears of nothing."""

    name = NAME
    sells = False
    lists = False

    def __init__(self, config: BillingConfig, references: References, outbound: Outbound) -> None:
        """All that other providers need, and this one does not."""

    def verify(self, raw: bytes, headers: Mapping[str, str]) -> None:
        """Raise WebhookRefused, always."""
        raise WebhookRefused("no webhook is taken here")

    def read(self, raw: bytes) -> Payment:
        """Raise WebhookRefused, always."""
        raise WebhookRefused("no webhook is taken here")

    async def checkout(self, account_id: int, pack: Pack, return_url: str) -> str:
        """Raise BillingOff, always."""
        raise BillingOff("credits are not sold at this address: ask the operator for an invoice")

    async def receipt(self, order_id: str) -> str | None:
        """None: the invoice was sent to its payer by whoever wrote it."""
        return None

    async def orders(self, since: datetime) -> Sequence[RemoteOrder]:
        """Raise BillingOff, always."""
        raise BillingOff("nobody else has a list of these orders")
