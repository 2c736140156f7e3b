"""Connections: credentials that are written, used, checked and replaced, and shown to nobody."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from gateway.connections.desk import PROBE, StorageDesk
from gateway.connections.places import Place
from gateway.connections.storages import S3
from gateway.downloads import Kept
from gateway.outbound.settings import ConnectionsConfig
from ledger.accounts.rights import DEFAULT_SCOPES, Rights, Scope
from tests.gateway.origins import HERE, Authority, Tallied
from tests.gateway.samples import picture
from tests.gateway.service import Customer, Reply, Service, listening
from tests.gateway.storages import (
    BEARER,
    BUCKET,
    KEY_ID,
    PASSWORD,
    REGION,
    SECRET,
    SESSION,
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

ON = {"enabled": True, "http": True}
HERE_ALLOWED = {"allow": HERE, "ports": (), "stall_s": 1.0}
S3_DOCUMENT = {
    "kind": "s3",
    "endpoint": "https://s3.example",
    "bucket": "invoices",
    "access_key_id": KEY_ID,
    "secret_access_key": SECRET,
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def desk(shared_service: Service) -> AsyncIterator[Service]:
    async with listening(
        *(shared_service.engine, shared_service.ledger), fetch=HERE_ALLOWED, connections=ON
    ) as desk:
        yield desk
        await desk.quiet()


@pytest_asyncio.fixture(loop_scope="session")
async def customer(service: Service) -> Customer:
    account = await service.customer()
    scopes = DEFAULT_SCOPES | {Scope.CONNECTIONS_READ, Scope.CONNECTIONS_WRITE}
    key = await service.ledger.keys.create(
        account.account_id, "connecting", rights=Rights(scopes=scopes)
    )
    return msgspec.structs.replace(account, key=key.secret)


async def make(
    desk: Service, customer: Customer, storage: Any, at: str = "", label: str = "invoices"
) -> Reply:
    return await desk.ask(
        "POST",
        f"/v1/connections{at}",
        json={"label": label, "storage": storage},
        headers=customer.headers,
    )


async def check(desk: Service, customer: Customer, id_: str, **how: str) -> Any:
    reply = await desk.ask(
        "POST", f"/v1/connections/{id_}/check", json=how, headers=customer.headers
    )
    assert reply.status == 200, reply.body
    return reply.json


async def test_what_is_written_is_listed_without_what_opens_it(
    desk: Service, customer: Customer
) -> None:
    made = await make(desk, customer, S3_DOCUMENT | {"session_token": SESSION})
    assert made.status == 201
    item = made.json
    assert made.headers["Location"] == f"/v1/connections/{item['id']}"
    assert set(item) == {
        *("id", "kind", "label", "host", "created_at", "changed_at"),
        *("last_used_at", "checked_at", "found"),
    }
    assert (item["kind"], item["label"], item["host"]) == ("s3", "invoices", "s3.example")
    shown = await desk.ask("GET", f"/v1/connections/{item['id']}", headers=customer.headers)
    listed = await desk.ask("GET", "/v1/connections", headers=customer.headers)
    assert shown.json == item
    assert listed.json == {"connections": [item]}
    gone = await desk.ask("DELETE", f"/v1/connections/{item['id']}", headers=customer.headers)
    assert (gone.status, gone.body) == (204, b"")
    shown = await desk.ask("GET", f"/v1/connections/{item['id']}", headers=customer.headers)
    assert (shown.status, shown.json["code"]) == (404, "connection-unknown")


async def test_another_accounts_connection_is_not_there(
    desk: Service, customer: Customer, service: Service
) -> None:
    id_ = (await make(desk, customer, S3_DOCUMENT)).json["id"]
    account = await service.customer()
    key = await service.ledger.keys.create(
        account.account_id, "other", rights=Rights(scopes=frozenset(Scope))
    )
    other = msgspec.structs.replace(account, key=key.secret)
    for method, at, body in (
        ("GET", "", None),
        ("POST", "", {"label": "mine now", "storage": S3_DOCUMENT}),
        ("POST", "/check", {}),
    ):
        reply = await desk.ask(
            method, f"/v1/connections/{id_}{at}", json=body, headers=other.headers
        )
        assert (reply.status, reply.json["code"]) == (404, "connection-unknown")
    await desk.ask("DELETE", f"/v1/connections/{id_}", headers=other.headers)
    listed = await desk.ask("GET", "/v1/connections", headers=customer.headers)
    assert [one["id"] for one in listed.json["connections"]] == [id_]


# Changes to a good document that make it none.
BAD_S3: dict[str, dict[str, Any]] = {
    "another field": {"secret": SECRET},
    "a number": {"secret_access_key": 4711},
    "too long": {"secret_access_key": SECRET * 100},
    "empty": {"secret_access_key": ""},
    "controls": {"secret_access_key": f"{SECRET}\r\nX-A: b"},
    "surrogates": {"secret_access_key": f"{SECRET}\ud800"},
    "a token with lines": {"session_token": f"{SECRET}\n"},
    "a token beyond ASCII": {"session_token": f"{SECRET}ü"},
    "a slash in the key's id": {"access_key_id": f"{SECRET}/b"},
    "no bucket's name": {"bucket": "a/b/c"},
    "a host's name": {"bucket": "Invoices", "style": "virtual"},
    "no style": {"style": "other"},
    "no region": {"region": "a b"},
    "a query": {"endpoint": f"https://s3.example/?a={SECRET}"},
    "a fragment": {"endpoint": f"https://s3.example/#{SECRET}"},
    "dots": {"endpoint": "https://s3.example/a/%2e%2e/b"},
    "no address": {"endpoint": "https://[::1"},
    "no scheme": {"endpoint": "s3.example"},
    "another scheme": {"endpoint": "ftp://s3.example"},
    "credentials": {"endpoint": f"https://me:{SECRET}@s3.example"},
    "metadata": {"endpoint": "http://169.254.169.254"},
    "inside": {"endpoint": "http://10.0.0.1"},
    "inside, otherwise written": {"endpoint": "http://0x0a.1"},
    "an address with a bucket": {"endpoint": "http://8.8.8.8", "style": "virtual"},
}


@pytest.mark.parametrize("how", BAD_S3)
async def test_what_cannot_be_is_refused_and_not_quoted(
    desk: Service, customer: Customer, how: str
) -> None:
    # By the standard library: a lone surrogate can be written in JSON, and nowhere else.
    text = json.dumps({"label": "a", "storage": S3_DOCUMENT | BAD_S3[how]})
    reply = await desk.ask(
        "POST",
        "/v1/connections",
        data=text,
        headers=customer.headers | {"Content-Type": "application/json"},
    )
    assert reply.status in {400, 422}, reply.body
    assert SECRET.encode() not in reply.body
    assert not await desk.ledger.connections.list(customer.account_id)


HTTP_DOCUMENT = {"kind": "http", "url": "https://a.example"}


@pytest.mark.parametrize(
    "storage",
    [
        {"kind": "ftp", "url": "https://a.example"},
        {"kind": "webdav", "url": "https://a.example", "username": "a:b", "password": "c"},
        {"kind": "webdav", "url": "https://a.example", "username": "a"},
        HTTP_DOCUMENT,
        HTTP_DOCUMENT | {"bearer": "a", "header": {"name": "b", "value": "c"}},
        HTTP_DOCUMENT | {"bearer": "a\nb"},
        HTTP_DOCUMENT | {"header": {"name": "Host", "value": "c"}},
        HTTP_DOCUMENT | {"header": {"name": "a b", "value": "c"}},
        HTTP_DOCUMENT | {"header": {"name": "Content-Type", "value": "c"}},
        {"url": "https://a.example"},
        None,
    ],
)
async def test_a_storage_of_another_kind_or_of_half_a_kind_is_refused(
    desk: Service, customer: Customer, storage: Any
) -> None:
    reply = await make(desk, customer, storage)
    assert (reply.status, reply.json["code"]) == (400, "malformed-request"), reply.body


async def test_without_the_operators_word_credentials_go_by_tls_only(
    service: Service, customer: Customer
) -> None:
    async with listening(*(service.engine, service.ledger), connections={"enabled": True}) as desk:
        plain = await make(desk, customer, S3_DOCUMENT | {"endpoint": "http://s3.example"})
        assert (plain.status, plain.json["code"]) == (422, "storage-refused")
        ported = await make(desk, customer, S3_DOCUMENT | {"endpoint": "https://s3.example:6379"})
        assert (ported.status, ported.json["code"]) == (422, "storage-refused")
        assert (await make(desk, customer, S3_DOCUMENT)).status == 201


@pytest.mark.claim("C-CONN-2")
async def test_credentials_are_replaced_with_their_address_and_never_without(
    desk: Service, customer: Customer
) -> None:
    async with serving(BearerServer()) as server, serving(BearerServer()) as thief:
        id_ = (await make(desk, customer, http(server))).json["id"]
        half = {key: value for key, value in http(thief).items() if key != "bearer"}
        refused = await make(desk, customer, half, f"/{id_}")
        assert refused.status == 400
        replaced = await make(desk, customer, http(thief, bearer="new"), f"/{id_}", label="b")
        assert (replaced.status, replaced.json["label"]) == (200, "b")
        await check(desk, customer, id_)
        assert server.asked == []
        assert thief.headers[0]["authorization"] == "Bearer new"


# What is wrong, how the connection is made, and what a check finds.
FOUND: dict[str, tuple[str, dict[str, str], dict[str, str], str, int | None, str | None]] = {
    "nothing": ("s3", {}, {}, "ok", 404, "NoSuchKey"),
    "nothing, reading": ("s3", {}, {"read": "a.png"}, "ok", 200, None),
    "nothing, writing": ("s3", {}, {"write": "probe.txt"}, "ok", 200, None),
    "no such file": ("s3", {}, {"read": "b.png"}, "missing", 404, "NoSuchKey"),
    "no bucket": ("s3", {"bucket": "another"}, {}, "missing", 404, "NoSuchBucket"),
    "secret": ("s3", {"secret_access_key": "x"}, {}, "denied", 403, "SignatureDoesNotMatch"),
    "key id": ("s3", {"access_key_id": "x"}, {}, "denied", 403, "InvalidAccessKeyId"),
    "region": ("s3", {"region": "x"}, {}, "unexpected", 400, "AuthorizationHeaderMalformed"),
    "nobody there": ("s3", {"endpoint": "http://127.0.0.1:1"}, {}, "unreachable", None, None),
    "dav": ("webdav", {}, {}, "ok", 404, "NoSuchKey"),
    "dav password": ("webdav", {"password": "x"}, {}, "denied", 401, None),
    "dav folder": ("webdav", {}, {"write": "none/a"}, "unexpected", 409, None),
    "dav writing": ("webdav", {}, {"write": "in/a.txt"}, "ok", 201, None),
    "bearer": ("http", {"bearer": "x"}, {}, "denied", 403, None),
    "http": ("http", {}, {}, "ok", 404, "NoSuchKey"),
}


@pytest.mark.parametrize("what", FOUND)
async def test_a_check_says_what_is_wrong(desk: Service, customer: Customer, what: str) -> None:
    kind, other, how, found, status, code = FOUND[what]
    made: dict[str, tuple[type[Storage], Any]] = {
        "s3": (S3Server, s3),
        "webdav": (DavServer, webdav),
        "http": (BearerServer, http),
    }
    server_of, document = made[kind]
    async with serving(server_of()) as server:
        server.files[f"/{BUCKET}/a.png"] = File(picture(), "image/png")
        id_ = (await make(desk, customer, document(server, **other))).json["id"]
        page = await check(desk, customer, id_, **how)
        assert (page["found"], page["status"], page["code"]) == (found, status, code)
        assert page["ok"] == (found == "ok")
        assert (page["connection"]["found"], page["connection"]["last_used_at"]) == (found, None)
        assert page["connection"]["checked_at"]
        written = [file.body for file in server.files.values() if file.media_type == "text/plain"]
        assert written == ([PROBE] if "write" in how and found == "ok" else [])


async def test_a_check_of_what_hangs_or_redirects_ends(desk: Service, customer: Customer) -> None:
    async with serving(BearerServer()) as server:
        id_ = (await make(desk, customer, http(server))).json["id"]
        server.act = server.hang
        assert (await check(desk, customer, id_))["found"] == "slow"
        server.act = server.saying(302, Location="http://169.254.169.254/")
        assert (await check(desk, customer, id_))["found"] == "redirected"
        assert len(server.asked) == 2


async def test_a_header_of_another_name_opens_a_server(desk: Service, customer: Customer) -> None:
    async with serving(BearerServer()) as server:
        document = {
            "kind": "http",
            "url": server.url,
            "header": {"name": "X-Open", "value": f"Key {BEARER}"},
        }
        id_ = (await make(desk, customer, document)).json["id"]
        assert (await check(desk, customer, id_, write="a/b.txt"))["ok"]
        assert server.asked == ["PUT /a/b.txt"]


async def test_over_tls_the_body_is_not_signed_and_tokens_of_sessions_are(
    service: Service, customer: Customer, tmp_path: Path
) -> None:
    ours = Authority(tmp_path)
    fetch = HERE_ALLOWED | {"authorities": str(ours.path)}
    server = S3Server(secure=True, session=SESSION)
    async with (
        listening(
            *(service.engine, service.ledger), fetch=fetch, connections={"enabled": True}
        ) as desk,
        serving(server, ours.server("127.0.0.1")),
    ):
        document = s3(server, session_token=SESSION)
        id_ = (await make(desk, customer, document)).json["id"]
        reply = await desk.convert("png/bmp", picture(), customer, deliver_to=f"{id_}/a.bmp")
        assert reply.status == 201, reply.body
        assert server.headers[-1]["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD"
        assert server.files[f"/{BUCKET}/a.bmp"].body.startswith(b"BM")
        await desk.quiet()


async def test_a_bucket_may_be_in_the_hosts_name(service: Service, customer: Customer) -> None:
    async def resolve(host: str, port: int) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("127.0.0.1", port))]

    asked: list[str] = []
    async with serving(S3Server()) as server:
        storage = S3(
            endpoint=f"http://s3.example:{server.port}",
            bucket=BUCKET,
            region=REGION,
            access_key_id=KEY_ID,
            secret_access_key=SECRET,
            style="virtual",
        )
        connections = service.ledger.connections
        desk = StorageDesk(
            connections, Tallied(resolve=resolve), ConnectionsConfig(enabled=True, http=True)
        )
        made = await connections.create(customer.account_id, desk.new("virtual", storage))
        assert made.host == f"bucket.s3.example:{server.port}"
        place = Place(made.id, "a b.txt")
        delivered = await desk.deliver(
            customer.account_id, place, Kept([b"all of it"]), "text/plain"
        )
        assert (delivered.bytes, asked) == (9, ["bucket.s3.example"])
        assert server.asked == ["PUT /a%20b.txt"]


async def test_a_storage_that_answers_from_inside_is_not_reached(
    service: Service, customer: Customer
) -> None:
    async def resolve(_host: str, port: int) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("10.0.0.1", port))]

    connections, outbound = service.ledger.connections, Tallied(resolve=resolve)
    desk = StorageDesk(connections, outbound, ConnectionsConfig(enabled=True))
    storage = msgspec.convert(S3_DOCUMENT, S3)
    made = await connections.create(customer.account_id, desk.new("inside", storage))
    _, checked = await desk.check(customer.account_id, made.id, read=None, write="a")
    assert (checked.found, outbound.ends) == ("address", ["address"])


@pytest.mark.claim("C-CONN-1")
async def test_what_opens_a_storage_is_in_no_answer_log_figure_or_table(
    desk: Service, customer: Customer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    replies: list[bytes] = []
    canaries = [SECRET, SESSION, PASSWORD, BEARER]
    with capture_logs() as logs:
        async with (
            serving(S3Server()) as one,
            serving(DavServer()) as two,
            serving(BearerServer()) as three,
        ):
            for server, document in (
                (one, s3(one, session_token=SESSION)),
                (two, webdav(two)),
                (three, http(three)),
            ):
                for storage in (document, document | {"kind": "http"}, document | {"more": "x"}):
                    made = await make(desk, customer, storage)
                    replies.append(made.body)
                    if made.status != 201:
                        continue
                    id_ = made.json["id"]
                    for act in (None, server.saying(503, "SlowDown"), server.take_half):
                        server.act = act
                        reply = await desk.convert(
                            "png/bmp", picture(), customer, deliver_to=f"{id_}/a.bmp"
                        )
                        replies.append(reply.body + repr(dict(reply.headers)).encode())
                        taken = await desk.convert(
                            "png/bmp", None, customer, source_from=f"{id_}/in/a.png"
                        )
                        replies.append(taken.body)
                        checked = await check(desk, customer, id_)
                        replies.append(msgspec.json.encode(checked))
                    replies.append((await make(desk, customer, document, f"/{id_}")).body)
        await desk.quiet()
        replies += [
            (await desk.ask("GET", path, headers=customer.headers)).body
            for path in ("/v1/connections", "/v1/account", "/v1/account/entries", "/metrics")
        ]
    rows = await _all_rows(desk)
    places = [
        *(one.decode(errors="replace") for one in replies),
        *map(repr, logs),
        caplog.text,
        *rows,
    ]
    for canary in canaries:
        hidden = canary.encode().hex()
        assert not [one for one in places if canary in one or hidden in one]
    assert await desk.ledger.connections.list(customer.account_id)


async def _all_rows(desk: Service) -> list[str]:
    """Everything that is in the database, as text."""
    database = desk.ledger._database
    tables = await database.rows(
        "select format('%I.%I', table_schema, table_name) from information_schema.tables"
        " where table_type = 'BASE TABLE'"
        "   and table_schema not in ('pg_catalog', 'information_schema')"
    )
    assert len(tables) > 20
    return [
        row[0]
        for (table,) in tables
        for row in await database.rows(f"select t::text from {table} t")  # noqa: S608
    ]


async def test_a_full_list_says_so(desk: Service, customer: Customer) -> None:
    made = await asyncio.gather(*(make(desk, customer, S3_DOCUMENT) for _ in range(51)))
    assert sorted(one.status for one in made) == [201] * 50 + [409]
    assert {one.json.get("code") for one in made} == {None, "too-many-connections"}
