"""An account or a key is shut out at once, on record, and its owners are told why."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from engine.engine import Engine
from ledger.errors import SuspensionKnown, SuspensionUnknown
from ledger.people.roles import StaffRole
from tests.gateway.persons import House, open_house
from tests.gateway.samples import picture
from tests.gateway.service import PATIENCE_S, Customer, Service
from tests.postgres import Server

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def _status(service: Service, customer: Customer, path: str = "/v1/account") -> int:
    return (await service.ask("GET", path, headers=customer.headers)).status


async def _until_status(service: Service, customer: Customer, status: int) -> None:
    """Wait for the announcement, which takes milliseconds."""
    async with asyncio.timeout(PATIENCE_S):
        while await _status(service, customer) != status:
            pass


async def test_a_suspended_account_is_refused_and_keeps_its_credits(
    service: Service, customer: Customer
) -> None:
    assert await _status(service, customer) == 200
    await service.ledger.suspensions.suspend(customer.account_id, "too much spam")
    await _until_status(service, customer, 403)
    reply = await service.convert("png/webp", picture(), customer)
    assert reply.status == 403
    assert reply.json["code"] == "suspended"
    assert "spam" not in reply.body.decode()
    compat = await service.ask(
        "POST", "/convert/png/to/jpg", headers=customer.headers, data=picture()
    )
    assert (compat.status, compat.json["Code"]) == (401, 4015)
    account = await service.ledger.accounts.get(customer.account_id)
    assert (account.status, account.balance) == ("frozen", 100)
    await service.ledger.suspensions.lift(customer.account_id)
    await _until_status(service, customer, 200)
    assert (await service.convert("png/webp", picture(), customer)).status == 200


async def test_one_key_is_shut_out_and_the_others_are_not(
    service: Service, customer: Customer
) -> None:
    other = await service.ledger.keys.create(customer.account_id, "another")
    await service.ledger.suspensions.suspend(customer.account_id, "leaked", key=other.key.prefix)
    leaked = {"Authorization": f"Bearer {other.secret}"}
    reply = await service.ask("GET", "/v1/account", headers=leaked)
    assert reply.status == 403
    assert await _status(service, customer) == 200
    (found,) = await service.ledger.suspensions.list(customer.account_id)
    assert (found.key_id, found.reason) == (other.id, "leaked")


async def test_what_was_frozen_before_stays_frozen_and_nothing_is_suspended_twice(
    service: Service, customer: Customer
) -> None:
    suspensions = service.ledger.suspensions
    await service.ledger.accounts.set_status(customer.account_id, "frozen")
    await suspensions.suspend(customer.account_id, "one")
    with pytest.raises(SuspensionKnown):
        await suspensions.suspend(customer.account_id, "two")
    await suspensions.lift(customer.account_id)
    with pytest.raises(SuspensionUnknown):
        await suspensions.lift(customer.account_id)
    assert (await service.ledger.accounts.get(customer.account_id)).status == "frozen"


@pytest_asyncio.fixture(loop_scope="session")
async def house(engine: Engine, postgres: Server) -> AsyncIterator[House]:
    async with open_house(engine, postgres) as house:
        yield house


async def test_staff_suspend_with_a_reason_that_the_owner_is_told_and_audit_keeps(
    house: House,
) -> None:
    owner, staff = await house.somebody(), await house.somebody()
    await house.ledger.people.staff.give(staff.id, StaffRole.OPS)
    path = f"/v1/staff/accounts/{owner.account_id}/suspension"
    refused = await staff.ask("POST", path, {"reason": "no second factor yet"})
    assert refused.status == 403
    await staff.use_totp()
    page = await staff.done("POST", path, {"reason": "card fraud"})
    assert [one["reason"] for one in page["suspensions"]] == ["card fraud"]
    (mail,) = [one for one in await house.mails(owner.address) if one.kind == "suspended"]
    assert mail.fields["reason"] == "card fraud"
    (action, *_) = await house.ledger.actions.list(1)
    assert (action.actor, action.action) == (f"person:{staff.id}", "suspend")
    assert "card fraud" in action.parameters
    assert (await staff.done("DELETE", path))["suspensions"] == []
    assert (await staff.ask("DELETE", path)).status == 409
    assert (await owner.ask("POST", path, {"reason": "revenge"})).status == 403
    unknown = "/v1/staff/accounts/1/suspension"
    for reply in (
        await staff.ask("POST", unknown, {"reason": "nobody"}),
        await staff.ask("GET", "/v1/staff/accounts/x/suspension"),
    ):
        assert reply.json["code"] == "account-unknown"
