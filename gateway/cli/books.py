"""The ledger, opened for one command: the operator's database or the private one."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from gateway import home, server
from gateway.app import ledger_settings
from gateway.cli.terminal import Source
from gateway.process import this_process
from ledger.audit.actions import Act
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


@asynccontextmanager
async def recorded(ledger: Ledger, action: str, **parameters: int | str) -> AsyncIterator[Act]:
    """Around what a command changes: it is on record who did it, by numbers and never by names.

    Raises LedgerUnavailable before the block, which then does not run.
    """
    async with ledger.actions.recorded(
        actor=f"uid:{os.getuid()}",
        gateway=this_process().label,
        action=action,
        parameters=msgspec.json.encode(parameters).decode(),
    ) as act:
        yield act
