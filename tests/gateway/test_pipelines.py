"""Several steps in one request: one price, one debit, one answer; a failure names its step."""

import base64
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import msgspec
import pikepdf
import pytest
import pytest_asyncio

from gateway.receipt_desk import HEADER
from gateway.receipt_keys import ReceiptKeys
from gateway.stages import Stage
from gateway.state import MEMORY, RECEIPTS
from tests.engine.calls import sample
from tests.gateway.samples import document, noise, opened, picture
from tests.gateway.service import Customer, Reply, Service, listening
from tests.gateway.test_batch import forks_of_requests

pytestmark = pytest.mark.asyncio(loop_scope="session")

LOCKED = "source=png&step=jpeg&width=32&step=pdf&step=pdf&operation=protect&user_password=sesame"


async def run(service: Service, query: str, body: Any, customer: Customer, **headers: str) -> Reply:
    path = f"/v1/pipelines?{query}"
    return await service.ask("POST", path, data=body, headers=customer.headers | headers)


async def test_a_picture_is_sized_made_a_page_and_locked_for_one_debit(
    service: Service, customer: Customer
) -> None:
    body = picture()
    reply = await run(service, LOCKED, body, customer)
    assert reply.status == 200, reply.body
    assert reply.headers["Content-Type"] == "application/pdf"
    with pikepdf.open(io.BytesIO(reply.body), password="sesame") as made:
        (image,) = made.pages[0].get_images().values()
        assert (image.Width, image.Height, image.Filter) == (32, 24, "/DCTDecode")
    assert reply.headers["X-Credits-Used"] == "3"
    assert reply.headers["X-Credits-Remaining"] == str(customer.credits - 3)
    assert reply.headers["X-Isolation-Policy"] == "per-request"
    assert await service.kinds(customer) == ["consumption"]
    assert await service.ledger.balance(customer.account_id) == customer.credits - 3


async def test_steps_of_one_family_share_one_worker(service: Service, customer: Customer) -> None:
    pool = service.engine._pools["image"]
    query = "source=png&step=webp&width=40&step=png&flip=true&step=jpeg&quality=90"
    with forks_of_requests(pool) as forked:
        reply = await run(service, query, picture(), customer)
    await service.quiet()
    assert opened(reply.body).size == (40, 30)
    assert len(forked) == 1
    assert pool.kept == 0


async def test_several_files_of_a_form_are_the_first_steps(
    service: Service, customer: Customer
) -> None:
    form = aiohttp.FormData()
    for pages in (2, 3):
        form.add_field("file", document(pages), filename="part.pdf")
    query = "source=pdf&step=pdf&operation=merge&step=pdf&operation=rotate&angle=90"
    reply = await run(service, query, form, customer)
    with pikepdf.open(io.BytesIO(reply.body)) as made:
        assert [page.obj.Rotate for page in made.pages] == [90] * 5
    assert 'filename="part.pdf"' in reply.headers["Content-Disposition"]


async def test_the_last_step_may_make_several_files_and_no_other(
    service: Service, customer: Customer
) -> None:
    split = "source=pdf&step=pdf&operation=rotate&angle=90&step=pdf&operation=split"
    reply = await run(service, split, document(2), customer)
    assert (reply.status, reply.headers["Content-Type"]) == (200, "application/zip")
    between = "source=pdf&step=pdf&operation=split&step=pdf&operation=rotate&angle=90"
    reply = await run(service, between, document(2), customer)
    assert (reply.status, reply.json["code"]) == (422, "result-impossible")
    assert reply.json["detail"].startswith("step 1 (pdf.split): it made 2 files")
    assert (await service.kinds(customer))[-2:] == ["consumption", "refund"]


async def test_a_step_that_fails_is_named_and_everything_is_refunded(
    service: Service, customer: Customer
) -> None:
    query = "source=pdf&step=pdf&operation=rotate&angle=90&step=pdf&operation=pages&pages=7"
    reply = await run(service, query, document(2), customer)
    assert reply.status == 422
    assert reply.json["detail"].startswith("step 2 (pdf.pages): ")
    assert reply.json["charged"] is False
    assert await service.kinds(customer) == ["consumption", "refund"]
    assert await service.ledger.balance(customer.account_id) == customer.credits


async def test_warnings_of_all_steps_are_told_with_their_number(
    service: Service, customer: Customer
) -> None:
    query = "source=gif&step=jpeg&step=webp"
    reply = await run(service, query, sample("animation.gif"), customer)
    assert reply.status == 200
    assert '"step 1: ' in reply.headers["X-Conversion-Warnings"]


