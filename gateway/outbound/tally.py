"""Says once how a request of the service ended."""

from collections.abc import Callable
from types import TracebackType
from typing import Self

from gateway.errors import FetchError

DONE, ABANDONED = "done", "abandoned"


class Tally:
    """Tells by a word, by the error that ends the block, or by neither: then it was abandoned."""

    def __init__(self, note: Callable[[str], None]) -> None:
        self._note = note
        self._over = False

    def ended(self, outcome: str) -> None:
        """The first word counts."""
        if not self._over:
            self._over = True
            self._note(outcome)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.ended(error.reason if isinstance(error, FetchError) else ABANDONED)
