"""Sends what is due, a few at a time, and notes how it went; the ledger remembers the rest.

At least once: a process that dies while it sends leaves a lease that lapses, and another one sends
the event again under the same `webhook-id`. A target that hangs holds one of its own lane's places
(`ledger/tasks/deliveries.py`), so others go on.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime

import structlog

from gateway.outbound.client import Posted
from gateway.tasks import retrying, signing
from gateway.tasks.retrying import Verdict
from ledger.errors import LedgerError
from ledger.ledger import Ledger
from ledger.tasks.deliveries import Clock, Due, Target

log = structlog.get_logger()

# How `gateway.outbound` calls a webhook: address, body, headers.
Post = Callable[[str, bytes, Mapping[str, str]], Awaitable[Posted]]
# Told of each attempt's outcome.
Count = Callable[[str], None]

DROPPED = "dropped"
OUTCOMES = (*Verdict, DROPPED)
# Sockets; each waits at most 15 s for its target.
AT_ONCE_MAX = 64
# Nothing announces that a pause is over.
LOOK_S = 2.0
# Without an answer of PostgreSQL an outcome is noted later, within the delivery's lease.
NOTE_AGAIN_S = 1.0
NOTES_MAX = 30


class Deliverer:
    """Delivers events of all accounts, in one process."""

    def __init__(
        self, ledger: Ledger, post: Post, count: Count, *, now: Clock = lambda: None
    ) -> None:
        """`now` is the database's clock, unless a test has another one."""
        self._ledger = ledger
        self._call = post
        self._count = count
        self._now = now
        self._wake = asyncio.Event()
        self._under_way: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def delivering(self) -> AsyncIterator[None]:
        """Deliver for the block."""
        self._ledger.tasks.heard.add(self._hear)
        loop = asyncio.create_task(self._run(), name="deliverer")
        try:
            yield
        finally:
            self._ledger.tasks.heard.discard(self._hear)
            works = [loop, *self._under_way]
            for work in works:
                work.cancel()
            await asyncio.gather(*works, return_exceptions=True)

    async def round(self) -> int:
        """Begin all that is due, as far as there is room; gives their number."""
        begun = 0
        while room := AT_ONCE_MAX - len(self._under_way):
            found = await self._ledger.deliveries.claim(room, self._now())
            if not found:
                break
            for due in found:
                task = asyncio.create_task(self._deliver(due), name="delivery")
                self._under_way.add(task)
                task.add_done_callback(self._ended)
            begun += len(found)
        return begun

    async def settled(self) -> None:
        """Wait for all that is under way."""
        while self._under_way:
            await asyncio.wait(self._under_way)

    async def _run(self) -> None:
        while True:
            try:
                await self.round()
            except LedgerError:
                pass  # there will be a next round
            except Exception as error:
                # Without rounds nothing would ever be delivered.
                log.error("unforeseen", exc_info=error)
            await self._pause()

    def _hear(self, _said: str) -> None:
        self._wake.set()

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._under_way.discard(task)
        # Its lane has room again.
        self._wake.set()
        if not task.cancelled() and (error := task.exception()):
            log.error("unforeseen", exc_info=error)

    async def _pause(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_S):
                await self._wake.wait()
        self._wake.clear()

    async def _deliver(self, due: Due) -> None:
        target = await self._ledger.deliveries.target(due, self._now())
        if target is None:
            await self._ledger.deliveries.dropped(due, self._now())
            self._count(DROPPED)
            return
        posted = await self._posted(due, target)
        outcome = retrying.verdict(posted.status)
        self._count(outcome)
        log.info(
            "webhook",
            account_id=due.account_id,
            reason=outcome,
            status=posted.status,
            attempt=due.attempts,
        )
        for _ in range(NOTES_MAX):
            try:
                await self._note(due, posted, outcome)
            except LedgerError:
                await asyncio.sleep(NOTE_AGAIN_S)
            else:
                return

    async def _posted(self, due: Due, target: Target) -> Posted:
        body = (target.body if target.body is not None else due.body).encode()
        headers = {
            "content-type": "application/json",
            **signing.headers(due.event_id, self._clock(), body, target.secrets),
        }
        return await self._call(target.url, body, headers)

    async def _note(self, due: Due, posted: Posted, outcome: Verdict) -> None:
        deliveries, now = self._ledger.deliveries, self._now()
        match outcome:
            case Verdict.DELIVERED:
                await deliveries.delivered(due, posted.status or 0, now)
            case Verdict.GONE:
                await deliveries.gone(due, posted.status or 0, now)
            case Verdict.FAILED:
                await deliveries.failed(
                    due,
                    status=posted.status,
                    error=posted.error or "status",
                    pause_s=retrying.pause_s(due.attempts, posted.retry_after_s),
                    now=now,
                )

    def _clock(self) -> datetime:
        return self._now() or datetime.now(UTC)
