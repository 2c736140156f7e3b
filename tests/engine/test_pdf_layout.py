"""How pages lie after crop, resize, n-up and booklet; blank pages; judged by qpdf and poppler."""

import io

import pikepdf
import pytest
from PIL import Image, ImageChops

from tests.engine.calls import Reply, convert, sample
from tests.engine.judges import page_sizes, psnr, qpdf_approves, rendered, words

A4 = (595.276, 841.89)
NINE = "alpha bravo charlie delta echo foxtrot golf hotel india".split()  # noqa: SIM905  # reads best as words


def operate(operation: str, upload: bytes, **options: object) -> Reply:
    reply = convert(upload, "pdf", "pdf", operation=operation, **options)
    for file in reply.files:
        qpdf_approves(file)
    return reply


def changed(upload: bytes, **entries: object) -> bytes:
    """The document with these entries in its first page."""
    with pikepdf.open(io.BytesIO(upload)) as document:
        for name, value in entries.items():
            document.pages[0].obj[f"/{name}"] = value
        buffer = io.BytesIO()
        document.save(buffer)
    return buffer.getvalue()


def ink(pdf: bytes, page: int = 1) -> tuple[int, int, int, int]:
    """The box of what is drawn: left, top, right, bottom in points from the seen top left."""
    box = ImageChops.invert(rendered(pdf, page).convert("L")).getbbox()
    assert box is not None
    return box


def quarter(pdf: bytes, turns: int) -> bytes:
    return operate("rotate", pdf, angle=90 * turns).file if turns else pdf


@pytest.mark.parametrize("turns", range(4))
def test_crop_cuts_sides_as_they_are_seen_however_the_page_lies(turns: int) -> None:
    before = quarter(sample("nine.pdf"), turns)
    made = operate("crop", before, left_mm=3.5278, top_mm=7.0556).file
    left, top, right, bottom = ink(before)
    assert ink(made) == pytest.approx((left - 10, top - 20, right - 10, bottom - 20), abs=1)
    width, height = page_sizes(before)[0]
    assert page_sizes(made)[0] == pytest.approx((width - 10, height - 20), abs=0.01)


def test_crop_to_a_box_and_says_that_the_rest_is_only_hidden() -> None:
    reply = operate(
        "crop", sample("nine.pdf"), mode="box", top_mm=10, width_mm=50, height_mm=20, pages="2"
    )
    assert page_sizes(reply.file)[:2] == [(200, 300), (141.732, 56.6929)]
    assert "hidden, not removed" in reply.warnings[0]


@pytest.mark.parametrize("turns", range(4))
def test_automatic_crop_keeps_what_is_drawn(turns: int) -> None:
    before = quarter(sample("nine.pdf"), turns)
    box = ink(before)
    made = operate("crop", before, mode="auto", padding_mm=0).file
    width, height = page_sizes(made)[0]
    assert (width, height) == pytest.approx((box[2] - box[0], box[3] - box[1]), abs=2)


def test_automatic_crop_can_find_one_box_for_all_pages() -> None:
    sizes = page_sizes(operate("crop", sample("nine.pdf"), mode="auto", uniform=True).file)
    assert len(set(sizes)) == 1


def test_cropping_everything_away_is_impossible() -> None:
    reply = operate("crop", sample("nine.pdf"), left_mm=50, right_mm=50)
    assert (reply.error, "page 1" in reply.detail) == ("TargetImpossible", True)


def test_a_box_outside_the_page_is_impossible() -> None:
    reply = operate("crop", sample("nine.pdf"), mode="box", left_mm=90, width_mm=5, height_mm=5)
    assert reply.error == "TargetImpossible"


@pytest.mark.parametrize("turns", range(4))
def test_resize_draws_the_same_page_larger_or_smaller(turns: int) -> None:
    before = quarter(sample("form.pdf"), turns)
    made = operate("resize", before, page_size="scale", percent=50).file
    small = rendered(before, dpi=72).resize(rendered(made, dpi=72).size, Image.Resampling.BOX)
    assert psnr(small, rendered(made, dpi=72)) > 25


def test_resize_to_a_paper_size_lies_as_the_page_does() -> None:
    wide = quarter(sample("nine.pdf"), 1)
    assert page_sizes(operate("resize", sample("nine.pdf")).file)[0] == A4
    assert page_sizes(operate("resize", wide, page_size="a4").file)[0] == A4[::-1]
    made = operate("resize", wide, orientation="portrait").file
    assert page_sizes(made)[0] == A4


