"""Workers of several uses: the order decides how many, and the limits hold for each of them."""

import select

import pytest

from sandbox.errors import WorkerCpuExceeded
from sandbox.host.worker import Reply, Worker
from sandbox.limits import MIB, Limits
from tests.sandbox.zygotes import order, zygote

ONE_SECOND = Limits(address_space_bytes=256 * MIB, cpu_s=1)


async def run(worker: Worker, action: str) -> Reply:
    return await worker.run(action.encode(), [], deadline_s=60, output_bytes_max=MIB)


async def test_a_worker_serves_as_often_as_its_order_says_whatever_the_host_would_like() -> None:
    async with zygote() as server:
        assert (await server.spawn()).uses_left == 1
        worker = await server.spawn(uses=2)
        await run(worker, "echo")
        await run(worker, "echo")
        assert worker.uses_left == 0
        assert (await worker.ended()).status == 0


async def test_a_worker_is_ready_for_its_next_use_when_its_answer_is_read() -> None:
    async with zygote() as server:
        worker = await server.spawn(uses=2)
        await run(worker, "echo")
        waiting = select.poll()
        waiting.register(worker._down, select.POLLIN)
        assert waiting.poll(0) == [(worker._down, select.POLLIN)]
        await run(worker, "echo")
        assert (await worker.ended()).status == 0


async def test_every_use_has_its_cpu_seconds_anew() -> None:
    async with zygote(order(limits=ONE_SECOND)) as server:
        worker = await server.spawn(uses=5)
        for _ in range(4):
            assert (await run(worker, "burn 0.7")).header == b"burnt"
        with pytest.raises(WorkerCpuExceeded):
            await run(worker, "spin")
        assert (await worker.ended()).cpu_s > 2.8


@pytest.mark.claim("C-WORKER-8")
async def test_a_worker_of_one_use_cannot_be_given_more_cpu_than_one_conversion_has() -> None:
    async with zygote(order(limits=ONE_SECOND)) as server:
        worker = await server.spawn()
        await server._renew(worker.pid)
        await server._renew(worker.pid)
        with pytest.raises(WorkerCpuExceeded):
            await run(worker, "spin")
        assert (await worker.ended()).cpu_s < 2.5
