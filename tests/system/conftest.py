"""A service as a customer gets it: `ephemera serve` in processes of its own, asked over HTTP."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
import uvloop

from bench.service import Service, started
from ledger.ledger import Ledger
from ledger.settings import LedgerSettings
from tests.postgres import Server, private_home
from tests.system.client import Client

PEPPER = b"a pepper for tests, not a secret"
KEK = b"an envelope key, also no secret."
# One family, for services of which no test asks more: the others boot when they are asked for.
PICTURES = {"EPHEMERA__ENGINE__STARTED": "image"}
# Two families, a line short enough to overflow, and a log that says why a conversion failed.
SETTINGS = {
    "EPHEMERA__ENGINE__STARTED": "image,photo",
    "EPHEMERA__ENGINE__WAITING_MAX": "8",
    "EPHEMERA__LOG__LEVEL": "info",
}


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop that the service runs on, for what is run inside this process."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
def home() -> Iterator[Path]:
    with private_home() as home:
        yield home


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def service() -> AsyncIterator[Service]:
    with private_home() as home:
        async with started(home, SETTINGS) as service:
            yield service


@pytest_asyncio.fixture(loop_scope="session")
async def client(service: Service) -> AsyncIterator[Client]:
    """A customer of the shared service, whose books must be exact when the test is over."""
    async with aiohttp.ClientSession() as session:
        client = Client(session, service.url, service.key)
        yield client
        assert (await client.quiet(service.dsn)).exact


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def ledger(postgres: Server) -> AsyncIterator[Ledger]:
    async with postgres.database() as name:
        settings = LedgerSettings(dsn=postgres.dsn(name), pepper=PEPPER, keks=(KEK,))
        async with Ledger.connect(settings) as ledger:
            yield ledger
