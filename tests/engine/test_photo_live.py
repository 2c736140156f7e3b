"""Photographs and drawings in real workers, under the whole sandbox.

What needs a thread (HEIC, PNGs packed tighter, drawings) or a font would fail here first.
"""

import io

import pytest
import pytest_asyncio
from PIL import Image

from engine.engine import Engine, EngineConfig
from engine.registry import FAMILIES
from tests.engine.calls import sample
from tests.engine.judges import words
from tests.engine.pictures import upload

pytestmark = pytest.mark.asyncio(loop_scope="module")

_DRAWING = (
    b'<svg xmlns="http://www.w3.org/2000/svg" width="96" height="72">'
    b'<text x="4" y="40" font-family="Arial" font-size="20">letters</text></svg>'
)

needs_vector = pytest.mark.skipif(
    "vector" not in {family.name for family in FAMILIES},
    reason="root's workers may not enter a folder above this checkout: they cannot read its fonts",
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine():  # noqa: ANN201  # an async generator of Engine
    started = await Engine.start(EngineConfig(started=("photo", "vector"), slots=1))
    yield started
    await started.close()


@pytest.mark.parametrize(
    ("source", "target"),
    [("heic", "jpeg"), ("dng", "png"), ("jxl", "webp"), ("qoi", "jxl"), ("jxr", "pdf")],
)
async def test_photographs_convert_in_a_worker(engine: Engine, source: str, target: str) -> None:
    done = await engine.convert(engine.plan(source, target, {}, [upload(source)]))
    made = bytes(done.files[0])
    if target not in {"jxl", "pdf"}:
        assert Image.open(io.BytesIO(made)).size == (96, 72)
    assert made


async def test_a_png_is_packed_tighter_in_a_worker(engine: Engine) -> None:
    job = engine.plan("png", "png", {"operation": "optimise"}, [sample("photo.png")])
    done = await engine.convert(job)
    assert 0 < len(done.files[0]) < len(sample("photo.png"))


@needs_vector
async def test_a_drawing_has_its_letters_in_a_worker(engine: Engine) -> None:
    page = await engine.convert(engine.plan("svg", "pdf", {}, [_DRAWING]))
    assert words(bytes(page.files[0])).split() == ["letters"]
    drawn = await engine.convert(engine.plan("svg", "png", {}, [_DRAWING]))
    image = Image.open(io.BytesIO(bytes(drawn.files[0]))).convert("RGBA")
    left, _, right, _ = image.getchannel("A").getbbox() or (0, 0, 0, 0)
    assert 50 < right - left < 75
