"""However a worker or its zygote fails: its own error, nothing leaked, and the next one works.

`zygote()` looks for leaked descriptors and processes after every one of these.
"""

import asyncio
import os
import signal
from collections.abc import Iterable
from pathlib import Path

import msgspec
import pytest

from sandbox import spec
from sandbox.errors import (
    ReplyInvalid,
    ReplyTooLarge,
    RequestInvalid,
    SandboxError,
    SandboxUnavailable,
    WorkerCpuExceeded,
    WorkerCrashed,
    WorkerGone,
    WorkerOutOfMemory,
    WorkerTimedOut,
    WorkerViolation,
    ZygoteDied,
)
from sandbox.host.forkserver import Forkserver
from sandbox.limits import MIB, Limits
from tests.sandbox.zygotes import ENTRIES, ask, order, started, zygote

SMALL = Limits(address_space_bytes=256 * MIB, cpu_s=1, input_bytes_max=MIB)

FAULTS: dict[str, tuple[type[SandboxError], int | None, int | None]] = {
    # action: the error, and the signal or the status it names
    "segfault": (WorkerCrashed, signal.SIGSEGV, None),
    "abort": (WorkerCrashed, signal.SIGABRT, None),
    "forbidden_call": (WorkerViolation, signal.SIGSYS, None),
    "spin": (WorkerCpuExceeded, signal.SIGXCPU, None),
    "allocate": (WorkerOutOfMemory, None, 71),
    "allocate_in_c": (WorkerOutOfMemory, signal.SIGABRT, None),
    "leave 0": (WorkerCrashed, None, 0),
    "leave 3": (WorkerCrashed, None, 3),
    "fail": (WorkerCrashed, None, 70),
    "half_a_reply": (WorkerCrashed, None, 0),
    "hang_up_and_stay": (WorkerCrashed, signal.SIGKILL, None),
}


async def next_one_works(server: Forkserver) -> bool:
    return (await ask(server, "echo", [b"still here"])).files == [b"still here"]


@pytest.mark.parametrize("action", FAULTS)
async def test_a_worker_that_fails_is_told_from_every_other(action: str) -> None:
    kind, by_signal, status = FAULTS[action]
    async with zygote(order(limits=SMALL)) as server:
        with pytest.raises(WorkerCrashed) as failure:
            await ask(server, action, [b"a customer's bytes"])
        assert type(failure.value) is kind
        assert (failure.value.signal, failure.value.status) == (by_signal, status)
        assert "customer" not in str(failure.value)
        assert await next_one_works(server)


@pytest.mark.parametrize("action", ["hang", "hang_in_c", "spin"])
@pytest.mark.claim("C-WORKER-8")
async def test_a_worker_that_is_busy_at_its_deadline_is_killed(action: str) -> None:
    async with zygote() as server:
        worker = await server.spawn()
        with pytest.raises(WorkerTimedOut):
            await worker.run(action.encode(), [], deadline_s=0.1, output_bytes_max=MIB)
        assert (await worker.ended()).signal == signal.SIGKILL
        assert await next_one_works(server)


async def test_a_reply_that_is_nonsense_is_refused() -> None:
    async with zygote() as server:
        with pytest.raises(ReplyInvalid):
            await ask(server, "garbage")
        assert await next_one_works(server)


@pytest.mark.claim("C-REPLY-1")
async def test_a_reply_beyond_the_limit_is_refused_before_memory_is_spent_on_it() -> None:
    async with zygote() as server:
        with pytest.raises(ReplyTooLarge):
            await ask(server, f"boast {2**62}")
        with pytest.raises(ReplyTooLarge):
            await ask(server, "echo", [bytes(1001)], output_bytes_max=1000)
        assert await next_one_works(server)


async def test_uploads_beyond_the_workers_limit_are_not_sent() -> None:
    async with zygote(order(limits=SMALL)) as server:
        worker = await server.spawn()
        with pytest.raises(RequestInvalid):
            await worker.run(b"echo", [bytes(MIB + 1)], deadline_s=5, output_bytes_max=MIB)
        reply = await worker.run(b"echo", [bytes(MIB)], deadline_s=5, output_bytes_max=MIB)
        assert len(reply.files[0]) == MIB


async def test_a_worker_killed_from_outside_is_a_crash_by_sigkill() -> None:
    async with zygote() as server:
        worker = await server.spawn()
        task = asyncio.create_task(worker.run(b"hang", [], deadline_s=60, output_bytes_max=MIB))
        await asyncio.sleep(0)
        worker.kill()
        with pytest.raises(WorkerCrashed) as failure:
            await task
        assert type(failure.value) is WorkerCrashed
        assert failure.value.signal == signal.SIGKILL
        assert await next_one_works(server)


