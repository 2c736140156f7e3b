"""Use what the document family uses once, on documents small enough to cost nothing.

A worker can open no file: what Python would import or open at first use is used before the fork.
pandoc is a program and loads nothing of ours; typst must not compile before the fork (`press.py`).
"""

import email.message
import io

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
_ENCODINGS = (*options.ENCODINGS, "cp1252", "utf-16-le", "utf-16-be", "ascii", "latin-1")


def warm() -> None:
    """Decode each kind of picture, each encoding, a message with everything, and a broken one."""
    press.prepare()
    for encoding in _ENCODINGS:
        b"".decode(encoding)
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
