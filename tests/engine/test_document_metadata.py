"""What office documents and books tell about themselves, read without opening them."""

import io
import json
import zipfile
from typing import Any

import pytest

from engine.converters.document.catalogue import DESCRIBED
from engine.inspection import describer_of, read
from tests.engine.calls import convert, sample
from tests.engine.office_odf_lock import locked
from tests.engine.pairs import sample as smallest

_CORE = (
    '<p:coreProperties xmlns:p="http://schemas.openxmlformats.org/package/2006/metadata/core-properties"'
    ' xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:dcterms="http://purl.org/dc/terms/">'
    "<dc:title>Wärme &amp; Licht</dc:title><dc:creator>Ada</dc:creator>"
    "<p:lastModifiedBy>Ben</p:lastModifiedBy><p:keywords>sun, lamp</p:keywords>"
    "<dcterms:created>2026-11-01T08:00:00Z</dcterms:created></p:coreProperties>"
)
_APP = (
    '<Properties xmlns="http://schemas.openxmlformats.org/officeDocument/2006/extended-properties">'
    "<Application>Writer's Desk</Application><Company>Lamps</Company>"
    "<Pages>12</Pages><Words>3400</Words></Properties>"
)
_META = (
    '<office:document-meta xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"'
    ' xmlns:meta="urn:oasis:names:tc:opendocument:xmlns:meta:1.0"'
    ' xmlns:dc="http://purl.org/dc/elements/1.1/"><office:meta>'
    "<dc:creator>Ben</dc:creator><meta:initial-creator>Ada</meta:initial-creator>"
    "<meta:keyword>sun</meta:keyword><meta:keyword>lamp</meta:keyword>"
    '<meta:document-statistic meta:page-count="7" meta:word-count="40"/>'
    "</office:meta></office:document-meta>"
)


def package(**parts: str) -> bytes:
    """A package of these parts; "__" in a name is its folder's end, "_" the dot."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in parts.items():
            file.writestr(name.replace("__", "/").replace("_", "."), content)
    return buffer.getvalue()


def told(data: bytes, source: str) -> dict[str, Any]:
    reply = convert(data, source, "json", operation="metadata")
    described = json.loads(reply.file)
    assert (described.pop("format"), described.pop("bytes")) == (source, len(data))
    return described


@pytest.mark.parametrize("source", DESCRIBED)
def test_every_kind_of_document_describes_itself(source: str) -> None:
    data = smallest(source)
    assert data is not None
    described = told(data, source)
    assert all(described.values())
    describer = describer_of(source)
    assert describer is not None
    assert describer.name == "document.metadata"


def test_a_word_document_tells_both_its_parts() -> None:
    assert told(package(docProps__core_xml=_CORE, docProps__app_xml=_APP), "docx") == {
        "title": "Wärme & Licht",
        "author": "Ada",
        "last_author": "Ben",
        "keywords": "sun, lamp",
        "created": "2026-11-01T08:00:00Z",
        "application": "Writer's Desk",
        "company": "Lamps",
        "pages": 12,
        "words": 3400,
    }


def test_whoever_wrote_an_opendocument_is_not_who_saved_it_last() -> None:
    described = told(package(meta_xml=_META), "odt")
    assert described == {
        "author": "Ada",
        "last_author": "Ben",
        "keywords": "sun, lamp",
        "pages": 7,
        "words": 40,
    }


@pytest.mark.parametrize("name", ["office/deck.pptx", "samples/sample.odp"])
def test_slides_are_counted_and_are_the_pages_of_an_inspection(name: str) -> None:
    reply = convert(sample(name), name.rpartition(".")[2], "json", operation="metadata")
    _, figures = read(reply.files)
    assert figures.pages == 3


@pytest.mark.parametrize("name", ["office/sums.xlsx", "samples/sample.ods"])
def test_sheets_are_counted(name: str) -> None:
    assert told(sample(name), name.rpartition(".")[2])["sheets"] == 2


def test_an_old_presentation_is_read_in_its_own_letters() -> None:
    described = told(sample("samples/sample.ppt"), "ppt")
    assert described["title"] == "This is a title, it\N{RIGHT SINGLE QUOTATION MARK}s in black"
    assert (described["slides"], described["created"]) == (1, "2005-07-31T16:35:16")


def test_an_encrypted_opendocument_says_that_and_nothing_else() -> None:
    data = locked(sample("document/suite.odt"), "sesame")
    assert told(data, "odt") == {"encrypted": True}
    _, figures = read(convert(data, "odt", "json", operation="metadata").files)
    assert figures.encrypted


def test_macros_are_said_and_stay_where_they_are() -> None:
    assert told(package(word__vbaProject_bin="x"), "docx") == {"has_macros": True}


def test_entities_are_not_followed_and_claims_beyond_reason_are_not_repeated() -> None:
    entity = '<!DOCTYPE c [<!ENTITY f SYSTEM "file:///etc/passwd"><!ENTITY a "aaaa">]>'
    core = entity + _CORE.replace("Ada", "&f;").replace("Ben", "&a;")
    app = _APP.replace("12", "-12").replace("3400", "9" * 40)
    described = told(package(docProps__core_xml=core, docProps__app_xml=app), "docx")
    assert "author" not in described
    assert "root:" not in str(described)
    assert not {"pages", "words"} & set(described)
    long = told(package(docProps__core_xml=_CORE.replace("Ada", "A" * 50_000)), "docx")
    assert len(long["author"]) == 10_000


def test_a_part_that_unpacks_without_end_says_nothing() -> None:
    bomb = _CORE.replace("Ada", " " * 40_000_000)
    assert told(package(docProps__core_xml=bomb, docProps__app_xml=_APP), "docx")["pages"] == 12


@pytest.mark.parametrize("source", ["docx", "epub", "doc", "odp"])
def test_a_document_cut_off_is_unreadable(source: str) -> None:
    data = smallest(source)
    assert data is not None
    for half in (data[: len(data) // 2], data[:8]):
        reply = convert(half, source, "json", operation="metadata")
        assert reply.error == "SourceUnreadable"
