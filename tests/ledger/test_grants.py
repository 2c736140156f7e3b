"""What the service may do is said at every start, beside gateways that run."""

import asyncio

import asyncpg

from ledger.migrate import migrate
from tests.ledger.waiting import eventually
from tests.postgres import Server

_DAY = (
    "create table requests.of_a_test partition of requests.record"
    " for values from ('1999-01-01') to ('1999-01-02')"
)
_WAITS = "select exists (select from pg_locks where not granted and locktype = 'transactionid')"


async def test_a_day_that_another_gateway_makes_at_that_moment_stops_no_start(
    server: Server, database: str
) -> None:
    books = await asyncpg.connect(dsn=server.dsn(database))
    try:
        async with books.transaction():
            await books.execute(_DAY)
            starting = asyncio.create_task(migrate(server.dsn(database)))

            async def waits() -> bool:
                return bool(await books.fetchval(_WAITS))

            await eventually(waits)
        assert await starting == []
    finally:
        await books.close()
