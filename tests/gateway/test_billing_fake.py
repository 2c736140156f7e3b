"""The provider that takes nothing: bought with a button, by a webhook that is signed as any."""

import re
from collections.abc import AsyncIterator
from html import unescape
from urllib.parse import parse_qs, urlsplit

import pytest
import pytest_asyncio

from engine.engine import Engine
from tests.gateway.payments import FAKE, order, signed
from tests.gateway.persons import House, Somebody, open_house
from tests.gateway.service import Service
from tests.postgres import Server

pytestmark = pytest.mark.asyncio(loop_scope="session")

PAGE = "/v1/billing/fake/checkout"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def house(engine: Engine, postgres: Server) -> AsyncIterator[House]:
    selling = FAKE | {"webhook_secrets": "the-old-secret the-new-secret"}
    async with open_house(engine, postgres, billing=selling) as house:
        yield house


@pytest_asyncio.fixture(loop_scope="session")
async def owner(house: House) -> Somebody:
    return await house.somebody()


async def checkout(owner: Somebody, pack: str = "small") -> str:
    url = (await owner.done("POST", "/v1/billing/checkout", {"pack": pack}))["url"]
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}"


async def press(house: House, path: str, label: str) -> str:
    """Press a button of a page; gives the page that comes then."""
    page = await house.ask("GET", path)
    assert page.status == 200, page.body
    assert "script" not in page.body.decode()
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'")
    buttons = re.findall(r'action="([^"]+)"><button>([^<]+)<', page.body.decode())
    [action] = [unescape(action) for action, name in buttons if name == label]
    done = await house.service.ask("POST", action, allow_redirects=False)
    assert done.status == 303, done.body
    return str(done.headers["Location"])


async def balance(owner: Somebody) -> tuple[int, int]:
    page = await owner.done("GET", "/v1/billing")
    return page["balance"], page["debt"]


async def test_credits_are_bought_and_paid_back_with_buttons(house: House, owner: Somebody) -> None:
    bought = await press(house, await checkout(owner), "Pay")
    assert await balance(owner) == (500, 0)
    await press(house, bought, "refund half")
    assert await balance(owner) == (250, 0)
    await press(house, bought, "refund all")
    assert await balance(owner) == (0, 0)
    [receipt] = (await owner.done("GET", "/v1/billing/receipts"))["receipts"]
    assert (receipt["refunded"], receipt["withdrawn"], receipt["test"]) == (1000, 500, True)
    link = await owner.done("GET", f"/v1/billing/receipts/{receipt['reference']}/link")
    path = link["url"].partition("//")[2].partition("/")[2]
    assert (await house.ask("GET", f"/{path}")).status == 200


async def test_a_checkout_is_of_one_account_and_one_pack(house: House, owner: Somebody) -> None:
    mine = await checkout(owner, "large")
    query = {name: one for name, (one,) in parse_qs(urlsplit(mine).query).items()}
    assert query["pack"] == "large"
    forged = mine.replace(query["reference"], query["reference"][:-2] + "aa")
    said = await house.service.ask("POST", f"{forged}&act=buy", allow_redirects=False)
    assert (said.status, said.json["code"]) == (400, "malformed-request")
    for wrong in ("act=buy&pack=none", "act=steal", "act=refund-all&order=1", ""):
        said = await house.service.ask("POST", f"{PAGE}?{wrong}", allow_redirects=False)
        assert said.status in {400, 404}, wrong
    assert (await house.ask("GET", f"{PAGE}?order=1")).status == 400
    assert (await house.ask("GET", PAGE)).status == 404


async def test_nobody_is_sent_elsewhere_by_an_address_that_somebody_made(
    house: House, owner: Somebody
) -> None:
    mine = await checkout(owner)
    for elsewhere in ("https://evil.example/", "//evil.example", "javascript:alert(1)"):
        said = await house.service.ask(
            "POST",
            mine,
            params={"act": "buy", "return": elsewhere},
            allow_redirects=False,
        )
        assert "evil" not in said.headers.get("Location", "")
        assert "javascript" not in said.headers.get("Location", "")


async def test_a_real_order_in_a_test_configuration_is_held(house: House, owner: Somebody) -> None:
    assert owner.account_id
    reference = house.ledger.billing.references.of("fake", owner.account_id)
    body = order(reference=reference, store_id=1)
    said = await house.service.ask(
        "POST", "/v1/billing/webhooks/fake", data=body, headers=signed(body)
    )
    assert said.json == {"state": "held"}
    [held] = await house.ledger.billing.open_events()
    assert held.reason == "live-mode"


async def test_elsewhere_there_is_no_such_page_and_nothing_is_sold(service: Service) -> None:
    for method in ("GET", "POST"):
        said = await service.ask(method, f"{PAGE}?pack=small&act=buy")
        assert (said.status, said.json["code"]) == (404, "not-found")
