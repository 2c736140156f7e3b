"""SVG drawings: the size asked for, every letter, nothing from outside; judged by what is known."""

import base64
import io
from collections.abc import Iterator

import pytest
from PIL import Image

from engine.converters.vector import press
from engine.job import Bounds
from engine.registry import FAMILIES
from tests.engine.calls import convert
from tests.engine.judges import Seen, page_sizes, psnr, qpdf_approves, rendered, run, words

_SVG = '<svg xmlns="http://www.w3.org/2000/svg" {0}>{1}</svg>'
_STRANGER = (
    '<!DOCTYPE svg [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
    '<svg xmlns="http://www.w3.org/2000/svg"><text>&a;</text></svg>'
)
_SHAPES = (
    '<rect x="10" y="10" width="40" height="30" fill="#a52a2a"/>'
    '<circle cx="80" cy="40" r="20" fill="blue" fill-opacity=".5"/>'
)

pytestmark = pytest.mark.skipif(
    "vector" not in {family.name for family in FAMILIES},
    reason="root's workers may not enter a folder above this checkout: they cannot read its fonts",
)


@pytest.fixture(scope="module", autouse=True)
def compiler() -> Iterator[None]:
    """What a zygote does before it forks."""
    press.prepare()
    yield
    press._compilers.clear()


def _drawing(body: str = _SHAPES, size: str = 'width="120" height="80"') -> bytes:
    return _SVG.format(size, body).encode()


def _drawn(data: bytes, **options: object) -> Image.Image:
    return Image.open(io.BytesIO(convert(data, "svg", "png", **options).file)).convert("RGBA")


def test_shapes_have_their_places_colours_and_transparency() -> None:
    made = _drawn(_drawing())
    assert made.size == (120, 80)
    assert made.getpixel((30, 25)) == (0xA5, 0x2A, 0x2A, 255)
    red, _, blue, alpha = made.getpixel((80, 40))
    assert (red, blue) == (0, 255)
    assert abs(alpha - 128) <= 1
    assert made.getpixel((2, 2))[3] == 0


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ('width="120" height="80"', (120, 80)),
        ('width="1in" height="72pt"', (96, 96)),
        ('width="25.4mm" height="2.54cm"', (96, 96)),
        ('viewBox="0 0 60 40"', (60, 40)),
        ('viewBox="0 0 60 40" width="120"', (120, 80)),
        ('viewBox="0 0 60 40" width="100%" height="100%"', (60, 40)),
        ("", (300, 150)),
    ],
)
def test_a_drawing_is_as_large_as_it_says(size: str, expected: tuple[int, int]) -> None:
    assert _drawn(_drawing(size=size)).size == expected


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"width": 600}, (600, 400)),
        ({"height": 10}, (15, 10)),
        ({"width": 50, "height": 50, "fit": "cover"}, (50, 50)),
        ({"width": 50, "height": 50, "fit": "contain"}, (50, 50)),
        ({"width": 50, "rotate": 90}, (50, 75)),
        ({"dpi": 192}, (240, 160)),
    ],
)
def test_it_is_drawn_as_large_as_asked(
    options: dict[str, object], expected: tuple[int, int]
) -> None:
    assert _drawn(_drawing(), **options).size == expected


def test_enlarging_draws_sharp_edges() -> None:
    large = _drawn(_drawing(), width=1200)
    assert large.getpixel((99, 250))[3] == 0
    assert large.getpixel((100, 250)) == (0xA5, 0x2A, 0x2A, 255)


@pytest.mark.parametrize(
    "style",
    [
        'font-family="Arial"',
        'font-family="No Such Font"',
        'font-family="monospace"',
        'style="font-family: Georgia, serif"',
        'style="font: bold 20px/1 Helvetica Neue"',
        'class="a"',
        "",
    ],
)
def test_every_letter_has_a_font(style: str) -> None:
    body = f"<style>.a {{font-family:Roboto}}</style><text x='5' y='50' font-size='20' {style}>Wide"
    made = _drawn(_drawing(body + "</text>"))
    box = made.getchannel("A").getbbox()
    assert box is not None
    assert 35 < box[2] - box[0] < 60


