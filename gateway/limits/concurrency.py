"""How many uploads of each account are under way: here, and in the other processes.

Each process counts its own exactly. Where several share a database, each tells once a second what
it is busy with and hears what the others are, so together they can exceed the quota by what began
within that second. One that does not tell for a while is dead, and does not count.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import structlog

from ledger.errors import LedgerError
from ledger.limits.inside import Inside

log = structlog.get_logger()

PERIOD_S = 1.0


class Concurrency:
    """The counts of one process."""

    def __init__(self, shared: Inside | None) -> None:
        self._shared = shared
        self._here: Counter[int] = Counter()
        self._elsewhere: Mapping[int, int] = {}

    def count(self, account_id: int) -> int:
        """How many of the account are known to be under way."""
        return self._here[account_id] + self._elsewhere.get(account_id, 0)

    @contextmanager
    def inside(self, account_id: int) -> Iterator[None]:
        """Count one for the block."""
        self._here[account_id] += 1
        try:
            yield
        finally:
            self._here[account_id] -= 1
            if not self._here[account_id]:
                del self._here[account_id]

    async def run(self) -> None:
        """Tell and hear until cancelled; nothing where the process is alone."""
        while self._shared is not None:
            try:
                await self.exchange()
            except LedgerError as error:
                # Each counts for itself until then.
                self._elsewhere = {}
                log.debug("limits_alone", error=type(error).__name__)
            await asyncio.sleep(PERIOD_S)

    async def exchange(self) -> None:
        """Tell and hear once. Raises LedgerUnavailable."""
        if self._shared is not None:
            self._elsewhere = await self._shared.exchange(dict(self._here))
