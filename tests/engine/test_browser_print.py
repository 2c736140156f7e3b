"""Pages on paper, judged by poppler: text, pages, sizes, colours."""

import re

import pytest

from engine.errors import OptionInvalid, SourceUnreadable, TargetImpossible
from engine.registry import parse_options
from tests.engine.browsing import CONVERTERS, browser, needs_browser, needs_poppler, sample
from tests.engine.judges import page_sizes, qpdf_approves, rendered, run, words

pytestmark = [needs_browser, needs_poppler]

PAGE = sample("page.html")
A4 = (595.9, 841.9)


def about(size: tuple[float, float]) -> object:
    return pytest.approx(size, abs=1.0)


def colours(pdf: bytes, page: int = 1) -> set[tuple[int, ...]]:
    found = rendered(pdf, page).getcolors(1_000_000)
    assert found is not None
    return {colour for count, colour in found if count > 500 and isinstance(colour, tuple)}


async def test_a_page_is_printed_as_paper_shows_it() -> None:
    async with browser() as chromium:
        pdf = await chromium.file(PAGE, "pdf")
        assert page_sizes(pdf) == [about(A4)] * 2
        text = words(pdf)
        assert text.index("Grüße from the page") < text.index("\f") < text.index("Second part")
        assert "for paper" in text
        assert "for the screen" not in text
        assert "a script said 42" in text
        assert {(200, 30, 30), (30, 30, 200)} <= colours(pdf)
        assert b"https://example.com/" in pdf
        about_it = run("pdfinfo", "-", stdin=pdf).decode()
        assert re.search(r"Title: +Quarterly figures", about_it)
        assert re.search(r"Tagged: +yes", about_it)
        qpdf_approves(pdf)

        plain = await chromium.file(
            PAGE, "pdf", javascript=False, background=False, media="screen", tagged=False
        )
        assert "no script ran" in words(plain)
        assert "for the screen" in words(plain)
        assert not {(200, 30, 30), (30, 30, 200)} & colours(plain)


async def test_paper_margins_headers_and_ranges_are_the_customers() -> None:
    rule = b"<style>@page { size: A5 landscape; margin: 30mm }</style>"
    async with browser() as chromium:
        own = await chromium.file(rule + PAGE, "pdf", wait_for="#late")
        assert page_sizes(own)[0] == about((594.96, 419.5))
        assert "arrived late" in words(own)

        letter = await chromium.file(
            rule + PAGE,
            "pdf",
            page_size="letter",
            orientation="landscape",
            margin_mm=20,
            margin_left_mm=50,
            header='<b class="title"></b>',
            footer='page <span class="pageNumber"></span> of <span class="totalPages"></span>',
            outline=True,
        )
        assert page_sizes(letter)[0] == about((792, 612))
        assert words(letter).count("Quarterly figures") == 2
        assert "page 2 of 2" in words(letter)
        boxes = words(letter, "-bbox")
        left = float(re.search(r'xMin="([\d.]+)"[^>]*>Grüße', boxes)[1])  # type: ignore[index]
        assert left == pytest.approx(50 / 25.4 * 72, abs=1.0)
        assert b"/Outlines" in letter

        second = await chromium.file(PAGE, "pdf", pages="2", width_mm=100, height_mm=150)
        assert page_sizes(second) == [about((283.5, 425.2))]
        assert "Second part" in words(second)


async def test_one_long_page_is_as_long_as_what_is_on_it() -> None:
    tall = "<body style='margin:0'><div style='height:5000px'>top</div>end"
    async with browser() as chromium:
        ((width, height),) = page_sizes(
            await chromium.file(tall, "pdf", page_size="single", margin_mm=0)
        )
        assert width == pytest.approx(A4[0], abs=1.0)
        assert height == pytest.approx((5000 + 18) * 0.75, abs=8)
        with pytest.raises(TargetImpossible, match=r"5\.08 m"):
            await chromium.file(tall.replace("5000", "50000"), "pdf", page_size="single")


async def test_a_drawing_is_a_page_of_its_own_size() -> None:
    async with browser() as chromium:
        output = await chromium.output(sample("drawing.svg"), "svg", "pdf")
        pdf = bytes(output.files[0])
        assert page_sizes(pdf) == [about((225, 112.5))]
        assert "drawn text" in words(pdf)
        assert (0, 128, 0) in colours(pdf)
        with pytest.raises(SourceUnreadable, match="well-formed"):
            await chromium.output(b"<svg xmlns='http://www.w3.org/2000/svg'><rect", "svg", "pdf")


async def test_an_archive_is_printed_with_the_files_it_holds() -> None:
    async with browser() as chromium:
        output = await chromium.output(sample("archive.mhtml"), "mhtml", "pdf")
        text = words(bytes(output.files[0]))
        assert "Grüße archive" in text
        assert "inner frame text" in text
        (warning,) = output.warnings
        assert "images (1);" in warning
        assert run("pdfimages", "-list", "-", stdin=bytes(output.files[0])).count(b"image") >= 1
        with pytest.raises(SourceUnreadable, match="no HTML page"):
            await chromium.output(b"MIME-Version: 1.0\r\n\r\nnothing", "mhtml", "pdf")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"width_mm": "100"}, "takes both"),
        ({"page_size": "single", "height_mm": "100", "width_mm": "100"}, "as long as its content"),
        ({"page_size": "a5", "height_mm": "100", "width_mm": "100"}, "leave it out"),
        ({"wait_ms": "60000"}, "from 0 to 10000"),
        ({"pages": "one"}, "pages"),
    ],
)
def test_options_that_contradict_themselves_are_refused(options: dict[str, str], said: str) -> None:
    with pytest.raises(OptionInvalid, match=said):
        parse_options(CONVERTERS["browser.print"], options, target="pdf")
