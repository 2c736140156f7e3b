"""Word, PowerPoint, HTML and Markdown made of a document, read back by pandoc and by poppler."""

import io
import json
import subprocess
import zipfile
from functools import cache
from typing import Any

import pikepdf
import pypandoc
import pytest
import typst
from lxml import etree

from engine.converters.pdf.content.placed import family
from tests.engine.calls import convert, sample
from tests.engine.judges import run

_SOURCE = """
#set page(width: 420pt, height: 500pt, margin: 40pt, numbering: "1", header: [The port, 2026])
#set heading(numbering: "1.1")
= The harbour
Ships wait *less* now, and cranes lift _more_; see #link("https://example.org/port")[the port].

- new cranes
- longer quays

== Quays
#table(columns: 3, [Quay], [Cranes], [Moves], [North], [4], [118204], [South], [6], [201877])

A price of 5 \\* 3 and a \\<tag\\> stay as they are.
#pagebreak()
= Railway
One container in three leaves by rail.
#pagebreak()
= Depth
Dredging keeps it at twelve metres.
"""


@cache
def _document() -> bytes:
    made: bytes = typst.compile(_SOURCE.encode())
    return made


def _pandoc(file: bytes, read: str, write: str) -> str:
    done = subprocess.run(
        [pypandoc.get_pandoc_path(), "-f", read, "-t", write, "--wrap=none"],
        input=file,
        capture_output=True,
        check=True,
    )
    return done.stdout.decode()


def _blocks(file: bytes, read: str) -> list[dict[str, Any]]:
    return list(json.loads(_pandoc(file, read, "json"))["blocks"])


_READ = {"docx": "docx", "html": "html", "md": "gfm"}


@pytest.mark.parametrize("target", list(_READ))
def test_headings_paragraphs_lists_and_tables_become_themselves(target: str) -> None:
    made = convert(_document(), "pdf", target).file
    if target == "html":
        made = made.replace(b"<section", b"<div").replace(b"</section", b"</div")
    plain = _pandoc(made, _READ[target], "gfm")
    lines = [line for line in plain.splitlines() if line]
    heads = [line.lstrip("# ") for line in lines if line.startswith("#")]
    assert heads == ["1 The harbour", "1.1 Quays", "2 Railway", "3 Depth"]
    assert "**less**" in plain
    assert "*more*" in plain
    assert "[the port](https://example.org/port)" in plain
    items = [line.lstrip("- ") for line in lines if line.startswith("- ")]
    assert items == ["new cranes", "longer quays"]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in lines
        if line.startswith("|") and "---" not in line
    ]
    assert [row for row in rows if any(row)] == [
        ["Quay", "Cranes", "Moves"],
        ["North", "4", "118204"],
        ["South", "6", "201877"],
    ]
    text = _pandoc(made, _READ[target], "plain")
    assert "5 * 3 and a <tag> stay" in text
    assert text.index("Railway") < text.index("Dredging")


def test_running_heads_and_page_numbers_can_be_left_out() -> None:
    kept = convert(_document(), "pdf", "md")
    dropped = convert(_document(), "pdf", "md", running_heads="drop")
    assert kept.file.decode().count("The port, 2026") == 3
    assert "The port, 2026" not in dropped.file.decode()
    assert "Dredging" in dropped.file.decode()
    assert dropped.warnings == ("6 running heads and page numbers were left out",)


def test_word_pages_are_as_large_as_those_of_the_document_and_break_where_asked() -> None:
    for breaks, count in ((False, 0), (True, 2)):
        made = convert(_document(), "pdf", "docx", page_breaks=breaks).file
        with zipfile.ZipFile(io.BytesIO(made)) as archive:
            body = archive.read("word/document.xml").decode()
        assert body.count('<w:br w:type="page"/>') == count
        assert 'w:w="8400" w:h="10000"' in body


@pytest.mark.parametrize("target", ["docx", "pptx"])
def test_lines_stay_where_they_stood(target: str) -> None:
    options = {"layout": "page"} if target == "docx" else {}
    reply = convert(_document(), "pdf", target, **options)
    assert any("fonts are named" in warning for warning in reply.warnings)
    wanted = _words_of_poppler(_document())
    found = _lines_of_word(reply.file) if target == "docx" else _lines_of_slides(reply.file)
    assert len(found) == 3
    for page, lines in zip(wanted, found, strict=True):
        for word, left, top, bottom in page:
            homes = [line for line in lines if word in line[0] and top - 6 < line[2] < bottom]
            assert homes, word
            assert min(home[1] for home in homes) <= left + 1


