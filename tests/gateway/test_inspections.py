"""What a file is: free where its bytes tell, a credit where a worker reads it."""

import io
import zipfile
from typing import Any

import pytest

from tests.engine.calls import sample
from tests.gateway.samples import document, picture
from tests.gateway.service import Customer, Reply, Service

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def inspect(service: Service, body: Any, customer: Customer, query: str = "") -> Reply:
    path = f"/v1/inspect{query}"
    return await service.ask("POST", path, data=body, headers=customer.headers)


async def test_a_picture_tells_its_size_for_one_credit(
    service: Service, customer: Customer
) -> None:
    body = sample("photo.jpg")
    reply = await inspect(service, body, customer)
    assert reply.status == 200, reply.body
    told = reply.json
    assert (told["format"], told["media_type"], told["bytes"]) == ("jpeg", "image/jpeg", len(body))
    assert (told["width"], told["height"]) == (240, 320)
    assert told["details"]["exif"]["Make"] == "Ephemera Camera Works"
    assert {"png", "webp", "pdf"} <= set(told["becomes"])
    assert (told["credits"], reply.headers["X-Credits-Used"]) == (1, "1")
    assert reply.headers["X-Isolation-Policy"] == "per-conversion"
    assert await service.kinds(customer) == ["consumption"]


async def test_a_document_tells_its_pages_and_an_animation_its_frames(
    service: Service, customer: Customer
) -> None:
    told = (await inspect(service, sample("nine.pdf"), customer)).json
    assert (told["pages"], told["encrypted"]) == (9, False)
    told = (await inspect(service, sample("animation.gif"), customer)).json
    assert (told["frames"], told["width"]) == (5, 64)


async def test_office_documents_tell_their_pages_and_who_wrote_them(
    service: Service, customer: Customer
) -> None:
    told = (await inspect(service, sample("office/deck.pptx"), customer)).json
    assert (told["pages"], told["details"]["slides"], told["credits"]) == (3, 3, 1)
    told = (await inspect(service, sample("document/suite.odt"), customer)).json
    assert (told["pages"], told["details"]["title"]) == (1, "Fixture")


async def test_an_encrypted_document_is_said_to_be_one_for_nothing_and_opened_by_its_password(
    service: Service, customer: Customer
) -> None:
    locked = document(3, locked_by="sesame")
    told = (await inspect(service, locked, customer)).json
    assert (told["format"], told["encrypted"], told["credits"]) == ("pdf", True, 0)
    assert "details" not in told
    assert await service.kinds(customer) == ["consumption", "refund"]
    told = (await inspect(service, locked, customer, "?password=sesame")).json
    assert (told["pages"], told["encrypted"], told["credits"]) == (3, True, 1)


async def test_what_the_bytes_tell_costs_nothing(service: Service, customer: Customer) -> None:
    reply = await inspect(service, picture(), customer, "?details=false")
    assert (reply.json["format"], reply.json["credits"]) == ("png", 0)
    assert "width" not in reply.json
    reply = await inspect(service, b"\x7fELF" + bytes(60), customer)
    assert (reply.json["format"], reply.json["credits"]) == ("elf", 0)
    assert await service.kinds(customer) == []


async def test_a_particular_format_is_named_with_what_else_it_is(
    service: Service, customer: Customer
) -> None:
    notebook = b'{"cells": [], "metadata": {}, "nbformat": 4}'
    told = (await inspect(service, notebook, customer)).json
    assert (told["format"], told["kinds"]) == ("ipynb", ["json", "txt"])


async def test_an_archive_tells_how_many_members_it_has(
    service: Service, customer: Customer
) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name in ("a", "b", "c"):
            archive.writestr(name, name)
    assert (await inspect(service, made.getvalue(), customer)).json["members"] == 3


@pytest.mark.parametrize(
    ("body", "query", "status", "code"),
    [
        (b"", "", 422, "file-empty"),
        (bytes(range(1, 256)) * 3, "", 422, "file-unrecognised"),
        (picture()[:20], "", 422, "file-unreadable"),
        (picture(), "?source=pdf", 422, "file-mismatch"),
        (picture(), "?source=nonsense", 404, "format-unknown"),
        (picture(), "?width=3", 422, "option-invalid"),
        (picture(), "?details=perhaps", 422, "option-invalid"),
    ],
)
async def test_what_cannot_be_inspected_is_a_problem_and_free(  # noqa: PLR0917 -- a table
    service: Service, customer: Customer, body: bytes, query: str, status: int, code: str
) -> None:
    reply = await inspect(service, body, customer, query)
    assert (reply.status, reply.json["code"]) == (status, code), reply.body
    assert await service.ledger.balance(customer.account_id) == customer.credits
