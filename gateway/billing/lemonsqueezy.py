"""Lemon Squeezy, merchant of record: checkouts, receipts and orders over its API.

Facts of its documentation (JSON:API, `application/vnd.api+json`, Bearer key): `POST /v1/checkouts`
answers with the address of a page of theirs; `GET /v1/orders/{id}` has a receipt's address that is
signed for a while, so it is asked for when somebody wants it and kept nowhere; `GET /v1/orders` is
newest first, in pages of at most 100. What they are told of the buyer is our reference and no more.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import msgspec

from gateway.billing import webhooks
from gateway.billing.provider import RemoteOrder
from gateway.billing.settings import BillingConfig, Pack
from gateway.billing.webhooks import OrderAttributes, Resource, Webhooks
from gateway.errors import FetchError, ProviderFailed
from gateway.outbound.client import Outbound
from ledger.billing.payment import Payment
from ledger.billing.references import References

T = TypeVar("T")

NAME = "lemonsqueezy"
MEDIA_TYPE = "application/vnd.api+json"
PAGE_ORDERS = 100
# Ten thousand orders in three days is another way of business.
PAGES_MAX = 100
_OK = frozenset({200, 201})


class _CheckoutAttributes(msgspec.Struct, frozen=True, kw_only=True):
    url: str


class _Urls(msgspec.Struct, frozen=True, kw_only=True):
    receipt: str | None = None


class _ReceiptAttributes(msgspec.Struct, frozen=True, kw_only=True):
    urls: _Urls = _Urls()


class _CustomerAttributes(msgspec.Struct, frozen=True, kw_only=True):
    country: str | None = None


class _One(msgspec.Struct, frozen=True, kw_only=True):
    data: Resource


class _Page(msgspec.Struct, frozen=True, kw_only=True):
    data: tuple[Resource, ...]
    included: tuple[Resource, ...] = ()


class LemonSqueezy:
    """Takes money for packs that have a variant there."""

    name = NAME
    sells = True
    lists = True

    def __init__(self, config: BillingConfig, references: References, outbound: Outbound) -> None:
        self._config = config
        self._references = references
        self._outbound = outbound
        self._webhooks = Webhooks(NAME, config, references)

    def verify(self, raw: bytes, headers: Mapping[str, str]) -> None:
        """Raise WebhookRefused where they did not sign these bytes."""
        self._webhooks.verify(raw, headers)

    def read(self, raw: bytes) -> Payment:
        """What a webhook says. Raises RequestMalformed."""
        return self._webhooks.read(raw)

    async def checkout(self, account_id: int, pack: Pack, return_url: str) -> str:
        """A page of theirs. Raises ProviderFailed."""
        reference = self._references.of(NAME, account_id)
        made = await self._ask(
            "POST", "/v1/checkouts", _One, self._wanted(pack, reference, return_url)
        )
        return _address(_attributes(made.data, _CheckoutAttributes).url)

    async def receipt(self, order_id: str) -> str | None:
        """A page of theirs, for as long as they signed it. Raises ProviderFailed."""
        found = await self._ask("GET", f"/v1/orders/{_number(order_id)}", _One)
        url = _attributes(found.data, _ReceiptAttributes).urls.receipt
        return None if url is None else _address(url)

    async def orders(self, since: datetime) -> Sequence[RemoteOrder]:
        """Their list, as far back as that. Raises ProviderFailed."""
        listed: list[RemoteOrder] = []
        for number in range(1, PAGES_MAX + 1):
            page = await self._ask("GET", self._listing(number), _Page)
            countries = _countries(page.included)
            listed += [_remote(one, countries) for one in page.data]
            if len(page.data) < PAGE_ORDERS or listed[-1].order.ordered_at < since:
                return [one for one in listed if one.order.ordered_at >= since]
        raise ProviderFailed("there are more orders than are compared at once; look back less far")

    def _listing(self, page: int) -> str:
        filters = f"filter%5Bstore_id%5D={self._config.store}&include=customer"
        return f"/v1/orders?{filters}&page%5Bnumber%5D={page}&page%5Bsize%5D={PAGE_ORDERS}"

    def _wanted(self, pack: Pack, reference: str, return_url: str) -> dict[str, Any]:
        """The document that makes a checkout."""
        ends = datetime.now(UTC) + timedelta(seconds=self._config.checkout_s)
        options: dict[str, Any] = {"enabled_variants": [int(pack.variant)]}
        if return_url:
            options["redirect_url"] = return_url
        return {
            "data": {
                "type": "checkouts",
                "attributes": {
                    "checkout_data": {"custom": {webhooks.ACCOUNT_REF: reference}},
                    "product_options": options,
                    "expires_at": ends.isoformat(timespec="seconds").replace("+00:00", "Z"),
                    "test_mode": self._config.mode == "test",
                },
                "relationships": {
                    "store": {"data": {"type": "stores", "id": self._config.store}},
                    "variant": {"data": {"type": "variants", "id": pack.variant}},
                },
            }
        }

    async def _ask(
        self, method: str, path: str, kind: type[T], document: dict[str, Any] | None = None
    ) -> T:
        headers = {"Authorization": f"Bearer {self._config.api_key}", "Accept": MEDIA_TYPE}
        body = b""
        if document is not None:
            headers["Content-Type"] = MEDIA_TYPE
            body = msgspec.json.encode(document)
        try:
            url = self._config.api_url.rstrip("/") + path
            called = await self._outbound.call(method, url, headers, body)
        except FetchError as error:
            raise ProviderFailed("the payment provider cannot be reached; try again") from error
        if called.status not in _OK:
            raise ProviderFailed(f"the payment provider answers {called.status}; try again later")
        return _decoded(called.body, kind)


def _decoded(raw: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ProviderFailed("the payment provider's answer is not understood") from error


def _attributes(found: Resource, kind: type[T]) -> T:
    return _decoded(bytes(found.attributes), kind)


def _address(url: str) -> str:
    """An address of theirs that somebody is sent to. Raises ProviderFailed."""
    if not url.startswith("https://") or not url.isascii() or not url.isprintable():
        raise ProviderFailed("the payment provider's answer names no page")
    return url


def _number(order_id: str) -> str:
    """An order's id as a part of a path. Raises ProviderFailed for what is none of theirs."""
    if not order_id.isascii() or not order_id.isdigit():
        raise ProviderFailed("this order is none of the payment provider's")
    return order_id


def _countries(included: Sequence[Resource]) -> dict[str, str]:
    """Where buyers are, by their ids."""
    found = {}
    for one in included:
        if one.type == "customers":
            country = _attributes(one, _CustomerAttributes).country
            if country and len(country) == 2 and country.isascii() and country.isupper():  # noqa: PLR2004 -- ISO 3166
                found[str(one.id)] = country
    return found


def _remote(found: Resource, countries: Mapping[str, str]) -> RemoteOrder:
    attributes = _attributes(found, OrderAttributes)
    try:
        order = webhooks.order_of(str(found.id), attributes)
    except ValueError as error:
        raise ProviderFailed("the payment provider lists an order that cannot be") from error
    country = countries.get(order.customer or "")
    return RemoteOrder(
        order=msgspec.structs.replace(order, country=country),
        paid=attributes.status in webhooks.PAID,
    )
