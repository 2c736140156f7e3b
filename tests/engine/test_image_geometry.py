"""Sizes and boxes: plain arithmetic, tried by the hundred."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.converters.raster.geometry import lay_out

_SIDES = st.integers(1, 5000)
_FITS = st.sampled_from(["inside", "outside", "cover", "contain", "fill"])


@pytest.mark.parametrize(
    ("fit", "size", "canvas"),
    [
        ("inside", (400, 300), (400, 300)),
        ("outside", (533, 400), (533, 400)),
        ("cover", (400, 400), (400, 400)),
        ("contain", (400, 300), (400, 400)),
        ("fill", (400, 400), (400, 400)),
    ],
)
def test_each_fit_of_a_landscape_in_a_square(
    fit: str, size: tuple[int, int], canvas: tuple[int, int]
) -> None:
    layout = lay_out((4000, 3000), 400, 400, fit, enlarge=False)
    assert (layout.size, layout.canvas) == (size, canvas)


def test_cover_cuts_equally_at_both_edges() -> None:
    assert lay_out((4000, 3000), 400, 400, "cover", enlarge=False).crop == (500, 0, 3500, 3000)


@pytest.mark.parametrize("fit", ["inside", "outside", "cover", "contain", "fill"])
def test_with_one_side_the_other_follows_from_the_proportions(fit: str) -> None:
    assert lay_out((4000, 3000), 800, None, fit, enlarge=False).canvas == (800, 600)
    assert lay_out((4000, 3000), None, 300, fit, enlarge=False).canvas == (400, 300)


def test_without_a_size_nothing_changes() -> None:
    assert lay_out((40, 30), None, None, "cover", enlarge=False).keeps((40, 30))


@given(_SIDES, _SIDES, _SIDES, _SIDES, _FITS)
def test_a_small_image_is_only_enlarged_when_asked(
    width: int, height: int, to_width: int, to_height: int, fit: str
) -> None:
    layout = lay_out((width, height), to_width, to_height, fit, enlarge=False)
    assert layout.size[0] <= width
    assert layout.size[1] <= height


@given(_SIDES, _SIDES, _SIDES, _SIDES)
def test_cover_contain_and_fill_have_the_exact_size_when_enlarging(
    width: int, height: int, to_width: int, to_height: int
) -> None:
    for fit in ("cover", "contain", "fill"):
        layout = lay_out((width, height), to_width, to_height, fit, enlarge=True)
        assert layout.canvas == (to_width, to_height)


@given(st.tuples(_SIDES, _SIDES), _SIDES, _SIDES, _FITS, st.booleans())
def test_the_crop_lies_within_the_source_and_no_side_is_zero(
    source: tuple[int, int], width: int, height: int, fit: str, enlarge: bool
) -> None:
    layout = lay_out(source, width, height, fit, enlarge=enlarge)
    left, top, right, bottom = layout.crop
    assert 0 <= left < right <= source[0]
    assert 0 <= top < bottom <= source[1]
    assert min(layout.size) >= 1
