"""What is over is deleted: links, invitations, sessions, and devices nobody uses any more."""

import asyncio
import logging

from ledger.database import Database
from ledger.errors import LedgerError
from ledger.people.person import Clock
from ledger.people.persons import DEVICE_LIFETIME
from ledger.people.sessions import IDLE, LIFETIME

# Nothing that is over is believed before it is deleted, so this is only about tidiness.
_PERIOD_S = 600.0
_LINKS = "delete from people.link where expires_at <= $1"
_INVITATIONS = "delete from people.invitation where expires_at <= $1"
_SESSIONS = "delete from people.session where seen_at <= $1 or created_at <= $2"
_DEVICES = "delete from people.device where used_at <= $1"

_log = logging.getLogger(__name__)


class PeopleSweeper:
    """Deletes it, every ten minutes, in every gateway; twice does no harm."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            try:
                await self.sweep()
            except LedgerError as error:
                _log.warning("what is over of people's links was not deleted: %s", error)
            await asyncio.sleep(_PERIOD_S)

    async def sweep(self) -> None:
        """Delete what is over now. Raises LedgerUnavailable."""
        now = self._clock()
        await self._database.value(_LINKS, now)
        await self._database.value(_INVITATIONS, now)
        await self._database.value(_SESSIONS, now - IDLE, now - LIFETIME)
        await self._database.value(_DEVICES, now - DEVICE_LIFETIME)
