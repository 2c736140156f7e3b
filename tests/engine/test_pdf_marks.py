"""What is laid over pages: watermarks, numbers, other documents; judged by qpdf and poppler."""

import io

import pikepdf
import pytest
from PIL import Image, ImageChops

from tests.engine.calls import Reply, convert, sample
from tests.engine.judges import page_sizes, psnr, qpdf_approves, rendered, run, words


def operate(
    operation: str, uploads: bytes | list[bytes], *companions: str, **options: object
) -> Reply:
    reply = convert(uploads, "pdf", "pdf", operation=operation, companions=companions, **options)
    for file in reply.files:
        qpdf_approves(file)
    return reply


def quarter(pdf: bytes, turns: int) -> bytes:
    return operate("rotate", pdf, angle=90 * turns).file if turns else pdf


def blank(width: float = 200, height: float = 300, **entries: object) -> bytes:
    with pikepdf.new() as document:
        page = document.add_blank_page(page_size=(width, height))
        for name, value in entries.items():
            page.obj[f"/{name}"] = value
        buffer = io.BytesIO()
        document.save(buffer)
    return buffer.getvalue()


def added(before: bytes, after: bytes, page: int = 1) -> tuple[int, int, int, int]:
    """The box in which the two differ: left, top, right, bottom in points as seen."""
    box = ImageChops.difference(rendered(before, page), rendered(after, page)).getbbox()
    assert box is not None
    return box


def pages(pdf: bytes) -> list[list[str]]:
    return [page.split() for page in words(pdf).split("\f")[:-1]]


def test_a_text_is_written_over_the_named_pages_and_can_be_searched() -> None:
    made = operate("watermark", sample("nine.pdf"), text="TOP SECRET", angle=0, pages="2-3").file
    marked = [index for index, found in enumerate(pages(made), 1) if "SECRET" in found]
    assert marked == [2, 3]
    fonts = run("pdffonts", "-", stdin=made).decode()
    assert "EPHMRA+LiberationSans-Bold" in fonts
    assert "yes yes yes" in fonts


def test_letters_beyond_latin_are_known() -> None:
    text = "Ärger Ελλάδα Привет Łódź €"
    made = operate("watermark", blank(600), text=text, angle=0, font="serif").file
    assert words(made).split() == text.split()


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize(
    ("position", "where"),
    [("top-right", (False, True)), ("bottom-left", (True, False))],
)
def test_a_watermark_stands_where_it_is_seen_to_stand(
    position: str, where: tuple[bool, bool], turns: int
) -> None:
    before = quarter(sample("nine.pdf"), turns)
    made = operate(
        "watermark", before, text="I", angle=0, font_size=20, position=position, margin_mm=5,
        opacity=1, colour="ff0000",
    ).file  # fmt: skip
    left, top, right, bottom = added(before, made)
    width, height = rendered(before).size
    assert (right < width / 2, bottom < height / 2) == where
    assert min(left, top, width - right, height - bottom) >= 13
    assert bottom - top > right - left  # upright


def test_a_watermark_is_as_wide_and_as_faint_as_asked() -> None:
    made = operate(
        "watermark", blank(), text="MMMMMM", angle=0, scale=0.5, opacity=0.5, colour="black"
    ).file
    left, _, right, _ = added(blank(), made)
    assert right - left == pytest.approx(100, abs=6)
    darkest = rendered(made).convert("L").getextrema()[0]
    assert darkest == pytest.approx(128, abs=6)


def test_opacity_counts_once_where_lines_overlap_and_angle_turns_counter_clockwise() -> None:
    made = operate("watermark", blank(), text="LLLL", angle=90, scale=0.1, opacity=1).file
    left, top, right, bottom = added(blank(), made)
    assert bottom - top > 2 * (right - left)


def test_under_means_that_the_page_hides_it() -> None:
    scan = convert(sample("grey.jpg"), "jpeg", "pdf").file
    made = operate("watermark", scan, text="hidden", angle=0, layer="under").file
    assert psnr(rendered(scan), rendered(made)) == 99
    assert "hidden" in words(made)


def test_a_tiled_watermark_covers_the_whole_page() -> None:
    made = operate("watermark", blank(), text="copy", position="tiled", scale=0.2).file
    look = rendered(made).convert("L")
    corners = [(0, 0, 100, 100), (100, 0, 200, 100), (0, 200, 100, 300), (100, 200, 200, 300)]
    assert all(look.crop(corner).getextrema()[0] < 255 for corner in corners)


@pytest.mark.parametrize(("name", "kind"), [("photo.png", "png"), ("alpha.png", "png"),
    ("photo.webp", "webp"), ("cmyk.jpg", "jpeg"), ("grey16.png", "png"), ("bitmap.png", "png"),
    ("palette-alpha.png", "png"), ("grey.jpg", "jpeg"), ("orientation-6.jpg", "jpeg")])  # fmt: skip
def test_a_picture_is_stamped_as_it_looks(name: str, kind: str) -> None:
    made = operate(
        "watermark", [blank(400, 400), sample(name)], kind, scale=0.5, angle=0, opacity=1
    ).file
    plain = convert(sample(name), kind, "webp", lossless=True, width=200, enlarge=True).file
    expected = Image.open(io.BytesIO(plain)).convert("RGBA")
    paper = Image.new("RGBA", expected.size, "white")
    paper.alpha_composite(expected)
    look = rendered(made)
    left, top = (400 - expected.width) // 2, (400 - expected.height) // 2
    found = look.crop((left, top, left + expected.width, top + expected.height))
    assert psnr(paper.convert("RGB").reduce(4), found.reduce(4)) > 22


