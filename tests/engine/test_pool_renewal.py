"""Zygotes are replaced without a request noticing: new one first, then the old one drains."""

import asyncio

import pytest

from engine.config import SPAWN_MAX_S
from engine.errors import EngineUnavailable
from engine.keep import Owner
from engine.pool import Pool
from sandbox.errors import (
    SandboxUnavailable,
    WorkerCrashed,
    WorkerGone,
    WorkerOutOfMemory,
    WorkerViolation,
)
from sandbox.limits import Limits
from tests.engine.fake_zygotes import FORK_S, FakeZygote, in_fake_time, pool_of, run

REQUEST = Owner(policy="per-request", name="1", uses=10, kept_s=100.0)


async def load(pool: Pool, clients: int, seconds: float) -> list[str]:
    """Every client converts again and again; any error fails the test."""
    until, names = asyncio.get_running_loop().time() + seconds, []

    async def client() -> None:
        while asyncio.get_running_loop().time() < until:
            names.append(await run(pool))

    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(client())
    return names


@in_fake_time
async def test_a_rolling_recycle_serves_from_the_old_until_the_new_has_its_spares() -> None:
    old, new = FakeZygote(), FakeZygote()
    pool = pool_of(old, new)
    await pool.start()
    running = asyncio.create_task(run(pool))
    await asyncio.sleep(0.5)
    recycle = asyncio.create_task(pool.recycle("asked"))
    await asyncio.sleep(FORK_S * 1.5)
    assert (pool.source, len(new.idle)) == (old, 1)
    await recycle
    assert pool.source is new
    assert pool.spares == 2
    assert not old.dead.is_set()  # one conversion of its still runs
    assert len(old.idle) == 0
    await running
    await asyncio.sleep(0.01)
    assert old.dead.is_set()
    assert pool.counts.recycles == {"asked": 1}
    await pool.close()


@in_fake_time
async def test_recycling_and_restarting_under_load_fails_nothing() -> None:
    zygotes = [FakeZygote(seconds=0.1) for _ in range(7)]
    pool = pool_of(*zygotes)
    await pool.start()
    loaded = asyncio.create_task(load(pool, clients=8, seconds=10))
    for _ in range(3):
        await asyncio.sleep(1.03)
        await pool.recycle("asked")
        await asyncio.sleep(1.03)
        await pool.restart()
    assert len(await loaded) > 500
    await asyncio.sleep(1)
    assert [zygote.dead.is_set() for zygote in zygotes] == [True] * 6 + [False]
    await pool.close()


@in_fake_time
async def test_a_recycle_that_is_under_way_is_joined() -> None:
    pool = pool_of(FakeZygote(), FakeZygote())
    await pool.start()
    await asyncio.gather(*(pool.recycle("asked") for _ in range(5)))
    assert pool.counts.recycles == {"asked": 1}
    await pool.close()


@in_fake_time
async def test_when_the_new_zygote_does_not_start_the_old_one_goes_on() -> None:
    old = FakeZygote()
    pool = pool_of(old, SandboxUnavailable("no"), FakeZygote())
    await pool.start()
    with pytest.raises(SandboxUnavailable):
        await pool.recycle("asked")
    await run(pool)
    assert pool.source is old
    await pool.recycle("asked")
    assert pool.source is not old
    await pool.close()


@in_fake_time
async def test_a_hard_restart_gives_up_the_spares_at_once_and_lets_the_running_finish() -> None:
    old, new = FakeZygote(), FakeZygote()
    pool = pool_of(old, new)
    await pool.start()
    running = asyncio.create_task(run(pool))
    await asyncio.sleep(0.5)
    restart = asyncio.create_task(pool.restart())
    await asyncio.sleep(0)
    assert (pool.source, old.idle) == (None, [])
    await restart
    await running
    assert await run(pool)
    await pool.close()


