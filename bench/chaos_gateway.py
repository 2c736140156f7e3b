"""A gateway as far as the ledger can tell: many debits in flight, all endings, all on record.

`python -m bench.chaos_gateway SETTINGS` runs until it is killed, or ends in order at SIGTERM.
"""

import asyncio
import contextlib
import random
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from uuid import UUID

import msgspec
import uvloop

from bench.chaos_log import Event, OracleLog
from ledger.conversion_id import new_conversion_id
from ledger.credits.debit import Debit
from ledger.credits.operation import IdempotencyKey
from ledger.errors import (
    DebitLapsed,
    InsufficientCredits,
    KeyInFlight,
    KeyMismatch,
    LedgerError,
    LedgerUnavailable,
    RefundRefused,
)
from ledger.ledger import Ledger
from ledger.settings import LedgerSettings

# Of a hundred visits; what is left are conversions that succeed.
PURCHASES, GOODWILLS, FAILURES, CANCELLATIONS, KEYED = 2, 2, 8, 8, 15
# So few that requests meet requests with the same key, of this process and of others.
KEYS = 5000
# A conversion of this service takes about as long as the quick ones do.
WORK_S = 0.02
COST_MAX = 4
PURCHASE_CREDITS = 12


class GatewaySettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a gateway is told: the first account is the hot one, the last tenth is poor."""

    dsn: str
    log: str
    accounts: list[int]
    in_flight: int
    lease_s: float
    seed: int


class ConversionFailed(Exception):
    """What a converter would raise."""


ENDINGS = {
    ConversionFailed: Event.FAILED,
    InsufficientCredits: Event.INSUFFICIENT,
    KeyInFlight: Event.KEY_IN_FLIGHT,
    KeyMismatch: Event.KEY_MISMATCH,
    DebitLapsed: Event.LAPSED,
    LedgerUnavailable: Event.UNAVAILABLE,
    asyncio.CancelledError: Event.CANCELLED,
}


class Customers:
    """Make requests of every kind, and write down what they asked for and were told."""

    def __init__(self, ledger: Ledger, log: OracleLog, settings: GatewaySettings) -> None:
        self._ledger = ledger
        self._log = log
        self._accounts = settings.accounts
        self._poor = settings.accounts[-max(1, len(settings.accounts) // 10) :]
        self._chance = random.Random(settings.seed)  # noqa: S311 (repeatable, not secret)
        self.stopping = False

    async def stay(self) -> None:
        """One customer, visit after visit."""
        while not self.stopping:
            dice = self._chance.randrange(100)
            if dice < PURCHASES:
                await self._purchase()
            elif dice < PURCHASES + CANCELLATIONS:
                await self._cancelled(self._convert(fails=False))
            else:
                await self._convert(fails=dice >= 100 - FAILURES)

    async def _convert(self, *, fails: bool) -> None:
        """Debit, work, settle or refund; then perhaps a complaint."""
        account, id_ = self._account(), new_conversion_id()
        cost = self._chance.randint(1, COST_MAX)
        number = self._chance.randint(1, KEYS) if self._chance.randrange(100) < KEYED else 0
        self._log.write(Event.DEBIT, account, id_.bytes, key=number, amount=cost)
        debit = self._ledger.debit(
            account, cost, conversion_id=id_, key=self._key(number) if number else None
        )
        note = self._note(account, id_)
        try:
            await self._inside(debit, note, fails=fails)
        except tuple(ENDINGS) as ending:
            note(ENDINGS[type(ending)], getattr(ending, "balance", 0))
            if isinstance(ending, LedgerUnavailable):
                await self._pause()
            if isinstance(ending, asyncio.CancelledError):
                raise
        else:
            if not debit.repeat:
                note(Event.SETTLED)
                if self._chance.randrange(100) < GOODWILLS:
                    await self._goodwill(account, id_, self._chance.randint(1, cost))

    async def _inside(self, debit: Debit, note: Callable[..., None], *, fails: bool) -> None:
        async with debit:
            note(Event.REPEATED if debit.repeat else Event.DEBITED, debit.balance)
            await asyncio.sleep(self._chance.random() * WORK_S)
            if fails:
                raise ConversionFailed
            note(Event.DELIVERED)

    async def _cancelled(self, visit: Awaitable[None]) -> None:
        """A client that hangs up at any moment."""
        task = asyncio.ensure_future(visit)
        asyncio.get_running_loop().call_later(self._chance.random() * 2 * WORK_S, task.cancel)
        await asyncio.wait([task])
        if not task.cancelled():
            task.result()

    async def _purchase(self) -> None:
        account, id_ = self._chance.choice((self._account(), *self._poor)), new_conversion_id()
        amount = self._chance.randint(1, PURCHASE_CREDITS)
        self._log.write(Event.PURCHASE, account, id_.bytes, amount=amount)
        balance = await self._until_answered(
            lambda: self._ledger.accounts.purchase(account, amount, purchase_reference(id_))
        )
        self._note(account, id_)(Event.PURCHASED, balance)

    async def _goodwill(self, account: int, id_: UUID, amount: int) -> None:
        self._log.write(Event.GOODWILL, account, id_.bytes, amount=amount)
        with contextlib.suppress(RefundRefused):
            await self._until_answered(
                lambda: self._ledger.accounts.goodwill(
                    account, id_, amount, "it was not good", goodwill_reference(id_)
                )
            )
            self._note(account, id_)(Event.GOODWILLED)

    async def _until_answered(self, book: Callable[[], Awaitable[int]]) -> int:
        """The same again, as a payment's webhook would do it."""
        while True:
            try:
                return await book()
            except LedgerUnavailable:
                await self._pause()

    def _account(self) -> int:
        """Every second request is of the hot account."""
        if self._chance.random() < 0.5:
            return self._accounts[0]
        return self._chance.choice(self._accounts)

    def _key(self, number: int) -> IdempotencyKey:
        """Now and then with the fingerprint of another request."""
        mismatch = self._chance.randrange(20) == 0
        return IdempotencyKey(f"key {number}", bytes([mismatch]) * 32)

    def _note(self, account: int, id_: UUID) -> Callable[..., None]:
        def note(event: Event, balance: int = 0) -> None:
            self._log.write(event, account, id_.bytes, balance=balance)

        return note

    async def _pause(self) -> None:
        await asyncio.sleep(0.02 + self._chance.random() * 0.1)


def purchase_reference(id_: UUID) -> str:
    """The reference of a purchase: whoever knows the entry knows the record."""
    return f"purchase {id_}"


def goodwill_reference(id_: UUID) -> str:
    """The reference of a goodwill refund of this conversion."""
    return f"goodwill {id_}"


async def serve(settings: GatewaySettings) -> None:
    """Be a gateway until told to stop; whoever starts it while PostgreSQL is away starts again."""
    there = LedgerSettings(
        dsn=settings.dsn, pepper=b"a pepper for chaos, no secret", lease_s=settings.lease_s
    )
    async with Ledger.connect(there) as ledger:
        customers = Customers(ledger, OracleLog(Path(settings.log)), settings)
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, setattr, customers, "stopping", True)
        await asyncio.gather(*(customers.stay() for _ in range(settings.in_flight)))


def start(argument: str) -> int:
    """Run one; 75 when PostgreSQL was not there."""
    settings = msgspec.json.decode(argument, type=GatewaySettings)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(serve(settings))
        except LedgerError as error:
            print(f"gateway: {error!r}", file=sys.stderr)
            return 75
    return 0


if __name__ == "__main__":
    sys.exit(start(sys.argv[1]))
