"""Operators' orders: who may give them, what they do under load, and what is on record."""

import asyncio
import os
import socket
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
import pytest_asyncio

from engine.engine import Engine, EngineConfig
from gateway import admin, config, openapi, state
from gateway.admin import ADMIN_ROUTES
from gateway.errors import ConfigError
from gateway.operations import ORDERS
from gateway.routes import ROUTES
from ledger.audit.record import Outcome
from tests.gateway.operating import TOKEN, Operated, operated
from tests.gateway.samples import picture
from tests.gateway.service import Customer, Service, until
from tests.postgres import private_home

pytestmark = pytest.mark.asyncio(loop_scope="session")

# More than any machine that runs tests has slots, so that a line forms.
BURST = 48
PHOTOGRAPH = Path(__file__).parents[1] / "files/image/photo.jxl"


@pytest.fixture
def home() -> Iterator[Path]:
    with private_home() as home:
        yield home


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def ordered() -> AsyncIterator[Engine]:
    """An engine for orders: each boots all families that are up, and here two small ones are."""
    engine = await Engine.start(EngineConfig(started=("image", "photo")))
    try:
        yield engine
    finally:
        await engine.close()


@pytest_asyncio.fixture(loop_scope="session")
async def operators(ordered: Engine, service: Service, home: Path) -> AsyncIterator[Operated]:
    """Doors to a service that is again as it was when the test is over."""
    slots = ordered.status().slots
    async with operated(ordered, service.ledger, home) as doors:
        yield doors
        ordered.resume()
        ordered.resize(slots)


def _burst(operators: Operated, customer: Customer) -> "list[asyncio.Task[Any]]":
    service, small, photograph = operators.service, picture(), PHOTOGRAPH.read_bytes()
    return [
        asyncio.create_task(
            service.convert("jxl/png", photograph, customer)
            if number % 4 == 0
            else service.convert("png/webp", small, customer)
        )
        for number in range(BURST)
    ]


@pytest.mark.parametrize(
    "orders",
    [
        [("recycle", {})],
        [("recycle", {"family": "image"}), ("recycle", {"family": "photo"})],
        [("restart-zygote", {})],
        [("restart-zygote", {"family": "image"})],
        [("resize", {"slots": 1}), ("resize", {"slots": 7}), ("resize", {"slots": 2})],
        [("set-limit", {"family": "image", "wall_s": 55.5})],
        [("pause", {}), ("recycle", {}), ("resize", {"slots": 3}), ("resume", {})],
    ],
    ids=lambda orders: " ".join(name for name, _ in orders),
)
async def test_no_request_fails_of_an_order_under_load(
    operators: Operated, customer: Customer, orders: list[tuple[str, dict[str, Any]]]
) -> None:
    requests = _burst(operators, customer)
    await until(lambda: operators.service.engine.status().busy > 0)
    for name, body in orders:
        reply = await operators.order(name, body)
        assert reply.status == 200, reply.body
    assert [(await request).status for request in requests] == [200] * BURST
    done = [(one.action, one.outcome) for one in await operators.records()]
    assert done[: len(orders)] == [(name, Outcome.DONE) for name, _ in reversed(orders)]


async def test_a_pause_holds_the_line_and_a_resume_lets_it_go(
    operators: Operated, customer: Customer
) -> None:
    engine = operators.service.engine
    assert (await operators.order("pause")).json["result"]["changed"] is True
    assert (await operators.order("pause")).json["result"]["changed"] is False
    requests = _burst(operators, customer)
    await until(lambda: engine.status().waiting == BURST)
    assert engine.status().busy == 0
    ready = await operators.service.ask("GET", "/readyz")
    assert (ready.status, ready.json["missing"]) == (503, ["paused"])
    assert (await operators.order("resume")).json["result"]["changed"] is True
    assert [(await request).status for request in requests] == [200] * BURST


