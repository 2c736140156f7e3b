"""SQL statements of a request, as PostgreSQL itself logs them: one is one round trip.

What the service says to its database without being asked (heart-beats, sweeps, renewals) is heard
for a moment first; a statement that was heard then is not counted.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncpg

from ledger.embedded import EmbeddedPostgres

# The longest pause between two heart-beats is below this.
_IDLE_S = 6.0
_SETTLE_S = 0.5
_SAID = re.compile(r"LOG:  (?:execute [^:]*|statement): (.*)")


async def statements(home: Path, requests: int, run: Callable[[], Awaitable[None]]) -> int:
    """How many statements `run` causes, which sends so many requests."""
    database = await asyncpg.connect(EmbeddedPostgres(home).admin_dsn)
    try:
        await _say(database, "all")
        await asyncio.sleep(_SETTLE_S)
        log = Path(await database.fetchval("SELECT pg_current_logfile()"))
        if not log.is_absolute():
            log = Path(await database.fetchval("SHOW data_directory")) / log
        own = set(await _heard(log, asyncio.sleep(_IDLE_S)))
        said = await _heard(log, run())
    finally:
        await _say(database, "none")
        await database.close()
    # What comes more seldom than every request is somebody's clock that ticked meanwhile, such as
    # the writing of records in batches.
    often = Counter(text for text in said if text not in own)
    return sum(count for count in often.values() if count >= requests)


async def _say(database: asyncpg.Connection, what: str) -> None:
    await database.execute(f"ALTER SYSTEM SET log_statement = '{what}'")
    await database.execute("SELECT pg_reload_conf()")


async def _heard(log: Path, done: Awaitable[None]) -> list[str]:
    before = (await asyncio.to_thread(log.stat)).st_size
    await done
    await asyncio.sleep(_SETTLE_S)
    text = await asyncio.to_thread(log.read_bytes)
    return _SAID.findall(text[before:].decode(errors="replace"))
