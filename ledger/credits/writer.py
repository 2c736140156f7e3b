"""The one writer of a process: everything that moves credits goes through it, in batches.

Operations queue up while a batch is under way; then all of them form the next batch, which is one
SERIALIZABLE transaction, one round trip and one flush of PostgreSQL's log (`credits.apply`). There
is no delay to wait for company: alone, an operation travels alone.

A connection can break between a request and its answer, and then nobody knows whether the batch
was applied. The batch is sent again; `credits.post()` recognises what it has done before. When no
new connection can be had at once, PostgreSQL is away:

- debits and bookings are refused, all that wait and all that come; of a debit that may have been
  applied, its refund is kept in its place;
- settles and refunds are kept until PostgreSQL is back; who waits for a refund is let go, because
  nothing depends on it any more (if this process dies, the lease refunds as well).
"""

import asyncio
import logging
import random
from collections import deque
from datetime import timedelta
from functools import partial

import asyncpg

from ledger.availability import AWAY, RETRY_AFTER_S, Availability, unavailable
from ledger.connection import Connector
from ledger.credits.lease import Lease
from ledger.credits.operation import Kind, Operation, Outcome, Status
from ledger.credits.step import Observer, Step
from ledger.errors import LedgerError, LedgerFault, LedgerUnavailable
from ledger.settings import LedgerSettings
from ledger.transaction import retried

_APPLY = "call credits.apply($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, null, null, null)"
# The same with caps, for batches in which somebody has one.
_APPLY_CAPPED = (
    "call credits.apply_capped("
    "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, null, null, null)"
)
_KEPT = (Kind.SETTLE, Kind.REFUND)
# Soon enough to go unnoticed after a restart, seldom enough to be no load.
_RECONNECT_PAUSE_S = (0.02, 0.5)

_log = logging.getLogger(__name__)


class Ticket:
    """An operation on its way, and the future of its outcome."""

    __slots__ = ("answer", "operation", "sent", "withdrawn")

    def __init__(self, operation: Operation) -> None:
        self.operation = operation
        self.answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self.sent = False
        self.withdrawn = False

    def resolve(self, outcome: Outcome) -> None:
        """Tell the outcome, unless something was told before."""
        if not self.answer.done():
            self.answer.set_result(outcome)

    def fail(self, error: LedgerError) -> None:
        """Tell the failure, unless something was told before."""
        if not self.answer.done():
            self.answer.set_exception(error)
            self.answer.exception()  # seen: nobody may be waiting any more