@pytest.mark.parametrize(
    ("query", "status", "code", "said"),
    [
        ("source=png", 422, "option-invalid", "1 to 10 steps, not 0"),
        ("source=png" + "&step=png" * 11, 422, "option-invalid", "not 11"),
        ("width=8&step=png", 422, "option-invalid", "options follow the step"),
        ("step=png&width=8&width=9", 422, "option-invalid", "step 1 is given this option twice"),
        ("source=png&step=webp&step=png&widht=9", 422, "option-invalid", "step 2 (to png): "),
        ("source=png&step=webp&step=nonsense", 404, "format-unknown", "step 2 (to nonsense): "),
        ("source=png&step=mp3&step=zip", 422, "conversion-unsupported", "step 1 (to mp3): "),
        ("step=pdf&step=pdf&operation=overlay", 422, "file-count-invalid", "a step gets one"),
        ("source=png&step=webp&step=png&source=x", 422, "option-invalid", "step 2 (to png): "),
    ],
)
async def test_what_cannot_be_is_refused_before_the_body_is_sent(  # noqa: PLR0917 -- a table
    service: Service, customer: Customer, query: str, status: int, code: str, said: str
) -> None:
    wire = await service.open()
    async with wire:
        head = (
            f"POST /v1/pipelines?{query} HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\n"
            f"Authorization: Bearer {customer.key}\r\nContent-Length: 1000\r\n\r\n"
        )
        await wire.send(head.encode())
        answer = await wire.answer()
    assert (answer.status, answer.json["code"]) == (status, code), answer.json
    assert said in answer.json["detail"]
    assert await service.kinds(customer) == []


async def test_a_repeat_is_not_charged_again_and_another_step_is_another_request(
    service: Service, customer: Customer
) -> None:
    key = {"Idempotency-Key": str(uuid4())}
    for repeat in (None, "true"):
        reply = await run(service, "source=png&step=webp&step=jpeg", picture(), customer, **key)
        assert (reply.status, reply.headers.get("Idempotent-Replay")) == (200, repeat)
    other = await run(service, "source=png&step=webp&step=png", picture(), customer, **key)
    assert other.json["code"] == "idempotency-key-mismatch"
    assert await service.kinds(customer) == ["consumption"]


async def test_a_balance_below_the_sum_buys_no_step(service: Service) -> None:
    poor = await service.customer(opening=2)
    reply = await run(service, LOCKED, picture(), poor)
    assert (reply.status, reply.json["code"]) == (402, "insufficient-credits")
    assert await service.kinds(poor) == []


async def test_a_client_that_hangs_up_gets_everything_back(
    service: Service, customer: Customer
) -> None:
    body = noise(1200, 1200)
    async with listening(service.engine, service.ledger) as fresh:
        wire = await fresh.open(window=4096)
        head = (
            "POST /v1/pipelines?source=png&step=tiff&step=bmp HTTP/1.1\r\nHost: test\r\n"
            f"Authorization: Bearer {customer.key}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        await wire.send(head.encode() + body)
        await fresh.stages.wait(Stage.RESPONDING)
        wire.hang_up()
        await fresh.quiet()
        assert fresh.app[MEMORY].taken == 0
    assert await service.kinds(customer) == ["consumption", "refund"]


@pytest_asyncio.fixture(loop_scope="session")
async def desk(shared_service: Service, tmp_path: Path) -> AsyncIterator[Service]:
    """A service with a home of its own, for its keys."""
    async with listening(shared_service.engine, shared_service.ledger) as service:
        object.__setattr__(service.app[RECEIPTS], "keys", ReceiptKeys(tmp_path))
        yield service
        await service.quiet()


async def test_a_receipt_names_every_step_its_libraries_and_no_password(desk: Service) -> None:
    customer = await desk.customer()
    reply = await run(desk, LOCKED, picture(), customer, Prefer="receipt")
    text = reply.headers[HEADER].split(".")[1]
    receipt = msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    assert (receipt["converter"], receipt["source"], receipt["target"]) == (
        "pipeline",
        "png",
        "pdf",
    )
    assert receipt["credits"] == 3
    told = receipt["options"]["steps"]
    assert [one["converter"] for one in told] == ["image.convert", "pdf.images", "pdf.protect"]
    assert told[0]["options"]["width"] == 32
    assert told[2]["options"]["user_password"] is None
    assert "pikepdf" in told[2]["libraries"]
    assert b"sesame" not in base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
