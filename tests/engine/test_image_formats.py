"""The formats beside the seven of the web: read and written, judged by other decoders."""

import io
import struct

import imagecodecs
import pytest
from PIL import Image

from engine.converters.raster.formats import OTHERS, SOURCES, TARGETS
from engine.registry import converter_for
from tests.engine.calls import convert, sample
from tests.engine.judges import Seen, page_sizes, pictures, psnr, qpdf_approves, run
from tests.engine.pictures import UNSEEN, seen, upload

# Formats that keep every pixel of an 8-bit picture. Icons are smaller than their source, grey and
# bitmaps hold no colours, and JPEG 2000 is asked for it.
_EXACT = ("tga", "ppm", "dds", "sgi", "pcx")


def _as_png(name: str, **options: object) -> Image.Image:
    return Image.open(io.BytesIO(convert(upload(name), name, "png", **options).file))


@pytest.mark.parametrize("source", sorted(set(SOURCES) - UNSEEN))
def test_each_format_is_read_as_imagemagick_reads_it(source: str) -> None:
    before = Seen(upload(source), source)
    reply = convert(upload(source), source, "png")
    after = Seen(reply.file, "png")
    assert after.size == before.size
    # Lossy codecs may round a channel differently; everything else is the same pixels.
    least = {"jpeg": 38, "jp2": 45, "avif": 38, "webp": 45}.get(source, 99)
    assert psnr(before.rgb(), after.rgb()) >= least


@pytest.mark.parametrize("target", _EXACT)
def test_plain_targets_hold_the_exact_pixels(target: str) -> None:
    truth = Seen(upload("ppm"), "ppm")
    made = seen(convert(upload("ppm"), "ppm", target).file, target)
    assert made.size == truth.size
    assert psnr(made.rgb(), truth.rgb()) == 99


@pytest.mark.parametrize("target", ["tga", "dds", "sgi", "jp2"])
def test_transparency_survives_in_formats_that_have_it(target: str) -> None:
    reply = convert(sample("alpha.png"), "png", target, **_lossless(target))
    assert reply.warnings == ()
    made = seen(reply.file, target)
    assert psnr(made.alpha(), Seen(sample("alpha.png"), "png").alpha()) > 45


def _lossless(target: str) -> dict[str, object]:
    return {"lossless": True} if target == "jp2" else {}


def test_jpeg_2000_without_loss_holds_the_exact_pixels_and_with_loss_is_smaller() -> None:
    truth = Seen(sample("photo.png"), "png").rgb()
    exact = convert(sample("photo.png"), "png", "jp2", lossless=True).file
    assert psnr(Seen(exact, "jp2").rgb(), truth) == 99
    lossy = convert(sample("photo.png"), "png", "jp2").file
    assert len(lossy) < len(exact) / 2
    assert psnr(Seen(lossy, "jp2").rgb(), truth) > 36


@pytest.mark.parametrize(("target", "kind"), [("ppm", b"P6"), ("pgm", b"P5"), ("pbm", b"P4")])
def test_netpbm_formats_are_what_their_names_say(target: str, kind: bytes) -> None:
    reply = convert(sample("photo.png"), "png", target)
    assert reply.file[:2] == kind
    assert Seen(reply.file, target).size == (320, 240)
    assert bool(reply.warnings) == (target != "ppm")


def test_sixteen_bit_grey_stays_so_in_a_pgm() -> None:
    made = Seen(convert(sample("grey16.png"), "png", "pgm").file, "pgm")
    assert made.depth == 16


def test_an_icon_holds_each_usual_size_up_to_its_source() -> None:
    made = convert(sample("photo.png"), "png", "ico").file
    sizes = run("identify", "-format", "%wx%h ", "ico:-", stdin=made).decode().split()
    assert sizes == [f"{side}x{side}" for side in (16, 24, 32, 48, 64, 128, 256)]
    largest = Seen(made, "ico", frame=6)
    # 256 x 192 in the middle, clear above and below.
    assert largest.alpha().getbbox() == (0, 32, 256, 224)


def test_a_small_picture_is_not_enlarged_into_an_icon() -> None:
    small = convert(sample("photo.png"), "png", "png", width=40, height=40, fit="cover").file
    for target, sides in (("ico", (16, 24, 32)), ("icns", (16, 32))):
        made = Image.open(io.BytesIO(convert(small, "png", target).file))
        assert max(size[0] for size in made.info["sizes"]) == sides[-1]


def test_an_apple_icon_holds_a_png_of_each_size() -> None:
    made = convert(sample("photo.png"), "png", "icns").file
    assert made[:4] == b"icns"
    assert struct.unpack_from(">I", made, 4)[0] == len(made)
    at, found = 8, {}
    while at < len(made):
        code, size = struct.unpack_from(">4sI", made, at)
        found[code] = Seen(made[at + 8 : at + size], "png").size
        at += size
    assert found == {
        b"icp4": (16, 16),
        b"icp5": (32, 32),
        b"icp6": (64, 64),
        b"ic07": (128, 128),
        b"ic08": (256, 256),
    }


