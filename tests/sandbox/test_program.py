"""A family that may execute one program gets that and nothing more, for its worker and the program.

The program is ours (`intruder.c`) and tries the ways out from the inside; each attack is refused,
and succeeds once its layers are taken away.
"""

import asyncio
import errno
import os
from pathlib import Path

import msgspec
import pytest

from sandbox.errors import SandboxUnavailable, WorkerViolation
from sandbox.host.forkserver import Forkserver
from sandbox.limits import MIB
from sandbox.spec import ZygoteSpec
from tests.sandbox.test_attacks import FILES, WRITING, Attack, Scene, scene
from tests.sandbox.test_levels import start
from tests.sandbox.zygotes import ask, order, zygote

__all__ = ["scene"]

ENTRY = "tests.sandbox.granted:handle"
FILTER = frozenset({"filter"})

# What the worker itself tries, though its family may execute a program.
OF_THE_WORKER = {
    "a shell": Attack("execute", FILES),
    "a memfd": Attack("memfd", FILTER),
    "an inet socket": Attack("open_socket AF_INET", FILTER),
    "a unix socket": Attack("open_socket AF_UNIX", FILTER),
    "a file": Attack("write_file {tmp}", WRITING),
    "another file's bytes": Attack("read_file /etc/passwd", FILES),
    "a group of its own": Attack("leave_its_group", FILTER),
    "shared memory": Attack("share_memory", FILTER),
    "executable memory": Attack("executable_memory", FILTER),
    "a signal": Attack("signal_zygote", frozenset({"filter", "own-landlock"})),
}
# What the program tries: its walls are the worker's.
OF_THE_PROGRAM = {
    "a shell": Attack("execute_program shell", FILES),
    "a memfd": Attack("execute_program memfd", FILTER),
    "an inet socket": Attack("execute_program inet", FILTER),
    "a unix socket": Attack("execute_program unix", FILTER),
    "a file": Attack("execute_program write_file {tmp}", WRITING),
    "a file in shared memory": Attack("execute_program write_file {shm}", WRITING),
    "another file's bytes": Attack("execute_program read_file /etc/passwd", FILES),
    "a file by its path": Attack("execute_program point_at /etc/passwd", FILES),
    "shared memory": Attack("execute_program shared", FILTER),
    "executable memory": Attack("execute_program executable", FILTER),
    "a signal": Attack("execute_program signal", FILTER),
}


def spec(program: Path, *, omit: frozenset[str] = frozenset(), **changes: object) -> ZygoteSpec:
    made = order(entry=ENTRY, program=program, omit=omit)
    return msgspec.structs.replace(made, **changes)


async def output(server: Forkserver, words: str, upload: bytes = b"") -> bytes:
    """What the program printed."""
    return bytes((await ask(server, f"execute_program {words}", [upload])).files[0])


async def gets_through(server: Forkserver, scene: Scene, attack: Attack) -> bool:
    try:
        reply = await ask(server, scene.action(attack))
    except WorkerViolation:
        return False
    if "shell" in attack.action:
        # The shell took the program's place, and ended well.
        return reply.header == b"0 " and not reply.files[0]
    return (reply.header + b"".join(reply.files)).removeprefix(b"0 ").startswith(b"got ")


async def test_the_program_gets_its_bytes_and_gives_its_own(intruder: Path) -> None:
    upload = os.urandom(3 * MIB)
    async with zygote(spec(intruder)) as server:
        assert await output(server, "echo", upload) == upload
        assert await output(server, "echo") == b""
        complaint = await ask(server, "execute_program complain", [upload])
        assert complaint.header == b"7 what is wrong"
        assert await output(server, "environment FROM") == b"the worker"
        assert await output(server, "environment PATH") == b"nothing"
        assert (await ask(server, "execute_twice echo", [b"again"])).files == [b"again"] * 2


async def test_a_program_that_writes_without_end_is_hung_up_on(intruder: Path) -> None:
    async with zygote(spec(intruder)) as server:
        assert (await ask(server, "execute_program flood")).header == b"too large"


async def test_a_program_can_be_talked_with(intruder: Path) -> None:
    async with zygote(spec(intruder)) as server:
        reply = await ask(server, "talk 100000")
        assert reply.header == b"talked"
        assert reply.files == [b"A WORD " * 100_000]
        assert (await ask(server, "talk_to_the_dead")).header == b"ended"


async def test_all_layers_hold_in_a_family_with_a_program(intruder: Path) -> None:
    async with zygote(spec(intruder)) as server, zygote() as plain:
        assert server.attestation.layers == plain.attestation.layers
        assert server.attestation.refused == plain.attestation.refused
        assert server.attestation.succeeded == ()
        # The program's file is open as a path only, at which nothing can be read or sought.
        assert (await ask(server, "descriptors")).header == b"got [3, 4]"


@pytest.mark.claim("C-WORKER-2")
@pytest.mark.claim("C-PROGRAM-1")
async def test_every_attack_of_worker_and_program_is_refused(intruder: Path, scene: Scene) -> None:
    async with zygote(spec(intruder)) as server:
        for attacks in (OF_THE_WORKER, OF_THE_PROGRAM):
            for name, attack in attacks.items():
                assert not await gets_through(server, scene, attack), name
    assert not any(Path(path).exists() for path in scene.paths.values())


@pytest.mark.parametrize("name", OF_THE_WORKER)
async def test_the_workers_attack_succeeds_without_its_layers(
    intruder: Path, scene: Scene, name: str
) -> None:
    attack = OF_THE_WORKER[name]
    async with zygote(spec(intruder, omit=attack.layers)) as server:
        reply = await ask(server, scene.action(attack))
        assert reply.header.startswith(b"got "), reply.header


