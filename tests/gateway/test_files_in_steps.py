"""Stored files as sources of pipelines and inspections, and the results of pipelines stored."""

import io
from typing import Any
from uuid import uuid4

import pikepdf
import pytest

from engine.engine import Engine
from gateway.stages import Stage
from gateway.state import MEMORY
from ledger.ledger import Ledger
from tests.gateway.samples import document, noise, opened, picture
from tests.gateway.service import Customer, Reply, Service, listening

pytestmark = pytest.mark.asyncio(loop_scope="session")

STEPS = "source=png&step=jpeg&width=32&step=webp"
UNKNOWN = "ephf_" + "a" * 16 + "_" + "b" * 43


async def store(service: Service, customer: Customer, body: bytes, name: str = "a.bin") -> str:
    named = {"Content-Disposition": f'attachment; filename="{name}"'}
    headers = customer.headers | named
    reply = await service.ask("POST", "/v1/files", data=body, headers=headers)
    assert reply.status == 201, reply.body
    return str(reply.json["handle"])


async def fetch(service: Service, customer: Customer, url: str) -> Reply:
    return await service.ask("GET", url, headers=customer.headers)


async def post(
    service: Service, customer: Customer, path: str, body: Any = None, **headers: str
) -> Reply:
    return await service.ask("POST", path, data=body, headers=customer.headers | headers)


async def listed(service: Service, customer: Customer) -> list[dict[str, Any]]:
    return list((await fetch(service, customer, "/v1/files")).json["files"])


async def test_a_pipeline_takes_a_stored_file_and_stores_what_its_last_step_made(
    service: Service, customer: Customer
) -> None:
    handle = await store(service, customer, picture(), "holiday.png")
    path = f"/v1/pipelines?file={handle}&{STEPS}&store=true&lifetime_s=60"
    reply = await post(service, customer, path)
    assert (reply.status, reply.json["media_type"]) == (201, "image/webp"), reply.body
    assert reply.headers["Location"] == reply.json["url"]
    assert reply.headers["X-Credits-Used"] == "2"
    assert "Content-Disposition" not in reply.headers
    file = await fetch(service, customer, reply.json["url"])
    assert opened(file.body).size == (32, 24)
    assert 'filename="holiday.webp"' in file.headers["Content-Disposition"]
    await service.quiet()
    assert await service.kinds(customer) == ["consumption"]
    assert service.app[MEMORY].taken == 0


async def test_several_stored_files_are_the_first_steps(
    service: Service, customer: Customer
) -> None:
    handles = [await store(service, customer, document(pages)) for pages in (2, 3)]
    files = "&".join(f"file={handle}" for handle in handles)
    path = f"/v1/pipelines?source=pdf&step=pdf&operation=merge&{files}&step=pdf&operation=rotate"
    reply = await post(service, customer, f"{path}&angle=90")
    assert reply.status == 200, reply.body
    with pikepdf.open(io.BytesIO(reply.body)) as made:
        assert [page.obj.Rotate for page in made.pages] == [90] * 5


async def test_a_repeat_that_is_stored_is_another_request_than_one_that_is_sent(
    service: Service, customer: Customer
) -> None:
    handle, key = await store(service, customer, picture()), {"Idempotency-Key": str(uuid4())}
    path = f"/v1/pipelines?file={handle}&{STEPS}"
    assert (await post(service, customer, path, **key)).status == 200
    assert (await post(service, customer, path, **key)).headers["Idempotent-Replay"] == "true"
    reply = await post(service, customer, f"{path}&store=true", **key)
    assert reply.json["code"] == "idempotency-key-mismatch"
    assert await service.kinds(customer) == ["consumption"]


async def test_a_client_that_hangs_up_before_it_has_the_handle_has_nothing_stored_and_pays_nothing(
    engine: Engine, ledger: Ledger, customer: Customer
) -> None:
    body = noise(60, 60)
    async with listening(engine, ledger) as fresh:
        wire = await fresh.open()
        # The answer is short: only a client that is gone before it is written does not have it.
        fresh.stages.at(Stage.CONVERTED, wire.hang_up)
        head = (
            f"POST /v1/pipelines?{STEPS}&store=true HTTP/1.1\r\nHost: test\r\n"
            f"Authorization: Bearer {customer.key}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        await wire.send(head.encode() + body)
        await fresh.stages.wait(Stage.CONVERTED)
        await fresh.quiet()
        assert Stage.DELIVERED not in fresh.stages.seen
        assert await listed(fresh, customer) == []
        assert await fresh.kinds(customer) == ["consumption", "refund"]


async def test_an_inspection_takes_a_stored_file(service: Service, customer: Customer) -> None:
    handle = await store(service, customer, document(3))
    # A client library that always names a form says nothing by it where there is no body.
    form = {"Content-Type": "multipart/form-data; boundary=x"}
    reply = await post(service, customer, f"/v1/inspect?file={handle}", **form)
    assert (reply.status, reply.json["pages"], reply.json["credits"]) == (200, 3, 1), reply.body
    reply = await post(service, customer, f"/v1/inspect?file={handle}&details=false")
    assert (reply.json["format"], reply.json["credits"]) == ("pdf", 0)
    assert await service.kinds(customer) == ["consumption"]


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/v1/inspect?file=HANDLE", b"x", 400, "malformed-request"),
        ("/v1/inspect?file=HANDLE&file=HANDLE", None, 413, "too-many-files"),
        (f"/v1/inspect?file={UNKNOWN}", None, 404, "file-unknown"),
        ("/v1/inspect?file=HANDLE&store=true", None, 422, "option-invalid"),
        (f"/v1/pipelines?{STEPS}&file=HANDLE", b"x", 400, "malformed-request"),
        (f"/v1/pipelines?{STEPS}&file={UNKNOWN}", None, 404, "file-unknown"),
        (f"/v1/pipelines?{STEPS}&lifetime_s=9", b"x", 422, "option-invalid"),
        (f"/v1/pipelines?{STEPS}&store=perhaps", b"x", 422, "option-invalid"),
        (f"/v1/pipelines?store=true&{STEPS}&store=true", b"x", 422, "option-invalid"),
    ],
)
async def test_what_cannot_be_is_refused_and_free(  # noqa: PLR0917 -- a table
    service: Service, customer: Customer, path: str, body: Any, status: int, code: str
) -> None:
    handle = await store(service, customer, picture())
    reply = await post(service, customer, path.replace("HANDLE", handle), body)
    assert (reply.status, reply.json["code"]) == (status, code), reply.body
    assert await service.ledger.balance(customer.account_id) == customer.credits


async def test_another_accounts_file_is_no_file(service: Service, customer: Customer) -> None:
    handle, stranger = await store(service, customer, picture()), await service.customer()
    for path in (f"/v1/inspect?file={handle}", f"/v1/pipelines?{STEPS}&file={handle}"):
        reply = await post(service, stranger, path)
        assert (reply.status, reply.json["code"]) == (404, "file-unknown")