async def test_a_drain_refuses_waits_and_is_undone_by_a_resume(
    operators: Operated, customer: Customer
) -> None:
    service = operators.service
    await operators.order("pause")
    inside = asyncio.create_task(service.convert("png/webp", picture(), customer))
    await until(lambda: service.engine.status().waiting == 1)
    left = await operators.order("drain", {"timeout_s": 0.01})
    assert left.json["result"] == {"finished": False, "left": 1}
    refused = await service.convert("png/webp", picture(), customer)
    assert (refused.status, refused.json["code"]) == (503, "draining")
    service.engine.resume()
    assert (await operators.order("drain")).json["result"] == {"finished": True, "left": 0}
    assert (await inside).status == 200
    assert (await service.ask("GET", "/readyz")).json["missing"] == ["draining"]
    assert (await operators.order("resume")).json["result"]["changed"] is True
    assert (await service.convert("png/webp", picture(), customer)).status == 200


async def test_a_service_that_stops_is_neither_resumed_nor_paused(operators: Operated) -> None:
    door = operators.service.app[state.DOOR]
    door.close(for_good=True)
    for order in ("resume", "pause"):
        reply = await operators.order(order)
        assert (reply.status, reply.json["code"]) == (503, "draining")
    door.reopen()
    assert door.draining
    assert not operators.service.engine.status().paused


async def test_a_limit_that_was_set_is_the_workers(operators: Operated, customer: Customer) -> None:
    convert = operators.service.convert
    tight = {"family": "image", "output_bytes_max": 10}
    said = (await operators.order("set-limit", tight)).json["result"]
    assert said == {"families": ["image"], "limits": {"output_bytes_max": 10}}
    refused = await convert("png/webp", picture(), customer)
    assert (refused.status, refused.json["code"]) == (422, "result-too-large")
    wide = {"family": "image", "output_bytes_max": 512 * 1024**2}
    assert (await operators.order("set-limit", wide)).status == 200
    assert (await convert("png/webp", picture(), customer)).status == 200


async def test_who_gives_an_order_over_the_socket_is_the_user_that_the_kernel_names(
    operators: Operated,
) -> None:
    claimed = await operators.order("resize", {"slots": 3}, Authorization=f"Bearer {TOKEN}")
    done = claimed.json
    newest = (await operators.records())[0]
    assert newest.actor == f"uid:{os.geteuid()}"
    assert newest.gateway == f"{os.uname().nodename}:{os.getpid()}"
    assert (newest.action, newest.parameters) == ("resize", '{"slots":3}')
    assert newest.outcome is Outcome.DONE
    assert '"slots":3' in newest.detail
    assert done["recorded"] is True
    assert done["process"]["pid"] == os.getpid()
    assert (await operators.service.ledger.actions.verify()).intact


async def test_who_gives_an_order_from_afar_is_known_by_the_token_that_nobody_reads(
    operators: Operated,
) -> None:
    assert (await operators.from_afar("POST", "/admin/pause", TOKEN)).status == 200
    newest = (await operators.records())[0]
    assert newest.actor.startswith("token:")
    assert len(newest.actor) == len("token:") + 8
    assert TOKEN not in str(newest)


@pytest.mark.parametrize(
    "token", [None, "", "wrong", TOKEN + "x", TOKEN[:-1], "schl\udcfcssel", "x" * 5000]
)
async def test_from_afar_nothing_works_without_the_token(
    operators: Operated, token: str | None
) -> None:
    before = await operators.records()
    for row in ADMIN_ROUTES:
        reply = await _raw(operators.url, row.method, row.path, token)
        assert b"403" in reply.split(b"\r\n")[0], reply
        assert b'"operator-only"' in reply
    assert await operators.records() == before
    assert not operators.service.engine.status().paused


async def test_a_customers_key_is_no_token(operators: Operated, customer: Customer) -> None:
    assert (await operators.from_afar("GET", "/status", customer.key)).status == 403


async def test_where_no_token_is_configured_nobody_has_it(service: Service, home: Path) -> None:
    async with operated(service.engine, service.ledger, home, token="") as doors:
        for token in (None, "", "None"):
            assert (await doors.from_afar("GET", "/metrics", token)).status == 403
        assert (await doors.look("/metrics")).status == 200


async def test_an_address_without_a_good_token_stops_the_boot() -> None:
    opened = {"EPHEMERA__ADMIN__HOST": "127.0.0.1"}
    for token in ("", "let me in"):
        with pytest.raises(ConfigError, match="at least 16 characters"):
            config.load(opened | {"EPHEMERA__SERVER__OPERATOR_TOKEN": token})
    assert config.load(opened | {"EPHEMERA__SERVER__OPERATOR_TOKEN": TOKEN}).admin.port == 8081


