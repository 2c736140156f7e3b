"""Recognised text, judged against the documents that the pictures were drawn from, by poppler."""

import io
import json
import math
import re
from functools import cache

import pikepdf
import pytest
from PIL import Image

from engine.job import Bounds
from engine.registry import FAMILIES
from tests.engine.calls import convert, sample
from tests.engine.judges import page_sizes, psnr, qpdf_approves, rendered, run, words

pytestmark = pytest.mark.skipif(
    all(family.name != "ocr" for family in FAMILIES), reason="tesseract is not installed"
)

_TEXT = """The harbour handled more containers than in any year before. Ships wait
less now, cranes lift more, and the railway carries one container in three.
Two quays were made longer; a third follows in spring. Depth is kept by
dredging in May and October, at night, so that no ship has to wait for it.
Fees rose by 2 percent, to 418 a call, and the port pays for shore power.""".split()  # noqa: SIM905  # reads best as prose
_BOX = re.compile(r'<word xMin="([\d.]+)" yMin="([\d.]+)" xMax="([\d.]+)" yMax="([\d.]+)">([^<]+)<')


@pytest.fixture(scope="module", autouse=True)
def _recognisers() -> None:
    """What the zygote does once."""
    from engine.converters import typefaces  # noqa: PLC0415  # only where tesseract is installed
    from engine.converters.ocr import reader  # noqa: PLC0415  # the same

    typefaces.install()
    reader.load()


@cache
def _printed(turn: int = 0) -> bytes:
    """A digital page of 400 x 200 points with the text, turned if asked."""
    rows = [" ".join(_TEXT[at : at + 9]) for at in range(0, len(_TEXT), 9)]
    shown = "T* ".join(f"({row}) Tj " for row in rows)
    with pikepdf.new() as document:
        page = document.add_blank_page(page_size=(400, 200))
        font = pikepdf.Dictionary(
            Type=pikepdf.Name.Font,
            Subtype=pikepdf.Name.Type1,
            BaseFont=pikepdf.Name("/Times-Roman"),
        )
        page.Resources = pikepdf.Dictionary(Font=pikepdf.Dictionary(F1=font))
        page.Contents = document.make_stream(f"BT /F1 11 Tf 14 TL 25 160 Td {shown} ET".encode())
        if turn:
            page.rotate(turn, relative=False)
        buffer = io.BytesIO()
        document.save(buffer)
    return buffer.getvalue()


@cache
def _scan(dpi: int = 200) -> bytes:
    """The same page as a picture, drawn by poppler."""
    buffer = io.BytesIO()
    rendered(_printed(), dpi=dpi).save(buffer, "PNG", dpi=(dpi, dpi))
    return buffer.getvalue()


def _boxes(pdf: bytes) -> list[tuple[str, tuple[float, ...]]]:
    """Words and where poppler finds them, in points from the top left of the page as it is seen."""
    told = run("pdftotext", "-cropbox", "-bbox", "-", "-", stdin=pdf).decode()
    return [(word, tuple(map(float, sides))) for *sides, word in _BOX.findall(told)]


def _rate(found: list[str]) -> float:
    """The share of the printed words that were found in their order (longest common run)."""
    row = [0] * (len(found) + 1)
    for wanted in _TEXT:
        before = row[:]
        for at, word in enumerate(found):
            row[at + 1] = before[at] + 1 if word == wanted else max(row[at], before[at + 1])
    return row[-1] / len(_TEXT)


def test_a_clean_scan_gives_at_least_97_of_100_words() -> None:
    found = convert(_scan(), "png", "txt").file.decode()
    assert _rate(found.split()) >= 0.97


def test_a_scan_inside_a_document_gives_the_same() -> None:
    scanned = convert(_scan(), "png", "pdf").file
    assert words(scanned).strip() == ""
    found = convert(scanned, "pdf", "txt", operation="recognise").file.decode()
    assert _rate(found.split()) >= 0.97


def test_a_searchable_document_shows_the_same_and_has_its_words_in_their_places() -> None:
    scanned = convert(_scan(), "png", "pdf").file
    reply = convert(scanned, "pdf", "pdf", operation="searchable")
    qpdf_approves(reply.file)
    assert psnr(rendered(reply.file, dpi=100), rendered(scanned, dpi=100)) == 99
    assert page_sizes(reply.file) == page_sizes(scanned)
    _words_match(reply.file, _printed())


