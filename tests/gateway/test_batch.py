"""Many files in one request: each with its own answer, and charged for what was delivered."""

import asyncio
import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes
from typing import Any
from uuid import uuid4

import aiohttp
import msgspec
import pytest

from engine.pool import Pool
from engine.workers import Worker
from gateway import state
from gateway.stages import Stage
from tests.gateway.samples import document, noise, opened, picture
from tests.gateway.service import Customer, Reply, Service, listening, until

pytestmark = pytest.mark.asyncio(loop_scope="session")

BAD = picture()[:100]


def form(*files: bytes, name: str = "photo.png") -> aiohttp.FormData:
    made = aiohttp.FormData()
    for file in files:
        made.add_field("file", file, filename=name)
    return made


async def batch(
    service: Service, path: str, body: Any, customer: Customer, **headers: str
) -> Reply:
    return await service.ask(
        "POST", f"/v1/batch/{path}", data=body, headers=customer.headers | headers
    )


def unzipped(reply: Reply) -> tuple[dict[str, Any], dict[str, bytes]]:
    assert (reply.status, reply.headers["Content-Type"]) == (200, "application/zip"), reply.body
    with zipfile.ZipFile(io.BytesIO(reply.body)) as members:
        assert members.testzip() is None
        files = {name: members.read(name) for name in members.namelist()}
    return msgspec.json.decode(files.pop("manifest.json")), files


@contextmanager
def forks_of_requests(pool: Pool) -> Iterator[list[int]]:
    """The uses of each worker that is forked for a request meanwhile; spares have one use."""
    assert pool._zygote is not None
    source, forked = pool._zygote.source, []
    fork = source.spawn

    async def spawn(uses: int | None = None, *, touch: bool = True) -> Worker:
        if uses != pool._rules.uses:
            forked.append(uses)
        return await fork(uses, touch=touch)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source, "spawn", spawn)
        yield forked


async def test_good_and_bad_files_each_have_their_line(
    service: Service, customer: Customer
) -> None:
    body = form(picture(), BAD, picture(width=10, height=20), picture("JPEG"))
    reply = await batch(service, "png/webp?width=8", body, customer)
    told, files = unzipped(reply)
    assert [item["status"] for item in told["items"]] == ["converted", "failed"] * 2
    assert (told["converted"], told["failed"], told["credits"]) == (2, 2, 2)
    assert sorted(files) == ["1-photo.webp", "3-photo.webp"]
    assert opened(files["3-photo.webp"]).size == (8, 16)
    first, second, third, fourth = told["items"]
    assert first["bytes"] == len(files["1-photo.webp"])
    assert (third["files"], third["credits"]) == (["3-photo.webp"], 1)
    assert (second["problem"]["code"], second["problem"]["charged"]) == ("file-unreadable", False)
    assert fourth["problem"]["code"] == "file-mismatch"
    assert told["isolation"] == reply.headers["X-Isolation-Policy"] == "per-request"
    assert reply.headers["X-Credits-Used"] == "2"
    assert reply.headers["X-Credits-Remaining"] == str(customer.credits - 2)
    entries = await service.entries(customer)
    charged = {str(entry.conversion_id) for entry in entries if entry.kind == "consumption"}
    assert charged == {one["conversion_id"] for one in (first, second, third)}
    assert sorted(await service.kinds(customer)) == ["consumption"] * 3 + ["refund"]


async def test_parts_come_where_they_are_asked_for(service: Service, customer: Customer) -> None:
    reply = await batch(
        service, "png/jpeg", form(picture(), BAD), customer, Accept="multipart/mixed"
    )
    kind = reply.headers["Content-Type"]
    message = message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + reply.body)
    told, image = message.get_payload()
    assert told.get_filename() == "manifest.json"
    assert msgspec.json.decode(told.get_payload(decode=True))["failed"] == 1
    assert (image.get_content_type(), image.get_filename()) == ("image/jpeg", "1-photo.jpg")
    assert opened(image.get_payload(decode=True)).format == "JPEG"


