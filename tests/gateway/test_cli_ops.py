"""`ephemera ops` and `ephemera audit` as an operator types them, against services that run."""

import asyncio
import contextlib
import json
import os
import pty
import re
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from tests.gateway.command import EPHEMERA, Serving, environment, run, serving
from tests.gateway.operating import TOKEN
from tests.gateway.samples import picture
from tests.gateway.test_notify import Manager
from tests.postgres import Server, private_home

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture
def home() -> Iterator[Path]:
    with private_home() as home:
        yield home


@pytest_asyncio.fixture(loop_scope="session")
async def database(postgres: Server) -> AsyncIterator[dict[str, str]]:
    async with postgres.database() as name:
        yield {"EPHEMERA__LEDGER__DSN": postgres.dsn(name)}


def said(*arguments: str, home: Path, environ: dict[str, str], code: int = 0) -> str:
    """What the command prints, table cells by tabs; complaints after it."""
    ended = run(*arguments, home=home, environ=environ)
    out = ended.stdout.decode() + ended.stderr.decode()
    assert ended.returncode == code, out
    assert "Traceback" not in out
    return out


async def test_every_order_is_given_by_name_and_found_in_the_audit(
    home: Path, database: dict[str, str]
) -> None:
    with serving(home, **database) as service:

        def ops(*arguments: str, code: int = 0) -> str:
            return said("ops", *arguments, home=home, environ=database, code=code)

        name = f"pid {service.process.pid}"
        assert f"{name}\tpause\tdone" in ops("pause")
        assert "not ready: paused" in ops("status", code=69)
        assert f"{name}\tpaused\tno" in ops("resume")
        assert f"{name}\tfamilies\timage" in ops("recycle", "--family", "image")
        assert f"{name}\trecycle\tdone" in ops("recycle")
        assert f"{name}\tfamilies\tpdf" in ops("restart-zygote", "--family", "pdf")
        assert f"{name}\tslots\t3" in ops("resize", "--slots", "3")
        limits = ("--family", "image", "--wall-s", "50", "--cpu-s", "40")
        assert "wall_s = 50.0, cpu_s = 40" in ops("set-limit", *limits)
        assert f"{name}\tfinished\tyes" in ops("drain", "--timeout-s", "30")
        assert "not ready: draining" in ops("status", code=69)
        assert f"{name}\tchanged\tyes" in ops("resume")
        now = ops("status")
        assert f"pid {service.process.pid} on {os.uname().nodename}" in now
        assert "slots\t0 of 3 busy" in now
        assert "0 bytes written" in now

        assert "at least one limit" in ops("set-limit", "--family", "image", code=65)
        assert "known are image, " in ops("recycle", "--family", "nope", code=65)
        assert ">= 1" in ops("resize", "--slots", "0", code=64)
        ops("resize", code=64)

    listed = said("audit", "list", home=home, environ=database)
    rows = [line.split("\t") for line in listed.splitlines()]
    assert [row[3] for row in reversed(rows)] == [
        *("pause", "resume", "recycle", "recycle", "restart-zygote", "resize", "set-limit"),
        *("drain", "resume"),
    ]
    assert {(row[1], row[5]) for row in rows} == {(f"uid:{os.geteuid()}", "done")}
    whole = said("audit", "verify", home=home, environ=database)
    assert whole.startswith("18 records, head 18:")
    head = whole.splitlines()[0].split()[-1]
    said("audit", "verify", "--head", head, home=home, environ=database)
    other = re.sub(r":[0-9a-f]{2}", ":" + ("00" if head[3:5] != "00" else "01"), head)
    assert "not in the chain" in said(
        "audit", "verify", "--head", other, home=home, environ=database, code=65
    )
    assert "64 hex" in said("audit", "verify", "--head", "x", home=home, environ={}, code=64)


async def test_of_several_services_one_must_be_named(home: Path, database: dict[str, str]) -> None:
    with ExitStack() as stack:
        services = [stack.enter_context(serving(home, **database)) for _ in range(2)]
        first, second = (service.process.pid for service in services)

        def ops(*arguments: str, code: int = 0) -> str:
            return said("ops", *arguments, home=home, environ=database, code=code)

        refused = ops("pause", code=64)
        assert f"pid {first}" in refused
        assert f"pid {second}" in refused
        assert ops("pause", "--pid", str(second)).startswith(f"pid {second}\tpause\tdone")
        assert "service\tready" in ops("status", "--pid", str(first))
        both = ops("status", code=69)
        assert f"pid {first} on" in both
        assert f"pid {second} on" in both
        everybody = ops("resume", "--all")
        assert f"pid {first}\tchanged\tno" in everybody
        assert f"pid {second}\tchanged\tyes" in everybody
        assert "no service with the pid 1 " in ops("pause", "--pid", "1", code=69)

        services[1].process.kill()
        services[1].process.wait()
        assert ops("pause").startswith(f"pid {first}\t")
    assert "no service answers" in said("ops", "pause", home=home, environ=database, code=69)


