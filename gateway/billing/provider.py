"""What every payment provider can do for us, and how one is found by its name.

Providers that are not ours come as plug-ins: an entry point of the group `ephemera.billing`, named
as `billing.provider` names it, that is called as `Maker` says.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib.metadata import entry_points
from typing import Protocol

import msgspec

from gateway.billing.settings import BillingConfig, Pack
from gateway.errors import ConfigError
from gateway.outbound.client import Outbound
from ledger.billing.payment import Order, Payment
from ledger.billing.references import References

GROUP = "ephemera.billing"


class RemoteOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order as the provider's list has it."""

    order: Order
    # Money was taken for it.
    paid: bool


class Provider(Protocol):
    """One who takes money for us."""

    name: str
    # Somebody can buy here.
    sells: bool
    # Its orders can be listed.
    lists: bool

    def verify(self, raw: bytes, headers: Mapping[str, str]) -> None:
        """Whether a webhook's bytes are the provider's own. Raises WebhookRefused."""

    def read(self, raw: bytes) -> Payment:
        """What a webhook says. Raises RequestMalformed."""

    async def checkout(self, account_id: int, pack: Pack, return_url: str) -> str:
        """An address where somebody can buy it. Raises ProviderFailed, BillingOff."""

    async def receipt(self, order_id: str) -> str | None:
        """An address where its receipt is for a while. Raises ProviderFailed."""

    async def orders(self, since: datetime) -> Sequence[RemoteOrder]:
        """All orders since then. Raises ProviderFailed, BillingOff."""


class Maker(Protocol):
    """Makes a provider, once for the application."""

    def __call__(
        self, config: BillingConfig, references: References, outbound: Outbound, /
    ) -> Provider:
        """Raises ConfigError."""


def found(name: str, own: Mapping[str, Maker]) -> Maker:
    """The maker of this provider, ours or installed. Raises ConfigError."""
    if name in own:
        return own[name]
    installed = {one.name: one for one in entry_points(group=GROUP)}
    if name not in installed:
        known = ", ".join(sorted({*own, *installed}))
        raise ConfigError(f"billing.provider: there is no provider {name!r}; known are {known}")
    maker: Maker = installed[name].load()
    return maker
