"""The run of `make chaos`, short; and its checker, which must see what is planted in the books.

What is planted leaves books that look right in themselves: chains, sums and the ledger's own audit
hold. Only who remembers what was asked for and told can see it.
"""

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from bench import chaos, chaos_books
from bench.chaos_checker import Checker, Findings
from bench.chaos_log import Event, OracleLog, read
from ledger.conversion_id import new_conversion_id
from ledger.embedded import EmbeddedPostgres
from tests.postgres import private_home

PLAN = chaos.Plan(
    debits=2000,
    kills=4,
    minutes=0.15,
    seed=4,
    gateways=2,
    in_flight=64,
    accounts=20,
    lease_s=2.0,
    durable=False,
)

# Whatever was done to the entries, the chains and the balances are put right again.
_REPAIR = """
create temp table mended on commit drop as
    select account_id, amount, created_at, kind, conversion_id, reference, reason,
           row_number() over (partition by account_id order by seq, created_at) as seq,
           sum(amount) over (partition by account_id order by seq, created_at
                             rows unbounded preceding) as balance_after
      from (select * from credits.entry where account_id = $account
            union all select * from planted) e;
delete from credits.idempotency_key;
delete from credits.entry where account_id = $account;
insert into credits.entry (account_id, seq, amount, balance_after, created_at, kind,
                           conversion_id, reference, reason)
    select account_id, seq, amount, balance_after, created_at, kind,
           conversion_id, reference, reason from mended;
update credits.account a set (seq, balance) = (
    select count(*), coalesce(sum(amount), 0) from credits.entry where account_id = a.id)
 where id = $account;
"""


class Run:
    """A run that is over, with its database and its logs, as often as a test wants to look."""

    def __init__(self, result: chaos.Result, folder: Path) -> None:
        self.result = result
        self.folder = folder

    def spoiled(self, choose: str, spoil: str) -> Findings:
        """Judge the books with one thing spoiled in them, and put that right again."""
        return asyncio.run(self._spoiled(choose, spoil))

    async def _spoiled(self, choose: str, spoil: str) -> Findings:
        async with EmbeddedPostgres(self.folder / "home", durable=False) as postgres:
            admin = await asyncpg.connect(dsn=postgres.admin_dsn)
            await admin.execute("create database spoiled template ephemera")
            try:
                books = await asyncpg.connect(dsn=postgres.admin_dsn, database="spoiled")
                try:
                    await _spoil(books, choose, spoil)
                finally:
                    await books.close()
                dsn = postgres.admin_dsn.replace("/postgres?", "/spoiled?")
                return await chaos_books.judged(dsn, self.folder / "logs", deaths={})
            finally:
                await admin.execute("drop database spoiled")
                await admin.close()


async def _spoil(books: asyncpg.Connection, choose: str, spoil: str) -> None:
    chosen = await books.fetchrow(choose)
    assert chosen is not None, "the run was too short for this"
    await books.execute("set session_replication_role = replica")  # no triggers
    async with books.transaction():
        await books.execute("create temp table planted (like credits.entry) on commit drop")
        await books.execute(spoil.format(**chosen))
        await books.execute(_REPAIR.replace("$account", str(chosen["account_id"])))
    assert await books.fetch("select * from credits.violations") == []


@pytest.fixture(scope="module")
def over() -> Iterator[Run]:
    with private_home("eph-chaos-") as folder:
        folder.chmod(0o711)
        yield Run(asyncio.run(chaos.run(PLAN, folder)), folder)
        shutil.rmtree(folder, ignore_errors=True)


def test_kills_pauses_and_cuts_at_random_lose_keep_and_double_no_credit(over: Run) -> None:
    assert over.result.kills >= 1
    assert over.result.findings.debits > 0
    assert over.result.right, chaos.report(over.result)


def test_a_report_says_what_was_done_and_what_came_of_it(over: Run) -> None:
    said = chaos.report(over.result)
    assert f"{over.result.kills} SIGKILLs" in said
    assert said.endswith("violations: 0   credits lost: 0   credits kept: 0")


