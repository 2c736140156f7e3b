"""The accounts that chaos plays with, and the way from the tables and the logs to the checker."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from uuid import UUID

import asyncpg

from bench.chaos_checker import Booked, Checker, Findings
from bench.chaos_gateway import PURCHASE_CREDITS, purchase_reference
from bench.chaos_log import Event, OracleLog, read
from ledger.availability import AWAY
from ledger.conversion_id import new_conversion_id
from ledger.ledger import Ledger

RICH = 2**40
_PAGE = 20_000
# Longer than any sweep, on any machine: whoever reaches it has found a debit that stays open.
_SWEEP_TIMEOUT_S = 120.0
_ENTRIES = """
select seq, kind::text as kind, amount, balance_after, conversion_id, reference, reason,
       extract(epoch from created_at)::float8 as created_at
  from credits.entry where account_id = $1 and seq > $2 order by seq limit $3
"""


async def there(dsn: str) -> None:
    """Return when PostgreSQL takes connections: the storm may have left it in recovery."""
    async with asyncio.timeout(_SWEEP_TIMEOUT_S):
        while True:
            with suppress(asyncpg.PostgresError, *AWAY):
                await (await asyncpg.connect(dsn=dsn)).close()
                return
            await asyncio.sleep(0.1)


async def opened(ledger: Ledger, count: int, log: Path) -> list[int]:
    """Open accounts: the first is the hot one, the last tenth is poor, all others are rich."""
    oracle = OracleLog(log)
    poor = count - max(1, count // 10)

    async def one(number: int) -> int:
        account = (await ledger.accounts.create(f"chaos {number}")).id
        id_ = new_conversion_id()
        credits = PURCHASE_CREDITS if number >= poor else RICH
        oracle.write(Event.PURCHASE, account, id_.bytes, amount=credits)
        balance = await ledger.accounts.purchase(account, credits, purchase_reference(id_))
        oracle.write(Event.PURCHASED, account, id_.bytes, balance=balance)
        return account

    return await asyncio.gather(*(one(number) for number in range(count)))


async def closed(ledger: Ledger) -> None:
    """Return when nothing is open any more: this ledger's own sweeper sees to it."""
    async with asyncio.timeout(_SWEEP_TIMEOUT_S):
        while (await ledger.trial_balance()).open_debits:  # noqa: ASYNC110 (in a database)
            await asyncio.sleep(0.1)


async def judged(dsn: str, logs: Path, deaths: dict[str, float]) -> Findings:
    """Compare all that was asked for and told with all that is in the tables."""
    checker = Checker(deaths)
    _hear(checker, logs)
    connection = await asyncpg.connect(dsn=dsn)
    try:
        accounts = await connection.fetch("select id, balance from credits.account order by id")
        for account in accounts:
            entries = [entry async for entry in _entries(connection, account["id"])]
            checker.read(account["id"], entries, account["balance"])
        orphans = await connection.fetchval(
            "select count(*) from credits.entry e"
            " where not exists (select from credits.account a where a.id = e.account_id)"
        )
        still_open = await connection.fetchval("select count(*) from credits.open_debit")
    finally:
        await connection.close()
    if orphans or still_open:
        checker.findings.wrong("left over", f"{orphans} without account, {still_open} open")
    return checker.judge()


def _hear(checker: Checker, logs: Path) -> None:
    for path in sorted(logs.iterdir()):
        checker.hear(path.name, read(path))


async def _entries(connection: asyncpg.Connection, account: int) -> AsyncIterator[Booked]:
    seq = 0
    while rows := await connection.fetch(_ENTRIES, account, seq, _PAGE):
        for row in rows:
            yield _booked(account, row)
        seq = rows[-1]["seq"]


def _booked(account: int, row: asyncpg.Record) -> Booked:
    reference: str | None = row["reference"]
    conversion: UUID | None = row["conversion_id"]
    return Booked(
        account=account,
        seq=row["seq"],
        kind=row["kind"],
        credits=row["amount"],
        balance=row["balance_after"],
        id=conversion.bytes if conversion else _named(reference),
        reason=row["reason"],
        goodwill=row["kind"] == "refund" and reference is not None,
        created_at=row["created_at"],
    )


def _named(reference: str | None) -> bytes:
    """The id in a reference; of a reference that is none of ours, nobody will have heard."""
    try:
        return UUID((reference or "").split()[-1]).bytes
    except (ValueError, IndexError):
        return b""