def test_resize_never_enlarges_when_told_to_shrink() -> None:
    made = operate("resize", sample("nine.pdf"), fit="shrink").file
    box, old = ink(made), ink(sample("nine.pdf"))
    assert box[2] - box[0] == pytest.approx(old[2] - old[0], abs=2)


def test_resize_moves_fields_with_their_page() -> None:
    made = operate("resize", sample("form.pdf"), page_size="custom", width_mm=141.111,
                   height_mm=211.667).file  # fmt: skip
    with pikepdf.open(io.BytesIO(made)) as document:
        rect = [float(side) for side in document.pages[0].Annots[0].Rect]
    assert rect == pytest.approx([40, 40, 240, 80], abs=0.01)


def test_what_a_crop_hid_stays_hidden_after_resizing() -> None:
    cropped = operate("crop", sample("nine.pdf"), top_mm=40).file
    made = operate("resize", cropped, page_size="a4", margin_mm=60).file
    assert ImageChops.invert(rendered(made).convert("L")).getbbox() is None


def test_a_page_with_larger_units_is_as_large_as_it_is_seen() -> None:
    large = changed(sample("nine.pdf"), UserUnit=2)
    made = operate("resize", large, page_size="scale", percent=100, pages="1").file
    assert page_sizes(made)[0] == (400, 600)
    assert ink(made)[3] == pytest.approx(2 * ink(sample("nine.pdf"))[3], abs=2)


@pytest.mark.parametrize(
    ("count", "sheets"), [(2, 5), (3, 3), (4, 3), (6, 2), (8, 2), (9, 1), (12, 1), (16, 1)]
)
def test_nup_puts_pages_on_sheets_in_reading_order(count: int, sheets: int) -> None:
    made = operate("nup", sample("nine.pdf"), per_sheet=count, page_size="a3").file
    assert len(page_sizes(made)) == sheets
    assert words(made).split()[::2] == NINE


def test_nup_draws_pages_upright_and_framed() -> None:
    turned = quarter(sample("nine.pdf"), 1)
    made = operate("nup", turned, per_sheet=4, frame=True, margin_mm=0, gap_mm=0).file
    sheet = rendered(made)
    cell = sheet.crop((1, 1, sheet.width // 2 - 1, sheet.height // 2 - 1))
    page = rendered(turned)
    scale = min(cell.width / page.width, cell.height / page.height)
    drawn = page.resize((round(page.width * scale), round(page.height * scale)))
    place = ((cell.width - drawn.width) // 2, (cell.height - drawn.height) // 2)
    expected = Image.new("RGB", cell.size, "white")
    expected.paste(drawn, place)
    assert psnr(expected.reduce(4), cell.reduce(4)) > 20


def test_nup_keeps_what_was_filled_into_fields() -> None:
    made = operate("nup", sample("form.pdf"), per_sheet=2)
    assert "filled in" in words(made.file)
    assert "form fields end" in made.warnings[0]


def test_a_booklet_is_ordered_for_folding() -> None:
    made = operate("booklet", sample("nine.pdf")).file
    sides = [page.split()[::2] for page in words(made, "-layout").split("\f")[:-1]]
    assert sides == [
        ["alpha"],
        ["bravo"],
        ["charlie"],
        ["delta", "india"],
        ["hotel", "echo"],
        ["foxtrot", "golf"],
    ]
    assert rendered(made).width > rendered(made).height
    assert ink(made)[0] > rendered(made).width // 2


def test_blank_pages_are_left_out_and_named() -> None:
    with pikepdf.open(io.BytesIO(sample("nine.pdf"))) as document:
        document.add_blank_page(page_size=(200, 300))
        document.pages.insert(2, document.pages[-1])
        buffer = io.BytesIO()
        document.save(buffer)
    reply = operate("remove_blank", buffer.getvalue())
    assert reply.warnings == ("blank pages left out: 3, 11",)
    assert words(reply.file).split()[::2] == NINE


def test_a_document_of_blank_pages_only_is_refused() -> None:
    with pikepdf.new() as document:
        document.add_blank_page()
        buffer = io.BytesIO()
        document.save(buffer)
    assert operate("remove_blank", buffer.getvalue()).error == "TargetImpossible"


@pytest.mark.parametrize("operation", ["crop", "resize", "nup", "booklet", "remove_blank"])
def test_an_encrypted_document_asks_for_its_password_and_a_wrong_page_is_impossible(
    operation: str,
) -> None:
    assert operate(operation, sample("encrypted.pdf")).error == "PasswordRequired"
    opened = operate(operation, sample("encrypted.pdf"), password="open sesame")  # the sample's
    assert any("not encrypted" in warning for warning in opened.warnings)
    assert operate(operation, sample("nine.pdf"), pages="10").error == "TargetImpossible"
