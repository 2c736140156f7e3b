"""Each way out of a worker is tried for real: refused, and open again without its layers.

The second half is what makes the first worth something: a test that could not fail says nothing.
"""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from sandbox.errors import SandboxUnavailable, WorkerCrashed
from sandbox.host.forkserver import Forkserver
from tests.sandbox.zygotes import ENTRIES, LIMITS, ask, order, zygote

FILES = frozenset({"landlock", "own-landlock", "empty-root", "limits", "filter"})
# In the namespace all mounts are read-only.
WRITING = FILES | {"zygote-limits", "mount-namespace"}
MEMORY = frozenset({"filter"})
DESCRIPTORS = frozenset({"filter", "limits"})


class Attack(NamedTuple):
    action: str
    layers: frozenset[str]


def unique(directory: str) -> str:
    return f"{directory}/ephemera-attack-{secrets.token_hex(8)}"


ATTACKS = {
    "write to /tmp": Attack("write_file {tmp}", WRITING),
    "write to /dev/shm": Attack("write_file {shm}", WRITING),
    "write to the home": Attack("write_file {home}", WRITING | {"identity"}),
    "open /etc/passwd": Attack("read_file /etc/passwd", FILES),
    "read another process": Attack("read_file /proc/{pid}/status", FILES),
    "inet socket": Attack("open_socket AF_INET", DESCRIPTORS),
    "inet6 socket": Attack("open_socket AF_INET6", DESCRIPTORS),
    "unix socket": Attack("open_socket AF_UNIX", DESCRIPTORS),
    "connect": Attack(
        "connect {port}", DESCRIPTORS | {"network-namespace", "landlock", "own-landlock"}
    ),
    "execve": Attack("execute", FILES),
    "ptrace": Attack("trace", MEMORY),
    "fork": Attack("fork", DESCRIPTORS),
    "memfd": Attack("memfd", DESCRIPTORS),
    "shared memory": Attack("share_memory", MEMORY),
    "shared segment": Attack("shared_segment", MEMORY),
    "executable memory": Attack("executable_memory", MEMORY),
    "signal to the zygote": Attack("signal_zygote", frozenset({"filter", "own-landlock"})),
    "io_uring": Attack("io_uring", DESCRIPTORS | {"zygote-limits"}),
}


class Scene:
    """What the attacks aim at: files that must not appear, a port that answers."""

    def __init__(self, port: int) -> None:
        self.paths = {
            "tmp": unique("/tmp"),  # noqa: S108 - the attack
            "shm": unique("/dev/shm"),  # noqa: S108 - the attack
            "home": unique(str(Path.home())),
        }
        self.port = port

    def action(self, attack: Attack) -> str:
        return attack.action.format(**self.paths, port=self.port, pid=os.getpid())

    async def succeeds(self, server: Forkserver, attack: Attack) -> bool:
        reply = await ask(server, self.action(attack))
        return reply.header.startswith(b"got ")


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        await writer.drain()
        writer.close()

    listener = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with listener:
        scene = Scene(listener.sockets[0].getsockname()[1])
        yield scene
    for path in scene.paths.values():
        Path(path).unlink(missing_ok=True)


@pytest.mark.claim("C-WORKER-2")
async def test_every_attack_on_a_confined_worker_is_refused(scene: Scene) -> None:
    async with zygote() as server:
        succeeded = [
            name for name, attack in ATTACKS.items() if await scene.succeeds(server, attack)
        ]
        assert succeeded == []
    assert not any(Path(path).exists() for path in scene.paths.values())


@pytest.mark.parametrize("name", ATTACKS)
async def test_an_attack_succeeds_when_its_layers_are_taken_away(name: str, scene: Scene) -> None:
    attack = ATTACKS[name]
    async with zygote(order(omit=attack.layers)) as server:
        assert await scene.succeeds(server, attack)


@pytest.mark.parametrize("layer", sorted(WRITING))
@pytest.mark.claim("C-WORKER-3")
async def test_no_attack_on_files_depends_on_a_single_layer(layer: str, scene: Scene) -> None:
    async with zygote(order(omit={layer})) as server:
        for name, attack in ATTACKS.items():
            if attack.layers >= FILES:
                assert not await scene.succeeds(server, attack), name


@pytest.mark.claim("C-WORKER-4")
async def test_a_worker_holds_its_two_pipes_and_nothing_else() -> None:
    async with zygote() as server:
        assert (await ask(server, "descriptors")).header == b"got [3, 4]"
    async with zygote(order(omit={"descriptors"})) as server:
        assert (await ask(server, "descriptors")).header != b"got [3, 4]"


async def test_a_random_source_that_a_library_holds_is_the_one_thing_a_worker_keeps() -> None:
    async with zygote(order(warm=f"{ENTRIES}:warm_with_a_random_source")) as server:
        assert (await ask(server, "descriptors")).header == b"got [3, 4, 5]"
        assert (await ask(server, "read_random")).header == b"got 16"


@pytest.mark.claim("C-WORKER-6")
async def test_a_worker_cannot_become_root() -> None:
    async with zygote() as server:
        uid = Path(f"/proc/{server.pid}/status").read_text().split("Uid:")[1].split()[0]
        assert int(uid) != 0
        with pytest.raises(WorkerCrashed):
            await ask(server, "root_again")


@pytest.mark.parametrize("level", ["strict", "container"])
async def test_layers_cannot_be_left_out_at_a_level_that_confines(level: str) -> None:
    with pytest.raises(SandboxUnavailable, match="left out"):
        await Forkserver.start(order(omit={"filter"}, level=level))


async def test_a_left_out_layer_is_missing_from_the_attestation_and_seen_by_the_probe() -> None:
    async with zygote(order(omit={"filter", "limits"})) as server:
        assert set(server.attestation.missing) == {"filter", "limits"}
        assert {"fork", "make a memfd", "use io_uring"} <= set(server.attestation.succeeded)
        worker = await server.spawn()
        assert "filter" not in worker.layers


@pytest.mark.parametrize(
    ("layers", "attack"),
    [
        ({"pid-namespace"}, "see the host's processes"),
        ({"network-namespace"}, "reach the host's network"),
        ({"own-landlock"}, "signal the zygote"),
        ({"landlock", "own-landlock", "empty-root"}, "list the root directory"),
        ({"landlock", "own-landlock", "empty-root"}, "read a file"),
        ({"empty-root"}, "look a file up"),
        ({"landlock", "own-landlock", "empty-root", "mount-namespace"}, "write to /dev/shm"),
        ({"filter"}, "map executable memory"),
    ],
)
@pytest.mark.claim("C-START-2")
async def test_the_self_attack_notices_a_layer_that_is_not_there(
    layers: set[str], attack: str
) -> None:
    async with zygote(order(omit=layers)) as server:
        assert attack in server.attestation.succeeded


async def test_threads_start_only_in_a_family_that_asked_for_them() -> None:
    async with zygote() as server:
        with pytest.raises(WorkerCrashed):
            await ask(server, "thread")
    async with zygote(order(limits=msgspec.structs.replace(LIMITS, threads=2))) as server:
        assert (await ask(server, "thread")).header == b"got a thread"
        assert (await ask(server, "fork")).header == b"refused EPERM"


async def test_strict_attests_every_layer_and_no_attack_that_succeeded() -> None:
    async with zygote() as server:
        assert server.attestation.missing == ()
        assert server.attestation.succeeded == ()
        assert len(server.attestation.refused) >= 14
        worker = await server.spawn()
        assert set(worker.layers) == set(server.attestation.layers)
