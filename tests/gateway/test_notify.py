"""What systemd is told, over a real datagram socket."""

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.notify import Notifier, Pulse
from tests.postgres import private_home

FINE = Pulse(True, "ready; 0 of 2 slots busy, 0 waiting")
LOST = Pulse(False, "not ready: engine")
PATIENCE_S = 60.0


class Manager:
    """systemd's end."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.socket.setblocking(False)

    async def heard(self) -> list[str]:
        async with asyncio.timeout(PATIENCE_S):
            data = await asyncio.get_running_loop().sock_recv(self.socket, 4096)
        return data.decode().split("\n")


@pytest.fixture
def home() -> Iterator[Path]:
    with private_home() as home:
        yield home


@pytest.fixture
def manager(home: Path) -> Iterator[Manager]:
    manager = Manager(str(home / "notify"))
    yield manager
    manager.socket.close()


def notifier(home: Path, **environ: str) -> Notifier:
    return Notifier.taken_from({"NOTIFY_SOCKET": str(home / "notify"), **environ})


async def test_a_service_says_that_it_is_ready_how_it_goes_and_that_it_stops(
    home: Path, manager: Manager
) -> None:
    tells = notifier(home, WATCHDOG_USEC="2000")
    async with tells.telling(lambda: FINE):
        assert await manager.heard() == ["READY=1", f"STATUS={FINE.status}"]
        for _ in range(3):
            assert await manager.heard() == ["WATCHDOG=1", f"STATUS={FINE.status}"]
        tells.stopping()
        while (heard := await manager.heard())[0] != "STOPPING=1":
            assert heard[0] == "WATCHDOG=1"


async def test_an_engine_that_is_lost_is_not_called_alive(home: Path, manager: Manager) -> None:
    pulse = FINE
    async with notifier(home, WATCHDOG_USEC="2000").telling(lambda: pulse):
        await manager.heard()
        assert "WATCHDOG=1" in await manager.heard()
        pulse = LOST
        while (heard := await manager.heard()) == ["WATCHDOG=1", f"STATUS={FINE.status}"]:
            pass
        for _ in range(3):
            assert heard == [f"STATUS={LOST.status}"]
            heard = await manager.heard()
        pulse = FINE
        while "WATCHDOG=1" not in await manager.heard():
            pass


async def test_without_a_watchdog_nobody_is_told_that_it_lives(
    home: Path, manager: Manager
) -> None:
    for environ in ({}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "x"}):
        async with notifier(home, **environ).telling(lambda: FINE):
            assert (await manager.heard())[0] == "READY=1"
            assert await manager.heard() == [f"STATUS={FINE.status}"]


async def test_a_watchdog_that_is_meant_for_another_process_is_not_ours(
    home: Path, manager: Manager
) -> None:
    for pid, expected in ((os.getpid(), 2), (1, 1)):
        notifier(home, WATCHDOG_USEC="1000000", WATCHDOG_PID=str(pid)).beat(FINE)
        assert len(await manager.heard()) == expected


async def test_an_abstract_address_is_understood() -> None:
    name = f"ephemera-test-{os.getpid()}"
    manager = Manager(f"\0{name}")
    Notifier(f"@{name}").stopping()
    assert (await manager.heard())[0] == "STOPPING=1"
    manager.socket.close()


async def test_nobody_to_tell_is_no_failure(home: Path) -> None:
    for tells in (Notifier(), Notifier(str(home / "nobody"))):
        async with tells.telling(lambda: FINE):
            tells.beat(FINE)
            tells.stopping()


def test_our_children_are_not_told_where_systemd_listens() -> None:
    environ = {"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "1", "WATCHDOG_PID": "1", "HOME": "/"}
    Notifier.taken_from(environ)
    assert environ == {"HOME": "/"}
