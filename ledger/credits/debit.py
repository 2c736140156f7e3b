"""A debit: the credits of one conversion, taken before it starts and given back if it fails.

    async with ledger.debit(account_id, credits, conversion_id=…) as debit:
        …                       # no transaction and no connection is held here

Leaving the block normally settles; leaving it by any exception, cancellation included, refunds,
waits for that to be done, and lets the exception go on. Who deletes the row of the open debit has
decided; the others are told: `states.py` is the table. A repeat (its idempotency key is paid for)
takes nothing and has nothing to settle or refund.
"""

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self, TypeVar
from uuid import UUID

from ledger.credits.operation import IdempotencyKey, Kind, Operation, Outcome, Status
from ledger.credits.step import Step
from ledger.credits.terms import PAYING, Terms
from ledger.credits.writer import Ticket, Writer
from ledger.errors import (
    AccountFrozen,
    AccountUnknown,
    CapReached,
    DebitLapsed,
    InsufficientCredits,
    KeyInFlight,
    KeyMismatch,
    LedgerError,
)

T = TypeVar("T")
# Of an account: its status and its balance.
Standing = tuple[str, int]


class Debit:
    """Enter it to take the credits. `credits`, `balance` and `repeat` are true from then on."""

    def __init__(  # noqa: PLR0917 (all that a debit is)
        self,
        writer: Writer,
        account_id: int,
        cost: int,
        conversion_id: UUID,
        key: IdempotencyKey | None,
        terms: Terms = PAYING,
    ) -> None:
        self.account_id = account_id
        self.conversion_id = conversion_id
        self.credits = cost
        self.balance = 0
        self.repeat = False
        self._writer = writer
        self._key = key
        self._terms = terms if terms.spender else None
        self._observe = writer.observe
        self._open = False

    async def __aenter__(self) -> Self:
        """Take the credits.

        Raises InsufficientCredits, CapReached, AccountUnknown, AccountFrozen, KeyInFlight,
        KeyMismatch or LedgerUnavailable; in each case, and after a cancellation, nothing is
        charged.
        """
        ticket = self._writer.submit(
            Operation(
                kind=Kind.DEBIT,
                account_id=self.account_id,
                credits=self.credits,
                conversion_id=self.conversion_id,
                key=self._key,
                terms=self._terms,
            )
        )
        try:
            self._observe(Step.DEBIT_QUEUED)
            await asyncio.wait([ticket.answer])
            self._observe(Step.DEBIT_ANSWERED)
        except (Exception, asyncio.CancelledError):
            if not self._writer.withdraw(ticket):
                await uninterrupted(self._take_back(ticket))
            raise
        outcome = ticket.answer.result()
        if outcome.status is Status.REPEAT:
            self.repeat = True
            self.credits = 0
        elif outcome.status is not Status.DONE:
            raise self._refusal(outcome)
        else:
            self._open = True
        self.balance = outcome.balance
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Settle, or refund when there was an exception. Raises DebitLapsed from the settle."""
        if exc_type is None:
            await self.settle()
        elif self._open:
            reason = "cancelled" if issubclass(exc_type, asyncio.CancelledError) else "failed"
            self._open = False
            await uninterrupted(self._refund(reason))

    async def settle(self) -> None:
        """Make the debit final. May be called inside the block; a second call does nothing.

        Raises DebitLapsed if it was refunded meanwhile: the result must then not be delivered.
        While PostgreSQL is away this waits; a cancellation is raised when the outcome is known.
        """
        if not self._open:
            return
        outcome = await uninterrupted(self._settle())
        self._open = False
        if outcome.status is not Status.DONE:
            raise DebitLapsed(
                "the conversion took longer than its debit lives, or the service was cut off;"
                " nothing was charged, please retry"
            )

    def _submit(self, kind: Kind, reason: str | None = None) -> Ticket:
        return self._writer.submit(
            Operation(
                kind=kind,
                account_id=self.account_id,
                conversion_id=self.conversion_id,
                reason=reason,
            )
        )

    async def _take_back(self, ticket: Ticket) -> None:
        """Nobody waits for this debit any more, but it is on its way: refund it if it is made."""
        self._observe(Step.TAKING_BACK)
        try:
            outcome = await ticket.answer
        except LedgerError:
            return  # refused; the writer keeps a refund where it may have been made
        if outcome.status is Status.DONE:
            await self._refund("cancelled")

    async def _settle(self) -> Outcome:
        ticket = self._submit(Kind.SETTLE)
        self._observe(Step.SETTLE_QUEUED)
        outcome = await ticket.answer
        self._observe(Step.SETTLE_ANSWERED)
        return outcome

    async def _refund(self, reason: str) -> None:
        ticket = self._submit(Kind.REFUND, reason)
        self._observe(Step.REFUND_QUEUED)
        await ticket.answer
        self._observe(Step.REFUND_ANSWERED)

    def _refusal(self, outcome: Outcome) -> LedgerError:  # noqa: PLR0911 (a table)
        match outcome.status:
            case Status.INSUFFICIENT:
                return InsufficientCredits(cost=self.credits, balance=outcome.balance)
            case Status.DAY_CAP | Status.MONTH_CAP as reached:
                span = "day" if reached is Status.DAY_CAP else "month"
                return CapReached(cost=self.credits, left=outcome.balance, span=span)
            case Status.ACCOUNT_FROZEN | Status.ACCOUNT_CLOSED:
                return AccountFrozen("the account is frozen or closed; nothing was charged")
            case Status.ACCOUNT_UNKNOWN:
                return AccountUnknown("there is no such account")
            case Status.KEY_IN_FLIGHT:
                return KeyInFlight()
            case Status.KEY_MISMATCH:
                return KeyMismatch(
                    "this idempotency key was used for a different request; use a new key"
                )
            case _:  # sent twice, and refunded in between by a sweeper
                return DebitLapsed("the service was cut off; nothing was charged, please retry")


class FreeDebit(Debit):
    """Takes nothing: what a test key converts. An idempotency key has nothing to protect here."""

    def __init__(
        self,
        writer: Writer,
        account_id: int,
        conversion_id: UUID,
        standing: Callable[[int], Awaitable[Standing]],
    ) -> None:
        """Take a way to ask for the status and the balance of an account."""
        super().__init__(writer, account_id, 0, conversion_id, None)
        self._standing = standing

    async def __aenter__(self) -> Self:
        """Look at the account. Raises AccountUnknown, AccountFrozen, LedgerUnavailable."""
        status, self.balance = await self._standing(self.account_id)
        if status != "active":
            raise AccountFrozen("the account is frozen or closed")
        return self


async def uninterrupted(work: Awaitable[T]) -> T:
    """Await `work` to its end whatever happens; a cancellation is raised after it.

    A bare `asyncio.shield` would return at the cancellation and leave a task that nobody holds.
    """
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as cancellation:
            cancelled = cancellation
    if cancelled is not None:
        if not task.cancelled():
            task.exception()  # seen: the cancellation is what the caller asked for
        raise cancelled
    return task.result()
