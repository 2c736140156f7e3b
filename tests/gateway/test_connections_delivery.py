"""Conversions out of customers' storage and into it: delivered whole and paid, or neither."""

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import msgspec
import pikepdf
import pytest
import pytest_asyncio

from engine import registry
from gateway import state
from gateway.asked import DELIVER_TO, SOURCE_FROM
from gateway.stages import Stage
from ledger.accounts.rights import DEFAULT_SCOPES, Rights, Scope
from tests.gateway.origins import HERE
from tests.gateway.samples import document, noise, opened, picture
from tests.gateway.service import Customer, Reply, Service, listening
from tests.gateway.storages import (
    BUCKET,
    BearerServer,
    DavServer,
    File,
    S3Server,
    Storage,
    http,
    s3,
    serving,
    webdav,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")

# Longer than what is kept until there is a slot, and than what the kernel takes at once.
LARGE = noise(2048, 2048)


@asynccontextmanager
async def storing(service: Service, **fetch: object) -> AsyncIterator[Service]:
    """A listener that uses storage on this machine."""
    sections = {
        "fetch": {"allow": HERE, "ports": (), "stall_s": 5.0} | fetch,
        "connections": {"enabled": True, "http": True},
    }
    async with listening(service.engine, service.ledger, **sections) as desk:
        yield desk
        await desk.quiet()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shared_desk(shared_service: Service) -> AsyncIterator[Service]:
    async with storing(shared_service) as desk:
        yield desk


@pytest_asyncio.fixture(loop_scope="session")
async def desk(
    service: Service,  # noqa: ARG001 -- its books are looked through afterwards
    shared_desk: Service,
) -> AsyncIterator[Service]:
    yield shared_desk
    await shared_desk.quiet()
    assert shared_desk.app[state.MEMORY].taken == 0
    assert shared_desk.app[state.OUTBOUND]._crowd._inside == 0
    assert not shared_desk.app[state.OUTBOUND]._open


@pytest_asyncio.fixture(loop_scope="session")
async def customer(service: Service) -> Customer:
    return await connecting(service)


async def connecting(service: Service) -> Customer:
    """A customer whose key may use connections."""
    account = await service.customer()
    scopes = DEFAULT_SCOPES | {Scope.CONNECTIONS_READ, Scope.CONNECTIONS_WRITE}
    key = await service.ledger.keys.create(
        account.account_id, "connecting", rights=Rights(scopes=scopes)
    )
    return msgspec.structs.replace(account, key=key.secret)


class Stores:
    """One server of each kind, and connections to them."""

    def __init__(self, desk: Service, customer: Customer, servers: dict[str, Storage]) -> None:
        self._desk = desk
        self._customer = customer
        self.servers = servers

    async def connect(self, kind: str, **other: str) -> str:
        document = {"s3": s3, "webdav": webdav, "http": http}[kind](self.servers[kind], **other)
        reply = await self._desk.ask(
            "POST",
            "/v1/connections",
            json={"label": kind, "storage": document},
            headers=self._customer.headers,
        )
        assert reply.status == 201, reply.body
        return str(reply.json["id"])


@pytest_asyncio.fixture(loop_scope="session")
async def stores(desk: Service, customer: Customer) -> AsyncIterator[Stores]:
    async with AsyncExitStack() as stack:
        servers = {"s3": S3Server(), "webdav": DavServer(), "http": BearerServer()}
        for one in servers.values():
            await stack.enter_async_context(serving(one))
        yield Stores(desk, customer, servers)


ROOTS = {"s3": f"/{BUCKET}/", "webdav": "/dav/", "http": "/up/"}


async def test_no_converter_has_an_option_of_a_word_about_connections() -> None:
    words = {SOURCE_FROM, DELIVER_TO}
    assert not [
        one.name for one in registry.CONVERTERS if words & set(one.options.__struct_fields__)
    ]


@pytest.mark.parametrize("kind", ROOTS)
@pytest.mark.parametrize("body", [picture(), LARGE], ids=["small", "large"])
async def test_a_file_comes_from_a_storage_and_its_result_goes_to_one(
    desk: Service, customer: Customer, stores: Stores, kind: str, body: bytes
) -> None:
    id_, server = await stores.connect(kind), stores.servers[kind]
    server.files[ROOTS[kind] + "in/büro 1.png"] = File(body, "image/png")
    reply = await desk.convert(
        *("png/bmp", None, customer),
        source_from=f"{id_}/in/büro 1.png",
        deliver_to=f"{id_}/büro+2.bmp",
    )
    assert reply.status == 201, reply.body
    written = server.files[ROOTS[kind] + "büro+2.bmp"]
    assert opened(written.body).size == opened(body).size
    assert written.media_type == "image/bmp"
    assert reply.json == {
        "delivered_to": f"{id_}/büro+2.bmp",
        "bytes": len(written.body),
        "media_type": "image/bmp",
        "etag": written.etag,
    }
    assert reply.headers["X-Credits-Used"] == "1"
    assert "Content-Disposition" not in reply.headers
    await desk.quiet()
    assert await desk.kinds(customer) == ["consumption"]
    assert all("range" not in headers for headers in server.headers)


async def test_without_tls_what_goes_to_s3_is_signed_chunk_by_chunk(
    desk: Service, customer: Customer, stores: Stores
) -> None:
    server = stores.servers["s3"]
    assert isinstance(server, S3Server)
    id_ = await stores.connect("s3")
    reply = await desk.convert("png/bmp", LARGE, customer, deliver_to=f"{id_}/a.bmp")
    assert reply.status == 201, reply.body
    assert server.chunks == len(server.files[f"/{BUCKET}/a.bmp"].body) // 65536 + 2


async def test_in_a_folder_the_result_has_its_own_name(
    desk: Service, customer: Customer, stores: Stores
) -> None:
    id_, server = await stores.connect("s3"), stores.servers["s3"]
    named = {"Content-Disposition": 'attachment; filename="holiday.png"'}
    for folder in ("", "2026/07/"):
        reply = await desk.convert(
            "png/webp", picture(), customer, named, deliver_to=id_ + "/" + folder
        )
        assert reply.json["delivered_to"] == f"{id_}/{folder}holiday.webp"
        assert f"/{BUCKET}/{folder}holiday.webp" in server.files


async def test_several_files_are_taken_in_their_order_and_several_results_are_one_archive(
    desk: Service, customer: Customer, stores: Stores
) -> None:
    id_, server = await stores.connect("http"), stores.servers["http"]
    for pages in (1, 2):
        server.files[f"/up/{pages}.pdf"] = File(document(pages), "application/pdf")
    query = "&".join(f"source_from={id_}/{pages}.pdf" for pages in (1, 2, 1))
    reply = await desk.ask(
        "POST",
        f"/v1/convert/pdf/pdf?operation=merge&{query}&deliver_to={id_}/all.pdf",
        headers=customer.headers,
    )
    assert reply.status == 201, reply.body
    assert len(pikepdf.open(io.BytesIO(server.files["/up/all.pdf"].body)).pages) == 4
    reply = await desk.convert("pdf/png", document(3), customer, deliver_to=f"{id_}/pages.zip")
    assert server.files["/up/pages.zip"].media_type == "application/zip"
    assert server.files["/up/pages.zip"].body.startswith(b"PK")


async def test_a_repeat_with_its_key_writes_again_and_is_not_charged_again(
    desk: Service, customer: Customer, stores: Stores
) -> None:
    id_, key = await stores.connect("s3"), {"Idempotency-Key": "once"}
    for free in (False, True):
        reply = await desk.convert("png/webp", picture(), customer, key, deliver_to=f"{id_}/a.webp")
        assert reply.headers.get("Idempotent-Replay") == ("true" if free else None)
    elsewhere = await desk.convert("png/webp", picture(), customer, key, deliver_to=f"{id_}/b.webp")
    assert elsewhere.json["code"] == "idempotency-key-mismatch"
    assert await desk.kinds(customer) == ["consumption"]


# What a storage does in place of taking a file, what its customer is told, and in which words.
FAILING = {
    "unavailable": ("saying", (503, "SlowDown"), 502, "storage-failed", "503 SlowDown"),
    "broken inside": ("saying", (500, "InternalError"), 502, "storage-failed", "500"),
    "denied": ("saying", (403, "AccessDenied"), 422, "storage-refused", "403 AccessDenied"),
    "no bucket": ("saying", (404, "NoSuchBucket"), 422, "storage-refused", "404 NoSuchBucket"),
    "elsewhere": ("saying", (307, "TemporaryRedirect"), 422, "storage-refused", "not sent"),
    "accepted": ("saying", (202, ""), 422, "storage-refused", "202"),
    "refused early": ("refusing", (403,), 422, "storage-refused", "403"),
    "half": ("take_half", None, 502, "storage-failed", "whole file"),
    "half, it says": ("say_so_at_half", None, 502, "storage-failed", "whole file"),
}


@pytest.mark.parametrize("how", FAILING)
@pytest.mark.claim("C-CONN-3")
async def test_what_a_storage_did_not_confirm_is_not_charged(
    desk: Service, customer: Customer, stores: Stores, how: str
) -> None:
    what, arguments, status, code, word = FAILING[how]
    id_, server = await stores.connect("s3"), stores.servers["s3"]
    act = getattr(server, what)
    server.act = act(*arguments) if arguments else act
    reply = await desk.convert("png/bmp", LARGE, customer, deliver_to=f"{id_}/a.bmp")
    assert (reply.status, reply.json["code"]) == (status, code), reply.body
    assert word in reply.json["detail"]
    assert reply.json["charged"] is False
    await desk.quiet()
    assert await desk.kinds(customer) == ["consumption", "refund"]
    assert server.files == {}
    assert sum(line.startswith("PUT") for line in server.asked) == 1


@pytest.mark.parametrize("how", ["hang", "hang_at_once"])
@pytest.mark.claim("C-CONN-3")
async def test_a_storage_that_hangs_is_given_up_and_nothing_is_charged(
    service: Service, customer: Customer, how: str
) -> None:
    async with storing(service, stall_s=0.2) as desk, serving(BearerServer()) as server:
        id_ = await Stores(desk, customer, {"http": server}).connect("http")
        server.act = getattr(server, how)
        reply = await desk.convert("png/bmp", LARGE, customer, deliver_to=f"{id_}/a.bmp")
        assert (reply.status, reply.json["code"]) == (504, "storage-timeout")
        await desk.quiet()
        assert await desk.kinds(customer) == ["consumption", "refund"]


async def test_a_client_that_hangs_up_while_the_storage_thinks_is_refunded(
    desk: Service, customer: Customer, stores: Stores
) -> None:
    id_, server = await stores.connect("http"), stores.servers["http"]
    server.act, body = server.hang, picture()
    wire = await desk.open()
    server.came.clear()
    await wire.post(
        f"png/webp?deliver_to={id_}/a.webp", customer, f"Content-Length: {len(body)}", body=body
    )
    await server.came.wait()
    wire.hang_up()
    await desk.quiet()
    assert await desk.kinds(customer) == ["consumption", "refund"]


async def test_a_client_that_hangs_up_when_the_storage_has_confirmed_has_its_result(
    service: Service, customer: Customer
) -> None:
    async with storing(service) as desk, serving(BearerServer()) as server:
        id_ = await Stores(desk, customer, {"http": server}).connect("http")
        body, wire = picture(), await desk.open()
        desk.stages.at(Stage.DELIVERED, wire.hang_up)
        await wire.post(
            f"png/webp?deliver_to={id_}/a.webp", customer, f"Content-Length: {len(body)}", body=body
        )
        await desk.stages.wait(Stage.SETTLED)
        await desk.quiet()
        assert "/up/a.webp" in server.files
        assert await desk.kinds(customer) == ["consumption"]


async def test_a_file_that_a_storage_does_not_give_costs_nothing(
    desk: Service, customer: Customer, stores: Stores
) -> None:
    id_, server = await stores.connect("s3"), stores.servers["s3"]
    wrong = await stores.connect("s3", secret_access_key="another")
    server.files[f"/{BUCKET}/a.png"] = File(picture(), "image/png")
    for place, status, code in (
        (f"{id_}/none.png", 422, "storage-refused"),
        (f"{wrong}/a.png", 422, "storage-refused"),
        (f"{'0' * 16}/a.png", 404, "connection-unknown"),
    ):
        reply = await desk.convert("png/webp", None, customer, source_from=place)
        assert (reply.status, reply.json["code"]) == (status, code), reply.body
    server.act = server.saying(503)
    reply = await desk.convert("png/webp", None, customer, source_from=f"{id_}/a.png")
    assert (reply.status, reply.json["code"]) == (502, "storage-failed")
    assert await desk.kinds(customer) == []


async def test_an_unknown_target_is_refused_before_anything_is_done(
    desk: Service, customer: Customer, stores: Stores
) -> None:
    other = await connecting(desk)
    theirs = await Stores(desk, other, stores.servers).connect("http")
    for id_ in ("0" * 16, theirs):
        reply = await desk.convert("png/webp", picture(), customer, deliver_to=f"{id_}/a.webp")
        assert (reply.status, reply.json["code"]) == (404, "connection-unknown")
        reply = await desk.convert("png/webp", None, customer, source_from=f"{id_}/a.png")
        assert (reply.status, reply.json["code"]) == (404, "connection-unknown")
    assert await desk.kinds(customer) == []
    assert stores.servers["http"].asked == []


BAD_PLACES = [
    *("", "a.png", "/a.png", "short/a.png", "ID", "ID//a", "ID/a//b", "ID/../b", "ID/a/./b"),
    *("ID/..\\b", "ID/a\nb", "ID/" + "a" * 1025, "ID/...", "ID//"),
]


@pytest.mark.parametrize("place", BAD_PLACES)
async def test_a_path_that_could_be_another_one_is_refused(
    desk: Service, customer: Customer, place: str
) -> None:
    named = place.replace("ID", "A" * 16)
    for word in (SOURCE_FROM, DELIVER_TO):
        body = picture() if word == DELIVER_TO else None
        reply = await desk.convert("png/webp", body, customer, **{word: named})
        assert (reply.status, reply.json["code"]) == (400, "malformed-request"), reply.body
    assert await desk.kinds(customer) == []


async def test_what_does_not_go_together_is_refused(desk: Service, customer: Customer) -> None:
    place = "A" * 16 + "/a.png"
    for body, query in (
        (b"x", {SOURCE_FROM: place}),
        (None, {SOURCE_FROM: place, "url": "https://files.example/a.png"}),
        (None, {SOURCE_FROM: place, "file": "0" * 65}),
        (b"x", {DELIVER_TO: place, "store": "true"}),
    ):
        reply = await desk.convert("png/webp", body, customer, **query)
        assert reply.status in {400, 501}, reply.body
    several = await desk.ask(
        "POST",
        f"/v1/convert/pdf/pdf?operation=merge&{'&'.join([f'{SOURCE_FROM}={place}'] * 21)}",
        headers=customer.headers,
    )
    assert several.json["code"] == "too-many-files"
    twice = await desk.ask(
        "POST",
        f"/v1/convert/png/webp?{DELIVER_TO}={place}&{DELIVER_TO}={place}",
        data=b"x",
        headers=customer.headers,
    )
    assert twice.json["code"] == "option-invalid"


async def test_neither_tokens_nor_keys_of_few_scopes_use_connections(
    desk: Service, customer: Customer, stores: Stores
) -> None:
    id_ = await stores.connect("http")
    key = await desk.ledger.keys.create(
        customer.account_id, "narrow", rights=Rights(scopes=DEFAULT_SCOPES)
    )
    made = await desk.ask(
        "POST", "/v1/tokens", json={"scopes": ["convert"]}, headers=customer.headers
    )
    for secret in (key.secret, made.json["token"]):
        narrow = Customer(account_id=customer.account_id, key=secret, credits=0)
        for query in ({SOURCE_FROM: f"{id_}/a.png"}, {DELIVER_TO: f"{id_}/a.webp"}):
            body = picture() if DELIVER_TO in query else None
            reply = await desk.convert("png/webp", body, narrow, **query)
            assert (reply.status, reply.json["code"]) == (403, "scope-missing")
    assert stores.servers["http"].asked == []


async def test_off_is_what_it_is_until_the_operator_turns_it_on(
    service: Service, customer: Customer
) -> None:
    place = "A" * 16 + "/a.png"
    for body, query in ((None, {SOURCE_FROM: place}), (picture(), {DELIVER_TO: place})):
        reply = await service.convert("png/webp", body, customer, **query)
        assert (reply.status, reply.json["code"]) == (501, "connections-off")
    made: Reply = await service.ask(
        "POST",
        "/v1/connections",
        json={"label": "a", "storage": {"kind": "http", "url": "https://a.example", "bearer": "b"}},
        headers=customer.headers,
    )
    assert (made.status, made.json["code"]) == (501, "connections-off")


async def test_at_most_so_many_are_under_way_for_one_account(
    service: Service, customer: Customer
) -> None:
    async with storing(service, account_at_once_max=1) as desk, serving(BearerServer()) as server:
        id_ = await Stores(desk, customer, {"http": server}).connect("http")
        server.act = server.hang
        query = {"deliver_to": f"{id_}/a.webp"}
        first = asyncio.create_task(desk.convert("png/webp", picture(), customer, **query))
        await server.came.wait()
        second = await desk.convert("png/webp", picture(), customer, **query)
        assert (second.status, second.json["code"]) == (503, "busy")
        server.released.set()
        assert (await first).status == 201
        await desk.quiet()
        assert sorted(await desk.kinds(customer)) == ["consumption", "consumption", "refund"]