def test_a_page_keeps_letters_as_letters_and_lines_as_lines() -> None:
    data = _drawing(_SHAPES + '<text x="10" y="70" font-size="14">find me</text>')
    made = convert(data, "svg", "pdf").file
    qpdf_approves(made)
    assert page_sizes(made) == [(90.0, 60.0)]
    assert words(made).split() == ["find", "me"]
    assert run("pdfimages", "-list", "-", stdin=made).count(b"\n") == 2  # the table's head
    over_white = Image.alpha_composite(Image.new("RGBA", (120, 80), "white"), _drawn(data))
    assert psnr(rendered(made, dpi=96).resize((120, 80)), over_white.convert("RGB")) > 24


def test_a_page_of_fixed_size_lies_as_the_drawing_does() -> None:
    wide = convert(_drawing(), "svg", "pdf", page_size="a4", margin_mm=10).file
    (size,) = page_sizes(wide)
    assert size == pytest.approx((841.89, 595.28), abs=0.1)
    high = convert(_drawing(), "svg", "pdf", page_size="a5", orientation="portrait").file
    assert page_sizes(high)[0] == pytest.approx((419.53, 595.28), abs=0.1)


@pytest.mark.parametrize(
    "body",
    [
        '<image href="/etc/hostname" width="50" height="50"/>',
        '<image href="file:///etc/passwd" width="50" height="50"/>',
        '<image xlink:href="http://localhost/x.png" xmlns:xlink="http://www.w3.org/1999/xlink"/>',
        '<use href="other.svg#part"/>',
        '<image href="&#47;etc&#47;hostname" width="50" height="50"/>',
    ],
)
@pytest.mark.parametrize("target", ["png", "pdf"])
def test_nothing_is_fetched_from_outside_and_that_is_said(body: str, target: str) -> None:
    reply = convert(_drawing(_SHAPES + body), "svg", target)
    assert any("refers to" in warning for warning in reply.warnings)
    assert reply.file


def test_an_embedded_picture_is_shown() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4), (0, 128, 0)).save(buffer, "PNG")
    data = base64.b64encode(buffer.getvalue()).decode()
    body = f'<image href="data:image/png;base64,{data}" width="50" height="50"/>'
    reply = convert(_drawing(body), "svg", "png")
    assert reply.warnings == ()
    assert Seen(reply.file, "png").rgb().getpixel((25, 25)) == (0, 128, 0)


def test_active_content_is_named() -> None:
    body = "<script>alert(1)</script><foreignObject/><rect><animate attributeName='x'/></rect>"
    warnings = convert(_drawing(body), "svg", "png").warnings
    for word in ("scripts", "HTML", "moves"):
        assert any(word in warning for warning in warnings)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<svg",
        b"<html/>",
        b"not XML",
        _SVG.encode()[:30],
        b'<svg xmlns="http://www.w3.org/2000/svg"><g></svg>',
        _STRANGER.encode(),
    ],
)
def test_what_is_no_drawing_is_unreadable_and_no_entity_is_read(data: bytes) -> None:
    reply = convert(data, "svg", "png")
    assert reply.error == "SourceUnreadable" or (
        not reply.error and Image.open(io.BytesIO(reply.file)).getbbox() is None
    )


def test_entities_that_grow_without_end_are_refused() -> None:
    lines = "".join(f'<!ENTITY a{n + 1} "{f"&a{n};" * 10}">' for n in range(12))
    bomb = f'<!DOCTYPE svg [<!ENTITY a0 "lol">{lines}]>' + _drawing("<text>&a12;</text>").decode()
    assert convert(bomb.encode(), "svg", "png").error in {"SourceUnreadable", "SourceTooComplex"}


@pytest.mark.claim("C-BOMB-1")
@pytest.mark.parametrize("target", ["png", "pdf"])
def test_a_drawing_of_billions_of_pixels_is_refused(target: str) -> None:
    huge = _drawing(size='width="100000" height="100000"')
    assert convert(huge, "svg", target).error == "SourceTooComplex"
    small = Bounds(pixels_max=10_000)
    assert convert(_drawing(), "svg", "png", bounds=small, width=500).error


def test_a_drawing_of_a_hundred_thousand_levels_fails_well() -> None:
    deep = _drawing("<g>" * 100_000 + "</g>" * 100_000)
    assert convert(deep, "svg", "png").error in {"SourceUnreadable", "SourceTooComplex"}


@pytest.mark.parametrize("body", ['<use id="a" href="#a"/>', '<g id="a"><use href="#a"/></g>'])
def test_a_drawing_that_contains_itself_ends(body: str) -> None:
    assert convert(_drawing(body), "svg", "png").error in {"", "SourceUnreadable"}
