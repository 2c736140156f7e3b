"""A file in, a file out, paid for: the main path as a customer sees it."""

import asyncio
import io
import re
from collections.abc import AsyncIterator

import aiohttp
import pikepdf
import pytest

from gateway.stages import Stage
from tests.gateway.samples import document, opened, picture
from tests.gateway.service import Customer, Service

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_raw_body_comes_back_converted_with_its_price(
    service: Service, customer: Customer
) -> None:
    reply = await service.convert("jpeg/webp", picture("JPEG"), customer, width="32")
    assert reply.status == 200
    assert reply.headers["Content-Type"] == "image/webp"
    assert reply.headers["Content-Disposition"] == 'attachment; filename="converted.webp"'
    assert opened(reply.body).size == (32, 24)
    assert reply.headers["X-Credits-Used"] == "1"
    assert reply.headers["X-Credits-Remaining"] == "99"
    assert reply.headers["Cache-Control"] == "no-store"
    assert reply.headers["X-Content-Type-Options"] == "nosniff"


async def test_the_request_id_names_the_entry_that_paid(
    service: Service, customer: Customer
) -> None:
    reply = await service.convert("png/webp", picture(), customer)
    newest = (await service.entries(customer))[0]
    assert reply.headers["X-Request-Id"] == str(newest.conversion_id)
    assert (newest.kind, newest.credits, newest.balance) == ("consumption", -1, 99)


async def test_formats_go_by_any_name_and_auto_looks_at_the_bytes(
    service: Service, customer: Customer
) -> None:
    for path in ("jpg/png", "JPEG/PNG", "auto/png"):
        reply = await service.convert(path, picture("JPEG"), customer)
        assert (reply.status, opened(reply.body).format) == (200, "PNG")


async def test_every_stage_of_a_conversion_is_observed_in_order(
    service: Service, customer: Customer
) -> None:
    service.stages.seen.clear()
    await service.convert("png/webp", picture(), customer)
    await service.quiet()
    assert service.stages.seen == list(Stage)


async def test_what_curl_calls_a_form_is_taken_as_the_file_it_is(
    service: Service, customer: Customer
) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert (await service.convert("png/webp", picture(), customer, form)).status == 200


async def test_a_body_of_unknown_length_is_taken(service: Service, customer: Customer) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        body = picture()
        for start in range(0, len(body), 100):
            yield body[start : start + 100]

    assert (await service.convert("png/webp", pieces(), customer)).status == 200


async def test_the_download_is_named_after_the_upload(service: Service, customer: Customer) -> None:
    named = {"Content-Disposition": "attachment; filename*=UTF-8''sk%C3%AD.png"}
    reply = await service.convert("png/webp", picture(), customer, named)
    assert reply.headers["Content-Disposition"].endswith("filename*=UTF-8''sk%C3%AD.webp")


async def test_one_file_may_come_as_multipart(service: Service, customer: Customer) -> None:
    form = aiohttp.FormData()
    form.add_field("file", picture(), filename="holiday.png")
    reply = await service.convert("png/webp", form, customer)
    assert reply.status == 200
    assert reply.headers["Content-Disposition"] == 'attachment; filename="holiday.webp"'


async def test_several_files_come_as_multipart_in_their_order(
    service: Service, customer: Customer
) -> None:
    form = aiohttp.FormData()
    for pages in (1, 2):
        form.add_field("file", document(pages), filename=f"{pages}.pdf")
    reply = await service.convert("pdf/pdf", form, customer, operation="merge")
    assert reply.status == 200, reply.body
    assert len(pikepdf.open(io.BytesIO(reply.body)).pages) == 3


async def test_a_key_makes_a_retry_free(service: Service, customer: Customer) -> None:
    key = {"Idempotency-Key": "retry me"}
    first = await service.convert("png/webp", picture(), customer, key)
    again = await service.convert("png/webp", picture(), customer, key)
    assert (first.headers["X-Credits-Used"], again.headers["X-Credits-Used"]) == ("1", "0")
    assert again.headers["Idempotent-Replay"] == "true"
    assert again.body == first.body
    assert await service.kinds(customer) == ["consumption"]


async def test_a_key_is_for_one_request_only(service: Service, customer: Customer) -> None:
    key = {"Idempotency-Key": "mine"}
    await service.convert("png/webp", picture(), customer, key)
    other = await service.convert("png/webp", picture(), customer, key, width="10")
    assert (other.status, other.json["code"]) == (422, "idempotency-key-mismatch")
    assert await service.kinds(customer) == ["consumption"]


async def test_two_requests_with_one_key_are_charged_once(
    service: Service, customer: Customer
) -> None:
    key = {"Idempotency-Key": "twins"}
    twins = await asyncio.gather(
        *(service.convert("png/webp", picture(), customer, key) for _ in range(2))
    )
    assert {reply.status for reply in twins} <= {200, 409}
    assert await service.kinds(customer) == ["consumption"]


async def test_a_failed_attempt_leaves_its_key_free(service: Service, customer: Customer) -> None:
    key = {"Idempotency-Key": "second chance"}
    broken = picture()[:100]
    for _ in range(2):
        reply = await service.convert("png/webp", broken, customer, key)
        assert reply.json["code"] == "file-unreadable"
    assert await service.kinds(customer) == ["consumption", "refund"] * 2


async def test_the_account_shows_its_balance_and_its_entries_page_by_page(
    service: Service, customer: Customer
) -> None:
    for _ in range(3):
        await service.convert("png/webp", picture(), customer)
    account = await service.ask("GET", "/v1/account", headers=customer.headers)
    assert (account.json["balance"], account.json["status"]) == (97, "active")
    seen, cursor = [], ""
    while cursor is not None:
        query = "&cursor=" + cursor if cursor else ""
        page = await service.ask(
            "GET", f"/v1/account/entries?limit=2{query}", headers=customer.headers
        )
        seen += [entry["seq"] for entry in page.json["entries"]]
        cursor = page.json["next"]
    assert seen == [4, 3, 2, 1]


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "limit=x", "cursor=-1", "cursor=٣"])
async def test_a_page_that_cannot_be_is_refused(
    service: Service, customer: Customer, query: str
) -> None:
    reply = await service.ask("GET", f"/v1/account/entries?{query}", headers=customer.headers)
    assert (reply.status, reply.json["code"]) == (400, "malformed-request")


async def test_formats_lists_what_becomes_what_with_options_and_prices(service: Service) -> None:
    page = (await service.ask("GET", "/v1/formats")).json
    converter = next(one for one in page["converters"] if one["name"] == "image.convert")
    assert "jpeg" in converter["sources"]
    assert "webp" in converter["targets"]
    assert converter["credits"] >= 1
    assert converter["options"]["properties"]["width"]["minimum"] == 1
    assert {one["name"] for one in page["formats"]} >= {"jpeg", "webp"}


async def test_the_metrics_name_stages_and_formats_and_no_customer(
    service: Service, customer: Customer
) -> None:
    named = {"Content-Disposition": 'attachment; filename="canary-name.png"'}
    await service.convert("png/webp", picture(), customer, named)
    page = (await service.ask("GET", "/metrics")).body.decode()
    for stage in ("read", "queue", "debit", "convert", "write", "settle"):
        count = re.search(rf'ephemera_stage_seconds_count{{stage="{stage}"}} (\d+)', page)
        assert count
        assert int(count[1]) > 0
    assert 'ephemera_conversions_total{converter="image.convert",source="png"' in page
    assert "canary" not in page
    assert str(customer.account_id) not in page
    assert "test " not in page