def test_a_purchase_that_is_missing_is_seen(over: Run) -> None:
    found = over.spoiled(
        "select * from credits.entry where kind = 'purchase' and amount > 12 limit 1",
        "delete from credits.entry where account_id = {account_id} and seq = {seq};"
        # The credits come from elsewhere, so that no balance is below zero.
        " insert into planted select account_id, 0, amount, 0, created_at, 'adjustment', null,"
        " 'elsewhere', 'reason' from (values ({account_id}, {amount}, now()))"
        " v(account_id, amount, created_at)",
    )
    assert found.credits_lost == chaos_books.RICH
    assert found.violations["acknowledged and not booked: purchased"] == 1
    assert found.violations["nobody asked for this"] == 1


def test_a_charge_for_a_conversion_that_failed_is_seen(over: Run) -> None:
    found = over.spoiled(
        "select * from credits.entry where kind = 'refund' and reason = 'failed' limit 1",
        "delete from credits.entry where account_id = {account_id} and seq = {seq}",
    )
    assert found.credits_kept > 0
    assert found.violations["charged and not delivered"] == 1


def test_a_delivery_that_is_not_charged_is_seen(over: Run) -> None:
    found = over.spoiled(
        "select * from credits.entry e where kind = 'consumption' and not exists (select"
        " from credits.entry r where r.account_id = e.account_id and r.kind = 'refund'"
        " and r.conversion_id = e.conversion_id) limit 1",
        "delete from credits.entry where account_id = {account_id} and seq = {seq}",
    )
    assert found.credits_lost > 0
    assert found.violations["settled and not charged"] == 1


def test_a_purchase_that_is_booked_twice_is_seen(over: Run) -> None:
    found = over.spoiled(
        "select * from credits.entry where kind = 'purchase' limit 1",
        # Under another spelling of its reference, so that the unique index does not see it.
        "insert into planted select {account_id}, 9999999, {amount}, 0, now(), 'purchase', null,"
        " 'again {reference}', null",
    )
    assert found.violations["booked twice"] == 1
    assert found.violations["the total"] == 1


def test_a_debit_that_nobody_made_is_seen(over: Run) -> None:
    found = over.spoiled(
        "select * from credits.entry where kind = 'consumption' limit 1",
        "insert into planted select {account_id}, 9999999, -1, 0, now(), 'consumption',"
        " gen_random_uuid(), null, null",
    )
    assert found.violations["nobody asked for this"] == 1
    assert found.violations["the total"] == 1


def test_two_entries_in_another_order_than_their_time_are_seen(over: Run) -> None:
    found = over.spoiled(
        "select * from credits.entry e where kind = 'consumption' and not exists (select"
        " from credits.entry r where r.account_id = e.account_id and r.kind = 'refund'"
        " and r.conversion_id = e.conversion_id) order by e.seq limit 1",
        # The repair sorts by seq: an early debit becomes the last.
        "update credits.entry set seq = 9999999 where account_id = {account_id} and seq = {seq}",
    )
    assert found.violations["real time is not respected"] >= 1


def test_a_refusal_with_a_balance_that_never_was_is_seen(tmp_path: Path) -> None:
    log = OracleLog(tmp_path / "log")
    log.write(Event.DEBIT, 1, id_ := new_conversion_id().bytes, amount=3)
    log.write(Event.INSUFFICIENT, 1, id_, balance=2)
    checker = Checker({})
    checker.hear("log", read(tmp_path / "log"))
    checker.read(1, [], 0)
    assert checker.judge().violations == {"insufficient with a balance that never was": 1}


def test_a_key_that_paid_twice_is_seen(tmp_path: Path) -> None:
    log = OracleLog(tmp_path / "log")
    ids = [new_conversion_id().bytes for _ in range(2)]
    for id_, balance in zip(ids, (7, 4), strict=True):
        log.write(Event.DEBIT, 1, id_, key=5, amount=3)
        log.write(Event.DEBITED, 1, id_, balance=balance)
        log.write(Event.DELIVERED, 1, id_)
        log.write(Event.SETTLED, 1, id_)
    log.write(Event.PURCHASE, 1, bought := new_conversion_id().bytes, amount=10)
    checker = Checker({})
    checker.hear("log", read(tmp_path / "log"))
    booked = chaos_books.Booked
    checker.read(
        1,
        [
            booked(1, 1, "purchase", 10, 10, bought, None, False, 0.0),
            booked(1, 2, "consumption", -3, 7, ids[0], None, False, 0.0),
            booked(1, 3, "consumption", -3, 4, ids[1], None, False, 0.0),
        ],
        4,
    )
    findings = checker.judge()
    assert findings.violations["one key paid twice"] == 1
    assert findings.credits_kept == 6
