"""`url=`: files that the service fetches itself, converted and stored as if they had been sent."""

import asyncio
import io
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pikepdf
import pytest
import pytest_asyncio

from gateway import state
from gateway.fetching import URLS_MAX
from tests.gateway.origins import HERE, Origin, file, redirect, serving, silent
from tests.gateway.samples import document, noise, opened, picture
from tests.gateway.service import Customer, Reply, Service, listening

pytestmark = pytest.mark.asyncio(loop_scope="session")

# Longer than what is kept until there is a slot: it goes into a worker while it arrives.
LARGE = noise(1024, 512)
CANARY = "canary7d1"


PAGES = {
    "/picture.png": file(picture(), "Content-Type: image/png"),
    "/large.png": file(LARGE),
    "/unannounced": b"HTTP/1.1 200 OK\r\n\r\n" + LARGE,
    "/one.pdf": file(document(1)),
    "/two.pdf": file(document(2)),
    "/named": file(picture(), 'Content-Disposition: attachment; filename="a/Ünï.png"'),
    "/text": file(b"plain words", "Content-Type: text/plain; charset=utf-8"),
    "/empty": file(b""),
    "/moved": redirect("/picture.png"),
    "/inside": redirect("http://169.254.169.254/latest/meta-data/"),
    "/packed": file(picture(), "Content-Encoding: gzip"),
    "/too-large": b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n",
    "/cut": b"HTTP/1.1 200 OK\r\nContent-Length: 3999999\r\n\r\n" + LARGE,
    "/endless": b"HTTP/1.1 200 OK\r\n\r\n" + LARGE,
}


