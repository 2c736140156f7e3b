"""Images put on PDF pages, judged by poppler: pixels without loss, sizes in points, upright."""

import io

import msgspec
import pikepdf
import pytest
from PIL import Image

from engine import task
from engine.converters.pdf.catalogue_images import IMAGES
from engine.errors import OptionInvalid
from engine.job import TaskReply, TaskRequest
from engine.planning import plan
from engine.registry import FAMILIES
from tests.engine.calls import convert, sample
from tests.engine.judges import Seen, page_sizes, pictures, psnr, qpdf_approves, rendered, run

_A4 = (595.276, 841.89)


def _name(source: str) -> str:
    return "orientation-1.jpg" if source == "jpeg" else f"photo.{source}"


@pytest.mark.parametrize("source", IMAGES)
def test_every_image_format_becomes_a_page_of_its_size_with_its_pixels(source: str) -> None:
    made = convert(sample(_name(source)), source, "pdf").file
    qpdf_approves(made)
    seen = Seen(sample(_name(source)), source)
    points = [side * 0.75 for side in seen.size]  # 96 dots an inch
    assert page_sizes(made)[0] == pytest.approx(points, abs=0.1)
    assert psnr(pictures(made)[0], seen.rgb()) > (38 if source in {"jpeg", "webp", "avif"} else 60)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pages_show_the_picture_upright(orientation: int) -> None:
    made = convert(sample(f"orientation-{orientation}.jpg"), "jpeg", "pdf").file
    qpdf_approves(made)
    upright = Seen(sample("orientation-1.jpg"), "jpeg").rgb()
    seen = rendered(made, dpi=96)
    assert seen.size == upright.size
    assert psnr(seen, upright) > 28


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize(
    ("page", "expected"),
    [("portrait", _A4), ("landscape", _A4[::-1]), ("auto", _A4[::-1])],
)
def test_a_page_of_fixed_size_lies_as_asked_however_the_jpeg_is_stored(
    orientation: int, page: str, expected: tuple[float, float]
) -> None:
    made = convert(
        sample(f"orientation-{orientation}.jpg"), "jpeg", "pdf", page_size="a4", orientation=page
    ).file
    assert page_sizes(made)[0] == pytest.approx(expected, abs=0.1)


