"""PostgreSQL stops while conversions are under way, and comes back."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import aiohttp
import pytest

from bench.processes import workers
from bench.service import Service, started
from ledger.embedded import EmbeddedPostgres
from tests.gateway.samples import noise, opened, picture
from tests.postgres import private_home
from tests.system import processes
from tests.system.client import Client, settled
from tests.system.conftest import PICTURES

pytestmark = pytest.mark.asyncio(loop_scope="session")

CREDITS = 1000
# Seconds of work for an encoder.
SLOW = noise(1500, 1500)
REFUSALS = 20


class Database:
    """A PostgreSQL that can be stopped and started, on the same data."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._server = EmbeddedPostgres(home, durable=False)

    @property
    def dsn(self) -> str:
        return self._server.dsn

    async def start(self) -> None:
        self._server = EmbeddedPostgres(self._home, durable=False)
        await self._server.__aenter__()

    async def stop(self) -> None:
        await self._server.__aexit__(None, None, None)


@asynccontextmanager
async def _database() -> AsyncIterator[Database]:
    with private_home() as home:
        database = Database(home)
        await database.start()
        try:
            yield database
        finally:
            await database.stop()


@contextmanager
def _held(service: Service) -> Iterator[None]:
    """Nothing that converts gets on until the block is left: the order of events is ours."""
    held = workers(service.pid)
    for pid in held:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in held:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


async def test_while_the_ledger_is_away_new_ones_are_refused_and_running_ones_end_well(
    home: Path,
) -> None:
    async with _database() as database:
        settings = PICTURES | {
            "EPHEMERA__LEDGER__DSN": database.dsn,
            "EPHEMERA__LEDGER__DEMO_CREDITS": str(CREDITS),
        }
        async with started(home, settings) as service, aiohttp.ClientSession() as session:
            client = Client(session, service.url, service.key)
            running = [
                asyncio.create_task(client.convert("png/avif?effort=5", SLOW)) for _ in range(2)
            ]
            victim, _ = await processes.converting(service, 2)
            with _held(service):
                await database.stop()
                await client.until(lambda now: not now["health"]["ready"])
                refused = [await client.convert("png/webp", picture()) for _ in range(REFUSALS)]
                assert not any(task.done() for task in running)
                os.kill(victim, signal.SIGKILL)
            assert {(answer.status, answer.code) for answer in refused} == {
                (503, "ledger-unavailable")
            }
            assert all(int(answer.headers["Retry-After"]) >= 1 for answer in refused)
            # Neither answer waits for the ledger; the settlement and the refund do.
            answers = await asyncio.gather(*running)
            assert sorted(answer.code for answer in answers) == ["", "conversion-crashed"]
            assert [opened(answer.body).format for answer in answers if not answer.code] == ["AVIF"]
            await database.start()
            books = await settled(database.dsn)
            assert books.exact
            assert (books.debits, books.refunds, books.used) == (2, 1, 1)
            await client.until(lambda now: now["health"]["ready"])
            assert (await client.convert("png/webp", picture())).status == 200
            assert await client.balance() == CREDITS - 2