@in_fake_time
async def test_a_zygote_that_hangs_lets_what_runs_finish() -> None:
    first, second = FakeZygote(seconds=60), FakeZygote()
    pool = pool_of(first, second, spares=1)
    await pool.start()
    first.hangs = True
    running = asyncio.create_task(run(pool))
    await asyncio.sleep(SPAWN_MAX_S + 1)
    assert pool.source is second
    assert pool.counts.recycles == {"hangs": 1}
    await running
    await pool.close()


@in_fake_time
async def test_too_many_crashes_of_one_layout_bring_a_new_one() -> None:
    crashes = [WorkerCrashed("x"), WorkerViolation("x")] * 2
    old, new = FakeZygote(failures=[*crashes, WorkerOutOfMemory("x")]), FakeZygote()
    pool = pool_of(old, new, zygote_crashes_max=4)
    await pool.start()
    for _ in range(4):
        with pytest.raises(WorkerCrashed):
            await run(pool)
    await asyncio.sleep(0.1)
    assert pool.source is old  # running out of memory is nobody's guess at an address
    with pytest.raises(WorkerCrashed):
        await run(pool)
    await asyncio.sleep(0.1)
    assert pool.source is new
    assert pool.counts.recycles == {"crashes": 1}
    await pool.close()


@in_fake_time
async def test_an_old_zygote_is_replaced_at_an_age_that_differs_between_pools() -> None:
    pools = [pool_of(FakeZygote(), FakeZygote(), zygote_max_s=1000) for _ in range(10)]
    ages = set()
    for pool in pools:
        await pool.start()
    for second in range(0, 1300, 10):
        await asyncio.sleep(10)
        for number, pool in enumerate(pools):
            pool.tend()
            if pool.counts.recycles["age"]:
                ages.add((number, second))
                pool.counts.recycles.clear()
    assert len(ages) == 10
    assert all(790 <= second <= 1210 for _, second in ages)
    assert len({second for _, second in ages}) > 3
    for pool in pools:
        await pool.close()


@in_fake_time
async def test_idle_spares_are_replaced_one_by_one_when_they_are_old() -> None:
    zygote = FakeZygote()
    pool = pool_of(zygote, spare_max_s=100)
    await pool.start()
    first = list(zygote.spawned)
    for _ in range(14):
        await asyncio.sleep(10)
        pool.tend()
        assert len(zygote.idle) >= 2
    assert not any(worker.alive for worker in first)
    assert pool.spares == 2
    await pool.close()


@in_fake_time
async def test_a_smaller_share_of_spares_ends_the_oldest() -> None:
    zygote = FakeZygote()
    pool = pool_of(zygote, spares=3)
    await pool.start()
    pool.spares_max = 1
    pool.tend()
    assert zygote.idle == zygote.spawned[-1:]
    pool.spares_max = 2
    pool.tend()
    await asyncio.sleep(FORK_S * 2)
    assert pool.spares == 2
    await pool.close()


@in_fake_time
async def test_new_limits_come_with_a_new_zygote_even_when_one_was_on_its_way() -> None:
    zygotes = [FakeZygote() for _ in range(3)]
    pool = pool_of(*zygotes)
    await pool.start()
    recycled = asyncio.create_task(pool.recycle("asked"))
    await asyncio.sleep(0)
    await pool.set_limits(Limits(cpu_s=7))
    await recycled
    assert pool.source is zygotes[2]
    assert zygotes[2].limits == pool.limits == Limits(cpu_s=7)
    await pool.close()


@in_fake_time
async def test_a_job_that_was_given_to_nobody_is_tried_with_another_worker_once() -> None:
    pool = pool_of(FakeZygote(failures=[WorkerGone("x")]))
    await pool.start()
    await run(pool)
    await pool.close()
    pool = pool_of(FakeZygote(failures=[WorkerGone("x")] * 2))
    await pool.start()
    with pytest.raises(WorkerGone):
        await run(pool)
    await pool.close()