def test_margins_stay_white_and_the_picture_fits_inside() -> None:
    made = convert(sample("photo.png"), "png", "pdf", page_size="a5", margin_mm=20).file
    page = rendered(made)
    margin = int(20 / 25.4 * 72)
    assert page.getpixel((page.width // 2, margin - 4)) == (255, 255, 255)
    assert page.getpixel((margin - 4, page.height // 2)) == (255, 255, 255)
    assert page.getpixel((page.width // 2, page.height // 2)) != (255, 255, 255)


def test_shrink_does_not_enlarge_and_stretch_fills() -> None:
    for fit, filled in (("shrink", False), ("stretch", True)):
        made = convert(
            sample("photo.png"), "png", "pdf", page_size="a4", orientation="portrait", fit=fit
        ).file
        assert (rendered(made).getpixel((10, 10)) != (255, 255, 255)) is filled


def test_several_images_become_pages_in_order() -> None:
    made = convert(
        [sample("photo.png"), sample("alpha.png"), sample("grey16.png")], "png", "pdf"
    ).file
    assert page_sizes(made) == [(240, 180), (120, 90), (48, 36)]


def test_the_pages_of_a_tiff_become_pages() -> None:
    made = convert(sample("pages.tiff"), "tiff", "pdf").file
    qpdf_approves(made)
    assert page_sizes(made) == [(75, 60), (90, 60), (105, 60)]


def test_a_jpeg_goes_in_without_being_coded_again() -> None:
    made = convert(sample("orientation-1.jpg"), "jpeg", "pdf").file
    with pikepdf.open(io.BytesIO(made)) as document:
        inside = next(iter(document.pages[0].get_images().values())).read_raw_bytes()
    assert psnr(Seen(inside, "jpeg").rgb(), Seen(sample("orientation-1.jpg"), "jpeg").rgb()) == 99


@pytest.mark.parametrize(
    "name", ["photo.jpg", "orientation-5.jpg", "orientation-8.jpg", "alpha.png"]
)
def test_the_document_tells_nothing_about_camera_place_or_comment(name: str) -> None:
    made = convert(sample(name), "png" if name.endswith("png") else "jpeg", "pdf").file
    with pikepdf.open(io.BytesIO(made)) as document:
        streams = b"".join(
            one.read_raw_bytes() for one in document.objects if isinstance(one, pikepdf.Stream)
        )
    for secret in (b"Camera Works", b"must not leak", b"GPS"):
        assert secret not in streams
        assert secret not in made


def test_transparency_is_laid_over_white() -> None:
    page = rendered(convert(sample("alpha.png"), "png", "pdf").file, dpi=96)
    assert min(page.getpixel((80, 0))) > 250


def test_cmyk_looks_on_the_page_as_it_does_outside() -> None:
    page = rendered(convert(sample("cmyk.jpg"), "jpeg", "pdf").file, dpi=96)
    assert psnr(page, Seen(convert(sample("cmyk.jpg"), "jpeg", "png").file, "png").rgb()) > 18


def test_sixteen_bits_stay_sixteen() -> None:
    made = convert(sample("grey16.png"), "png", "pdf").file
    assert " 16 " in run("pdfimages", "-list", "-", stdin=made).decode()


def test_an_interlaced_png_is_coded_anew() -> None:
    interlaced = run(
        "/usr/bin/convert-im6", "png:-", "-interlace", "PNG", "png:-", stdin=sample("photo.png")
    )
    made = convert(interlaced, "png", "pdf").file
    assert psnr(pictures(made)[0], Seen(sample("photo.png"), "png").rgb()) == 99


def test_a_jpeg_that_is_cut_off_is_not_put_on_a_page() -> None:
    assert convert(sample("photo.jpg")[:6000], "jpeg", "pdf").error == "SourceUnreadable"


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_is_refused_where_a_decoder_refuses_it_and_nowhere_else(
    *, progressive: bool
) -> None:
    buffer = io.BytesIO()
    Image.open(io.BytesIO(sample("orientation-1.jpg"))).save(
        buffer, "JPEG", progressive=progressive
    )
    whole = buffer.getvalue()
    for at in range(2, len(whole) - 2, 97):
        for damaged in (
            whole[:at],
            whole[:at] + whole[-2:],
            whole[:at] + b"\xff\xda" + whole[at:],
            whole[:at] + bytes([whole[at] ^ 0x5A]) + whole[at + 1 :],
        ):
            refused = convert(damaged, "jpeg", "pdf").error
            assert refused == ("" if _is_decoded(damaged) else "SourceUnreadable")


def _is_decoded(picture: bytes) -> bool:
    try:
        Image.open(io.BytesIO(picture), formats=["JPEG"]).load()
    except (OSError, SyntaxError, ValueError, LookupError):
        return False
    return True


def test_an_animation_becomes_its_first_frame_and_says_so() -> None:
    reply = convert(sample("animation.gif"), "gif", "pdf")
    assert page_sizes(reply.file) == [(48, 36)]
    assert any("first frame" in warning for warning in reply.warnings)


def test_resolution_decides_the_size_of_the_page() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (300, 150), "teal").save(buffer, "PNG", dpi=(300, 300))
    assert page_sizes(convert(buffer.getvalue(), "png", "pdf").file)[0] == pytest.approx(
        (72, 36), abs=0.1
    )


def _segment(marker: int, content: bytes) -> bytes:
    return bytes([0xFF, marker]) + (len(content) + 2).to_bytes(2) + content


def test_what_lies_behind_a_jpeg_stays_behind() -> None:
    # A camera's second picture, as in an MPO: an index in APP2, then a picture with its own EXIF.
    first, second = sample("grey.jpg"), sample("orientation-1.jpg")
    index = b"MPF\0MM\0*\0\0\0\x08\0\0\0\0\0\0"
    made = convert(first[:2] + _segment(0xE2, index) + first[2:] + second, "jpeg", "pdf").file
    assert len(pictures(made)) == 1
    with pikepdf.open(io.BytesIO(made)) as document:
        inside = next(iter(document.pages[0].get_images().values())).read_raw_bytes()
    assert len(inside) <= len(first)
    assert b"MPF" not in inside
    assert psnr(Seen(inside, "jpeg").rgb(), Seen(first, "jpeg").rgb()) == 99


def test_a_jpeg_whose_segments_are_a_muddle_is_put_on_a_page_without_any() -> None:
    whole = sample("orientation-1.jpg")
    short = b"\xff\xed\x00\x10Photoshop 3.0\0"  # two bytes fewer than there are
    made = convert(whole[:2] + short + b"\x04\x06" + whole[2:], "jpeg", "pdf").file
    assert psnr(pictures(made)[0], Seen(whole, "jpeg").rgb()) > 38


def test_a_damaged_colour_profile_is_left_out_and_said() -> None:
    whole = sample("grey.jpg")
    profile = _segment(0xE2, b"ICC_PROFILE\0\x01\x01no profile")
    reply = convert(whole[:2] + profile + whole[2:], "jpeg", "pdf")
    assert any("colour profile is damaged" in warning for warning in reply.warnings)
    assert psnr(pictures(reply.file)[0], Seen(whole, "jpeg").rgb()) > 38


@pytest.mark.parametrize("side", [1, 3, 20_000])
def test_an_image_that_no_page_can_have_the_size_of_is_refused_with_a_way_out(side: int) -> None:
    buffer = io.BytesIO()
    Image.new("L", (side, 3)).save(buffer, "PNG")
    reply = convert(buffer.getvalue(), "png", "pdf")
    assert (reply.error, "page_size" in reply.detail) == ("TargetImpossible", True)
    assert not convert(buffer.getvalue(), "png", "pdf", page_size="a4").error


def test_images_of_several_formats_become_pages_of_one_document() -> None:
    buffers = {name: io.BytesIO() for name in ("TGA", "PPM", "JPEG2000", "PCX")}
    for name, buffer in buffers.items():
        Image.open(io.BytesIO(sample("photo.png"))).save(buffer, name)
    others = [buffer.getvalue() for buffer in buffers.values()]
    uploads = [sample("photo.png"), sample("orientation-1.jpg"), sample("photo.webp"), *others]
    job = plan("auto", "pdf", {}, uploads)
    assert job.sources[:3] == ("png", "jpeg", "webp")
    bounds = next(family.bounds for family in FAMILIES if family.name == job.family)
    options = msgspec.to_builtins(job.options)
    request = TaskRequest(job.converter, job.sources, job.target, options, bounds)
    header, files = task.handle(msgspec.msgpack.encode(request), list(job.inputs))
    assert msgspec.msgpack.decode(header, type=TaskReply).error == ""
    made = bytes(files[0])
    qpdf_approves(made)
    seen = pictures(made)
    assert len(seen) == 7
    photo = Seen(sample("photo.png"), "png").rgb()
    assert [psnr(one, photo) > 50 for one in (seen[0], seen[3], seen[4], seen[6])] == [True] * 4
    assert psnr(seen[5], photo) > 30


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ({"page_size": "custom", "page_width_mm": 100, "page_height_mm": 80}, (283.46, 226.77)),
        ({"page_size": "tabloid", "orientation": "landscape"}, (1224, 792)),
        ({"page_size": "a6", "orientation": "portrait"}, (297.64, 419.53)),
        ({"dpi": 240}, (96, 72)),
    ],
)
def test_pages_have_the_size_that_was_asked_for(
    options: dict[str, object], size: tuple[float, float]
) -> None:
    made = convert(sample("photo.png"), "png", "pdf", **options).file
    assert page_sizes(made)[0] == pytest.approx(size, abs=0.1)


def test_margins_may_differ_and_cover_leaves_none() -> None:
    options = {"page_size": "a5", "orientation": "portrait"}
    across = {"margin_x_mm": 30, "margin_y_mm": 0, "fit": "stretch"}
    page = rendered(convert(sample("photo.png"), "png", "pdf", **options, **across).file)
    assert page.getpixel((60, page.height // 2)) == (255, 255, 255)
    assert page.getpixel((page.width // 2, 4)) != (255, 255, 255)
    covered = rendered(convert(sample("photo.png"), "png", "pdf", **options, fit="cover").file)
    corners = [(2, 2), (covered.width - 3, covered.height - 3)]
    assert all(covered.getpixel(corner) != (255, 255, 255) for corner in corners)


def test_a_custom_page_needs_both_sides() -> None:
    for options in ({"page_size": "custom", "page_width_mm": 80}, {"page_width_mm": 80}):
        with pytest.raises(OptionInvalid, match="custom"):
            convert(sample("photo.png"), "png", "pdf", **options)
