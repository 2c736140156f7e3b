"""What a picture tells about its maker: stripped unless asked, and then without lies."""

import io
import random

import pytest
from PIL import Image

from engine.converters.image.catalogue import RASTER
from engine.converters.raster import metadata
from tests.engine.calls import convert, sample
from tests.engine.judges import run

_SECRETS = (b"Ephemera Camera Works", b"must not leak", b"Exif", b"photoshop")
_XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><r tiff:Orientation="6" by="somebody"/></x:xmpmeta>'


@pytest.mark.parametrize("target", RASTER)
@pytest.mark.parametrize("name", ["photo.jpg", "alpha.png", "orientation-3.jpg"])
def test_nothing_about_camera_place_or_comment_is_in_the_result(name: str, target: str) -> None:
    made = convert(sample(name), "png" if name.endswith("png") else "jpeg", target).file
    assert not [secret for secret in _SECRETS if secret in made]


@pytest.mark.parametrize("target", ["jpeg", "png", "webp", "avif", "tiff"])
def test_kept_metadata_names_the_camera_but_no_orientation(target: str) -> None:
    made = convert(sample("photo.jpg"), "jpeg", target, metadata="keep").file
    tags = Image.open(io.BytesIO(made)).getexif()
    assert tags[0x010F] == "Ephemera Camera Works"
    assert tags.get(0x0112, 1) == 1
    if target != "tiff":
        assert tags.get_ifd(0x8825)[1] == "N"


def test_imagemagick_reads_the_kept_camera_and_upright_picture() -> None:
    made = convert(sample("photo.jpg"), "jpeg", "jpeg", metadata="keep").file
    told = run(
        "identify", "-format", "%[EXIF:Make]|%[orientation]|%wx%h|%x", "-", stdin=made
    ).decode()
    assert told.split("|")[0] == "Ephemera Camera Works"
    assert told.split("|")[1] in {"Undefined", "TopLeft"}
    assert told.split("|")[2] == "320x240"
    assert told.split("|")[3].startswith("300")


@pytest.mark.parametrize("target", ["jpeg", "png", "webp", "avif", "tiff"])
def test_kept_xmp_loses_its_orientation(target: str) -> None:
    buffer = io.BytesIO()
    Image.open(io.BytesIO(sample("grey.jpg"))).save(buffer, "JPEG", xmp=_XMP)
    made = convert(buffer.getvalue(), "jpeg", target, metadata="keep").file
    assert b"somebody" in made
    assert b"tiff:Orientation" not in made
    assert b"somebody" not in convert(buffer.getvalue(), "jpeg", target).file


@pytest.mark.parametrize("target", ["gif", "bmp"])
def test_a_target_that_holds_no_metadata_says_so(target: str) -> None:
    reply = convert(sample("photo.jpg"), "jpeg", target, metadata="keep")
    assert any("metadata" in warning for warning in reply.warnings)
    assert b"Camera Works" not in reply.file


def test_a_tiff_says_that_it_keeps_only_part_of_the_exif() -> None:
    reply = convert(sample("photo.jpg"), "jpeg", "tiff", metadata="keep")
    assert any("EXIF" in warning for warning in reply.warnings)


@pytest.mark.parametrize("name", ["orientation-6.jpg", "photo.jpg"])
def test_an_orientation_seen_without_a_parser_is_the_one_that_pillow_reads(name: str) -> None:
    chance, seen = random.Random(7), 0  # noqa: S311 - repeatable, not secret
    original = Image.open(io.BytesIO(sample(name))).info["exif"]
    for number in range(600):
        block = bytearray(original)
        for _ in range(number % 4):
            block[chance.randrange(min(len(block), 200))] = chance.choice((0, 1, 2, 3, 6, 18, 255))
        image = Image.new("RGB", (1, 1))
        image.info["exif"] = bytes(block[: chance.choice((len(block), len(block), 40))])
        looked = metadata._seen_orientation(image)
        try:
            read = image.getexif().get(0x0112)
        except (SyntaxError, ValueError, TypeError, LookupError, OSError, ArithmeticError):
            read = None
        # Pillow gives up on a block for damage elsewhere in it; viewers do not, and neither do we.
        if looked is not None and read is not None:
            seen += 1
            assert looked == read
    assert seen > 100
