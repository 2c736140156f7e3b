"""What each option does to the pixels and the file, judged by ImageMagick."""

import io
import struct

import pytest
from PIL import Image

from engine.converters.raster.resample import resample
from tests.engine.calls import convert, sample
from tests.engine.judges import Seen, psnr, run


def _resized_by_imagemagick(upload: bytes, size: str) -> Image.Image:
    raw = run(
        "/usr/bin/convert-im6",
        "png:-",
        "-filter",
        "Lanczos",
        "-resize",
        f"{size}!",
        "png:-",
        stdin=upload,
    )
    return Seen(raw, "png").rgb()


@pytest.mark.parametrize(("width", "height"), [(160, 120), (100, 75), (33, 25)])
def test_a_resize_matches_imagemagicks_lanczos(width: int, height: int) -> None:
    upload = sample("photo.png")
    ours = Seen(convert(upload, "png", "png", width=width, height=height, fit="fill").file, "png")
    assert psnr(ours.rgb(), _resized_by_imagemagick(upload, f"{width}x{height}")) > 38


def test_enlarging_matches_imagemagicks_lanczos() -> None:
    upload = sample("photo.png")
    ours = Seen(convert(upload, "png", "png", width=640, enlarge=True).file, "png")
    assert ours.size == (640, 480)
    assert psnr(ours.rgb(), _resized_by_imagemagick(upload, "640x480")) > 38


def test_a_jpeg_that_is_decoded_at_a_fraction_looks_like_one_that_is_decoded_whole() -> None:
    big = convert(sample("photo.png"), "png", "jpeg", width=1280, enlarge=True, quality=95).file
    whole = convert(convert(big, "jpeg", "png").file, "png", "png", width=150).file
    fraction = convert(big, "jpeg", "png", width=150).file
    assert psnr(Seen(whole, "png").rgb(), Seen(fraction, "png").rgb()) > 40


def test_see_through_pixels_do_not_bleed_into_the_edge_when_scaling() -> None:
    image = Image.new("RGBA", (40, 40), (255, 0, 0, 0))
    image.paste((0, 0, 255, 255), (10, 10, 30, 30))
    seen = Seen(convert(_png(image), "png", "png", width=13, height=13).file, "png")
    colours, alpha = seen.rgb(), seen.alpha()
    visible = [
        colours.getpixel((x, y)) for x in range(13) for y in range(13) if alpha.getpixel((x, y))
    ]
    assert visible
    assert all(red < 8 and blue > 247 for red, _, blue in visible)


def test_contain_pads_with_the_background() -> None:
    reply = convert(
        sample("photo.png"), "png", "png", width=80, height=80, fit="contain", background="ff0000"
    )
    seen = Seen(reply.file, "png")
    assert seen.size == (80, 80)
    assert seen.rgb().getpixel((40, 2)) == (255, 0, 0)


def test_contain_pads_see_through_where_the_target_can() -> None:
    reply = convert(sample("photo.png"), "png", "webp", width=80, height=80, fit="contain")
    seen = Seen(reply.file, "webp")
    assert seen.alpha().getpixel((40, 2)) == 0
    assert seen.alpha().getpixel((40, 40)) == 255


def test_quality_trades_size_for_pixels() -> None:
    upload = sample("photo.png")
    for target in ("jpeg", "webp", "avif"):
        low = convert(upload, "png", target, quality=20).file
        high = convert(upload, "png", target, quality=95).file
        assert len(low) < len(high) / 2
        truth = Seen(upload, "png").rgb()
        assert psnr(Seen(low, target).rgb(), truth) < psnr(Seen(high, target).rgb(), truth)


def test_progressive_and_chroma_change_how_a_jpeg_is_coded() -> None:
    plain = convert(sample("photo.png"), "png", "jpeg").file
    other = convert(sample("photo.png"), "png", "jpeg", progressive=True, chroma="4:4:4").file
    assert _told(plain, "%[interlace] %[jpeg:sampling-factor]").startswith("None 2x2")
    assert _told(other, "%[interlace] %[jpeg:sampling-factor]").startswith("JPEG 1x1")


