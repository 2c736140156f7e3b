"""`GET /v1/tasks/{id}/events`: a task's document whenever it changes, as server-sent events.

The last event is that of its end. A comment now and then keeps proxies patient.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from gateway.errors import StreamsExceeded
from gateway.tasks.settings import TasksConfig

MEDIA_TYPE = "text/event-stream"
COMMENT = b": still here\n\n"


class Streams:
    """Who has a stream open, within limits."""

    def __init__(self, config: TasksConfig) -> None:
        self._config = config
        self._open: Counter[int] = Counter()

    @contextmanager
    def place(self, account_id: int) -> Iterator[None]:
        """Have a stream for the block. Raises StreamsExceeded."""
        if (
            self._open.total() >= self._config.streams_max
            or self._open[account_id] >= self._config.account_streams_max
        ):
            raise StreamsExceeded(
                "too many streams of events are open; close some, or ask with Prefer: wait=30"
            )
        self._open[account_id] += 1
        try:
            yield
        finally:
            self._open[account_id] -= 1
            if not self._open[account_id]:
                del self._open[account_id]


def event(number: int, page: msgspec.Struct) -> bytes:
    """One event: the whole document."""
    return b"event: task\nid: %d\ndata: %s\n\n" % (number, msgspec.json.encode(page))
