"""Checkouts, receipts, staff and the daily comparison, with a provider that is a server of ours."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from aiohttp import web

from engine.engine import Engine
from gateway import state
from gateway.billing.desk import BillingDesk
from gateway.billing.settings import BillingConfig
from gateway.errors import ConfigError
from ledger.billing.payment import Drift, Reconciliation
from ledger.people.roles import Role, StaffRole
from tests.gateway.payments import LEMONSQUEEZY, order, signed
from tests.gateway.persons import House, Somebody, open_house
from tests.gateway.receivers import ALLOWED
from tests.gateway.service import PATIENCE_S, Reply
from tests.postgres import Server

pytestmark = pytest.mark.asyncio(loop_scope="session")

HOOK = "/v1/billing/webhooks/lemonsqueezy"
KEY = str(LEMONSQUEEZY["api_key"])


class Theirs:
    """The provider's API, as far as we use it."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[tuple[str, str, dict[str, str], Any]] = []
        self.orders: list[dict[str, Any]] = []
        self.status = 200
        self.raw: bytes | None = None
        self.page = "https://shop.lemonsqueezy.com/checkout/custom/abc?expires=1&signature=2"

    async def answer(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.asked.append(
            (
                request.method,
                request.path_qs,
                dict(request.headers),
                msgspec.json.decode(body) if body else None,
            )
        )
        if self.raw is not None or self.status >= 300:
            return web.Response(body=self.raw or b"{}", status=self.status)
        return web.json_response(self._document(request), status=self.status)

    def _document(self, request: web.Request) -> dict[str, Any]:
        if request.path == "/v1/checkouts":
            return {"data": {"type": "checkouts", "id": "c1", "attributes": {"url": self.page}}}
        if request.path == "/v1/orders":
            number = int(request.query["page[number]"])
            size = int(request.query["page[size]"])
            customer = {"type": "customers", "id": "901", "attributes": {"country": "AT"}}
            return {
                "data": self.orders[(number - 1) * size : number * size],
                "included": [customer],
            }
        urls = {"receipt": "https://app.lemonsqueezy.com/my-orders/1?signature=3"}
        return {"data": {"type": "orders", "id": "1", "attributes": {"urls": urls}}}


@asynccontextmanager
async def theirs() -> AsyncIterator[Theirs]:
    there = Theirs()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", there.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    there.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield there
    finally:
        await runner.cleanup()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def there() -> AsyncIterator[Theirs]:
    async with theirs() as there:
        yield there


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def house(engine: Engine, postgres: Server, there: Theirs) -> AsyncIterator[House]:
    selling = LEMONSQUEEZY | {"api_url": there.url, "return_url": "https://example.com/thanks"}
    async with open_house(engine, postgres, billing=selling, fetch=dict(ALLOWED)) as house:
        yield house


@pytest_asyncio.fixture(loop_scope="session")
async def owner(house: House, there: Theirs) -> Somebody:
    there.asked.clear()
    there.orders.clear()
    there.status, there.raw = 200, None
    return await house.somebody()


@pytest_asyncio.fixture(loop_scope="session")
async def finance(house: House) -> Somebody:
    staff = await house.somebody()
    await house.ledger.people.staff.give(staff.id, StaffRole.FINANCE)
    await staff.use_totp()
    return staff


def desk_of(house: House) -> BillingDesk:
    return house.service.app[state.BILLING]


async def buy(house: House, who: Somebody, number: str, **changed: Any) -> Reply:
    assert who.account_id
    reference = house.ledger.billing.references.of("lemonsqueezy", who.account_id)
    when = house.clock.now.isoformat().replace("+00:00", "Z")
    body = order(reference=reference, data={"id": number}, created_at=when, **changed)
    return await house.service.ask("POST", HOOK, data=body, headers=signed(body))


async def test_a_checkout_tells_the_provider_a_reference_and_nothing_else_of_the_buyer(
    house: House, owner: Somebody, there: Theirs
) -> None:
    page = await owner.done("POST", "/v1/billing/checkout", {"pack": "large"})
    assert page == {"url": there.page}
    [(method, path, headers, sent)] = there.asked
    assert (method, path) == ("POST", "/v1/checkouts")
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert headers["Content-Type"] == "application/vnd.api+json"
    attributes = sent["data"]["attributes"]
    reference = attributes["checkout_data"]["custom"]["account_ref"]
    assert attributes["checkout_data"] == {"custom": {"account_ref": reference}}
    assert house.ledger.billing.references.account_of("lemonsqueezy", reference) == owner.account_id
    assert attributes["product_options"] == {
        "enabled_variants": [12],
        "redirect_url": "https://example.com/thanks",
    }
    assert attributes["test_mode"] is False
    assert sent["data"]["relationships"]["variant"]["data"]["id"] == "12"
    assert owner.address not in msgspec.json.encode(sent).decode()


@pytest.mark.parametrize(
    ("status", "raw"),
    [
        (500, None),
        (401, None),
        (302, None),
        (200, b"not JSON"),
        (200, b'{"data": {}}'),
        (200, b"[" * 50_000),
        (200, b" " * (3 * 1024 * 1024)),
        (
            200,
            b'{"data": {"type": "checkouts", "id": "1", "attributes": {"url": "javascript:1"}}}',
        ),
    ],
)
async def test_a_provider_that_is_out_of_order_is_told_of_as_such(
    owner: Somebody, there: Theirs, status: int, raw: bytes | None
) -> None:
    there.status, there.raw = status, raw
    said = await owner.ask("POST", "/v1/billing/checkout", {"pack": "large"})
    assert (said.status, said.json["code"]) == (502, "payment-provider-failed")
    assert KEY not in said.body.decode()


async def test_what_is_not_sold_has_no_checkout(owner: Somebody) -> None:
    said = await owner.ask("POST", "/v1/billing/checkout", {"pack": "huge"})
    assert (said.status, said.json["code"]) == (404, "pack-unknown")


async def test_the_prices_name_the_packs(house: House) -> None:
    page = (await house.ask("GET", "/v1/prices")).json
    assert page["checkout"] is True
    assert page["packs"][0] == {
        "id": "small", "title": "Small", "credits": 500, "amount": 1000, "currency": "EUR",
    }  # fmt: skip


async def test_billing_shows_what_is_known_and_no_more(house: House, owner: Somebody) -> None:
    assert (await buy(house, owner, "1001")).json == {"state": "applied"}
    page = await owner.done("GET", "/v1/billing")
    assert page == {
        "balance": 500, "debt": 0, "low_balance": None, "provider": "lemonsqueezy", "test": False,
        "checkout": True,
        "paying_with": [
            {"provider": "lemonsqueezy", "brand": None, "last_four": None, "country": None}
        ],
    }  # fmt: skip


async def test_receipts_are_listed_and_their_links_are_asked_for_each_time(
    house: House, owner: Somebody, there: Theirs
) -> None:
    for number in ("1011", "1012", "1013"):
        await buy(house, owner, number)
    first = await owner.done("GET", "/v1/billing/receipts?limit=2")
    rest = await owner.done("GET", f"/v1/billing/receipts?cursor={first['next']}")
    found = [one["reference"] for one in (*first["receipts"], *rest["receipts"])]
    assert found == ["ls:order:1013", "ls:order:1012", "ls:order:1011"]
    assert rest["next"] is None
    one = await owner.done("GET", "/v1/billing/receipts/ls:order:1012")
    assert (one["credits"], one["amount"], one["currency"]) == (500, 1000, "EUR")
    for _ in range(2):
        link = await owner.done("GET", "/v1/billing/receipts/ls:order:1012/link")
        assert link["url"].startswith("https://app.lemonsqueezy.com/")
    asked = [path for _, path, _, _ in there.asked if not path.startswith("/v1/orders?")]
    assert asked == ["/v1/orders/1012"] * 2


async def test_receipts_of_others_are_not_there(house: House, owner: Somebody) -> None:
    await buy(house, owner, "1021")
    other = await house.somebody()
    for path in ("ls:order:1021", "ls:order:1021/link", "nothing", "x" * 200, "%00"):
        said = await other.ask("GET", f"/v1/billing/receipts/{path}")
        assert said.status in {400, 404}, path
    said = await other.ask("GET", "/v1/billing/receipts?cursor=ls:order:1021")
    assert said.status == 404


async def test_members_who_pay_get_a_mail_and_others_do_not(house: House, owner: Somebody) -> None:
    developer = await house.member(owner, Role.DEVELOPER)
    payer = await house.member(owner, Role.BILLING)
    await buy(house, owner, "1031")
    untold = "select count(*) from billing.purchase where told_at is null"
    async with asyncio.timeout(PATIENCE_S):
        while await house.ledger._database.value(untold):
            await house.ledger.billing.tell()  # none, where the desk's own round is at it
    assert await house.ledger.billing.tell() == 0
    for who, count in ((owner, 1), (payer, 1), (developer, 0)):
        letters = [one for one in await house.mails(who.address) if one.kind == "receipt"]
        assert len(letters) == count
        for letter in letters:
            assert letter.fields["reference"] == "ls:order:1031"
            assert letter.fields["amount"] == "10.00 EUR"
            assert letter.fields["credits"] == "500"


async def test_the_balance_to_hear_of_is_set_and_unset(owner: Somebody) -> None:
    assert await owner.done("PUT", "/v1/account/low-balance", {"threshold": 50}) == {
        "threshold": 50
    }
    assert (await owner.done("GET", "/v1/billing"))["low_balance"] == 50
    await owner.done("PUT", "/v1/account/low-balance", {"threshold": None})
    assert (await owner.done("GET", "/v1/billing"))["low_balance"] is None
    for wrong in ({"threshold": 0}, {"threshold": -5}, {"threshold": 2**60}, {}, {"x": 1}):
        assert (await owner.ask("PUT", "/v1/account/low-balance", wrong)).status == 400


async def test_finance_books_an_invoice_once_and_refunds_it_in_parts(
    owner: Somebody, finance: Somebody
) -> None:
    invoice = {
        "account_id": owner.account_id, "credits": 300, "invoice": "2027-17", "amount": 600,
        "currency": "EUR",
    }  # fmt: skip
    for _ in range(2):
        booked = await finance.done("POST", "/v1/staff/billing/invoices", invoice)
        assert booked["reference"] == "manual:invoice:2027-17"
    assert (await owner.done("GET", "/v1/billing"))["balance"] == 300
    said = await finance.ask("POST", "/v1/staff/billing/invoices", invoice | {"credits": 301})
    assert (said.status, said.json["code"]) == (409, "reference-used")
    back = {"invoice": "2027-17", "refunded": 200}
    assert (await finance.done("POST", "/v1/staff/billing/refunds", back))["withdrawn"] == 100
    too_much = back | {"refunded": 601}
    assert (await finance.ask("POST", "/v1/staff/billing/refunds", too_much)).status == 400
    link = await owner.done("GET", "/v1/billing/receipts/manual:invoice:2027-17/link")
    assert link == {"url": None}


async def test_what_finance_does_is_on_record(
    house: House, owner: Somebody, finance: Somebody
) -> None:
    invoice = {
        "account_id": owner.account_id, "credits": 5, "invoice": "2027-18", "amount": 0,
        "currency": "EUR",
    }  # fmt: skip
    await finance.done("POST", "/v1/staff/billing/invoices", invoice)
    last = (await house.ledger.actions.list(limit=1))[0]
    assert (last.action, last.actor) == ("billing-grant", f"person:{finance.id}")


@pytest.mark.parametrize(
    "wrong",
    [
        {"credits": 0}, {"amount": -1}, {"currency": "eur"}, {"invoice": ""},
        {"invoice": "with spaces"}, {"account_id": 0}, {"more": 1},
    ],
)  # fmt: skip
async def test_an_invoice_that_cannot_be_is_refused(
    owner: Somebody, finance: Somebody, wrong: dict[str, Any]
) -> None:
    invoice = {
        "account_id": owner.account_id, "credits": 5, "invoice": "x", "amount": 0,
        "currency": "EUR",
    }  # fmt: skip
    said = await finance.ask("POST", "/v1/staff/billing/invoices", invoice | wrong)
    assert (said.status, said.json["code"]) == (400, "malformed-request")


async def test_a_held_order_is_booked_by_finance_or_closed(
    house: House, owner: Somebody, finance: Somebody
) -> None:
    for number in ("1041", "1042"):
        await buy(house, owner, number, meta={"custom_data": {"account_ref": "nobody's"}})
    events = (await finance.done("GET", "/v1/staff/billing/events"))["events"]
    first, second = (one for one in events if one["order"] in {"1041", "1042"})
    booking = {
        "event": first["id"], "account_id": owner.account_id, "credits": 500, "pack": "small",
    }  # fmt: skip
    booked = await finance.done("POST", "/v1/staff/billing/bookings", booking)
    assert (booked["reference"], booked["credits"]) == ("ls:order:1041", 500)
    assert (await finance.ask("POST", "/v1/staff/billing/bookings", booking)).status == 404
    await finance.done("DELETE", f"/v1/staff/billing/events/{second['id']}")
    again = await finance.ask("DELETE", f"/v1/staff/billing/events/{second['id']}")
    assert (again.status, again.json["code"]) == (404, "order-unknown")
    assert (await owner.done("GET", "/v1/billing"))["balance"] == 500


async def test_a_debt_is_listed_and_waived(
    house: House, owner: Somebody, finance: Somebody
) -> None:
    assert owner.account_id
    await buy(house, owner, "1051")
    await house.ledger.accounts.grant(owner.account_id, -480, "as if spent", "test:1051")
    await buy(house, owner, "1051", kind="order_refunded", refunded_amount=1000)
    assert (await owner.done("GET", "/v1/billing"))["debt"] == 480
    [debt] = (await finance.done("GET", "/v1/staff/billing/debts"))["debts"]
    assert (debt["debt"], debt["account_id"]) == (480, owner.account_id)
    waived = await finance.done("DELETE", "/v1/staff/billing/debts/ls:order:1051")
    assert waived == {"credits": 480}
    assert (await finance.ask("DELETE", "/v1/staff/billing/debts/none")).status == 404


def listed(house: House, number: str, **changed: Any) -> dict[str, Any]:
    when = house.clock.now.isoformat().replace("+00:00", "Z")
    body = order(data={"id": number}, created_at=when, **changed)
    found: dict[str, Any] = msgspec.json.decode(body)["data"]
    return found


async def test_what_two_lists_of_orders_do_not_agree_about_is_reported(
    house: House, owner: Somebody, finance: Somebody, there: Theirs
) -> None:
    for number in ("1061", "1062", "1063"):
        await buy(house, owner, number)
    there.orders += [
        listed(house, "1061"),
        listed(house, "1062", refunded_amount=300),
        listed(house, "1064"),
        listed(house, "1065", status="pending"),
    ]
    since = house.clock.now - timedelta(days=1)
    done = await desk_of(house).reconcile(since)
    assert {(one.order_id, one.what) for one in done.drifts} >= {
        ("1062", "amounts"),
        ("1063", "missing-there"),
        ("1064", "missing-here"),
    }
    assert "1061" not in {one.order_id for one in done.drifts}
    page = await finance.done("POST", "/v1/staff/billing/reconciliations?days=1")
    assert page["orders"] == 4
    # The list says where the buyer is.
    paying = (await owner.done("GET", "/v1/billing"))["paying_with"]
    assert paying[0]["country"] == "AT"


async def test_a_comparison_is_due_when_nobody_compared_for_a_day(house: House) -> None:
    billing, period, now = house.ledger.billing, timedelta(days=1), house.clock.now
    assert await billing.is_due("another", period)
    done = Reconciliation(
        provider="another",
        since=now - period,
        ran_at=now,
        orders=3,
        drifts=(Drift(order_id="9", what="amounts"),),
    )
    await billing.note(done)
    assert await billing.last("another") == done
    assert not await billing.is_due("another", period)
    house.clock.forward(days=1)
    assert await billing.is_due("another", period)


async def test_orders_are_read_page_by_page_as_far_back_as_wanted(
    house: House, there: Theirs
) -> None:
    there.asked.clear()
    there.orders.clear()
    old = listed(house, "1")
    house.clock.forward(days=30)
    there.orders += [listed(house, f"{number}") for number in range(2000, 2150)] + [old] * 100
    found = await desk_of(house).provider.orders(house.clock.now - timedelta(days=1))
    assert len(found) == 150
    pages = [path for method, path, _, _ in there.asked if path.startswith("/v1/orders?")]
    assert len(pages) == 2
    assert "filter%5Bstore_id%5D=5" in pages[0] or "filter[store_id]=5" in pages[0]


async def test_a_provider_that_nobody_installed_stops_the_boot(house: House) -> None:
    config = BillingConfig(provider="stripe")
    with pytest.raises(ConfigError, match="known are fake, lemonsqueezy, manual"):
        BillingDesk(config, house.ledger, house.service.app[state.OUTBOUND], lambda _: None)
