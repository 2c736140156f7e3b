"""The options of the document family, each seen in the result by another program."""

import io
import zipfile
from collections.abc import Iterator

import pytest
from lxml import etree, html

from engine.errors import OptionInvalid
from tests.engine.document_calls import Workers, sample, workers
from tests.engine.judges import page_sizes, pictures, run, words

_HEADINGS = "# One\n\ntext\n\n## Two\n\ntext\n\n# Three\n"
_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"


@pytest.fixture(scope="module")
def pool() -> Iterator[Workers]:
    with workers() as running:
        yield running


def _page(
    pool: Workers, upload: bytes | str, source: str = "md", **options: object
) -> etree._Element:
    return html.fromstring(pool.convert(upload, source, "html", **options).file)


def test_a_table_of_contents_and_numbers(pool: Workers) -> None:
    page = _page(pool, _HEADINGS, toc=True, toc_depth=1, number_sections=True)
    assert [one.text_content() for one in page.findall(".//nav//a")] == ["1 One", "2 Three"]
    pdf = words(pool.convert(_HEADINGS, "md", "pdf", toc=True, number_sections=True).file)
    assert "Contents" in pdf
    assert "1.1 Two" in " ".join(pdf.split())


def test_title_authors_and_language_take_the_place_of_its_own(pool: Workers) -> None:
    options = {"title": "New <title>", "author": "Ada; Bob", "language": "de-AT"}
    page = _page(pool, sample("engine.md"), **options)
    assert page.findtext(".//title") == "New <title>"
    assert page.get("lang") == "de-AT"
    made = pool.convert(sample("engine.md"), "md", "pdf", **options).file
    told = run("pdfinfo", "-", stdin=made).decode()
    assert "New <title>" in told
    assert "Ada, Bob" in told
    assert "New <title>" in words(made)
    assert "Analytical" not in words(made)
    book = pool.convert(sample("engine.md"), "md", "epub", **options).file
    with zipfile.ZipFile(io.BytesIO(book)) as package:
        opf = etree.fromstring(package.read("EPUB/content.opf"))
    assert next(opf.iter("{*}language")).text == "de-AT"


def test_a_fragment_has_no_head(pool: Workers) -> None:
    made = pool.convert("*hi*", "md", "html", standalone=False).file
    assert made == b"<p><em>hi</em></p>\n"
    assert b"documentclass" not in pool.convert("*hi*", "md", "latex", standalone=False).file


def test_code_has_the_colours_asked_for_or_none(pool: Workers) -> None:
    code = "```python\ndef f(): pass\n```\n"
    assert b'class="kw"' in pool.convert(code, "md", "html", highlight="zenburn").file
    assert b'class="kw"' not in pool.convert(code, "md", "html", highlight="none").file


def test_lines_are_wrapped_at_a_width(pool: Workers) -> None:
    text = "word " * 60
    assert len(pool.convert(text, "txt", "md").file.splitlines()) == 1
    wrapped = pool.convert(text, "txt", "md", line_width=40).file.decode().splitlines()
    assert len(wrapped) > 5
    assert max(len(line) for line in wrapped) <= 40


def test_pictures_are_embedded_or_dropped(pool: Workers) -> None:
    plain = pool.convert(sample("engine.md"), "md", "rst")
    assert plain.warnings == ("a picture was left out; its description stands for it",)
    assert b"A drawing" in plain.file
    assert b"data:image" in pool.convert(sample("engine.md"), "md", "md", images="embed").file
    assert b"data:image" not in pool.convert(sample("engine.md"), "md", "html", images="drop").file
    assert not pictures(pool.convert(sample("engine.md"), "md", "pdf", images="drop").file)


def test_markdown_is_read_and_written_in_its_flavours(pool: Workers) -> None:
    loose = "Intro:\n- item\n> quote\n"
    assert _page(pool, loose).findall(".//li")
    assert not _page(pool, loose, markdown="pandoc").findall(".//li")
    note = "x[^1]\n\n[^1]: note\n"
    assert "[^1]" not in _page(pool, note, markdown="gfm").text_content()
    assert "^1" in _page(pool, note, markdown="commonmark").text_content()
    table = "<table><tr><th>a</th></tr><tr><td>b</td></tr></table>"
    assert b"| a" in pool.convert(table, "html", "md").file
    assert b"<table>" in pool.convert(table, "html", "md", markdown="commonmark").file


@pytest.mark.parametrize("encoding", ["iso-8859-15", "utf-16", "windows-1251", "shift_jis"])
def test_text_is_read_in_the_encoding_that_is_named(pool: Workers, encoding: str) -> None:
    word = {"iso-8859-15": "5 € café", "windows-1251": "привет", "shift_jis": "日本"}.get(
        encoding, "ü"
    )
    made = pool.convert(word.encode(encoding), "md", "txt", encoding=encoding).file
    assert made.decode().strip() == word