def _words_of_poppler(pdf: bytes) -> list[list[tuple[str, float, float, float]]]:
    told = etree.fromstring(
        run("pdftotext", "-bbox", "-", "-", stdin=pdf), etree.HTMLParser(encoding="utf-8")
    )
    return [
        [
            (word.text, *(float(word.get(side)) for side in ("xmin", "ymin", "ymax")))
            for word in page.iter("word")
        ]
        for page in told.iter("page")
    ]


_Lines = list[tuple[str, float, float]]


def _lines_of_word(file: bytes) -> list[_Lines]:
    """Text, left and top in points of each frame, by section."""
    with zipfile.ZipFile(io.BytesIO(file)) as archive:
        body = etree.fromstring(archive.read("word/document.xml"))[0]
    w = f"{{{body.nsmap['w']}}}"
    pages: list[_Lines] = [[]]
    for paragraph in body.iterfind(f"{w}p"):
        frame = paragraph.find(f".//{w}framePr")
        if frame is not None:
            text = "".join(one.text for one in paragraph.iter(f"{w}t"))
            pages[-1].append((text, *(int(frame.get(f"{w}{side}")) / 20 for side in "xy")))
        if paragraph.find(f".//{w}sectPr") is not None:
            pages.append([])
    return pages


def _lines_of_slides(file: bytes) -> list[_Lines]:
    with zipfile.ZipFile(io.BytesIO(file)) as archive:
        names = sorted(name for name in archive.namelist() if name.startswith("ppt/slides/s"))
        slides = [etree.fromstring(archive.read(name)) for name in names]
    space = slides[0].nsmap
    return [
        [
            (
                "".join(one.text for one in shape.iterfind(".//a:t", space)),
                *(int(shape.find(".//a:off", space).get(side)) / 12700 for side in "xy"),
            )
            for shape in slide.iterfind(".//p:sp", space)
        ]
        for slide in slides
    ]


def test_slides_are_as_large_as_the_pages_and_their_text_is_read_by_another() -> None:
    made = convert(_document(), "pdf", "pptx").file
    with zipfile.ZipFile(io.BytesIO(made)) as archive:
        assert b'<p:sldSz cx="5334000" cy="6350000"/>' in archive.read("ppt/presentation.xml")
        for name in archive.namelist():
            if name.endswith((".xml", ".rels")):
                etree.fromstring(archive.read(name))
    text = _pandoc(made, "pptx", "plain")
    assert "One container in three leaves by rail." in text


def test_what_is_no_text_lies_behind_it_as_a_picture_without_the_letters() -> None:
    photo = convert(sample("orientation-1.jpg"), "jpeg", "pdf", page_size="a6").file
    both = convert([_document(), photo], "pdf", "pdf", operation="merge").file
    made = convert(both, "pdf", "pptx").file
    with zipfile.ZipFile(io.BytesIO(made)) as archive:
        pictures = [name for name in archive.namelist() if name.startswith("ppt/media/")]
    # The table's lines, and the photograph; pages of text alone need none.
    assert pictures == ["ppt/media/image1.png", "ppt/media/image4.jpeg"]


def test_pictures_come_along_or_do_not() -> None:
    photo = convert(sample("orientation-1.jpg"), "jpeg", "pdf", page_size="a6").file
    both = convert([_document(), photo], "pdf", "pdf", operation="merge").file
    for pictures, count in ((True, 1), (False, 0)):
        reply = convert(both, "pdf", "html", pictures=pictures)
        assert reply.file.count(b"<img ") == count
        assert any("1 of 4 pages hold no text" in warning for warning in reply.warnings)


def test_a_scan_cannot_be_edited_and_the_way_out_is_named() -> None:
    scan = convert(sample("photo.png"), "png", "pdf").file
    for target in ("docx", "html", "md", "pptx"):
        reply = convert(scan, "pdf", target)
        assert (reply.error, "searchable" in reply.detail) == ("TargetImpossible", True)


def test_nothing_that_could_run_is_carried_into_html() -> None:
    with pikepdf.open(io.BytesIO(_document())) as document:
        link = next(one for one in document.pages[0].Annots if one.get("/Subtype") == "/Link")
        link.A = pikepdf.Dictionary(S=pikepdf.Name.URI, URI=pikepdf.String("javascript:alert(1)"))
        buffer = io.BytesIO()
        document.save(buffer)
    made = convert(buffer.getvalue(), "pdf", "html").file
    assert b"javascript" not in made
    assert b"<script" not in made


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("ABCDEF+OpenSans-BoldItalic", "Open Sans"),
        ("TimesNewRomanPS-BoldMT", "Times New Roman"),
        ("ArialMT", "Arial"),
        ("Helvetica-Oblique", "Arial"),
        ("DejaVuSans", "DejaVu Sans"),
        ("CMR10", "CMR10"),
        ("Calibri,Bold", "Calibri"),
    ],
)
def test_fonts_are_named_as_editors_know_them(name: str, wanted: str) -> None:
    assert family(name) == wanted
