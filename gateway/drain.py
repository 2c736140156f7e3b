"""Who is still inside when the service stops.

`Door` knows every request that converts. Once it is closed nobody new comes in; those inside may
finish until the patience ends, then they are shown out: their tasks are cancelled, which refunds
their debits on the way, and the client is told that nothing was charged.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from gateway.errors import ServiceDraining

# A refund takes milliseconds. While the database is away it does not come; then the process leaves
# without it, and the sweeper of another gateway (or of the next start) refunds by the lease.
SHOW_OUT_S = 5.0
SENTENCE = "the service is stopping; nothing was charged, and the request can be sent again"


class Door:
    """The conversions of one gateway process that are under way."""

    def __init__(self) -> None:
        self.draining = False
        self.stopping = False
        self._inside: set[asyncio.Task[object]] = set()
        self._shown_out: set[asyncio.Task[object]] = set()
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def inside(self) -> int:
        """How many conversions are under way."""
        return len(self._inside)

    def check(self) -> None:
        """Raise ServiceDraining once the door is closed."""
        if self.draining:
            raise ServiceDraining(SENTENCE)

    @contextmanager
    def enter(self) -> Iterator[None]:
        """Be inside for the block.

        Raises ServiceDraining when the door is closed, and in the place of the cancellation when
        shown out.
        """
        self.check()
        task = cast("asyncio.Task[object]", asyncio.current_task())
        self._inside.add(task)
        self._empty.clear()
        try:
            yield
        except asyncio.CancelledError:
            if task in self._shown_out and task.uncancel() == 0:
                raise ServiceDraining(SENTENCE) from None
            raise
        finally:
            self._inside.discard(task)
            self._shown_out.discard(task)
            if not self._inside:
                self._empty.set()

    def close(self, *, for_good: bool = False) -> None:
        """Let nobody in from now on, or until `reopen`."""
        self.draining = True
        self.stopping = self.stopping or for_good

    def reopen(self) -> None:
        """Let people in again, unless the service stops."""
        self.draining = self.stopping

    async def wait_empty(self, timeout_s: float) -> bool:
        """Wait until everybody left, at most `timeout_s`. True when they did."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._empty.wait()
        except TimeoutError:
            return False
        return True

    async def show_out(self, timeout_s: float = SHOW_OUT_S) -> int:
        """Cancel everybody who is still inside; wait for their refunds. Says how many they were."""
        leaving = set(self._inside)
        for task in leaving:
            self._shown_out.add(task)
            task.cancel()
        await self.wait_empty(timeout_s)
        return len(leaving)