@in_fake_time
async def test_a_request_keeps_its_worker_until_it_crashes_or_is_used_up() -> None:
    zygote = FakeZygote()
    pool = pool_of(zygote)
    await pool.start()
    names = [await run(pool, REQUEST) for _ in range(12)]
    assert names == ["worker 2"] * 10 + ["worker 3"] * 2
    zygote.failures.append(WorkerCrashed("x"))
    with pytest.raises(WorkerCrashed):
        await run(pool, REQUEST)
    assert await run(pool, REQUEST) == "worker 4"
    assert pool.kept == 1
    pool.release(REQUEST)
    assert pool.kept == 0
    assert pool.spares == 2
    await pool.close()


@in_fake_time
async def test_a_kept_worker_never_crosses_to_another_owner() -> None:
    pool = pool_of(FakeZygote(seconds=0.01), kept_max=4)
    await pool.start()
    served: dict[str, set[str]] = {}
    for turn in range(60):
        name = f"account {turn * 7 % 5}"
        owner = Owner(policy="per-account", name=name, uses=3, kept_s=100.0)
        served.setdefault(name, set()).add(await run(pool, owner))
    workers = [worker for theirs in served.values() for worker in theirs]
    assert len(workers) == len(set(workers))
    assert pool.kept <= 4
    await pool.close()


@in_fake_time
async def test_a_kept_worker_ends_when_its_time_is_over() -> None:
    zygote = FakeZygote()
    pool = pool_of(zygote)
    await pool.start()
    owner = Owner(policy="per-account", name="1", uses=100, kept_s=10.0)
    await run(pool, owner)
    await asyncio.sleep(5)
    await run(pool, owner)
    assert pool.kept == 1
    await asyncio.sleep(5)
    assert pool.kept == 0
    assert not zygote.spawned[2].alive
    await pool.close()


@in_fake_time
async def test_kept_workers_end_with_their_zygote() -> None:
    old = FakeZygote()
    pool = pool_of(old, FakeZygote())
    await pool.start()
    await run(pool, REQUEST)
    idle = Owner(policy="per-request", name="2", uses=10, kept_s=100.0)
    await run(pool, idle)
    running = asyncio.create_task(run(pool, REQUEST))
    await asyncio.sleep(0.5)
    assert pool.kept == 1
    await pool.recycle("asked")
    assert pool.kept == 0
    assert await running == "worker 2"
    assert pool.kept == 0
    await asyncio.sleep(0.01)
    assert old.dead.is_set()
    await pool.close()


@in_fake_time
async def test_while_nothing_can_be_forked_conversions_are_refused_and_then_not() -> None:
    zygote = FakeZygote()
    pool = pool_of(zygote, spares=1)
    await pool.start()
    zygote.exhausted = True
    await run(pool)  # with the spare
    for _ in range(2):
        with pytest.raises(EngineUnavailable):
            await run(pool)
    with pytest.raises(EngineUnavailable):
        await run(pool, REQUEST)
    zygote.exhausted = False
    await run(pool)
    await run(pool, REQUEST)
    assert (pool.source, pool.spares) == (zygote, 1)
    await pool.close()


@in_fake_time
async def test_a_zygote_that_is_stopped_while_nothing_happens_is_replaced() -> None:
    first, second = FakeZygote(), FakeZygote()
    pool = pool_of(first, second)
    await pool.start()
    first.hangs = True
    for _ in range(8):
        await asyncio.sleep(10)
        pool.tend()
    await asyncio.sleep(SPAWN_MAX_S + 1)
    assert pool.source is second
    await pool.close()


@in_fake_time
async def test_a_worker_whose_owner_waits_for_it_touches_nothing_ahead() -> None:
    zygote = FakeZygote()
    pool = pool_of(zygote)
    await pool.start()
    await run(pool, REQUEST)
    assert zygote.untouched == 1
    await pool.close()
