"""Signing up, signing in, and what becomes of links: the door, over HTTP."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from engine.engine import Engine
from gateway import state
from gateway.proof_of_work import Challenge, solve
from tests.gateway.persons import PASSWORD, House, new_address, open_house
from tests.postgres import Server

pytestmark = pytest.mark.asyncio(loop_scope="session")

OTHER = "basalt 41 fern quarry"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def house(engine: Engine, postgres: Server) -> AsyncIterator[House]:
    accounts = {"signup": "open", "hashing": "test", "signup_credits": 25}
    async with open_house(engine, postgres, accounts=accounts) as house:
        yield house


# Signing up


async def test_who_signs_up_confirms_by_mail_and_is_in_with_an_account(house: House) -> None:
    ada = await house.somebody()
    page = await ada.done("GET", "/v1/auth/session")
    assert (page["address"], page["name"], page["role"]) == (ada.address, "Ada", "owner")
    assert page["accounts"] == [
        {"account_id": ada.account_id, "name": "Ada", "role": "owner", "status": "active"}
    ]
    account = await ada.done("GET", "/v1/account")
    assert account["balance"] == 25
    # The ledger learns nothing of who that is.
    assert account["name"].startswith("a-")
    assert "ada" not in account["name"]
    assert (await ada.done("GET", "/v1/account/entries"))["entries"][0]["reason"] == "sign-up"


async def test_an_address_that_is_known_is_answered_alike_and_told_by_mail(house: House) -> None:
    ada = await house.somebody()
    known = await house.ask("POST", "/v1/auth/signup", {"address": ada.address.upper()})
    new = await house.ask("POST", "/v1/auth/signup", {"address": new_address()})
    assert (known.status, known.body) == (new.status, new.body) == (202, b'{"sent":true}')
    assert [letter.kind for letter in await house.mails(ada.address)] == ["already_have_account"]


async def test_of_many_who_confirm_one_address_at_once_one_becomes_its_person(
    house: House,
) -> None:
    address = new_address()
    links = []
    for _ in range(3):
        await house.ask("POST", "/v1/auth/signup", {"address": address})
        links.append(await house.link(address, "verify"))
    replies = await asyncio.gather(
        *(
            house.ask("POST", "/v1/auth/signup/confirm", {"link": link, "password": PASSWORD})
            for link in links * 3
        )
    )
    assert sorted(reply.status for reply in replies) == [201] + [404] * 8
    assert (await house.sign_in(address)).status == 200


async def test_an_address_is_one_however_it_is_written(house: House) -> None:
    ada = await house.somebody("Grace.Hopper@Example.ORG")
    assert (await house.sign_in("grace.hopper@example.org")).status == 200
    assert (await ada.done("GET", "/v1/auth/session"))["address"] == "Grace.Hopper@example.org"


async def test_looking_at_a_link_does_not_use_it_up(house: House) -> None:
    address = new_address()
    await house.ask("POST", "/v1/auth/signup", {"address": address})
    link = await house.link(address, "verify")
    for method in ("GET", "HEAD", "GET"):
        assert (await house.ask(method, f"/v1/auth/links/{link}")).status == 200
    page = (await house.ask("GET", f"/v1/auth/links/{link}")).json
    assert (page["purpose"], page["address"]) == ("sign_up", address)
    await house.entered(address, "/v1/auth/signup/confirm", link)
    assert (await house.ask("GET", f"/v1/auth/links/{link}")).json["code"] == "link-unknown"


async def test_a_link_is_good_once_for_one_thing_and_for_a_day(house: House) -> None:
    address = new_address()
    await house.ask("POST", "/v1/auth/signup", {"address": address})
    link = await house.link(address, "verify")
    body = {"link": link, "password": PASSWORD}
    for path in ("/v1/auth/reset/confirm", "/v1/auth/invitation"):
        assert (await house.ask("POST", path, body)).json["code"] == "link-unknown"
    assert (await house.ask("POST", "/v1/auth/signup/confirm", body)).status == 201
    assert (await house.ask("POST", "/v1/auth/signup/confirm", body)).status == 404
    late = new_address()
    await house.ask("POST", "/v1/auth/signup", {"address": late})
    link = await house.link(late, "verify")
    house.clock.forward(hours=24)
    reply = await house.ask("POST", "/v1/auth/signup/confirm", body | {"link": link})
    assert (reply.status, reply.json["code"]) == (404, "link-unknown")


async def test_a_weak_password_leaves_the_link_as_it_was(house: House) -> None:
    address = new_address()
    await house.ask("POST", "/v1/auth/signup", {"address": address})
    link = await house.link(address, "verify")
    for password in ("short", "password1234", address, "x" * 257):
        body = {"link": link, "password": password}
        reply = await house.ask("POST", "/v1/auth/signup/confirm", body)
        assert (reply.status, reply.json["code"]) == (422, "password-refused")
        assert password not in reply.json["detail"]
    await house.entered(address, "/v1/auth/signup/confirm", link)


async def test_sign_up_is_closed_unless_the_operator_opens_it(
    engine: Engine, postgres: Server
) -> None:
    async with open_house(engine, postgres, accounts={"hashing": "test"}) as closed:
        reply = await closed.ask("POST", "/v1/auth/signup", {"address": new_address()})
        assert (reply.status, reply.json["code"]) == (403, "sign-up-closed")


async def test_a_sign_up_costs_its_sender_some_work_once(engine: Engine, postgres: Server) -> None:
    accounts = {"signup": "open", "hashing": "test", "signup_hardness": 500}
    async with open_house(engine, postgres, accounts=accounts) as house:
        page = (await house.ask("GET", "/v1/auth/signup")).json
        proof = solve(msgspec.convert(page["challenge"], Challenge))
        contact = solve(house.service.app[state.PROOF_OF_WORK].challenge("contact", 500))
        for wrong in ("", "x", contact):
            body = {"address": new_address(), "proof": wrong}
            reply = await house.ask("POST", "/v1/auth/signup", body)
            assert (reply.status, reply.json["code"]) == (403, "proof-refused")
        body = {"address": new_address(), "proof": proof}
        assert (await house.ask("POST", "/v1/auth/signup", body)).status == 202
        assert (await house.ask("POST", "/v1/auth/signup", body)).json["code"] == "proof-refused"


async def test_who_signs_up_is_told_where_no_work_is_asked_for(house: House) -> None:
    assert (await house.ask("GET", "/v1/auth/signup")).json == {"challenge": None}


# Signing in


async def test_what_is_wrong_with_a_sign_in_is_not_said(house: House) -> None:
    ada = await house.somebody()
    wrong = await house.sign_in(ada.address, OTHER)
    nobody = await house.sign_in(new_address(), OTHER)
    await house.ledger.people.persons.suspend(ada.id, suspended=True)
    suspended = await house.sign_in(ada.address)
    await house.ledger.people.persons.suspend(ada.id, suspended=False)
    told = [
        {name: text for name, text in reply.json.items() if name not in {"instance", "request_id"}}
        for reply in (wrong, nobody, suspended)
    ]
    assert told[0] == told[1] == told[2]
    assert (wrong.status, told[0]["code"]) == (401, "sign-in-refused")
    assert (await house.sign_in(ada.address)).status == 200


async def test_somebody_who_is_suspended_is_out_with_the_next_request(house: House) -> None:
    ada = await house.somebody()
    await house.ledger.people.persons.suspend(ada.id, suspended=True)
    assert (await ada.ask("GET", "/v1/auth/session")).json["code"] == "session-refused"


async def test_a_password_is_the_same_however_a_keyboard_composed_it(house: House) -> None:
    address = new_address()
    await house.ask("POST", "/v1/auth/signup", {"address": address})
    link = await house.link(address, "verify")
    # A ligature and combining marks; NFKC makes them what other keyboards send.
    body = {"link": link, "password": "ﬁre cafe\u0301 lichen 77"}
    assert (await house.ask("POST", "/v1/auth/signup/confirm", body)).status == 201
    assert (await house.sign_in(address, "fire caf\u00e9 lichen 77")).status == 200


async def test_a_sign_in_from_a_new_device_is_told_and_from_a_known_one_is_not(
    house: House,
) -> None:
    ada = await house.somebody()
    assert (await house.sign_in(ada.address, device=ada.device)).json["device"] == ada.device
    assert await house.mails(ada.address) == []
    other = await house.sign_in(ada.address)
    [letter] = await house.mails(ada.address)
    assert letter.kind == "new_sign_in"
    assert letter.fields["network"] == "127.0.0.0/24"
    assert other.json["device"] != ada.device


async def test_somebody_elses_device_is_no_device_of_mine(house: House) -> None:
    ada, eve = await house.somebody(), await house.somebody()
    reply = await house.sign_in(ada.address, device=eve.device)
    assert reply.json["device"] != eve.device
    assert [letter.kind for letter in await house.mails(ada.address)] == ["new_sign_in"]


# A password that is forgotten


async def test_a_reset_sets_the_password_ends_all_sessions_and_is_told(house: House) -> None:
    ada = await house.somebody()
    assert (await house.ask("POST", "/v1/auth/reset", {"address": ada.address})).status == 202
    link = await house.link(ada.address, "reset")
    reply = await house.ask("POST", "/v1/auth/reset/confirm", {"link": link, "password": OTHER})
    assert reply.status == 200
    assert (await ada.ask("GET", "/v1/auth/session")).status == 401
    assert (await house.sign_in(ada.address)).status == 401
    known = await house.sign_in(ada.address, OTHER, device=reply.json["device"])
    assert known.json["device"] == reply.json["device"]
    assert [letter.kind for letter in await house.mails(ada.address)] == ["password_changed"]
    again = await house.ask("POST", "/v1/auth/reset/confirm", {"link": link, "password": PASSWORD})
    assert again.json["code"] == "link-unknown"


async def test_a_reset_of_nobody_is_answered_as_one_of_somebody(house: House) -> None:
    ada = await house.somebody()
    known = await house.ask("POST", "/v1/auth/reset", {"address": ada.address})
    nobody = await house.ask("POST", "/v1/auth/reset", {"address": new_address()})
    assert (known.status, known.body) == (nobody.status, nobody.body)


async def test_a_reset_is_good_for_half_an_hour_and_one_makes_the_others_void(
    house: House,
) -> None:
    ada = await house.somebody()
    await house.ask("POST", "/v1/auth/reset", {"address": ada.address})
    late = await house.link(ada.address, "reset")
    house.clock.forward(minutes=30)
    body = {"link": late, "password": OTHER}
    assert (await house.ask("POST", "/v1/auth/reset/confirm", body)).status == 404
    links = []
    for _ in range(2):
        await house.ask("POST", "/v1/auth/reset", {"address": ada.address})
        links.append(await house.link(ada.address, "reset"))
    replies = [
        await house.ask("POST", "/v1/auth/reset/confirm", {"link": link, "password": OTHER})
        for link in reversed(links)
    ]
    assert [reply.status for reply in replies] == [200, 404]


# Bad input


@pytest.mark.parametrize(
    ("path", "body", "named"),
    [
        ("signin", {"address": "a@b.org", "password": "x", "admin": True}, "admin"),
        ("signin", {"address": "a@b.org"}, "password"),
        ("signin", {"address": "a@b.org", "password": "x" * 1025}, "password"),
        ("signin", {"address": "a@b.org", "password": "x", "code": 123456}, "code"),
        ("signup", {"address": "x" * 255 + "@b.org"}, "address"),
        ("signup", {"address": "a@b.org", "role": "owner"}, "role"),
        ("signup", {"address": "a@b.org", "name": "x" * 101}, "name"),
        ("signup", {"address": "a@b.org", "name": "Ada\u202eadA"}, "name"),
        ("signup", {"address": "a@b.org", "name": "Ada\r\nBcc: all@b.org"}, "name"),
        ("signup", {"address": "a@b.org\r\nBcc: all@b.org"}, "address"),
        ("signup", {"address": "a@b"}, "address"),
        ("signup", {"address": "a\x00@b.org"}, "address"),
        ("signup", {"address": '"a b"@c.org'}, "address"),
        ("signup", {"address": "a@[192.0.2.7]"}, "address"),
        ("signup", {"address": "a@192.0.2.7"}, "address"),
        ("signup", {"address": "аda@example.org"}, "address"),  # noqa: RUF001 -- Cyrillic
        ("signup", {"address": "a@exаmple.org"}, "address"),  # noqa: RUF001 -- another
        ("signup/confirm", {"link": "x" * 201, "password": PASSWORD}, "link"),
        ("reset", {"address": ["a@b.org"]}, "address"),
        ("reset", [], "object"),
    ],
)
async def test_what_is_not_as_it_should_be_is_refused_by_name(
    house: House, path: str, body: Any, named: str
) -> None:
    reply = await house.ask("POST", f"/v1/auth/{path}", body)
    assert (reply.status, reply.json["code"]) == (400, "malformed-request")
    assert named in reply.json["detail"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"address": "a@b.org", "password": "\\ud800"}', 400),
        (b'{"address": "a@b.org"', 400),
        (b"[" * 10_000, 400),
        (b'"' + b"x" * 17_000 + b'"', 413),
        (b"\xff\xfe", 400),
    ],
)
async def test_no_body_is_too_hostile_to_be_answered(
    house: House, body: bytes, status: int
) -> None:
    assert (await house.ask("POST", "/v1/auth/signin", body)).status == status


@pytest.mark.parametrize("link", ["x", "eph_link_" + "0" * 43, "eph_link_%00", "ä" * 50, "'--"])
async def test_a_link_that_was_never_sent_is_unknown(house: House, link: str) -> None:
    assert (await house.ask("GET", f"/v1/auth/links/{link}")).json["code"] == "link-unknown"
    body = {"link": link, "password": PASSWORD}
    reply = await house.ask("POST", "/v1/auth/signup/confirm", body)
    assert (reply.status, reply.json["code"]) == (404, "link-unknown")
