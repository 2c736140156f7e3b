"""Uploads into drafts: a tree, the pictures that belong to it, and what is lost already.

What pandoc would take on trust is checked before it sees a byte: that a package unpacks to a sane
size, is not encrypted, and which encoding a text is in.
"""

import codecs
import contextlib
import io
import re
import zipfile
from typing import Any

import msgspec

from engine.converter import Work
from engine.converters.document import pandoc
from engine.converters.document.notations import NOTATIONS, READ_FLAVOURS
from engine.converters.document.pictures import Pictures, brought_by
from engine.converters.document.plain import read_plain
from engine.converters.document.slides import read_slides
from engine.converters.document.tree import Tree
from engine.errors import OptionInvalid, PasswordRequired, SourceTooComplex, SourceUnreadable
from engine.formats import find
from engine.job import Buffer
from sandbox.limits import MIB

# Parts of a package, unpacked. pandoc's heap ends well before it has read more than this.
_PARTS_BYTES_MAX = 512 * MIB
_PARTS_MAX = 20_000
# A part that is markup is held as a tree many times its size.
_MARKUP_BYTES_MAX = 64 * MIB

# An encrypted Office document is an OLE container; what else is called one is a mistake.
_OLE, _OOXML = b"\xd0\xcf\x11\xe0", frozenset({"docx", "xlsx", "pptx"})

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# Lines that put another file in their place: pandoc gives up over them.
_INCLUDES = {
    "rst": re.compile(r"^[ \t]*(?:\.\.[ ]+include::|:(?:file|url):).*$", re.MULTILINE),
    "asciidoc": re.compile(r"^include::\S.*\[.*\][ \t]*$", re.MULTILINE),
    "typst": re.compile(r"^[ \t]*#(?:include|import)[ ]+\"[^\"\n]*\".*$", re.MULTILINE),
}
# What markup says of its own encoding, near its start.
_DECLARED = re.compile(
    rb"""<\?xml[^>]*encoding\s*=\s*["']([\w.:-]+)|<meta[^>]*charset\s*=\s*["']?([\w.:-]+)""",
    re.IGNORECASE,
)
_DECLARED_WITHIN = 2048
# What of a document's own look pandoc does not read.
_LOOKS = {
    "docx": "page layout, headers, footers and text boxes are not carried over",
    "odt": "page layout, headers and footers are not carried over",
    "rtf": "page layout, headers and footers are not carried over",
    "pptx": "where things stand on the slides is not carried over",
}
# Divisions and spans that only carry a look: noise in a format that has no classes.
_WITHOUT_DIVISIONS = "-native_divs-native_spans"


class Draft(msgspec.Struct, kw_only=True):
    """A document between the format that it came in and the one it goes to."""

    tree: Tree
    pictures: Pictures
    warnings: list[str]


def read(work: Work, *, keep_divisions: bool) -> Draft:
    """Read the upload.

    Raises SourceUnreadable, SourceTooComplex, PasswordRequired, OptionInvalid.
    """
    source, options = work.source, work.options
    _check_options(source, work.target, options)
    notation = NOTATIONS[source]
    upload: Buffer = work.inputs[0]
    warnings = [_LOOKS[source]] if source in _LOOKS else []
    if notation.packed:
        warnings += _checked_package(upload, source)
    else:
        upload = decoded(upload, options.encoding).encode()
    if source == "txt":
        tree = read_plain(bytes(upload).decode(), options.text_layout, wraps=_wraps(options))
        return Draft(tree=tree, pictures=Pictures({}), warnings=warnings)
    if source == "pptx":
        tree, said = read_slides(upload)
        return Draft(tree=tree, pictures=brought_by(source, upload), warnings=warnings + said)
    reader = READ_FLAVOURS[options.markdown] if source == "md" else notation.reader
    if source == "html" and not keep_divisions:
        reader += _WITHOUT_DIVISIONS
    arguments = ("--track-changes", options.tracked_changes) if source == "docx" else ()
    if source in _INCLUDES:
        kept, count = _INCLUDES[source].subn("", bytes(upload).decode())
        upload = kept.encode()
        warnings += ["included files were not loaded: a conversion is one file"] * bool(count)
    if source == "fb2" and b"<table" in bytes(upload):
        warnings.append("tables of the book are not carried over")
    tree, said = pandoc.read(upload, reader, source, *arguments)
    return Draft(tree=tree, pictures=brought_by(source, upload), warnings=warnings + said)


