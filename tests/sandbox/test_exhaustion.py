"""Out of descriptors, out of processes: refused in words, and over as soon as it is over."""

import asyncio
import resource
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from sandbox.errors import SandboxUnavailable
from sandbox.host.forkserver import Forkserver
from sandbox.host.verdict import WorkerExit
from tests.sandbox.zygotes import ENTRIES, ask, open_descriptors, order, zygote


@contextmanager
def descriptors(count: int) -> Iterator[None]:
    before, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (before, hard))


async def works(server: Forkserver) -> bool:
    return (await ask(server, "echo", [b"again"])).files == [b"again"]


async def test_without_descriptors_for_its_pipes_a_worker_is_refused_and_then_not() -> None:
    async with zygote() as server:
        with descriptors(3), pytest.raises(SandboxUnavailable, match="files"):
            await server.spawn()
        assert await works(server)


async def test_a_worker_that_arrives_when_there_is_no_descriptor_for_it_goes_away() -> None:
    ends: asyncio.Queue[WorkerExit] = asyncio.Queue()
    server = await Forkserver.start(order(), on_exit=ends.put_nowait)
    try:
        spawning = asyncio.create_task(server.spawn())
        await asyncio.sleep(0)
        with descriptors(3), pytest.raises(SandboxUnavailable, match="files"):
            await spawning
        assert (await ends.get()).status == 0
        assert await works(server)
        assert server.alive()
    finally:
        await server.close()


async def test_a_zygote_that_cannot_be_started_for_want_of_descriptors_leaves_nothing() -> None:
    # Room for the channel and the pipe of a child's stderr, more and more of it.
    room = len(open_descriptors())
    async with zygote():
        pass
    for more in range(12):
        with descriptors(room + more):
            try:
                server = await Forkserver.start(order())
            except SandboxUnavailable:
                continue
            await server.close()
    async with zygote() as server:
        assert await works(server)


async def test_without_processes_a_worker_is_refused_and_then_not() -> None:
    async with zygote(order(warm=f"{ENTRIES}:warm_with_few_processes")) as server:
        spares = [await server.spawn() for _ in range(4)]
        with pytest.raises(SandboxUnavailable, match="could be forked"):
            await server.spawn()
        spares[0].kill()
        await spares[0].ended()
        assert await works(server)