@pytest.mark.parametrize(("source", "side"), [("ico", 48), ("icns", 64)])
def test_of_an_icon_the_largest_picture_is_taken_and_said(source: str, side: int) -> None:
    reply = convert(upload(source), source, "png")
    assert Seen(reply.file, "png").size == (side, side)
    assert any("largest" in warning for warning in reply.warnings)


def test_a_cursor_is_the_picture_it_shows() -> None:
    truth = Seen(convert(upload("ppm"), "ppm", "png", width=32, height=32, fit="fill").file, "png")
    assert psnr(_as_png("cur").convert("RGB"), truth.rgb()) > 38


def test_pam_keeps_its_transparency() -> None:
    made = _as_png("pnm")
    assert (made.mode, made.size) == ("RGBA", (64, 48))
    assert made.getchannel("A").getbbox() == (32, 0, 64, 48)


def test_a_photoshop_document_is_its_composite_and_says_so() -> None:
    reply = convert(upload("psd"), "psd", "png")
    # The second layer is yellow, at 20, 20.
    assert Seen(reply.file, "png").rgb().getpixel((25, 25)) == (250, 200, 20)
    assert any("layers" in warning for warning in reply.warnings)


def _over_white(image: Image.Image) -> Image.Image:
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


@pytest.mark.parametrize("source", sorted(set(SOURCES)))
def test_every_pair_converts_and_shows_the_picture(source: str) -> None:
    """The encoders are judged above; here each pair has to end with the same picture."""
    truth = _over_white(_as_png(source))
    for target in TARGETS:
        assert converter_for(source, target).name == "image.convert"
        made = Image.open(io.BytesIO(convert(upload(source), source, target).file))
        assert made.format is not None
        if target in {"ico", "icns"}:
            assert max(made.size) <= max(truth.size)
            continue
        assert made.size == truth.size
        grey = target in {"pgm", "pbm"} or made.mode in {"1", "L"}
        shown, wanted = _over_white(made), truth.convert("L").convert("RGB") if grey else truth
        least = {"pbm": 3, "gif": 26, "avif": 27, "jpeg": 27, "webp": 27, "jp2": 34}
        assert psnr(shown, wanted) > (3 if made.mode == "1" else least.get(target, 26)), target


@pytest.mark.parametrize("source", OTHERS)
def test_every_format_is_described(source: str) -> None:
    told = convert(upload(source), source, "json", operation="metadata").file
    assert f'"format": "{source}"'.encode() in told


@pytest.mark.parametrize("source", ["psd", "tga", "jp2", "cur"])
def test_further_formats_become_a_page_of_their_own_size(source: str) -> None:
    reply = convert(upload(source), source, "pdf", lossless=True)
    qpdf_approves(reply.file)
    size = Image.open(io.BytesIO(convert(upload(source), source, "png").file)).size
    assert page_sizes(reply.file) == [(size[0] * 0.75, size[1] * 0.75)]
    truth = _as_png(source).convert("RGB")
    assert psnr(pictures(reply.file)[0], truth) == 99


def test_several_pictures_become_several_pages_of_the_resolution_asked_for() -> None:
    reply = convert([upload("tga"), upload("tga")], "tga", "pdf", dpi=72)
    qpdf_approves(reply.file)
    assert page_sizes(reply.file) == [(96.0, 72.0), (96.0, 72.0)]
    # As a JPEG of high quality unless lossless is asked for.
    assert psnr(pictures(reply.file)[1], _as_png("tga").convert("RGB")) > 34


def test_a_page_keeps_transparency_as_a_mask() -> None:
    tga = convert(sample("alpha.png"), "png", "tga").file
    drawn = run("pdftocairo", "-png", "-transp", "-r", "96", "-singlefile", "-", "-",
                stdin=convert(tga, "tga", "pdf", lossless=True).file)  # fmt: skip
    alpha = Seen(drawn, "png").alpha()
    assert alpha.getpixel((80, 2)) < 20
    assert alpha.getpixel((80, 117)) > 230


def test_qoi_is_read_alike_by_two_decoders() -> None:
    made = convert(sample("photo.png"), "png", "qoi").file
    ours = imagecodecs.qoi_decode(made)
    theirs = Image.open(io.BytesIO(made))
    assert theirs.tobytes() == ours.tobytes()
    assert psnr(theirs.convert("RGB"), Seen(sample("photo.png"), "png").rgb()) == 99


def test_a_targa_image_without_alpha_is_opaque_whatever_stands_in_the_fourth_byte() -> None:
    pixels = bytes((30, 60, 90, 0)) * 12
    head = struct.pack("<BBBHHBHHHHBB", 0, 0, 2, 0, 0, 0, 0, 0, 4, 3, 32, 0x20)
    made = Image.open(io.BytesIO(convert(head + pixels, "tga", "png").file))
    assert (made.mode, made.getpixel((1, 1))) == ("RGB", (90, 60, 30))