def test_a_watermark_is_either_a_text_or_a_picture() -> None:
    assert operate("watermark", sample("nine.pdf")).error == "OptionInvalid"
    both = operate("watermark", [sample("nine.pdf"), sample("photo.png")], "png", text="x")
    assert both.error == "OptionInvalid"


@pytest.mark.parametrize("text", ["שלום", "中文"])
def test_letters_that_cannot_be_set_are_refused_not_dropped(text: str) -> None:
    assert operate("watermark", sample("nine.pdf"), text=text).error == "TargetImpossible"


def test_a_damaged_picture_is_refused() -> None:
    cut = sample("photo.png")[:2000]
    assert operate("watermark", [sample("nine.pdf"), cut], "png").error == "SourceUnreadable"


def test_pages_that_share_resources_keep_their_own_marks() -> None:
    with pikepdf.open(io.BytesIO(sample("nine.pdf"))) as document:
        for page in document.pages:
            page.obj.Resources = document.pages[0].obj.Resources
        buffer = io.BytesIO()
        document.save(buffer)
    made = operate("number", buffer.getvalue(), text="n{page}").file
    assert [found[-1] for found in pages(made)] == [f"n{index}" for index in range(1, 10)]


def test_pages_are_numbered_from_where_it_is_said() -> None:
    made = operate("number", sample("nine.pdf"), text="{page} of {pages}", pages="3-5", start=7)
    assert [" ".join(found[2:]) for found in pages(made.file)][1:6] == [
        "",
        "7 of 9",
        "8 of 9",
        "9 of 9",
        "",
    ]


def test_numbers_change_sides_on_even_pages_of_a_book() -> None:
    before = sample("nine.pdf")
    made = operate("number", before, position="bottom-right", mirrored=True).file
    assert added(before, made, 1)[0] > 100
    assert added(before, made, 2)[2] < 100


def test_numbers_stand_upright_on_turned_pages() -> None:
    before = quarter(sample("nine.pdf"), 3)
    made = operate("number", before, text="WWWW").file
    left, top, right, bottom = added(before, made)
    assert right - left > bottom - top
    assert top > rendered(before).height / 2


def test_bates_numbers_have_zeros_and_go_on_over_all_pages() -> None:
    made = operate("bates", sample("nine.pdf"), prefix="ACME-", suffix="-X", start=9998, digits=4)
    assert [found[-1] for found in pages(made.file)][:4] == [
        "ACME-9998-X",
        "ACME-9999-X",
        "ACME-10000-X",
        "ACME-10001-X",
    ]


@pytest.mark.parametrize(("turns", "other"), [(0, 1), (1, 2), (2, 3), (3, 3)])
def test_a_document_is_laid_over_upright_however_both_lie(turns: int, other: int) -> None:
    under, over = quarter(sample("nine.pdf"), turns), quarter(sample("nine.pdf"), other)
    made = operate("overlay", [under, over], "pdf", fit="none").file
    both = ImageChops.darker(rendered(under), _pasted(rendered(over), rendered(under).size))
    assert psnr(both.reduce(2), rendered(made).reduce(2)) > 25


def _pasted(look: Image.Image, size: tuple[int, int]) -> Image.Image:
    """At the lower left, as far as it fits."""
    paper = Image.new("RGB", size, "white")
    paper.paste(look, (0, size[1] - look.height))
    return paper


@pytest.mark.parametrize(
    ("repeat", "expected"),
    [
        ("none", ["alpha", "bravo", "charlie", None]),
        ("last", ["alpha", "bravo", "charlie", "charlie"]),
        ("all", ["alpha", "bravo", "charlie", "alpha"]),
    ],
)
def test_a_shorter_document_ends_goes_on_or_begins_again(
    repeat: str, expected: list[str | None]
) -> None:
    made = operate("overlay", [sample("nine.pdf"), sample("form.pdf")], "pdf", repeat=repeat).file
    found = [set(page) & {"alpha", "bravo", "charlie"} for page in pages(made)]
    four = [next(iter(sorted(one - {"delta"}))) if one else None for one in found[3:4]]
    assert four == expected[3:]
    assert all("three" in page for page in pages(made)[:3])


def test_an_overlay_brings_what_was_filled_in_and_stretches_if_told() -> None:
    made = operate("overlay", [blank(400, 300), sample("form.pdf")], "pdf", fit="stretch").file
    assert "filled in" in words(made)
    assert page_sizes(made) == [(400, 300)]


@pytest.mark.parametrize("operation", ["watermark", "number", "bates", "overlay"])
def test_encrypted_documents_and_pages_that_are_not_there(operation: str) -> None:
    more = {"text": "x"} if operation == "watermark" else {}

    def tried(name: str, **options: object) -> Reply:
        if operation == "overlay":
            return operate(operation, [sample(name), sample("nine.pdf")], "pdf", **options)
        return operate(operation, sample(name), **more, **options)

    assert tried("encrypted.pdf").error == "PasswordRequired"
    opened = tried("encrypted.pdf", password="open sesame")  # the sample's
    assert opened.warnings == ("the result is not encrypted; the source was",)
    assert tried("nine.pdf", pages="10").error == "TargetImpossible"
