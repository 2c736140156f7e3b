"""Webhooks over HTTP: genuine ones once, in whatever order; everything else leaves nothing."""

import asyncio
from collections.abc import AsyncIterator
from itertools import count
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from engine.engine import Engine
from gateway.billing.webhooks import BODY_BYTES_MAX
from tests.gateway.payments import LEMONSQUEEZY, OLD, order, signed
from tests.gateway.service import Customer, Reply, Service
from tests.gateway.two_gateways import Two, two_gateways
from tests.postgres import Server

pytestmark = pytest.mark.asyncio(loop_scope="session")

HOOK = "/v1/billing/webhooks/lemonsqueezy"
NUMBERS = count(1000)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def both(engine: Engine, postgres: Server) -> AsyncIterator[Two]:
    async with two_gateways(engine, postgres, billing=LEMONSQUEEZY) as two:
        yield two


@pytest_asyncio.fixture(loop_scope="session")
async def shop(both: Two) -> AsyncIterator[Service]:
    yield both.one
    assert await both.one.ledger.billing.own_drifts("nobody", both.one.ledger.billing.clock()) == []
    for event in await both.one.ledger.billing.open_events():
        await both.one.ledger.billing.close_event(event.id)


@pytest_asyncio.fixture(loop_scope="session")
async def buyer(shop: Service) -> Customer:
    return await shop.customer(opening=100)


def reference_of(service: Service, customer: Customer) -> str:
    return service.ledger.billing.references.of("lemonsqueezy", customer.account_id)


def new_order() -> dict[str, Any]:
    return {"data": {"id": str(next(NUMBERS))}}


async def send(service: Service, body: bytes, secret: str | None = None, **headers: str) -> Reply:
    sent = signed(body, secret) if secret else signed(body)
    return await service.ask("POST", HOOK, data=body, headers=sent | headers)


async def balance(service: Service, customer: Customer) -> int:
    return await service.ledger.balance(customer.account_id)


async def test_a_purchase_and_its_refunds_move_credits(shop: Service, buyer: Customer) -> None:
    this, mine = new_order(), reference_of(shop, buyer)
    said = await send(shop, order(reference=mine, **this))
    assert (said.status, said.json) == (200, {"state": "applied"})
    assert await balance(shop, buyer) == 600
    await send(shop, order("order_refunded", mine, refunded_amount=250, **this))
    assert await balance(shop, buyer) == 475
    whole = {"refunded": True, "status": "refunded", "refunded_amount": 1000}
    await send(shop, order("order_refunded", mine, **whole, **this))
    assert await balance(shop, buyer) == 100


@pytest.mark.parametrize("secret", [OLD, None], ids=["old", "new"])
async def test_two_secrets_are_good_while_one_replaces_the_other(
    shop: Service, buyer: Customer, secret: str | None
) -> None:
    body = order(reference=reference_of(shop, buyer), **new_order())
    assert (await send(shop, body, secret)).status == 200
    assert await balance(shop, buyer) == 600


async def test_what_is_not_signed_is_refused_whatever_it_says(
    shop: Service, buyer: Customer
) -> None:
    body = order(reference=reference_of(shop, buyer), **new_order())
    right = signed(body)["X-Signature"]
    for wrong in (
        "",
        right[:-1],
        right.upper(),
        right + "0",
        "0" * 64,
        "é" * 64,
        f"sha256={right}",
    ):
        said = await send(shop, body, **{"X-Signature": wrong})
        assert (said.status, said.json["code"]) == (401, "webhook-refused")
    assert (await shop.ask("POST", HOOK, data=body)).status == 401
    assert (await send(shop, body, "not-a-secret-of-ours")).status == 401
    # Signed, and then cut or changed on the way.
    for other in (body[:-1], body + b" ", body.replace(b"1000", b"9000"), b""):
        assert (await shop.ask("POST", HOOK, data=other, headers=signed(body))).status == 401
    assert await balance(shop, buyer) == 100


async def test_a_replayed_webhook_changes_nothing(shop: Service, buyer: Customer) -> None:
    body = order(reference=reference_of(shop, buyer), **new_order())
    states = [(await send(shop, body)).json["state"] for _ in range(3)]
    assert states == ["applied", "repeat", "repeat"]
    assert await balance(shop, buyer) == 600


async def test_the_same_webhook_at_two_gateways_at_once_counts_once(
    both: Two, shop: Service, buyer: Customer
) -> None:
    body = order(reference=reference_of(shop, buyer), **new_order())
    said = await asyncio.gather(*(send(one, body) for one in (both.one, both.other) for _ in "abc"))
    assert {one.status for one in said} == {200}
    assert sorted(one.json["state"] for one in said) == ["applied", *["repeat"] * 5]
    assert await balance(shop, buyer) == 600


