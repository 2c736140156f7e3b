"""Far more than it can do, and a stop in the middle of it: everybody is answered."""

import asyncio
import signal
from collections import Counter
from pathlib import Path

import aiohttp
import pytest

from bench import books
from bench.service import Service, started
from tests.gateway.samples import picture
from tests.system.client import PATIENCE_S, Answer, Client, settled
from tests.system.conftest import PICTURES

pytestmark = pytest.mark.asyncio(loop_scope="session")

CREDITS = 100_000


@pytest.mark.claim("C-LOAD-1")
async def test_ten_times_more_than_it_can_do_is_refused_and_the_rest_is_done(
    service: Service, client: Client
) -> None:
    balance = await client.balance()
    engine = (await client.status())["engine"]
    # `SETTINGS` in conftest.py make the line 8 long.
    at_once = 10 * (engine["slots"] + 8)
    answers = await asyncio.gather(
        *(client.convert("png/webp", picture()) for _ in range(3 * at_once))
    )
    refused = [answer for answer in answers if answer.status != 200]
    delivered = len(answers) - len(refused)
    assert {(answer.status, answer.code) for answer in refused} == {(503, "busy")}
    assert all(1 <= int(answer.headers["Retry-After"]) <= 60 for answer in refused)
    assert delivered >= engine["slots"] + 8
    assert (await client.quiet(service.dsn)).exact
    assert await client.balance() == balance - delivered
    again = [await client.convert("png/webp", picture()) for _ in range(4)]
    assert {answer.status for answer in again} == {200}


async def test_a_stop_under_load_leaves_nobody_without_an_answer(home: Path) -> None:
    settings = PICTURES | {"EPHEMERA__LEDGER__DEMO_CREDITS": str(CREDITS)}
    async with started(home, settings) as service:
        assert service.process is not None
        crowd = Crowd(service)
        async with asyncio.TaskGroup() as group:
            for _ in range(24):
                group.create_task(crowd.member())
            await crowd.busy.wait()
            service.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE_S):
            assert await asyncio.to_thread(service.process.wait) == 0
    assert set(crowd.answers) <= {(200, ""), (503, "draining")}
    delivered = crowd.answers[200, ""]
    assert delivered >= crowd.ENOUGH
    assert crowd.lost == 0
    assert not (home / "postgres" / "data" / "postmaster.pid").exists()
    async with started(home, settings) as service:
        assert service.key == ""
        at_start = await books.read(service.dsn)
        assert at_start.exact
        assert at_start.used == delivered
        async with aiohttp.ClientSession() as session:
            client = Client(session, service.url, crowd.key)
            assert await client.balance() == CREDITS - delivered
            assert (await client.convert("png/webp", picture())).status == 200
        assert (await settled(service.dsn)).exact
    log = "\n".join(path.read_text() for path in (home / "postgres" / "log").iterdir())
    assert "was not properly shut down" not in log
    assert "interrupted" not in log


class Crowd:
    """Clients that send, each over a new connection, until nobody is there to connect to."""

    ENOUGH = 40

    def __init__(self, service: Service) -> None:
        self.key = service.key
        self.answers: Counter[tuple[int, str]] = Counter()
        self.lost = 0
        self.busy = asyncio.Event()
        self._url = service.url

    async def member(self) -> None:
        connector = aiohttp.TCPConnector(force_close=True)
        async with aiohttp.ClientSession(connector=connector) as session:
            client = Client(session, self._url, self.key)
            while (answer := await self._ask(client)) is not None:
                self.answers[answer.status, answer.code] += 1
                if self.answers[200, ""] >= self.ENOUGH:
                    self.busy.set()

    async def _ask(self, client: Client) -> Answer | None:
        try:
            return await client.convert("png/webp", picture())
        except aiohttp.ClientConnectorError:
            return None
        except aiohttp.ClientError:
            self.lost += 1
            return None
