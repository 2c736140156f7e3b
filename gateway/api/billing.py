"""`/v1/billing`: what an account bought and owes, where it buys more; its provider's webhooks."""

import asyncio
from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta

from gateway import state
from gateway.api.answers import answer
from gateway.api.keys import moment
from gateway.asked import whole_of
from gateway.billing.desk import BillingDesk
from gateway.billing.webhooks import BODY_BYTES_MAX
from gateway.errors import RequestMalformed, RouteUnknown, UploadTooLarge, UploadTooSlow
from gateway.json_body import body_of
from gateway.people.links import base_of
from gateway.people.sessions import account_of
from ledger.billing.payment import Purchase
from ledger.credits.operation import CREDITS_MAX
from ledger.errors import AccountUnknown

LIMIT = 50
LIMIT_MAX = 200
# What a webhook of 256 KB takes on a bad day; a sender that is slower sends again.
_WEBHOOK_TIMEOUT_S = 10.0
_REFERENCE_CHARS_MAX = 150


class PayingWith(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of how the account pays, as its provider told."""

    provider: str
    brand: str | None
    last_four: str | None
    country: str | None


class BillingPage(msgspec.Struct, frozen=True, kw_only=True):
    """The account's credits, and how more of them are bought."""

    balance: int
    # Credits that were refunded after they were spent: the next purchase pays them.
    debt: int
    # Below this balance the account's members get a mail; null: never.
    low_balance: int | None
    # Who takes the money, and whether it is only a test.
    provider: str
    test: bool
    # Whether credits can be bought here: POST /v1/billing/checkout.
    checkout: bool
    paying_with: tuple[PayingWith, ...]


class CheckoutWanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody wants to buy."""

    pack: Annotated[str, Meta(min_length=1, max_length=40)]


class CheckoutPage(msgspec.Struct, frozen=True, kw_only=True):
    """Where it is paid. The credits come with the provider's word that it was."""

    url: str


class ReceiptItem(msgspec.Struct, frozen=True, kw_only=True):
    """A purchase. Amounts are in the smallest unit of the currency."""

    # As in the account's entries.
    reference: str
    provider: str
    pack: str
    credits: int
    amount: int
    currency: str
    refunded: int
    # Credits that were taken back for it, and those that were spent before.
    withdrawn: int
    debt: int
    test: bool
    ordered_at: str
    booked_at: str


class ReceiptsPage(msgspec.Struct, frozen=True, kw_only=True):
    """Purchases, newest first."""

    receipts: tuple[ReceiptItem, ...]
    # The `cursor` of the next page; null at the end.
    next: str | None


class ReceiptLink(msgspec.Struct, frozen=True, kw_only=True):
    """Where the provider shows the receipt, for a while; null: it has none, or nobody has it."""

    url: str | None


class LowBalanceWanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The balance below which the account's members want a mail; null: never."""

    threshold: Annotated[int, Meta(ge=1, le=CREDITS_MAX)] | None


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """The webhook is in the books, and need not be sent again."""

    # applied, parked, held, ignored or repeat.
    state: str


async def show(request: web.Request) -> web.StreamResponse:
    """`GET /v1/billing`."""
    ledger, desk, account_id = request.app[state.LEDGER], desk_of(request), account_of(request)
    account = await ledger.accounts.get(account_id)
    customers = await ledger.billing.customers(account_id)
    return answer(
        BillingPage(
            balance=account.balance,
            debt=await ledger.billing.debt(account_id),
            low_balance=account.low_balance,
            provider=desk.provider.name,
            test=desk.config.mode == "test",
            checkout=desk.sells,
            paying_with=tuple(
                PayingWith(
                    provider=one.provider,
                    brand=one.brand,
                    last_four=one.last_four,
                    country=one.country,
                )
                for one in customers
            ),
        )
    )


async def checkout(request: web.Request) -> web.StreamResponse:
    """`POST /v1/billing/checkout`."""
    wanted = await body_of(request, CheckoutWanted)
    url = await desk_of(request).checkout(own_account_of(request), wanted.pack)
    if url.startswith("/"):
        url = base_of(request.app[state.SETTINGS]) + url
    return answer(CheckoutPage(url=url), 201)


async def list_receipts(request: web.Request) -> web.StreamResponse:
    """`GET /v1/billing/receipts`."""
    billing, account_id = request.app[state.LEDGER].billing, account_of(request)
    limit = whole_of(request, "limit", LIMIT)
    if not 1 <= limit <= LIMIT_MAX:
        raise RequestMalformed(f"limit is a whole number from 1 to {LIMIT_MAX}")
    cursor = request.query.get("cursor")
    before = await billing.purchase(_checked(cursor), account_id) if cursor else None
    found = await billing.purchases(account_id, before=before, limit=limit + 1)
    page = found[:limit]
    more = page[-1].reference if len(found) > limit else None
    return answer(ReceiptsPage(receipts=tuple(item(one) for one in page), next=more))


async def show_receipt(request: web.Request) -> web.StreamResponse:
    """`GET /v1/billing/receipts/{reference}`."""
    return answer(item(await _named(request)))


async def link_receipt(request: web.Request) -> web.StreamResponse:
    """`GET /v1/billing/receipts/{reference}/link`: asked for at the provider, each time."""
    url = await desk_of(request).receipt(await _named(request))
    if url is not None and url.startswith("/"):
        url = base_of(request.app[state.SETTINGS]) + url
    return answer(ReceiptLink(url=url))


async def set_low_balance(request: web.Request) -> web.StreamResponse:
    """`PUT /v1/account/low-balance`."""
    wanted = await body_of(request, LowBalanceWanted)
    accounts = request.app[state.LEDGER].accounts
    await accounts.set_low_balance(own_account_of(request), wanted.threshold)
    return answer(wanted)


async def receive(request: web.Request) -> web.StreamResponse:
    """`POST /v1/billing/webhooks/{provider}`: bytes first, their signature second, sense third."""
    desk = desk_of(request)
    if request.match_info["provider"] != desk.provider.name:
        raise RouteUnknown("no webhooks of this provider are taken here")
    applied = await desk.receive(await _body(request), request.headers)
    return answer(Received(state=applied.state))


def desk_of(request: web.Request) -> BillingDesk:
    """The application's billing desk."""
    return request.app[state.BILLING]


def own_account_of(request: web.Request) -> int:
    """The account that somebody who is signed in acts for. Raises AccountUnknown."""
    account_id = request[state.PERSON].account_id
    if account_id is None:
        raise AccountUnknown("you act for no account; choose one of yours first")
    return account_id


def item(purchase: Purchase) -> ReceiptItem:
    """A purchase as the API shows it."""
    return ReceiptItem(
        reference=purchase.reference,
        provider=purchase.provider,
        pack=purchase.pack,
        credits=purchase.credits,
        amount=purchase.total,
        currency=purchase.currency,
        refunded=purchase.refunded,
        withdrawn=purchase.withdrawn,
        debt=purchase.debt,
        test=purchase.test,
        ordered_at=moment(purchase.ordered_at) or "",
        booked_at=moment(purchase.booked_at) or "",
    )


async def _named(request: web.Request) -> Purchase:
    reference = _checked(request.match_info["reference"])
    return await request.app[state.LEDGER].billing.purchase(reference, account_of(request))


def _checked(reference: str) -> str:
    """A reference that PostgreSQL can be asked for."""
    if len(reference) > _REFERENCE_CHARS_MAX or not reference.isascii() or "\x00" in reference:
        raise RequestMalformed("a receipt's reference is as GET /v1/billing/receipts lists it")
    return reference


async def _body(request: web.Request) -> bytes:
    """The bytes as they came, which the signature is over."""
    if (request.content_length or 0) > BODY_BYTES_MAX:
        raise _too_large()
    body = bytearray()
    try:
        async with asyncio.timeout(_WEBHOOK_TIMEOUT_S):
            async for piece in request.content.iter_any():
                body += piece
                if len(body) > BODY_BYTES_MAX:
                    raise _too_large()
    except TimeoutError as error:
        raise UploadTooSlow("the webhook did not come in time") from error
    except web.RequestPayloadError as error:
        raise RequestMalformed("the webhook ended before its end, or was badly framed") from error
    return bytes(body)


def _too_large() -> UploadTooLarge:
    return UploadTooLarge(f"a webhook has at most {BODY_BYTES_MAX} bytes")