async def test_a_refund_that_overtakes_its_purchase_waits(shop: Service, buyer: Customer) -> None:
    this, mine = new_order(), reference_of(shop, buyer)
    early = await send(shop, order("order_refunded", mine, refunded_amount=600, **this))
    assert early.json["state"] == "parked"
    assert (await send(shop, order(reference=mine, **this))).json["state"] == "applied"
    assert await balance(shop, buyer) == 100 + 200


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"item": {"variant_id": 99}}, "pack-unknown"),
        ({"item": {"quantity": 0}}, "quantity"),
        ({"item": {"quantity": 10**9}}, "quantity"),
        ({"first_order_item": None}, "pack-unknown"),
        ({"currency": "USD"}, "currency"),
        ({"store_id": 6}, "store-unknown"),
        ({"status": "fraudulent"}, "status-unknown"),
        ({"meta": {"custom_data": None}}, "account-unknown"),
        ({"meta": {"custom_data": {"account_ref": 7}}}, "account-unknown"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_what_a_person_has_to_look_at_is_held_and_moves_nothing(
    shop: Service, buyer: Customer, changed: dict[str, Any], reason: str
) -> None:
    body = order(reference=reference_of(shop, buyer), **(new_order() | changed))
    said = await send(shop, body)
    assert (said.status, said.json) == (200, {"state": "held"})
    [held] = await shop.ledger.billing.open_events()
    assert held.reason == reason
    assert await balance(shop, buyer) == 100


@pytest.mark.parametrize(
    "changed",
    [{"status": "pending"}, {"status": "failed"}, {"test": True}, {"kind": "order_invented"},
     {"kind": "subscription_created"}, {"kind": "ÜBER order!"}, {"data": {"type": "customers"}}],
    ids=str,
)  # fmt: skip
async def test_what_is_none_of_our_business_is_taken_and_ignored(
    shop: Service, buyer: Customer, changed: dict[str, Any]
) -> None:
    body = order(**({"reference": reference_of(shop, buyer)} | new_order() | changed))
    said = await send(shop, body)
    assert (said.status, said.json) == (200, {"state": "ignored"})
    assert await balance(shop, buyer) == 100


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"meta": {}, "data": {}}',
        b"[" * 60_000,
        order(total=-1),
        order(total="a lot"),
        order("order_refunded", refunded_amount=-5),
        order("order_refunded", refunded_amount=1001),
        order(currency="euro"),
        order(total=10**15),
        order(created_at="yesterday"),
        order(data={"id": "7 7"}),
        order(data={"id": "7" * 101}),
    ],
    ids=lambda body: str(body[:20]),
)
async def test_what_cannot_be_is_refused_so_that_its_sender_shows_it(
    shop: Service, body: bytes
) -> None:
    said = await send(shop, body)
    assert (said.status, said.json["code"]) == (400, "malformed-request")
    assert await shop.ledger.billing.open_events() == []


async def test_a_giant_is_refused_before_it_is_hashed(shop: Service) -> None:
    giant = order(meta={"more": "x" * BODY_BYTES_MAX})
    assert (await send(shop, giant)).status == 413

    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(giant), 65_536):
            yield giant[at : at + 65_536]

    said = await shop.ask("POST", HOOK, data=pieces(), headers=signed(giant))
    assert said.status == 413


async def test_a_reference_that_was_tampered_with_is_nobodys(
    shop: Service, buyer: Customer
) -> None:
    victim = await shop.customer(opening=1)
    mine, other = reference_of(shop, buyer), reference_of(shop, victim)
    forged = f"{other.rpartition('.')[0]}.{mine.rpartition('.')[2]}"
    for wrong in (forged, mine[:-1], f"1.{victim.account_id}.x", "", "x" * 10_000):
        said = await send(shop, order(reference=wrong, **new_order()))
        assert said.json == {"state": "held"}
    assert await balance(shop, victim) == 1


async def test_an_order_counts_for_the_account_that_it_came_for_first(
    shop: Service, buyer: Customer
) -> None:
    this, other = new_order(), await shop.customer(opening=1)
    await send(shop, order(reference=reference_of(shop, buyer), **this))
    said = await send(shop, order(reference=reference_of(shop, other), **this))
    assert said.json == {"state": "held"}
    assert await balance(shop, other) == 1


async def test_what_names_a_buyer_is_nowhere_in_the_database(
    both: Two, shop: Service, buyer: Customer
) -> None:
    await send(shop, order(reference=reference_of(shop, buyer), **new_order()))
    tables = await both.books.fetch(
        "select format('%I.%I', table_schema, table_name) as name from information_schema.tables"
        " where table_schema in ('billing', 'credits', 'mail', 'accounts', 'audit')"
    )
    for table in tables:
        rows = await both.books.fetch(f"select t::text from {table['name']} t")  # noqa: S608 -- names of the catalogue
        assert not any("canary" in row[0].lower() for row in rows), table["name"]


async def test_webhooks_of_others_have_no_door(shop: Service, service: Service) -> None:
    body = order()
    for address in ("fake", "manual", "stripe"):
        said = await shop.ask(
            "POST", f"/v1/billing/webhooks/{address}", data=body, headers=signed(body)
        )
        assert said.status == 404
    # Where nobody sells anything, there is a door and no key to it.
    said = await service.ask("POST", "/v1/billing/webhooks/manual", data=body, headers=signed(body))
    assert said.status == 401


async def test_a_purchase_survives_that_its_first_receiver_is_cut_off(
    both: Two, shop: Service, buyer: Customer
) -> None:
    body = order(reference=reference_of(shop, buyer), **new_order())
    async with both.books.transaction():
        # Nobody moves credits now: the first gateway has the webhook, and waits.
        await both.books.execute("lock table credits.turn in share row exclusive mode")
        first = asyncio.create_task(send(both.other, body))
        await _waits(both.books)
        await both.books.execute(
            "select pg_terminate_backend(pid) from pg_locks where not granted"
            " and relation = 'credits.turn'::regclass"
        )
        assert (await first).status == 503
    assert await balance(shop, buyer) == 100
    assert (await send(both.other, body)).json == {"state": "applied"}
    assert await balance(shop, buyer) == 600


async def _waits(books: asyncpg.Connection) -> None:
    async with asyncio.timeout(60):
        while not await books.fetchval(  # noqa: ASYNC110 -- in the database
            "select count(*) from pg_locks where not granted"
            " and relation = 'credits.turn'::regclass"
        ):
            await asyncio.sleep(0.01)
