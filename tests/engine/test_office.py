"""Office documents in real workers: judged by poppler, qpdf, ImageMagick and zipfile."""

import io
import json
import math
import re
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator
from datetime import datetime

import msoffcrypto
import pytest
import xlsxwriter
from msoffcrypto.format.ooxml import OOXMLFile
from pikepdf import pdfa

from engine.registry import FAMILIES
from tests.engine import judges
from tests.engine.office_odf_lock import locked
from tests.engine.office_workers import FILES, Office, office

pytestmark = pytest.mark.skipif(
    all(family.name != "office" for family in FAMILIES), reason="LibreOffice is not installed"
)

_SECRET, _WRONG = "öffne dich", "sesame"


@pytest.fixture(scope="module", name="lo")
def _lo() -> Iterator[Office]:
    with office() as started:
        yield started


def _fonts(pdf: bytes) -> set[str]:
    """The families that are embedded, by poppler."""
    told = judges.run("pdffonts", "-", stdin=pdf).decode().splitlines()[2:]
    assert all(line.split()[-5] == "yes" for line in told), told
    return {line.split()[0].partition("+")[2].partition("-")[0] for line in told}


def _outlines(pdf: bytes) -> list[str]:
    with tempfile.NamedTemporaryFile(suffix=".pdf") as file:
        file.write(pdf)
        file.flush()
        done = subprocess.run(
            ["qpdf", "--json", "--json-key=outlines", file.name], capture_output=True, check=True
        )
    return [one["title"] for one in json.loads(done.stdout)["outlines"]]


def test_a_text_is_printed_with_its_pages_its_words_and_stand_ins_of_the_same_widths(
    lo: Office,
) -> None:
    pdf = lo.convert("letter.docx", "pdf").file
    assert len(judges.page_sizes(pdf)) == 3
    assert "Plain words of page 2, Zürich." in judges.words(pdf)
    assert {"Carlito", "Caladea"} <= _fonts(pdf)
    assert _outlines(pdf) == ["Chapter 1", "Chapter 2", "Chapter 3"]
    judges.qpdf_approves(pdf)


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("letter.docx", "doc", "Plain words of page 3, Zürich."),
        ("letter.docx", "odt", "Plain words of page 3, Zürich."),
        ("letter.docx", "rtf", "Plain words of page 3, Zürich."),
        ("deck.pptx", "ppt", "Slide number 3"),
        ("deck.pptx", "odp", "Slide number 3"),
        ("sums.xlsx", "xls", "only here"),
        ("sums.xlsx", "ods", "only here"),
    ],
)
def test_a_document_keeps_its_words_through_another_format(
    lo: Office, name: str, kind: str, words: str
) -> None:
    other = lo.convert(name, kind).file
    pdf = lo.convert(other, "pdf", source=kind).file
    assert words in judges.words(pdf)
    direct = lo.convert(name, "pdf").file
    assert len(judges.page_sizes(pdf)) == len(judges.page_sizes(direct))


def test_a_worker_that_is_kept_prints_one_document_after_another() -> None:
    with office(uses=4) as kept:
        done = [
            kept.convert(name, "pdf")
            for name in ("letter.docx", "deck.pptx", "sums.xlsx", "deck.pptx")
        ]
    words = [judges.words(one.file) for one in done]
    assert "Plain words of page 2" in words[0]
    assert "Slide number 3" in words[1]
    assert "only here" in words[2]
    assert words[3] == words[1]
    assert len({one.worker for one in done}) == 1


@pytest.mark.parametrize("name", ["shape.odg", "shape.emf", "shape.wmf"])
def test_a_drawing_is_printed(lo: Office, name: str) -> None:
    pdf = lo.convert(name, "pdf").file
    assert "Drawn words" in judges.words(pdf)
    assert judges.rendered(pdf).getextrema() != ((255, 255),) * 3


def test_only_the_pages_asked_for_are_printed_in_order(lo: Office) -> None:
    pdf = lo.convert("letter.docx", "pdf", pages="-1,3").file
    assert re.findall(r"Chapter \d", judges.words(pdf)) == ["Chapter 1", "Chapter 3"]
    assert lo.convert("letter.docx", "pdf", pages="9").error == "TargetImpossible"


def test_an_archive_document_is_one_and_keeps_its_text(lo: Office) -> None:
    pdf = lo.convert("letter.docx", "pdf", standard="pdf-a-2b").file
    report = pdfa.validate_written(io.BytesIO(pdf), "2b")
    assert not report.violations, report
    assert "Plain words" in judges.words(pdf)