def _words_match(made: bytes, original: bytes) -> None:
    """Nearly every word of the original, within 2.5 points of where it is."""
    found, wanted = _boxes(made), _boxes(original)
    near = sum(
        any(
            word == other and math.dist(box[:1] + box[2:3], place[:1] + place[2:3]) < 2.5
            and box[1] - 4 < (place[1] + place[3]) / 2 < box[3] + 4
            for other, place in found
        )
        for word, box in wanted
    )  # fmt: skip
    assert near >= 0.97 * len(wanted)


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_words_lie_right_on_a_page_that_is_turned_or_cropped(turn: int) -> None:
    # The picture lies on its side in the document, and /Rotate makes it upright.
    upright = Image.open(io.BytesIO(_scan()))
    stored = io.BytesIO()
    upright.rotate(turn, expand=True).save(stored, "PNG", dpi=(200, 200))
    with pikepdf.open(io.BytesIO(convert(stored.getvalue(), "png", "pdf").file)) as document:
        page = document.pages[0]
        page.rotate(turn, relative=False)
        left, bottom, right, top = (float(side) for side in page.mediabox)
        page.mediabox = [left - 30, bottom - 50, right + 20, top + 10]
        page.cropbox = [left, bottom, right, top]
        buffer = io.BytesIO()
        document.save(buffer)
    made = convert(buffer.getvalue(), "pdf", "pdf", operation="searchable").file
    qpdf_approves(made)
    _words_match(made, _printed())


def test_an_image_becomes_a_searchable_document_with_its_own_pixels() -> None:
    made = convert(_scan(), "png", "pdf", operation="searchable").file
    qpdf_approves(made)
    assert page_sizes(made)[0] == pytest.approx((400, 200), abs=0.5)
    _words_match(made, _printed())


def test_several_scans_become_pages_of_one_document() -> None:
    made = convert([_scan(), _scan()], "png", "pdf", operation="searchable").file
    assert len(page_sizes(made)) == 2
    assert words(made).count("harbour") == 2


def test_the_layer_is_in_an_embedded_font_that_maps_to_characters() -> None:
    made = convert(_scan(), "png", "pdf", operation="searchable").file
    told = run("pdffonts", "-", stdin=made).decode().splitlines()[2]
    assert re.search(r"CID TrueType +Identity-H +yes +no +yes", told)


def test_json_tells_each_word_with_its_box_in_pixels() -> None:
    told = json.loads(convert(_scan(), "png", "json", operation="recognise").file)["pages"][0]
    assert told["dpi"] == pytest.approx(200, abs=0.5)
    assert (told["width"], told["height"]) == pytest.approx((1112, 556), abs=1)
    found = [word for line in told["lines"] for word in line["words"]]
    assert _rate([word["text"] for word in found]) >= 0.97
    first, sides = _boxes(_printed())[0]
    assert found[0]["text"] == first
    assert found[0]["box"][::2] == pytest.approx([sides[0] / 0.36, sides[2] / 0.36], abs=4)
    assert min(word["confidence"] for word in found) > 50


def test_hocr_is_well_formed_and_holds_the_words() -> None:
    from lxml import etree  # noqa: PLC0415  # a judge of this test alone

    made = convert(_scan(), "png", "hocr").file
    tree = etree.fromstring(made)
    found = tree.xpath("//*[@class='ocrx_word']")
    assert _rate(["".join(word.itertext()) for word in found]) >= 0.97
    assert all(re.fullmatch(r"bbox( \d+){4}; x_wconf \d+", word.get("title")) for word in found)


def test_pages_that_hold_text_keep_it_unless_told_otherwise() -> None:
    with pikepdf.open(io.BytesIO(_printed())) as digital, pikepdf.new() as document:
        document.add_pages_from(digital)
        with pikepdf.open(io.BytesIO(convert(_scan(), "png", "pdf").file)) as scanned:
            document.add_pages_from(scanned)
            buffer = io.BytesIO()
            document.save(buffer)
    kept = convert(buffer.getvalue(), "pdf", "pdf", operation="searchable")
    assert words(kept.file).count("harbour") == 2
    assert any("one page holds text already" in warning for warning in kept.warnings)
    both = convert(
        buffer.getvalue(),
        "pdf",
        "pdf",
        operation="searchable",
        pages_with_text="recognise",
        pages=1,
    )
    assert b"Glyphless" in run("pdffonts", "-l", "1", "-", stdin=both.file)
    text = convert(buffer.getvalue(), "pdf", "txt", operation="recognise").file.decode()
    assert [page.count("harbour") for page in text.split("\f")] == [1, 1]


def test_nothing_to_read_is_said() -> None:
    blank = io.BytesIO()
    Image.new("L", (300, 200), 255).save(blank, "PNG")
    reply = convert(blank.getvalue(), "png", "txt")
    assert (reply.file, reply.warnings) == (b"", ("no text was recognised",))


def test_a_language_that_is_not_installed_is_refused_with_those_that_are() -> None:
    reply = convert(_scan(), "png", "txt", language="xyz")
    assert (reply.error, "eng" in reply.detail) == ("OptionInvalid", True)


def test_a_document_that_is_locked_too_long_or_broken_gets_its_own_error() -> None:
    operation = {"operation": "recognise"}
    assert convert(sample("encrypted.pdf"), "pdf", "txt", **operation).error == "PasswordRequired"
    assert convert(_scan()[:500], "png", "txt").error == "SourceUnreadable"
    bounds = Bounds(pixels_max=100_000)
    assert convert(_scan(), "png", "txt", bounds=bounds).error == "SourceTooComplex"
    pages = ",".join(["1-9"] * 12)
    many = convert(sample("nine.pdf"), "pdf", "txt", pages=pages, **operation)
    assert (many.error, "limit of 100" in many.detail) == ("SourceTooComplex", True)