class Writer:
    """Owns the connection over which credits move, and knows whether PostgreSQL is there."""

    def __init__(
        self,
        connector: Connector,
        lease: Lease,
        availability: Availability,
        settings: LedgerSettings,
        observe: Observer,
    ) -> None:
        self.observe = observe
        self._connector = connector
        self._lease = lease
        self._availability = availability
        self._batch_max = settings.batch_max
        self._queue_max = settings.queue_max
        self._lifetime = timedelta(seconds=settings.debit_lifetime_s)
        self._queue: deque[Ticket] = deque()
        self._in_hand: list[Ticket] = []
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._singly = 0
        self._ended = False
        self._connection: asyncpg.Connection | None = None

    @property
    def queued(self) -> int:
        """How many operations are not written yet."""
        return len(self._queue) + len(self._in_hand)

    def submit(self, operation: Operation) -> Ticket:
        """Queue an operation. Raises LedgerUnavailable, at once, for one that cannot be kept."""
        ticket = Ticket(operation)
        if self._ended:  # a handler that outlived the ledger; the lease refunds its debit
            raise unavailable()
        if operation.kind not in _KEPT:
            self._availability.demand()
            if len(self._queue) >= self._queue_max:
                raise LedgerUnavailable(
                    "the ledger is busy; nothing was charged", retry_after_s=RETRY_AFTER_S
                )
        elif operation.kind is Kind.REFUND and not self._availability.up:
            ticket.resolve(Outcome(Status.LATER))
        self._queue.append(ticket)
        self._idle.clear()
        self._wake.set()
        return ticket

    def withdraw(self, ticket: Ticket) -> bool:
        """Take an operation back if it was not sent yet; says whether that succeeded."""
        ticket.withdrawn = not ticket.sent
        return ticket.withdrawn

    async def run(self) -> None:
        """Write batches until cancelled; then refuse all that is left."""
        try:
            while True:
                try:
                    await self._write()
                except Exception:  # noqa: BLE001 (what must not end does not)
                    # Nobody foresaw it. Without a writer every debit would stay open for as long
                    # as the lease is kept alive, so it goes on with what it has in hand.
                    _log.exception("the writer of credits failed; it goes on")
                    await asyncio.sleep(_RECONNECT_PAUSE_S[0])
        finally:
            self._availability.up = False
            self._ended = True
            for ticket in (*self._in_hand, *self._queue):
                ticket.fail(unavailable())
            if self._connection is not None:
                self._disconnect(self._connection)

    async def _write(self) -> None:
        """Write what there is, and wait for more."""
        await self._connected()
        while self._take():
            await self._deliver()
        self._idle.set()
        self.observe(Step.IDLE)
        await self._wake.wait()
        self._wake.clear()

    async def drain(self, timeout_s: float) -> bool:
        """Wait until the queue is empty; says whether it became so in time."""
        try:
            await asyncio.wait_for(self._idle.wait(), timeout_s)
        except TimeoutError:
            return False
        return True

    def _take(self) -> bool:
        batch_max = 1 if self._singly else self._batch_max
        self._singly = max(0, self._singly - 1)
        while self._queue and len(self._in_hand) < batch_max:
            self._in_hand.append(self._queue.popleft())
        return bool(self._in_hand)

    async def _deliver(self) -> None:
        """Send the batch in hand until its outcomes are known."""
        failed = False
        while True:
            self.observe(Step.BATCH_TAKEN)
            connection = await self._connected()
            batch = self._in_hand = [t for t in self._in_hand if not t.withdrawn]
            if not batch:
                return
            for ticket in batch:
                ticket.sent = True
            try:
                await self._send(connection, batch)
            except ValueError as error:  # asyncpg's complaint about an argument
                self._isolate(batch, error)
            except AWAY as error:
                _log.info("the connection of the writer broke: %r", error)
                self._disconnect(connection)
                continue
            except asyncpg.PostgresError as error:
                self._isolate(batch, error)
            except Exception as error:  # noqa: BLE001 (its callers are told)
                # A bug of ours, after which nobody knows whether the batch was applied: the answer
                # may be had on another connection, and if not, from each operation alone.
                _log.exception("a batch failed in an unforeseen way")
                self._disconnect(connection)
                if not failed:
                    failed = True
                    continue
                self._isolate(batch, error)
            self._in_hand = []
            return

    async def _send(self, connection: asyncpg.Connection, batch: list[Ticket]) -> None:
        gateway_id = self._lease.id
        self.observe(Step.BATCH_SENDING)
        row = await retried(partial(self._apply, connection, gateway_id, batch))
        self.observe(Step.BATCH_ANSWERED)
        unleased = []
        for ticket, status, balance, seq in zip(
            batch, row["outcomes"], row["balances"], row["seqs"], strict=True
        ):
            if status == Status.GATEWAY_UNKNOWN:
                unleased.append(ticket)
            else:
                ticket.resolve(Outcome(Status(status), balance or 0, seq or 0))
        if unleased:
            self._in_hand = unleased
            self.observe(Step.LEASE_RENEWING)
            await self._lease.renew(connection, gateway_id)
            self._queue.extendleft(reversed(unleased))

    async def _apply(
        self, connection: asyncpg.Connection, gateway_id: int, batch: list[Ticket]
    ) -> asyncpg.Record:
        operations = [ticket.operation for ticket in batch]
        capped: tuple[list[object], ...] = ()
        if any(o.terms for o in operations):
            capped = (
                [o.terms.spender if o.terms else None for o in operations],
                [o.terms.day_max if o.terms else None for o in operations],
                [o.terms.month_max if o.terms else None for o in operations],
            )
        return await connection.fetchrow(
            _APPLY_CAPPED if capped else _APPLY,
            gateway_id,
            self._lifetime,
            [o.kind for o in operations],
            [o.account_id for o in operations],
            [o.credits for o in operations],
            [o.conversion_id for o in operations],
            [o.key.key if o.key else None for o in operations],
            [o.key.fingerprint if o.key else None for o in operations],
            [o.reference for o in operations],
            [o.reason for o in operations],
            *capped,
        )

    def _isolate(self, batch: list[Ticket], error: Exception) -> None:
        """One operation of the batch was refused by its form: find it by sending each alone."""
        if len(batch) > 1:
            self._queue.extendleft(reversed(batch))
            self._singly = len(batch)
            return
        _log.error("PostgreSQL refused a %s: %r", batch[0].operation.kind, error)
        fault = LedgerFault("the ledger refused this; nothing was charged")
        fault.__cause__ = error
        batch[0].fail(fault)
        if batch[0].operation.kind is Kind.DEBIT:
            self._queue.append(batch[0])
            batch[0].operation = _its_refund(batch[0].operation)

    async def _connected(self) -> asyncpg.Connection:
        """Give the connection; while there is none, PostgreSQL is away."""
        pause_s, pause_max_s = _RECONNECT_PAUSE_S
        while self._connection is None:
            self.observe(Step.CONNECTING)
            try:
                self._connection = await self._connector.connect()
            except (asyncpg.PostgresError, *AWAY) as error:
                self._away(error)
                await asyncio.sleep(pause_s * random.uniform(0.5, 1.5))  # noqa: S311 (not a secret)
                pause_s = min(pause_max_s, pause_s * 1.5)
                continue
            self._connection.add_termination_listener(self._disconnect)
            if not self._availability.up:
                _log.info("PostgreSQL is there")
            self._availability.up = True
        return self._connection

    def _disconnect(self, broken: asyncpg.Connection) -> None:
        """Forget a broken connection; also called by asyncpg at the moment it breaks."""
        if broken is self._connection:
            self._connection = None
            self._wake.set()
        broken.terminate()

    def _away(self, error: Exception) -> None:
        """Refuse what can be refused, let go who waits for a refund, keep the rest."""
        if self._availability.up:
            _log.warning("PostgreSQL is away: %r", error)
        self._availability.up = False
        self._in_hand = [ticket for ticket in self._in_hand if self._keep(ticket)]
        self._queue = deque(ticket for ticket in self._queue if self._keep(ticket))
        if not self._in_hand and not self._queue:
            self._idle.set()

    def _keep(self, ticket: Ticket) -> bool:
        """Decide about one operation while PostgreSQL is away."""
        operation = ticket.operation
        if operation.kind is Kind.DEBIT and ticket.sent:
            ticket.fail(unavailable())
            ticket.operation = _its_refund(operation)
            return True
        if operation.kind not in _KEPT:
            ticket.fail(unavailable())
            return False
        if operation.kind is Kind.REFUND:
            ticket.resolve(Outcome(Status.LATER))
        return True


def _its_refund(debit: Operation) -> Operation:
    """Undo a debit of which nobody knows whether it was made; if it was not, nothing happens."""
    return Operation(
        kind=Kind.REFUND,
        account_id=debit.account_id,
        conversion_id=debit.conversion_id,
        reason="interrupted",
    )
