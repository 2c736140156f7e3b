"""Use what the document family uses once, on documents small enough to cost nothing.

A worker can open no file: what Python would import or open at first use is used before the fork.
pandoc is a program and loads nothing of ours; typst must not compile before the fork (`press.py`).
"""

import codecs
import contextlib
import email.message
import io
import zipfile
from encodings.aliases import aliases

import msgspec
from PIL import Image

from engine.converter import Work
from engine.converters.document import (
    catalogue,
    convert,
    describing,
    letters,
    options,
    pictures,
    plain,
    press,
    sieve,
    typeset,
)
from engine.converters.document.comparing import compare
from engine.converters.document.comparing.options import CompareOptions
from engine.job import Bounds

_WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
_MAIN = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"

# Imported here so that preloading this module loads every implementation.
__all__ = ["catalogue", "compare", "convert", "describing", "sieve", "touch", "typeset", "warm"]

_KINDS = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF")
# What mail, ZIP directories (cp437) and markup may say that their text is in; looked up by name, so
# that a worker finds each one loaded.
_ENCODINGS = frozenset(
    {*options.ENCODINGS, "utf-16-le", "utf-16-be", "utf-8-sig", "ascii", *aliases.values()}
)


def warm() -> None:
    """Decode each kind of picture, each encoding, a message with everything, and a broken one."""
    press.prepare()
    for encoding in _ENCODINGS:
        # Some exist on Windows only.
        with contextlib.suppress(LookupError):
            codecs.lookup(encoding)
    for kind in _KINDS:
        buffer = io.BytesIO()
        Image.new("RGB", (9, 9)).save(buffer, kind)
        found = pictures.kind_of(buffer.getvalue())
        if found is not None:
            one = pictures.Picture(kind=found, content=buffer.getvalue())
            one.size()
            one.as_png()
    pictures.Pictures({}).find("data:image/png;base64,AAAA")
    plain.read_plain("warm\n\n  up", "lines")
    letters.parse(_message(), "eml")
    pair = (_document("<w:b/>", "a warm word"), _document("<w:i/>", "one word"))
    options = CompareOptions()
    work = Work(
        sources=("docx", "docx"), target="docx", inputs=pair, options=options, bounds=Bounds()
    )
    compare.compare(work)
    describing.metadata(msgspec.structs.replace(work, target="json", inputs=pair[:1]))


def touch() -> None:
    """Nothing: what a conversion needs first is another program, and typst's thread."""


def _document(look: str, text: str) -> bytes:
    """A Word document of one paragraph and one table."""
    run = f"<w:r><w:rPr>{look}</w:rPr><w:t>{text}</w:t></w:r>"
    cells = f"<w:tbl><w:tr><w:tc><w:p>{run}</w:p></w:tc></w:tr></w:tbl>"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as package:
        relation = f'<Relationship Id="a" Type="{_MAIN}" Target="main.xml"/>'
        listed = f'<Relationships xmlns="{_RELATIONS}">{relation}</Relationships>'
        package.writestr("_rels/.rels", listed)
        body = f"<w:body><w:p>{run}</w:p>{cells}<w:p/></w:body>"
        package.writestr("main.xml", f'<w:document xmlns:w="{_WORD}">{body}</w:document>')
    return buffer.getvalue()


def _message() -> bytes:
    message = email.message.EmailMessage()
    message["From"] = "Ä <a@example.org>"
    message["To"] = message["Cc"] = "b@example.org"
    message["Date"] = "Fri, 20 Nov 2026 12:00:00 +0000"
    message["Subject"] = "Wärme"
    message.set_content("text")
    message.add_alternative("<p>text", subtype="html")
    message.add_attachment(b"x", maintype="application", subtype="pdf", filename="ä.pdf")
    return message.as_bytes()