async def test_a_file_with_several_results_has_all_of_them(
    service: Service, customer: Customer
) -> None:
    body = form(document(2), document(1), name="book.pdf")
    told, files = unzipped(await batch(service, "pdf/pdf?operation=split", body, customer))
    assert sorted(files) == ["1-book-1.pdf", "1-book-2.pdf", "2-book.pdf"]
    assert told["items"][0]["files"] == ["1-book-1.pdf", "1-book-2.pdf"]


async def test_a_hundred_icons_share_a_few_workers_that_nobody_else_gets(
    service: Service,
) -> None:
    customer = await service.customer(opening=100)
    pool = service.engine._pools["image"]
    slots = service.engine.status().slots
    with forks_of_requests(pool) as forked:
        told, files = unzipped(await batch(service, "png/webp", form(*[picture()] * 100), customer))
    await service.quiet()
    assert (told["converted"], len(files)) == (100, 100)
    assert 1 <= len(forked) <= slots
    assert pool.kept == 0
    assert await service.kinds(customer) == ["consumption"] * 100
    # A hundred debits were written by a few transactions; a hundred requests need one each.
    statement = "select count(distinct xmin::text) from credits.entry where account_id = $1"
    assert await service.ledger._database.value(statement, customer.account_id) < 10
    assert await service.ledger.balance(customer.account_id) == 0


async def test_a_batch_beyond_the_balance_converts_what_is_paid_for(service: Service) -> None:
    poor = await service.customer(opening=2)
    told, files = unzipped(await batch(service, "png/webp", form(*[picture()] * 5), poor))
    codes = [item["problem"]["code"] for item in told["items"] if item["status"] == "failed"]
    assert (len(files), codes) == (2, ["insufficient-credits"] * 3)
    assert await service.kinds(poor) == ["consumption"] * 2


async def test_a_batch_that_fails_in_one_way_is_that_problem(service: Service) -> None:
    poor = await service.customer(opening=0)
    reply = await batch(service, "png/webp", form(picture(), picture()), poor)
    assert (reply.status, reply.json["code"]) == (402, "insufficient-credits")
    reply = await batch(service, "png/webp", form(picture("JPEG")), poor)
    assert (reply.status, reply.json["code"]) == (422, "file-mismatch")


async def test_a_client_that_hangs_up_gets_all_of_it_back(
    service: Service, customer: Customer
) -> None:
    large = noise(1000, 1000)
    parts = b"".join(
        b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\n' + large + b"\r\n"
        for _ in range(4)
    )
    body = parts + b"--b--\r\n"
    async with listening(service.engine, service.ledger) as fresh:
        wire = await fresh.open(window=4096)
        head = (
            "POST /v1/batch/png/bmp HTTP/1.1\r\nHost: test\r\n"
            "Content-Type: multipart/form-data; boundary=b\r\n"
            f"Authorization: Bearer {customer.key}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        await wire.send(head.encode() + body)
        await fresh.stages.wait(Stage.RESPONDING)
        wire.hang_up()
        await fresh.quiet()
        assert fresh.app[state.MEMORY].taken == 0
    assert Stage.DELIVERED not in fresh.stages.seen
    assert sorted(await service.kinds(customer)) == ["consumption"] * 4 + ["refund"] * 4


async def test_a_client_that_hangs_up_during_the_conversions_gets_all_of_it_back(
    service: Service, customer: Customer
) -> None:
    async with listening(service.engine, service.ledger) as fresh:
        slow = form(*[noise(1000, 1000)] * 3)
        asking = asyncio.create_task(batch(fresh, "png/avif?effort=8", slow, customer))
        await until(lambda: service.engine.status().busy > 0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await fresh.quiet()
    assert service.engine._pools["image"].kept == 0
    kinds = await service.kinds(customer)
    assert kinds.count("consumption") == kinds.count("refund")


async def test_a_repeat_of_a_batch_is_not_charged_again(
    service: Service, customer: Customer
) -> None:
    key = str(uuid4())
    for repeat in (False, True):
        body = form(picture(), picture(width=9))
        headers = {"Idempotency-Key": key}
        told, _ = unzipped(await batch(service, "png/webp", body, customer, **headers))
        assert [item.get("repeat", False) for item in told["items"]] == [repeat, repeat]
    assert await service.kinds(customer) == ["consumption"] * 2
    other = form(picture(), picture(width=10))
    told, _ = unzipped(await batch(service, "png/webp", other, customer, **headers))
    assert told["items"][1]["problem"]["code"] == "idempotency-key-mismatch"


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("png/webp", picture(), 415, "media-type-unsupported"),
        ("png/webp?width=0", form(picture()), 422, "option-invalid"),
        ("png/nonsense", form(picture()), 404, "format-unknown"),
    ],
)
async def test_a_batch_that_cannot_be_is_refused_as_a_whole(  # noqa: PLR0917 -- a table
    service: Service, customer: Customer, path: str, body: Any, status: int, code: str
) -> None:
    reply = await batch(service, path, body, customer)
    assert (reply.status, reply.json["code"]) == (status, code)


