"""pdf.text: the text of a document, page by page (by pdfium)."""

import pikepdf
import pypdfium2
import pypdfium2.raw as pdfium

from engine.converter import Result, Work
from engine.converters.capped import CappedBuffer
from engine.converters.pdf.catalogue import TextOptions
from engine.converters.pdf.files import open_document, read_pages, reading
from engine.converters.pdf.ranges import parse_pages
from engine.errors import PasswordRequired, SourceUnreadable

_SEPARATORS = {"form-feed": "\f", "blank-line": "\n"}


def text(work: Work) -> Result:
    """Take the text out, in the order in which the document draws it."""
    options: TextOptions = work.options
    chosen = _checked_pages(work, options)
    buffer = CappedBuffer(work.bounds.output_bytes_max)
    found = False
    document = _open(bytes(work.inputs[0]), options.password)
    try:
        for place, index in enumerate(chosen):
            words = _page_text(document, index)
            found = found or bool(words.strip())
            separator = _SEPARATORS[options.separator] if place else ""
            buffer.write((separator + words).encode())
    finally:
        document.close()
    warnings = () if found else ("no text was found; scanned pages need text recognition",)
    return Result(files=(buffer.take(),), warnings=warnings)


def _checked_pages(work: Work, options: TextOptions) -> list[int]:
    """The wanted pages, after qpdf unpacked structure and contents once within its limits.

    pdfium has no such limits: it would unpack a bomb until the worker's memory ends.
    """
    with open_document(work, 0, options.password) as document:
        count = read_pages(document, work.bounds)
        chosen = parse_pages(options.pages, count, pages_max=work.bounds.pages_max)
        for index in dict.fromkeys(chosen):
            with reading():
                contents = document.pages[index].obj.get("/Contents")
                streams = list(contents) if isinstance(contents, pikepdf.Array) else [contents]
                for stream in streams:
                    if isinstance(stream, pikepdf.Stream):
                        stream.read_bytes()
    return chosen


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
