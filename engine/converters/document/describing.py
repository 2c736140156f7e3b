"""document.metadata: what an office document or a book says of itself, as JSON.

It is written in a part of its own: docProps of Office Open XML (ECMA-376, part 2, 11, and part 1,
22.2), meta.xml of OpenDocument (part 3, 4.3), the package document of an EPUB, and the property
sets of old Office files ([MS-OLEPS]). All of it is text of a stranger and what the writer claimed:
it is shortened, and pages are those that were counted when the document was last saved. Slides and
sheets are counted here.
"""

import io
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime

import msgspec
import olefile
from lxml import etree

from engine.converter import Result, Work
from engine.errors import SourceTooComplex, SourceUnreadable
from engine.job import Buffer
from sandbox.limits import MIB

_TEXT_MAX = 10_000
# A part that is larger is left alone: a large table's sheets are not counted.
_PART_MAX = 16 * MIB
_PARTS_MAX = 20_000
_UTF_8, _UTF_16 = 65_001, 1200
_MANIFEST = "META-INF/manifest.xml"
_MACROS = ("vbaproject.bin", "script-lb.xml")
_SLIDE = re.compile(r"ppt/slides/slide[0-9]+\.xml")
# The first day of that clock means that nobody set it.
_NEVER = 1601
# Elements by their local names: Office Open XML has these in two parts.
_PROPERTIES: Mapping[str, str] = {
    "title": "title",
    "creator": "author",
    "subject": "subject",
    "description": "comments",
    "keywords": "keywords",
    "language": "language",
    "lastModifiedBy": "last_author",
    "created": "created",
    "modified": "modified",
    "category": "category",
    "Application": "application",
    "Company": "company",
    "Manager": "manager",
    "Pages": "pages",
    "Words": "words",
    "Characters": "characters",
}
# Where each kind of package keeps them, and what its elements mean.
_PARTS: Mapping[str, Mapping[str, str]] = {
    "docProps/core.xml": _PROPERTIES,
    "docProps/app.xml": _PROPERTIES,
    "meta.xml": {
        "title": "title",
        "initial-creator": "author",
        "creator": "last_author",
        "subject": "subject",
        "description": "comments",
        "keyword": "keywords",
        "language": "language",
        "creation-date": "created",
        "date": "modified",
        "generator": "application",
    },
    ".opf": {
        "title": "title",
        "creator": "author",
        "subject": "keywords",
        "description": "comments",
        "language": "language",
        "publisher": "publisher",
        "date": "published",
        "dcterms:modified": "modified",
    },
}
_STATISTICS = {"page-count": "pages", "word-count": "words", "character-count": "characters"}
_OLD: Mapping[str, str] = {
    "title": "title",
    "author": "author",
    "subject": "subject",
    "comments": "comments",
    "keywords": "keywords",
    "last_saved_by": "last_author",
    "create_time": "created",
    "last_saved_time": "modified",
    "creating_application": "application",
    "company": "company",
    "manager": "manager",
    "category": "category",
    "num_pages": "pages",
    "num_words": "words",
    "num_chars": "characters",
    "slides": "slides",
}
_NUMBERS = frozenset({"pages", "words", "characters", "slides", "sheets"})


