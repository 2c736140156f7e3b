"""Reading what was booked: balances, entries page by page, and the audit."""

from datetime import date
from decimal import Decimal

import msgspec

from ledger.credits.operation import Entry
from ledger.database import AUDIT_TIMEOUT_S, Database
from ledger.errors import AccountUnknown

PAGE_MAX = 1000

_BALANCE = "select balance from credits.account where id = $1"
_STANDING = "select status, balance from credits.account where id = $1"
_ENTRIES = """
select seq, kind::text as kind, amount as credits, balance_after as balance, created_at,
       conversion_id, reference, reason
  from credits.entry
 where account_id = $1 and seq < $2
 order by seq desc
 limit $3
"""
# Days are those of UTC. Read from the account's own entries; nothing is summed up in advance.
_USAGE = """
select case when $4 then (created_at at time zone 'UTC')::date end as day, kind::text as kind,
       count(*) as entries, sum(amount)::bigint as credits
  from credits.entry
 where account_id = $1
   and created_at >= $2::date::timestamp at time zone 'UTC'
   and created_at < ($3::date + 1)::timestamp at time zone 'UTC'
 group by 1, kind
 order by 1, entry.kind
"""
_VIOLATIONS = "select what, account_id, seq from credits.violations limit 1000"
_TRIAL_BALANCE = """
select coalesce(sum(amount) filter (where kind = 'purchase'), 0) as purchases,
       coalesce(sum(amount) filter (where kind = 'adjustment'), 0) as adjustments,
       coalesce(-sum(amount) filter (where kind = 'consumption'), 0) as consumption,
       coalesce(sum(amount) filter (where kind = 'refund'), 0) as refunds,
       (select coalesce(sum(balance), 0) from credits.account) as balances,
       (select coalesce(sum(amount), 0) from credits.open_debit) as open_debits,
       count(*) as entries
  from credits.entry
"""
_SEQ_END = 2**63 - 1


class Violation(msgspec.Struct, frozen=True):
    """Something that must never be, found by the audit."""

    what: str
    account_id: int
    seq: int | None


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """The entries of one kind, of one day or of all days asked for. `credits` is signed."""

    day: date | None
    kind: str
    entries: int
    credits: int


class TrialBalance(msgspec.Struct, frozen=True, kw_only=True):
    """All accounts together. It balances if purchases and the like explain the balances."""

    purchases: int
    adjustments: int
    consumption: int
    refunds: int
    balances: int
    open_debits: int
    entries: int

    def balanced(self) -> bool:
        """Say whether what came in, less what was used, is what the accounts hold."""
        return self.purchases + self.adjustments - self.consumption + self.refunds == self.balances


async def balance(database: Database, account_id: int) -> int:
    """Give the balance as it is now. Raises AccountUnknown."""
    row = await database.row(_BALANCE, account_id)
    if row is None:
        raise AccountUnknown("there is no such account")
    return int(row["balance"])


async def standing(database: Database, account_id: int) -> tuple[str, int]:
    """Give the status and the balance. Raises AccountUnknown."""
    row = await database.row(_STANDING, account_id)
    if row is None:
        raise AccountUnknown("there is no such account")
    return row["status"], row["balance"]


async def entries(
    database: Database, account_id: int, before_seq: int | None, limit: int
) -> list[Entry]:
    """Give a page of entries, the newest first; `before_seq` is the last seq of the page before."""
    rows = await database.rows(
        _ENTRIES,
        account_id,
        _SEQ_END if before_seq is None else before_seq,
        max(1, min(limit, PAGE_MAX)),
    )
    return [Entry(**row) for row in rows]


async def usage(
    database: Database, account_id: int, first: date, last: date, *, by_day: bool
) -> list[Usage]:
    """Add up the entries of these days, both included, by kind or by day and kind."""
    rows = await database.rows(_USAGE, account_id, first, last, by_day)
    return [Usage(**row) for row in rows]


async def audit(database: Database) -> list[Violation]:
    """Give everything that must never be; empty is the only good answer.

    The violations and the trial balance are read in one snapshot.
    """
    async with (
        database.session() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        violations = await connection.fetch(_VIOLATIONS, timeout=AUDIT_TIMEOUT_S)
        row = await connection.fetchrow(_TRIAL_BALANCE, timeout=AUDIT_TIMEOUT_S)
    found = [Violation(**violation) for violation in violations]
    if not _trial_balance(row).balanced():
        found.append(Violation("trial balance", 0, None))
    return found


async def trial_balance(database: Database) -> TrialBalance:
    """Add up all accounts."""
    return _trial_balance((await database.rows(_TRIAL_BALANCE, timeout_s=AUDIT_TIMEOUT_S))[0])


def _trial_balance(row: dict[str, Decimal]) -> TrialBalance:
    return TrialBalance(**{name: int(value) for name, value in row.items()})
