"""Animations and pages: frames, timing and plays survive, and what is lost is said."""

import io
import struct

import pytest
from PIL import Image

from engine.job import Bounds
from tests.engine.calls import convert, sample
from tests.engine.judges import Seen, delays_ms, frames, png_chunks, psnr

_ANIMATED = ("gif", "webp", "png", "avif")
_DURATIONS = [100, 200, 300, 400, 500]
_CORNER = (2, 40)


def _count(data: bytes, target: str) -> int:
    """Frames by a program that did not make them, or by the specification's own counter."""
    if target == "png":
        chunks = png_chunks(data)
        control = [content for kind, content in chunks if kind == b"acTL"]
        assert struct.unpack(">II", control[0])[0] == sum(kind == b"fcTL" for kind, _ in chunks)
        return int(struct.unpack(">II", control[0])[0])
    if target == "avif":  # ImageMagick reads the first: count by the sample size box (ISO 14496-12)
        at = data.index(b"stsz")
        return int(struct.unpack_from(">I", data, at + 12)[0])
    return len(frames(data, target))


def _timing(data: bytes, target: str) -> list[int]:
    if target == "gif":
        return delays_ms(data, "gif")
    if target == "png":
        controls = [content for kind, content in png_chunks(data) if kind == b"fcTL"]
        return [
            round(1000 * top / bottom)
            for top, bottom in (struct.unpack_from(">HH", control, 20) for control in controls)
        ]
    image = Image.open(io.BytesIO(data))
    found = []
    for index in range(image.n_frames):
        image.seek(index)
        image.load()
        found.append(image.info["duration"])
    return found


@pytest.mark.parametrize("target", _ANIMATED)
@pytest.mark.parametrize("source", _ANIMATED)
def test_an_animation_keeps_its_frames_and_their_durations(source: str, target: str) -> None:
    made = convert(sample(f"animation.{source}"), source, target).file
    assert _count(made, target) == 5
    assert _timing(made, target) == _DURATIONS


@pytest.mark.parametrize("target", _ANIMATED)
def test_every_frame_of_a_resized_animation_shows_what_it_should(target: str) -> None:
    made = convert(sample("animation.webp"), "webp", target, width=32, quality=90).file
    image, truth = Image.open(io.BytesIO(made)), Image.open(io.BytesIO(sample("animation.webp")))
    assert image.size == (32, 24)
    for index in range(5):
        image.seek(index)
        truth.seek(index)
        seen, wanted = image.convert("RGBA"), truth.convert("RGBA").resize((32, 24))
        backdrop = Image.new("RGBA", (32, 24), (255, 255, 255, 255))
        pair = [Image.alpha_composite(backdrop, one).convert("RGB") for one in (seen, wanted)]
        # GIF's transparency is all or nothing, which shows along every soft edge of a small frame.
        assert psnr(*pair) > (17 if target == "gif" else 28)


@pytest.mark.parametrize("target", _ANIMATED)
def test_see_through_corners_stay_see_through_in_every_frame(target: str) -> None:
    image = Image.open(io.BytesIO(convert(sample("animation.gif"), "gif", target).file))
    for index in range(5):
        image.seek(index)
        assert image.convert("RGBA").getpixel(_CORNER)[3] == 0


@pytest.mark.parametrize(
    ("target", "where"), [("gif", b"NETSCAPE2.0\x03\x01\x02\x00"), ("png", None)]
)
def test_the_number_of_plays_is_kept(target: str, where: bytes | None) -> None:
    made = convert(sample("animation.webp"), "webp", target).file
    if where is not None:
        assert where in made  # two repetitions after the first
    else:
        control = next(content for kind, content in png_chunks(made) if kind == b"acTL")
        assert struct.unpack(">II", control)[1] == 3


def test_avif_says_that_it_loses_the_number_of_plays() -> None:
    assert any("plays" in one for one in convert(sample("animation.gif"), "gif", "avif").warnings)


@pytest.mark.parametrize("target", ["jpeg", "bmp", "tiff"])
def test_an_animation_made_a_still_is_its_first_frame_and_says_so(target: str) -> None:
    reply = convert(sample("animation.gif"), "gif", target)
    assert frames(reply.file, target) == [(64, 48)]
    assert any("first frame" in warning for warning in reply.warnings)


def test_the_first_frame_alone_is_taken_when_asked_and_nothing_is_said() -> None:
    reply = convert(sample("animation.gif"), "gif", "webp", frames="first")
    assert frames(reply.file, "webp") == [(64, 48)]
    assert not any("frame" in warning for warning in reply.warnings)


def test_a_tiff_keeps_its_pages_each_with_its_size() -> None:
    made = convert(sample("pages.tiff"), "tiff", "tiff").file
    assert frames(made, "tiff") == [(100, 80), (120, 80), (140, 80)]
    for page in range(3):
        before, after = Seen(sample("pages.tiff"), "tiff", page), Seen(made, "tiff", page)
        assert psnr(before.rgb(), after.rgb()) > 50


def test_a_tiff_of_several_pages_becomes_its_first_one_elsewhere() -> None:
    reply = convert(sample("pages.tiff"), "tiff", "png")
    assert Seen(reply.file, "png").size == (100, 80)
    assert any("first page" in warning for warning in reply.warnings)


def test_hasty_frames_are_told_as_viewers_show_them() -> None:
    buffer = io.BytesIO()
    two = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    two[0].save(buffer, "GIF", save_all=True, append_images=two[1:], duration=[10, 40])
    assert _timing(convert(buffer.getvalue(), "gif", "webp").file, "webp") == [100, 40]


def test_too_many_frames_are_refused_before_they_are_decoded() -> None:
    buffer = io.BytesIO()
    one = Image.new("P", (4, 4))
    one.save(buffer, "GIF")
    block = buffer.getvalue()[buffer.getvalue().index(b"\x2c") : -1]
    many = buffer.getvalue()[:-1] + block * 100_000 + b";"
    reply = convert(many, "gif", "webp")
    assert reply.error == "SourceTooComplex"
    assert Seen(convert(many, "gif", "png", frames="first").file, "png").size == (4, 4)


def test_frames_times_pixels_are_bounded() -> None:
    bounds = Bounds(animation_pixels_max=64 * 48 * 4)
    reply = convert(sample("animation.gif"), "gif", "webp", bounds=bounds)
    assert reply.error == "SourceTooComplex"


@pytest.mark.parametrize("target", ["png", "webp", "avif", "gif"])
def test_frames_that_reach_beyond_the_canvas_enlarge_it(target: str) -> None:
    small, large = io.BytesIO(), io.BytesIO()
    Image.new("P", (40, 30), 3).save(small, "GIF")
    Image.new("P", (60, 50), 5).save(large, "GIF")
    # The second picture is larger than the screen that the first one declares.
    body = large.getvalue()
    second = body[body.index(b",\0\0\0\0") : -1]
    upload = small.getvalue()[:-1] + second + b";"
    made = Image.open(io.BytesIO(convert(upload, "gif", target).file))
    assert (made.size, getattr(made, "n_frames", 1)) == ((60, 50), 2)
    made.seek(1)
    made.load()
