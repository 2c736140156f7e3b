"""Delivers what is in the outbox, a few at a time, and notes how it went; the ledger remembers.

At least once: a process that dies between handing a mail over and noting it leaves a lease that
lapses, and another one hands it over again under the same Message-ID.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import jinja2
import structlog

from gateway.mail.backends import Backend, Failure
from gateway.mail.composing import Composer, UnusableAddress
from ledger.errors import LedgerError
from ledger.ledger import Ledger
from ledger.mail.outbox import Letter

log = structlog.get_logger()

# Told of each attempt: the mail's kind, and what became of it.
Count = Callable[[str, str], None]

SENT, AGAIN, DEAD = "sent", "again", "dead"
OUTCOMES = (SENT, AGAIN, DEAD)
MINUTE = 60.0
HOUR = 60 * MINUTE
# Before the 2nd attempt, the 3rd, ...; the first one is at once. Somebody waits for the first mails
# that a short failure holds up; four days and a half in all (RFC 5321, 4.5.4.1: four to five days).
PAUSES_S = (
    *(MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 4 * HOUR),
    *(12 * HOUR, 24 * HOUR, 24 * HOUR, 24 * HOUR, 24 * HOUR),
)
# So that many that failed together do not come back together.
JITTER = 0.1
# Nothing announces that a mail was committed; somebody sits in front of an empty mailbox.
LOOK_S = 1.0
# Without an answer of PostgreSQL an outcome is noted later, well within the lease.
NOTE_AGAIN_S = 1.0
NOTES_MAX = 60
# What is being handed over when the service stops is waited for this long.
STOP_S = 10.0


def pause_s(attempts: int, jitter: float | None = None) -> float | None:
    """How long after the attempt of this number the next one is; None: that was the last.

    `jitter` is from -1 to 1; random without it.
    """
    if attempts > len(PAUSES_S):
        return None
    spread = random.uniform(-1, 1) if jitter is None else jitter  # noqa: S311 (not a secret)
    return PAUSES_S[attempts - 1] * (1 + JITTER * spread)


class Postman:
    """Delivers mails of everybody, in one process."""

    def __init__(
        self,
        ledger: Ledger,
        composer: Composer,
        backend: Backend | None,
        count: Count,
        *,
        at_once: int,
    ) -> None:
        """Without a backend, nothing is delivered here."""
        self.backend = backend
        self._ledger = ledger
        self._composer = composer
        self._count = count
        self._at_once = at_once
        self._under_way: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def delivering(self) -> AsyncIterator[None]:
        """Deliver for the block; then finish what is being handed over."""
        if self.backend is None:
            yield
            return
        loop = asyncio.create_task(self._run(), name="postman")
        try:
            yield
        finally:
            loop.cancel()
            await asyncio.gather(loop, return_exceptions=True)
            if self._under_way:
                await asyncio.wait(self._under_way, timeout=STOP_S)
            for work in self._under_way:
                work.cancel()
            await asyncio.gather(*self._under_way, return_exceptions=True)

    async def round(self) -> int:
        """Hand over all that is due, and wait for it; gives the number of attempts."""
        tried = 0
        if self.backend is None:
            return tried
        await self._ledger.low_balances.tell()
        while found := await self._ledger.mail.claim(self._at_once):
            tried += len(found)
            for letter in found:
                task = asyncio.create_task(self._deliver(letter, self.backend), name="mail")
                self._under_way.add(task)
                task.add_done_callback(self._ended)
            # A stop cancels the waiting, and not what is waited for.
            await asyncio.wait(set(self._under_way))
        return tried

    async def _run(self) -> None:
        while True:
            try:
                await self.round()
            except LedgerError:
                pass  # there will be a next round
            except Exception as error:
                # Without rounds no mail would ever be delivered.
                log.error("unforeseen", exc_info=error)
            await asyncio.sleep(LOOK_S)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._under_way.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("unforeseen", exc_info=error)

    async def _deliver(self, letter: Letter, backend: Backend) -> None:
        failure = await self._tried(letter, backend)
        pause = None
        if failure is not None and not failure.final:
            pause = pause_s(letter.attempts)
        outcome = SENT if failure is None else DEAD if pause is None else AGAIN
        self._count(letter.kind, outcome)
        log.info(
            "mail",
            kind=letter.kind,
            reason=outcome if failure is None else failure.reason,
            status=failure and failure.status,
            attempt=letter.attempts,
        )
        for _ in range(NOTES_MAX):
            try:
                await self._note(letter, failure, pause)
            except LedgerError:
                await asyncio.sleep(NOTE_AGAIN_S)
            else:
                return

    async def _tried(self, letter: Letter, backend: Backend) -> Failure | None:
        if letter.expired:
            return Failure(reason="expired", final=True)
        if letter.attempts > len(PAUSES_S) + 1:
            # It took its sender along every time.
            return Failure(reason="lost", final=True)
        try:
            message = self._composer.compose(letter)
        except UnusableAddress:
            return Failure(reason="address", final=True)
        except (jinja2.TemplateError, LookupError, ValueError) as error:
            log.error("unforeseen", exc_info=error)
            return Failure(reason="template", final=True)
        return await backend.send(message)

    async def _note(self, letter: Letter, failure: Failure | None, pause: float | None) -> None:
        mail = self._ledger.mail
        if failure is None:
            await mail.sent(letter)
        elif pause is None:
            await mail.give_up(letter, failure.reason, failure.status)
        else:
            await mail.put_off(letter, pause, failure.reason, failure.status)
