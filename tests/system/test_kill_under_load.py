"""kill -9 with many conversions in flight, again and again, and clients that send again.

One conversion at every stage is `tests/gateway/test_kill.py`. Here each gateway dies among many
conversions that are at all stages at once, and the next one, on the same private PostgreSQL, has to
refund exactly what was open, no more and no less.
"""

import asyncio
import sys
from pathlib import Path

import aiohttp
import pytest

from bench import books
from bench.books import Books
from bench.service import Service, started
from gateway.stages import Stage
from tests.gateway.samples import opened, picture
from tests.system.client import PATIENCE_S, Answer, Client, settled
from tests.system.conftest import PICTURES

pytestmark = pytest.mark.asyncio(loop_scope="session")

CREDITS = 1000
FILES = 60
AT_ONCE = 12
# Each life converts some files before it ends, and ends with others at every other stage.
DEATHS = [(stage, 6) for stage in (Stage.DEBITED, Stage.CONVERTED, Stage.DELIVERED, Stage.SETTLED)]
SETTINGS = PICTURES | {
    "EPHEMERA__SERVER__PORT": "0",
    "EPHEMERA__LEDGER__LEASE_S": "1",
    "EPHEMERA__LEDGER__DEMO_CREDITS": str(CREDITS),
}


@pytest.mark.claim("C-MONEY-1")
async def test_files_sent_again_after_every_kill_are_charged_once_each(home: Path) -> None:
    names = {f"file {number}" for number in range(FILES)}
    left, key, before = set(names), "", None
    for stage, count in DEATHS:
        program = (sys.executable, "-m", "tests.system.dying", stage, str(count))
        async with started(home, SETTINGS, program) as service:
            key = service.key or key
            if before is not None:
                await _only_the_open_ones_were_refunded(before, service)
            left -= await _send(service, key, left)
            assert service.process is not None
            async with asyncio.timeout(PATIENCE_S):
                await asyncio.to_thread(service.process.wait)
            before = await books.read(service.dsn)
            assert before.violations == ()
            assert before.balances == before.booked
            assert before.open_debits or stage is Stage.SETTLED
    async with started(home, SETTINGS) as service:
        assert before is not None
        await _only_the_open_ones_were_refunded(before, service)
        assert await _send(service, key, left) == left
        # Every file once more: what was charged is given again for nothing, and what a dead
        # gateway delivered but never settled is charged now.
        assert await _send(service, key, names) == names
        end = await settled(service.dsn)
    assert end.exact
    assert (end.used, end.balances) == (FILES, CREDITS - FILES)


async def _only_the_open_ones_were_refunded(before: Books, service: Service) -> None:
    after = await settled(service.dsn)
    assert after.exact
    assert after.refunds == before.refunds + before.open_debits
    assert after.debits == before.debits


async def _send(service: Service, key: str, names: set[str]) -> set[str]:
    """Send the files, a dozen at a time; gives those that came back converted."""
    done: set[str] = set()
    todo = sorted(names)

    async def sender(client: Client) -> None:
        while todo:
            name = todo.pop()
            answer = await _persist(client, name)
            assert opened(answer.body).format == "WEBP"
            done.add(name)

    async with aiohttp.ClientSession() as session:
        client = Client(session, service.url, key)
        ends = await asyncio.gather(
            *(sender(client) for _ in range(AT_ONCE)), return_exceptions=True
        )
    for end in ends:
        if end is not None and not isinstance(end, aiohttp.ClientError):
            raise end
    return done


async def _persist(client: Client, name: str) -> Answer:
    """Send until it is converted. A dead gateway's debit holds its key until it is swept."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            answer = await client.convert("png/webp", picture(), Idempotency_Key=name)
            if answer.status == 200:
                return answer
            assert answer.code == "idempotency-key-in-flight", answer
            await asyncio.sleep(0.1)
