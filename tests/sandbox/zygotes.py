"""Zygotes for tests: started with small entries, closed again, and looked over for leaks."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

from sandbox.host.forkserver import Forkserver
from sandbox.host.worker import Reply
from sandbox.limits import MIB, Limits
from sandbox.spec import Level, ZygoteSpec

ENTRIES = "tests.sandbox.entries"
LIMITS = Limits(address_space_bytes=512 * MIB, cpu_s=20)


def order(
    *,
    omit: Iterable[str] = (),
    level: Level | None = None,
    limits: Limits = LIMITS,
    uses: int = 1,
    entry: str = f"{ENTRIES}:handle",
    warm: str = f"{ENTRIES}:warm",
    touch: str = f"{ENTRIES}:touch",
    preload: tuple[str, ...] = (),
    program: Path | None = None,
    reads: Iterable[Path] = (),
    pairs: bool = False,
    shares: bool = False,
    library: Path | None = None,
    environment: tuple[tuple[str, str], ...] = (),
) -> ZygoteSpec:
    left_out = frozenset(omit)
    return ZygoteSpec(
        family="test",
        preload=preload,
        entry=entry,
        warm=warm,
        touch=touch,
        limits=limits,
        level=level or ("unsafe" if left_out else "strict"),
        uses=uses,
        program=str(program or ""),
        reads=tuple(map(str, reads)),
        pairs=pairs,
        shares=shares,
        library=str(library or ""),
        environment=environment,
        omit=left_out,
    )


@asynccontextmanager
async def zygote(spec: ZygoteSpec | None = None) -> AsyncIterator[Forkserver]:
    """A zygote that leaves neither a descriptor nor a process behind, whatever befell it."""
    descriptors, children = open_descriptors(), child_processes()
    server = await Forkserver.start(spec or order())
    try:
        yield server
    finally:
        await server.close()
    assert open_descriptors() == descriptors
    assert child_processes() == children
    assert has_ended(server.pid)


async def ask(
    server: Forkserver,
    action: str,
    inputs: Iterable[bytes] = (),
    *,
    deadline_s: float = 30.0,
    output_bytes_max: int = 64 * MIB,
) -> Reply:
    """Have a fresh worker take one action."""
    worker = await server.spawn()
    return await worker.run(
        action.encode(), list(inputs), deadline_s=deadline_s, output_bytes_max=output_bytes_max
    )


async def started(server: Forkserver, action: str) -> "asyncio.Task[Reply]":
    """Have a fresh worker begin an action that takes for ever."""
    worker = await server.spawn()
    task = asyncio.create_task(worker.run(action.encode(), [], deadline_s=60, output_bytes_max=MIB))
    await asyncio.sleep(0)
    return task


def open_descriptors() -> set[str]:
    """The descriptors of this process and what they are, listing itself apart."""
    found = set()
    for entry in os.scandir("/proc/self/fd"):
        try:
            target = str(Path(entry.path).readlink())
        except FileNotFoundError:
            continue
        if not target.endswith("/fd"):
            found.add(f"{entry.name} {target}")
    return found


def has_ended(pid: int) -> bool:
    """Gone; or, where the guardian was killed, waiting for init to take notice."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def child_processes() -> set[str]:
    return {
        child
        for children in Path("/proc/self/task").glob("*/children")
        for child in children.read_text().split()
    }
