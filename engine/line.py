"""The waiting line: who gets the next free slot.

A slot is the right to use one core. There are as many as cores, shared by all families, because
the machine is. Whoever finds none free waits here, bounded in number and in time, and is served
fairly twice over (`engine/turns.py`):

  * between families by the seconds that their conversions take, so that neither a burst nor slow
    work of one can starve another;
  * within a family between accounts by number and weight, so that one account's ten thousand
    requests do not delay another's first; within an account first come, first served.

Each family's line has its own bound. Where it is full, the account that waits with the most makes
room for one that waits with less: its newest request is refused, not the modest one's first.

Who is sure to stand here soon, because their file is arriving in a worker or their debit is being
made, has a seat: it counts as waiting, and nobody who has one is refused afterwards. Refusals then
come before the work that they would waste.

A slot is handed over, never released and re-taken, so nobody can overtake between two awaits.
"""

import asyncio
from collections import OrderedDict, defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from engine.errors import EngineBusy
from engine.turns import Turns

# What a conversion is assumed to take before the first one has been measured, in seconds.
FIRST_GUESS_S = 0.2
# Weight of the newest conversion in the moving average behind turns and Retry-After; the first few
# have more, so that a guess is soon forgotten.
SMOOTHING = 0.1
# Retry-After is advice to a person or a client library; beyond a minute it is noise.
RETRY_AFTER_MAX_S = 60.0
# An operator who pauses the service is at work on it: a guess, said instead of a second.
RETRY_WHEN_PAUSED_S = 10.0

Turn = asyncio.Future[None]

# Shares of accounts are sums of fractions.
_ROUNDING = 1e-9


