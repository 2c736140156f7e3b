"""Members are written to when their account falls below the balance it wanted to hear of.

A trigger puts each crossing into `mail.crossing`, in the transaction of the debit (0010_mail.sql),
so none is lost whoever listens; one gateway takes it out again and queues the mails in one
transaction, so none is told twice.
"""

import asyncpg

from ledger.database import Database
from ledger.mail.outbox import Outbox

# Crossings are rare; a round is short, and there will be a next.
_ROUND_MAX = 50

_TAKE = """
delete from mail.crossing where (account_id, seq) in (
    select account_id, seq from mail.crossing order by at limit $1 for update skip locked)
returning account_id, seq, balance, threshold
"""
# No news: the same threshold was told, and nothing was bought or given since.
_KNOWN = """
select exists (
    select from mail.low_balance t
     where t.account_id = $1 and t.threshold = $3
       and not exists (select from credits.entry e
                        where e.account_id = $1 and e.seq > t.seq and e.seq <= $2
                          and e.kind in ('purchase', 'adjustment') and e.amount > 0))
"""
_NOTE = """
insert into mail.low_balance (account_id, seq, threshold) values ($1, $2, $3)
on conflict (account_id) do update set seq = greatest(low_balance.seq, excluded.seq),
                                       threshold = excluded.threshold
"""
# Whoever can buy, or ask somebody to.
_MEMBERS = """
select p.id, p.address, a.name
  from people.member m
  join people.person p on p.id = m.person_id
  join people.account a on a.account_id = m.account_id
 where m.account_id = $1 and m.role in ('owner', 'admin', 'billing') and p.suspended_at is null
"""
# Two crossings of one account are told by one gateway after the other.
_TURN = "select pg_advisory_xact_lock(hashtextextended('mail.low_balance', $1))"


class LowBalances:
    """Turns crossings into mails. Raises LedgerUnavailable."""

    def __init__(self, database: Database, outbox: Outbox) -> None:
        self._database = database
        self._outbox = outbox

    async def tell(self) -> int:
        """Queue the mails of what has been crossed; gives their number."""
        async with self._database.session() as connection, connection.transaction():
            taken = await connection.fetch(_TAKE, _ROUND_MAX)
            queued = [
                await self._tell_one(connection, crossing)
                for crossing in sorted(taken, key=lambda row: (row["account_id"], row["seq"]))
            ]
        return sum(queued)

    async def _tell_one(self, connection: asyncpg.Connection, crossing: asyncpg.Record) -> int:
        account_id, seq, balance, threshold = crossing
        await connection.execute(_TURN, account_id)
        if await connection.fetchval(_KNOWN, account_id, seq, threshold):
            return 0
        await connection.execute(_NOTE, account_id, seq, threshold)
        members = await connection.fetch(_MEMBERS, account_id)
        for member in members:
            fields = {
                "account": member["name"],
                "balance": str(balance),
                "threshold": str(threshold),
            }
            once = f"low_balance:{account_id}:{seq}:{member['id']}"
            await self._outbox.queue(
                connection, "low_balance", member["address"], fields, once=once
            )
        return len(members)
