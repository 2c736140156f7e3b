"""Tasks out of customers' storage and into it: nobody waits, and the same holds for the money."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from engine.engine import Engine
from ledger.accounts.rights import DEFAULT_SCOPES, Rights, Scope
from ledger.ledger import Ledger
from ledger.settings import LedgerSettings
from tests.gateway.conftest import KEK, PEPPER
from tests.gateway.origins import HERE
from tests.gateway.samples import opened, picture
from tests.gateway.service import Customer, Service, listening
from tests.gateway.storages import BUCKET, File, S3Server, Storage, s3, serving
from tests.gateway.test_tasks import look, over, submit
from tests.postgres import Server

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shared_desk(postgres: Server, engine: Engine) -> AsyncIterator[Service]:
    """Books of its own: no other listener takes its tasks."""
    async with postgres.database() as name:
        settings = LedgerSettings(dsn=postgres.dsn(name), pepper=PEPPER, keks=(KEK,))
        sections: dict[str, Any] = {
            "fetch": {"allow": HERE, "ports": (), "stall_s": 5.0},
            "connections": {"enabled": True, "http": True},
        }
        async with (
            Ledger.connect(settings) as ledger,
            listening(engine, ledger, **sections) as desk,
        ):
            yield desk


@pytest_asyncio.fixture(loop_scope="session")
async def desk(shared_desk: Service) -> AsyncIterator[Service]:
    yield shared_desk
    await shared_desk.quiet()
    assert await shared_desk.ledger.audit() == []


@pytest_asyncio.fixture(loop_scope="session")
async def owner(desk: Service) -> Customer:
    account = await desk.customer()
    scopes = DEFAULT_SCOPES | {Scope.CONNECTIONS_READ, Scope.CONNECTIONS_WRITE}
    key = await desk.ledger.keys.create(
        account.account_id, "connecting", rights=Rights(scopes=scopes)
    )
    return msgspec.structs.replace(account, key=key.secret)


@pytest_asyncio.fixture(loop_scope="session")
async def server() -> AsyncIterator[Storage]:
    async with serving(S3Server()) as server:
        yield server


async def connect(desk: Service, owner: Customer, server: Storage) -> str:
    reply = await desk.ask(
        "POST",
        "/v1/connections",
        json={"label": "tasks", "storage": s3(server)},
        headers=owner.headers,
    )
    assert reply.status == 201, reply.body
    return str(reply.json["id"])


async def test_a_task_takes_its_file_from_a_storage_and_writes_its_result_there(
    desk: Service, owner: Customer, server: Storage
) -> None:
    id_ = await connect(desk, owner, server)
    server.files[f"/{BUCKET}/in/trip.png"] = File(picture(), "image/png")
    reply = await submit(
        *(desk, owner, "png/webp", None),
        source_from=f"{id_}/in/trip.png",
        deliver_to=f"{id_}/out/",
    )
    assert reply.status == 202, reply.body
    done = await over(desk, owner, reply.json["url"])
    (result,) = done["results"]
    written = server.files[f"/{BUCKET}/out/trip.webp"]
    assert opened(written.body).format == "WEBP"
    assert (done["state"], result["delivered_to"]) == ("succeeded", f"{id_}/out/trip.webp")
    assert (result["bytes"], result["etag"]) == (len(written.body), written.etag)
    assert {result[name] for name in ("url", "handle", "id", "expires_at")} == {None}
    assert await desk.ledger.files.list(owner.account_id) == []
    assert await desk.kinds(owner) == ["consumption"]
    fetched = await look(desk, owner, f"{done['url']}/result")
    assert (fetched.status, fetched.json["code"]) == (404, "file-unknown")


async def test_a_body_is_written_to_a_storage_and_kept_nowhere(
    desk: Service, owner: Customer, server: Storage
) -> None:
    id_ = await connect(desk, owner, server)
    reply = await submit(desk, owner, "png/webp", picture(), deliver_to=f"{id_}/a.webp")
    done = await over(desk, owner, reply.json["url"])
    assert done["results"][0]["delivered_to"] == f"{id_}/a.webp"
    assert f"/{BUCKET}/a.webp" in server.files
    assert await desk.ledger.files.list(owner.account_id) == []


async def test_a_storage_that_fails_for_a_moment_is_asked_once_more_and_then_paid(
    desk: Service, owner: Customer, server: Storage
) -> None:
    id_ = await connect(desk, owner, server)
    once = server.saying(503, "SlowDown")

    async def act(request: Any) -> Any:
        server.act = None
        return await once(request)

    server.act = act
    reply = await submit(desk, owner, "png/webp", picture(), deliver_to=f"{id_}/a.webp")
    done = await over(desk, owner, reply.json["url"])
    assert (done["state"], done["attempt"]) == ("succeeded", 2)
    assert await desk.kinds(owner) == ["consumption", "refund", "consumption"]


async def test_a_storage_that_refuses_ends_the_task_unpaid(
    desk: Service, owner: Customer, server: Storage
) -> None:
    id_ = await connect(desk, owner, server)
    server.act = server.saying(403, "AccessDenied")
    reply = await submit(desk, owner, "png/webp", picture(), deliver_to=f"{id_}/a.webp")
    failed = await over(desk, owner, reply.json["url"])
    assert (failed["state"], failed["attempt"]) == ("failed", 1)
    assert failed["problem"]["code"] == "storage-refused"
    assert "AccessDenied" in failed["problem"]["detail"]
    assert await desk.kinds(owner) == ["consumption", "refund"]
    server.act = server.saying(500)
    reply = await submit(desk, owner, "png/webp", None, source_from=f"{id_}/a.png")
    failed = await over(desk, owner, reply.json["url"])
    assert (failed["problem"]["code"], failed["attempt"]) == ("storage-failed", 2)


async def test_what_cannot_be_is_refused_before_the_queue(
    desk: Service, owner: Customer, server: Storage
) -> None:
    id_ = await connect(desk, owner, server)
    place, none = f"{id_}/a.webp", f"{'0' * 16}/a.png"
    for body, query, code in (
        (b"x", {"deliver_to": place, "hold": "memory"}, "option-invalid"),
        (b"x", {"deliver_to": place, "lifetime_s": "60"}, "option-invalid"),
        (b"x", {"deliver_to": f"{id_}/../a"}, "malformed-request"),
        (b"x", {"deliver_to": none}, "connection-unknown"),
        (None, {"source_from": none}, "connection-unknown"),
        (b"x", {"source_from": place}, "malformed-request"),
        (None, {"source_from": place, "file": "a"}, "malformed-request"),
    ):
        reply = await submit(desk, owner, "png/webp", body, **query)
        assert reply.json["code"] == code, reply.body
    key = await desk.ledger.keys.create(owner.account_id, "narrow")
    narrow = msgspec.structs.replace(owner, key=key.secret)
    reply = await submit(desk, narrow, "png/webp", b"x", deliver_to=place)
    assert (reply.status, reply.json["code"]) == (403, "scope-missing")
    assert server.asked == []
