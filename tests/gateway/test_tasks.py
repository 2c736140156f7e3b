"""Tasks over HTTP: handed in, converted later, charged once, fetched, cancelled, forgotten."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from engine import registry
from engine.engine import Engine
from gateway import state
from gateway.stages import Stage
from gateway.tasks.asked import OWN_NAMES
from ledger.ledger import Ledger
from ledger.settings import LedgerSettings
from ledger.tasks.limits import TaskLimits
from tests.gateway.samples import document, opened, picture
from tests.gateway.service import Customer, Reply, Service, listening, until
from tests.postgres import Server

pytestmark = pytest.mark.asyncio(loop_scope="session")

KEK = b"an envelope key, also no secret."


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def desk(postgres: Server, engine: Engine) -> AsyncIterator[Service]:
    """A service of its own: no other listener may take its tasks."""
    async with postgres.database() as name:
        settings = LedgerSettings(
            dsn=postgres.dsn(name),
            pepper=bytes(32),
            keks=(KEK,),
            tasks=TaskLimits(account_queued_max=3),
        )
        async with Ledger.connect(settings) as ledger, listening(engine, ledger) as service:
            yield service


@pytest_asyncio.fixture(loop_scope="session")
async def owner(desk: Service) -> AsyncIterator[Customer]:
    yield await desk.customer()
    await desk.quiet()
    assert await desk.ledger.audit() == []
    await until(lambda: desk.app[state.MEMORY].taken == 0)


async def submit(
    desk: Service, owner: Customer, path: str, body: Any, headers: Any = None, **params: str
) -> Reply:
    return await desk.ask(
        "POST",
        f"/v1/tasks/{path}",
        data=body,
        headers=owner.headers | (headers or {}),
        params=params,
    )


async def over(desk: Service, owner: Customer, url: str) -> Mapping[str, Any]:
    """The task's document when it is over."""
    async with asyncio.timeout(120):
        while True:
            reply = await desk.ask("GET", url, headers=owner.headers | {"Prefer": "wait=30"})
            assert reply.status == 200, reply.body
            if reply.json["ended_at"]:
                return dict(reply.json)


async def look(desk: Service, owner: Customer, url: str, method: str = "GET") -> Reply:
    return await desk.ask(method, url, headers=owner.headers, allow_redirects=False)


async def files_left(desk: Service) -> int:
    """Stored files that can still be read."""
    statement = "select count(*) from files.file where expires_at > now()"
    return int(await desk.ledger._database.value(statement))


async def test_a_task_is_taken_at_once_and_its_result_is_stored_for_its_owner(
    desk: Service, owner: Customer
) -> None:
    before = await files_left(desk)
    named = {"Content-Disposition": 'attachment; filename="holiday.png"'}
    reply = await submit(desk, owner, "png/webp", picture(), named)
    assert reply.status == 202, reply.body
    task = reply.json
    assert reply.headers["Location"] == task["url"] == f"/v1/tasks/{task['id']}"
    assert task["state"] in {"queued", "running"}
    done = await over(desk, owner, task["url"])
    assert (done["state"], done["stage"], done["progress"]) == ("succeeded", "succeeded", 1)
    assert (done["credits"], done["attempt"], done["problem"]) == (1, 1, None)
    (result,) = done["results"]
    assert result["name"] == "holiday.webp"
    file = await look(desk, owner, result["url"])
    assert opened(file.body).format == "WEBP"
    assert len(file.body) == result["bytes"]
    assert await desk.kinds(owner) == ["consumption"]
    entries = await desk.entries(owner)
    assert str(entries[0].conversion_id) == done["request_id"]
    # The upload is gone with the task's end; the result is there as often as somebody asks.
    assert await files_left(desk) == before + 1
    again = await look(desk, owner, task["url"])
    assert again.json["results"][0]["handle"] == result["handle"]
    elsewhere = await look(desk, owner, f"{task['url']}/result")
    assert (elsewhere.status, elsewhere.headers["Location"]) == (303, result["url"])


