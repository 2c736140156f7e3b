"""Somebody whom others' guesses keep waiting does some work instead, and gets in."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import msgspec
import pytest
import pytest_asyncio

from engine.engine import Engine
from gateway import state
from gateway.proof_of_work import Challenge, solve
from tests.gateway.persons import PASSWORD, Clock, House, open_house
from tests.gateway.service import Reply
from tests.postgres import Server

pytestmark = pytest.mark.asyncio(loop_scope="session")
LIMITS = {"quotas": "sign-in-address=2/3600 sign-in-proof=2/3600 sign-up-network=off"}


@pytest_asyncio.fixture(loop_scope="session")
async def house(engine: Engine, postgres: Server) -> AsyncIterator[House]:
    server = {"trusted_proxies": ("127.0.0.0/8",)}
    clock = Clock(datetime(2027, 3, 1, 9, 0, tzinfo=UTC))
    async with open_house(engine, postgres, clock, server=server, limits=LIMITS) as house:
        yield house


async def _sign_in(house: House, address: str, number: int, **more: str) -> Reply:
    """From another network each time."""
    return await house.ask(
        "POST",
        "/v1/auth/signin",
        {"address": address, "password": PASSWORD} | more,
        headers={"X-Forwarded-For": f"198.51.{number}.7"},
    )


async def _proof(house: House) -> str:
    page = (await house.ask("GET", "/v1/auth/signin")).json
    return solve(msgspec.convert(page["challenge"], Challenge))


async def test_a_proof_of_work_passes_what_others_have_used_up(house: House) -> None:
    address = (await house.somebody()).address
    guessed = [await _sign_in(house, address, number, password="a guess") for number in range(3)]
    assert [one.status for one in guessed] == [401, 401, 429]
    assert "GET /v1/auth/signin" in guessed[-1].json["detail"]
    assert (await _sign_in(house, address, 10)).status == 429
    proof = await _proof(house)
    assert (await _sign_in(house, address, 11, proof=proof)).status == 200
    again = await _sign_in(house, address, 12, proof=proof)
    assert (again.status, again.json["code"]) == (403, "proof-refused")


async def test_work_is_no_way_around_all_limits(house: House) -> None:
    address = (await house.somebody()).address
    statuses = [
        (
            await _sign_in(house, address, number, password="a guess", proof=await _proof(house))
        ).status
        for number in range(3)
    ]
    assert statuses == [401, 401, 429]
    other_form = solve(house.service.app[state.PROOF_OF_WORK].challenge("contact", 100))
    assert (await _sign_in(house, address, 20, proof=other_form)).json["code"] == "proof-refused"
