"""Pages drawn as pictures: compared with poppler's drawing, in every format, size and box."""

import io

import pikepdf
import pytest
from PIL import Image

from engine.converters.pdf.content.catalogue import DRAWN
from engine.job import Bounds
from tests.engine.calls import convert, sample
from tests.engine.judges import Seen, frames, psnr, qpdf_approves, rendered, run

_KEY = {"password": "open sesame"}
_SEEN_AS = {"bmp": "BMP3", "webp": "WEBP", "tiff": "TIFF"}


def _page(contents: bytes, **more: object) -> bytes:
    """A page of 200 x 100 points with the given content and entries."""
    with pikepdf.new() as document:
        page = document.add_blank_page(page_size=(200, 100))
        page.Contents = document.make_stream(contents)
        for key, value in more.items():
            page[f"/{key}"] = value
        buffer = io.BytesIO()
        document.save(buffer)
    qpdf_approves(buffer.getvalue())
    return buffer.getvalue()


_RED_LEFT = b"1 0 0 rg 0 0 100 100 re f"


@pytest.mark.parametrize("target", DRAWN)
def test_a_page_becomes_a_picture_in_every_format_as_poppler_draws_it(target: str) -> None:
    drawing = convert(sample("orientation-1.jpg"), "jpeg", "pdf").file
    seen = Seen(convert(drawing, "pdf", target, dpi=96).file, target)
    assert seen.kind == _SEEN_AS.get(target, target.upper())
    assert seen.size == (160, 120)
    assert psnr(seen.rgb(), rendered(drawing, dpi=96)) > (24 if target == "gif" else 28)


def test_text_is_drawn_where_poppler_draws_it() -> None:
    drawn = convert(sample("nine.pdf"), "pdf", "png", pages="3", colour="grey").file
    ours = Image.open(io.BytesIO(drawn)).convert("L")
    theirs = rendered(sample("nine.pdf"), page=3, dpi=150).convert("L")
    boxes = [one.point(lambda value: 255 * (value < 128)).getbbox() for one in (ours, theirs)]
    assert boxes[0] == pytest.approx(boxes[1], abs=3)


def test_every_page_is_a_file_and_the_chosen_ones_come_in_order() -> None:
    assert len(convert(sample("nine.pdf"), "pdf", "png", dpi=20).files) == 9
    wanted = convert(sample("nine.pdf"), "pdf", "png", pages="9,1", dpi=50).files
    alone = [convert(sample("nine.pdf"), "pdf", "png", pages=n, dpi=50).file for n in ("9", "1")]
    assert wanted == alone


def test_a_tiff_holds_all_pages_unless_told_otherwise() -> None:
    together = convert(sample("nine.pdf"), "pdf", "tiff", dpi=30).file
    assert len(frames(together, "tiff")) == 9
    apart = convert(sample("nine.pdf"), "pdf", "tiff", dpi=30, multipage=False).files
    assert [len(frames(one, "tiff")) for one in apart] == [1] * 9


def test_a_black_and_white_tiff_is_coded_as_a_fax() -> None:
    made = convert(sample("nine.pdf"), "pdf", "tiff", colour="mono", pages="1-2").file
    assert run("identify", "-format", "%C %z ", "tiff:-", stdin=made).split() == [
        b"Group4", b"1", b"Group4", b"1"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ({"dpi": 72}, (200, 100)),
        ({"dpi": 300}, (834, 417)),
        ({"width": 333}, (333, 167)),
        ({"height": 333}, (666, 333)),
        ({"width": 90, "height": 90}, (90, 45)),
        ({"dpi": 72, "angle": 90}, (100, 200)),
        ({"width": 90, "angle": 270}, (90, 180)),
    ],
)
def test_size_follows_dots_an_inch_or_pixels(
    options: dict[str, int], size: tuple[int, int]
) -> None:
    assert Seen(convert(_page(_RED_LEFT), "pdf", "png", **options).file, "png").size == size


def test_a_page_that_counts_in_other_units_has_its_true_size() -> None:
    made = convert(_page(_RED_LEFT, UserUnit=2), "pdf", "png", dpi=72).file
    assert Seen(made, "png").size == (400, 200)


def test_the_dots_an_inch_are_written_into_the_file() -> None:
    for target in ("png", "jpeg", "tiff"):
        made = convert(sample("nine.pdf"), "pdf", target, pages="1", dpi=200).file
        stated = Image.open(io.BytesIO(made)).info["dpi"]
        assert stated == pytest.approx((200, 200), abs=0.1)


def test_paper_is_white_or_as_asked_or_can_be_seen_through() -> None:
    page = _page(b"1 0 0 rg 0 0 100 100 re f")
    right = (180, 50)
    plain = Image.open(io.BytesIO(convert(page, "pdf", "png", dpi=72).file))
    assert plain.getpixel(right) == (255, 255, 255)
    beige = convert(page, "pdf", "jpeg", dpi=72, background="f5f5dc", quality=100).file
    assert Image.open(io.BytesIO(beige)).getpixel(right) == pytest.approx((245, 245, 220), abs=2)
    for target in ("png", "webp", "avif", "gif", "tiff"):
        made = convert(page, "pdf", target, dpi=72, background="transparent").file
        alpha = Image.open(io.BytesIO(made)).convert("RGBA").getchannel("A")
        assert (alpha.getpixel((20, 50)), alpha.getpixel(right)) == (255, 0), target


