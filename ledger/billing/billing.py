"""Purchases and their refunds: every genuine event of a provider once, with what it moves.

    applied = await ledger.billing.apply(payment)

One call is one SERIALIZABLE transaction (`billing.apply` in 0013_billing.sql). It is idempotent in
two ways that do not depend on each other: a body that came before is a repeat, and whatever bodies
come, an order is booked once (`ls:order:<id>`) and refunds only grow. So a provider that sends
again after a crash, at any point of it, loses nothing and doubles nothing.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial

import asyncpg
import msgspec

from ledger.billing.payment import (
    Applied,
    Customer,
    Drift,
    Event,
    EventState,
    Order,
    Payment,
    Purchase,
    Reconciliation,
)
from ledger.billing.references import References
from ledger.database import Database
from ledger.errors import OrderUnknown
from ledger.mail.outbox import Outbox
from ledger.people.person import Clock
from ledger.transaction import retried

PAGE_MAX = 1000
# Of one account, told one after the other; a round is short, and there will be a next.
_ROUND_MAX = 50
# Longer than any provider sends again, by far; an order is booked once whatever is forgotten.
EVENTS_KEPT = timedelta(days=90)
DRIFTS_MAX = 500

_APPLY = """
call billing.apply($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
                   $19, $20, $21, null, null)
"""
_PURCHASES = """
select provider, order_id, account_id, reference, pack, credits, currency, total, refunded,
       withdrawn, debt, waived, test, ordered_at, booked_at
  from billing.purchase
"""
_OF_ACCOUNT = f"""{_PURCHASES}
 where account_id = $1 and ($2::timestamptz is null or (booked_at, reference) < ($2, $3))
 order by booked_at desc, reference desc limit $4
"""
_ONE = f"{_PURCHASES} where reference = $1 and ($2::bigint is null or account_id = $2)"
_ORDER = f"{_PURCHASES} where provider = $1 and order_id = $2"
_SINCE = f"""{_PURCHASES}
 where provider = $1 and (ordered_at >= $2 or order_id = any ($3)) order by ordered_at, order_id
"""
_DEBTS = f"{_PURCHASES} where debt > 0 order by booked_at limit $1"
_DEBT = "select coalesce(sum(debt), 0)::bigint from billing.purchase where account_id = $1"
_CUSTOMERS = """
select provider, brand, last_four, country, updated_at from billing.customer
 where account_id = $1 order by updated_at desc, provider
"""
_COUNTRY = """
update billing.customer set country = $3, updated_at = $4
 where provider = $1 and reference = $2 and country is distinct from $3
"""
_EVENTS = """
select id, provider, kind, state, reason, order_id, account_id, pack, credits, currency, total,
       refunded, received_at
  from billing.event
 where ended_at is null and ($1::bigint is null or id = $1) order by received_at, id limit $2
"""
_CLOSE = """
update billing.event set state = 'ignored', ended_at = $2
 where id = $1 and ended_at is null returning id
"""
_TAKE_TURN = "lock table credits.turn in share row exclusive mode"
_WAIVE = "select billing.waive($1, $2)"
_UNTOLD = """
select p.provider, p.order_id, p.account_id, p.reference, p.credits, p.currency, p.total,
       p.booked_at
  from billing.purchase p where p.told_at is null
 order by p.booked_at limit $1 for update skip locked
"""
_TOLD = "update billing.purchase set told_at = $3 where provider = $1 and order_id = $2"
# Whoever pays, or asked somebody to.
_MEMBERS = """
select p.id, p.address, a.name
  from people.member m
  join people.person p on p.id = m.person_id
  join people.account a on a.account_id = m.account_id
 where m.account_id = $1 and m.role in ('owner', 'admin', 'billing') and p.suspended_at is null
"""
_VIOLATIONS = "select what, account_id, reference from billing.violations"
_OPEN = """
select coalesce(order_id, 'event ' || id) as order_id, state as what from billing.event
 where provider = $1 and ended_at is null and received_at >= $2
 order by received_at, id limit $3
"""
_NOTE = """
insert into billing.reconciliation (provider, since, ran_at, orders, drifts)
values ($1, $2, $3, $4, $5)
"""
_LAST = """
select provider, since, ran_at, orders, drifts from billing.reconciliation
 where provider = $1 order by ran_at desc limit 1
