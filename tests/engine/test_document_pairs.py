"""Documents among each other and onto pages, in real workers, judged by other programs."""

import io
import re
import zipfile
from collections.abc import Iterator

import pytest
from lxml import etree, html
from PIL import Image

from engine.converters.document.notations import SOURCES, TARGETS
from engine.registry import by_name
from tests.engine.document_calls import Workers, sample, workers
from tests.engine.judges import page_sizes, pictures, qpdf_approves, rendered, run, words

# What must be found again, whatever the document went through.
_WORDS = ("Origins", "engine", "weaves", "ελληνικά", "русский", "variable", "345", "second point")
_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"


@pytest.fixture(scope="module")
def pool() -> Iterator[Workers]:
    with workers() as running:
        yield running


@pytest.fixture(scope="module")
def written(pool: Workers) -> dict[str, bytes]:
    """The same document in every format."""
    return {name: pool.convert(sample("engine.md"), "md", name).file for name in TARGETS}


def _text(content: bytes) -> str:
    """The words of a file: of all parts that are markup, where it is a package."""
    if not content.startswith(b"PK"):
        if content.startswith(b"{\\rtf"):
            return _unescaped_rtf(content.decode())
        return content.decode()
    with zipfile.ZipFile(io.BytesIO(content)) as package:
        assert package.testzip() is None
        parts = [n for n in package.namelist() if n.endswith((".xml", ".xhtml"))]
        return " ".join(" ".join(etree.fromstring(package.read(n)).itertext()) for n in parts)


def _unescaped_rtf(text: str) -> str:
    return re.sub(r"\\u(\d+) ?\?", lambda found: chr(int(found.group(1))), text)


def _is_told(word: str, warnings: tuple[str, ...]) -> bool:
    """Whether a warning says that this word is lost: pandoc reads no tables of FictionBooks."""
    return word in {"variable", "345"} and "tables of the book are not carried over" in warnings


@pytest.mark.parametrize("target", TARGETS)
def test_every_format_that_is_written_holds_the_words(
    written: dict[str, bytes], target: str
) -> None:
    found = " ".join(_text(written[target]).split())
    if target == "ipynb":
        found = found.encode().decode("unicode_escape", "replace") + found
    if target == "latex":
        assert "\\begin{document}" in found
    for word in _WORDS:
        assert word in found, word


@pytest.mark.parametrize("source", SOURCES)
def test_every_format_that_is_written_is_read_again(
    pool: Workers, written: dict[str, bytes], source: str
) -> None:
    reply = pool.convert(written[source], source, "txt")
    found = " ".join(reply.file.decode().split())
    for word in _WORDS:
        assert word in found or _is_told(word, reply.warnings), word


@pytest.mark.parametrize("source", by_name("document.typeset").sources)
def test_every_source_becomes_pages(pool: Workers, written: dict[str, bytes], source: str) -> None:
    reply = pool.convert(written[source], source, "pdf")
    made = reply.file
    qpdf_approves(made)
    assert page_sizes(made)[0] == pytest.approx((595.28, 841.89), abs=0.01)
    found = words(made)
    for word in _WORDS:
        assert word in found or _is_told(word, reply.warnings), word


def test_a_word_document_has_its_structure(written: dict[str, bytes]) -> None:
    with zipfile.ZipFile(io.BytesIO(written["docx"])) as package:
        document = etree.fromstring(package.read("word/document.xml"))
        notes = etree.fromstring(package.read("word/footnotes.xml"))
        media = [name for name in package.namelist() if name.startswith("word/media/")]
        picture = Image.open(io.BytesIO(package.read(media[0])))
    styles = [one.get(f"{_W}val") for one in document.iter(f"{_W}pStyle")]
    assert styles.count("Heading1") == 1
    assert styles.count("Heading2") == 1
    assert "Title" in styles
    assert len(list(document.iter(f"{_W}tbl"))) == 1
    assert len(list(document.iter(f"{_W}tr"))) == 3
    assert "A note below." in "".join(notes.itertext())
    assert len(list(document.iter("{*}oMath"))) == 2
    assert picture.size == (120, 60)


def test_a_book_is_a_valid_package(written: dict[str, bytes]) -> None:
    with zipfile.ZipFile(io.BytesIO(written["epub"])) as package:
        first = package.infolist()[0]
        assert (first.filename, first.compress_type) == ("mimetype", zipfile.ZIP_STORED)
        assert package.read(first) == b"application/epub+zip"
        container = etree.fromstring(package.read("META-INF/container.xml"))
        path = next(container.iter("{*}rootfile")).get("full-path")
        opf = etree.fromstring(package.read(path))
        names = set(package.namelist())
    folder = path.rpartition("/")[0]
    listed = {f"{folder}/{item.get('href')}" for item in opf.iter("{*}item")}
    assert listed <= names
    assert next(opf.iter("{*}title")).text == "The Analytical Engine"
    assert [one.text for one in opf.iter("{*}creator")] == ["Ada Lovelace", "Charles Babbage"]


def test_a_presentation_has_slides_and_its_picture(written: dict[str, bytes]) -> None:
    with zipfile.ZipFile(io.BytesIO(written["pptx"])) as package:
        names = package.namelist()
        shown = [name for name in names if name.startswith("ppt/slides/slide")]
        parts = [package.read(name) for name in shown]
    assert len(shown) >= 3
    assert [name for name in names if name.startswith("ppt/media/")]
    assert not [part for part in parts if b"base64" in part]
    assert [part for part in parts if b'descr="A drawing' in part]


