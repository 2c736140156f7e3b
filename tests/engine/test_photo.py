"""HEIC, camera raw, JPEG XL, QOI and JPEG XR, and PNGs packed tighter."""

import io
import json
import struct

import brotli
import imagecodecs
import numpy as np
import pytest
from PIL import Image, ImageOps, ImageSequence, ImageStat

from engine.converters.photo.catalogue import DECODED, ENCODED, RAW
from engine.converters.raster import jxl_encoder
from engine.converters.raster.formats import SOURCES, TARGETS
from engine.registry import converter_for
from tests.engine.calls import convert, sample
from tests.engine.judges import Seen, page_sizes, pictures, psnr, qpdf_approves, run
from tests.engine.pictures import upload

_XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><r by="somebody"/></x:xmpmeta>'


def _truth() -> Image.Image:
    return Seen(upload("ppm"), "ppm").rgb()


def _rgb(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")


def _boxes(data: bytes) -> dict[bytes, bytes]:
    """The boxes of a JPEG XL container, by ISO 18181-2 rather than a library."""
    found, at = {}, 0
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        found[kind] = data[at + 8 : at + size]
        at += size
    return found


def test_a_heic_is_read_as_imagemagick_reads_it() -> None:
    made = Seen(convert(upload("heic"), "heic", "png").file, "png")
    assert made.size == (96, 72)
    assert psnr(made.rgb(), Seen(upload("heic"), "heic").rgb()) > 45


@pytest.mark.parametrize(("source", "least"), [("jxl", 30), ("qoi", 99), ("jxr", 32), ("dng", 18)])
def test_each_format_shows_the_picture(source: str, least: int) -> None:
    made = _rgb(convert(upload(source), source, "png").file)
    assert psnr(made, _truth()) >= least


@pytest.mark.parametrize("source", [*DECODED, "dng"])
def test_every_pair_from_a_photograph_converts_and_shows_it(source: str) -> None:
    truth = _rgb(convert(upload(source), source, "png").file)
    for target in (*TARGETS, *ENCODED):
        assert converter_for(source, target).family == "photo"
        made = convert(upload(source), source, target).file
        image = _rgb(made if target != "jxl" else convert(made, "jxl", "png").file)
        if target in {"ico", "icns"}:
            assert max(image.size) <= 96
        elif target in {"pgm", "pbm"}:
            assert image.size == truth.size
        else:
            assert psnr(image, truth) > 25, target


@pytest.mark.parametrize("source", SOURCES)
def test_every_image_becomes_a_jpeg_xl_and_a_qoi(source: str) -> None:
    truth = Image.open(io.BytesIO(convert(upload(source), source, "png").file)).convert("RGBA")
    exact = convert(upload(source), source, "jxl", lossless=True).file
    assert convert(exact, "jxl", "png").file
    back = Image.open(io.BytesIO(convert(exact, "jxl", "png").file)).convert("RGBA")
    assert (back.size, back.tobytes()) == (truth.size, truth.tobytes())
    qoi = Image.open(io.BytesIO(convert(upload(source), source, "qoi").file)).convert("RGBA")
    assert (qoi.size, qoi.tobytes()) == (truth.size, truth.tobytes())


def test_a_lossy_jpeg_xl_is_half_the_jpeg_of_equal_looks() -> None:
    jxl = convert(sample("photo.png"), "png", "jxl").file
    jpeg = convert(sample("photo.png"), "png", "jpeg", quality=90).file
    truth = Seen(sample("photo.png"), "png").rgb()
    assert len(jxl) < 0.7 * len(jpeg)
    assert psnr(_rgb(convert(jxl, "jxl", "png").file), truth) > 33


def test_quality_and_size_are_obeyed_in_jpeg_xl() -> None:
    low = convert(sample("photo.png"), "png", "jxl", quality=30).file
    high = convert(sample("photo.png"), "png", "jxl", quality=95).file
    assert len(low) < len(high) / 2
    fitting = convert(sample("photo.png"), "png", "jxl", bytes_max=6000).file
    assert 3500 < len(fitting) <= 6000


def test_sixteen_bit_grey_survives_jpeg_xl() -> None:
    made = convert(sample("grey16.png"), "png", "jxl", lossless=True).file
    back = Image.open(io.BytesIO(convert(made, "jxl", "png").file))
    before = Image.open(io.BytesIO(sample("grey16.png")))
    assert back.mode == before.mode == "I;16"
    assert back.tobytes() == before.tobytes()


def test_kept_metadata_stands_in_boxes_of_its_own_and_comes_back() -> None:
    made = convert(sample("photo.jpg"), "jpeg", "jxl", metadata="keep").file
    boxes = _boxes(made)
    assert b"Camera Works" in boxes[b"Exif"]
    assert boxes[b"jxlc"][:2] == b"\xff\x0a"
    back = convert(made, "jxl", "jpeg", metadata="keep").file
    told = run("identify", "-format", "%[EXIF:Make]|%wx%h", "-", stdin=back)
    assert told == b"Ephemera Camera Works|320x240"
    stripped = convert(sample("photo.jpg"), "jpeg", "jxl").file
    assert b"Camera Works" not in stripped


def test_packed_metadata_of_a_jpeg_xl_is_unpacked_but_not_without_end() -> None:
    # As cjxl writes it by default (ISO 18181-2, 9.4: brob).
    made = convert(sample("photo.jpg"), "jpeg", "jxl", metadata="keep").file
    boxes = _boxes(made)

    def packed(content: bytes) -> bytes:
        body = b"Exif" + brotli.compress(content, quality=1)
        box = struct.pack(">I4s", len(body) + 8, b"brob") + body
        return made[:32] + box + made[made.index(b"jxlc") - 4 :]

    told = json.loads(convert(packed(boxes[b"Exif"]), "jxl", "json").file)
    assert told["exif"]["Make"] == "Ephemera Camera Works"
    bomb = json.loads(convert(packed(boxes[b"Exif"] + bytes(1 << 23)), "jxl", "json").file)
    assert "exif" not in bomb
    assert (bomb["width"], bomb["height"]) == (told["width"], told["height"])


def test_a_jpeg_is_packed_without_loss_and_restored_bit_by_bit() -> None:
    packed = convert(sample("photo.jpg"), "jpeg", "jxl", lossless=True, metadata="keep").file
    assert len(packed) < len(sample("photo.jpg"))
    assert convert(packed, "jxl", "jpeg", operation="restore").file == sample("photo.jpg")
    other = convert(upload("jxl"), "jxl", "jpeg", operation="restore")
    assert other.error == "TargetImpossible"


def test_a_packed_jpeg_is_upright_when_it_is_shown() -> None:
    packed = convert(sample("orientation-6.jpg"), "jpeg", "jxl", lossless=True, metadata="keep")
    made = Seen(convert(packed.file, "jxl", "png").file, "png")
    upright = Seen(convert(sample("orientation-6.jpg"), "jpeg", "png").file, "png")
    assert made.size == (160, 120)
    assert psnr(made.rgb(), upright.rgb()) > 40


def test_an_animated_jpeg_xl_gives_a_still_its_first_frame_and_says_so() -> None:
    frame = np.asarray(_truth())
    moving = imagecodecs.jpegxl_encode(np.stack([frame, 255 - frame]), lossless=True)
    reply = convert(moving, "jxl", "bmp")
    assert psnr(_rgb(reply.file), _truth()) == 99
    assert any("first frame" in warning for warning in reply.warnings)
    second = convert(moving, "jxl", "bmp", page=2)
    assert psnr(ImageOps.invert(_rgb(second.file)), _truth()) == 99
    assert convert(moving, "jxl", "bmp", page=3).error == "TargetImpossible"


@pytest.mark.parametrize("source", ["gif", "webp", "png"])
def test_an_animation_moves_in_a_jpeg_xl_as_it_did_before(source: str) -> None:
    before = sample(f"animation.{source}")
    reply = convert(before, source, "jxl", lossless=True)
    assert reply.warnings == ()
    assert imagecodecs.jpegxl_decode(reply.file).shape[0] == Image.open(io.BytesIO(before)).n_frames
    there_and_back = convert(reply.file, "jxl", "png").file
    assert _film(there_and_back) == _film(convert(before, source, "png").file)


def _film(data: bytes) -> list[tuple[object, ...]]:
    """Each frame with its time, and how often they run."""
    image = Image.open(io.BytesIO(data))
    return [
        (frame.convert("RGBA").tobytes(), frame.info["duration"], frame.info["loop"])
        for frame in ImageSequence.Iterator(image)
    ]


def test_a_packed_jpeg_keeps_the_colours_of_its_profile() -> None:
    # The profile exchanges red and green: without it nothing looks right.
    packed = convert(sample("photo.jpg"), "jpeg", "jxl", lossless=True, metadata="keep").file
    made = Seen(convert(packed, "jxl", "png").file, "png")
    assert (
        psnr(made.rgb(), Seen(convert(sample("photo.jpg"), "jpeg", "png").file, "png").rgb()) > 40
    )
    kept = Image.open(io.BytesIO(convert(packed, "jxl", "png", icc="keep").file))
    assert (
        kept.info["icc_profile"] == Image.open(io.BytesIO(sample("photo.jpg"))).info["icc_profile"]
    )


@pytest.mark.parametrize("quality", [{"lossless": True}, {"quality": 98}])
def test_a_jpeg_xl_holds_the_profile_of_its_colours(quality: dict[str, object]) -> None:
    before = convert(sample("photo.jpg"), "jpeg", "png", icc="keep").file
    made = convert(before, "png", "jxl", icc="keep", **quality).file
    back = convert(made, "jxl", "png", icc="keep").file
    assert psnr(_rgb(back), _rgb(before)) > 38
    profile, first = (Image.open(io.BytesIO(one)).info["icc_profile"] for one in (back, before))
    # Of a lossy file libjxl makes a profile of the same colours itself.
    assert profile == first or "quality" in quality
    shown = _rgb(convert(made, "jxl", "png").file)
    assert psnr(shown, _rgb(convert(before, "png", "png").file)) > 38


def test_a_frame_that_is_shown_for_years_goes_into_a_gif() -> None:
    frames = [np.asarray(_truth()), 255 - np.asarray(_truth())]
    manner = jxl_encoder.Manner(distance=None, effort=1, icc=None, plays=4_000_000_000)
    moving = jxl_encoder.encode(frames, [4_000_000_000, 50], manner, 1_000_000)
    made = Image.open(io.BytesIO(convert(moving, "jxl", "gif").file))
    assert [frame.info["duration"] for frame in ImageSequence.Iterator(made)] == [655_350, 50]


def test_a_damaged_profile_keeps_no_picture_out_of_a_jpeg_xl() -> None:
    buffer = io.BytesIO()
    _truth().save(buffer, "PNG", icc_profile=bytes(16) + b"RGB " + bytes(300))
    made = convert(buffer.getvalue(), "png", "jxl", icc="keep", lossless=True).file
    assert psnr(_rgb(convert(made, "jxl", "png").file), _truth()) == 99


def test_more_light_develops_a_lighter_picture() -> None:
    def mean(**options: object) -> float:
        made = convert(upload("dng"), "dng", "png", **options).file
        return ImageStat.Stat(_rgb(made).convert("L")).mean[0]

    assert mean(exposure=-1) < mean(exposure=0.1) < mean(exposure=1.5)


def test_a_raw_file_without_a_preview_says_so() -> None:
    reply = convert(upload("dng"), "dng", "jpeg", preview=True)
    assert reply.error == "TargetImpossible"


@pytest.mark.parametrize("name", RAW)
def test_a_raw_file_is_developed_whatever_its_maker_calls_it(name: str) -> None:
    """LibRaw looks inside: what decides is what the file holds, not its name."""
    made = Seen(convert(upload("dng"), name, "jpeg", width=48).file, "jpeg")
    assert made.size == (48, 36)


@pytest.mark.parametrize("source", [*DECODED, "dng"])
def test_photographs_are_described(source: str) -> None:
    told = json.loads(convert(upload(source), source, "json").file)
    assert (told["format"], told["width"], told["height"]) == (source, 96, 72)


@pytest.mark.parametrize("source", ["heic", "jxl", "dng"])
def test_photographs_become_pages(source: str) -> None:
    made = convert([upload(source), upload(source)], source, "pdf", dpi=96).file
    qpdf_approves(made)
    assert page_sizes(made) == [(72.0, 54.0)] * 2
    assert psnr(pictures(made)[1], _rgb(convert(upload(source), source, "png").file)) > 33


@pytest.mark.parametrize("name", ["photo.png", "alpha.png", "palette-alpha.png", "grey16.png"])
def test_an_optimised_png_is_smaller_and_has_the_same_pixels(name: str) -> None:
    made = convert(sample(name), "png", "png", operation="optimise").file
    assert len(made) <= len(sample(name))
    before, after = Seen(sample(name), "png"), Seen(made, "png")
    assert psnr(before.rgb(), after.rgb()) == 99
    assert psnr(before.alpha(), after.alpha()) == 99
    assert b"must not leak" not in made


def test_an_optimised_png_keeps_its_comment_where_asked() -> None:
    made = convert(sample("alpha.png"), "png", "png", operation="optimise", metadata="keep").file
    assert b"must not leak" in made


def test_a_damaged_png_is_not_optimised() -> None:
    reply = convert(sample("photo.png")[:5000], "png", "png", operation="optimise")
    assert reply.error == "SourceUnreadable"
