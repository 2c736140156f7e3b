"""Mails of a running service: low balances are told once by any number of gateways, and counted."""

import asyncio
import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from engine.engine import Engine
from gateway import state
from gateway.mail.backends import Memory
from gateway.mail.composing import Message
from ledger.conversion_id import new_conversion_id
from tests.gateway.persons import House, open_house
from tests.gateway.service import Service, listening, until
from tests.postgres import Server

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def house(engine: Engine, postgres: Server) -> AsyncIterator[House]:
    accounts = {"signup": "open", "hashing": "test", "signup_credits": 100}
    async with open_house(engine, postgres, accounts=accounts) as house:
        yield house


def taken(service: Service) -> list[Message]:
    backend = service.app[state.POSTMAN].backend
    assert isinstance(backend, Memory)
    return list(backend.taken)


async def spend(house: House, account_id: int, credits: int) -> None:
    async with house.ledger.debit(account_id, credits, conversion_id=new_conversion_id()):
        pass


async def test_a_low_balance_is_told_once_whichever_of_three_gateways_hears_of_it(
    engine: Engine, house: House
) -> None:
    ada = await house.somebody()
    assert ada.account_id is not None
    await house.ledger.accounts.set_low_balance(ada.account_id, 50)
    mail = {"backend": "memory"}
    async with (
        listening(engine, house.ledger, mail=mail) as first,
        listening(engine, house.ledger, mail=mail) as second,
        listening(engine, house.ledger, mail=mail) as third,
    ):
        gateways = (first, second, third)
        postmen = [one.app[state.POSTMAN] for one in gateways]
        for bought, credits in ((0, 60), (40, 31), (0, 5)):
            if bought:
                await house.ledger.accounts.grant(ada.account_id, bought, "a gift")
            await spend(house, ada.account_id, credits)
            await asyncio.gather(*(one.round() for one in postmen * 2))
        await until(lambda: sum(len(taken(one)) for one in gateways) >= 2)
        mails = [message for one in gateways for message in taken(one)]
        assert [message.to for message in mails] == [ada.address] * 2
        left = [re.findall(r"Credits left: (\d+)", message.text) for message in mails]
        assert sorted(left) == [["40"], ["49"]]
        page = (await first.ask("GET", "/metrics")).body.decode()
        assert 'ephemera_mail_attempts_total{kind="low_balance",outcome="sent"}' in page
        assert "ephemera_mails_waiting" in page


async def test_a_mail_that_is_queued_is_handed_over_without_being_asked_for(
    engine: Engine, house: House
) -> None:
    ada = await house.somebody()
    async with listening(engine, house.ledger, mail={"backend": "memory"}) as service:
        reset = {"address": ada.address}
        assert (await service.ask("POST", "/v1/auth/reset", json=reset)).status == 202
        await until(lambda: bool(taken(service)))
        [message] = taken(service)
        assert message.link is not None
        assert "/link/eph_link_" in message.link
        assert message.link in message.text
