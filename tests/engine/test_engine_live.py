"""The engine with real zygotes: operators' orders under full load, policies, counts, faults."""

import asyncio
import io
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from PIL import Image

from engine import errors
from engine.engine import Engine, EngineConfig, FamilyStatus
from engine.job import Job
from sandbox.host.forkserver import Forkserver
from tests.engine.calls import sample

# The second one is the cheapest to boot.
BOTH = ("image", "photo")


@asynccontextmanager
async def engine(**config: object) -> AsyncIterator[Engine]:
    """One family at its start, where a test asks for no other."""
    given = {"slots": 2, "started": ("image",), **config}
    started = await Engine.start(EngineConfig(**given))  # type: ignore[arg-type]
    try:
        yield started
    finally:
        await started.close()


def small() -> Job:
    return Engine.plan("png", "jpeg", {}, [sample("photo.png")])


def photograph() -> Job:
    return Engine.plan("jxl", "png", {}, [sample("image/photo.jxl")])


def slow() -> Job:
    """Seconds of work for the AVIF encoder."""
    file = io.BytesIO()
    Image.frombytes("RGB", (1500, 1500), os.urandom(3 * 1500 * 1500)).save(file, "BMP")
    return Engine.plan("bmp", "avif", {"effort": "5"}, [file.getvalue()])


def family(running: Engine, name: str = "image") -> FamilyStatus:
    return next(one for one in running.status().families if one.name == name)


def zygote(running: Engine, name: str = "image") -> Forkserver:
    source = running._pools[name].source
    assert isinstance(source, Forkserver)
    return source


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - the engine's figures have no event
        await asyncio.sleep(0)


async def test_every_order_of_an_operator_under_full_load_fails_no_conversion() -> None:
    async with engine(started=BOTH) as running:
        done, over = 0, asyncio.Event()

        async def client(job: Job) -> None:
            nonlocal done
            while not over.is_set():
                await running.convert(job)
                done += 1

        async with asyncio.TaskGroup() as load:
            for _ in range(3):
                load.create_task(client(small()))
                load.create_task(client(photograph()))
            before = zygote(running).pid
            assert (await running.recycle()).families == BOTH
            assert zygote(running).pid != before
            assert (await running.restart_zygote("image")).families == ("image",)
            both = await asyncio.gather(running.recycle("photo"), running.restart_zygote("photo"))
            assert [one.families for one in both] == [("photo",)] * 2
            assert (await running.set_limit("image", cpu_s=30)).limits == {"cpu_s": 30}
            assert (await running.set_limit("image", cpu_s=30)).families == ()
            paused = [running.pause().changed for _ in range(2)]
            assert paused == [True, False]
            resumed = [running.resume().changed for _ in range(2)]
            assert resumed == [True, False]
            assert [running.resize(count).before for count in (4, 1, 2)] == [2, 4, 1]
            seen = done
            await until(lambda: done >= seen + 20)
            over.set()
        drained = await running.drain(60)
        assert (drained.finished, drained.left) == (True, 0)
        for one in running.status().families:
            assert (one.failures, one.written_bytes, one.restarts) == ({}, 0, 0)
        assert family(running).recycles == {"asked": 1, "restart": 1, "limits": 1}
        assert sum(one.conversions for one in running.status().families) == done
        with pytest.raises(errors.EngineDraining):
            await running.convert(small())


async def test_files_of_one_request_share_a_worker_and_go_on_in_another_after_a_crash() -> None:
    async with engine() as running, running.batch() as batch:
        first = [await batch.convert(small()) for _ in range(3)]
        other = await batch.convert(photograph())
        assert len({output.worker for output in first}) == 1
        assert other.worker != first[0].worker
        assert {output.isolation for output in (*first, other)} == {"per-request"}
        crash = asyncio.create_task(batch.convert(slow()))
        await until(lambda: family(running).running == 1)
        next(iter(running._pools["image"]._running)).kill()
        with pytest.raises(errors.ConversionCrashed):
            await crash
        with pytest.raises(errors.SourceUnreadable):
            await batch.convert(Engine.plan("png", "jpeg", {}, [sample("photo.png")[:500]]))
        after = [await batch.convert(small()) for _ in range(2)]
        assert len({output.worker for output in after}) == 1
        assert after[0].worker != first[0].worker
        assert family(running).failures == {"killed": 1, "refused": 1}


async def test_a_batch_that_is_over_leaves_no_worker() -> None:
    async with engine() as running:
        async with running.batch() as batch:
            await batch.convert(small())
            assert family(running).kept == 1
        assert family(running).kept == 0


async def test_per_account_a_worker_serves_one_account_again_and_never_another() -> None:
    async with engine(policy="per-account", account_uses=3) as running:
        one = [await running.convert(small(), account="one") for _ in range(4)]
        other = [await running.convert(small(), account="other") for _ in range(2)]
        nobody = await running.convert(small())
        workers = [[output.worker for output in outputs] for outputs in (one, other)]
        assert [len(set(theirs)) for theirs in workers] == [2, 1]
        assert not set(workers[0]) & set(workers[1])
        assert {output.isolation for output in (*one, *other)} == {"per-account"}
        assert nobody.isolation == "per-conversion"


async def test_a_zygote_that_is_stopped_is_replaced_and_no_conversion_fails() -> None:
    async with engine() as running:
        stopped = zygote(running)
        os.kill(stopped.pid, signal.SIGSTOP)
        for _ in range(6):
            await running.convert(small())
        assert zygote(running) is not stopped
        assert family(running).recycles == {"hangs": 1}


async def test_a_zygote_that_is_killed_fails_what_runs_under_its_own_label() -> None:
    async with engine() as running:
        conversion = asyncio.create_task(running.convert(slow()))
        await until(lambda: family(running).running == 1)
        os.kill(zygote(running).pid, signal.SIGKILL)
        with pytest.raises(errors.EngineUnavailable):
            await conversion
        await running.convert(small())
        assert family(running).failures == {"zygote_died": 1}
        assert family(running).restarts == 1


async def test_a_limit_that_was_set_holds_and_one_that_cannot_be_is_refused() -> None:
    async with engine() as running:
        await running.set_limit("image", wall_s=0.05, input_bytes_max=10_000_000)
        with pytest.raises(errors.ConversionTimedOut):
            await running.convert(slow())
        assert family(running).failures == {"deadline": 1}
        await running.set_limit("image", input_bytes_max=100)
        with pytest.raises(errors.SourceTooLarge):
            await running.convert(small())
        for wrong in ({"walls": 1}, {"wall_s": 0}, {"cpu_s": 0.5}):
            with pytest.raises(ValueError, match=next(iter(wrong))):
                await running.set_limit("image", **wrong)
        with pytest.raises(ValueError, match="no such family"):
            await running.set_limit("images", wall_s=1)


async def test_spares_follow_demand_and_cpu_is_counted_by_family() -> None:
    async with engine(spares=6, started=BOTH) as running:
        assert [one.spares_max for one in running.status().families if not one.resting] == [3, 3]
        for _ in range(8):
            await running.convert(small())
        running._share()
        assert [one.spares_max for one in running.status().families if not one.resting] == [5, 1]
        await running.recycle("image")
        image, photo = family(running), family(running, "photo")
        assert (image.conversions, photo.conversions) == (8, 0)
        assert image.spares == 5
        assert image.cpu_s > 0
        assert image.workers >= 7