@pytest.mark.parametrize("name", OF_THE_PROGRAM)
async def test_the_programs_attack_succeeds_without_its_layers(
    intruder: Path, scene: Scene, name: str
) -> None:
    attack = OF_THE_PROGRAM[name]
    async with zygote(spec(intruder, omit=attack.layers)) as server:
        assert await gets_through(server, scene, attack)


async def test_the_program_starts_no_process_though_its_worker_may(intruder: Path) -> None:
    async with zygote(spec(intruder)) as server:
        assert (await ask(server, "fork")).header.startswith(b"got ")
        assert await output(server, "fork") == b"refused EPERM"


@pytest.mark.claim("C-PROGRAM-1")
async def test_no_other_file_is_executed_in_the_programs_place(intruder: Path) -> None:
    other = intruder.with_name("other")
    opens = {"reads": (str(other),)}
    landlock = frozenset({"landlock", "own-landlock"})
    async with zygote(spec(intruder, **opens)) as server:
        for attack in ("execute_another_file", "execute_another_descriptor"):
            assert (await ask(server, f"{attack} {other}")).header == b"refused EACCES"
    async with zygote(spec(intruder, omit=landlock, **opens)) as server:
        assert (await ask(server, f"execute_another_file {other}")).header == b"got a shell"
        reply = await ask(server, f"execute_another_descriptor {other}")
        assert reply.header == b"refused EACCES"
    async with zygote(spec(intruder, omit=landlock | FILTER, **opens)) as server:
        reply = await ask(server, f"execute_another_descriptor {other}")
        assert reply.header == b"got a shell"


async def test_no_path_is_executed_with_the_programs_descriptor_as_a_pretext(
    intruder: Path,
) -> None:
    # A path that is not empty wins over the descriptor, and the filter cannot see it.
    other = intruder.with_name("other")
    for omit, expected in (
        # In the empty root no path leads anywhere.
        (frozenset[str](), b"refused ESRCH"),
        (frozenset({"landlock", "own-landlock"}), b"refused ESRCH"),
        (frozenset({"empty-root"}), b"refused EACCES"),
    ):
        async with zygote(spec(intruder, omit=omit)) as server:
            assert (await ask(server, f"execute_by_path {other}")).header == expected
    omit = frozenset({"landlock", "own-landlock", "empty-root"})
    async with zygote(spec(intruder, omit=omit)) as server:
        assert (await ask(server, f"execute_by_path {other}")).header == b"got a shell"


@pytest.mark.parametrize("level", ["strict", "container"])
def test_without_landlock_a_family_with_a_program_does_not_start(
    intruder: Path, level: str
) -> None:
    refusal = start(f"{level}:program={intruder}", "landlock_create_ruleset=ENOSYS")["refusal"]
    assert "the sandbox layer landlock " in str(refusal)


@pytest.mark.claim("C-PROGRAM-2")
async def test_a_worker_that_is_killed_takes_its_program_along(intruder: Path) -> None:
    async with zygote(spec(intruder)) as server:
        worker = await server.spawn()
        hanging = asyncio.create_task(
            worker.run(b"execute_program hang", [], deadline_s=60, output_bytes_max=MIB)
        )
        while not (running := processes_of(intruder)):  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0)
        about = Path(f"/proc/{running[0]}")
        assert (about / "coredump_filter").read_text().strip() == "00000000"
        assert limit(about, "Max core file size") == "1"
        assert limit(about, "Max file size") == "0"
        hanging.cancel()
        await worker.ended()
        assert processes_of(intruder) == []


async def test_what_a_worker_leaves_behind_ends_with_it(intruder: Path) -> None:
    async with zygote(spec(intruder)) as server:
        worker = await server.spawn()
        reply = await worker.run(b"leave_a_child", [], deadline_s=30, output_bytes_max=MIB)
        assert reply.header.startswith(b"got ")
        await worker.ended()
        children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text()
        assert children == ""


async def test_a_crash_of_the_program_is_a_code_and_leaves_no_core(intruder: Path) -> None:
    async with zygote(spec(intruder)) as server:
        assert (await ask(server, "execute_program crash")).header == b"-11 "


async def test_a_program_that_is_not_there_is_a_refused_start(tmp_path: Path) -> None:
    with pytest.raises(SandboxUnavailable, match="nothing-here"):
        await Forkserver.start(spec(tmp_path / "nothing-here"))


async def test_a_zygote_has_its_familys_library_and_environment(
    intruder: Path, tmp_path: Path
) -> None:
    changes = {
        "library": str(intruder.with_name("library.so")),
        "environment": (("COLOUR", "blue"),),
    }
    async with zygote(msgspec.structs.replace(order(entry=ENTRY), **changes)) as server:
        assert (await ask(server, "library")).header == b"got 42"
        assert (await ask(server, "variable COLOUR")).header == b"got blue"
        assert (await ask(server, "variable OMP_THREAD_LIMIT")).header == b"got 1"
    missing = msgspec.structs.replace(order(), library=str(tmp_path / "nothing-here.so"))
    with pytest.raises(SandboxUnavailable, match="nothing-here"):
        await Forkserver.start(missing)


def processes_of(program: Path) -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "exe").readlink() == program:
                found.append(process.name)
        except OSError as gone:
            assert gone.errno in {errno.ENOENT, errno.ESRCH, errno.EACCES}  # noqa: PT017 - a race
    return found


def limit(process: Path, name: str) -> str:
    line = next(one for one in (process / "limits").read_text().splitlines() if name in one)
    return line.removeprefix(name).split()[0]