class Description(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What document.metadata answers; what is not said is left out."""

    format: str
    bytes: int
    title: str = ""
    author: str = ""
    subject: str = ""
    keywords: str = ""
    comments: str = ""
    category: str = ""
    language: str = ""
    publisher: str = ""
    company: str = ""
    manager: str = ""
    last_author: str = ""
    application: str = ""
    # As the document writes them.
    created: str = ""
    modified: str = ""
    published: str = ""
    pages: int | None = None
    slides: int | None = None
    sheets: int | None = None
    words: int | None = None
    characters: int | None = None
    has_macros: bool = False
    # Then nothing else is known.
    encrypted: bool = False


def metadata(work: Work) -> Result:
    """Read it all. Raises SourceUnreadable, SourceTooComplex."""
    data = work.inputs[0]
    with _reading():
        told = _of_package(data) if bytes(data[:2]) == b"PK" else _of_old(data)
    if "slides" in told:
        told["pages"] = told["slides"]
    # What claims to have more than anybody counts, or less than none, says nothing.
    known = {
        name: value
        for name, value in told.items()
        if isinstance(value, (str, bool)) or 0 < value < 1 << 31
    }
    described = msgspec.convert({"format": work.source, "bytes": len(data), **known}, Description)
    return Result(files=(msgspec.json.format(msgspec.json.encode(described)),))


@contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except (
        zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError,
        ValueError, LookupError, TypeError, AttributeError, ArithmeticError, etree.LxmlError,
    ) as error:  # fmt: skip
        raise SourceUnreadable("the document cannot be read: it is damaged or cut off") from error


def _of_package(data: Buffer) -> dict[str, str | int]:
    told: dict[str, str | int] = {}
    with zipfile.ZipFile(io.BytesIO(data)) as package:
        if len(package.filelist) > _PARTS_MAX:
            raise SourceTooComplex(f"the document has more than {_PARTS_MAX} parts, the limit")
        names = package.namelist()
        if b"encryption-data" in _part(package, _MANIFEST):
            return {"encrypted": True}
        for name in names:
            meanings = _PARTS.get(name) or _PARTS.get(name[-len(".opf") :])
            if meanings:
                # What one part says is not said again by another.
                told = {**_said(_part(package, name), meanings), **told}
        told |= _counted(package, names)
    if any(name.lower().endswith(_MACROS) for name in names):
        told["has_macros"] = True
    return told


def _counted(package: zipfile.ZipFile, names: list[str]) -> dict[str, str | int]:
    """Slides and sheets, of which there is a part or an element each."""
    if slides := sum(1 for name in names if _SLIDE.fullmatch(name)):
        return {"slides": slides}
    if "xl/workbook.xml" in names:
        return {"sheets": _elements(_part(package, "xl/workbook.xml"), "sheet")}
    if "content.xml" not in names or "mimetype" not in names:
        return {}
    kind = _part(package, "mimetype")
    if kind.endswith(b".presentation"):
        return {"slides": _elements(_part(package, "content.xml"), "page")}
    if kind.endswith(b".spreadsheet"):
        return {"sheets": _elements(_part(package, "content.xml"), "table")}
    return {}


def _part(package: zipfile.ZipFile, name: str) -> bytes:
    """The part, or nothing where it is absent or too large."""
    if name not in package.NameToInfo:
        return b""
    with package.open(name) as stream:
        content = stream.read(_PART_MAX + 1)
    return content if len(content) <= _PART_MAX else b""


def _tags(content: bytes) -> Iterator[etree._Element]:
    """All elements, each when it is complete; entities stay what they are."""
    if not content:
        return
    for _, element in etree.iterparse(
        io.BytesIO(content),
        events=("end",),
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
    ):
        yield element


def _elements(content: bytes, name: str) -> int:
    """How many elements of this local name there are."""
    count = 0
    for element in _tags(content):
        count += etree.QName(element).localname == name
        element.clear()
    return count


def _said(content: bytes, meanings: Mapping[str, str]) -> dict[str, str | int]:
    told: dict[str, str | int] = {}
    for element in _tags(content):
        if not isinstance(element.tag, str):
            continue
        local = etree.QName(element).localname
        for name, number in element.attrib.items() if local == "document-statistic" else ():
            _note(told, _STATISTICS.get(etree.QName(name).localname), str(number))
        _note(told, meanings.get(element.get("property") or local), element.text or "")
    return told


def _note(told: dict[str, str | int], name: str | None, text: str) -> None:
    """Remember the first of what is said; several keywords or authors stand in one line."""
    text = text.strip()[:_TEXT_MAX]
    if name is None or not text:
        return
    if name in _NUMBERS:
        if text.isdecimal() and len(text) < 10:  # noqa: PLR2004  # more is no count
            told.setdefault(name, int(text))
    elif name in {"keywords", "author"} and name in told:
        told[name] = f"{told[name]}, {text}"[:_TEXT_MAX]
    else:
        told.setdefault(name, text)


def _of_old(data: Buffer) -> dict[str, str | int]:
    told: dict[str, str | int] = {}
    with olefile.OleFileIO(io.BytesIO(data)) as file:
        found = file.get_metadata()
        encoding = _encoding(found.codepage)
        for theirs, ours in _OLD.items():
            value = getattr(found, theirs)
            if isinstance(value, bytes):
                text = value.decode(encoding, "replace").replace("\0", "").strip()
                value = text[:_TEXT_MAX] or None
            elif isinstance(value, datetime):
                value = value.isoformat(timespec="seconds") if value.year > _NEVER else None
            if isinstance(value, int) == (ours in _NUMBERS) and value is not None:
                told[ours] = value
        if file.exists("Macros") or file.exists("_VBA_PROJECT_CUR"):
            told["has_macros"] = True
    return told


def _encoding(page: object) -> str:
    """Python's name of a code page, which old files give as a signed number of 16 bits."""
    number = page & 0xFFFF if isinstance(page, int) else 0
    special = {_UTF_8: "utf-8", _UTF_16: "utf-16-le", 0: "cp1252"}
    name = special.get(number, f"cp{number}")
    try:
        b"".decode(name)
    except LookupError:
        return "cp1252"
    return name
