"""What an account asked of the service: records without names, their filters, their sums."""

import asyncio
import csv
import io
from typing import Any

import aiohttp
import msgspec
import pytest

from ledger.requests.record import Wanted
from tests.gateway.samples import bitmap, picture
from tests.gateway.service import PATIENCE_S, Customer, Service, listening

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def _asked(service: Service, customer: Customer) -> None:
    """A conversion, one that fails, and a question; all on record."""
    named = {"Content-Disposition": 'attachment; filename="holiday.png"'}
    await service.convert("png/webp", picture(), customer, headers=named)
    await _recorded(service, customer, 1)
    await service.convert("png/webp", b"no picture", customer)
    await service.ask("GET", "/v1/account", headers=customer.headers)
    await _recorded(service, customer, 3)


async def _recorded(service: Service, customer: Customer, count: int) -> None:
    """Wait until so many requests are on record: the last byte of an answer comes before that."""
    requests = service.ledger.requests
    async with asyncio.timeout(PATIENCE_S):
        while len(await requests.page(customer.account_id, Wanted())) < count:
            await requests.writer.write()
            await asyncio.sleep(0)


async def _records(service: Service, customer: Customer, **query: str) -> list[dict[str, Any]]:
    reply = await service.ask("GET", "/v1/requests", headers=customer.headers, params=query)
    assert reply.status == 200
    return list(reply.json["requests"])


async def test_requests_are_listed_with_what_they_cost_and_without_names(
    service: Service, customer: Customer
) -> None:
    await _asked(service, customer)
    question, failed, converted = await _records(service, customer)
    assert converted["path"] == "/v1/convert/{source}/{target}"
    assert converted["operation"] == "png/webp:convert"
    assert (converted["status"], converted["credits"]) == (200, 1)
    assert converted["bytes_in"] == len(picture())
    assert converted["key"] == customer.key[9:21]
    assert converted["address"] == "127.0.0.0/24"
    assert (failed["status"], failed["credits"], failed["operation"]) == (422, 0, None)
    assert (question["method"], question["path"], question["bytes_in"]) == (
        "GET",
        "/v1/account",
        0,
    )
    assert "holiday" not in msgspec.json.encode([question, failed, converted]).decode()


async def test_an_upload_that_goes_past_the_gateway_is_counted_whole(
    service: Service, customer: Customer
) -> None:
    body = bitmap()
    await service.convert("bmp/png", body, customer)
    await _recorded(service, customer, 1)
    (converted,) = await _records(service, customer)
    assert (converted["status"], converted["bytes_in"]) == (200, len(body))


async def test_filters_narrow_the_list_down(service: Service, customer: Customer) -> None:
    await _asked(service, customer)
    assert [one["status"] for one in await _records(service, customer, status="4xx")] == [422]
    by_operation = await _records(service, customer, operation="png/webp:convert")
    assert [one["status"] for one in by_operation] == [200]
    assert await _records(service, customer, to="2026-01-01T00:00:00Z") == []
    assert await _records(service, customer, key="nobody") == []


async def test_pages_follow_each_other(service: Service, customer: Customer) -> None:
    await _asked(service, customer)
    first = await service.ask(
        "GET", "/v1/requests", headers=customer.headers, params={"limit": "2"}
    )
    rest = await _records(service, customer, cursor=first.json["next"])
    assert [one["status"] for one in (*first.json["requests"], *rest)] == [200, 422, 200]


async def test_all_of_it_comes_as_one_csv_file(service: Service, customer: Customer) -> None:
    await _asked(service, customer)
    reply = await service.ask(
        "GET", "/v1/requests", headers=customer.headers | {"Accept": "text/csv"}
    )
    rows = list(csv.DictReader(io.StringIO(reply.body.decode())))
    assert [row["status"] for row in rows] == ["200", "422", "200"]
    assert reply.headers["Content-Disposition"] == 'attachment; filename="requests.csv"'


async def test_nobody_sees_the_requests_of_another_account(
    service: Service, customer: Customer
) -> None:
    await _asked(service, customer)
    assert await _records(service, await service.customer()) == []