async def pages(path: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """An origin of files, and of what is none."""
    page = path.partition("?")[0]
    if page == "/slow":
        await silent(path, reader, writer)
    writer.write(PAGES.get(page, file(b"no", status="404 Not Found")))
    while page == "/endless":
        writer.write(bytes(64 * 1024))
        await writer.drain()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def origin() -> AsyncIterator[Origin]:
    async with serving(pages) as origin:
        yield origin


@asynccontextmanager
async def fetching(shared: Service, **fetch: object) -> AsyncIterator[Service]:
    """A listener that fetches from this machine."""
    given = {"enabled": True, "allow": HERE, "ports": ()} | fetch
    async with listening(shared.engine, shared.ledger, fetch=given) as service:
        yield service
        await service.quiet()
        assert service.app[state.MEMORY].taken == 0
        assert service.app[state.OUTBOUND]._crowd._inside == 0


@pytest_asyncio.fixture(loop_scope="session")
async def desk(service: Service) -> AsyncIterator[Service]:
    async with fetching(service, bytes_max=4 * 1024 * 1024, stall_s=5.0) as desk:
        yield desk


async def store(service: Service, customer: Customer, query: str) -> Reply:
    return await service.ask("POST", f"/v1/files?{query}", headers=customer.headers)


@pytest.mark.parametrize("path", ["/picture.png", "/large.png", "/unannounced", "/moved"])
async def test_a_file_is_converted_from_where_it_is(
    desk: Service, customer: Customer, origin: Origin, path: str
) -> None:
    reply = await desk.convert("auto/webp", None, customer, url=origin.url(path))
    assert reply.status == 200, reply.body
    assert opened(reply.body).format == "WEBP"
    await desk.quiet()
    assert await desk.kinds(customer) == ["consumption"]


async def test_a_result_is_called_as_the_file_was(
    desk: Service, customer: Customer, origin: Origin
) -> None:
    reply = await desk.convert("png/webp", None, customer, url=origin.url("/picture.png?v=2"))
    assert 'filename="picture.webp"' in reply.headers["Content-Disposition"]
    form = {"Content-Type": "multipart/form-data; boundary=x"}  # and nothing in it
    reply = await desk.convert("png/webp", None, customer, form, url=origin.url("/named"))
    assert "%C3%9Cn%C3%AF.webp" in reply.headers["Content-Disposition"]


async def test_several_files_are_fetched_in_their_order(
    desk: Service, customer: Customer, origin: Origin
) -> None:
    query = "&".join(f"url={origin.url(f'/{name}.pdf')}" for name in ("one", "two", "one"))
    reply = await desk.ask(
        "POST", f"/v1/convert/pdf/pdf?operation=merge&{query}", headers=customer.headers
    )
    assert reply.status == 200, reply.body
    assert len(pikepdf.open(io.BytesIO(reply.body)).pages) == 4


async def test_a_fetched_file_is_stored_and_a_fetched_files_result_too(
    desk: Service, customer: Customer, origin: Origin
) -> None:
    for path, media_type, name in (
        ("/picture.png", "image/png", "picture.png"),
        ("/text", "text/plain", None),
    ):
        reply = await store(desk, customer, f"lifetime_s=60&url={origin.url(path)}")
        assert (reply.status, reply.json["media_type"]) == (201, media_type)
        stored = await desk.ask("GET", reply.json["url"], headers=customer.headers)
        assert stored.status == 200
        assert name is None or name in stored.headers["Content-Disposition"]
    assert await desk.kinds(customer) == []
    url = origin.url("/large.png")
    reply = await desk.convert("png/webp", None, customer, url=url, store="true")
    assert reply.status == 201


async def test_a_repeat_with_its_key_is_free_as_long_as_the_file_is_the_same(
    desk: Service, customer: Customer, origin: Origin
) -> None:
    key = {"Idempotency-Key": "once"}
    for free in (False, True):
        reply = await desk.convert(
            "png/webp", None, customer, key, url=origin.url("/picture.png?signed=now")
        )
        assert reply.headers.get("Idempotent-Replay") == ("true" if free else None)
    reply = await desk.convert("png/webp", None, customer, key, url=origin.url("/large.png"))
    assert (reply.status, reply.json["code"]) == (422, "idempotency-key-mismatch")


FAILING = {
    "/none": (422, "fetch-unusable"),
    "/packed": (422, "fetch-unusable"),
    "/inside": (422, "fetch-refused"),
    "/too-large": (413, "fetch-too-large"),
    "/endless": (413, "fetch-too-large"),
    "/cut": (502, "fetch-failed"),
    "/empty": (422, "file-empty"),
}


@pytest.mark.parametrize("path", FAILING)
@pytest.mark.claim("C-FETCH-2")
async def test_a_fetch_that_fails_costs_nothing(
    desk: Service, customer: Customer, origin: Origin, path: str
) -> None:
    for reply in (
        await desk.convert("png/webp", None, customer, url=origin.url(path)),
        await store(desk, customer, f"url={origin.url(path)}"),
    ):
        assert (reply.status, reply.json["code"]) == FAILING[path]
        assert str(origin.port) not in reply.json["detail"]
    await desk.quiet()
    assert await desk.kinds(customer) == []
    listed = await desk.ask("GET", "/v1/files", headers=customer.headers)
    assert listed.json["files"] == []


async def test_a_server_that_hangs_costs_nothing(
    service: Service, customer: Customer, origin: Origin
) -> None:
    async with fetching(service, stall_s=0.1) as desk:
        reply = await desk.convert("png/webp", None, customer, url=origin.url("/slow"))
        assert (reply.status, reply.json["code"]) == (504, "fetch-timeout")
        assert reply.json["retryable"]
    assert await service.kinds(customer) == []


async def test_a_client_that_hangs_up_ends_its_fetch(desk: Service, customer: Customer) -> None:
    async with serving(silent) as hanging, await desk.open() as wire:
        await wire.post(f"png/webp?url={hanging.url()}", customer, "Content-Length: 0")
        async with asyncio.timeout(60):
            while not hanging.heads:  # noqa: ASYNC110 -- the server has no event for it
                await asyncio.sleep(0.002)
            wire.hang_up()
            await hanging.left.wait()
    await desk.quiet()
    assert await desk.kinds(customer) == []


async def test_a_fetched_file_counts_to_the_memory_and_to_an_uploads_size(
    service: Service, customer: Customer, origin: Origin
) -> None:
    config = {"enabled": True, "allow": HERE, "ports": ()}
    for upload, answer in (
        ({"in_flight_bytes_max": 500_000}, (503, "busy")),
        ({"bytes_max": 500_000}, (413, "fetch-too-large")),
    ):
        async with listening(service.engine, service.ledger, fetch=config, upload=upload) as desk:
            for path in ("/large.png", "/unannounced"):
                reply = await desk.convert("png/webp", None, customer, url=origin.url(path))
                assert (reply.status, reply.json["code"]) == answer
            await desk.quiet()
            assert desk.app[state.MEMORY].taken == 0


async def test_a_url_and_something_else_do_not_go_together(
    desk: Service, customer: Customer, origin: Origin
) -> None:
    url, before = origin.url("/picture.png"), origin.connections
    handle = "ephf_" + "a" * 16 + "_" + "b" * 43
    for reply, answer in (
        (await desk.convert("png/webp", picture(), customer, url=url), "malformed-request"),
        (await desk.convert("png/webp", None, customer, url=url, file=handle), "malformed-request"),
        (await store(desk, customer, f"url={url}&url={url}"), "option-invalid"),
        (await desk.convert("png/webp", None, customer, url=""), "fetch-refused"),
        (
            await desk.ask(
                "POST",
                "/v1/convert/pdf/pdf?" + f"url={url}&" * (URLS_MAX + 1),
                headers=customer.headers,
            ),
            "too-many-files",
        ),
    ):
        assert reply.json["code"] == answer
    assert origin.connections == before


@pytest.mark.parametrize(
    "url",
    [
        *("http://127.0.0.2/", "http://[::1]/", "http://[::ffff:10.0.0.1]/", "http://0x7f.1:99/"),
        *("http://[2002:7f00:1::]/", "http://[64:ff9b::7f00:2]/", "http://3232235777/"),
        *("http://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/", "file:///etc/passwd"),
        *("http://me:secret@files.example/", "gopher://files.example/"),
    ],
)
async def test_nothing_inside_is_asked(desk: Service, customer: Customer, url: str) -> None:
    for reply in (
        await desk.convert("png/webp", None, customer, url=url.replace(":99", "")),
        await desk.ask("POST", "/v1/files", headers=customer.headers, params={"url": url}),
    ):
        if url == "http://0x7f.1:99/":  # what the operator allowed, in another spelling
            assert reply.json["code"] == "fetch-failed"
            continue
        assert (reply.status, reply.json["code"]) == (422, "fetch-refused")
        assert "secret" not in reply.body.decode()
    assert await desk.kinds(customer) == []


async def test_nothing_is_fetched_where_the_operator_did_not_say_so(
    service: Service, customer: Customer, origin: Origin
) -> None:
    before = origin.connections
    for reply in (
        await service.convert("png/webp", None, customer, url=origin.url("/picture.png")),
        await store(service, customer, f"url={origin.url('/picture.png')}"),
    ):
        assert (reply.status, reply.json["code"]) == (501, "fetch-off")
    assert origin.connections == before


@pytest.mark.claim("C-FETCH-3")
async def test_how_fetches_end_is_counted_and_where_they_went_is_not_said(
    service: Service, customer: Customer, capfd: pytest.CaptureFixture[str]
) -> None:
    async with serving(pages) as origin, fetching(service) as desk:
        for url in (
            origin.url(f"/picture.png?{CANARY}"),
            origin.url(f"/{CANARY}"),
            origin.url("/").replace("//", f"//{CANARY}:{CANARY}@"),
            f"http://{CANARY}.invalid/",
            f"http://127.0.0.2/{CANARY}",
            f"{CANARY}:{CANARY}",
        ):
            reply = await desk.convert("png/webp", None, customer, url=url)
            assert reply.status in {200, 422}
            assert CANARY not in str(reply.headers) + reply.body.decode("latin-1")
        metrics = (await desk.ask("GET", "/metrics")).body.decode()
    said = "".join(capfd.readouterr())
    for outcome, count in (("done", 1), ("status", 1), ("credentials", 1), ("unresolved", 1)):
        figure = f'ephemera_outbound_total{{outcome="{outcome}",purpose="fetch"}} {count}.0'
        assert figure in metrics
    for place in (said, metrics):
        assert CANARY not in place
        assert "127.0.0.2" not in place
    for reason in ("unresolved", "credentials", "address", "status"):
        assert f"action=fetch reason={reason}" in said


async def test_the_system_resolvers_own_answer_is_judged(
    desk: Service, customer: Customer, origin: Origin
) -> None:
    """`localhost` is what the machine says it is: here, the address that the operator allowed."""
    addresses = {one[4][0] for one in socket.getaddrinfo("localhost", origin.port)}
    assert "127.0.0.1" in addresses
    reply = await desk.convert(
        "png/webp", None, customer, url=origin.url("/picture.png", "localhost")
    )
    assert reply.status == 200
