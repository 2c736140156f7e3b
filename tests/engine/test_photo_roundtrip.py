"""What a target without loss can hold, it gives back: any pixels, any size, any kind."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.engine.calls import convert

# For each target, the kinds of pixels that it keeps.
_HELD = {
    "png": ("1", "L", "LA", "RGB", "RGBA", "I;16"),
    "tiff": ("1", "L", "LA", "RGB", "RGBA", "I;16"),
    "webp": ("RGB", "RGBA"),
    "jp2": ("L", "LA", "RGB", "RGBA", "I;16"),
    "jxl": ("L", "LA", "RGB", "RGBA", "I;16"),
    "qoi": ("RGB", "RGBA"),
    "bmp": ("1", "L", "RGB"),
    "tga": ("L", "LA", "RGB", "RGBA"),
    "dds": ("L", "LA", "RGB", "RGBA"),
    "sgi": ("L", "RGB", "RGBA"),
    "pcx": ("L", "RGB"),
    "ppm": ("RGB",),
    "pgm": ("L", "I;16"),
    "pbm": ("1",),
}
_LOSSLESS = frozenset({"webp", "jp2", "jxl"})
_SHAPES = {"L": (), "LA": (2,), "RGB": (3,), "RGBA": (4,)}


def _picture(mode: str, width: int, height: int, seed: int) -> Image.Image:
    numbers = np.random.default_rng(seed)
    if mode == "I;16":
        return Image.fromarray(numbers.integers(0, 65_536, (height, width), dtype=np.uint16))
    if mode == "1":
        dots = numbers.integers(0, 2, (height, width), dtype=np.uint8) * 255
        return Image.fromarray(dots).convert("1")
    shape = (height, width, *_SHAPES[mode])
    return Image.fromarray(numbers.integers(0, 256, shape, dtype=np.uint8))


@pytest.mark.parametrize("target", sorted(_HELD))
@settings(max_examples=12, deadline=None, derandomize=True)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1), st.data())
def test_pixels_come_back_as_they_went(
    target: str, width: int, height: int, seed: int, data: st.DataObject
) -> None:
    mode = data.draw(st.sampled_from(_HELD[target]))
    before = _picture(mode, width, height, seed)
    buffer = io.BytesIO()
    before.save(buffer, "PNG")
    options = {"lossless": True} if target in _LOSSLESS else {}
    made = convert(buffer.getvalue(), "png", target, **options)
    assert made.warnings == ()
    back = Image.open(io.BytesIO(convert(made.file, target, "png").file))
    if mode == "I;16":
        assert (back.mode, back.tobytes()) == (before.mode, before.tobytes())
    else:
        assert (back.size, back.convert("RGBA").tobytes()) == (
            before.size,
            before.convert("RGBA").tobytes(),
        )