async def test_only_its_owner_sees_a_task(desk: Service, owner: Customer) -> None:
    url = (await submit(desk, owner, "png/webp", picture())).json["url"]
    await over(desk, owner, url)
    other = await desk.customer()
    for method, address in (("GET", url), ("DELETE", url), ("GET", f"{url}/events")):
        reply = await look(desk, other, address, method)
        assert (reply.status, reply.json["code"]) == (404, "task-unknown")
    assert (await look(desk, other, "/v1/tasks")).json == {"tasks": [], "next": None}


async def test_a_conversion_becomes_a_task_where_the_client_prefers_that(
    desk: Service, owner: Customer
) -> None:
    prefers = {"Prefer": "respond-async, wait=10"}
    reply = await desk.convert("png/webp", picture(), owner, prefers, width="10")
    assert (reply.status, reply.headers["Preference-Applied"]) == (202, "respond-async")
    done = await over(desk, owner, reply.headers["Location"])
    file = await look(desk, owner, done["results"][0]["url"])
    assert opened(file.body).size[0] == 10


async def test_stored_files_are_converted_and_stay(desk: Service, owner: Customer) -> None:
    handles = []
    for pages in (1, 2):
        stored = await desk.ask("POST", "/v1/files", data=document(pages), headers=owner.headers)
        handles.append(stored.json["handle"])
    query = "&".join(f"file={one}" for one in handles)
    reply = await desk.ask(
        "POST", f"/v1/tasks/pdf/pdf?operation=merge&{query}&name=both.pdf", headers=owner.headers
    )
    assert reply.status == 202, reply.body
    done = await over(desk, owner, reply.json["url"])
    assert done["state"] == "succeeded", done
    assert done["results"][0]["name"] == "both.pdf"
    for handle in handles:
        assert (await look(desk, owner, f"/v1/files/{handle}")).status == 200


async def test_several_results_are_one_archive(desk: Service, owner: Customer) -> None:
    reply = await submit(desk, owner, "pdf/png", document(2))
    done = await over(desk, owner, reply.json["url"])
    assert done["results"][0]["media_type"] == "application/zip"


async def test_what_cannot_be_is_refused_before_the_queue(desk: Service, owner: Customer) -> None:
    wrong: list[tuple[str, dict[str, str], int, str]] = [
        ("png/nothing", {}, 404, "format-unknown"),
        ("png/docx", {}, 422, "conversion-unsupported"),
        ("png/webp", {"wdth": "3"}, 422, "option-invalid"),
        ("png/webp", {"hold": "disk"}, 422, "option-invalid"),
        ("png/webp", {"timeout_s": "0"}, 422, "option-invalid"),
        ("png/webp", {"store": "false"}, 422, "option-invalid"),
        ("png/webp", {"hold": "memory", "lifetime_s": "5"}, 422, "option-invalid"),
        ("png/webp", {"webhook": "nowhere"}, 422, "option-invalid"),
        ("png/webp", {"webhook": "a" * 16}, 404, "webhook-unknown"),
        ("png/webp", {"webhook": "http://example.com/"}, 422, "fetch-refused"),
        ("png/webp", {"file": "ephf_x"}, 400, "malformed-request"),
        ("png/webp", {"url": "https://example.com/a.png"}, 501, "fetch-off"),
    ]
    for path, params, status, code in wrong:
        reply = await submit(desk, owner, path, picture(), **params)
        assert (reply.status, reply.json["code"]) == (status, code), params
    empty = await submit(desk, owner, "png/webp", None)
    assert (empty.status, empty.json["code"]) == (422, "file-empty")
    assert (await look(desk, owner, "/v1/tasks")).json["tasks"] == []


