"""What a customer can read about the account: all entries as CSV, and the usage added up."""

import csv
import io
from datetime import UTC, datetime, timedelta

import pytest

from gateway.api.account import CSV_PAGE
from ledger.conversion_id import new_conversion_id
from tests.gateway.service import Customer, Reply, Service

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def ask(service: Service, customer: Customer, query: str, accept: str = "*/*") -> Reply:
    return await service.ask(
        "GET", f"/v1/account/{query}", headers=customer.headers | {"Accept": accept}
    )


def rows(reply: Reply) -> list[dict[str, str]]:
    assert reply.status == 200
    return list(csv.DictReader(io.StringIO(reply.body.decode())))


@pytest.mark.parametrize(
    ("query", "accept"),
    [("entries?format=csv", "*/*"), ("entries", "text/csv"), ("entries", "text/csv;q=0.9, */*")],
)
async def test_entries_come_as_csv_for_who_asks_for_it(
    service: Service, customer: Customer, query: str, accept: str
) -> None:
    reply = await ask(service, customer, query, accept)
    assert reply.headers["Content-Type"] == "text/csv; charset=utf-8"
    [opening] = rows(reply)
    assert (opening["seq"], opening["credits"], opening["balance"]) == ("1", "100", "100")
    assert opening["reason"] == "opening credits"


async def test_the_parameter_wins_over_the_header(service: Service, customer: Customer) -> None:
    reply = await ask(service, customer, "entries?format=json", "text/csv")
    assert reply.json["next"] is None


async def test_csv_holds_more_entries_than_any_page(service: Service) -> None:
    rich = await service.customer(opening=CSV_PAGE)
    for _ in range(0, CSV_PAGE, 100):
        # At once, so that they share batches.
        debits = [
            service.ledger.debit(rich.account_id, 1, conversion_id=new_conversion_id())
            for _ in range(100)
        ]
        for debit in debits:
            await debit.__aenter__()
        for debit in debits:
            await debit.settle()
    found = rows(await ask(service, rich, "entries?format=csv"))
    assert [int(row["seq"]) for row in found] == list(range(CSV_PAGE + 1, 0, -1))
    after = rows(await ask(service, rich, "entries?format=csv&cursor=5"))
    assert [row["seq"] for row in after] == ["4", "3", "2", "1"]


async def test_no_cell_of_text_is_a_formula(service: Service, customer: Customer) -> None:
    await service.ledger.accounts.grant(customer.account_id, 1, '=HYPERLINK("x")', "@sum")
    newest = rows(await ask(service, customer, "entries?format=csv"))[0]
    assert (newest["reason"], newest["reference"]) == ('\'=HYPERLINK("x")', "'@sum")
    assert newest["credits"] == "1"


async def test_the_head_of_the_csv_can_be_asked_for(service: Service, customer: Customer) -> None:
    reply = await service.ask("HEAD", "/v1/account/entries?format=csv", headers=customer.headers)
    assert (reply.status, reply.body) == (200, b"")


async def test_usage_is_added_up_by_day_and_by_kind(service: Service, customer: Customer) -> None:
    async with service.ledger.debit(customer.account_id, 3, conversion_id=new_conversion_id()):
        pass
    by_day = (await ask(service, customer, "usage")).json
    day = by_day["to"]
    assert by_day["by"] == "day"
    assert by_day["usage"] == [
        {"day": day, "kind": "consumption", "entries": 1, "credits": -3},
        {"day": day, "kind": "adjustment", "entries": 1, "credits": 100},
    ]
    by_kind = (await ask(service, customer, f"usage?from={day}&to={day}&by=kind")).json
    assert by_kind["usage"][0] == {
        "day": None,
        "kind": "consumption",
        "entries": 1,
        "credits": -3,
    }


async def test_usage_of_other_days_is_empty(service: Service, customer: Customer) -> None:
    reply = await ask(service, customer, "usage?from=2020-01-01&to=2020-12-31")
    assert (reply.status, reply.json["usage"]) == (200, [])
    reply = await ask(service, customer, "usage?to=9999-12-31")
    assert (reply.status, reply.json["from"]) == (200, "9999-12-02")
    reply = await ask(service, customer, "usage?to=0001-01-02")
    assert (reply.status, reply.json["usage"]) == (200, [])


@pytest.mark.parametrize(
    "query",
    [
        "usage?from=2026-01-02&to=2026-01-01",
        "usage?from=2024-01-01&to=2025-01-01",
        "usage?from=yesterday",
        "usage?by=hour",
        "entries?format=xml",
    ],
)
async def test_what_cannot_be_added_up_is_refused(
    service: Service, customer: Customer, query: str
) -> None:
    reply = await ask(service, customer, query)
    assert (reply.status, reply.json["code"]) == (400, "malformed-request")


async def test_the_account_shows_below_which_balance_it_warns(
    service: Service, customer: Customer
) -> None:
    await service.ledger.accounts.set_low_balance(customer.account_id, 20)
    shown = await service.ask("GET", "/v1/account", headers=customer.headers)
    assert shown.json["low_balance"] == 20


async def test_thirty_days_are_added_up_when_none_are_named(
    service: Service, customer: Customer
) -> None:
    page = (await ask(service, customer, "usage")).json
    first, last = (datetime.fromisoformat(page[name]).date() for name in ("from", "to"))
    assert last - first == timedelta(days=29)
    assert abs(datetime.now(UTC).date() - last) <= timedelta(days=1)
