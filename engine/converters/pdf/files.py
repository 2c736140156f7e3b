"""Open and save documents: the pdf family's name for converters/qpdf.py, which OCR shares."""

import pikepdf

from engine.converters.qpdf import (
    open_document,
    read_pages,
    reading,
    save,
    unencrypted_warning,
)

__all__ = [
    "losses",
    "open_document",
    "read_pages",
    "reading",
    "save",
    "signature_warning",
    "unencrypted_warning",
]

_SIGNED = 1  # a bit of SigFlags: there are signatures (ISO 32000-1, 12.7.2)


def losses(document: pikepdf.Pdf) -> tuple[str, ...]:
    """What any change to the document, saved anew, takes from it."""
    return (*unencrypted_warning(document), *signature_warning(document))


def signature_warning(document: pikepdf.Pdf) -> tuple[str, ...]:
    """Said where the source was signed: a changed document is not what was signed."""
    with reading():
        form = document.Root.get("/AcroForm")
        flags = form.get("/SigFlags", 0) if isinstance(form, pikepdf.Dictionary) else 0
        signed = isinstance(flags, int) and flags & _SIGNED
    return ("the document was signed; in the result the signature is not valid",) if signed else ()
