"""`ephemera serve` from its first start to its last byte, as a process of its own."""

import asyncio
import json
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from tests.gateway.command import EPHEMERA, environment, run, serving
from tests.gateway.samples import noise, opened, picture
from tests.postgres import Server, private_home

pytestmark = pytest.mark.asyncio(loop_scope="session")

# A second of work for an encoder, so that a signal finds it at work.
SLOW = noise(1000, 1000)


@pytest.fixture
def home() -> Iterator[Path]:
    with private_home() as home:
        yield home


@pytest_asyncio.fixture(loop_scope="session")
async def dsn(postgres: Server) -> AsyncIterator[str]:
    async with postgres.database() as name:
        yield postgres.dsn(name)


async def test_the_line_of_the_first_start_can_be_pasted_and_a_second_start_finds_everything(
    home: Path, tmp_path: Path
) -> None:
    (tmp_path / "photo.jpg").write_bytes(picture("JPEG", 1600, 1200))
    with serving(home, installed=True) as first:
        assert first.key
        line = first.banner[first.banner.index("curl") :].rpartition("photo.webp")[0] + "photo.webp"
        subprocess.run(["sh", "-c", line], cwd=tmp_path, check=True, capture_output=True)
        assert opened((tmp_path / "photo.webp").read_bytes()).size == (800, 600)
        assert first.stop() == 0
    with serving(home, installed=True) as second:
        assert second.key is None
        account = await _get(second.url + "/v1/account", first.key)
        assert (account["name"], account["balance"]) == ("demo", 999)
        assert second.stop() == 0
    kept = {"pepper", "kek", "audit-keys", "postgres", "log"}
    assert {entry.name for entry in home.iterdir()} == kept
    assert first.key not in (home / "log").read_text()
    lines = (json.loads(line) for line in (home / "log").read_text().splitlines())
    assert {"migrated", "ready", "request", "drained", "stopped"} <= {
        line["event"] for line in lines
    }


async def test_an_occupied_port_is_said_at_once(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        ended = run("serve", "--port", str(port), home=home)
    assert ended.returncode == 69
    assert f"port {port} on 127.0.0.1 is in use" in ended.stderr.decode()
    assert not (home / "postgres").exists()


async def test_a_typo_stops_the_boot(home: Path) -> None:
    ended = run("serve", home=home, environ={"EPHEMERA__SERVER__PROT": "1"})
    assert ended.returncode == 78
    assert "server.prot" in ended.stderr.decode()


async def test_a_database_that_does_not_answer_is_said(home: Path) -> None:
    ended = run(
        *("serve", "--port", "0", "--database-url", f"postgresql://x@/x?host={home}"), home=home
    )
    assert ended.returncode == 69
    assert "PostgreSQL" in ended.stderr.decode()


async def test_a_stop_lets_a_conversion_finish(home: Path, dsn: str) -> None:
    patience = {"EPHEMERA__SERVER__DRAIN_S": "3600"}
    with serving(home, "--database-url", dsn, **patience) as service:
        assert service.key
        conversion = asyncio.create_task(_convert(service.url, service.key))
        await _busy(service.url)
        service.process.send_signal(signal.SIGTERM)
        status, body = await conversion
        assert status == 200
        assert opened(body).size == (1000, 1000)
        assert await asyncio.to_thread(service.process.wait, 180) == 0


async def test_what_cannot_finish_is_refunded_and_told(home: Path, dsn: str) -> None:
    patience = {"EPHEMERA__SERVER__DRAIN_S": "0.05"}
    with serving(home, "--database-url", dsn, **patience) as service:
        assert service.key
        conversion = asyncio.create_task(_convert(service.url, service.key))
        await _busy(service.url)
        service.process.send_signal(signal.SIGTERM)
        status, body = await conversion
        assert (status, json.loads(body)["code"]) == (503, "draining")
        assert await asyncio.to_thread(service.process.wait, 180) == 0
    await _is_refunded(home, dsn, service.key)


async def test_a_second_signal_hurries(home: Path, dsn: str) -> None:
    patience = {"EPHEMERA__SERVER__DRAIN_S": "3600"}
    with serving(home, "--database-url", dsn, **patience) as service:
        assert service.key
        conversion = asyncio.create_task(_convert(service.url, service.key))
        await _busy(service.url)
        service.process.send_signal(signal.SIGINT)
        await _refused(service.port)
        service.process.send_signal(signal.SIGINT)
        status, body = await conversion
        assert (status, json.loads(body)["code"]) == (503, "draining")
        assert await asyncio.to_thread(service.process.wait, 180) == 0


async def test_a_signal_during_the_start_gives_it_up_in_order(home: Path) -> None:
    process = subprocess.Popen(
        [EPHEMERA, "serve", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(home),
    )
    while not (home / "postgres").exists():  # noqa: ASYNC110 -- another process makes it
        await asyncio.sleep(0.005)
    process.send_signal(signal.SIGTERM)
    out, _ = await asyncio.to_thread(process.communicate, timeout=180)
    assert process.returncode == 0
    assert b"converts files" not in out
    assert not (home / "postgres" / "data" / "postmaster.pid").exists()


async def _get(url: str, key: str | None) -> dict[str, object]:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.get(url, raise_for_status=True) as response,
    ):
        found: dict[str, object] = await response.json()
        return found


async def _convert(url: str, key: str) -> tuple[int, bytes]:
    headers = {"Authorization": f"Bearer {key}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(f"{url}/v1/convert/png/avif?effort=5", data=SLOW) as response,
    ):
        return response.status, await response.read()


async def _busy(url: str) -> None:
    """Wait until a worker converts."""
    async with asyncio.timeout(180):
        while True:
            now = await _get(f"{url}/status", None)
            engine = now["engine"]
            assert isinstance(engine, dict)
            if engine["busy"]:
                return


async def _refused(port: int) -> None:
    """Wait until nobody new is accepted: the drain has begun."""
    async with asyncio.timeout(180):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                return
            writer.close()


async def _is_refunded(home: Path, dsn: str, key: str | None) -> None:
    with serving(home, "--database-url", dsn) as service:
        account = await _get(f"{service.url}/v1/account", key)
        page = await _get(f"{service.url}/v1/account/entries", key)
        assert account["balance"] == 1000
        entries = page["entries"]
        assert isinstance(entries, list)
        assert [entry["kind"] for entry in entries] == ["refund", "consumption", "adjustment"]