async def test_a_spare_that_has_ended_says_that_it_was_given_nothing() -> None:
    async with zygote() as server:
        worker = await server.spawn()
        worker.kill()
        await worker.ended()
        assert not worker.alive
        with pytest.raises(WorkerGone):
            await worker.run(b"echo", [], deadline_s=5, output_bytes_max=MIB)
        worker.kill()
        assert await next_one_works(server)


async def test_a_cancelled_conversion_ends_its_worker() -> None:
    async with zygote() as server:
        worker = await server.spawn()
        task = asyncio.create_task(
            worker.run(b"hang", [bytes(MIB)], deadline_s=60, output_bytes_max=MIB)
        )
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await worker.ended()).signal == signal.SIGKILL
        assert await next_one_works(server)


async def test_a_cancelled_spawn_leaves_nothing() -> None:
    async with zygote() as server:
        for turns in range(8):
            task = asyncio.create_task(server.spawn())
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert await next_one_works(server)


async def test_a_worker_that_answers_and_stays_is_ended() -> None:
    async with zygote() as server:
        worker = await server.spawn()
        reply = await worker.run(b"linger", [], deadline_s=30, output_bytes_max=MIB)
        assert reply.header == b"done"
        assert (await worker.ended()).signal == signal.SIGKILL


@pytest.mark.parametrize("victim", ["zygote", "guardian"])
async def test_the_death_of_the_zygote_ends_its_workers_and_fails_their_conversions(
    victim: str,
) -> None:
    async with zygote() as server:
        spare = await server.spawn()
        conversion = await started(server, "hang")
        pid = server.pid
        if victim == "guardian":
            pid = int(Path(f"/proc/{pid}/status").read_text().split("PPid:")[1].split()[0])
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(ZygoteDied):
            await conversion
        await server.wait_closed()
        assert not server.alive()
        assert not (await spare.ended()).seen
        with pytest.raises(ZygoteDied):
            await spare.run(b"echo", [], deadline_s=5, output_bytes_max=MIB)
        with pytest.raises(ZygoteDied):
            await server.spawn()


async def test_a_zygote_that_is_stopped_and_then_killed_fails_those_who_wait() -> None:
    async with zygote() as server:
        conversion = await started(server, "hang")
        os.kill(server.pid, signal.SIGSTOP)
        spawning = [asyncio.create_task(server.spawn()) for _ in range(3)]
        await asyncio.sleep(0)
        os.kill(server.pid, signal.SIGKILL)
        for waiting in (conversion, *spawning):
            with pytest.raises(ZygoteDied):
                await waiting


async def test_a_stopped_zygote_can_be_closed() -> None:
    async with zygote() as server:
        os.kill(server.pid, signal.SIGSTOP)
        await server.close()
        assert not server.alive()


def notices() -> Iterable[tuple[str, bytes]]:
    encode = msgspec.msgpack.encode
    yield "noise", b"\xff" * 40
    yield "an unknown end", encode(spec.Exited(9_999, 0, 0.0, 0))
    yield "a fork that nobody ordered", encode(spec.Forked(9_999, 5))
    yield "a failure that nobody ordered", encode(spec.SpawnFailed(9_999, 11))
    yield "an impossible status", encode(spec.Exited(4, 0x137F, 0.0, 0))


@pytest.mark.parametrize("packet", [pytest.param(packet, id=name) for name, packet in notices()])
async def test_a_zygote_that_speaks_nonsense_is_ended(packet: bytes) -> None:
    # The test's way to the control channel: a worker that was left its descriptors.
    async with zygote(order(omit={"descriptors"})) as server:
        worker = await server.spawn()
        with pytest.raises(ZygoteDied):
            await worker.run(b"speak_for_the_zygote", [packet], deadline_s=30, output_bytes_max=MIB)
        with pytest.raises(ZygoteDied, match="nonsense"):
            await server.spawn()
        await server.wait_closed()


async def test_a_spare_that_cannot_warm_up_says_why() -> None:
    async with zygote(order(touch=f"{ENTRIES}:touch_raises")) as server:
        with pytest.raises(SandboxUnavailable, match="the codec is not well"):
            await server.spawn()
    async with zygote(order(touch=f"{ENTRIES}:touch_crashes")) as server:
        with pytest.raises(WorkerCrashed):
            await server.spawn()


@pytest.mark.claim("C-CRASH-1")
async def test_a_hundred_failures_leave_a_zygote_that_serves() -> None:
    async with zygote(order(limits=SMALL)) as server:
        for action in ["segfault", "abort", "forbidden_call", "leave 3", "half_a_reply"] * 20:
            with pytest.raises(WorkerCrashed):
                await ask(server, action)
        assert await next_one_works(server)