async def test_from_afar_the_token_is_needed(home: Path, database: dict[str, str]) -> None:
    admin = {"EPHEMERA__ADMIN__HOST": "127.0.0.1", "EPHEMERA__ADMIN__PORT": "0"}
    token = {"EPHEMERA__SERVER__OPERATOR_TOKEN": TOKEN}
    with serving(home, **database, **admin, **token) as service, private_home() as elsewhere:
        url = re.findall(r"Operators are answered on (http://\S+)", service.banner)[0]
        where = ("--url", url)
        done = said("ops", "recycle", *where, home=elsewhere, environ=token)
        assert done.startswith(f"{url}\trecycle\tdone")
        refused = said("ops", "recycle", *where, home=elsewhere, environ={}, code=65)
        assert "operator_token" in refused
        public = said(
            "ops", "recycle", "--url", service.url, home=elsewhere, environ=token, code=65
        )
        assert "nothing at this address" in public


async def test_an_address_that_is_taken_is_said_with_its_setting(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        environ = {
            "EPHEMERA__ADMIN__HOST": "127.0.0.1",
            "EPHEMERA__ADMIN__PORT": str(other.getsockname()[1]),
            "EPHEMERA__SERVER__OPERATOR_TOKEN": TOKEN,
        }
        out = said("serve", "--port", "0", home=home, environ=environ, code=69)
    assert "EPHEMERA__ADMIN__PORT" in out


async def test_a_conversion_beside_orders_does_not_fail(
    home: Path, database: dict[str, str]
) -> None:
    # More than four clients can spend while the orders take their time.
    rich = {"EPHEMERA__LEDGER__DEMO_CREDITS": "1000000000"}
    with serving(home, **database, **rich) as service:
        going = True

        async def convert() -> list[int]:
            headers = {"Authorization": f"Bearer {service.key}"}
            statuses = []
            async with aiohttp.ClientSession(headers=headers) as client:
                while going:
                    async with client.post(
                        f"{service.url}/v1/convert/png/webp", data=picture()
                    ) as response:
                        await response.read()
                        statuses.append(response.status)
            return statuses

        clients = [asyncio.create_task(convert()) for _ in range(4)]
        for order in (("recycle",), ("restart-zygote",), ("resize", "--slots", "1"), ("recycle",)):
            ended = await asyncio.to_thread(run, "ops", *order, home=home, environ=database)
            assert ended.returncode == 0, ended.stderr
        going = False
        statuses = [status for client in clients for status in await client]
    assert set(statuses) == {200}


async def test_a_watched_status_comes_again_until_it_is_interrupted(
    home: Path, database: dict[str, str]
) -> None:
    with serving(home, **database):
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            # What is started in the background inherits that interrupts are ignored.
            ["env", "--default-signal=INT", EPHEMERA, "ops", "status", "--watch"],
            stdout=theirs,
            env=environment(home, **database),
        )
        os.close(theirs)
        seen = b""
        while seen.count(b"family image") < 2:
            seen += await asyncio.to_thread(os.read, ours, 65_536)
        process.send_signal(signal.SIGINT)
        # A terminal that nobody reads would hold it in the middle of a line; it ends with EIO.
        with contextlib.suppress(OSError):
            while await asyncio.to_thread(os.read, ours, 65_536):
                pass
        assert await asyncio.to_thread(process.wait, 180) in (0, 130)
        os.close(ours)


async def test_systemd_hears_the_service_from_its_start_to_its_end(
    home: Path, database: dict[str, str]
) -> None:
    manager = Manager(str(home / "notify"))
    heard = {"NOTIFY_SOCKET": str(home / "notify"), "WATCHDOG_USEC": "20000"}
    with serving(home, **database, **heard) as service:
        ready = await manager.heard()
        assert ready[0] == "READY=1"
        assert ready[1].startswith("STATUS=ready; 0 of ")
        assert (await manager.heard())[0] == "WATCHDOG=1"
        await _stopped(service, manager)
    manager.socket.close()


async def _stopped(service: Serving, manager: Manager) -> None:
    service.process.send_signal(signal.SIGTERM)
    while (await manager.heard())[0] != "STOPPING=1":
        pass
    ended = asyncio.create_task(asyncio.to_thread(service.process.wait, 180))
    assert await ended == 0


async def test_a_wrong_user_or_database_is_one_sentence(home: Path, postgres: Server) -> None:
    for dsn, says in (
        (postgres.dsn("no_such_database"), "no_such_database"),
        (postgres.dsn("postgres", "nobody_we_know"), "nobody_we_know"),
    ):
        for command in (("migrate",), ("serve", "--port", "0"), ("accounts", "list")):
            out = said(*command, "--database-url", dsn, home=home, environ={}, code=78)
            assert says in out
            assert "ledger.dsn" in out


async def test_the_doctor_says_what_to_do_about_what_it_finds(home: Path) -> None:
    rows = [
        line.split("\t")
        for line in said("doctor", home=home, environ={}).splitlines()
        if line.split("\t")[0] in {"ok", "note", "MISSING"}
    ]
    assert {"kernel", "landlock", "namespaces", "sandbox", "database", "home"} <= {
        row[1] for row in rows
    }
    assert all(bool(row[3]) == (row[0] != "ok") for row in rows)


async def test_json_is_one_document_a_service(home: Path, database: dict[str, str]) -> None:
    with serving(home, **database) as service:
        out = said("ops", "status", "--json", home=home, environ=database)
        assert json.loads(out)["process"]["pid"] == service.process.pid
