"""Who asks too often is refused before a byte of the body is read, and told when to come back."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from engine.engine import Engine
from gateway import state
from ledger.ledger import Ledger
from tests.gateway.samples import picture
from tests.gateway.service import Customer, Service, listening, until

pytestmark = pytest.mark.asyncio(loop_scope="session")

QUOTAS = (
    "key-requests=4/3600",
    "account-requests=6/3600",
    "account-bytes=20000/3600",
    "account-concurrency=1",
    "anonymous=3/3600",
    "refused-keys=2/3600",
)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def limited(engine: Engine, ledger: Ledger) -> AsyncIterator[Service]:
    """A service with tiny quotas, behind a proxy on this machine."""
    async with listening(
        engine,
        ledger,
        limits={"quotas": QUOTAS},
        server={"trusted_proxies": ("127.0.0.1",)},
    ) as service:
        yield service


def _from(address: str, **more: str) -> dict[str, str]:
    return {"X-Forwarded-For": address} | more


async def test_a_key_that_asks_too_often_is_told_when_to_come_back(limited: Service) -> None:
    customer = await limited.customer()
    replies = [await limited.ask("GET", "/v1/account", headers=customer.headers) for _ in range(5)]
    assert [one.status for one in replies] == [200] * 4 + [429]
    first, last = replies[0], replies[-1]
    assert first.headers["RateLimit-Policy"] == (
        '"key-requests";q=4;w=3600, "account-requests";q=6;w=3600'
    )
    assert first.headers["RateLimit"] == '"key-requests";r=3;t=900, "account-requests";r=5;t=600'
    assert last.json["type"] == "https://iana.org/assignments/http-problem-types#quota-exceeded"
    assert last.json["violated-policies"] == ["key-requests"]
    assert last.json["code"] == "quota-exceeded"
    assert 0 < int(last.headers["Retry-After"]) <= 900
    assert last.headers["RateLimit"].startswith('"key-requests";r=0;t=')


async def test_all_keys_of_an_account_share_its_quota_and_a_refusal_costs_nothing(
    limited: Service,
) -> None:
    customer = await limited.customer()
    other = await limited.ledger.keys.create(customer.account_id, "another")
    third = await limited.ledger.keys.create(customer.account_id, "a third")
    statuses = []
    for secret in (customer.key, other.secret):
        headers = {"Authorization": f"Bearer {secret}"}
        statuses += [
            (await limited.ask("GET", "/v1/account", headers=headers)).status for _ in range(3)
        ]
    refused = await limited.ask(
        "GET", "/v1/account", headers={"Authorization": f"Bearer {third.secret}"}
    )
    assert statuses == [200] * 6
    assert refused.status == 429
    assert refused.json["violated-policies"] == ["account-requests"]
    # The key itself was not charged for it.
    assert refused.headers["RateLimit"].startswith('"key-requests";r=3;')


async def test_a_client_that_waits_for_a_word_never_sends_what_is_refused(
    limited: Service,
) -> None:
    customer = await limited.customer()
    async with await limited.open() as wire:
        await wire.post("png/webp", customer, "Content-Length: 30000", "Expect: 100-continue")
        reply = await wire.answer()
    assert reply.status == 429
    assert reply.json["violated-policies"] == ["account-bytes"]
    assert '"account-bytes";q=20000;qu="content-bytes";w=3600' in reply.headers["ratelimit-policy"]


async def test_bytes_that_were_not_announced_are_counted_when_they_came(limited: Service) -> None:
    customer = await limited.customer()

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"\x00" * 10_000

    first = await limited.convert("png/webp", chunks(), customer)
    second = await limited.convert("png/webp", b"x", customer)
    assert first.status == 422
    assert second.status == 429
    assert second.json["violated-policies"] == ["account-bytes"]


async def test_an_account_has_so_many_uploads_under_way_and_no_more(limited: Service) -> None:
    customer = await limited.customer()
    async with await limited.open() as wire:
        await wire.post("png/webp", customer, "Content-Length: 100")
        await until(lambda: _full(limited, customer))
        refused = await limited.convert("png/webp", picture(), customer)
    assert refused.status == 429
    assert refused.json["violated-policies"] == ["account-concurrency"]
    assert refused.headers["Retry-After"] == "1"
    await until(lambda: not _full(limited, customer))
    assert (await limited.convert("png/webp", picture(), customer)).status == 200


def _full(service: Service, customer: Customer) -> bool:
    return not service.app[state.LIMITS].room(customer.account_id).allowed


async def test_who_shows_no_key_is_counted_by_address_and_a_household_is_one(
    limited: Service,
) -> None:
    async def ask(address: str) -> int:
        return (await limited.ask("GET", "/v1/formats", headers=_from(address))).status

    assert [await ask(f"2001:db8::{number}") for number in range(4)] == [200, 200, 200, 429]
    assert await ask("2001:db8:0:1::1") == 200
    # This machine may be a proxy that was not named: all customers at once.
    assert [await ask("127.0.0.1") for _ in range(5)] == [200] * 5


async def test_an_address_that_tries_keys_is_turned_away_and_others_are_not(
    limited: Service,
) -> None:
    customer = await limited.customer()
    wrong = "Bearer eph_live_000000000000_nothing"
    thief, neighbour = "192.0.2.7", "192.0.2.8"
    statuses = [
        (await limited.ask("GET", "/v1/account", headers=_from(thief, Authorization=wrong))).status
        for _ in range(4)
    ]
    assert statuses == [401, 401, 429, 429]
    reply = await limited.ask("GET", "/v1/account", headers=_from(neighbour, **customer.headers))
    assert reply.status == 200


async def test_clients_of_convertapi_are_told_503_with_a_time(limited: Service) -> None:
    customer = await limited.customer()
    for _ in range(4):
        await limited.ask("GET", "/v1/account", headers=customer.headers)
    by_header = await limited.ask(
        "POST", "/convert/png/to/jpg", headers=customer.headers, data=picture()
    )
    by_form = await limited.ask(
        "POST", "/convert/png/to/jpg", data={"Secret": customer.key, "File": "x"}
    )
    for reply in (by_header, by_form):
        assert reply.status == 503
        assert reply.json["Code"] == 503
        assert int(reply.headers["Retry-After"]) > 0
