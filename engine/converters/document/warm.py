"""Use what the document family uses once, on documents small enough to cost nothing.

A worker can open no file: what Python would import or open at first use is used before the fork.
pandoc is a program and loads nothing of ours; typst must not compile before the fork (`press.py`).
"""

import codecs
import contextlib
import email.message
import io
from encodings.aliases import aliases

from PIL import Image

from engine.converters.document import (
    catalogue,
    convert,
    letters,
    options,
    pictures,
    plain,
    press,
    sieve,
    typeset,
)

# Imported here so that preloading this module loads every implementation.
__all__ = ["catalogue", "convert", "sieve", "touch", "typeset", "warm"]

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


def touch() -> None:
    """Nothing: what a conversion needs first is another program, and typst's thread."""


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
