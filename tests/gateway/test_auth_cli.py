"""`ephemera people`: operators invite people, make staff, and help who lost the way in."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_asyncio

from engine.engine import Engine
from tests.gateway.persons import KEK, PEPPER, Clock, House, open_house
from tests.gateway.test_cli_keys import Operator
from tests.postgres import Server, private_home

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    with private_home() as home:
        (home / "pepper").write_bytes(PEPPER)
        (home / "kek").write_text(KEK.hex())
        yield home


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def house(engine: Engine, postgres: Server) -> AsyncIterator[House]:
    # The command has no clock but that of the machine.
    clock = Clock(datetime.now(UTC))
    async with open_house(engine, postgres, clock, accounts={"hashing": "test"}) as house:
        yield house


@pytest.fixture(scope="module")
def operator(home: Path, house: House) -> Iterator[Operator]:
    operator = Operator(home, house.dsn)
    yield operator
    operator.close()


async def typed(operator: Operator, *words: str, code: int = 0) -> list[list[str]]:
    """Type a command; the house goes on meanwhile."""
    return await asyncio.to_thread(lambda: operator.rows(*words, code=code))


async def test_somebody_is_invited_made_staff_suspended_and_helped(
    house: House, operator: Operator
) -> None:
    address = "ada@example.org"
    await typed(operator, "accounts", "create", "engines")
    [[url]] = await typed(operator, "people", "invite", address, "--account", "engines")
    assert "/link/eph_link_" in url
    ada = await house.entered(address, "/v1/auth/invitation", url.rpartition("/")[2])
    (account,) = (await ada.done("GET", "/v1/auth/session"))["accounts"]
    assert (account["name"], account["role"]) == ("engines", "owner")

    reason = ("--reason", "as agreed")
    await typed(operator, "people", "staff", address, "support", *reason)
    [row] = await typed(operator, "people", "list")
    assert row[1:] == [address, "-", "support", "no", "active"]
    await typed(operator, "people", "staff", address, "support", "--take", *reason)
    await typed(operator, "people", "staff", address, "support", "--take", *reason, code=65)

    await typed(operator, "people", "suspend", address, *reason)
    assert (await ada.ask("GET", "/v1/auth/session")).status == 401
    await typed(operator, "people", "suspend", address, "--undo", *reason)
    assert (await ada.ask("GET", "/v1/auth/session")).status == 200

    await ada.use_totp()
    await typed(operator, "people", "drop-factor", address, *reason)
    assert (await ada.ask("GET", "/v1/auth/session")).status == 401
    ada = house.signed_in(address, await house.sign_in(address))
    await typed(operator, "people", "sign-out", address, *reason)
    assert (await ada.ask("GET", "/v1/auth/session")).status == 401

    actions = await house.ledger.actions.list()
    assert [one.action for one in actions] == [
        *("person-sign-out", "factor-drop", "person-restore", "person-suspend"),
        *("staff-take", "staff-take", "staff-give", "invite", "account-create"),
    ]
    assert [one.outcome for one in actions].count("failed") == 1
    assert all(str(ada.id) in one.parameters for one in actions[:-2])
    assert not any(address in one.parameters + one.detail for one in actions)


async def test_who_is_not_here_is_said_to_be(operator: Operator) -> None:
    await typed(operator, "people", "suspend", "bob@example.org", "--reason", "x", code=65)
    await typed(operator, "people", "invite", "bob@example.org", "--account", "nobody's", code=65)
    await typed(operator, "people", "invite", "bob", "--account", "engines", code=64)
