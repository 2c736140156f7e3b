"""The billing desk: webhooks into the books, checkouts, receipts, and the daily comparison.

One for the application. What it does beside requests, it does in every gateway and harms nobody by
that: mails about purchases go out once (`told_at`), and who comes later to the comparison sees that
it was done. Two that begin it at the same moment compare twice, and that is all.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import structlog

from gateway.billing import fake, lemonsqueezy, manual
from gateway.billing.provider import Maker, Provider, RemoteOrder, found
from gateway.billing.settings import BillingConfig
from gateway.errors import BillingOff, GatewayError, PackUnknown, ProviderFailed
from gateway.outbound.client import Outbound
from ledger.billing.payment import Applied, Drift, EventState, Purchase, Reconciliation
from ledger.errors import LedgerError
from ledger.ledger import Ledger

log = structlog.get_logger()

OWN: Mapping[str, Maker] = {
    manual.NAME: manual.Manual,
    lemonsqueezy.NAME: lemonsqueezy.LemonSqueezy,
    fake.NAME: fake.Fake,
}
# What a purchase's mail waits for at the most, where the word about it was lost with its process.
LOOK_S = 60.0
# As many periods back are compared, so that a day on which one side was away is seen on the next.
PERIODS_BACK = 3
OUTCOMES = tuple(EventState)


class BillingDesk:
    """Between one provider and the books."""

    def __init__(
        self,
        config: BillingConfig,
        ledger: Ledger,
        outbound: Outbound,
        count: Callable[[str], None],
    ) -> None:
        """Raises ConfigError for a provider that is not there."""
        make = found(config.provider, OWN)
        self.config = config
        self.provider: Provider = make(config, ledger.billing.references, outbound)
        self._ledger = ledger
        self._count = count
        self._wake = asyncio.Event()

    @property
    def sells(self) -> bool:
        """Whether somebody can buy something here."""
        return self.provider.sells and bool(self.config.packs)

    async def receive(self, raw: bytes, headers: Mapping[str, str]) -> Applied:
        """Take a webhook. Raises WebhookRefused, RequestMalformed, LedgerUnavailable.

        What it returns is in the books; whoever sent it need not send it again.
        """
        self.provider.verify(raw, headers)
        payment = self.provider.read(raw)
        applied = await self._ledger.billing.apply(payment)
        self._count(applied.state)
        write = log.warning if applied.state is EventState.HELD else log.info
        write("billing_event", action=payment.kind, stage=applied.state, reason=applied.reason)
        self._wake.set()
        return applied

    async def checkout(self, account_id: int, pack_id: str) -> str:
        """Where the account's members can buy this. Raises BillingOff, PackUnknown, ProviderFailed.

        An address without a host is below the service's own.
        """
        if not self.provider.sells:
            raise BillingOff(
                "credits are not sold at this address: ask the operator for an invoice"
            )
        pack = self.config.pack(pack_id)
        if pack is None:
            raise PackUnknown("there is no such pack; see GET /v1/prices")
        return await self.provider.checkout(account_id, pack, self.config.return_url)

    async def receipt(self, purchase: Purchase) -> str | None:
        """Where a purchase's receipt is now; it is asked for each time. Raises ProviderFailed."""
        if purchase.provider != self.provider.name:
            return None
        return await self.provider.receipt(purchase.order_id)

    async def reconcile(self, since: datetime) -> Reconciliation:
        """Compare all orders since then, and keep what differs.

        Raises BillingOff where the provider has no list, ProviderFailed, LedgerUnavailable.
        """
        name, billing = self.provider.name, self._ledger.billing
        remote = await self.provider.orders(since)
        ours = await billing.orders_since(name, since, [one.order.id for one in remote])
        drifts = [*differences(remote, ours, since), *await billing.own_drifts(name, since)]
        for one in remote:
            if one.order.customer and one.order.country:
                await billing.note_country(name, one.order.customer, one.order.country)
        done = Reconciliation(
            provider=name,
            since=since,
            ran_at=billing.clock(),
            orders=len(remote),
            drifts=tuple(drifts),
        )
        await billing.note(done)
        if drifts:
            log.warning("billing_drift", count=len(drifts))
        return done

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Do for the block what nobody asks for."""
        loop = asyncio.create_task(self._run(), name="billing")
        try:
            yield
        finally:
            loop.cancel()
            await asyncio.gather(loop, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            # Jitter, so that many gateways do not look at the same moment.
            wait_s = LOOK_S * random.uniform(0.5, 1.5)  # noqa: S311 -- not a secret
            try:
                async with asyncio.timeout(wait_s):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            try:
                await self._round()
            except ProviderFailed:
                log.warning("billing_provider_away")
            except (LedgerError, GatewayError) as error:
                log.warning("billing_round_failed", exc_info=error)

    async def _round(self) -> None:
        billing, period = self._ledger.billing, timedelta(seconds=self.config.reconcile_s)
        await billing.tell()
        await billing.sweep()
        if self.provider.lists and await billing.is_due(self.provider.name, period):
            await self.reconcile(billing.clock() - PERIODS_BACK * period)


def differences(
    remote: Sequence[RemoteOrder], ours: Sequence[Purchase], since: datetime
) -> list[Drift]:
    """What the two lists do not agree about."""
    booked = {one.order_id: one for one in ours}
    listed = {one.order.id for one in remote}
    drifts = []
    for one in remote:
        here = booked.get(one.order.id)
        if here is None:
            if one.paid and one.order.refunded < one.order.total:
                drifts.append(Drift(order_id=one.order.id, what="missing-here"))
        elif _sums(here) != (one.order.currency, one.order.total, one.order.refunded):
            drifts.append(Drift(order_id=one.order.id, what="amounts"))
    drifts += [
        Drift(order_id=one.order_id, what="missing-there")
        for one in ours
        if one.order_id not in listed and one.ordered_at >= since
    ]
    return drifts


def _sums(purchase: Purchase) -> tuple[str, int, int]:
    return purchase.currency, purchase.total, purchase.refunded