async def test_more_files_than_a_batch_takes_are_refused(
    service: Service, customer: Customer
) -> None:
    async with listening(service.engine, service.ledger, upload={"batch_files_max": 2}) as small:
        reply = await batch(small, "png/webp", form(*[picture()] * 3), customer)
    assert (reply.status, reply.json["code"]) == (413, "too-many-files")
    assert await service.kinds(customer) == []


async def uploaded(service: Service, customer: Customer, *bodies: bytes) -> str:
    """The query that names these files, stored."""
    handles = []
    for body in bodies:
        named = {"Content-Disposition": 'attachment; filename="photo.png"'}
        reply = await service.ask("POST", "/v1/files", data=body, headers=customer.headers | named)
        handles.append(f"file={reply.json['handle']}")
    return "&".join(handles)


async def listed(service: Service, customer: Customer) -> list[str]:
    reply = await service.ask("GET", "/v1/files", headers=customer.headers)
    return [file["id"] for file in reply.json["files"]]


async def test_stored_files_are_a_batch_each_with_its_line(
    service: Service, customer: Customer
) -> None:
    files = await uploaded(service, customer, picture(), BAD, picture(width=10, height=20))
    told, made = unzipped(await batch(service, f"png/webp?{files}&width=8", None, customer))
    assert [item["status"] for item in told["items"]] == ["converted", "failed", "converted"]
    assert sorted(made) == ["1-photo.webp", "3-photo.webp"]
    assert sorted(await service.kinds(customer)) == ["consumption"] * 3 + ["refund"]
    await service.quiet()
    assert service.app[state.MEMORY].taken == 0


async def test_results_are_stored_one_by_one_and_the_manifest_has_their_handles(
    service: Service, customer: Customer
) -> None:
    body = form(document(2), BAD, document(1), name="book.pdf")
    path = "pdf/pdf?operation=split&store=true&lifetime_s=60"
    reply = await batch(service, path, body, customer)
    assert (reply.status, reply.headers["Content-Type"]) == (201, "application/json"), reply.body
    first, second, third = reply.json["items"]
    assert (first["files"], second["status"]) == (["1-book-1.pdf", "1-book-2.pdf"], "failed")
    assert "stored" not in second
    assert [one["media_type"] for one in first["stored"]] == ["application/pdf"] * 2
    stored = [*first["stored"], *third["stored"]]
    assert sorted(await listed(service, customer)) == sorted(one["id"] for one in stored)
    for one, name in zip(stored, ("book-1.pdf", "book-2.pdf", "book.pdf"), strict=True):
        file = await service.ask("GET", one["url"], headers=customer.headers)
        assert len(file.body) == one["bytes"] == int(file.headers["Content-Length"])
        assert f'filename="{name}"' in file.headers["Content-Disposition"]
        assert file.headers["X-File-Expires"] == one["expires_at"]
    assert (reply.json["credits"], reply.headers["X-Credits-Used"]) == (2, "2")
    assert sorted(await service.kinds(customer)) == ["consumption"] * 2


