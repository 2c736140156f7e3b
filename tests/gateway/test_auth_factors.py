"""Second factors over HTTP: codes that count once, recovery codes, staff who must have one."""

import asyncio
from collections.abc import AsyncIterator

import pyotp
import pytest
import pytest_asyncio

from engine.engine import Engine
from ledger.people.roles import StaffRole
from tests.gateway.persons import PASSWORD, House, Somebody, open_house
from tests.postgres import Server

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def house(engine: Engine, postgres: Server) -> AsyncIterator[House]:
    off = "second-factor sign-in-address-network step-up sign-in-all sign-up-network"
    limits = {"quotas": " ".join(f"{name}=off" for name in off.split())}
    async with open_house(engine, postgres, limits=limits) as house:
        yield house


@pytest_asyncio.fixture(loop_scope="session")
async def ada(house: House) -> Somebody:
    return await house.somebody()


async def test_a_factor_counts_when_a_code_of_it_was_shown(house: House, ada: Somebody) -> None:
    page = await ada.done("POST", "/v1/auth/totp")
    assert page["uri"].startswith(f"otpauth://totp/Ephemera:{ada.address.replace('@', '%40')}?")
    assert page["svg"].startswith("<svg")
    assert (await house.sign_in(ada.address)).status == 200
    wrong = await ada.ask("POST", "/v1/auth/totp/confirm", {"code": "000000"})
    assert (wrong.status, wrong.json["code"]) == (401, "code-refused")
    other = house.signed_in(ada.address, await house.sign_in(ada.address))
    codes = await ada.use_totp()
    assert len(set(codes)) == 10
    assert await ada.done("GET", "/v1/auth/totp") == {"totp": True, "recovery_codes": 10}
    assert (await ada.done("GET", "/v1/auth/session"))["mfa"] is True
    # What began without it is over.
    assert (await other.ask("GET", "/v1/auth/session")).status == 401
    assert "mfa_changed" in [letter.kind for letter in await house.mails(ada.address)]


async def test_a_sign_in_asks_for_the_code_once_the_password_is_right(
    house: House, ada: Somebody
) -> None:
    await ada.use_totp()
    assert (await house.sign_in(ada.address, "wrong")).json["code"] == "sign-in-refused"
    assert (await house.sign_in(ada.address)).json["code"] == "code-wanted"
    assert (await house.sign_in(ada.address, code="123456")).json["code"] == "code-refused"
    assert (await house.sign_in(ada.address, code=ada.code())).status == 200


async def test_a_code_is_good_once_and_so_is_no_earlier_one(house: House, ada: Somebody) -> None:
    await ada.use_totp()
    earlier, code = ada.code(), ada.code()
    replies = await asyncio.gather(*(house.sign_in(ada.address, code=code) for _ in range(4)))
    assert sorted(reply.status for reply in replies) == [200, 401, 401, 401]
    assert (await house.sign_in(ada.address, code=earlier)).json["code"] == "code-refused"


@pytest.mark.parametrize(("seconds", "status"), [(-30, 200), (30, 200), (-90, 401), (90, 401)])
async def test_a_clock_may_be_half_a_minute_off(
    house: House, ada: Somebody, seconds: int, status: int
) -> None:
    await ada.use_totp()
    house.clock.forward(minutes=5)
    assert ada.seed is not None
    code = pyotp.TOTP(ada.seed).at(house.clock.now, counter_offset=0)
    house.clock.forward(seconds=seconds)
    assert (await house.sign_in(ada.address, code=code)).status == status
    house.clock.forward(minutes=5)


async def test_a_recovery_code_is_good_once_however_it_is_typed(
    house: House, ada: Somebody
) -> None:
    first, second, *_ = await ada.use_totp()
    typed = first.upper().replace("-", " ")
    assert (await house.sign_in(ada.address, recovery_code=typed)).status == 200
    again = await house.sign_in(ada.address, recovery_code=first)
    assert again.json["code"] == "code-refused"
    assert (await ada.done("GET", "/v1/auth/totp"))["recovery_codes"] == 9
    replies = await asyncio.gather(
        *(house.sign_in(ada.address, recovery_code=second) for _ in range(3))
    )
    assert sorted(reply.status for reply in replies) == [200, 401, 401]


async def test_new_recovery_codes_make_the_old_ones_void(house: House, ada: Somebody) -> None:
    old = await ada.use_totp()
    new = (await ada.done("POST", "/v1/auth/recovery-codes"))["recovery_codes"]
    assert not set(old) & set(new)
    assert (await house.sign_in(ada.address, recovery_code=old[0])).status == 401
    assert (await house.sign_in(ada.address, recovery_code=new[0])).status == 200


async def test_recovery_codes_are_for_those_who_have_a_factor(ada: Somebody) -> None:
    for method, path in (("POST", "/v1/auth/recovery-codes"), ("DELETE", "/v1/auth/totp")):
        reply = await ada.ask(method, path)
        assert (reply.status, reply.json["code"]) == (409, "factor-unknown")


async def test_a_step_up_asks_for_the_code_as_well(ada: Somebody) -> None:
    await ada.use_totp()
    bare = await ada.ask("POST", "/v1/auth/step-up", {"password": PASSWORD})
    assert bare.json["code"] == "code-wanted"
    body = {"password": PASSWORD, "code": ada.code()}
    assert (await ada.ask("POST", "/v1/auth/step-up", body)).status == 200


async def test_a_reset_of_the_password_does_not_get_around_the_factor(
    house: House, ada: Somebody
) -> None:
    await ada.use_totp()
    await house.ask("POST", "/v1/auth/reset", {"address": ada.address})
    link = await house.link(ada.address, "reset")
    other = "basalt 41 fern quarry"
    await house.ask("POST", "/v1/auth/reset/confirm", {"link": link, "password": other})
    assert (await house.sign_in(ada.address, other)).json["code"] == "code-wanted"


async def test_a_factor_that_is_dropped_is_asked_for_no_more(house: House, ada: Somebody) -> None:
    codes = await ada.use_totp()
    await ada.done("DELETE", "/v1/auth/totp")
    assert (await house.sign_in(ada.address)).status == 200
    assert await ada.done("GET", "/v1/auth/totp") == {"totp": False, "recovery_codes": 0}
    await ada.use_totp()
    assert (await house.sign_in(ada.address, recovery_code=codes[0])).status == 401


async def test_the_seed_in_the_database_is_sealed(house: House, ada: Somebody) -> None:
    await ada.use_totp()
    credentials = await house.ledger.people.persons.credentials(ada.address)
    assert credentials is not None
    assert credentials.totp is not None
    row = await house.ledger._database.row(
        "select totp, totp_next from people.person where id = $1", ada.id
    )
    assert row is not None
    assert row["totp_next"] is None
    assert credentials.totp not in row["totp"]


async def test_staff_can_do_nothing_as_staff_without_a_factor(house: House, ada: Somebody) -> None:
    await house.ledger.people.staff.give(ada.id, StaffRole.AUDITOR)
    page = await ada.done("GET", "/v1/auth/session")
    assert page["staff"] == ["auditor"]
    assert not any(one.startswith("staff:") for one in page["permissions"])
    await ada.use_totp()
    page = await ada.done("GET", "/v1/auth/session")
    assert "staff:audit:read" in page["permissions"]
    reply = await ada.ask("DELETE", "/v1/auth/totp")
    assert (reply.status, reply.json["code"]) == (409, "factor-wanted")
    await house.ledger.people.staff.take(ada.id, StaffRole.AUDITOR)
    assert (await ada.done("GET", "/v1/auth/session"))["staff"] == []
