"""A thousand conversions over HTTP: a thousand workers, a thousand answers, a thousand credits."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio

from engine.engine import Engine, EngineConfig
from engine.job import Job
from engine.passage import Delivery
from ledger.ledger import Ledger
from tests.gateway.samples import opened, picture
from tests.gateway.service import listening

pytestmark = pytest.mark.asyncio(loop_scope="session")

CONVERSIONS = 1000
AT_ONCE = 8


class Noting(Engine):
    """The engine, and a note of each worker: no answer over HTTP names it."""

    def __init__(self, *parts: object) -> None:
        super().__init__(*parts)  # type: ignore[arg-type]
        self.workers: list[str] = []

    @asynccontextmanager
    async def conversion(self, job: Job, **who: Any) -> AsyncIterator[Delivery]:
        async with super().conversion(job, **who) as delivery:
            self.workers.append(delivery.output.worker)
            yield delivery


@pytest_asyncio.fixture(loop_scope="session")
async def noting() -> AsyncIterator[Noting]:
    engine = await Noting.start(EngineConfig(started=("image",)))
    assert isinstance(engine, Noting)
    try:
        yield engine
    finally:
        await engine.close()


@pytest.mark.claim("C-WORKER-1")
async def test_a_thousand_conversions_are_a_thousand_workers_and_a_thousand_credits(
    noting: Noting, ledger: Ledger
) -> None:
    async with listening(noting, ledger) as service:
        customer = await service.customer(opening=2 * CONVERSIONS)
        left = iter(range(CONVERSIONS))
        statuses = []

        async def client() -> None:
            for _ in left:
                reply = await service.convert("png/webp", picture(), customer)
                opened(reply.body)
                statuses.append((reply.status, reply.headers["X-Credits-Used"]))

        await asyncio.gather(*(client() for _ in range(AT_ONCE)))
        await service.quiet()
    assert statuses == [(200, "1")] * CONVERSIONS
    assert len(noting.workers) == len(set(noting.workers)) == CONVERSIONS
    assert {family.restarts for family in noting.status().families} == {0}
    books = await ledger.trial_balance()
    assert (books.consumption, books.refunds, books.open_debits) == (CONVERSIONS, 0, 0)
    assert await ledger.balance(customer.account_id) == CONVERSIONS
    assert await ledger.audit() == []
