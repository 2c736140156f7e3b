"""Images put on PDF pages, judged by poppler: pixels without loss, sizes in points, upright."""

import io

import pikepdf
import pytest
from PIL import Image

from engine.converters.pdf.catalogue import IMAGES
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
