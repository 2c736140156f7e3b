"""A thousand guesses at one account, from one address and from many, and its owner meanwhile."""

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterable

import pytest
import pytest_asyncio

from engine.engine import Engine
from gateway import state
from gateway.people.passwords import Passwords
from gateway.people.settings import AccountsConfig
from ledger.people.peppers import Peppers
from tests.gateway.persons import (
    KEK,
    PASSWORD,
    PEPPER,
    House,
    Somebody,
    new_address,
    open_house,
)
from tests.gateway.service import Reply
from tests.postgres import Server

pytestmark = pytest.mark.asyncio(loop_scope="session")

GUESSES = 1000
# Enough at once to be a flood, few enough for the test's own connections.
_AT_ONCE = 50


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def house(engine: Engine, postgres: Server) -> AsyncIterator[House]:
    """Limits as they are, and a proxy that says who asks; each test has networks of its own."""
    server = {"trusted_proxies": ("127.0.0.0/8",)}
    async with open_house(engine, postgres, server=server, limits={}) as house:
        yield house


async def guesses(house: House, victim: str, networks: Iterable[str]) -> Counter[int]:
    """Guess a thousand times, from these addresses in turn; count the answers."""
    slots = asyncio.Semaphore(_AT_ONCE)

    async def guess(number: int, address: str) -> Reply:
        body = {"address": victim, "password": f"guess number {number}"}
        async with slots:
            return await house.ask(
                "POST", "/v1/auth/signin", body, headers={"X-Forwarded-For": address}
            )

    replies = await asyncio.gather(
        *(guess(number, address) for number, address in enumerate(networks))
    )
    for reply in replies:
        if reply.status == 429:
            assert reply.json["code"] in {"too-many-tries", "quota-exceeded"}
            assert int(reply.headers["Retry-After"]) >= 1
    return Counter(reply.status for reply in replies)


async def owner_of(house: House, address: str) -> Somebody:
    owner = await house.somebody(address)
    for _ in range(3):
        reply = await house.sign_in(owner.address, device=owner.device)
        assert reply.status == 200
    return owner


async def test_a_thousand_guesses_from_one_address_are_five_and_the_owner_gets_in(
    house: House,
) -> None:
    owner = await owner_of(house, new_address())
    counted = await guesses(house, owner.address, ["198.51.100.7"] * GUESSES)
    figures = (await house.ask("GET", "/metrics")).body.decode()
    assert f'ephemera_sign_ins_total{{outcome="refused"}} {counted[401]}.0' in figures
    # What comes back within the seconds of the test is at most one.
    assert 5 <= counted[401] <= 6
    assert counted[401] + counted[429] == GUESSES
    assert (await house.sign_in(owner.address, device=owner.device)).status == 200
    # From elsewhere without a device too: one network is not everybody.
    reply = await house.ask(
        "POST",
        "/v1/auth/signin",
        {"address": owner.address, "password": PASSWORD},
        headers={"X-Forwarded-For": "203.0.113.9"},
    )
    assert reply.status == 200


async def test_a_thousand_guesses_from_a_thousand_networks_are_ten_and_the_owner_gets_in(
    house: House,
) -> None:
    owner = await owner_of(house, new_address())
    networks = [f"10.{number >> 8}.{number & 255}.7" for number in range(GUESSES)]
    counted = await guesses(house, owner.address, networks)
    assert 10 <= counted[401] <= 11
    assert counted[401] + counted[429] == GUESSES
    # A known device is counted for itself.
    assert (await house.sign_in(owner.address, device=owner.device)).status == 200
    # Somebody who knows the password and comes from nowhere known waits as a stranger does,
    assert (await house.sign_in(owner.address)).status == 429
    # or sets it anew by mail, which makes a device known.
    other = "basalt 41 fern quarry"
    assert (await house.ask("POST", "/v1/auth/reset", {"address": owner.address})).status == 202
    body = {"link": await house.link(owner.address, "reset"), "password": other}
    device = (await house.ask("POST", "/v1/auth/reset/confirm", body)).json["device"]
    assert (await house.sign_in(owner.address, other, device=device)).status == 200


