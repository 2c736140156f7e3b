"""Asynchronous conversions, as a client of ConvertAPI asks for them and asks after them."""

import asyncio
import base64
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio

from gateway.compat.convertapi import errors
from tests.compat.remote import Remote
from tests.gateway.samples import document, opened, picture
from tests.gateway.service import PATIENCE_S, Customer, Reply, Service, until

pytestmark = pytest.mark.asyncio(loop_scope="session")

MINE = "mine0000000000000000000000000000"


async def upload(service: Service, body: bytes, name: str) -> str:
    """By somebody who does not say who."""
    reply = await service.ask(
        "POST", "/upload", params={"filename": name}, data=body, headers={"Accept": "*/*"}
    )
    return str(reply.json["FileId"])


async def submit(service: Service, customer: Customer, pair: str, **said: str) -> Reply:
    return await service.ask("POST", f"/async/convert/{pair}", data=said, headers=customer.headers)


async def ask(service: Service, customer: Customer, job: str, accept: str = "*/*") -> Reply:
    headers = customer.headers | {"Accept": accept}
    return await service.ask("GET", f"/async/job/{job}", headers=headers)


async def over(service: Service, customer: Customer, job: str, accept: str = "*/*") -> Reply:
    """The answer when it is not 202 any more."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            reply = await ask(service, customer, job, accept)
            if reply.status != 202:
                return reply
            await asyncio.sleep(0.01)


@pytest_asyncio.fixture(loop_scope="session")
async def paused(service: Service) -> AsyncIterator[None]:
    """Nothing is begun for the time of a test."""
    service.engine.pause()
    yield
    service.engine.resume()


async def test_a_job_is_taken_under_way_and_done(service: Service, customer: Customer) -> None:
    source = await upload(service, picture(), "photo.png")
    service.engine.pause()
    try:
        taken = await submit(service, customer, "png/to/webp", File=source, StoreFile="true")
        job = taken.json["JobId"]
        assert (taken.status, taken.json) == (200, {"JobId": job})
        assert len(job) == 32
        waiting = await ask(service, customer, job)
        assert (waiting.status, waiting.json) == (202, {"JobId": job})
        assert int(waiting.headers["Retry-After"]) > 0
        assert await service.kinds(customer) == []
    finally:
        service.engine.resume()
    for _ in range(2):  # as often as somebody asks
        done = await over(service, customer, job)
        assert done.status == 200, done.body
        assert (done.json["JobId"], done.json["ConversionCost"]) == (job, 1)
        (file,) = done.json["Files"]
        assert (file["FileName"], file["FileExt"]) == ("photo.webp", "webp")
    result = await service.ask("GET", f"/d/{file['FileId']}")
    assert opened(result.body).format == "WEBP"
    assert file["Url"].startswith(f"{service.url}/d/{file['FileId']}")
    assert await service.kinds(customer) == ["consumption"]


async def test_a_client_names_its_job(service: Service, customer: Customer) -> None:
    source = await upload(service, picture(), "photo.png")
    taken = await submit(service, customer, "png/to/webp", File=source, JobId=MINE)
    assert taken.json == {"JobId": MINE}
    again = await submit(service, customer, "png/to/webp", File=source, JobId=MINE)
    assert (again.status, again.json["Code"]) == (400, 4000)
    assert list(again.json["InvalidParameters"]) == ["JobId"]
    stranger = await service.customer()
    assert (await ask(service, stranger, MINE)).status == 404
    assert (await service.ask("GET", f"/async/job/{MINE}")).status == 401
    # Ids are each account's own: who guesses one learns nothing, and takes nothing away.
    theirs = await submit(service, stranger, "png/to/jpg", File=source, JobId=MINE)
    assert theirs.status == 200
    assert (await over(service, customer, MINE)).json["Files"][0]["FileName"] == "photo.webp"
    assert (await over(service, stranger, MINE)).json["Files"][0]["FileName"] == "photo.jpg"


@pytest.mark.parametrize("wrong", ["short", "UPPER000000000000000000000000000", "a" * 33])
async def test_a_job_id_that_cannot_be_is_refused(
    service: Service, customer: Customer, wrong: str
) -> None:
    source = await upload(service, picture(), "photo.png")
    reply = await submit(service, customer, "png/to/webp", File=source, JobId=wrong)
    assert (reply.status, reply.json["Code"]) == (400, 4000)
    assert list(reply.json["InvalidParameters"]) == ["JobId"]
    assert (await ask(service, customer, wrong)).status == 404


async def test_what_cannot_be_converted_is_refused_at_once(
    service: Service, customer: Customer
) -> None:
    source = await upload(service, document(1), "a.pdf")
    for pair, said, code in (
        ("pdf/to/png", {"File": source, "PageRange": "last to first"}, 4000),
        ("pdf/to/png", {"File": source, "Timeout": "1"}, 4000),
        ("pdf/to/png", {}, 4000),
        ("pdf/to/dwg", {"File": source}, 415),
        ("pdf/to/png", {"File": "0" * 32}, 5009),
        ("pdf/to/png", {"File": "ftp://example.com/a.pdf"}, 50010),
        ("pdf/to/png", {"File": source, "WebHook": "file:///etc/passwd"}, 4000),
    ):
        reply = await submit(service, customer, pair, **said)
        assert reply.json["Code"] == code, (pair, said, reply.body)
    assert await service.kinds(customer) == []


@pytest.mark.parametrize(
    ("name", "value"), [("JobId", MINE), ("WebHook", "https://example.com/"), ("Async", "true")]
)
async def test_who_waits_for_the_answer_cannot_ask_for_a_job(
    service: Service, customer: Customer, name: str, value: str
) -> None:
    reply = await service.ask(
        "POST",
        "/convert/png/to/webp",
        data={"File": await upload(service, picture(), "a.png"), name: value},
        headers=customer.headers,
    )
    assert (reply.status, reply.json["Code"]) == (400, 4000)
    assert list(reply.json["InvalidParameters"]) == [name]
    assert "/async/convert" in reply.json["InvalidParameters"][name][0]


async def test_a_failed_job_is_answered_by_its_error_and_costs_nothing(
    service: Service, customer: Customer
) -> None:
    source = await upload(service, document(2)[:200], "a.pdf")
    job = (await submit(service, customer, "pdf/to/png", File=source)).json["JobId"]
    reply = await over(service, customer, job)
    assert reply.status == 500
    assert reply.json["Code"] in {5001, 5002}
    assert reply.json["Message"]
    assert await service.ledger.balance(customer.account_id) == customer.credits


@pytest.mark.parametrize(
    ("target", "said", "code"),
    [("png", {}, 5003), ("png", {"Password": "wrong"}, 5007), ("extract-images", {}, 50013)],
)
async def test_a_failed_job_says_what_was_the_matter(
    service: Service, customer: Customer, target: str, said: dict[str, str], code: int
) -> None:
    locked = None if target == "extract-images" else "open sesame"
    source = await upload(service, document(1, locked_by=locked), "a.pdf")
    taken = await submit(service, customer, f"pdf/to/{target}", File=source, **said)
    reply = await over(service, customer, taken.json["JobId"])
    assert (reply.status, reply.json["Code"]) == (500, code)


async def test_results_are_in_the_answer_where_they_are_not_to_be_stored(
    service: Service, customer: Customer
) -> None:
    source = await upload(service, document(2), "a.pdf")
    job = (await submit(service, customer, "pdf/to/png", File=source)).json["JobId"]
    reply = await over(service, customer, job)
    assert [file["FileName"] for file in reply.json["Files"]] == ["a_0.png", "a_1.png"]
    for file in reply.json["Files"]:
        body = base64.b64decode(file["FileData"], validate=True)
        assert len(body) == file["FileSize"]
        assert opened(body).format == "PNG"
        assert "Url" not in file
    first = await ask(service, customer, job, "application/octet-stream")
    assert first.body == base64.b64decode(reply.json["Files"][0]["FileData"])
    assert 'filename="a_0.png"' in first.headers["Content-Disposition"]
    mixed = await ask(service, customer, job, "multipart/mixed")
    assert mixed.headers["Content-Type"].startswith("multipart/mixed; boundary=")
    for file in reply.json["Files"]:
        assert base64.b64decode(file["FileData"]) in mixed.body
    async with await service.open() as wire:
        for _ in range(2):  # nothing is left on the connection
            key = f"Authorization: Bearer {customer.key}"
            await wire.send(f"HEAD /async/job/{job} HTTP/1.1\r\nHost: x\r\n{key}\r\n\r\n".encode())
            status, headers = await wire.head()
            assert (status, headers["content-type"]) == (200, "application/json")


async def test_files_come_along_and_go_with_the_job(service: Service, customer: Customer) -> None:
    form = aiohttp.FormData()
    for number in range(2):
        form.add_field(f"Files[{number}]", document(number + 1), filename=f"{number}.pdf")
    form.add_field("FileName", "whole.pdf")
    form.add_field("StoreFile", "true")
    reply = await service.ask(
        "POST", "/async/convert/pdf/to/merge", data=form, headers=customer.headers
    )
    assert reply.status == 200, reply.body
    done = await over(service, customer, reply.json["JobId"])
    assert [file["FileName"] for file in done.json["Files"]] == ["whole.pdf"]
    left = await service.ledger.files.list(customer.account_id)
    assert len(left) == 1  # the result


async def test_a_job_fetches_its_file_when_it_runs(
    service: Service, customer: Customer, remote: Remote
) -> None:
    address = remote.serve("away.png", picture())
    job = (await submit(service, customer, "png/to/webp", File=address)).json["JobId"]
    assert (await over(service, customer, job)).json["Files"][0]["FileName"] == "away.webp"


async def test_a_job_looks_at_files_whose_format_is_left_open(
    service: Service, customer: Customer
) -> None:
    files = {
        "Files[0]": await upload(service, picture(), "a.png"),
        "Files[1]": await upload(service, b"text\n", "b.txt"),
    }
    job = (await submit(service, customer, "any/to/zip", **files)).json["JobId"]
    done = await over(service, customer, job)
    assert done.status == 200, done.body
    assert done.json["Files"][0]["FileName"] == "a.zip"


async def test_the_webhook_is_told_the_id_and_nothing_else(
    service: Service, customer: Customer, remote: Remote
) -> None:
    source = await upload(service, picture(), "photo.png")
    taken = await submit(
        service, customer, "png/to/webp", File=source, WebHook=f"{remote.url}/hook"
    )
    job = taken.json["JobId"]
    await until(lambda: bool(remote.posted))
    ((kind, headers, body),) = remote.posted
    assert (kind, body) == ("application/json", b'{"JobId":"%s"}' % job.encode())
    assert not any("signature" in name.lower() for name in headers)
    assert (await ask(service, customer, job)).status == 200


@pytest.mark.usefixtures("paused")
async def test_a_cancelled_job_is_not_done_and_costs_nothing(
    service: Service, customer: Customer
) -> None:
    source = await upload(service, picture(), "photo.png")
    job = (await submit(service, customer, "png/to/webp", File=source)).json["JobId"]
    stranger = await service.customer()
    for who, status, left in ((stranger, 404, 202), (customer, 200, 404)):
        reply = await service.ask("DELETE", f"/async/job/{job}", headers=who.headers)
        assert reply.status == status
        assert (await ask(service, customer, job)).status == left
    service.engine.resume()
    assert await service.ledger.balance(customer.account_id) == customer.credits


async def test_a_job_that_is_forgotten_takes_its_results_along(
    service: Service, customer: Customer
) -> None:
    source = await upload(service, picture(), "photo.png")
    taken = await submit(service, customer, "png/to/webp", File=source, StoreFile="true")
    job = taken.json["JobId"]
    (file,) = (await over(service, customer, job)).json["Files"]
    assert (await service.ask("HEAD", f"/d/{file['FileId']}")).status == 200
    assert (
        await service.ask("DELETE", f"/async/job/{job}", headers=customer.headers)
    ).status == 200
    assert (await ask(service, customer, job)).status == 404
    assert (await service.ask("HEAD", f"/d/{file['FileId']}")).status == 404


async def test_a_job_that_took_too_long_says_so_as_a_conversion_does() -> None:
    for code in ("conversion-timeout", "task-timeout"):
        told = errors.told_of(code, "the 10 s were over")
        assert (told.status, told.document.code) == (500, errors.TIMEOUT)