async def test_customers_find_no_orders_at_their_address(operators: Operated) -> None:
    for row in ADMIN_ROUTES:
        if row.path.startswith("/admin/"):
            reply = await operators.service.ask(
                row.method, row.path, headers={"Authorization": f"Bearer {TOKEN}"}
            )
            assert reply.status == 404


async def test_the_public_description_does_not_know_of_orders() -> None:
    assert not any("admin" in path for path in openapi.document()["paths"])


async def test_every_order_has_an_address_and_a_handler_of_its_own() -> None:
    assert {row.path for row in ADMIN_ROUTES if row.method == "POST"} == {
        f"/admin/{name}" for name in ORDERS
    }
    assert len({row.handler for row in ADMIN_ROUTES}) == len(ADMIN_ROUTES)
    assert not any(row.path.startswith("/admin") for row in ROUTES)


async def test_status_and_metrics_are_on_the_operators_doors(operators: Operated) -> None:
    for path in ("/status", "/admin/status"):
        page = (await operators.look(path)).json
        assert page["process"]["pid"] == os.getpid()
        assert page["engine"]["families"][0]["spares"] >= 0
        assert page["ledger"] == {"up": True, "queued": 0}
    assert b"ephemera_slots" in (await operators.look("/metrics")).body
    assert b"ephemera_slots" in (await operators.from_afar("GET", "/metrics", TOKEN)).body


@pytest.mark.parametrize(
    ("order", "body", "says"),
    [
        ("resize", {"slots": 2, "sl0ts": 3}, "sl0ts"),
        ("resize", {}, "slots"),
        ("resize", {"slots": 0}, "slots"),
        ("resize", {"slots": "2"}, "slots"),
        ("resize", {"slots": 10**6}, "slots"),
        ("pause", {"for": 5}, "for"),
        ("pause", b"now", "JSON"),
        ("pause", b"[]", "object"),
        ("pause", b"\xff", "JSON"),
        ("drain", {"timeout_s": -1}, "timeout_s"),
        ("drain", {"timeout_s": 1e9}, "timeout_s"),
        ("recycle", {"family": "nope"}, "known are image, "),
        ("restart-zygote", {"family": "x" * 41}, "family"),
        ("set-limit", {"wall_s": 5}, "family"),
        ("set-limit", {"family": "pdf"}, "wall_s"),
        ("set-limit", {"family": "pdf", "wall_s": 601}, "wall_s"),
        ("set-limit", {"family": "pdf", "threads": 9}, "threads"),
    ],
)
async def test_an_order_that_cannot_be_is_refused_by_name_and_leaves_no_record(
    operators: Operated, order: str, body: Any, says: str
) -> None:
    before = await operators.records()
    reply = await operators.order(order, body)
    assert (reply.status, reply.json["code"]) == (400, "malformed-request")
    assert says in reply.json["detail"]
    assert await operators.records() == before


async def test_a_body_that_is_no_order_is_not_read_to_its_end(operators: Operated) -> None:
    assert (await operators.order("pause", b" " * 100_000)).status == 413


async def test_what_is_not_there_is_a_problem_too(operators: Operated) -> None:
    unknown = await operators.order("explode")
    assert (unknown.status, unknown.json["code"]) == (404, "not-found")
    wrong = await operators.look("/admin/pause")
    assert (wrong.status, wrong.headers["Allow"]) == (405, "POST")


async def test_an_order_that_cannot_be_recorded_is_not_carried_out(operators: Operated) -> None:
    availability = operators.service.ledger._availability
    availability.up = False
    reply = await operators.order("pause")
    availability.up = True
    assert (reply.status, reply.json["code"]) == (503, "ledger-unavailable")
    assert not operators.service.engine.status().paused


async def test_an_order_whose_end_could_not_be_recorded_says_so(operators: Operated) -> None:
    """The ledger goes away while a drain waits."""
    service = operators.service
    with service.app[state.DOOR].enter():
        drain = asyncio.create_task(operators.order("drain", {"timeout_s": 3600}))
        await until(lambda: service.app[state.DOOR].draining)
        service.ledger._availability.up = False
    done = (await drain).json
    service.ledger._availability.up = True
    assert (done["recorded"], done["result"]["finished"]) == (False, True)
    newest = (await operators.records())[0]
    assert (str(newest.action), newest.outcome) == ("drain", None)
    await operators.order("resume")