async def test_guesses_at_nobody_are_refused_as_those_at_somebody_are(house: House) -> None:
    owner = await owner_of(house, new_address())
    networks = [f"2001:db8:{number:x}::7" for number in range(20)]
    known = [await _guess(house, owner.address, one) for one in networks]
    nobody = new_address()
    unknown = [await _guess(house, nobody, one) for one in networks]
    assert known == unknown
    assert known.count(401) in {10, 11}


async def test_one_network_that_tries_many_addresses_is_slowed(house: House) -> None:
    statuses = [await _guess(house, new_address(), f"192.0.2.{number}") for number in range(1, 60)]
    assert statuses.count(401) in range(30, 33)


async def test_a_device_that_was_stolen_is_slowed_for_itself(house: House) -> None:
    owner = await house.somebody()
    device = {"device": owner.device}
    statuses = [
        (await house.sign_in(owner.address, f"guess {number}", **device)).status
        for number in range(30)
    ]
    assert statuses.count(401) in {10, 11}


async def test_a_second_factor_is_guessed_at_five_times(house: House) -> None:
    owner = await house.somebody()
    await owner.use_totp()
    statuses = [
        (await house.sign_in(owner.address, code=f"{number:06}", device=owner.device)).status
        for number in range(9)
    ]
    # One of the five went into setting it up.
    assert statuses.count(401) == 4
    assert statuses.count(429) == 5


async def test_mails_that_nobody_asked_for_are_few(house: House) -> None:
    victim, sent = new_address(), []
    for number in range(20):
        for path in ("signup", "reset"):
            reply = await house.ask(
                "POST",
                f"/v1/auth/{path}",
                {"address": victim},
                headers={"X-Forwarded-For": f"10.9.{number}.1"},
            )
            sent.append(reply.status)
    assert sent.count(202) == 6
    assert len(await house.mails(victim)) == 3


async def test_as_many_passwords_as_wait_are_answered_and_the_rest_is_told_to_come_again() -> None:
    config = AccountsConfig(hashing="test", hashing_threads=1, hashing_queue=2)
    passwords = Passwords(config, Peppers(PEPPER))
    going, held = threading.Event(), threading.Event()

    def hold() -> None:
        going.set()
        held.wait()

    blocked = asyncio.ensure_future(passwords._run(hold))
    await asyncio.to_thread(going.wait)
    waiting = [asyncio.ensure_future(passwords.check("x", None)) for _ in range(2)]
    await asyncio.sleep(0)
    refused = await asyncio.gather(passwords.check("x", None), return_exceptions=True)
    held.set()
    await blocked
    assert [one.right for one in await asyncio.gather(*waiting)] == [False, False]
    assert [type(one).__name__ for one in refused] == ["HashingBusy"]
    passwords.close()


async def test_a_password_of_another_profile_or_pepper_is_hashed_anew_at_sign_in(
    house: House,
) -> None:
    owner = await house.somebody()
    before = await house.ledger.people.persons.credentials(owner.address)
    desk = house.service.app[state.PEOPLE_DESK]
    peppers = Peppers(PEPPER, (KEK,))
    other = Passwords(AccountsConfig(hashing="owasp"), peppers)
    desk.people.peppers, kept_peppers = peppers, desk.people.peppers
    desk.passwords, kept = other, desk.passwords
    try:
        assert (await house.sign_in(owner.address, device=owner.device)).status == 200
        after = await house.ledger.people.persons.credentials(owner.address)
        assert before is not None
        assert after is not None
        assert before.password.startswith("$argon2id$v=19$m=8,t=1,p=1$")
        assert after.password.startswith("$argon2id$v=19$m=47104,t=1,p=1$")
        assert before.pepper_id != after.pepper_id
        assert (await house.sign_in(owner.address, device=owner.device)).status == 200
    finally:
        desk.people.peppers, desk.passwords = kept_peppers, kept
        other.close()


async def _guess(house: House, victim: str, address: str) -> int:
    body = {"address": victim, "password": "a guess"}
    headers = {"X-Forwarded-For": address}
    return (await house.ask("POST", "/v1/auth/signin", body, headers=headers)).status
