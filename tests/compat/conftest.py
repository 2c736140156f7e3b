"""The real service on a real address, and the official clients as processes beside it."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from engine.engine import Engine
from ledger.ledger import Ledger
from tests.compat.clients import CLIENTS, Client
from tests.compat.program import Program, running
from tests.compat.remote import Remote, serving
from tests.gateway.conftest import (
    customer,
    ledger,
    pytest_asyncio_loop_factories,
    service,
)
from tests.gateway.service import Customer, Service, listening

__all__ = [
    "customer",
    "ledger",
    "pytest_asyncio_loop_factories",
    "service",
]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def remote() -> AsyncIterator[Remote]:
    async with serving() as remote:
        yield remote


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared_service(engine: Engine, ledger: Ledger, remote: Remote) -> AsyncIterator[Service]:
    """It may fetch from that one port of this machine, besides what everybody may."""
    fetch = {"enabled": True, "allow": ["127.0.0.1/32"], "ports": [remote.port], "hooks_http": True}
    async with listening(engine, ledger, fetch=fetch) as service:
        yield service


@pytest_asyncio.fixture(
    scope="session", loop_scope="session", params=CLIENTS, ids=lambda one: one.name
)
async def program(request: pytest.FixtureRequest) -> AsyncIterator[Program]:
    """One process for each client, for all tests."""
    client: Client = request.param
    if missing := client.missing():
        pytest.skip(missing)
    async with running(client) as program:
        yield program


@pytest_asyncio.fixture(loop_scope="session")
async def client(program: Program, service: Service, customer: Customer) -> Program:
    """The client as somebody sets it up who moves here: another base URL and a key of ours."""
    await program.configure(service, customer)
    return program
