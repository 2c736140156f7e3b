"""How far a conversion is: what converters say of it, and what whoever asks for it hears."""

import io
import math
import wave
from collections.abc import AsyncIterator, Sequence

import msgspec
import pytest
import pytest_asyncio

from engine import pipeline, progress, task
from engine.engine import Engine, EngineConfig
from engine.job import Bounds, Buffer, Job, Output, TaskReply, TaskRequest
from engine.pipeline import Step
from engine.progress import PARTS, Shares, each, heard_by, report
from engine.registry import FAMILIES, converter_for, parse_options
from tests.engine.calls import sample

pytestmark = pytest.mark.asyncio(loop_scope="module")


def heard(upload: Buffer, source: str, target: str, **options: str) -> list[int]:
    """What a worker would tell during a conversion."""
    converter = converter_for(source, target, options.pop("operation", None))
    request = TaskRequest(
        converter=converter.name,
        sources=(source,),
        target=target,
        options=msgspec.to_builtins(parse_options(converter, options, target=target)),
        bounds=Bounds(),
    )
    told: list[int] = []
    header, _ = task.handle(msgspec.msgpack.encode(request), [upload], told.append)
    reply = msgspec.msgpack.decode(header, type=TaskReply)
    assert not reply.error, reply.detail
    return told


def silence(seconds: int) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframesraw(bytes(2 * 8000 * seconds))
    return out.getvalue()


def assert_grows(told: Sequence[float], *, least: int) -> None:
    assert list(told) == sorted(set(told))
    assert len(told) >= least
    assert told[0] > 0


async def test_at_most_a_hundred_words_are_said_each_for_something_new() -> None:
    told: list[int] = []
    with heard_by(told.append):
        for number in range(10_000):
            report(number / 10_000)
            report(0.0)
        assert told == list(range(1, PARTS))
        for fraction in (float("nan"), -1.0, 1.0, 7.0, float("inf")):
            report(fraction)
    assert told[-1] == PARTS
    assert len(told) == PARTS


@pytest.mark.parametrize("part", range(1, PARTS + 1))
async def test_every_hundredth_is_told_as_itself(part: int) -> None:
    told: list[int] = []
    with heard_by(told.append):
        report(part / PARTS)
    assert told == [part]


async def test_where_nobody_listens_nothing_is_told_and_the_next_one_begins_anew() -> None:
    told: list[int] = []
    with heard_by(told.append):
        report(0.5)
    report(0.9)
    with heard_by(None):
        report(0.9)
    with heard_by(told.append):
        report(0.1)
    assert told == [50, 10]
    assert math.isnan(progress._listener.beyond)


async def test_items_are_told_when_the_next_one_begins() -> None:
    told: list[int] = []
    with heard_by(told.append):
        assert list(each("abcd")) == ["a", "b", "c", "d"]
    assert told == [25, 50, 75]


async def test_several_things_are_one_in_whatever_order_they_go() -> None:
    told: list[float] = []
    shares = Shares(told.append, 4)
    first, second = shares.of(0), shares.of(1)
    assert first is not None
    assert second is not None
    second(0.4)
    first(0.5)
    first(0.4)  # a step that begins anew takes nothing back
    for number in range(4):
        shares.done(number)
    assert told == [0.1, 0.225, 0.35, 0.5, 0.75, 1.0]
    assert Shares(None, 4).of(0) is None


async def test_a_long_sound_tells_where_it_is() -> None:
    told = heard(silence(300), "wav", "flac")
    assert_grows(told, least=50)
    assert heard(silence(300), "wav", "flac", start="150", duration="100")[-1] >= 90
    assert_grows(heard(sample("media/clip.mkv"), "mkv", "mp4"), least=3)


@pytest.mark.parametrize(
    ("name", "source", "target", "options", "told"),
    [
        ("nine.pdf", "pdf", "png", {"dpi": "20"}, [11, 22, 33, 44, 55, 66, 77, 88]),
        ("animation.gif", "gif", "webp", {}, [20, 40, 60, 80]),
        ("photo.png", "png", "jpeg", {}, []),
    ],
)
async def test_pages_and_frames_are_told_one_by_one(
    name: str, source: str, target: str, options: dict[str, str], told: list[int]
) -> None:
    assert heard(sample(name), source, target, **options) == told


@pytest.mark.skipif(
    all(family.name != "ocr" for family in FAMILIES), reason="tesseract is not installed"
)
async def test_pages_that_are_recognised_are_told_one_by_one() -> None:
    from engine.converters.ocr import reader  # noqa: PLC0415  # only where tesseract is installed

    reader.load()
    asked = {"operation": "recognise", "pages": "1-4", "dpi": "100"}
    assert heard(sample("nine.pdf"), "pdf", "json", **asked) == [25, 50, 75]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def engine() -> AsyncIterator[Engine]:
    started = await Engine.start(EngineConfig(slots=1, started=("image",)))
    try:
        yield started
    finally:
        await started.close()


def animation() -> Job:
    return Engine.plan("gif", "webp", {}, [sample("animation.gif")])


async def test_whoever_asks_hears_of_a_conversion(engine: Engine) -> None:
    told: list[float] = []
    async with engine.conversion(animation(), progress=told.append) as delivery:
        assert told == [0.2, 0.4, 0.6, 0.8]
        assert (await delivery.whole()).files
    assert (await engine.convert(animation())).files
    assert len(told) == 4


async def test_whoever_sends_a_file_in_pieces_hears_of_it_too(engine: Engine) -> None:
    told: list[float] = []
    whole = sample("animation.gif")
    job = Engine.plan("gif", "webp", {}, [whole[:2000]])
    async with engine.receive(job, ceiling=len(whole)) as intake:
        await intake.feed(whole[2000:])
        await intake.convert(progress=told.append)
    assert told == [0.2, 0.4, 0.6, 0.8]


async def test_a_pipeline_tells_of_all_its_steps(engine: Engine) -> None:
    steps = [Step(target="webp", options={}), Step(target="gif", options={})]
    plan = pipeline.plan("gif", steps, [sample("animation.gif")])
    told: list[float] = []
    finished: list[Output] = []
    async with engine.batch() as batch:
        run = pipeline.run(plan, batch, lambda _, output: finished.append(output), told.append)
        async with run as delivery:
            await delivery.whole()
    assert len(finished) == 2
    assert told == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])


async def test_the_files_of_a_batch_are_one_thing(engine: Engine) -> None:
    told: list[float] = []
    shares = Shares(told.append, 3)
    async with engine.batch() as batch:
        for number in range(3):
            await batch.convert(animation(), shares.of(number))
            shares.done(number)
    assert_grows(told, least=15)
    assert told[-1] == 1.0
