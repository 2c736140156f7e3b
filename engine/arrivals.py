"""Large files on their way into workers: how many at once, of everybody and of one account.

A place is held from a file's first byte until its conversion has a slot. Where all of an account's
places are taken, and at least one of them by a file that is all here, the next is let wait with its
client: a slot will come, and with it a place. Where all are taken by files that still arrive,
nobody can tell when that will be, and the caller takes another way.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from engine.errors import EngineBusy


class Place:
    """One large file's, until it is left."""

    def __init__(self, arrivals: "Arrivals", account: str) -> None:
        self._arrivals = arrivals
        self._account = account
        self._held = True
        self._complete = False

    def complete(self) -> None:
        """All of the file is here; it waits for its slot."""
        if self._held and not self._complete:
            self._complete = True
            self._arrivals.complete[self._account] += 1

    def leave(self) -> None:
        """Make room for the next; once is enough."""
        if self._held:
            self._held = False
            self._arrivals.left(self._account, complete=self._complete)


class Arrivals:
    """Counts the workers that receive. One account can hold a part of the places only."""

    def __init__(self, places: int, account_places: int) -> None:
        self._places = places
        self._account_places = min(account_places, places)
        self._by_account: Counter[str] = Counter()
        # Of these, who waits for a slot; and who waits for a place.
        self.complete: Counter[str] = Counter()
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    def __len__(self) -> int:
        return self._by_account.total()

    def has_place(self, account: str) -> bool:
        """Whether one more may arrive."""
        return len(self) < self._places and self._by_account[account] < self._account_places

    async def place_soon(self, account: str) -> bool:
        """Whether one more may arrive, now or after a wait that is sure to end."""
        turn = 0
        while not self.has_place(account) or (account in self._waiting and not turn):
            if not self.complete[account]:
                return False
            await self._wait(account, first=bool(turn))
            turn += 1
        return True

    def check(self, account: str, retry_after_s: Callable[[], float]) -> None:
        """Raise EngineBusy where there is no place."""
        if not self.has_place(account):
            raise EngineBusy(
                f"{len(self)} large files arrive already, {self._by_account[account]} of them of "
                "this account, and that is the limit; try again when one is through",
                retry_after_s=retry_after_s(),
            )

    @contextmanager
    def place(self, account: str) -> Iterator[Place]:
        """Hold a place until the block ends, or it is left."""
        self._by_account[account] += 1
        place = Place(self, account)
        try:
            yield place
        finally:
            place.leave()

    def left(self, account: str, *, complete: bool) -> None:
        """A place is free again: whoever of its account waits longest looks whether it is theirs.

        All look where nothing is left to wait for.
        """
        counts = (self._by_account, self.complete) if complete else (self._by_account,)
        for count in counts:
            count[account] -= 1
            if not count[account]:
                del count[account]
        for turn in list(self._waiting.get(account, ())):
            if not turn.done():
                turn.set_result(None)
                if self.complete[account]:
                    break

    async def _wait(self, account: str, *, first: bool) -> None:
        turns = self._waiting.setdefault(account, deque())
        turn = asyncio.get_running_loop().create_future()
        (turns.appendleft if first else turns.append)(turn)
        try:
            await turn
        finally:
            turns.remove(turn)
            if not turns:
                del self._waiting[account]
