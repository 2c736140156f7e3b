"""Jobs that arrive piece by piece, results that leave so, and lines that say that they are full."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import msgspec
import pytest
import pytest_asyncio

from engine import errors
from engine.engine import Engine, EngineConfig
from engine.job import Job
from tests.engine.calls import sample

pytestmark = pytest.mark.asyncio(loop_scope="module")

PHOTO = sample("photo.png")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def engine() -> AsyncIterator[Engine]:
    config = EngineConfig(slots=1, waiting_max=1, receivers_max=2, started=("image",))
    started = await Engine.start(config)
    try:
        yield started
    finally:
        await started.close()


def job(head: bytes = PHOTO) -> Job:
    return Engine.plan("png", "bmp", {}, [head])


def in_use(engine: Engine) -> int:
    return sum(family.running for family in engine.status().families)


async def test_a_file_in_pieces_becomes_what_it_becomes_as_a_whole(engine: Engine) -> None:
    whole = (await engine.convert(job())).files[0]
    cuts = sorted(len(PHOTO) * share // 97 for share in (5, 7, 20, 41, 60, 83))
    pieces = [PHOTO[a:b] for a, b in zip([0, *cuts], [*cuts, len(PHOTO)], strict=True)]
    async with engine.receive(job(pieces[0]), ceiling=len(PHOTO)) as intake:
        for piece in pieces[1:]:
            await intake.feed(piece)
        assert (intake.job.input_bytes, intake.job.inputs) == (len(PHOTO), ())
        assert engine.status().busy == 0
        delivery = await intake.convert()
        assert engine.status().busy == 0
        read = bytearray(sum(delivery.sizes))
        for start in range(0, len(read), 50_000):
            await delivery.read(memoryview(read)[start : start + 50_000])
    assert read == whole
    assert in_use(engine) == 0


async def test_what_is_given_up_between_two_pieces_leaves_nothing(engine: Engine) -> None:
    async def give_up(step: int) -> None:
        async with engine.receive(job(PHOTO[:1000]), ceiling=len(PHOTO)) as intake:
            if step:
                await intake.feed(PHOTO[1000:])
            if step == 2:
                await intake.convert()
            raise ZeroDivisionError

    for step in range(3):
        with pytest.raises(ZeroDivisionError):
            await give_up(step)
        assert (in_use(engine), engine.status().busy, len(engine._arrivals)) == (0, 0, 0)
    assert (await engine.convert(job())).files


async def test_a_result_that_waits_to_be_fetched_keeps_nobody_from_arriving(
    engine: Engine,
) -> None:
    async with engine.receive(job(PHOTO), ceiling=len(PHOTO)) as intake:
        assert len(engine._arrivals) == 1
        await intake.convert()
        assert len(engine._arrivals) == 0
    assert len(engine._arrivals) == 0


async def test_only_so_many_files_arrive_at_once(engine: Engine) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(2):
            assert await engine.has_receiver(job())
            await stack.enter_async_context(engine.receive(job(), ceiling=len(PHOTO)))
        assert not await engine.has_receiver(job())
        with pytest.raises(errors.EngineBusy) as busy:
            await stack.enter_async_context(engine.receive(job(), ceiling=len(PHOTO)))
        assert busy.value.retry_after_s >= 1
    assert await engine.has_receiver(job())


async def test_a_file_that_grows_beyond_its_family_is_refused(engine: Engine) -> None:
    pool = engine._pools["image"]
    assert pool._zygote is not None
    zygote, limits = pool._zygote, pool._zygote.limits
    zygote.limits = msgspec.structs.replace(limits, input_bytes_max=2000)
    try:
        with pytest.raises(errors.SourceTooLarge):
            async with engine.receive(job(PHOTO[:1500]), ceiling=10**9) as intake:
                await intake.feed(PHOTO[1500:3000])
    finally:
        zygote.limits = limits
    assert in_use(engine) == 0


async def test_a_damaged_file_in_pieces_fails_as_it_does_as_a_whole(engine: Engine) -> None:
    async def in_pieces() -> None:
        async with engine.receive(job(PHOTO[:1000]), ceiling=len(PHOTO)) as intake:
            await intake.feed(PHOTO[1000:3000])
            await intake.convert()

    with pytest.raises(errors.SourceUnreadable) as whole:
        await engine.convert(job(PHOTO[:3000]))
    with pytest.raises(errors.SourceUnreadable) as parts:
        await in_pieces()
    assert str(whole.value) == str(parts.value)


async def test_a_full_line_says_so_before_anybody_stands_in_it(engine: Engine) -> None:
    line = engine._line
    engine.check_room("image", account="a")
    async with line.slot("somebody", family="image"):
        engine.check_room("image", account="a")
        waiting = asyncio.create_task(engine.convert(job(), account="a"))
        await asyncio.sleep(0)
        assert engine.status().waiting == 1
        with pytest.raises(errors.EngineBusy):
            engine.check_room("image", account="a")
        engine.check_room("pdf", account="a")
    assert (await waiting).files
    engine.check_room("image", account="a")


async def test_a_batch_converts_several_at_once_in_as_many_workers(engine: Engine) -> None:
    async with engine.batch(account="a") as batch:
        first = await asyncio.gather(*(batch.convert(job()) for _ in range(2)))
        later = [await batch.convert(job()) for _ in range(3)]
        assert {output.isolation for output in (*first, *later)} == {"per-request"}
        assert len({output.worker for output in (*first, *later)}) <= 2
    assert engine._pools["image"].kept == 0