def _wraps(options: Any) -> bool:
    """Whether lines are to be broken anew, for which words must be apart."""
    return bool(getattr(options, "line_width", 0))


def decoded(upload: Buffer, encoding: str) -> str:
    """A text upload as text with plain line ends. Raises SourceUnreadable."""
    content = bytes(upload)
    if encoding != "auto":
        try:
            text = content.decode(encoding)
        except (UnicodeDecodeError, LookupError) as error:
            raise SourceUnreadable(f"the text is not in {encoding}") from error
    else:
        text = _guessed(content)
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")


def _guessed(content: bytes) -> str:
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return content[len(mark) :].decode(encoding, "replace")
    with contextlib.suppress(UnicodeDecodeError):
        return content.decode()
    if declared := _DECLARED.search(content[:_DECLARED_WITHIN]):
        with contextlib.suppress(UnicodeDecodeError, LookupError):
            return content.decode((declared.group(1) or declared.group(2)).decode())
    # Every byte means something in it, with a few exceptions that nobody types.
    return content.decode("cp1252", "replace")


def _check_options(source: str, target: str, options: Any) -> None:
    """Refuse what has no meaning for this source. Raises OptionInvalid."""
    title = find(source).title
    if options.encoding != "auto" and NOTATIONS[source].packed:
        raise OptionInvalid(f"encoding: a {title} says itself how its text is encoded")
    if options.markdown != "auto" and "md" not in {source, target}:
        raise OptionInvalid("markdown: neither the upload nor the result is Markdown")
    if options.text_layout != "lines" and source != "txt":
        raise OptionInvalid(f"text_layout: it is for plain text, and this is a {title}")
    if options.tracked_changes != "accept" and source != "docx":
        raise OptionInvalid(f"tracked_changes: it is for docx, and this is a {title}")


def _checked_package(upload: Buffer, source: str) -> list[str]:
    """Look at the directory of a package, and at nothing else; say what will not be carried over.

    Raises SourceUnreadable, SourceTooComplex, PasswordRequired.
    """
    title = find(source).title
    if bytes(upload[:4]) == _OLE and source in _OOXML:
        raise PasswordRequired(
            f"the {title} is encrypted, and this converter cannot open such ones: save it without a"
            " password first, or convert it to PDF with the option password"
        )
    try:
        with zipfile.ZipFile(io.BytesIO(upload)) as package:
            parts = package.infolist()
            names = {part.filename for part in parts}
            manifest = _encryption(package, names)
    except (zipfile.BadZipFile, EOFError, ValueError, OSError, NotImplementedError) as error:
        raise SourceUnreadable(f"the {title} cannot be read: it is damaged or cut off") from error
    markup = [part.file_size for part in parts if part.filename.endswith((".xml", ".rels"))]
    if (
        len(parts) > _PARTS_MAX
        or sum(part.file_size for part in parts) > _PARTS_BYTES_MAX
        or max(markup, default=0) > _MARKUP_BYTES_MAX
    ):
        raise SourceTooComplex(f"the {title} unpacks to more than the limit")
    if manifest or any(part.flag_bits & 1 for part in parts):
        raise PasswordRequired(
            f"the {title} is encrypted, and this converter cannot open such ones: save it without a"
            " password first"
        )
    if any(name.endswith("vbaProject.bin") or name.startswith("Basic/") for name in names):
        return ["macros are not carried over, and were not run"]
    return []


def _encryption(package: zipfile.ZipFile, names: set[str]) -> bool:
    """Whether a package says that its contents are encrypted (fonts of a book do not count)."""
    if "META-INF/rights.xml" in names:
        return True
    if "mimetype" not in names or "META-INF/manifest.xml" not in names:
        return False
    with package.open("META-INF/manifest.xml") as opened:
        return b"encryption-data" in opened.read(MIB)
