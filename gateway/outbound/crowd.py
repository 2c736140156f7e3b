"""How many fetches may be under way, in all and for one account: beyond that, a refusal at once."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from gateway.errors import FetchCrowded


class Crowd:
    """Counts those who are inside."""

    def __init__(self, most: int, account_most: int) -> None:
        self._most = most
        self._account_most = account_most
        self._inside = 0
        self._of: Counter[int] = Counter()

    @contextmanager
    def enter(self, account_id: int | None) -> Iterator[None]:
        """Be counted until the block ends. Raises FetchCrowded."""
        full = self._inside >= self._most
        if full or (account_id is not None and self._of[account_id] >= self._account_most):
            raise FetchCrowded(
                "as many files are being fetched as may be at once; try again in a few seconds",
                reason="crowded",
            )
        self._inside += 1
        if account_id is not None:
            self._of[account_id] += 1
        try:
            yield
        finally:
            self._inside -= 1
            if account_id is not None:
                self._of[account_id] -= 1
                if not self._of[account_id]:
                    del self._of[account_id]