async def test_a_task_that_fails_says_why_and_costs_nothing(desk: Service, owner: Customer) -> None:
    before = await files_left(desk)
    reply = await submit(desk, owner, "png/webp", picture()[:100])
    done = await over(desk, owner, reply.json["url"])
    assert (done["state"], done["credits"], done["results"]) == ("failed", 0, [])
    assert done["problem"]["code"] == "file-unreadable"
    assert not done["problem"]["charged"]
    assert await desk.kinds(owner) == ["consumption", "refund"]
    unknown = "ephf_" + "a" * 16 + "_" + "b" * 43
    reply = await submit(desk, owner, "png/webp", None, file=unknown)
    assert (await over(desk, owner, reply.json["url"]))["problem"]["code"] == "file-unknown"
    poor = await desk.customer(opening=0)
    reply = await submit(desk, poor, "png/webp", picture())
    assert (await over(desk, poor, reply.json["url"]))["problem"]["code"] == "insufficient-credits"
    assert await files_left(desk) == before


async def test_a_repeat_with_its_key_is_the_same_task(desk: Service, owner: Customer) -> None:
    key = {"Idempotency-Key": "one"}
    first = await submit(desk, owner, "png/webp", picture(), key)
    before = await over(desk, owner, first.json["url"])
    left = await files_left(desk)
    again = await submit(desk, owner, "png/webp", picture(), key)
    assert (again.status, again.headers["Idempotent-Replay"]) == (202, "true")
    assert again.json["id"] == before["id"]
    for path, body in (("png/bmp", picture()), ("png/webp", picture(width=9))):
        other = await submit(desk, owner, path, body, key)
        assert (other.status, other.json["code"]) == (422, "idempotency-key-mismatch")
    assert await files_left(desk) == left
    assert await desk.kinds(owner) == ["consumption"]


async def test_tasks_are_listed_by_page_and_by_state(desk: Service, owner: Customer) -> None:
    urls = []
    for width in (1, 2, 3):
        reply = await submit(desk, owner, "png/webp", picture(), width=str(width))
        urls.append(reply.json["url"])
        await over(desk, owner, reply.json["url"])
    first = (await look(desk, owner, "/v1/tasks?limit=2")).json
    assert [one["url"] for one in first["tasks"]] == urls[:0:-1]
    rest = (await look(desk, owner, f"/v1/tasks?cursor={first['next']}")).json
    assert ([one["url"] for one in rest["tasks"]], rest["next"]) == (urls[:1], None)
    assert (await look(desk, owner, "/v1/tasks?state=failed")).json["tasks"] == []
    assert len((await look(desk, owner, "/v1/tasks?state=succeeded")).json["tasks"]) == 3
    assert (await look(desk, owner, "/v1/tasks?state=great")).status == 400


async def test_a_task_that_waits_is_cancelled_and_another_one_finds_its_place(
    desk: Service, owner: Customer
) -> None:
    desk.engine.pause()
    try:
        urls = [(await submit(desk, owner, "png/webp", picture())).json["url"] for _ in range(3)]
        full = await submit(desk, owner, "png/webp", picture())
        assert (full.status, full.json["code"]) == (429, "too-many-tasks")
        assert "Retry-After" in full.headers
        reply = await look(desk, owner, urls[0], "DELETE")
        assert (reply.status, reply.json["state"]) == (200, "cancelled")
        assert reply.json["problem"]["code"] == "task-cancelled"
        taken = await submit(desk, owner, "png/webp", picture())
        assert taken.status == 202
        for url in (*urls[1:], taken.json["url"]):
            await look(desk, owner, url, "DELETE")
    finally:
        desk.engine.resume()
    assert await desk.kinds(owner) == []
    assert await desk.ledger.balance(owner.account_id) == owner.credits


async def test_a_task_that_runs_is_cancelled_and_refunded(desk: Service, owner: Customer) -> None:
    held = asyncio.Event()

    def at_debit() -> None:
        desk.engine.pause()  # it stands in line from here on
        held.set()

    desk.stages.at(Stage.DEBITED, at_debit)
    try:
        url = (await submit(desk, owner, "png/webp", picture())).json["url"]
        await held.wait()
        reply = await look(desk, owner, url, "DELETE")
        assert (reply.status, reply.json["state"]) == (200, "cancelled")
        assert await desk.kinds(owner) == ["consumption", "refund"]
        await until(lambda: desk.app[state.TASKS].busy == 0)
    finally:
        desk.stages.at(Stage.DEBITED, lambda: None)
        desk.engine.resume()
    await desk.quiet()
    assert await desk.kinds(owner) == ["consumption", "refund"]
    # Over: another DELETE forgets it.
    assert (await look(desk, owner, url, "DELETE")).status == 204
    assert (await look(desk, owner, url)).status == 404