def test_a_password_on_the_result_is_aes_256(lo: Office) -> None:
    pdf = lo.convert("letter.docx", "pdf", user_password=_SECRET).file
    said = judges.qpdf_approves(pdf, f"--password={_SECRET}", "--show-encryption")
    assert "R = 6" in said
    assert "AESv3" in said


def test_a_watermark_is_on_every_page(lo: Office) -> None:
    pdf = lo.convert("letter.docx", "pdf", watermark="DRAFT, not final").file
    plain = lo.convert("letter.docx", "pdf").file
    for page in (1, 2, 3):
        # From corner to corner; what is there besides it stands at the top.
        drawn, before = (judges.rendered(one, page).convert("L") for one in (pdf, plain))
        middle = (150, 250, 450, 600)
        assert before.crop(middle).getextrema() == (255, 255)
        assert drawn.crop(middle).getextrema()[0] < 220


def test_comments_go_where_they_are_asked_for(lo: Office) -> None:
    nowhere = lo.convert("letter.docx", "pdf").file
    assert "A remark in passing" not in judges.words(nowhere)
    assert b"/Annots" not in nowhere
    assert b"/Annots" in lo.convert("letter.docx", "pdf", comments="notes").file


def test_no_bookmarks_are_made_where_none_are_wanted(lo: Office) -> None:
    assert _outlines(lo.convert("letter.docx", "pdf", bookmarks=False).file) == []


def test_hidden_slides_and_speakers_notes_are_printed_on_request(lo: Office) -> None:
    shown = lo.convert("deck.pptx", "pdf").file
    assert re.findall(r"Slide number \d", judges.words(shown)) == [
        "Slide number 1",
        "Slide number 3",
    ]
    all_of_them = lo.convert("deck.pptx", "pdf", hidden_slides=True).file
    assert len(judges.page_sizes(all_of_them)) == 3
    notes = lo.convert("deck.pptx", "pdf", speaker_notes="only").file
    assert "Spoken words 1" in judges.words(notes)


def test_a_sheet_can_be_one_page(lo: Office) -> None:
    pdf = lo.convert("sums.xlsx", "pdf", page_a_sheet=True).file
    sizes = judges.page_sizes(pdf)
    assert len(sizes) == 2
    assert sizes[0] != sizes[1]
    assert "42" in judges.words(pdf)


def test_pages_become_pictures_of_the_size_asked_for(lo: Office) -> None:
    done = lo.convert("letter.docx", "png", pages="2-3", width=400)
    assert [judges.Seen(file, "png").size[0] for file in done.files] == [400, 400]
    assert done.files[0] != done.files[1]
    picture = judges.Seen(lo.convert("deck.pptx", "jpeg", dpi=36).file, "jpeg")
    width, height = judges.page_sizes(lo.convert("deck.pptx", "pdf").file)[0]
    assert picture.size == (math.ceil(width / 2 - 0.01), math.ceil(height / 2 - 0.01))
    assert picture.rgb().getextrema() != ((255, 255),) * 3
    assert judges.Seen(lo.convert("sums.xlsx", "webp", height=200).file, "webp").size[1] == 200


def test_a_spreadsheet_becomes_a_page_with_all_of_its_sheets(lo: Office) -> None:
    page = lo.convert("sums.xlsx", "html", operation="convert").file.decode()
    cells = re.sub(r"<[^>]*>", "|", page)
    assert "|Apples, red|" in cells
    assert "|only here|" in cells


def test_a_text_becomes_a_page_a_book_and_plain_text(lo: Office) -> None:
    page = lo.convert("letter.docx", "html", operation="convert").file
    assert b"Plain words of page 1" in page
    book = zipfile.ZipFile(io.BytesIO(lo.convert("letter.docx", "epub", operation="convert").file))
    assert book.read("mimetype") == b"application/epub+zip"
    text = lo.convert("letter.docx", "txt", operation="convert").file.decode("utf-8-sig")
    assert "Plain words of page 3, Zürich." in text


def test_a_drawing_becomes_vectors(lo: Office) -> None:
    drawn = lo.convert("shape.emf", "svg").file
    assert b"<svg" in drawn
    assert b"Drawn words" in re.sub(rb"<[^>]*>", b"", drawn)


def _encrypted(document: bytes, password: str) -> bytes:
    made = io.BytesIO()
    OOXMLFile(io.BytesIO(document)).encrypt(password, made)
    assert msoffcrypto.OfficeFile(io.BytesIO(made.getvalue())).is_encrypted()
    return made.getvalue()


def test_a_workbook_that_names_no_paper_is_printed_on_a4_and_its_dates_as_ever(lo: Office) -> None:
    sheet = io.BytesIO()
    with xlsxwriter.Workbook(sheet) as book:
        dates = book.add_format({"num_format": 14})
        book.add_worksheet().write_datetime(0, 0, datetime(2026, 3, 4), dates)  # noqa: DTZ001
    pdf = lo.convert(sheet.getvalue(), "pdf", source="xlsx").file
    assert [round(side) for side in judges.page_sizes(pdf)[0]] == [595, 842]
    assert "3/4/2026" in judges.words(pdf)