def test_more_effort_makes_a_smaller_file_of_the_same_pixels() -> None:
    upload = sample("photo.png")
    quick = convert(upload, "png", "png", effort=1).file
    hard = convert(upload, "png", "png", effort=9).file
    assert len(hard) < len(quick)
    assert psnr(Seen(quick, "png").rgb(), Seen(hard, "png").rgb()) == 99


def test_a_noisy_jpeg_of_highest_quality_fits_the_encoders_buffer() -> None:
    noise = Image.merge("RGB", [Image.effect_noise((300, 200), 250) for _ in range(3)])
    reply = convert(_png(noise), "png", "jpeg", quality=100, chroma="4:4:4")
    assert Seen(reply.file, "jpeg").size == (300, 200)


@pytest.mark.parametrize("target", ["jpeg", "bmp"])
def test_transparency_is_laid_over_the_background_and_said(target: str) -> None:
    reply = convert(sample("alpha.png"), "png", target, background="00ff00", quality=95)
    top = Seen(reply.file, target).rgb().getpixel((80, 0))
    assert top[1] > 230
    assert top[0] < 40
    assert any("transparency" in warning for warning in reply.warnings)


@pytest.mark.parametrize("target", ["webp", "avif", "tiff", "png"])
def test_transparency_survives_where_the_target_has_it(target: str) -> None:
    made = convert(sample("alpha.png"), "png", target).file
    # Debian 12's ImageMagick reads no alpha of AVIF: there dav1d judges what libaom wrote.
    alpha = (
        Image.open(io.BytesIO(made)).getchannel("A")
        if target == "avif"
        else Seen(made, target).alpha()
    )
    assert psnr(Seen(sample("alpha.png"), "png").alpha(), alpha) > 40


def test_a_palette_with_graded_transparency_survives() -> None:
    before = Seen(sample("palette-alpha.png"), "png")
    for target in ("png", "webp"):
        after = Seen(convert(sample("palette-alpha.png"), "png", target, width=160).file, target)
        assert psnr(before.alpha(), after.alpha()) > 40


def test_a_palette_and_a_bitmap_stay_what_they_are_when_nothing_changes() -> None:
    for name in ("palette.png", "bitmap.png"):
        made = convert(sample(name), "png", "png").file
        assert (
            struct.unpack_from(">B", made, 24)[0] == struct.unpack_from(">B", sample(name), 24)[0]
        )
        assert psnr(Seen(made, "png").rgb(), Seen(sample(name), "png").rgb()) == 99


def test_a_bitmap_becomes_a_group_4_tiff() -> None:
    made = convert(sample("bitmap.png"), "png", "tiff").file
    assert _told(made, "%C").startswith("Group4")
    assert psnr(Seen(made, "tiff").rgb(), Seen(sample("bitmap.png"), "png").rgb()) == 99


def test_few_colours_become_a_gif_exactly() -> None:
    made = convert(sample("palette.png"), "png", "gif", width=160).file
    assert psnr(Seen(made, "gif").rgb(), Seen(sample("palette.png"), "png").rgb()) == 99


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def _told(data: bytes, what: str) -> str:
    return run("identify", "-format", what, "-", stdin=data).decode()


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "CMYK"])
@pytest.mark.parametrize("size", [(160, 120), (97, 31), (640, 480)])
def test_the_fast_resampler_agrees_with_pillows(mode: str, size: tuple[int, int]) -> None:
    image = Image.open(io.BytesIO(sample("photo.png"))).convert(mode)
    if mode == "RGBA":
        image.putalpha(Image.linear_gradient("L").resize(image.size))
    box = (0.0, 0.0, float(image.width), float(image.height))
    fast, slow = resample(image, box, size), image.resize(size, Image.Resampling.LANCZOS)
    if mode == "RGBA":
        black = Image.new("RGBA", size, (0, 0, 0, 255))
        fast, slow = Image.alpha_composite(black, fast), Image.alpha_composite(black, slow)
    assert psnr(fast, slow) > 45
