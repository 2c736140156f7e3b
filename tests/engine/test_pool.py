"""The pool's policy, with workers that are only promises and a clock that jumps."""

import asyncio

import pytest

from engine.config import SPAWN_MAX_S
from engine.errors import EngineDraining, EngineUnavailable
from engine.pool import WORKER_WAIT_S
from sandbox.errors import SandboxUnavailable
from tests.engine.fake_zygotes import FORK_S, FakeZygote, in_fake_time, pool_of, run


@in_fake_time
async def test_every_conversion_has_a_worker_of_its_own() -> None:
    pool = pool_of(FakeZygote())
    await pool.start()
    names = [await run(pool) for _ in range(20)]
    assert len(set(names)) == 20
    await pool.close()


@in_fake_time
async def test_a_spare_answers_without_waiting_for_a_fork() -> None:
    pool = pool_of(FakeZygote())
    await pool.start()
    begun = asyncio.get_running_loop().time()
    await run(pool)
    assert asyncio.get_running_loop().time() - begun == 1.0
    await pool.close()


@in_fake_time
async def test_a_replacement_is_ordered_when_the_conversion_is_over() -> None:
    zygote = FakeZygote()
    pool = pool_of(zygote)
    await pool.start()
    await run(pool)
    over = asyncio.get_running_loop().time()
    await asyncio.sleep(1)
    assert zygote.spawned_at[2:] == [over + FORK_S]
    assert pool.spares == 2
    await pool.close()


@in_fake_time
async def test_when_the_last_spare_is_taken_its_replacement_is_ordered_at_once() -> None:
    zygote = FakeZygote()
    pool = pool_of(zygote, spares=1)
    await pool.start()
    taken = asyncio.get_running_loop().time()
    await run(pool)
    assert zygote.spawned_at[1] == taken + FORK_S
    await pool.close()


@in_fake_time
async def test_a_burst_beyond_the_spares_forks_what_it_needs_and_stocks_up_again() -> None:
    zygote = FakeZygote()
    pool = pool_of(zygote)
    await pool.start()
    await asyncio.gather(*(run(pool) for _ in range(10)))
    await asyncio.sleep(1)
    assert pool.spares == 2
    assert len(zygote.spawned) == 12
    await pool.close()


@in_fake_time
async def test_a_dead_zygote_is_replaced_and_the_next_conversion_succeeds() -> None:
    first, second = FakeZygote(), FakeZygote()
    pool = pool_of(first, second)
    await pool.start()
    first.dead.set()
    await asyncio.sleep(1)
    await run(pool)
    assert second.spawned
    assert pool.restarts == 1
    await pool.close()


@in_fake_time
async def test_a_zygote_that_fails_to_boot_is_tried_again_with_back_off() -> None:
    first, second = FakeZygote(), FakeZygote()
    pool = pool_of(first, *[SandboxUnavailable("no")] * 4, second)
    await pool.start()
    first.dead.set()
    await asyncio.sleep(0.05 + 0.1 + 0.2 + 0.4 + 0.01)
    assert pool.spares == 2
    await pool.close()


@in_fake_time
async def test_a_zygote_that_hangs_is_replaced() -> None:
    first, second = FakeZygote(), FakeZygote()
    pool = pool_of(first, second, spares=1)
    await pool.start()
    first.hangs = True
    await run(pool)  # takes the spare; its replacement hangs
    await asyncio.sleep(SPAWN_MAX_S)
    await run(pool)
    assert second.spawned
    await pool.close()


@in_fake_time
async def test_without_a_zygote_a_conversion_is_refused_after_its_wait() -> None:
    first = FakeZygote()
    pool = pool_of(first, *[SandboxUnavailable("no")] * 100)
    await pool.start()
    first.dead.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    begun = asyncio.get_running_loop().time()
    with pytest.raises(EngineUnavailable):
        await run(pool)
    assert asyncio.get_running_loop().time() == begun + WORKER_WAIT_S
    await pool.close()


@in_fake_time
async def test_a_spare_that_died_while_waiting_is_never_given_a_conversion() -> None:
    zygote = FakeZygote()
    pool = pool_of(zygote)
    await pool.start()
    for spare in zygote.spawned:
        spare.kill()
    await run(pool)
    assert pool.running == 0
    await pool.close()


@in_fake_time
async def test_closing_fails_what_runs_as_draining() -> None:
    pool = pool_of(FakeZygote(seconds=100))
    await pool.start()
    running = asyncio.create_task(run(pool))
    await asyncio.sleep(1)
    await pool.close()
    with pytest.raises(EngineDraining):
        await running


@in_fake_time
async def test_a_taker_that_gives_up_leaves_the_worker_it_ordered_to_the_next() -> None:
    zygote = FakeZygote()
    pool = pool_of(zygote, spares=0)
    await pool.start()
    gone = asyncio.create_task(run(pool))
    await asyncio.sleep(FORK_S / 2)
    gone.cancel()
    await asyncio.sleep(1)
    assert len(zygote.spawned) == pool.spares == 1
    await run(pool)
    assert len(zygote.spawned) == 1
    await pool.close()


@in_fake_time
async def test_a_worker_with_uses_left_goes_back_into_stock() -> None:
    pool = pool_of(FakeZygote(), spares=1, uses=3)
    await pool.start()
    names = {await run(pool) for _ in range(3)}
    assert names == {"worker 0"}
    await pool.close()


@in_fake_time
async def test_spares_that_died_while_they_waited_are_not_counted_and_are_replaced() -> None:
    zygote = FakeZygote()
    pool = pool_of(zygote)
    await pool.start()
    for spare in zygote.spawned:
        spare.kill()
    assert pool.spares == 0
    pool.tend()
    await asyncio.sleep(1)
    assert pool.spares == 2
    await pool.close()


@in_fake_time
async def test_no_more_spares_touch_their_pages_ahead_than_can_convert_at_once() -> None:
    zygote = FakeZygote()
    pool = pool_of(zygote, spares=5, touched_max=lambda: 2)
    await pool.start()
    assert zygote.untouched == 3
    for _ in range(3):
        # One that has touched them goes first, and another one takes its place.
        async with pool.exchange(b"header", [4], b"file") as held:
            assert held.touched
        await asyncio.sleep(1)
    assert zygote.untouched == 3
    await pool.close()


@in_fake_time
async def test_while_somebody_waits_for_a_core_no_worker_touches_its_pages_ahead() -> None:
    zygote, waiting = FakeZygote(), False
    pool = pool_of(zygote, touched_max=lambda: 0 if waiting else 9)
    await pool.start()
    await run(pool)
    await asyncio.sleep(0.1)
    assert zygote.untouched == 0
    waiting = True
    await run(pool)
    await asyncio.sleep(0.1)
    assert zygote.untouched == 1
    await pool.close()