def test_text_without_a_named_encoding_is_guessed(pool: Workers) -> None:
    assert pool.convert("café".encode("cp1252"), "md", "txt").file.decode() == "café\n"
    assert pool.convert("café".encode("utf-16"), "txt", "md").file.decode() == "café\n"
    book = '<?xml version="1.0" encoding="windows-1251"?><article><para>привет</para></article>'
    assert "привет" in pool.convert(book.encode("cp1251"), "docbook", "txt").file.decode()
    wrong = pool.convert("café".encode("cp1252"), "md", "txt", encoding="utf-8")
    assert wrong.error == "SourceUnreadable"


def _tracked() -> bytes:
    body = (
        '<w:p><w:r><w:t xml:space="preserve">kept </w:t></w:r><w:ins w:id="1" w:author="a">'
        '<w:r><w:t>added</w:t></w:r></w:ins><w:del w:id="2" w:author="a"><w:r><w:delText>removed'
        "</w:delText></w:r></w:del></w:p>"
    )
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(sample("suite.docx"))) as source,
        zipfile.ZipFile(buffer, "w") as target,
    ):
        for name in source.namelist():
            content = source.read(name)
            if name == "word/document.xml":
                document = etree.fromstring(content)
                top = document.find(f"{_W}body")
                wrapped = etree.fromstring(f'<x xmlns:w="{_W[1:-1]}">{body}</x>')
                top[:] = [wrapped[0]]
                content = etree.tostring(document)
            target.writestr(name, content)
    return buffer.getvalue()


def test_tracked_changes_are_accepted_or_rejected(pool: Workers) -> None:
    assert pool.convert(_tracked(), "docx", "txt").file == b"kept added\n"
    rejected = pool.convert(_tracked(), "docx", "txt", tracked_changes="reject").file
    assert rejected == b"kept removed\n"


def test_pages_have_the_size_and_the_margins_asked_for(pool: Workers) -> None:
    made = pool.convert(
        "word " * 400, "txt", "pdf", page_size="letter", orientation="landscape", margin_mm=40
    ).file
    assert page_sizes(made)[0] == (792, 612)
    box = run("pdftotext", "-bbox", "-", "-", stdin=made)
    left = min(float(one.get("xmin")) for one in html.fromstring(box).iter("word"))
    assert left == pytest.approx(40 * 72 / 25.4, abs=1)


def test_fonts_sizes_columns_and_page_numbers(pool: Workers) -> None:
    text = "word " * 900
    fonts = run("pdffonts", "-", stdin=pool.convert(text, "txt", "pdf", font="mono").file)
    assert b"DejaVuSansMono" in fonts
    assert b"Libertinus" not in fonts
    plain = pool.convert(text, "txt", "pdf")
    large = pool.convert(text, "txt", "pdf", font_size=20, line_spacing=2)
    assert len(page_sizes(large.file)) > len(page_sizes(plain.file))
    assert words(plain.file).split("\f")[0].split()[-1] == "1"
    bare = pool.convert(text, "txt", "pdf", page_numbers=False, columns=2).file
    assert "1" not in words(bare)


def test_an_archive_file_conforms(pool: Workers) -> None:
    made = pool.convert(_HEADINGS, "md", "pdf", pdf_standard="a-2b").file
    assert b"pdfaid:part" in made or b"pdfaid" in run("pdfinfo", "-meta", "-", stdin=made)
    # An emoji has no glyph in a built-in font, and an archive file may show no box for it.
    assert pool.convert("x 😀", "md", "pdf", pdf_standard="a-2b").error == "TargetImpossible"


def test_characters_without_a_glyph_are_told(pool: Workers) -> None:
    (said,) = pool.convert("漢字", "md", "pdf").warnings
    assert "no glyphs" in said
    assert pool.convert("ελληνικά русский → ∑", "md", "pdf").warnings == ()


@pytest.mark.parametrize(
    ("source", "target", "options"),
    [
        ("md", "textile", {"toc": True}),
        ("md", "docx", {"line_width": 40}),
        ("md", "docx", {"standalone": False}),
        ("md", "html", {"slide_level": 2}),
        ("md", "rst", {"images": "embed"}),
        ("md", "html", {"standalone": False, "title": "x"}),
        ("typst", "svg", {"dpi": 72}),
        ("typst", "png", {"pdf_standard": "a-2b"}),
        ("typst", "pdf", {"inputs": "[1]"}),
        ("docx", "html", {"encoding": "utf-8"}),
        ("rst", "html", {"markdown": "gfm"}),
        ("md", "html", {"text_layout": "verbatim"}),
        ("odt", "html", {"tracked_changes": "reject"}),
    ],
)
def test_an_option_that_would_change_nothing_is_refused(
    pool: Workers, source: str, target: str, options: dict[str, object]
) -> None:
    upload = sample(f"suite.{source}") if source in {"docx", "odt"} else b"x"
    reply = pool.convert(upload, source, target, **options)
    assert reply.error == OptionInvalid.__name__
    assert reply.detail.partition(":")[0] in options
