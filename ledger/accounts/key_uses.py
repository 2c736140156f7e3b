"""When keys were last used: noted in memory, written down every few seconds, and at the end.

One statement for all keys of a process; several processes take the later moment of each. A process
that is killed loses the last seconds of it, which is what a batch costs.
"""

import asyncio
import logging
import random
import time
from datetime import UTC, datetime

import asyncpg

from ledger.database import Database
from ledger.errors import LedgerUnavailable

_INTERVAL_S = 5.0
# More keys than one process sees in five seconds; beyond it a note waits for its next request.
_NOTED_MAX = 20_000
# In the order of the ids, so that two processes never wait for each other in a circle.
_WRITE = """
with used as (
    select k.id, u.used_at
      from unnest($1::text[], $2::timestamptz[]) as u (id, used_at)
      join accounts.api_key k on k.id = u.id
     order by k.id
       for update of k)
update accounts.api_key k
   set last_used_at = greatest(k.last_used_at, u.used_at)
  from used u where k.id = u.id
"""

_log = logging.getLogger(__name__)


class KeyUses:
    """The notes of one process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._noted: dict[str, float] = {}

    def note(self, key_id: str) -> None:
        """Note that the key was used now."""
        if len(self._noted) < _NOTED_MAX:
            self._noted[key_id] = time.time()

    async def write(self) -> int:
        """Write the notes down; gives their number. Raises LedgerUnavailable, and keeps them."""
        noted, self._noted = self._noted, {}
        if not noted:
            return 0
        try:
            await self._database.value(
                _WRITE, list(noted), [datetime.fromtimestamp(at, UTC) for at in noted.values()]
            )
        except BaseException:
            self._noted = noted | self._noted
            raise
        return len(noted)

    async def run(self) -> None:
        """Write every few seconds until cancelled."""
        while True:
            await asyncio.sleep(_INTERVAL_S * random.uniform(0.5, 1.5))  # noqa: S311 (not a secret)
            await self.try_to_write()

    async def try_to_write(self) -> None:
        """Write what can be written; nothing depends on it."""
        try:
            await self.write()
        except LedgerUnavailable:
            pass
        except asyncpg.PostgresError:
            _log.exception("the last uses of keys were not written")
