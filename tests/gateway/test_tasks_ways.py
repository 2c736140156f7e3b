"""Tasks by URL and in memory, through a drain, with their webhooks; and what is never said."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from aiohttp import web
from standardwebhooks.webhooks import Webhook

from engine.engine import Engine
from gateway import state
from gateway.stages import Stage
from ledger.accounts.rights import KeyKind, Rights
from ledger.ledger import Ledger
from ledger.settings import LedgerSettings
from ledger.tasks.hooks import new_secret
from ledger.tasks.limits import TaskLimits
from tests.gateway.receivers import ALLOWED, receiving
from tests.gateway.samples import opened, picture
from tests.gateway.service import Customer, Service, listening, until
from tests.gateway.test_tasks import look, over, submit
from tests.postgres import Server

pytestmark = pytest.mark.asyncio(loop_scope="session")

KEK = b"an envelope key, also no secret."


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def books(postgres: Server) -> AsyncIterator[Ledger]:
    async with postgres.database() as name:
        settings = LedgerSettings(
            dsn=postgres.dsn(name),
            pepper=bytes(32),
            keks=(KEK,),
            tasks=TaskLimits(account_hooks_max=2),
        )
        async with Ledger.connect(settings) as ledger:
            yield ledger


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def open_desk(engine: Engine, books: Ledger) -> AsyncIterator[Service]:
    async with listening(engine, books, fetch=ALLOWED | {"enabled": True}) as service:
        yield service


@pytest_asyncio.fixture(loop_scope="session")
async def desk(open_desk: Service) -> AsyncIterator[Service]:
    yield open_desk
    await open_desk.quiet()
    assert await open_desk.ledger.audit() == []


@pytest_asyncio.fixture(loop_scope="session")
async def owner(desk: Service) -> Customer:
    return await desk.customer()


async def order(
    desk: Service, owner: Customer, path: str, method: str = "POST", **body: Any
) -> Any:
    data = msgspec.json.encode(body) if body else None
    return await desk.ask(method, path, data=data, headers=owner.headers)


async def test_a_file_is_fetched_when_its_task_runs(desk: Service, owner: Customer) -> None:
    app = web.Application()

    async def give(_request: web.Request) -> web.Response:
        return web.Response(body=picture())

    app.router.add_get("/{name}", give)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/trip.png"
        left = await desk.ledger.files.list(owner.account_id)
        reply = await submit(desk, owner, "png/webp", None, url=url)
        done = await over(desk, owner, reply.json["url"])
    finally:
        await runner.cleanup()
    assert left == []
    assert (done["state"], done["results"][0]["name"]) == ("succeeded", "trip.webp")
    assert len(await desk.ledger.files.list(owner.account_id)) == 1
    # The same address is closed now: it is tried as often as a task is.
    reply = await submit(desk, owner, "png/webp", None, url=url)
    failed = await over(desk, owner, reply.json["url"])
    assert (failed["problem"]["code"], failed["attempt"]) == ("fetch-failed", 2)
    refused = await submit(desk, owner, "png/webp", None, url="http://169.254.169.254/")
    failed = await over(desk, owner, refused.json["url"]) if refused.status == 202 else refused.json
    assert "fetch-refused" in {failed.get("code"), (failed.get("problem") or {}).get("code")}


async def test_endpoints_are_made_called_rotated_and_deleted(
    desk: Service, owner: Customer
) -> None:
    async with receiving() as receiver:
        made = await order(desk, owner, "/v1/webhooks", url=receiver.url)
        assert made.status == 201, made.body
        hook, secret = made.json["webhook"], made.json["secret"]
        assert made.headers["Location"] == f"/v1/webhooks/{hook['id']}"
        assert (hook["status"], len(hook["events"])) == ("active", 5)
        reply = await submit(desk, owner, "png/webp", picture())
        task = await over(desk, owner, reply.json["url"])
        (call,) = await receiver.called(1)
        told = Webhook(secret).verify(call.body, call.headers)
        assert (told["type"], told["data"]["id"]) == ("task.succeeded", task["id"])
        assert told["data"]["credits"] == 1
        url = f"/v1/webhooks/{hook['id']}"
        log: Any = None
        while not log or log[0]["state"] != "delivered":
            log = (await look(desk, owner, f"{url}/deliveries")).json["deliveries"]
        assert (log[0]["task"], log[0]["tries"][0]["status"]) == (task["id"], 204)
        assert log[0]["webhook_id"] == call.headers["webhook-id"]

        again = await order(desk, owner, f"{url}/deliveries/{log[0]['id']}/replay")
        assert again.status == 202
        _, second = await receiver.called(2)
        assert second.headers["webhook-id"] == call.headers["webhook-id"]
        rotated = await order(desk, owner, f"{url}/rotate")
        assert rotated.json["secret"] != secret
        assert (await order(desk, owner, f"{url}/enable")).json["status"] == "active"

        assert len((await look(desk, owner, "/v1/webhooks")).json["webhooks"]) == 1
        assert (await look(desk, owner, url, "DELETE")).status == 204
        for method, path in (
            ("GET", url),
            ("GET", f"{url}/deliveries"),
            ("POST", f"{url}/rotate"),
            ("POST", f"{url}/enable"),
        ):
            assert (await look(desk, owner, path, method)).json["code"] == "webhook-unknown"
        gone = await look(desk, owner, f"{url}/deliveries/1/replay", "POST")
        assert gone.json["code"] == "delivery-unknown"


async def test_endpoints_that_cannot_be_are_refused(desk: Service, owner: Customer) -> None:
    for body, code in (
        ({}, "malformed-request"),
        ({"url": 5}, "malformed-request"),
        ({"url": "https://example.com/", "events": ["task.great"]}, "malformed-request"),
        ({"url": "https://example.com/", "extra": 1}, "malformed-request"),
        ({"url": "https://example.com/" + "a" * 2000}, "malformed-request"),
        ({"url": "ftp://example.com/"}, "fetch-refused"),
        ({"url": "https://user:pass@example.com/"}, "fetch-refused"),
    ):
        data = msgspec.json.encode(body)
        reply = await desk.ask("POST", "/v1/webhooks", data=data, headers=owner.headers)
        assert reply.json["code"] == code, body
    for number in (201, 201, 409):
        reply = await order(desk, owner, "/v1/webhooks", url="https://example.com/")
        assert reply.status == number
    assert reply.json["code"] == "too-many-webhooks"
    other = await desk.customer()
    hook = (await look(desk, owner, "/v1/webhooks")).json["webhooks"][0]
    assert (await look(desk, other, f"/v1/webhooks/{hook['id']}")).status == 404


async def test_a_tasks_own_address_is_signed_with_its_own_secret(
    desk: Service, owner: Customer
) -> None:
    secret = new_secret()
    async with receiving() as receiver:
        headers = {"Webhook-Secret": secret}
        reply = await submit(desk, owner, "png/webp", picture(), headers, webhook=receiver.url)
        assert reply.status == 202, reply.body
        (call,) = await receiver.called(1)
        assert Webhook(secret).verify(call.body, call.headers)["data"]["id"] == reply.json["id"]
        await over(desk, owner, reply.json["url"])
    wrong = await submit(desk, owner, "png/webp", picture(), {"Webhook-Secret": "x"})
    assert wrong.status == 400


async def test_a_result_in_memory_that_nobody_fetches_expires_refunded(
    engine: Engine, books: Ledger
) -> None:
    async with listening(engine, books, tasks={"memory_s": 0.2}) as brief:
        # The other listener of this ledger can run it as little as anybody: it has no memory of it.
        owner = await brief.customer()
        reply = await submit(brief, owner, "png/webp", picture(), hold="memory")
        url = reply.json["url"]
        page: Any = {"state": ""}
        while page["state"] != "expired":
            page = (await look(brief, owner, url)).json
        assert (page["credits"], page["problem"]["code"]) == (0, "task-expired")
        assert await brief.kinds(owner) == ["consumption", "refund"]
        await until(lambda: brief.app[state.TASKS].held.budget.taken == 0)


async def test_memory_has_a_budget_of_its_own(engine: Engine, books: Ledger) -> None:
    async with listening(engine, books, tasks={"memory_bytes_max": 100}) as narrow:
        owner = await narrow.customer()
        reply = await submit(narrow, owner, "png/webp", picture(), hold="memory")
        assert (reply.status, reply.json["code"]) == (503, "busy")
        assert narrow.app[state.MEMORY].taken == 0


async def test_a_stop_gives_back_what_is_stored_and_gives_up_what_is_in_memory(
    engine: Engine, books: Ledger, desk: Service
) -> None:
    async with listening(engine, books) as leaving:
        owner = await leaving.customer()
        engine.pause()
        desk.app[state.DOOR].draining = True  # the other listener takes nothing meanwhile
        try:
            held = (await submit(leaving, owner, "png/webp", picture(), hold="memory")).json
            kept = (await submit(leaving, owner, "png/webp", picture())).json
            leaving.app[state.DOOR].close(for_good=True)
        finally:
            engine.resume()
    desk.app[state.DOOR].draining = False
    lost = await over(desk, owner, held["url"])
    assert (lost["state"], lost["problem"]["code"]) == ("failed", "lost-instance")
    done = await over(desk, owner, kept["url"])
    assert (done["state"], done["attempt"]) == ("succeeded", 1)


async def test_a_task_that_a_stop_interrupts_is_done_by_another_process(
    engine: Engine, books: Ledger, desk: Service
) -> None:
    desk.app[state.DOOR].draining = True
    async with listening(engine, books) as leaving:
        owner, begun = await leaving.customer(), asyncio.Event()

        def at_debit() -> None:
            engine.pause()
            begun.set()

        leaving.stages.at(Stage.DEBITED, at_debit)
        kept = (await submit(leaving, owner, "png/webp", picture())).json
        await begun.wait()
        leaving.app[state.DOOR].close(for_good=True)
        await leaving.app[state.DOOR].show_out()
        engine.resume()
    desk.app[state.DOOR].draining = False
    done = await over(desk, owner, kept["url"])
    assert (done["state"], done["attempt"]) == ("succeeded", 1)
    assert await desk.kinds(owner) == ["consumption", "refund", "consumption"]


async def test_a_test_key_converts_for_nothing(desk: Service, owner: Customer) -> None:
    key = await desk.ledger.keys.create(owner.account_id, "test", kind=KeyKind.TEST)
    tester = Customer(account_id=owner.account_id, key=key.secret, credits=owner.credits)
    for hold in ("store", "memory"):
        reply = await submit(desk, tester, "png/webp", picture(), hold=hold)
        done = await over(desk, tester, reply.json["url"])
        assert (done["state"], done["credits"]) == ("succeeded", 0), done
        result = await look(desk, tester, done["results"][0]["url"])
        assert opened(result.body).format == "WEBP"
    await desk.quiet()
    assert await desk.kinds(owner) == []


async def test_a_key_of_one_operation_gets_no_other_as_a_task(
    desk: Service, owner: Customer
) -> None:
    rights = Rights(operations=("png/webp",))
    key = await desk.ledger.keys.create(owner.account_id, "narrow", rights=rights)
    narrow = Customer(account_id=owner.account_id, key=key.secret, credits=owner.credits)
    states = {}
    for path in ("png/webp", "png/bmp"):
        reply = await submit(desk, narrow, path, picture())
        states[path] = (await over(desk, narrow, reply.json["url"]))["state"]
    assert states == {"png/webp": "succeeded", "png/bmp": "failed"}


async def test_neither_names_nor_handles_nor_addresses_are_said(
    desk: Service, owner: Customer, capfd: pytest.CaptureFixture[str]
) -> None:
    secret = new_secret()
    async with receiving() as receiver:
        address = f"{receiver.url}/canary7d1"
        named = {"Content-Disposition": 'attachment; filename="canary7d2.png"'}
        reply = await submit(
            *(desk, owner, "png/webp", picture(), named | {"Webhook-Secret": secret}),
            webhook=address,
            name="canary7d3",
        )
        done = await over(desk, owner, reply.json["url"])
        await receiver.called(1)
        await submit(desk, owner, "png/webp", None, file="ephf_canary7d4")
    handle = done["results"][0]["handle"]
    page = (await desk.ask("GET", "/metrics")).body.decode()
    said = "".join(capfd.readouterr())
    for hidden in ("canary7d", handle, handle.rpartition("_")[2], secret, reply.json["id"]):
        assert hidden not in said
        assert hidden not in page
    assert re.search(r'ephemera_tasks_total\{state="succeeded"\} [1-9]', page)
    assert re.search(r'ephemera_webhook_attempts_total\{outcome="delivered"\} [1-9]', page)
    row = await desk.ledger._database.value(
        "select string_agg(t::text, ' ') from tasks.task t where t.account_id = $1",
        owner.account_id,
    )
    for hidden in ("canary7d", handle):
        assert hidden not in row
        assert hidden.encode().hex() not in row