async def test_a_task_that_takes_too_long_is_timed_out_and_refunded(
    desk: Service, owner: Customer
) -> None:
    desk.stages.at(Stage.DEBITED, desk.engine.pause)
    try:
        url = (await submit(desk, owner, "png/webp", picture(), timeout_s="1")).json["url"]
        done = await over(desk, owner, url)
    finally:
        desk.stages.at(Stage.DEBITED, lambda: None)
        desk.engine.resume()
    assert (done["state"], done["problem"]["code"]) == ("timed_out", "task-timeout")
    assert await desk.kinds(owner) == ["consumption", "refund"]


async def test_deleting_a_task_deletes_its_result(desk: Service, owner: Customer) -> None:
    url = (await submit(desk, owner, "png/webp", picture())).json["url"]
    result = (await over(desk, owner, url))["results"][0]
    assert (await look(desk, owner, url, "DELETE")).status == 204
    assert (await look(desk, owner, result["url"])).status == 404
    assert await desk.kinds(owner) == ["consumption"]


async def test_events_tell_of_every_change_up_to_the_end(desk: Service, owner: Customer) -> None:
    desk.engine.pause()
    try:
        url = (await submit(desk, owner, "png/webp", picture())).json["url"]
        async with desk.client.get(f"{url}/events", headers=owner.headers) as response:
            assert response.content_type == "text/event-stream"
            first = await response.content.readuntil(b"\n\n")
            desk.engine.resume()
            rest = (await response.content.read()).decode()
    finally:
        desk.engine.resume()
    events = [one.split("data: ")[1] for one in rest.strip().split("\n\n")]
    states = [msgspec.json.decode(one)["state"] for one in events]
    assert b'"state":"queued"' in first
    assert states[-1] == "succeeded"
    assert set(states) <= {"queued", "running", "succeeded"}


async def test_a_result_in_memory_is_fetched_once_and_paid_then(
    desk: Service, owner: Customer
) -> None:
    left = await files_left(desk)
    reply = await submit(desk, owner, "png/webp", picture(), hold="memory", name="x.png")
    done = await over(desk, owner, reply.json["url"])
    assert (done["state"], done["credits"]) == ("succeeded", 0)
    (result,) = done["results"]
    assert (result["handle"], result["name"]) == (None, "x.webp")
    assert (await desk.ledger.trial_balance()).open_debits == 1
    file = await look(desk, owner, result["url"])
    assert opened(file.body).format == "WEBP"
    assert (await look(desk, owner, result["url"])).json["code"] == "file-unknown"
    paid = (await look(desk, owner, reply.json["url"])).json
    assert (paid["credits"], paid["results"]) == (1, [])
    await until(lambda: desk.app[state.TASKS].held.budget.taken == 0)
    assert await desk.kinds(owner) == ["consumption"]
    assert await files_left(desk) == left


async def test_a_result_in_memory_that_is_cancelled_is_refunded(
    desk: Service, owner: Customer
) -> None:
    reply = await submit(desk, owner, "png/webp", picture(), hold="memory")
    done = await over(desk, owner, reply.json["url"])
    cancelled = await look(desk, owner, reply.json["url"], "DELETE")
    assert cancelled.json["state"] == "cancelled"
    assert await desk.kinds(owner) == ["consumption", "refund"]
    await until(lambda: desk.app[state.TASKS].held.budget.taken == 0)
    assert (await look(desk, owner, done["results"][0]["url"])).json["code"] == "task-unfinished"


async def test_no_converter_has_an_option_of_a_tasks_own_name() -> None:
    for converter in registry.CONVERTERS:
        names = {field.encode_name for field in msgspec.structs.fields(converter.options)}
        assert not names & OWN_NAMES, converter.name
