"""Records of requests: written in batches, never in the way, and gone on the ninetieth day."""

from datetime import UTC, date, datetime, timedelta
from ipaddress import ip_network
from uuid import UUID, uuid4

import asyncpg
import pytest

from ledger.accounts.accounts import Account
from ledger.errors import LedgerFault
from ledger.ledger import Ledger
from ledger.requests.record import Cursor, RequestRecord, Wanted
from ledger.requests.requests import Requests
from ledger.requests.writer import RecordWriter
from ledger.settings import LedgerSettings

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def _record(account: Account, at: datetime = NOW, **changed: object) -> RequestRecord:
    facts: dict[str, object] = {
        "at": at,
        "request_id": uuid4(),
        "account_id": account.id,
        "key_id": "key",
        "method": "POST",
        "path": "/v1/convert/{source}/{target}",
        "operation": "png/webp:convert",
        "status": 200,
        "bytes_in": 1000,
        "milliseconds": 12,
        "credits": 1,
        "address": ip_network("192.0.2.0/24"),
    }
    return RequestRecord(**facts | changed)  # type: ignore[arg-type]


def _at(ledger: Ledger, now: datetime) -> Requests:
    """The records as they are seen, and kept up, at another time."""
    return Requests(ledger.requests.writer._database, lambda: now)


async def test_what_was_noted_is_listed_as_it_was(ledger: Ledger, account: Account) -> None:
    record = _record(account)
    ledger.requests.writer.note(record)
    assert await ledger.requests.writer.write() == 1
    assert await _at(ledger, NOW).page(account.id, Wanted()) == [record]


@pytest.mark.parametrize(("days", "there"), [(89, True), (90, False), (91, False)])
async def test_a_day_of_records_is_gone_on_the_ninetieth_day_after_it(
    ledger: Ledger, account: Account, books: asyncpg.Connection, days: int, there: bool
) -> None:
    writer = ledger.requests.writer
    writer.note(_record(account, NOW.replace(hour=0, minute=0)))
    writer.note(_record(account, NOW.replace(hour=23, minute=59)))
    await writer.write()
    gone = await _at(ledger, NOW + timedelta(days=days)).keep_up()
    assert (date(2026, 11, 20) in gone) is not there
    assert await books.fetchval("select count(*) from requests.record") == (2 if there else 0)
    assert await books.fetchval("select count(*) from requests.usage") == (1 if there else 0)


async def test_days_are_made_ahead_and_a_missing_one_is_made_when_it_is_needed(
    ledger: Ledger, account: Account, books: asyncpg.Connection
) -> None:
    async def days() -> set[str]:
        rows = await books.fetch(
            "select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid"
            " where i.inhparent = 'requests.record'::regclass"
        )
        return {row["relname"] for row in rows}

    await _at(ledger, NOW).keep_up()
    assert {f"record_202611{day}" for day in range(19, 28)} <= await days()
    far = NOW + timedelta(days=40)
    ledger.requests.writer.note(_record(account, far))
    await ledger.requests.writer.write()
    assert "record_20261230" in await days()


async def test_a_full_queue_drops_and_counts_and_asks_nobody(ledger: Ledger) -> None:
    account = await ledger.accounts.create("Ben")
    writer = RecordWriter(ledger.requests.writer._database, queue_max=2)
    for _ in range(5):
        writer.note(_record(account))
    assert (writer.waiting, writer.dropped) == (2, 3)
    assert await writer.write() == 2
    assert writer.waiting == 0


async def test_a_batch_that_is_refused_for_what_it_says_does_not_hold_up_the_others(
    ledger: Ledger, account: Account
) -> None:
    writer = ledger.requests.writer
    writer.note(_record(account, path="x" * 201))
    with pytest.raises(LedgerFault):
        await writer.write()
    assert (writer.waiting, writer.dropped) == (0, 1)
    writer.note(_record(account))
    assert await writer.write() == 1


async def test_what_waits_is_written_when_the_ledger_closes(
    settings: LedgerSettings, books: asyncpg.Connection
) -> None:
    async with Ledger.connect(settings) as ledger:
        account = await ledger.accounts.create("Cy")
        ledger.requests.writer.note(_record(account))
    assert await books.fetchval("select count(*) from requests.record") == 1


async def test_filters_and_pages(ledger: Ledger, account: Account) -> None:
    other = await ledger.accounts.create("Dee")
    ids = [UUID(int=number) for number in range(6)]
    for number, one in enumerate(ids):
        ledger.requests.writer.note(
            _record(
                account,
                NOW + timedelta(minutes=number // 2),
                request_id=one,
                status=(200, 404, 503)[number % 3],
                operation=("png/webp:convert", "")[number % 2],
                key_id=("one", None)[number % 2],
            )
        )
    ledger.requests.writer.note(_record(other))
    await ledger.requests.writer.write()
    requests = _at(ledger, NOW)

    async def found(**wanted: object) -> list[int]:
        page = await requests.page(account.id, Wanted(**wanted))  # type: ignore[arg-type]
        return [one.request_id.int for one in page]

    assert await found() == [5, 4, 3, 2, 1, 0]
    assert await found(status_class=5) == [5, 2]
    assert await found(operation="png/webp:convert", status_class=2) == [0]
    assert await found(key_id="one") == [4, 2, 0]
    assert await found(first=NOW + timedelta(minutes=1), last=NOW + timedelta(minutes=2)) == [3, 2]
    first = await requests.page(account.id, Wanted(), limit=4)
    before = Cursor(first[-1].at, first[-1].request_id)
    second = await requests.page(account.id, Wanted(), before=before, limit=4)
    assert [one.request_id.int for one in (*first, *second)] == [5, 4, 3, 2, 1, 0]


async def test_sums_by_day_operation_and_key(ledger: Ledger, account: Account) -> None:
    writer = ledger.requests.writer
    for _ in range(2):  # two batches into the same sums
        writer.note(_record(account))
        writer.note(_record(account, status=422, credits=0, key_id=None, operation=""))
        await writer.write()
    writer.note(_record(account, NOW + timedelta(days=1)))
    await writer.write()
    days = (date(2026, 11, 20), date(2026, 11, 21))

    async def sums(by: str) -> dict[str, tuple[int, int, int]]:
        found = await ledger.requests.usage(account.id, *days, by)  # type: ignore[arg-type]
        return {one.of: (one.requests, one.failed, one.credits) for one in found}

    assert await sums("day") == {"2026-11-20": (4, 2, 2), "2026-11-21": (1, 0, 1)}
    assert await sums("operation") == {"": (2, 2, 0), "png/webp:convert": (3, 0, 3)}
    assert await sums("key") == {"": (2, 2, 0), "key": (3, 0, 3)}
