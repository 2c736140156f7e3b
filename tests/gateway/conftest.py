"""One real service for all tests of the gateway, and books that are audited after each of them."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest_asyncio
import uvloop

from engine.engine import Engine
from ledger.ledger import Ledger
from ledger.settings import LedgerSettings
from tests.gateway.service import Customer, Service, listening
from tests.postgres import Server

PEPPER = b"a pepper for tests, not a secret"
KEK = b"an envelope key, also no secret."


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def ledger(postgres: Server) -> AsyncIterator[Ledger]:
    async with postgres.database() as name:
        settings = LedgerSettings(dsn=postgres.dsn(name), pepper=PEPPER, keks=(KEK,))
        async with Ledger.connect(settings) as ledger:
            yield ledger


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared_service(engine: Engine, ledger: Ledger) -> AsyncIterator[Service]:
    async with listening(engine, ledger) as service:
        yield service


@pytest_asyncio.fixture(loop_scope="session")
async def service(shared_service: Service) -> AsyncIterator[Service]:
    """The service, which must be at rest with exact books when the test is over."""
    yield shared_service
    await shared_service.quiet()
    # A worker that outlives its request would hold what the customer sent.
    assert not any(family.kept for family in shared_service.engine.status().families)
    assert await shared_service.ledger.audit() == []
    books = await shared_service.ledger.trial_balance()
    assert books.balanced()
    assert books.open_debits == 0


@pytest_asyncio.fixture(loop_scope="session")
async def customer(service: Service) -> Customer:
    return await service.customer()


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop that the service runs on."""
    return {"uvloop": uvloop.new_event_loop}
