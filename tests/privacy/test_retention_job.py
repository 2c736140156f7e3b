"""Nothing stays longer than the inventory promises, and every deletion leaves its evidence."""

import asyncio
from datetime import timedelta

import asyncpg
import pytest

from ledger.privacy.retention import BY, BY_DAY, Run, in_words
from tests.privacy.conftest import Town


def rows_of(runs: list[Run], table: str) -> list[int]:
    return [run.rows for run in runs if run.table == table]


async def put_session(town: Town, age: timedelta) -> None:
    somebody = await town.somebody()
    # As the service would have had it to be: seen just now, begun then.
    await town.books.execute(
        "update people.session set created_at = $2 where person_id = $1",
        somebody.person_id,
        town.clock() - age,
    )


@pytest.mark.claim("C-PRIV-2")
async def test_a_row_goes_when_its_time_is_over_and_not_before(town: Town) -> None:
    for days in (13, 13.99, 14.01, 15):
        await put_session(town, timedelta(days=days))
    runs = await town.ledger.privacy.retention.sweep()
    assert rows_of(runs, "people.session") == [2]
    assert await town.books.fetchval("select count(*) from people.session") == 2


@pytest.mark.claim("C-PRIV-2")
async def test_of_every_table_with_a_limit_there_is_evidence_once_a_day(town: Town) -> None:
    retention, inventory = town.ledger.privacy.retention, town.ledger.privacy.inventory
    limited = {
        table.name
        for table in inventory.tables.values()
        if table.age and inventory.retention[table.retention].keeps
    }
    assert {run.table for run in await retention.sweep()} == limited
    assert await retention.sweep() == []
    town.clock.forward(hours=24)
    assert {run.table for run in await retention.sweep()} == limited
    kept = await retention.list(1000)
    assert len(kept) == 2 * len(limited)


async def test_more_than_one_round_takes_is_taken_by_the_next(town: Town) -> None:
    await town.books.execute(
        "insert into people.link (hash, purpose, address, created_at, expires_at)"
        " select sha256(int4send(n)), 'reset', 'a@b.example', $1, $1"
        "   from generate_series(1, 5001) n",
        town.clock() - timedelta(days=3),
    )
    runs = await town.ledger.privacy.retention.sweep()
    assert rows_of(runs, "people.link") == [5000, 1]
    assert await town.books.fetchval("select count(*) from people.link") == 0


@pytest.mark.claim("C-PRIV-4")
@pytest.mark.parametrize(("days", "left"), [(89, 1), (91, 0)])
async def test_records_of_requests_are_gone_after_90_days(town: Town, days: int, left: int) -> None:
    day = town.clock().date() - timedelta(days=days)
    await town.books.execute("select requests.make_days($1, $1)", day)
    await town.books.execute(
        "insert into requests.record (at, request_id, account_id, method, path, operation,"
        " status, bytes_in, milliseconds, credits)"
        " values ($1::date + interval '12 hours', gen_random_uuid(), 1, 'GET', '/', '', 200, 0,"
        " 1, 0)",
        day,
    )
    await town.ledger.privacy.retention.sweep()
    assert await town.books.fetchval("select count(*) from requests.record") == left


@pytest.mark.claim("C-PRIV-2")
async def test_messages_to_us_are_gone_after_24_months(town: Town) -> None:
    """Months of the calendar: what is 24 of them old today goes tomorrow."""
    for months, ticket in ((24, "T-0000000000"), (25, "T-0000000001")):
        await town.books.execute(
            "with old as (select $2::timestamptz - make_interval(months => $3)"
            "                    + interval '1 hour' as at),"
            " ticket as (insert into support.ticket (id, address, subject, created_at, updated_at)"
            "            select $1, 'a@b.example', 'hello', at, at from old)"
            " insert into support.message (ticket_id, seq, author, text, at)"
            " select $1, 1, 'customer', 'hello', at from old",
            *(ticket, town.clock(), months),
        )
    await town.ledger.privacy.retention.sweep()
    left = await town.books.fetch("select ticket_id from support.message")
    assert [row["ticket_id"] for row in left] == ["T-0000000000"]


async def test_several_gateways_do_it_once(town: Town) -> None:
    retention = town.ledger.privacy.retention
    all_runs = await asyncio.gather(*(retention.sweep() for _ in range(4)))
    done = [run.table for runs in all_runs for run in runs]
    again = [run.table for run in await retention.sweep()]
    assert len(done + again) == len(set(done + again))


async def test_the_evidence_is_not_rewritten(town: Town) -> None:
    await town.ledger.privacy.retention.sweep()
    with pytest.raises(asyncpg.RestrictViolationError):
        await town.books.execute("update privacy.retention_run set rows = 0")


async def test_what_an_operator_shortens_is_kept_as_short(town: Town) -> None:
    retention = town.ledger.privacy.retention
    assert retention.says("files") == "3 hours at the most"
    assert retention.says("deliveries") == "7 days"


def test_what_has_a_limit_and_no_age_goes_with_what_has_one(town: Town) -> None:
    inventory = town.ledger.privacy.inventory
    ageless = {
        table.name
        for table in inventory.tables.values()
        if inventory.retention[table.retention].keeps and table.age is None
    }
    # The books go with their account (credits.purge), messages with their ticket.
    assert ageless == {
        *("credits.entry", "accounts.profile", "billing.purchase", "support.message"),
    }


def test_everything_that_removes_rows_in_its_own_way_is_known(town: Town) -> None:
    named = {one.by for one in town.ledger.privacy.inventory.retention.values() if one.by}
    assert named <= {*BY, *BY_DAY}


def test_times_are_said_for_people() -> None:
    assert [in_words(s) for s in (10_800, 5400, 86_400, 1)] == [
        *("3 hours", "90 minutes", "1 day", "1 second")
    ]
