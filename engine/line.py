"""The waiting line: who gets the next free slot.

A slot is the right to use one core. There are as many as cores, shared by all families, because
the machine is. Whoever finds none free waits here: bounded in number and in time, first come
first served within an account, turn and turn about between accounts, so that one account's ten
thousand requests do not delay another's first.

Theory: `_queues` keeps one FIFO an account, ordered by whose turn it is. A freed slot goes to the
first account's first waiter, and that account moves to the end. A slot is handed over, never
released and re-taken, so nobody can overtake between two awaits.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from engine.errors import EngineBusy

# What a conversion is assumed to take before the first one has been measured, in seconds.
FIRST_GUESS_S = 0.2
# Weight of the newest conversion in the moving average behind Retry-After.
SMOOTHING = 0.1
# Retry-After is advice to a person or a client library; beyond a minute it is noise.
RETRY_AFTER_MAX_S = 60.0


class Line:
    """`slots` conversions at once; at most `waiting_max` more wait, each at most `wait_max_s`."""

    def __init__(self, *, slots: int, waiting_max: int, wait_max_s: float) -> None:
        self._slots = slots
        self._free = slots
        self._waiting_max = waiting_max
        self._wait_max_s = wait_max_s
        self._queues: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        self._waiting = 0
        self._mean_s = FIRST_GUESS_S

    @property
    def waiting(self) -> int:
        """How many wait for a slot now."""
        return self._waiting

    @property
    def slots(self) -> int:
        """How many conversions may run at once."""
        return self._slots

    @property
    def busy(self) -> int:
        """How many slots are in use. Above `slots` for a while after a resize downwards."""
        return self._slots - self._free

    def resize(self, slots: int) -> None:
        """Set the number of slots; running conversions finish, waiting ones may start at once."""
        self._free += slots - self._slots
        self._slots = slots
        while self._free > 0 and self._hand_over():
            self._free -= 1

    def retry_after_s(self) -> float:
        """Seconds after which the present line will have been served, as far as one can tell."""
        estimate = (self._waiting + 1) * self._mean_s / max(self._slots, 1)
        return min(max(estimate, 1.0), RETRY_AFTER_MAX_S)

    @asynccontextmanager
    async def slot(self, account: str) -> AsyncIterator[None]:
        """Hold one slot. Raises EngineBusy at once when the line is full, or after `wait_max_s`."""
        if self._free > 0 and not self._queues:
            self._free -= 1
        else:
            await self._wait(account)
        started = asyncio.get_running_loop().time()
        try:
            yield
        finally:
            took_s = asyncio.get_running_loop().time() - started
            self._mean_s += SMOOTHING * (took_s - self._mean_s)
            self._release()

    async def _wait(self, account: str) -> None:
        if self._waiting >= self._waiting_max:
            raise EngineBusy(
                f"{self._waiting} conversions wait already, which is the limit; try again later",
                retry_after_s=self.retry_after_s(),
            )
        turn = asyncio.get_running_loop().create_future()
        self._queues.setdefault(account, deque()).append(turn)
        self._waiting += 1
        try:
            async with asyncio.timeout(self._wait_max_s):
                await turn
        except BaseException as error:
            # The hand-over may have happened in the same tick as the timeout or the hang-up.
            if turn.done() and not turn.cancelled():
                self._release()
            else:
                self._leave(account, turn)
            if isinstance(error, TimeoutError):
                raise EngineBusy(
                    f"no worker became free within {self._wait_max_s:g} seconds; try again later",
                    retry_after_s=self.retry_after_s(),
                ) from None
            raise

    def _leave(self, account: str, turn: asyncio.Future[None]) -> None:
        queue = self._queues.get(account)
        if queue is None or turn not in queue:
            return  # a hand-over passed over it after its cancellation and before this line ran
        queue.remove(turn)
        self._waiting -= 1
        if not queue:
            del self._queues[account]

    def _release(self) -> None:
        # After a resize downwards the slot is given up instead of handed on.
        if self._free < 0 or not self._hand_over():
            self._free += 1

    def _hand_over(self) -> bool:
        """Give one slot to the next waiter; False when nobody waits."""
        while self._queues:
            account, queue = self._queues.popitem(last=False)
            turn = queue.popleft()
            self._waiting -= 1
            if queue:
                self._queues[account] = queue
            if not turn.done():
                turn.set_result(None)
                return True
        return False
