"""What is believed without asking the database again: for seconds, and until a change is announced.

All that one process believes of keys and tokens hangs on one `Hearing`: every announcement ends all
of it at once. While nobody listens (the connection is broken, or a pooler stands between) nothing
is believed for longer than a moment.
"""

import time
from typing import Generic, TypeVar

T = TypeVar("T")

# Without announcements a revocation must still hold within a second.
_UNHEARD_S = 0.5


class Hearing:
    """Whether announcements are heard, and how many times all was forgotten."""

    def __init__(self) -> None:
        self.now = False
        self.generation = 0

    def forget(self) -> None:
        """End everything that is believed."""
        self.generation += 1

    def set(self, now: bool) -> None:
        """Note whether announcements are heard from here on."""
        self.now = now
        # What was announced in between was not heard.
        self.forget()


class Believed(Generic[T]):
    """A bounded memory from a digest to a value."""

    def __init__(self, hearing: Hearing, *, lasts_s: float, most: int) -> None:
        self._hearing = hearing
        self._lasts_s = lasts_s
        self._most = most
        self._entries: dict[bytes, tuple[float, int, T]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, digest: bytes) -> T | None:
        """Give what is believed, None where nothing is."""
        entry = self._entries.get(digest)
        if entry is None or entry[1] != self._hearing.generation or time.monotonic() >= entry[0]:
            return None
        return entry[2]

    def since(self) -> int:
        """Take a mark before asking, for `remember`."""
        return self._hearing.generation

    def remember(
        self, digest: bytes, value: T, *, since: int, lasts_s: float | None = None
    ) -> None:
        """Believe an answer, at most so long; what was announced since it was asked for ends it."""
        # A revocation that was announced meanwhile may be newer than the answer.
        if since != self._hearing.generation:
            return
        if len(self._entries) >= self._most:
            # The oldest tenth: dictionaries keep the order of insertion.
            for old in list(self._entries)[: max(1, self._most // 10)]:
                del self._entries[old]
        age_s = self._lasts_s if lasts_s is None else min(self._lasts_s, lasts_s)
        if not self._hearing.now:
            age_s = min(age_s, _UNHEARD_S)
        self._entries[digest] = (time.monotonic() + age_s, since, value)