async def test_usage_is_added_up_three_ways(service: Service, customer: Customer) -> None:
    await _asked(service, customer)

    async def sums(by: str) -> list[tuple[Any, int, int]]:
        reply = await service.ask("GET", "/v1/usage", headers=customer.headers, params={"by": by})
        return [(one["of"], one["requests"], one["credits"]) for one in reply.json["usage"]]

    assert await sums("operation") == [(None, 2, 0), ("png/webp:convert", 1, 1)]
    assert await sums("key") == [(customer.key[9:21], 3, 1)]
    ((_, requests, credits),) = await sums("day")
    assert (requests, credits) == (3, 1)


async def test_a_batch_is_one_request_with_the_credits_of_all_its_files(
    service: Service, customer: Customer
) -> None:
    parts = aiohttp.FormData()
    for number in range(2):
        parts.add_field("file", picture(), filename=f"{number}.png")
    await service.ask("POST", "/v1/batch/png/webp", data=parts, headers=customer.headers)
    await _recorded(service, customer, 1)
    (batch,) = await _records(service, customer)
    assert (batch["path"], batch["credits"]) == ("/v1/batch/{source}/{target}", 2)


async def test_a_repeated_request_costs_nothing_again(service: Service, customer: Customer) -> None:
    for _ in range(2):
        await service.convert("png/webp", picture(), customer, headers={"Idempotency-Key": "again"})
    await _recorded(service, customer, 2)
    assert [one["credits"] for one in await _records(service, customer)] == [0, 1]


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/v1/requests", {"status": "200"}),
        ("/v1/requests", {"limit": "0"}),
        ("/v1/requests", {"cursor": "x"}),
        ("/v1/requests", {"cursor": "99999999999999999999_0"}),
        ("/v1/requests", {"from": "yesterday"}),
        ("/v1/requests", {"key": "\x00"}),
        ("/v1/requests", {"operation": "x" * 121}),
        ("/v1/requests", {"format": "xml"}),
        ("/v1/usage", {"by": "hour"}),
        ("/v1/usage", {"from": "2026-11-20", "to": "2026-11-19"}),
        ("/v1/usage", {"from": "0001-01-01"}),
        ("/v1/usage", {"to": "0001-01-01"}),
    ],
)
async def test_what_cannot_be_asked_is_a_clear_400(
    service: Service, customer: Customer, path: str, query: dict[str, str]
) -> None:
    reply = await service.ask("GET", path, headers=customer.headers, params=query)
    assert reply.status in {200, 400} if query == {"to": "0001-01-01"} else reply.status == 400


async def test_an_operator_keeps_whole_addresses_none_or_no_records(service: Service) -> None:
    for records, kept in (({"address": "none"}, [None]), ({"keep": False}, [])):
        async with listening(service.engine, service.ledger, records=records) as other:
            customer = await other.customer()
            await other.ask("GET", "/v1/account", headers=customer.headers)
            await _recorded(service, customer, len(kept))
            assert [one["address"] for one in await _records(service, customer)] == kept


async def test_a_task_is_a_record_of_its_own_with_what_it_cost(
    service: Service, customer: Customer
) -> None:
    submitted = await service.ask(
        "POST", "/v1/tasks/png/webp", data=picture(), headers=customer.headers
    )
    assert submitted.status == 202
    await _recorded(service, customer, 2)
    task, asked = await _records(service, customer)
    assert (asked["method"], asked["status"], asked["credits"]) == ("POST", 202, 0)
    assert (task["method"], task["path"], task["status"]) == ("TASK", "/v1/tasks/{id}", 200)
    assert (task["operation"], task["credits"], task["bytes_in"]) == (
        "png/webp:convert",
        1,
        len(picture()),
    )
    assert task["key"] == customer.key[9:21]


async def test_figures_say_how_many_records_wait_and_were_dropped(service: Service) -> None:
    page = (await service.ask("GET", "/metrics")).body.decode()
    assert "ephemera_request_records_waiting " in page
    assert "ephemera_request_records_dropped_total 0.0" in page
