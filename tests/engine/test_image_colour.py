"""Colour spaces, depths and profiles, judged by ImageMagick (which has its own colour engine)."""

import io

import pytest
from PIL import Image, ImageCms, ImageStat

from tests.engine.calls import convert, sample
from tests.engine.judges import Seen, psnr, run


def _photo(size: tuple[int, int] = (320, 240)) -> Image.Image:
    made = convert(sample("photo.png"), "png", "png", width=size[0]).file
    return Seen(made, "png").rgb()


def test_an_embedded_profile_is_converted_to_srgb_and_left_out() -> None:
    # photo.jpg has red and green exchanged, with a profile that exchanges them back.
    made = convert(sample("photo.jpg"), "jpeg", "png").file
    assert psnr(Seen(made, "png").rgb(), _photo()) > 28
    assert b"iCCP" not in made


@pytest.mark.parametrize("target", ["jpeg", "png", "webp", "avif", "tiff"])
def test_a_kept_profile_goes_with_the_untouched_numbers(target: str) -> None:
    made = convert(sample("photo.jpg"), "jpeg", target, icc="keep", quality=95).file
    red, green, blue = _photo().split()
    assert psnr(Seen(made, target).rgb(), Image.merge("RGB", (green, red, blue))) > 28
    embedded = Image.open(io.BytesIO(made)).info["icc_profile"]
    assert embedded == Image.open(io.BytesIO(sample("photo.jpg"))).info["icc_profile"]


@pytest.mark.parametrize("target", ["gif", "bmp"])
def test_a_target_without_profiles_is_always_srgb(target: str) -> None:
    made = convert(sample("photo.jpg"), "jpeg", target, icc="keep").file
    assert psnr(Seen(made, target).rgb(), _photo()) > 24


def test_a_damaged_profile_is_ignored_and_said() -> None:
    image = Image.open(io.BytesIO(sample("photo.png")))
    buffer = io.BytesIO()
    image.save(buffer, "PNG", icc_profile=b"\x00\x00\x01\x00 not a profile" + bytes(300))
    reply = convert(buffer.getvalue(), "png", "jpeg")
    assert Seen(reply.file, "jpeg").size == (320, 240)
    assert any("profile" in warning for warning in reply.warnings)


def test_a_grey_image_with_an_rgb_profile_stays_grey() -> None:
    buffer = io.BytesIO()
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.open(io.BytesIO(sample("grey.jpg"))).save(buffer, "JPEG", icc_profile=profile)
    made = Seen(convert(buffer.getvalue(), "jpeg", "png").file, "png")
    assert made.colourspace == "Gray"


@pytest.mark.parametrize("target", ["jpeg", "png", "webp", "avif", "gif", "tiff", "bmp"])
def test_cmyk_becomes_rgb_that_looks_the_same(target: str) -> None:
    made = Seen(convert(sample("cmyk.jpg"), "jpeg", target).file, target)
    assert made.colourspace != "CMYK"
    means = ImageStat.Stat(made.rgb()).mean
    expected = ImageStat.Stat(_photo((160, 120))).mean
    assert all(abs(a - b) < 12 for a, b in zip(means, expected, strict=True))


@pytest.mark.parametrize("target", ["jpeg", "tiff"])
def test_cmyk_is_kept_when_asked_where_the_target_holds_it(target: str) -> None:
    made = Seen(convert(sample("cmyk.jpg"), "jpeg", target, icc="keep", width=80).file, target)
    assert made.colourspace == "CMYK"
    assert made.size == (80, 60)


@pytest.mark.parametrize("target", ["png", "tiff"])
@pytest.mark.parametrize("width", [64, 32])
def test_sixteen_bit_grey_keeps_its_depth(target: str, width: int) -> None:
    made = Seen(convert(sample("grey16.png"), "png", target, width=width).file, target)
    assert made.depth == 16
    assert made.size[0] == width


@pytest.mark.parametrize("target", ["jpeg", "webp", "gif", "bmp", "avif"])
def test_sixteen_bit_grey_is_scaled_to_eight_not_clipped(target: str) -> None:
    reply = convert(sample("grey16.png"), "png", target, quality=95)
    made, truth = Seen(reply.file, target).rgb(), Seen(sample("grey16.png"), "png").rgb()
    assert psnr(made, truth) > 33
    assert any("16" in warning for warning in reply.warnings)


def test_floating_point_samples_are_stretched_and_said() -> None:
    reply = convert(sample("float.tiff"), "tiff", "png")
    made = Seen(reply.file, "png").rgb()
    assert made.getpixel((0, 5))[0] < 3
    assert made.getpixel((31, 5))[0] > 252
    assert any("loating" in warning for warning in reply.warnings)


def test_sixteen_bit_colour_is_said_to_lose_depth() -> None:
    deep = _imagemagick_png48()
    assert any("16 bits" in warning for warning in convert(deep, "png", "png").warnings)


def _imagemagick_png48() -> bytes:
    return run(
        "/usr/bin/convert-im6", "png:-", "-depth", "16", "PNG48:-", stdin=sample("photo.png")
    )
