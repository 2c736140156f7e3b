"""A worker used step by step: given up, cancelled or dead between any two, it leaves nothing."""

import asyncio
import signal

import pytest

from sandbox.errors import WorkerCrashed, WorkerGone, WorkerTimedOut
from sandbox.host.forkserver import Forkserver
from sandbox.host.worker import Worker
from sandbox.limits import MIB
from tests.sandbox.zygotes import ask, zygote

PIECE = bytes(range(256)) * 1024


async def begun(server: Forkserver, action: str = "echo", uses: int = 1) -> Worker:
    worker = await server.spawn(uses)
    worker.open(action.encode(), [8 * MIB])
    await worker.feed(PIECE)
    return worker


async def go(worker: Worker) -> int:
    head = await worker.go(deadline_s=30, output_bytes_max=64 * MIB)
    return sum(head.sizes)


async def test_a_file_comes_back_as_it_was_fed_piece_by_piece() -> None:
    async with zygote() as server:
        worker = await begun(server)
        for _ in range(7):
            await worker.feed(PIECE)
        worker.end()
        room = bytearray(await go(worker))
        for start in range(0, len(room), 100_000):
            await worker.read(memoryview(room)[start : start + 100_000])
        assert room == PIECE * 8
        assert worker.release() is False
        assert (await worker.ended()).status == 0


async def test_a_piece_is_out_of_our_hands_once_it_is_fed() -> None:
    async with zygote() as server:
        worker = await begun(server)
        piece = bytearray(PIECE)
        await worker.feed(piece)
        piece[:] = bytes(len(piece))
        worker.end()
        room = bytearray(await go(worker))
        await worker.read(memoryview(room))
        assert room == PIECE * 2


@pytest.mark.parametrize("steps", ["fed", "ended", "answered", "half read"])
async def test_a_use_that_is_given_up_ends_the_worker(steps: str) -> None:
    async with zygote() as server:
        worker = await begun(server, uses=3)
        if steps != "fed":
            worker.end()
        if steps in {"answered", "half read"}:
            await go(worker)
        if steps == "half read":
            await worker.read(memoryview(bytearray(1000)))
        assert worker.release() is False
        assert (await worker.ended()).signal == signal.SIGKILL
        assert (await ask(server, "echo")).header == b"echo"


async def test_a_use_that_is_over_leaves_the_worker_for_the_next() -> None:
    async with zygote() as server:
        worker = await begun(server, uses=2)
        worker.end()
        await worker.read(memoryview(bytearray(await go(worker))))
        assert worker.release() is True
        reply = await worker.run(b"echo", [b"again"], deadline_s=30, output_bytes_max=MIB)
        assert reply.files == [b"again"]
        assert worker.release() is False


async def test_a_worker_that_dies_while_it_receives_has_crashed() -> None:
    async with zygote() as server:
        worker = await begun(server)
        worker.kill()
        await worker.ended()
        with pytest.raises(WorkerCrashed) as failure:
            await worker.feed(PIECE)
        assert type(failure.value) is not WorkerGone
        assert worker.release() is False


async def test_a_worker_that_dies_before_its_first_byte_was_given_nothing() -> None:
    async with zygote() as server:
        worker = await server.spawn()
        worker.open(b"echo", [MIB])
        worker.kill()
        await worker.ended()
        with pytest.raises(WorkerGone):
            await worker.feed(PIECE)
        assert worker.release() is False


async def test_a_worker_that_dies_in_the_middle_of_its_files_has_crashed() -> None:
    async with zygote() as server:
        worker = await server.spawn()
        worker.open(b"echo", [8 * MIB])
        await worker.feed(bytes(8 * MIB))
        worker.end()
        size = await go(worker)
        await worker.read(memoryview(bytearray(1000)))
        worker.kill()
        with pytest.raises(WorkerCrashed):
            await worker.read(memoryview(bytearray(size - 1000)))
        assert (await ask(server, "echo")).header == b"echo"


async def test_a_worker_that_takes_no_more_is_ended_when_patience_is_over() -> None:
    async with zygote() as server:
        worker = await server.spawn()
        signal.pidfd_send_signal(worker._pidfd, signal.SIGSTOP)
        worker.open(b"echo", [8 * MIB])
        worker._patience_s = 0.2
        with pytest.raises(WorkerTimedOut):
            await worker.feed(bytes(8 * MIB))
        assert (await worker.ended()).signal == signal.SIGKILL


async def test_a_cancelled_step_ends_the_worker() -> None:
    async with zygote() as server:
        feeding = await server.spawn()
        signal.pidfd_send_signal(feeding._pidfd, signal.SIGSTOP)
        feeding.open(b"echo", [8 * MIB])
        hanging = await begun(server, "hang")
        hanging.end()
        for worker, step in ((feeding, feeding.feed(bytes(8 * MIB))), (hanging, go(hanging))):
            task = asyncio.ensure_future(step)
            for _ in range(3):
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert (await worker.ended()).signal == signal.SIGKILL


async def test_many_uses_given_up_at_any_step_leave_a_zygote_that_serves() -> None:
    async with zygote() as server:
        for turn in range(40):
            worker = await begun(server)
            if turn % 2:
                worker.end()
            if turn % 4 == 3:
                await go(worker)
            worker.release()
        assert (await ask(server, "echo")).header == b"echo"