async def test_a_client_that_hangs_up_has_nothing_stored_and_pays_nothing(
    service: Service, customer: Customer
) -> None:
    files = await uploaded(service, customer, picture(), picture(width=9))
    before = await listed(service, customer)
    async with listening(service.engine, service.ledger) as fresh:
        wire = await fresh.open()
        # The answer is short: only a client that is gone before it is written does not have it.
        fresh.stages.at(Stage.CONVERTED, wire.hang_up)
        head = (
            f"POST /v1/batch/png/bmp?{files}&store=true HTTP/1.1\r\nHost: test\r\n"
            f"Authorization: Bearer {customer.key}\r\nContent-Length: 0\r\n\r\n"
        )
        await wire.send(head.encode())
        await fresh.stages.wait(Stage.CONVERTED)
        await fresh.quiet()
        assert fresh.app[state.MEMORY].taken == 0
    assert Stage.DELIVERED not in fresh.stages.seen
    assert await listed(service, customer) == before
    kinds = await service.kinds(customer)
    assert kinds.count("consumption") == kinds.count("refund")


async def test_a_store_that_becomes_full_fails_only_what_it_has_no_room_for(
    service: Service, customer: Customer
) -> None:
    held = service.ledger.files.limits
    service.ledger.files.limits = msgspec.structs.replace(held, account_files_max=1)
    try:
        body = form(picture(), picture(width=9))
        reply = await batch(service, "png/webp?store=true", body, customer)
    finally:
        service.ledger.files.limits = held
    assert reply.status == 201
    by_status = {item["status"]: item for item in reply.json["items"]}
    assert by_status["failed"]["problem"]["code"] == "store-quota-exceeded"
    assert [one["id"] for one in by_status["converted"]["stored"]] == await listed(
        service, customer
    )
    assert sorted(await service.kinds(customer)) == ["consumption"] * 2 + ["refund"]


async def test_a_repeat_that_is_stored_is_another_request_than_one_that_is_sent(
    service: Service, customer: Customer
) -> None:
    key = {"Idempotency-Key": str(uuid4())}
    for path, repeat in (("png/webp?store=true", False), ("png/webp?store=true", True)):
        reply = await batch(service, path, form(picture()), customer, **key)
        assert reply.json["items"][0].get("repeat", False) is repeat
    reply = await batch(service, "png/webp", form(picture()), customer, **key)
    assert reply.json["code"] == "idempotency-key-mismatch"


@pytest.mark.parametrize(
    ("query", "body", "status", "code"),
    [
        ("FILE", form(picture()), 400, "malformed-request"),
        ("FILE&FILE&FILE", None, 413, "too-many-files"),
        ("FILE&file=nonsense", None, 404, "file-unknown"),
        ("FILE&store=perhaps", None, 422, "option-invalid"),
        ("lifetime_s=9", form(picture()), 422, "option-invalid"),
    ],
)
async def test_stored_files_that_cannot_be_a_batch_are_refused_as_a_whole(  # noqa: PLR0917 -- a table
    service: Service, customer: Customer, query: str, body: Any, status: int, code: str
) -> None:
    file = await uploaded(service, customer, picture())
    async with listening(service.engine, service.ledger, upload={"batch_files_max": 2}) as small:
        path = f"png/webp?{query.replace('FILE', file)}"
        reply = await batch(small, path, body, customer)
    assert (reply.status, reply.json["code"]) == (status, code), reply.body
    assert await service.kinds(customer) == []
