"""pdf.text: the text of a document, page by page (by pdfium)."""

import pypdfium2
import pypdfium2.raw as pdfium

from engine.converter import Result, Work
from engine.converters.capped import CappedBuffer
from engine.converters.pdf.catalogue import TextOptions
from engine.converters.pdf.ranges import parse_pages
from engine.errors import PasswordRequired, SourceTooComplex, SourceUnreadable

_SEPARATORS = {"form-feed": "\f", "blank-line": "\n"}


def text(work: Work) -> Result:
    """Take the text out, in the order in which the document draws it."""
    options: TextOptions = work.options
    document = _open(bytes(work.inputs[0]), options.password)
    try:
        count = len(document)
        if count > work.bounds.pages_max:
            raise SourceTooComplex(
                f"the document has {count} pages; the limit is {work.bounds.pages_max}"
            )
        buffer = CappedBuffer(work.bounds.output_bytes_max)
        found = False
        chosen = parse_pages(options.pages, count, pages_max=work.bounds.pages_max)
        for place, index in enumerate(chosen):
            words = _page_text(document, index)
            found = found or bool(words.strip())
            separator = _SEPARATORS[options.separator] if place else ""
            buffer.write((separator + words).encode())
    finally:
        document.close()
    warnings = () if found else ("no text was found; scanned pages need text recognition",)
    return Result(files=(buffer.take(),), warnings=warnings)


def _open(upload: bytes, password: str) -> pypdfium2.PdfDocument:
    try:
        return pypdfium2.PdfDocument(upload, password=password or None)
    except pypdfium2.PdfiumError as error:
        if error.err_code in {pdfium.FPDF_ERR_PASSWORD, pdfium.FPDF_ERR_SECURITY}:
            raise PasswordRequired(
                "the document is encrypted and this password does not open it;"
                " pass its password in the option password"
            ) from error
        raise SourceUnreadable(
            "the PDF document cannot be read: it is damaged, cut off, or of an unusual kind"
        ) from error


def _page_text(document: pypdfium2.PdfDocument, index: int) -> str:
    """One page, each line ended by a line feed. A page that cannot be loaded is an error."""
    try:
        page = document[index]
        found = page.get_textpage().get_text_bounded()
        page.close()
    except pypdfium2.PdfiumError as error:
        raise SourceUnreadable(f"page {index + 1} of the document cannot be read") from error
    lines = found.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n")
    return lines + "\n" if lines else ""