"""
_FORGET = """
with gone as (
    delete from billing.event where id in (
        select id from billing.event where ended_at <= $1 limit $2 for update skip locked)
    returning id)
select count(*) from gone
"""
_FORGET_LISTS = "delete from billing.reconciliation where ran_at <= $1"
# One gateway looks; the others see that somebody does.
_TRY_TURN = "select pg_try_advisory_xact_lock(hashtextextended('billing.reconciliation', 0))"


class Billing:
    """All purchases. Raises LedgerUnavailable everywhere."""

    def __init__(
        self, database: Database, outbox: Outbox, references: References, clock: Clock
    ) -> None:
        self.references = references
        self.clock = clock
        self._database = database
        self._outbox = outbox

    async def apply(self, payment: Payment) -> Applied:
        """Write an event down together with the credits that it moves, once."""
        order = payment.order
        arguments = (
            *(payment.provider, payment.digest, payment.kind, payment.action, payment.state),
            *(payment.reason, order and order.id, payment.reference, payment.account_id),
            *(payment.pack, payment.credits, *_amounts(order), *_buyer(order), self.clock()),
        )
        async with self._database.session() as connection:
            row = await retried(partial(connection.fetchrow, _APPLY, *arguments))
        return Applied(EventState(row["result"]), row["why"])

    async def purchases(
        self, account_id: int, *, before: Purchase | None = None, limit: int = 50
    ) -> list[Purchase]:
        """Give a page of an account's purchases, the newest first."""
        rows = await self._database.rows(
            _OF_ACCOUNT,
            account_id,
            before and before.booked_at,
            before and before.reference,
            max(1, min(limit, PAGE_MAX)),
        )
        return [Purchase(**row) for row in rows]

    async def purchase(self, reference: str, account_id: int | None = None) -> Purchase:
        """Give one purchase; with an account, only one of that one's. Raises OrderUnknown."""
        row = await self._database.row(_ONE, reference, account_id)
        if row is None:
            raise _unknown()
        return Purchase(**row)

    async def find(self, provider: str, order_id: str) -> Purchase | None:
        """Give the purchase of an order, None where it gave no credits."""
        row = await self._database.row(_ORDER, provider, order_id)
        return None if row is None else Purchase(**row)

    async def customers(self, account_id: int) -> list[Customer]:
        """Give how the account pays, at each provider; the latest first."""
        return [Customer(**row) for row in await self._database.rows(_CUSTOMERS, account_id)]

    async def note_country(self, provider: str, reference: str, country: str) -> None:
        """Note where a buyer is, as the provider says."""
        await self._database.row(_COUNTRY, provider, reference, country, self.clock())

    async def debt(self, account_id: int) -> int:
        """Add up the credits that were refunded after they were spent."""
        return int(await self._database.value(_DEBT, account_id))

    async def debts(self, limit: int = PAGE_MAX) -> list[Purchase]:
        """Give the purchases with a debt, the oldest first."""
        return [Purchase(**row) for row in await self._database.rows(_DEBTS, min(limit, PAGE_MAX))]

    async def waive(self, provider: str, order_id: str) -> int:
        """Let a debt go; gives its credits. Raises OrderUnknown."""

        async def waive(connection: asyncpg.Connection) -> int | None:
            await connection.execute(_TAKE_TURN)
            credits: int | None = await connection.fetchval(_WAIVE, provider, order_id)
            return credits

        waived = await self._database.serializable(waive)
        if waived is None:
            raise _unknown()
        return waived

    async def open_events(self, limit: int = PAGE_MAX) -> list[Event]:
        """Give the events that wait for their purchase or for a person, the oldest first."""
        return [_event(row) for row in await self._database.rows(_EVENTS, None, limit)]

    async def open_event(self, event_id: int) -> Event:
        """Give one of them. Raises OrderUnknown."""
        row = await self._database.row(_EVENTS, event_id, 1)
        if row is None:
            raise _unknown()
        return _event(row)

    async def close_event(self, event_id: int) -> None:
        """Note that an event waits for nobody any more. Raises OrderUnknown."""
        if await self._database.value(_CLOSE, event_id, self.clock()) is None:
            raise _unknown()

    async def tell(self) -> int:
        """Queue the mails of purchases that nobody was told of; gives their number."""
        async with self._database.session() as connection, connection.transaction():
            untold = await connection.fetch(_UNTOLD, _ROUND_MAX)
            return sum([await self._tell_one(connection, one) for one in untold])

    async def orders_since(
        self, provider: str, since: datetime, others: Sequence[str] = ()
    ) -> list[Purchase]:
        """Give the purchases that were ordered since then, and those of other orders by name."""
        rows = await self._database.rows(_SINCE, provider, since, list(others))
        return [Purchase(**row) for row in rows]

    async def own_drifts(self, provider: str, since: datetime) -> list[Drift]:
        """Give what is wrong here, whatever a provider says: books, and events that wait."""
        wrong = await self._database.rows(_VIOLATIONS)
        waiting = await self._database.rows(_OPEN, provider, since, DRIFTS_MAX)
        return [
            *(Drift(order_id=row["reference"], what="books") for row in wrong),
            *(Drift(**row) for row in waiting),
        ]

    async def note(self, done: Reconciliation) -> None:
        """Keep the result of a comparison."""
        drifts = msgspec.json.encode(done.drifts[:DRIFTS_MAX]).decode()
        await self._database.row(_NOTE, done.provider, done.since, done.ran_at, done.orders, drifts)

    async def last(self, provider: str) -> Reconciliation | None:
        """Give the latest comparison, None where nobody ever looked."""
        row = await self._database.row(_LAST, provider)
        if row is None:
            return None
        drifts = msgspec.json.decode(row["drifts"], type=tuple[Drift, ...])
        return Reconciliation(**{**dict(row), "drifts": drifts})

    async def sweep(self) -> None:
        """Forget events and comparisons that are over since long."""
        before = self.clock() - EVENTS_KEPT
        while await self._database.value(_FORGET, before, PAGE_MAX) == PAGE_MAX:
            pass
        await self._database.row(_FORGET_LISTS, before)

    async def is_due(self, provider: str, period: timedelta) -> bool:
        """Say whether it is this process's turn to compare: it is that long since somebody did."""
        async with self._database.session() as connection, connection.transaction():
            if not await connection.fetchval(_TRY_TURN):
                return False
            row = await connection.fetchrow(_LAST, provider)
            return row is None or self.clock() - row["ran_at"] >= period

    async def _tell_one(self, connection: asyncpg.Connection, untold: asyncpg.Record) -> int:
        members = await connection.fetch(_MEMBERS, untold["account_id"])
        for member in members:
            fields = {
                "account": member["name"],
                "reference": untold["reference"],
                "credits": str(untold["credits"]),
                "amount": money(untold["total"], untold["currency"]),
                "at": untold["booked_at"].isoformat(timespec="minutes"),
            }
            once = f"receipt:{untold['reference']}:{member['id']}"[:200]
            await self._outbox.queue(connection, "receipt", member["address"], fields, once=once)
        await connection.execute(_TOLD, untold["provider"], untold["order_id"], self.clock())
        return len(members)


# ISO 4217: the currencies whose minor unit is not a hundredth, of those that are sold in.
_MINOR_DIGITS = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF"), 0),
    **dict.fromkeys(("UGX", "VND", "VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}


def money(amount: int, currency: str) -> str:
    """Write an amount for people: `19.90 EUR`."""
    digits = _MINOR_DIGITS.get(currency, 2)
    whole, part = divmod(amount, 10**digits)
    return f"{whole}.{part:0{digits}d} {currency}" if digits else f"{whole} {currency}"


def _amounts(order: Order | None) -> tuple[object, ...]:
    if order is None:
        return (None,) * 5
    return (order.currency, order.total, order.refunded, order.test, order.ordered_at)


def _buyer(order: Order | None) -> tuple[object, ...]:
    if order is None:
        return (None,) * 4
    return (order.customer, order.brand, order.last_four, order.country)


def _event(row: asyncpg.Record) -> Event:
    return Event(**{**dict(row), "state": EventState(row["state"])})


def _unknown() -> OrderUnknown:
    return OrderUnknown("there is no such order, or nothing of it is open")
