"""What the host does with a zygote and its workers when all goes well."""

import asyncio
import hashlib
import os

import pytest

from sandbox.limits import MIB
from tests.sandbox.zygotes import ask, order, zygote


@pytest.mark.claim("C-WORKER-1")
async def test_a_worker_converts_what_it_is_given_and_ends() -> None:
    async with zygote() as server:
        worker = await server.spawn()
        files = [b"one", b"", b"three" * 1000]
        reply = await worker.run(b"echo", files, deadline_s=30, output_bytes_max=MIB)
        assert (reply.header, reply.files) == (b"echo", files)
        assert worker.uses_left == 0
        end = await worker.ended()
        assert (end.status, end.signal) == (0, None)
        assert end.cpu_s > 0
        assert end.max_rss_bytes > MIB
        with pytest.raises(RuntimeError):
            await worker.run(b"echo", [], deadline_s=30, output_bytes_max=MIB)


@pytest.mark.parametrize("size", [0, 1, 65_536, MIB - 100, MIB, MIB + 1, 20_000_000])
async def test_files_of_any_size_arrive_whole(size: int) -> None:
    async with zygote() as server:
        upload = os.urandom(size)
        reply = await ask(server, "echo", [upload])
        assert hashlib.sha256(reply.files[0]).digest() == hashlib.sha256(upload).digest()


async def test_uploads_may_be_any_buffer() -> None:
    async with zygote() as server:
        worker = await server.spawn()
        uploads = [bytearray(b"one"), memoryview(b"-two-")[1:4], b"three"]
        reply = await worker.run(memoryview(b"echo"), uploads, deadline_s=30, output_bytes_max=MIB)
        assert reply.files == [b"one", b"two", b"three"]


async def test_conversions_run_beside_each_other() -> None:
    async with zygote() as server:
        uploads = [os.urandom(300_000 * number) for number in range(8)]
        replies = await asyncio.gather(*(ask(server, "echo", [upload]) for upload in uploads))
        assert [reply.files[0] for reply in replies] == uploads


async def test_a_worker_of_several_uses_announces_itself_again() -> None:
    async with zygote(order(uses=3)) as server:
        worker = await server.spawn()
        for left in (2, 1, 0):
            reply = await worker.run(b"echo", [b"x" * left], deadline_s=30, output_bytes_max=MIB)
            assert (reply.files, worker.uses_left) == ([b"x" * left], left)
        assert (await worker.ended()).status == 0


async def test_workers_of_one_zygote_draw_different_random_numbers() -> None:
    async with zygote() as server:
        drawn = {(await ask(server, "draw_lots")).header for _ in range(4)}
        assert len(drawn) == 4


async def test_spares_are_dismissed_by_closing_the_zygote() -> None:
    async with zygote() as server:
        spares = [await server.spawn() for _ in range(5)]
        await server.close()
        await server.close()
        for spare in spares:
            assert not (await spare.ended()).seen


async def test_a_name_is_the_zygotes_pid_and_the_workers() -> None:
    async with zygote() as server:
        worker = await server.spawn()
        assert worker.name == f"{server.pid}.{worker.pid}"


async def test_a_thousand_conversions_never_show_a_pid_twice() -> None:
    async with zygote() as server:
        names = []

        async def convert(count: int) -> None:
            for _ in range(count):
                worker = await server.spawn()
                await worker.run(b"echo", [b"x"], deadline_s=30, output_bytes_max=MIB)
                names.append(worker.name)
                assert (await worker.ended()).status == 0

        await asyncio.gather(*(convert(250) for _ in range(4)))
        assert len(set(names)) == len(names) == 1000