def test_an_encrypted_document_says_so_and_opens_with_its_password(lo: Office) -> None:
    secret = _encrypted((FILES / "letter.docx").read_bytes(), _SECRET)
    without = lo.convert(secret, "pdf", source="auto")
    wrong = lo.convert(secret, "pdf", source="auto", password=_WRONG)
    assert (without.error, wrong.error) == ("PasswordRequired", "PasswordRequired")
    assert "option password" in without.detail
    opened = lo.convert(secret, "pdf", source="auto", password=_SECRET)
    assert "Plain words" in judges.words(opened.file)
    assert any("not encrypted" in warning for warning in opened.warnings)


def test_an_encrypted_document_may_be_called_what_it_is_without_encryption(lo: Office) -> None:
    secret = _encrypted((FILES / "letter.docx").read_bytes(), _SECRET)
    assert lo.convert(secret, "pdf", source="docx", operation="pdf").error == "PasswordRequired"
    opened = lo.convert(secret, "pdf", source="docx", operation="pdf", password=_SECRET)
    assert "Plain words" in judges.words(opened.file)
    sums = _encrypted((FILES / "sums.xlsx").read_bytes(), _SECRET)
    assert lo.convert(sums, "pdf", source="xlsx").error == "PasswordRequired"
    assert not lo.convert(sums, "pdf", source="xlsx", password=_SECRET).error


def test_an_encrypted_opendocument_opens_with_its_password(lo: Office) -> None:
    secret = locked(lo.convert("letter.docx", "odt").file, _SECRET)
    assert lo.convert(secret, "pdf", source="odt").error == "PasswordRequired"
    assert lo.convert(secret, "pdf", source="odt", password=_WRONG).error == "PasswordRequired"
    pdf = lo.convert(secret, "pdf", source="odt", password=_SECRET).file
    assert "Plain words" in judges.words(pdf)


def _with_parts(
    name: str, parts: dict[str, bytes], *, without: str = "", instead: bytes = b""
) -> bytes:
    """A document with further parts, and one of its own replaced."""
    made = io.BytesIO()
    with zipfile.ZipFile(FILES / name) as old, zipfile.ZipFile(made, "w") as new:
        for part in old.namelist():
            new.writestr(part, instead if part == without else old.read(part))
        for part, content in parts.items():
            new.writestr(part, content)
    return made.getvalue()


def test_what_is_not_run_or_loaded_is_said(lo: Office) -> None:
    relation = (
        b'<Relationships><Relationship Id="r1" Type="http://schemas.openxmlformats.org'
        b'/officeDocument/2006/relationships/image" Target="https://example.org/x.png"'
        b' TargetMode="External"/></Relationships>'
    )
    active = _with_parts(
        "letter.docx", {"word/vbaProject.bin": b"x", "word/_rels/extra.xml.rels": relation}
    )
    said = " ".join(lo.convert(active, "pdf", source="docx").warnings)
    assert "macros; they were not run" in said
    assert "they were not loaded" in said


def test_a_damaged_document_is_refused(lo: Office) -> None:
    whole = bytearray((FILES / "letter.docx").read_bytes())
    at = whole.index(b"word/document.xml") + 100
    whole[at : at + 200] = bytes(200)
    assert lo.convert(bytes(whole), "pdf", source="docx").error == "SourceUnreadable"
    for name, part in (
        ("letter.docx", "word/document.xml"),
        ("sums.xlsx", "xl/workbook.xml"),
        ("deck.pptx", "ppt/presentation.xml"),
    ):
        cut = _with_parts(name, {}, without=part, instead=b"<w:cut")
        assert lo.convert(cut, "pdf", source=name[-4:]).error == "SourceUnreadable"
    old = lo.convert("letter.docx", "doc").file
    assert lo.convert(old[:3000], "pdf", source="doc").error in {
        "SourceUnreadable",
        "SourceMismatch",
    }


def test_a_bomb_is_refused_before_it_is_unpacked(lo: Office) -> None:
    bomb = _with_parts("letter.docx", {"word/media/a.bin": bytes(1)})
    # The directory claims two gigabytes; nothing of it is read to find out.
    at = bomb.rindex(b"PK\x01\x02")
    bomb = bomb[: at + 24] + (2**31).to_bytes(4, "little") + bomb[at + 28 :]
    assert lo.convert(bomb, "pdf", source="docx").error == "SourceTooComplex"
