"""A family that nobody needs has no zygote; the first conversion brings one."""

import asyncio

import pytest

from engine.errors import EngineUnavailable
from engine.pool import WAKE_WAIT_S, WORKER_WAIT_S
from sandbox.errors import SandboxUnavailable
from tests.engine.fake_zygotes import FakeZygote, in_fake_time, pool_of, run

REST_S = 600.0


@in_fake_time
async def test_nothing_boots_before_the_first_conversion() -> None:
    zygote = FakeZygote()
    pool = pool_of(zygote, rest_after_s=REST_S)
    await pool.start()
    assert (pool.source, pool.resting) == (None, True)
    assert await run(pool)
    assert (pool.source, pool.resting) == (zygote, False)
    await pool.close()


@in_fake_time
async def test_many_first_conversions_boot_one_zygote() -> None:
    pool = pool_of(FakeZygote(), rest_after_s=REST_S)
    await asyncio.gather(*(run(pool) for _ in range(8)))
    assert pool.counts.recycles == {"demand": 1}
    await pool.close()


@in_fake_time
async def test_it_rests_again_when_nobody_came_for_long_and_wakes_again() -> None:
    first, second = FakeZygote(), FakeZygote()
    pool = pool_of(first, second, rest_after_s=REST_S)
    await run(pool)
    await asyncio.sleep(REST_S - 2)
    pool.tend()
    assert pool.source is first
    await asyncio.sleep(3)
    pool.tend()
    await asyncio.sleep(0.01)
    assert (pool.resting, first.dead.is_set()) == (True, True)
    assert await run(pool)
    assert pool.source is second
    await pool.close()


@in_fake_time
async def test_a_conversion_longer_than_the_rest_is_finished() -> None:
    zygote = FakeZygote(seconds=REST_S + 10)
    pool = pool_of(zygote, rest_after_s=REST_S)
    running = asyncio.create_task(run(pool))
    await asyncio.sleep(REST_S + 5)
    pool.tend()
    assert (pool.source, zygote.dead.is_set()) == (None, False)
    assert await running
    await pool.close()


@in_fake_time
async def test_a_recycle_of_a_family_that_rests_changes_nothing() -> None:
    pool = pool_of(rest_after_s=REST_S)
    await pool.recycle("asked")
    assert pool.resting
    await pool.close()


@in_fake_time
async def test_one_that_does_not_boot_is_tried_again_and_answered_within_its_wait() -> None:
    pool = pool_of(*(SandboxUnavailable("no") for _ in range(100)), rest_after_s=REST_S)
    asked_s = asyncio.get_running_loop().time()
    with pytest.raises(EngineUnavailable):
        await run(pool)
    assert WORKER_WAIT_S < asyncio.get_running_loop().time() - asked_s <= WAKE_WAIT_S
    await pool.close()
