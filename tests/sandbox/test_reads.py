"""A family that may read some files reads those, and still writes, creates and removes nothing."""

import os
import socket
from pathlib import Path

import pytest

from sandbox.errors import WorkerViolation
from sandbox.host.forkserver import Forkserver
from sandbox.spec import ZygoteSpec
from tests.sandbox.test_attacks import Attack
from tests.sandbox.test_levels import start
from tests.sandbox.zygotes import ask, order, zygote

ENTRY = "tests.sandbox.granted:handle"
FILTER = frozenset({"filter"})
LANDLOCK = frozenset({"landlock", "own-landlock"})
# In the namespace all mounts are read-only.
MOUNTS = frozenset({"mount-namespace"})
WRITING = FILTER | LANDLOCK | MOUNTS | {"zygote-limits"}

ATTACKS = {
    "read beside it": Attack("read_file {beside}", LANDLOCK),
    "list the directory above": Attack(f"open_with {os.O_DIRECTORY} {{above}}", LANDLOCK),
    "point at a file beside it": Attack(f"open_with {os.O_PATH} {{beside}}", FILTER),
    "create a file in it": Attack("write_file {inside}/new", WRITING),
    "create a hidden file in it": Attack(
        f"open_with {os.O_TMPFILE | os.O_WRONLY} {{inside}}", FILTER | LANDLOCK | MOUNTS
    ),
    "write to the file": Attack(f"open_with {os.O_WRONLY} {{file}}", FILTER | LANDLOCK | MOUNTS),
    "read and write the file": Attack(
        f"open_with {os.O_RDWR} {{file}}", FILTER | LANDLOCK | MOUNTS
    ),
    "cut the file short": Attack(f"open_with {os.O_TRUNC} {{file}}", FILTER | LANDLOCK | MOUNTS),
    "remove the file": Attack("remove {file}", FILTER | LANDLOCK | MOUNTS),
    "a unix socket": Attack("open_socket AF_UNIX", FILTER),
    "an inet socket": Attack("open_socket AF_INET", FILTER),
    "a memfd": Attack("memfd", FILTER),
    "a shell": Attack("execute", FILTER | LANDLOCK),
    "fork": Attack("fork", FILTER | {"limits"}),
    "shared memory": Attack("share_memory", FILTER),
    "executable memory": Attack("executable_memory", FILTER),
    "code that can be written to": Attack("map_code_to_write {file}", FILTER),
}


@pytest.fixture
def tree(readable: Path) -> Path:
    """A directory that may be read, and that anybody could write to; a file in it, one beside."""
    inside = readable / "inside"
    inside.mkdir()
    (inside / "file").write_bytes(b"to be read")
    (readable / "beside").write_bytes(b"a secret")
    for path in (readable, inside, inside / "file", readable / "beside"):
        path.chmod(0o777)
    return readable


def spec(tree: Path, omit: frozenset[str] = frozenset()) -> ZygoteSpec:
    return order(entry=ENTRY, reads=(tree / "inside", tree / "not-there"), omit=omit)


async def gets_through(server: Forkserver, tree: Path, attack: Attack) -> bool:
    paths = {"above": tree, "inside": tree / "inside", "beside": tree / "beside"}
    action = attack.action.format(**paths, file=tree / "inside/file")
    try:
        return (await ask(server, action)).header.startswith(b"got ")
    except WorkerViolation:
        return False


async def test_what_may_be_read_is_read_and_looked_at(tree: Path) -> None:
    file = tree / "inside/file"
    async with zygote(spec(tree)) as server:
        assert (await ask(server, f"read_file {file}")).header == b"got 10"
        assert (await ask(server, f"look_at {file}")).header == b"got 10"
        assert (await ask(server, f"map_code {file}")).header == b"got True"


@pytest.mark.claim("C-READS-1")
async def test_every_attack_is_refused(tree: Path) -> None:
    async with zygote(spec(tree)) as server:
        for name, attack in ATTACKS.items():
            assert not await gets_through(server, tree, attack), name
    assert [path.name for path in (tree / "inside").iterdir()] == ["file"]
    assert (tree / "inside/file").read_bytes() == b"to be read"


@pytest.mark.parametrize("name", ATTACKS)
async def test_an_attack_succeeds_without_its_layers(tree: Path, name: str) -> None:
    attack = ATTACKS[name]
    async with zygote(spec(tree, attack.layers)) as server:
        assert await gets_through(server, tree, attack)


@pytest.mark.parametrize("layer", sorted(LANDLOCK | FILTER | MOUNTS))
async def test_no_writing_depends_on_a_single_layer(tree: Path, layer: str) -> None:
    async with zygote(spec(tree, frozenset({layer}))) as server:
        for name, attack in ATTACKS.items():
            if attack.layers > FILTER and attack.layers >= LANDLOCK:
                assert not await gets_through(server, tree, attack), name


async def test_the_root_that_is_not_empty_is_attested(tree: Path) -> None:
    async with zygote(spec(tree)) as server:
        assert server.attestation.missing == ("empty-root",)
        assert server.attestation.succeeded == ("look a file up",)
        assert "read a file" in server.attestation.refused


@pytest.mark.parametrize("level", ["strict", "container"])
@pytest.mark.claim("C-READS-2")
def test_without_landlock_such_a_family_does_not_start(level: str) -> None:
    refusal = str(start(f"{level}:reads=/usr", "landlock_create_ruleset=ENOSYS")["refusal"])
    assert "the sandbox layer landlock " in refusal


def test_in_a_container_without_namespaces_such_a_family_starts() -> None:
    outcome = start("container:reads=/usr", "unshare=EPERM")
    assert outcome["works"]
    assert "empty-root" in outcome["missing"]  # type: ignore[operator]


async def test_a_pair_of_sockets_reaches_its_own_other_end_and_nothing_else(tree: Path) -> None:
    # A socket that is there to be reached, and that anybody may write to.
    path = tree / "inside/socket"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as outside:
        outside.bind(str(path))
        path.chmod(0o777)
        outside.setblocking(False)
        made = order(entry=ENTRY, reads=(tree / "inside",), pairs=True)
        async with zygote(made) as server:
            assert (await ask(server, "pair SOCK_STREAM")).header == b"got to myself"
            assert (await ask(server, "pair SOCK_SEQPACKET")).header == b"got to myself"
            assert (await ask(server, "pair SOCK_DGRAM")).header == b"refused EACCES"
            for family in ("AF_UNIX", "AF_INET"):
                assert (await ask(server, f"open_socket {family}")).header == b"refused EACCES"
            for kind in ("SOCK_STREAM", "SOCK_SEQPACKET"):
                await ask(server, f"send_to {kind} {path}")
                with pytest.raises(BlockingIOError):
                    outside.recv(100)
        async with zygote(spec(tree, FILTER)) as server:
            await ask(server, f"send_to SOCK_DGRAM {path}")
            assert outside.recv(100).startswith(b"a customer's bytes")
        async with zygote(spec(tree)) as server:
            assert (await ask(server, "pair SOCK_STREAM")).header == b"refused EACCES"


async def test_shared_memory_is_only_for_a_family_that_says_so_and_never_a_file() -> None:
    async with zygote(order(entry=ENTRY, shares=True)) as server:
        assert (await ask(server, "share_memory")).header == b"got 4096"
        assert (await ask(server, "memfd")).header == b"refused EPERM"
        assert server.attestation.succeeded == ()
