"""Every image format becomes every other, judged by ImageMagick."""

import pytest

from engine.converters.image.catalogue import RASTER
from tests.engine.calls import convert, sample
from tests.engine.judges import Seen, psnr

# ImageMagick's names of what we call otherwise; it keeps a BMP's version apart.
_SEEN_AS = {
    "jpeg": "JPEG",
    "png": "PNG",
    "webp": "WEBP",
    "avif": "AVIF",
    "gif": "GIF",
    "tiff": "TIFF",
}
# Least PSNR to the source as ImageMagick decodes it. Palettes of 256 and chroma at half resolution
# lose what they must; everything else here holds pixels exactly.
_LEAST_DB = {"jpeg": 31, "webp": 31, "avif": 30, "gif": 27}
_EXACT_DB = 99


def _seen_format(data: bytes, target: str) -> Seen:
    seen = Seen(data, target)
    assert seen.kind.startswith(_SEEN_AS.get(target, "BMP"))
    return seen


@pytest.mark.parametrize("target", RASTER)
@pytest.mark.parametrize("source", RASTER)
def test_every_image_format_becomes_every_other_with_its_pixels(source: str, target: str) -> None:
    upload = sample("orientation-1.jpg" if source == "jpeg" else f"photo.{source}")
    reply = convert(upload, source, target)
    before, after = Seen(upload, source), _seen_format(reply.file, target)
    assert after.size == before.size
    assert psnr(before.rgb(), after.rgb()) >= _LEAST_DB.get(target, 38 if source == "avif" else 50)
    assert reply.warnings == ()


@pytest.mark.parametrize("target", ["png", "tiff", "bmp"])
def test_lossless_targets_hold_the_exact_pixels(target: str) -> None:
    upload = sample("photo.png")
    after = Seen(convert(upload, "png", target).file, target)
    assert psnr(Seen(upload, "png").rgb(), after.rgb()) == _EXACT_DB


def test_webp_without_loss_holds_the_exact_pixels() -> None:
    upload = sample("photo.png")
    after = Seen(convert(upload, "png", "webp", lossless=True).file, "webp")
    assert psnr(Seen(upload, "png").rgb(), after.rgb()) == _EXACT_DB


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("target", ["png", "webp"])
def test_the_exif_orientation_is_applied_to_the_pixels(orientation: int, target: str) -> None:
    expected = Seen(convert(sample("orientation-1.jpg"), "jpeg", "png").file, "png").rgb()
    reply = convert(
        sample(f"orientation-{orientation}.jpg"), "jpeg", target, lossless=target == "webp"
    )
    seen = Seen(reply.file, target)
    assert seen.size == (160, 120)
    assert psnr(seen.rgb(), expected) > 30


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_image_is_resized_and_cropped_as_it_is_seen(orientation: int) -> None:
    options = {"width": 60, "height": 60, "fit": "cover"}
    expected = Seen(convert(sample("orientation-1.jpg"), "jpeg", "png", **options).file, "png")
    reply = convert(sample(f"orientation-{orientation}.jpg"), "jpeg", "png", **options)
    seen = Seen(reply.file, "png")
    assert seen.size == (60, 60)
    assert psnr(seen.rgb(), expected.rgb()) > 28
