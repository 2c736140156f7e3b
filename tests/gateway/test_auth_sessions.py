"""Sessions over HTTP: their ends, their lists, fresh passwords, what a person changes."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from engine.engine import Engine
from ledger.people.person import Client
from tests.gateway.persons import PASSWORD, House, Somebody, new_address, open_house
from tests.postgres import Server

pytestmark = pytest.mark.asyncio(loop_scope="session")

OTHER = "basalt 41 fern quarry"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def house(engine: Engine, postgres: Server) -> AsyncIterator[House]:
    limits = {"quotas": "sign-in-all=off sign-up-network=off step-up=off"}
    async with open_house(engine, postgres, limits=limits) as house:
        yield house


@pytest_asyncio.fixture(loop_scope="session")
async def ada(house: House) -> Somebody:
    return await house.somebody()


async def status(who: Somebody) -> int:
    return (await who.ask("GET", "/v1/auth/session")).status


# Their ends


async def test_a_session_that_nobody_uses_is_over_after_twelve_hours(
    house: House, ada: Somebody
) -> None:
    house.clock.forward(hours=11, minutes=59)
    assert await status(ada) == 200
    house.clock.forward(hours=11, minutes=59)
    assert await status(ada) == 200
    house.clock.forward(hours=12)
    assert (await ada.ask("GET", "/v1/auth/session")).json["code"] == "session-refused"


async def test_a_session_is_over_after_fourteen_days_however_much_it_is_used(
    house: House, ada: Somebody
) -> None:
    for _ in range(14 * 24 // 11):
        house.clock.forward(hours=11)
        assert await status(ada) == 200
    house.clock.forward(hours=11)
    assert await status(ada) == 401


async def test_who_signs_out_is_out(ada: Somebody) -> None:
    assert (await ada.ask("DELETE", "/v1/auth/session")).status == 204
    assert await status(ada) == 401


@pytest.mark.parametrize("secret", ["eph_sess_x", "eph_sess_" + "0" * 12 + "_" + "0" * 32, "x", ""])
async def test_what_is_no_session_lets_nobody_in(house: House, secret: str) -> None:
    reply = await house.ask("GET", "/v1/auth/session", secret=secret)
    assert reply.status == 401
    assert reply.json["code"] in {"session-refused", "session-missing"}
    assert reply.headers["WWW-Authenticate"]


async def test_a_session_does_not_belong_into_an_address(house: House, ada: Somebody) -> None:
    reply = await house.ask("GET", f"/v1/auth/session?token={ada.secret}", secret=ada.secret)
    assert (reply.status, reply.json["code"]) == (400, "key-in-query")


async def test_a_session_is_no_api_key_and_a_key_is_no_session(house: House, ada: Somebody) -> None:
    reply = await ada.ask("POST", "/v1/convert/png/webp")
    assert (reply.status, reply.json["code"]) == (401, "key-refused")
    key = (await ada.done("POST", "/v1/keys", {"label": "x"}))["secret"]
    reply = await house.ask("GET", "/v1/auth/session", secret=key)
    assert (reply.status, reply.json["code"]) == (401, "session-refused")


# Their lists


async def test_sessions_are_listed_and_ended_one_by_one_or_all_others(
    house: House, ada: Somebody
) -> None:
    others = [house.signed_in(ada.address, await house.sign_in(ada.address)) for _ in range(3)]
    listed = (await ada.done("GET", "/v1/auth/sessions"))["sessions"]
    assert [one["this"] for one in listed].count(True) == 1
    assert {one["network"] for one in listed} == {"127.0.0.0/24"}
    assert all("secret" not in one and "aiohttp" in one["client"] for one in listed)
    first = (await others[0].done("GET", "/v1/auth/session"))["id"]
    assert (await ada.ask("DELETE", f"/v1/auth/sessions/{first}")).status == 204
    assert [await status(one) for one in (ada, *others)] == [200, 401, 200, 200]
    assert (await ada.ask("DELETE", "/v1/auth/sessions")).status == 204
    assert [await status(one) for one in (ada, *others)] == [200, 401, 401, 401]


async def test_a_person_has_fifty_sessions_and_the_one_unused_for_longest_makes_room(
    house: House, ada: Somebody
) -> None:
    house.clock.forward(minutes=1)
    device = {"device": ada.device}
    others = [house.signed_in(ada.address, await house.sign_in(ada.address, **device))]
    async with house.ledger._database.session() as connection:
        for _ in range(49):
            await house.ledger.people.sessions.begin(
                connection, ada.id, Client(network=None, name=""), mfa=False
            )
    assert await status(ada) == 401
    listed = await others[0].done("GET", "/v1/auth/sessions")
    assert len(listed["sessions"]) == 50


@pytest.mark.parametrize("name", ["x", "0" * 12, "%00", "ä" * 12])
async def test_a_session_that_is_not_ones_own_is_unknown(
    house: House, ada: Somebody, name: str
) -> None:
    eve = await house.somebody()
    for one in (name, (await eve.done("GET", "/v1/auth/session"))["id"]):
        reply = await ada.ask("DELETE", f"/v1/auth/sessions/{one}")
        assert (reply.status, reply.json["code"]) == (404, "session-unknown")
    assert await status(eve) == 200


# A fresh password


async def test_what_is_dangerous_asks_for_a_password_of_the_last_ten_minutes(
    house: House, ada: Somebody
) -> None:
    assert (await ada.ask("POST", "/v1/keys", {"label": "early"})).status == 201
    house.clock.forward(minutes=10, seconds=1)
    for method, path, body in (
        ("POST", "/v1/keys", {"label": "late"}),
        ("POST", "/v1/auth/password", {"password": OTHER}),
        ("POST", "/v1/auth/address", {"address": new_address()}),
        ("POST", "/v1/auth/totp", None),
        ("DELETE", "/v1/auth/totp", None),
        ("POST", "/v1/auth/recovery-codes", None),
    ):
        reply = await ada.ask(method, path, body)
        assert (reply.status, reply.json["code"]) == (403, "step-up-wanted"), path
    reply = await ada.ask("POST", "/v1/auth/step-up", {"password": OTHER})
    assert (reply.status, reply.json["code"]) == (401, "sign-in-refused")
    page = await ada.done("POST", "/v1/auth/step-up", {"password": PASSWORD})
    # The secret is another one, and the one before is worth nothing.
    assert await status(ada) == 401
    ada.secret = page["secret"]
    assert (await ada.ask("POST", "/v1/keys", {"label": "late"})).status == 201


async def test_a_step_up_does_not_make_a_session_longer(house: House, ada: Somebody) -> None:
    for _ in range(14 * 24 // 11):
        house.clock.forward(hours=11)
        ada.secret = (await ada.done("POST", "/v1/auth/step-up", {"password": PASSWORD}))["secret"]
    house.clock.forward(hours=11)
    assert await status(ada) == 401


async def test_of_two_step_ups_at_once_one_has_the_session(house: House, ada: Somebody) -> None:
    body = {"password": PASSWORD}
    replies = await asyncio.gather(
        *(ada.ask("POST", "/v1/auth/step-up", body) for _ in range(2)),
    )
    won = [reply.json["secret"] for reply in replies if reply.status == 200]
    assert len(won) >= 1
    statuses = [(await house.ask("GET", "/v1/auth/session", secret=one)).status for one in won]
    assert statuses.count(200) == 1


# What a person changes


async def test_another_password_ends_all_other_sessions_and_is_told(
    house: House, ada: Somebody
) -> None:
    other = house.signed_in(ada.address, await house.sign_in(ada.address))
    await house.mails(ada.address)
    reply = await ada.ask("POST", "/v1/auth/password", {"password": "sunshine1234"})
    assert (reply.status, reply.json["code"]) == (422, "password-refused")
    await ada.done("POST", "/v1/auth/password", {"password": OTHER})
    assert [await status(one) for one in (ada, other)] == [200, 401]
    assert (await house.sign_in(ada.address)).status == 401
    assert (await house.sign_in(ada.address, OTHER)).status == 200
    assert "password_changed" in [letter.kind for letter in await house.mails(ada.address)]


async def test_another_address_is_confirmed_where_it_is_and_told_where_it_was(
    house: House, ada: Somebody
) -> None:
    new = new_address()
    await ada.done("POST", "/v1/auth/address", {"address": new})
    assert await house.mails(ada.address) == []
    assert (await house.sign_in(new)).status == 401
    link = await house.link(new, "confirm_address")
    # Whoever reads the mail may be another browser: nobody has to be signed in.
    assert (await house.ask("POST", "/v1/auth/address/confirm", {"link": link})).status == 204
    assert (await ada.done("GET", "/v1/auth/session"))["address"] == new
    assert [letter.kind for letter in await house.mails(ada.address)] == ["email_changed"]
    assert (await house.sign_in(ada.address)).status == 401
    assert (await house.sign_in(new)).status == 200
    again = await house.ask("POST", "/v1/auth/address/confirm", {"link": link})
    assert again.json["code"] == "link-unknown"


async def test_a_reset_that_was_sent_to_the_old_address_is_void(
    house: House, ada: Somebody
) -> None:
    new = new_address()
    await house.ask("POST", "/v1/auth/reset", {"address": ada.address})
    old = await house.link(ada.address, "reset")
    await ada.done("POST", "/v1/auth/address", {"address": new})
    link = await house.link(new, "confirm_address")
    await house.ask("POST", "/v1/auth/address/confirm", {"link": link})
    body = {"link": old, "password": OTHER}
    assert (await house.ask("POST", "/v1/auth/reset/confirm", body)).status == 404


async def test_an_address_that_somebody_has_cannot_be_found_out_by_wanting_it(
    house: House, ada: Somebody
) -> None:
    eve = await house.somebody()
    taken = await eve.ask("POST", "/v1/auth/address", {"address": ada.address})
    free = await eve.ask("POST", "/v1/auth/address", {"address": new_address()})
    assert (taken.status, taken.body) == (free.status, free.body)
    assert [letter.kind for letter in await house.mails(ada.address)] == ["already_have_account"]


async def test_of_two_who_want_one_address_one_gets_it(house: House, ada: Somebody) -> None:
    eve, new = await house.somebody(), new_address()
    links = []
    for who in (ada, eve):
        await who.done("POST", "/v1/auth/address", {"address": new})
        links.append(await house.link(new, "confirm_address"))
    replies = await asyncio.gather(
        *(house.ask("POST", "/v1/auth/address/confirm", {"link": link}) for link in links)
    )
    assert sorted(reply.status for reply in replies) == [204, 404]


async def test_a_name_is_what_can_be_seen(ada: Somebody) -> None:
    await ada.done("POST", "/v1/auth/name", {"name": "  Ada Løvelåce 愛 "})
    assert (await ada.done("GET", "/v1/auth/session"))["name"] == "Ada Løvelåce 愛"
    for name in ("a\u0000b", "a\u200bb", "a\u2028b", "\ufffe", "x" * 101):
        assert (await ada.ask("POST", "/v1/auth/name", {"name": name})).status == 400
