"""Hearing what PostgreSQL announces (NOTIFY), over a connection that is made again for ever.

What is announced while the connection is broken is not heard: whoever listens is told when it
hears and when it does not, and acts on it.
"""

import asyncio
import logging
from collections.abc import Callable

import asyncpg

from ledger.availability import AWAY
from ledger.connection import Connector

_PAUSE_S = 0.5

_log = logging.getLogger(__name__)


async def listen(
    connector: Connector,
    channel: str,
    *,
    heard: Callable[[str], None],
    hearing: Callable[[bool], None],
) -> None:
    """Call `heard` with every announcement, until cancelled. Takes one connection."""
    while True:
        try:
            connection = await connector.connect()
        except (asyncpg.PostgresError, *AWAY):
            await asyncio.sleep(_PAUSE_S)
            continue
        broken = asyncio.Event()
        connection.add_termination_listener(lambda _, broken=broken: broken.set())
        try:
            await connection.add_listener(channel, lambda *announced: heard(announced[-1]))
            hearing(True)
            await broken.wait()
        except (asyncpg.PostgresError, *AWAY):
            _log.info("the connection of the listener on %s broke", channel)
        finally:
            hearing(False)
            connection.terminate()
