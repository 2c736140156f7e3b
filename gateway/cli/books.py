"""The ledger, opened for one command: the operator's database or the private one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway import home, server
from gateway.app import ledger_settings
from gateway.cli.terminal import Source
from ledger.ledger import Ledger


@asynccontextmanager
async def books(source: Source) -> AsyncIterator[Ledger]:
    """A ledger for the block; a private PostgreSQL that is not running is started for it."""
    settings = source.settings()
    home.prepare(settings.home)
    pepper, keks = home.pepper(settings), home.keks(settings)
    async with (
        server.database(settings) as found,
        Ledger.connect(
            ledger_settings(settings, dsn=found.app_dsn, pepper=pepper, keks=keks)
        ) as ledger,
    ):
        yield ledger