async def test_an_order_whose_giver_hangs_up_is_carried_out_and_recorded(
    operators: Operated, customer: Customer
) -> None:
    service = operators.service
    await operators.order("pause")
    inside = asyncio.create_task(service.convert("png/webp", picture(), customer))
    await until(lambda: service.engine.status().waiting == 1)
    drain = asyncio.create_task(operators.order("drain", {"timeout_s": 3600}))
    await until(lambda: service.app[state.DOOR].draining)
    drain.cancel()
    with pytest.raises(asyncio.CancelledError):
        await drain
    service.engine.resume()
    assert (await inside).status == 200
    operations = service.app[state.OPERATIONS]
    await until(lambda: not operations._under_way)
    newest = (await operators.records())[0]
    assert (newest.action, newest.outcome) == ("drain", Outcome.DONE)


async def test_an_order_that_is_under_way_at_the_end_is_recorded_as_cancelled(
    operators: Operated, customer: Customer
) -> None:
    service = operators.service
    await operators.order("pause")
    inside = asyncio.create_task(service.convert("png/webp", picture(), customer))
    await until(lambda: service.engine.status().waiting == 1)
    drain = asyncio.create_task(operators.order("drain", {"timeout_s": 3600}))
    await until(lambda: service.app[state.DOOR].draining)
    await service.app[state.OPERATIONS].close()
    with pytest.raises(aiohttp.ClientError):
        await drain
    newest = (await operators.records())[0]
    assert (newest.action, newest.outcome) == ("drain", Outcome.CANCELLED)
    service.engine.resume()
    assert (await inside).status == 200


async def test_the_socket_is_for_its_owner_and_goes_with_the_service(
    service: Service, home: Path
) -> None:
    async with operated(service.engine, service.ledger, home) as doors:
        mode = doors.socket.stat().st_mode
        assert stat.S_ISSOCK(mode)
        assert stat.S_IMODE(mode) == 0o600
        assert doors.socket.name == f"admin-{os.getpid()}.sock"
        assert [path.name for path in home.iterdir()] == [doors.socket.name]
    assert list(home.iterdir()) == []


async def test_what_a_killed_process_left_is_swept_and_what_lives_is_not(
    service: Service, home: Path
) -> None:
    left, lives, other = home / "admin-99.sock", home / "admin-98.sock", home / "admin-x.sock"
    for path in (left, other):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(str(path))
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(lives))
        sock.listen()
        async with _doors(service, home):
            assert {path.name for path in home.iterdir()} == {
                *("admin-98.sock", "admin-x.sock", f"admin-{os.getpid()}.sock")
            }


async def test_of_two_processes_with_one_pid_each_has_its_socket(
    service: Service, home: Path
) -> None:
    """Two containers that share a home, each of which is its own pid 1."""
    async with _doors(service, home), _doors(service, home):
        assert {path.name for path in home.iterdir()} == {
            f"admin-{os.getpid()}.sock",
            f"admin-{os.getpid()}-2.sock",
        }


async def test_a_home_may_be_deeper_than_a_sockets_path_can_say(
    service: Service, home: Path
) -> None:
    deep = home / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    async with _doors(service, deep):
        descriptor = os.open(deep, os.O_PATH)
        path = f"/proc/self/fd/{descriptor}/admin-{os.getpid()}.sock"
        async with (
            aiohttp.ClientSession(connector=aiohttp.UnixConnector(path)) as client,
            client.get("http://ephemera/status") as response,
        ):
            assert response.status == 200
        os.close(descriptor)


def _doors(service: Service, home: Path) -> AbstractAsyncContextManager[None]:
    settings = msgspec.structs.replace(service.app[state.SETTINGS], home=home)
    return admin.open_doors(service.app, settings, None)


async def _raw(url: str, method: str, path: str, token: str | None) -> bytes:
    """An answer to a request that a polite client would not send."""
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    lines = [f"{method} {path} HTTP/1.1", "Host: test", "Connection: close", "Content-Length: 0"]
    if token is not None:
        lines.append(f"Authorization: Bearer {token}")
    writer.write("\r\n".join([*lines, "", ""]).encode(errors="surrogateescape"))
    answer = await reader.read()
    writer.close()
    return answer