class Line:
    """`slots` conversions at once; of each family at most `waiting_max` wait, `wait_max_s` long."""

    def __init__(self, *, slots: int, waiting_max: int, wait_max_s: float) -> None:
        self.paused = False
        self._slots = slots
        self._free = slots
        self._waiting_max = waiting_max
        self._wait_max_s = wait_max_s
        self._families: dict[str, _Family] = {}
        self._turns = Turns()

    @property
    def waiting(self) -> int:
        """How many wait for a slot now."""
        return sum(family.waiting for family in self._families.values())

    @property
    def crowded(self) -> bool:
        """Whether anybody stands in line for a slot."""
        return bool(self._turns)

    @property
    def slots(self) -> int:
        """How many conversions may run at once."""
        return self._slots

    @property
    def busy(self) -> int:
        """How many slots are in use. Above `slots` for a while after a resize downwards."""
        return self._slots - self._free

    def waiting_of(self, family: str) -> int:
        """How many of this family wait."""
        return self._families[family].waiting if family in self._families else 0

    def resize(self, slots: int) -> None:
        """Set the number of slots; running conversions finish, waiting ones may start at once."""
        self._free += slots - self._slots
        self._slots = slots
        self._start_waiting()

    def pause(self) -> None:
        """Give out no slot until `resume`; who waits keeps waiting, within the bounds."""
        self.paused = True

    def resume(self) -> None:
        """Give slots out again."""
        self.paused = False
        self._start_waiting()

    def retry_after_s(self, family: str = "") -> float:
        """Seconds after which this family's line will have been served, as far as one can tell.

        Families that wait share the slots' seconds evenly, but no wait is longer than all the work.
        """
        ahead = {name: one.waiting * one.mean_s for name, one in self._families.items()}
        mine = ahead.pop(family, 0.0) + self._family(family).mean_s
        estimate = mine + sum(min(mine, theirs) for theirs in ahead.values())
        least = RETRY_WHEN_PAUSED_S if self.paused else 1.0
        return min(max(estimate / max(self._slots, 1), least), RETRY_AFTER_MAX_S)

    def check(self, account: str, *, family: str = "", weight: float = 1.0) -> None:
        """Raise EngineBusy where `slot` would at once, without a seat."""
        line = self._family(family)
        must_wait = self._free <= 0 or self.paused or bool(self._turns)
        if must_wait and line.waiting >= self._waiting_max and not line.is_modest(account, weight):
            raise self._full(family)

    @contextmanager
    def seat(self, account: str, *, family: str = "", weight: float = 1.0) -> Iterator["Seat"]:
        """Keep a place for one who will ask for a slot, until then or the block's end."""
        seat = Seat(self._family(family), account, weight)
        try:
            yield seat
        finally:
            seat.leave()

    @asynccontextmanager
    async def expecting(
        self, account: str, *, family: str = "", weight: float = 1.0
    ) -> AsyncIterator[None]:
        """Count one who waits for something else first. Raises EngineBusy after `wait_max_s`."""
        try:
            with self.seat(account, family=family, weight=weight):
                async with asyncio.timeout(self._wait_max_s):
                    yield
        except TimeoutError as error:
            raise EngineBusy(
                _WHY[TimeoutError], retry_after_s=self.retry_after_s(family)
            ) from error

    @asynccontextmanager
    async def slot(
        self,
        account: str,
        *,
        family: str = "",
        weight: float = 1.0,
        seat: "Seat | None" = None,
    ) -> AsyncIterator[None]:
        """Hold one slot. Raises EngineBusy at once when the line is full, or after `wait_max_s`.

        `weight`: how many turns the account has for one of an account with weight 1. Who has a
        `seat` gives it up here, and finds the line not full.
        """
        if seat is not None:
            seat.leave()
        if self._free > 0 and not self.paused and not self._turns:
            self._free -= 1
        else:
            await self._wait(family, account, weight, seated=seat is not None)
        started = asyncio.get_running_loop().time()
        try:
            yield
        finally:
            self._family(family).note(asyncio.get_running_loop().time() - started)
            self._release()

    async def _wait(self, name: str, account: str, weight: float, *, seated: bool) -> None:
        family = self._family(name)
        full = family.queued >= self._waiting_max and not family.make_room(account, weight)
        if full and not seated:
            raise self._full(name)
        turn: Turn = asyncio.get_running_loop().create_future()
        family.enter(account, weight, turn)
        self._turns.join(name)
        try:
            async with asyncio.timeout(self._wait_max_s):
                await turn
        except BaseException as error:
            # The hand-over may have happened in the same tick as the timeout or the hang-up.
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._release()
            else:
                family.leave(account, turn)
                self._settle(name)
            if isinstance(error, _Displaced | TimeoutError):
                raise EngineBusy(
                    _WHY[type(error)], retry_after_s=self.retry_after_s(name)
                ) from None
            raise

    def _full(self, name: str) -> EngineBusy:
        waiting = self._family(name).waiting
        return EngineBusy(
            f"{waiting} conversions wait already, which is the limit; try again later",
            retry_after_s=self.retry_after_s(name),
        )

    def _family(self, name: str) -> "_Family":
        family = self._families.get(name)
        if family is None:
            family = self._families[name] = _Family()
        return family

    def _start_waiting(self) -> None:
        while self._free > 0 and self._hand_over():
            self._free -= 1

    def _release(self) -> None:
        # After a resize downwards the slot is given up instead of handed on.
        if self._free < 0 or not self._hand_over():
            self._free += 1

    def _hand_over(self) -> bool:
        """Give one slot to the next waiter; False when nobody waits or nothing may start."""
        while self._turns and not self.paused:
            name = self._turns.next()
            family = self._families[name]
            turn = family.next()
            self._turns.served(name, family.mean_s)
            self._settle(name)
            if not turn.done():
                turn.set_result(None)
                return True
        return False

    def _settle(self, name: str) -> None:
        if not self._families[name].queued:
            self._turns.leave(name)


