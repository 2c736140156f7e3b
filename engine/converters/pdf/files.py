"""Open and save documents: the pdf family's name for converters/qpdf.py, which OCR shares."""

from engine.converters.qpdf import (
    open_document,
    read_pages,
    reading,
    save,
    unencrypted_warning,
)

__all__ = ["open_document", "read_pages", "reading", "save", "unencrypted_warning"]
