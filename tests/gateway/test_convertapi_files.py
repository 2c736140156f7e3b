"""Uploads as ConvertAPI's clients send them, and stored files by their ids."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from gateway import state
from gateway.compat.convertapi.visitors import ACCOUNT_NAME
from tests.gateway.samples import picture
from tests.gateway.service import Customer, Reply, Service, listening

pytestmark = pytest.mark.asyncio(loop_scope="session")

ID = re.compile(r"[a-z0-9]{32}")
NAMED = {"Content-Disposition": "attachment; filename*=UTF-8''t%C3%A9st%20%281%29.txt"}
# Formed as ids are.
GUESSED = "8uh96qp790b67lmwjzmpgn4kaw8vmbl3"
TEXT = b"the file's own bytes, \x00\xff and all"


async def upload(service: Service, body: Any = TEXT, query: str = "", **rest: Any) -> Reply:
    headers = NAMED | rest.pop("headers", {})
    return await service.ask("POST", f"/upload{query}", data=body, headers=headers, **rest)


async def look(service: Service, path: str, method: str = "GET", **headers: str) -> Reply:
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return await service.ask(method, path, headers=headers)


async def wire(service: Service, *lines: str, body: bytes = b"") -> Reply:
    """A request by hand, with the very headers of a client and no others."""
    async with await service.open() as connection:
        head = "\r\n".join(["POST /upload HTTP/1.1", "Host: test", *lines, "", ""])
        await connection.send(head.encode() + body)
        return await connection.answer()


def chunked(body: bytes) -> bytes:
    return f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n"


async def test_an_upload_without_a_key_is_told_in_full_and_fetched_by_its_id(
    service: Service,
) -> None:
    reply = await upload(service)
    assert reply.status == 200
    told = reply.json
    assert set(told) == {"FileId", "FileName", "FileExt", "FileSize", "Url"}
    assert ID.fullmatch(told["FileId"])
    assert (told["FileName"], told["FileExt"]) == ("tést (1).txt", "txt")
    assert told["FileSize"] == len(TEXT)
    assert told["Url"] == f"{service.url}/d/{told['FileId']}"
    file = await look(service, f"/d/{told['FileId']}")
    assert (file.status, file.body) == (200, TEXT)
    assert "%C3%A9st%20" in file.headers["Content-Disposition"]
    named = await look(service, f"/d/{told['FileId']}/anything.pdf?download=inline")
    assert named.headers["Content-Disposition"].startswith("inline; ")
    assert service.app[state.MEMORY].taken == 0


async def test_node_calls_its_binary_a_form_and_sends_it_in_chunks(service: Service) -> None:
    reply = await wire(
        service,
        "Content-Type: application/x-www-form-urlencoded",
        "Transfer-Encoding: chunked",
        'Content-Disposition: attachment; filename="n.txt"',
        "Accept: application/json, text/plain, */*",
        body=chunked(TEXT),
    )
    assert reply.status == 200
    assert (await look(service, f"/d/{reply.json['FileId']}")).body == TEXT


async def test_php_waits_for_a_word_before_it_sends(service: Service) -> None:
    async with await service.open() as connection:
        lines = (
            "POST /upload HTTP/1.1",
            "Host: test",
            "Content-Type: application/x-www-form-urlencoded",
            "Transfer-Encoding: chunked",
            "Expect: 100-continue",
            'Content-Disposition: attachment; filename="p.txt"',
            "Accept: application/json",
        )
        await connection.send("\r\n".join([*lines, "", ""]).encode())
        assert (await connection.head())[0] == 100
        await connection.send(chunked(TEXT))
        reply = await connection.answer()
    assert (reply.status, reply.json["FileName"]) == (200, "p.txt")


async def test_who_waits_for_a_word_is_refused_before_the_body(service: Service) -> None:
    async with await service.open() as connection:
        lines = ("POST /upload?filename=x&Secret=wrong HTTP/1.1", "Host: test")
        more = ("Content-Length: 100000", "Expect: 100-continue")
        await connection.send("\r\n".join([*lines, *more, "", ""]).encode())
        reply = await connection.answer()
    assert (reply.status, reply.json["Code"]) == (401, 4010)
    assert reply.headers["connection"] == "close"


async def test_java_and_go_say_nothing_and_get_the_id_alone(service: Service) -> None:
    async with await service.open() as connection:
        lines = (
            "POST /upload?filename=x.txt HTTP/1.1",
            "Host: test",
            "Content-Type: application/octet-stream",
            f"Content-Length: {len(TEXT)}",
        )
        await connection.send("\r\n".join([*lines, "", ""]).encode() + TEXT)
        reply = await connection.answer()
    assert reply.headers["content-type"] == "text/plain"
    assert ID.fullmatch(reply.body.decode())
    assert (await look(service, f"/d/{reply.body.decode()}")).body == TEXT


async def test_a_body_that_only_claims_to_be_a_form_is_stored_and_a_real_form_refused(
    service: Service,
) -> None:
    claim = {"Content-Type": "multipart/form-data; boundary=xyz"}
    assert (await upload(service, headers=claim)).status == 200
    form = aiohttp.FormData()
    form.add_field("File", TEXT, filename="a.txt")
    refused = await upload(service, form)
    assert (refused.status, refused.json["Code"]) == (415, 415)


async def test_an_upload_with_a_key_is_the_account_s(service: Service, customer: Customer) -> None:
    reply = await upload(service, headers=customer.headers)
    listed = await service.ask("GET", "/v1/files", headers=customer.headers)
    assert [file["bytes"] for file in listed.json["files"]] == [len(TEXT)]
    # A native conversion takes it as well: a short handle is a handle.
    file = await service.ask("GET", f"/v1/files/{reply.json['FileId']}", headers=customer.headers)
    assert file.body == TEXT
    secret = await upload(service, query=f"?Secret={customer.key}")
    assert secret.status == 200
    listed = await service.ask("GET", "/v1/files", headers=customer.headers)
    assert len(listed.json["files"]) == 2


async def test_a_file_of_the_native_surface_is_not_opened_without_a_key(
    service: Service, customer: Customer
) -> None:
    kept = await service.ask("POST", "/v1/files", data=picture(), headers=customer.headers)
    assert (await look(service, f"/d/{kept.json['handle']}")).status == 404
    gone = await look(service, f"/d/{kept.json['handle']}", "DELETE")
    assert (gone.status, gone.json["Code"]) == (404, 404)


async def test_a_part_of_a_file_is_fetched_and_looked_at(service: Service) -> None:
    path = f"/d/{(await upload(service)).json['FileId']}"
    part = await look(service, path, Range="bytes=4-7")
    assert (part.status, part.body) == (206, TEXT[4:8])
    assert part.headers["Content-Range"] == f"bytes 4-7/{len(TEXT)}"
    beyond = await look(service, path, Range="bytes=1000-")
    assert (beyond.status, beyond.json["Code"]) == (416, 416)
    head = await look(service, path, "HEAD")
    assert (head.status, head.body) == (200, b"")
    assert int(head.headers["Content-Length"]) == len(TEXT)
    known = await look(service, path, If_None_Match=head.headers["ETag"])
    assert known.status == 304
    wrong = await look(service, f"{path}?download=maybe")
    assert (wrong.status, wrong.json["InvalidParameters"].keys()) == (400, {"download"})


async def test_what_a_browser_would_run_is_shut_in(service: Service) -> None:
    page = b"<!DOCTYPE html><html><body><script>alert(1)</script></body></html>"
    path = f"/d/{(await upload(service, page, '?filename=p.html')).json['FileId']}"
    shown = await look(service, f"{path}?download=inline")
    assert shown.headers["Content-Type"] == "text/html"
    assert shown.headers["Content-Security-Policy"].startswith("sandbox")
    saved = await look(service, path)
    assert saved.headers["Content-Disposition"].startswith("attachment")


async def test_a_deleted_file_is_gone_for_everybody(service: Service, customer: Customer) -> None:
    file_id = (await upload(service, picture())).json["FileId"]
    assert (await look(service, f"/d/{file_id}/x", "DELETE")).status == 200
    for method in ("GET", "HEAD", "DELETE"):
        assert (await look(service, f"/d/{file_id}", method)).status == 404
    reply = await service.ask(
        "POST", "/convert/png/to/jpg", data={"File": file_id}, headers=customer.headers
    )
    assert (reply.status, reply.json["Code"]) == (500, 5009)


@pytest.mark.parametrize("file_id", ["a" * 31, "A" * 32, "..%2f", "%00", GUESSED])
async def test_a_guessed_id_opens_nothing(service: Service, file_id: str) -> None:
    reply = await look(service, f"/d/{file_id}")
    assert (reply.status, reply.json["Code"]) == (404, 404)


async def test_a_file_of_another_account_is_not_converted(
    service: Service, customer: Customer
) -> None:
    theirs = (await upload(service, picture(), headers=customer.headers)).json
    other = await service.customer()
    for value in (theirs["FileId"], theirs["Url"]):
        reply = await service.ask(
            "POST", "/convert/png/to/jpg", data={"File": value}, headers=other.headers
        )
        assert (reply.status, reply.json["Code"]) == (500, 5009)
    assert await service.kinds(other) == []


@asynccontextmanager
async def visited(service: Service, **limits: Any) -> AsyncIterator[Service]:
    """The same service with other quotas for visitors."""
    async with listening(service.engine, service.ledger, convertapi=limits) as other:
        yield other
        await other.quiet()


async def test_an_address_without_a_key_has_a_quota_that_deleting_gives_back(
    service: Service, customer: Customer
) -> None:
    async with visited(service, visitor_files_max=2, visitor_bytes_max=100) as small:
        first = (await upload(small)).json["FileId"]
        assert (await upload(small)).status == 200
        full = await upload(small)
        assert (full.status, full.json["Code"]) == (503, 503)
        assert int(full.headers["Retry-After"]) > 0
        assert (await upload(small, headers=customer.headers)).status == 200
        await look(small, f"/d/{first}", "DELETE")
        large = await upload(small, b"x" * 101)
        assert large.status == 503

        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(4):
                yield b"x" * 30

        assert (await upload(small, pieces())).status == 503
        assert (await upload(small)).status == 200


async def test_an_upload_that_fails_takes_nothing_of_the_quota(service: Service) -> None:
    async with visited(service, visitor_files_max=1) as small:
        for _ in range(2):
            empty = await upload(small, b"")
            assert (empty.status, empty.json["Code"]) == (500, 5002)
        assert (await upload(small)).status == 200


async def test_visitors_are_told_apart_by_what_the_operator_s_proxy_says(
    service: Service,
) -> None:
    proxy = {"trusted_proxies": ["127.0.0.1"]}
    few = {"visitor_files_max": 1}
    async with listening(service.engine, service.ledger, convertapi=few, server=proxy) as small:
        for address, status in (
            ("192.0.2.1", 200),
            ("198.51.100.9, 192.0.2.1", 503),
            ("192.0.2.2", 200),
        ):
            reply = await upload(small, headers={"X-Forwarded-For": address})
            assert reply.status == status
        await small.quiet()


async def test_nothing_is_uploaded_without_a_key_where_the_operator_does_not_want_it(
    service: Service, customer: Customer
) -> None:
    async with visited(service, visitor_files_max=0) as closed:
        assert (await upload(closed)).json["Code"] == 4013
        assert (await upload(closed, headers=customer.headers)).status == 200
    account = await service.ledger.accounts.find(ACCOUNT_NAME)
    assert account is not None
    assert account.balance == 0
    await service.ledger.accounts.set_status(account.id, "frozen")
    try:
        frozen = await upload(service)
        assert (frozen.status, frozen.json["Code"]) == (401, 4013)
    finally:
        await service.ledger.accounts.set_status(account.id, "active")


async def test_two_first_visitors_share_one_account(service: Service) -> None:
    async with visited(service) as one, visited(service) as two:
        replies = await asyncio.gather(*(upload(gateway) for gateway in (one, two, one, two)))
        assert {reply.status for reply in replies} == {200}


async def test_an_upload_needs_a_name(service: Service) -> None:
    for headers in ({}, {"Content-Disposition": "attachment"}):
        reply = await service.ask("POST", "/upload", data=TEXT, headers=headers)
        assert (reply.status, reply.json["Code"]) == (400, 4001)


async def test_urls_are_fetched_for_customers_only_and_where_the_operator_lets_them(
    service: Service, customer: Customer
) -> None:
    url = "?url=https%3A%2F%2Fexample.com%2Fa.txt"
    for path in (f"/upload{url}", f"/upload-from-url{url}"):
        nobody = await service.ask("POST", path)
        assert (nobody.status, nobody.json["Code"]) == (401, 4013)
        off = await service.ask("POST", path, headers=customer.headers)
        assert (off.status, off.json["Code"]) == (500, 5008)
    bare = await service.ask("POST", "/upload-from-url", headers=customer.headers)
    assert (bare.status, bare.json["InvalidParameters"].keys()) == (400, {"Url"})