class Seat:
    """A place in line that is kept for somebody."""

    def __init__(self, family: "_Family", account: str, weight: float) -> None:
        self._family = family
        self._account, self._share = account, 1 / weight
        self._kept = True
        family.expect(account, 1, self._share)

    def leave(self) -> None:
        """Give it up, for the line itself or for good; once is enough."""
        if self._kept:
            self._kept = False
            self._family.expect(self._account, -1, -self._share)


class _Displaced(Exception):
    """A modest account took this place in a full line."""


_WHY: dict[type[BaseException], str] = {
    _Displaced: "too many of this account's conversions wait already; try again later",
    TimeoutError: "no worker became free in the time that a conversion may wait; try again later",
}


class _Family:
    """Those of one family who wait: a queue an account."""

    def __init__(self) -> None:
        self.mean_s = FIRST_GUESS_S
        self.queued = 0
        # Who has a seat: they will stand here when their file has arrived, or their debit is made;
        # of each account the seats by its weight.
        self._expected = 0
        self._seats: defaultdict[str, float] = defaultdict(float)
        self._seen = 0
        # Ordered, and any turn is found and taken out at once: ten thousand may give up together.
        self._queues: dict[str, OrderedDict[Turn, None]] = {}
        self._weights: dict[str, float] = {}
        self._turns = Turns()

    def note(self, took_s: float) -> None:
        """Learn from one conversion that is over."""
        self._seen += 1
        self.mean_s += max(SMOOTHING, 1 / self._seen) * (took_s - self.mean_s)

    @property
    def waiting(self) -> int:
        """How many wait: in line, or for what comes before it."""
        return self.queued + self._expected

    def expect(self, account: str, count: int, share: float) -> None:
        """Count one who has a seat, or has left it."""
        self._expected += count
        self._seats[account] += share
        if self._seats[account] < _ROUNDING:
            del self._seats[account]

    def enter(self, account: str, weight: float, turn: Turn) -> None:
        """Stand in line behind the account's others."""
        self._queues.setdefault(account, OrderedDict())[turn] = None
        self._weights[account] = weight
        self._turns.join(account)
        self.queued += 1

    def leave(self, account: str, turn: Turn) -> None:
        """Give up; does nothing for one that was passed over already."""
        if turn in self._queues.get(account, ()):
            del self._queues[account][turn]
            self._left(account)

    def next(self) -> Turn:
        """Take out whoever is next. There must be one."""
        account = self._turns.next()
        turn, _ = self._queues[account].popitem(last=False)
        self._turns.served(account, 1 / self._weights[account])
        self._left(account)
        return turn

    def is_modest(self, account: str, weight: float) -> bool:
        """Whether somebody waits with more than this account would with one more, seats too."""
        waiting = {one: len(queue) / self._weights[one] for one, queue in self._queues.items()}
        for one, share in self._seats.items():
            waiting[one] = waiting.get(one, 0.0) + share
        mine = waiting.pop(account, 0.0) + 1 / weight
        return max(waiting.values(), default=0.0) > mine + _ROUNDING

    def greedy(self, account: str, weight: float) -> str | None:
        """Who waits with most, if that is more than `account` would with one more."""
        if not self._queues:
            return None
        greedy = max(self._queues, key=lambda one: len(self._queues[one]) / self._weights[one])
        theirs = len(self._queues[greedy]) / self._weights[greedy]
        mine = (len(self._queues.get(account, ())) + 1) / weight
        return greedy if mine < theirs else None

    def make_room(self, account: str, weight: float) -> bool:
        """Refuse the newest of the account that waits with most, if that is more than `account`."""
        greedy = self.greedy(account, weight)
        if greedy is None:
            return False
        turn, _ = self._queues[greedy].popitem()
        self._left(greedy)
        if not turn.done():
            turn.set_exception(_Displaced())
        return True

    def _left(self, account: str) -> None:
        self.queued -= 1
        if not self._queues[account]:
            del self._queues[account], self._weights[account]
            self._turns.leave(account)