def test_a_web_page_is_one_file_with_all_it_needs(written: dict[str, bytes]) -> None:
    page = html.fromstring(written["html"])
    assert page.findtext(".//title") == "The Analytical Engine"
    assert [one.tag for one in page.iter("h1", "h2")] == ["h1", "h1", "h2"]
    assert page.find(".//img").get("src").startswith("data:image/png;base64,")
    assert page.findall(".//math")
    assert not page.findall(".//script")
    assert not [one for one in page.iter("link") if one.get("href", "").startswith("http")]


def test_pages_have_fonts_picture_links_and_title(pool: Workers) -> None:
    made = pool.convert(sample("engine.md"), "md", "pdf").file
    fonts = run("pdffonts", "-", stdin=made).decode().splitlines()[2:]
    assert fonts
    # Embedded, as a subset, with a map to Unicode.
    assert all(line.split()[-5:-2] == ["yes", "yes", "yes"] for line in fonts), fonts
    (picture,) = pictures(made)
    assert picture.size == (120, 60)
    assert picture.getpixel((30, 20)) == (30, 30, 200)
    told = run("pdfinfo", "-", stdin=made).decode()
    assert "The Analytical Engine" in told
    assert "Ada Lovelace" in told
    # The picture is drawn, and in its place.
    page = rendered(made)
    assert (30, 30, 200) in {colour for _, colour in page.getcolors(1 << 20) or ()}


@pytest.mark.parametrize("source", ["docx", "odt"])
def test_another_programs_documents_keep_words_table_and_picture(
    pool: Workers, source: str
) -> None:
    upload = sample(f"suite.{source}")
    made = pool.convert(upload, source, "md", images="embed").file.decode()
    assert "# Fixture heading" in made
    assert "**bold**" in made
    assert "| apples | 12" in " ".join(made.split())
    assert "[link](https://example.org/)" in made
    assert "data:image/png;base64," in made
    pdf = pool.convert(upload, source, "pdf").file
    assert len(pictures(pdf)) == 1
    assert "apples" in words(pdf)


def test_a_notebooks_results_and_pictures_are_kept(pool: Workers) -> None:
    reply = pool.convert(sample("notebook.ipynb"), "ipynb", "html")
    page = html.fromstring(reply.file)
    images = [one.get("src") for one in page.iter("img")]
    assert len(images) == 2
    assert all(source.startswith("data:image/png;base64,") for source in images)
    assert "42" in page.text_content()
    assert len(pictures(pool.convert(sample("notebook.ipynb"), "ipynb", "pdf").file)) == 2


def test_a_picture_in_rich_text_is_found(pool: Workers) -> None:
    made = pool.convert(sample("picture.rtf"), "rtf", "docx").file
    with zipfile.ZipFile(io.BytesIO(made)) as package:
        media = [name for name in package.namelist() if name.startswith("word/media/")]
        assert Image.open(io.BytesIO(package.read(media[0]))).size == (120, 60)
    assert "ü" in _text(made)


def test_typst_source_becomes_pdf_png_and_svg(pool: Workers) -> None:
    source = (
        "#set page(width: 200pt, height: 100pt)\n= #sys.inputs.who\n#pagebreak()\n$ sum_(i=1)^n i $"
    )
    options = {"inputs": '{"who": "Ada"}'}
    made = pool.convert(source, "typst", "pdf", **options).file
    assert page_sizes(made) == [(200, 100), (200, 100)]
    assert "Ada" in words(made)
    drawn = pool.convert(source, "typst", "png", dpi=72, **options).files
    assert [Image.open(io.BytesIO(one)).size for one in drawn] == [(200, 100)] * 2
    vectors = pool.convert(source, "typst", "svg", **options).files
    assert [etree.fromstring(one).get("width") for one in vectors] == ["200pt"] * 2


def test_plain_text_keeps_its_lines_or_joins_them(pool: Workers) -> None:
    text = "first line\nsecond line\n\n  indented\n"
    kept = html.fromstring(pool.convert(text, "txt", "html").file)
    assert len(kept.findall(".//br")) == 1
    joined = pool.convert(text, "txt", "md", text_layout="paragraphs").file.decode()
    assert joined.splitlines()[0] == "first line second line"
    verbatim = html.fromstring(pool.convert(text, "txt", "html", text_layout="verbatim").file)
    assert verbatim.findtext(".//pre/code") == text
    assert "second line" in words(pool.convert(text, "txt", "pdf").file)


_README = """# Tool

<p align="center"><img src="PICTURE" width="60"> <b>Fast</b> &amp; small</p>

<table><tr><th>Key</th><th>Does</th></tr><tr><td><kbd>q</kbd></td><td>quits</td></tr></table>

Press <kbd>q</kbd> or H<sub>2</sub>O.<br>Done.

<details><summary>More</summary>

- *inside*

</details>
"""


def test_html_in_markdown_means_what_it_means(pool: Workers) -> None:
    picture = re.search(r"data:image/png;base64,[^)]+", sample("engine.md").decode())
    assert picture is not None
    reply = pool.convert(_README.replace("PICTURE", picture.group()), "md", "docx")
    with zipfile.ZipFile(io.BytesIO(reply.file)) as package:
        document = etree.fromstring(package.read("word/document.xml"))
        assert [name for name in package.namelist() if name.startswith("word/media/")]
    assert [" ".join(row.itertext()) for row in document.iter(f"{_W}tr")] == ["Key Does", "q quits"]
    bold = [one.getparent().getparent() for one in document.iter(f"{_W}b")]
    assert "Fast" in ["".join(one.itertext()) for one in bold]
    assert [one.get(f"{_W}val") for one in document.iter(f"{_W}vertAlign")] == ["subscript"]
    assert "inside" in "".join(document.itertext())
    assert reply.warnings == ()
    pdf = pool.convert(_README.replace("PICTURE", picture.group()), "md", "pdf").file
    assert len(pictures(pdf)) == 1
    assert "quits" in words(pdf)
