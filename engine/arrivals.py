"""Large files on their way into workers: how many at once, of everybody and of one account."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from engine.errors import EngineBusy


class Arrivals:
    """Counts the workers that receive. One account can hold a part of the places only."""

    def __init__(self, places: int, account_places: int) -> None:
        self._places = places
        self._account_places = min(account_places, places)
        self._by_account: Counter[str] = Counter()

    def __len__(self) -> int:
        return self._by_account.total()

    def has_place(self, account: str) -> bool:
        """Whether one more may arrive."""
        return len(self) < self._places and self._by_account[account] < self._account_places

    def check(self, account: str, retry_after_s: float) -> None:
        """Raise EngineBusy where there is no place."""
        if not self.has_place(account):
            raise EngineBusy(
                f"{len(self)} large files arrive already, {self._by_account[account]} of them of "
                "this account, and that is the limit; try again when one is through",
                retry_after_s=retry_after_s,
            )

    @contextmanager
    def place(self, account: str) -> Iterator[Callable[[], None]]:
        """Hold a place until the block ends, or what it is given is called."""
        held = True

        def leave() -> None:
            nonlocal held
            if held:
                held = False
                self._by_account[account] -= 1
                if not self._by_account[account]:
                    del self._by_account[account]

        self._by_account[account] += 1
        try:
            yield leave
        finally:
            leave()