def test_grey_and_mono_have_no_colour() -> None:
    page = _page(_RED_LEFT)
    grey = Image.open(io.BytesIO(convert(page, "pdf", "png", colour="grey").file))
    mono = Image.open(io.BytesIO(convert(page, "pdf", "png", colour="mono").file))
    assert (grey.mode, mono.mode) == ("L", "1")
    assert grey.getpixel((10, 10)) == pytest.approx(76, abs=2)


def test_the_box_that_was_asked_for_is_drawn() -> None:
    page = _page(_RED_LEFT, CropBox=[0, 0, 150, 100], TrimBox=[50, 0, 150, 50])
    sizes = {
        box: Seen(convert(page, "pdf", "png", dpi=72, box=box).file, "png").size
        for box in ("crop", "media", "trim", "bleed", "art")
    }
    assert sizes == {
        "crop": (150, 100),
        "media": (200, 100),
        "trim": (100, 50),
        "bleed": (150, 100),
        "art": (150, 100),
    }


def test_form_fields_and_comments_are_drawn_unless_told_otherwise() -> None:
    note = pikepdf.Dictionary(
        Type=pikepdf.Name.Annot,
        Subtype=pikepdf.Name.Square,
        Rect=[10, 10, 90, 90],
        C=[0, 0, 1],
        IC=[0, 0, 1],
        F=4,
    )
    page = _page(b"", Annots=pikepdf.Array([note]))
    darkest = {
        shown: min(
            Image.open(io.BytesIO(convert(page, "pdf", "png", dpi=72, annotations=shown).file))
            .convert("L")
            .tobytes()
        )
        for shown in (True, False)
    }
    assert (darkest[True] < 60, darkest[False]) == (True, 255)
    form = convert(sample("form.pdf"), "pdf", "png", pages="1").file
    bare = convert(sample("form.pdf"), "pdf", "png", pages="1", annotations=False).file
    assert form != bare


def test_a_font_that_is_not_in_the_document_is_replaced_and_said() -> None:
    def page(name: str) -> bytes:
        font = pikepdf.Dictionary(
            Type=pikepdf.Name.Font, Subtype=pikepdf.Name.TrueType, BaseFont=pikepdf.Name(name)
        )
        resources = pikepdf.Dictionary(Font=pikepdf.Dictionary(F1=font))
        return _page(b"BT /F1 30 Tf 20 40 Td (Harbour) Tj ET", Resources=resources)

    standard = convert(page("/Helvetica"), "pdf", "png")
    other = convert(page("/Calibri"), "pdf", "png")
    assert standard.warnings == ()
    assert other.warnings == ("one font is not in the document and drawn with a similar one",)
    assert min(Image.open(io.BytesIO(other.file)).convert("L").tobytes()) < 50


def test_an_encrypted_document_is_drawn_with_its_password_only() -> None:
    assert convert(sample("encrypted.pdf"), "pdf", "png").error == "PasswordRequired"
    opened = convert(sample("encrypted.pdf"), "pdf", "png", dpi=40, **_KEY)
    assert len(opened.files) == 2


def test_pixels_are_counted_before_anything_is_drawn() -> None:
    reply = convert(sample("nine.pdf"), "pdf", "png", dpi=1200, bounds=Bounds(pixels_max=1_000_000))
    assert (reply.error, "pixels" in reply.detail) == ("SourceTooComplex", True)


def test_a_picture_of_more_pixels_than_the_bound_is_not_unpacked() -> None:
    bomb = pikepdf.Dictionary(
        Type=pikepdf.Name.XObject,
        Subtype=pikepdf.Name.Image,
        Width=60_000,
        Height=60_000,
        BitsPerComponent=1,
        ColorSpace=pikepdf.Name.DeviceGray,
    )
    with pikepdf.new() as document:
        page = document.add_blank_page()
        picture = document.make_stream(b"\0" * 100, bomb)
        page.Resources = pikepdf.Dictionary(XObject=pikepdf.Dictionary(I=picture))
        page.Contents = document.make_stream(b"/I Do")
        buffer = io.BytesIO()
        document.save(buffer)
    assert convert(buffer.getvalue(), "pdf", "png").error == "SourceTooComplex"


@pytest.mark.parametrize(
    ("target", "options", "word"),
    [
        ("png", {"quality": 50}, "quality"),
        ("jpeg", {"lossless": True}, "lossless"),
        ("jpeg", {"background": "transparent"}, "background"),
        ("png", {"background": "transparent", "colour": "mono"}, "background"),
    ],
)
def test_what_the_target_cannot_do_is_refused(
    target: str, options: dict[str, object], word: str
) -> None:
    with pytest.raises(Exception, match=f"^{word}: "):
        convert(sample("nine.pdf"), "pdf", target, **options)
