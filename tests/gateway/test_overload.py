"""A crowd at a full line: refused before anything is spent on it, and everybody else is served."""

import asyncio
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.gateway.samples import bitmap, picture
from tests.gateway.service import Customer, Service, listening, until

pytestmark = pytest.mark.asyncio(loop_scope="session")

PLACES = 3
CROWD = 20


@pytest.fixture
def short_line(service: Service) -> Iterator[None]:
    line = service.engine._line
    before, line._waiting_max = line._waiting_max, PLACES
    service.engine.pause()
    yield
    service.engine.resume()
    line._waiting_max = before


@pytest.mark.usefixtures("short_line")
@pytest.mark.parametrize(("path", "size"), [("png/jpeg", "small"), ("bmp/png", "large")])
async def test_who_is_refused_was_not_debited_and_took_no_worker(
    service: Service, customer: Customer, path: str, size: str
) -> None:
    body = picture() if size == "small" else bitmap()
    async with listening(service.engine, service.ledger, upload={"stream_over_bytes": 0}) as fresh:
        served = fresh if size == "large" else service
        forked = workers(served)
        asked = [asyncio.ensure_future(served.convert(path, body, customer)) for _ in range(CROWD)]
        await until(lambda: sum(one.done() for one in asked) == CROWD - PLACES)
        assert served.engine.status().waiting == PLACES
        served.engine.resume()
        answers = [await one for one in asked]
        await fresh.quiet()
        assert Counter(one.status for one in answers) == {200: PLACES, 503: CROWD - PLACES}
        # A spare that is ordered meanwhile may be counted as well, but none for who was refused.
        assert workers(served) - forked <= 2 * PLACES
    assert await service.kinds(customer) == ["consumption"] * PLACES


def workers(service: Service) -> int:
    return sum(family.workers for family in service.engine.status().families)
