"""Waiting for a task to change: woken by PostgreSQL's announcements, by this process, or by time.

Behind a pooler nothing is announced, and a broken connection hears nothing; so whoever waits also
looks now and then.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from ledger.ledger import Ledger

# Between two looks where announcements arrive (one may be lost), and where they do not.
HEARD_S = 5.0
UNHEARD_S = 0.5


class Watch:
    """Who waits for which task in this process."""

    def __init__(self, ledger: Ledger) -> None:
        self._tasks = ledger.tasks
        self._waiting: defaultdict[int, set[asyncio.Event]] = defaultdict(set)

    def open(self) -> None:
        """Begin to hear."""
        self._tasks.heard.add(self._hear)

    def close(self) -> None:
        """Hear nothing more."""
        self._tasks.heard.discard(self._hear)

    @contextmanager
    def on(self, seq: int) -> Iterator[asyncio.Event]:
        """An event that is set whenever the task changes; whoever waits clears it."""
        event = asyncio.Event()
        self._waiting[seq].add(event)
        try:
            yield event
        finally:
            self._waiting[seq].discard(event)
            if not self._waiting[seq]:
                del self._waiting[seq]

    async def pause(self, event: asyncio.Event, most_s: float) -> None:
        """Wait for the event, or until it is time to look."""
        look_s = HEARD_S if self._tasks.hearing else UNHEARD_S
        try:
            async with asyncio.timeout(min(most_s, look_s)):
                await event.wait()
        except TimeoutError:
            pass
        event.clear()

    def changed(self, seq: int) -> None:
        """Wake whoever waits for it."""
        for event in self._waiting.get(seq, ()):
            event.set()

    def _hear(self, said: str) -> None:
        word, _, seq = said.partition(" ")
        if word == "changed" and seq.isdigit():
            self.changed(int(seq))
