"""Smaller documents, and what is left of their pictures; judged by qpdf and poppler."""

import io
import re

import pikepdf
import pytest
from pikepdf import Dictionary, Name
from PIL import Image, ImageDraw

from tests.engine.calls import Reply, convert, sample
from tests.engine.judges import psnr, qpdf_approves, rendered, run


def operate(upload: bytes, **options: object) -> Reply:
    reply = convert(upload, "pdf", "pdf", operation="compress", **options)
    for file in reply.files:
        qpdf_approves(file)
    return reply


def photograph(width: int) -> Image.Image:
    with Image.open(io.BytesIO(sample("photo.png"))) as picture:
        return picture.convert("RGB").resize((width, width * 3 // 4), Image.Resampling.BICUBIC)


def page_of(*pictures: tuple[Image.Image, str], in_form: bool = False, inch: float = 2) -> bytes:
    """Each picture `inch` inches wide, below each other; coded by DCT or Flate."""
    with pikepdf.new() as document:
        page = document.add_blank_page(page_size=(inch * 72 + 20, 150 * len(pictures) + 20))
        things, content = Dictionary(), ""
        for index, (picture, code) in enumerate(pictures):
            stream = document.make_stream(coded(picture, code))
            stream.Type, stream.Subtype = Name.XObject, Name.Image
            stream.Width, stream.Height = picture.size
            stream.BitsPerComponent = 1 if picture.mode == "1" else 8
            space = {"RGB": Name.DeviceRGB, "CMYK": Name.DeviceCMYK}
            stream.ColorSpace = space.get(picture.mode, Name.DeviceGray)
            if code == "DCT":
                stream.Filter = Name.DCTDecode
            things[f"/I{index}"] = stream
            height = inch * 72 * picture.height / picture.width
            content += f"q {inch * 72} 0 0 {height} 10 {10 + 150 * index} cm /I{index} Do Q "
        resources = Dictionary(XObject=things)
        if in_form:
            form = document.make_stream(
                content.encode(), Type=Name.XObject, Subtype=Name.Form, BBox=[0, 0, 2000, 2000],
                Matrix=[0.5, 0, 0, 0.5, 0, 0], Resources=resources,
            )  # fmt: skip
            resources, content = Dictionary(XObject=Dictionary(F=form)), "2 0 0 2 0 0 cm /F Do"
        page.Resources = resources
        page.Contents = document.make_stream(content.encode())
        buffer = io.BytesIO()
        document.save(buffer)
    return buffer.getvalue()


def coded(picture: Image.Image, code: str) -> bytes:
    if code != "DCT":
        return picture.tobytes()
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


def listed(pdf: bytes) -> list[tuple[int, int, str, str, int]]:
    """Width, height, colour, coding and dots an inch of each picture, as poppler lists them."""
    rows = run("pdfimages", "-list", "-", stdin=pdf).decode().splitlines()[2:]
    fields = [re.split(" +", row.strip()) for row in rows]
    return [(int(f[3]), int(f[4]), f[5], f[8], int(f[12])) for f in fields]


@pytest.mark.parametrize(("preset", "dpi"), [("print", 300), ("ebook", 150), ("screen", 96)])
@pytest.mark.parametrize("in_form", [False, True])
def test_a_preset_brings_photographs_to_its_dots_an_inch(
    preset: str, dpi: int, in_form: bool
) -> None:
    before = page_of((photograph(1200), "DCT"), in_form=in_form)
    reply = operate(before, preset=preset)
    [(_, _, colour, coding, found)] = listed(reply.file)
    assert (colour, coding) == ("rgb", "jpeg")
    assert found == pytest.approx(dpi, abs=2)
    assert len(reply.file) < len(before) / 2
    assert psnr(rendered(before), rendered(reply.file)) > 30
    assert any("coarser" in warning for warning in reply.warnings)


def test_lossless_touches_no_pixel() -> None:
    before = page_of((photograph(600), "DCT"), (photograph(300), "Flate"))
    made = operate(before).file
    assert listed(made) == listed(before)
    assert psnr(rendered(before, dpi=150), rendered(made, dpi=150)) == 99


def test_a_photograph_that_was_packed_without_loss_becomes_a_jpeg() -> None:
    before = page_of((photograph(600), "Flate"))
    assert listed(before)[0][3] == "image"
    made = operate(before, preset="print").file
    assert listed(made)[0][3] == "jpeg"
    assert psnr(rendered(before), rendered(made)) > 35


def test_a_drawing_keeps_its_sharp_edges() -> None:
    drawing = Image.new("RGB", (800, 600), "white")
    pen = ImageDraw.Draw(drawing)
    for step in range(0, 600, 25):
        pen.line((step, 0, 0, step), fill=(200, 0, 0), width=2)
    made = operate(page_of((drawing, "Flate")), preset="ebook").file
    assert listed(made)[0][3] == "image"


def test_bitmaps_and_printing_inks_are_left_as_they_are() -> None:
    before = page_of(
        (photograph(900).convert("1"), "Flate"), (photograph(900).convert("CMYK"), "DCT")
    )
    assert listed(operate(before, preset="screen").file) == listed(before)


def test_a_picture_that_is_coarse_already_is_not_made_coarser() -> None:
    before = page_of((photograph(160), "DCT"))
    assert listed(operate(before, preset="ebook").file)[0][:2] == (160, 120)


def test_own_figures_replace_the_presets() -> None:
    before = page_of((photograph(1200), "DCT"))
    made = operate(before, preset="print", dpi=72, quality=30).file
    assert listed(made)[0][4] == pytest.approx(72, abs=2)
    with pytest.raises(Exception, match="preset"):
        operate(before, dpi=72)


def test_what_is_there_twice_is_stored_once() -> None:
    one = convert(sample("photo.jpg"), "jpeg", "pdf").file
    twice = convert([one, one], "pdf", "pdf", operation="merge").file
    made = operate(twice).file
    assert len(twice) > 1.9 * len(one)
    assert len(made) < 1.1 * len(one)
    assert [psnr(rendered(twice, page), rendered(made, page)) for page in (1, 2)] == [99, 99]


def test_pictures_of_a_see_through_kind_keep_their_masks() -> None:
    stamped = convert(
        [sample("nine.pdf"), sample("alpha.png")], "pdf", "pdf", operation="watermark",
        companions=("png",), scale=0.2, angle=0, opacity=1,
    ).file  # fmt: skip
    made = operate(stamped, preset="screen").file
    assert psnr(rendered(stamped), rendered(made)) > 30
    assert "smask" in run("pdfimages", "-list", "-", stdin=made).decode()


def test_a_broken_picture_does_no_harm() -> None:
    with pikepdf.open(io.BytesIO(page_of((photograph(900), "DCT")))) as document:
        picture = document.pages[0].Resources.XObject["/I0"]
        picture.write(picture.read_raw_bytes()[:900], filter=Name.DCTDecode)
        buffer = io.BytesIO()
        document.save(buffer)
    reply = convert(buffer.getvalue(), "pdf", "pdf", operation="compress", preset="screen")
    assert reply.error == ""
