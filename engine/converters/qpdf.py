"""Open and save PDF documents by qpdf within the bounds, in memory only.

qpdf's own limits on decoded streams are set before a stranger's file is parsed: a few kilobytes of
object stream can unpack to gigabytes. What pikepdf raises becomes one of our errors, without its
message, which may quote the document.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pikepdf

from engine.converter import Work
from engine.errors import PasswordRequired, SourceTooComplex, SourceUnreadable, TargetTooLarge
from engine.job import Bounds, Buffer
from sandbox.limits import MIB

# One decoded stream. qpdf holds several copies of what it parses, and the worker has 1.5 GiB. A
# larger picture is no error: qpdf then passes it on as it is packed.
_STREAM_BYTES_MAX = 128 * MIB
# Warnings are kept in memory by qpdf, one a damaged object.
_WARNINGS_MAX = 1_000

_DAMAGE = (
    pikepdf.PdfError,
    pikepdf.PikepdfError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    RuntimeError,
    NotImplementedError,
)


@contextmanager
def reading() -> Iterator[None]:
    """Translate what pikepdf raises about a document."""
    limits_hit = pikepdf.settings.qpdf_limit_errors()
    try:
        yield
    except pikepdf.PasswordError as error:
        raise PasswordRequired(
            "the document is encrypted and this password does not open it;"
            " pass its password in the option password"
        ) from error
    except RecursionError as error:
        raise SourceTooComplex("the document is nested too deeply") from error
    except _DAMAGE as error:
        # Limits on nesting are counted by qpdf, those on unpacked bytes are told in words only.
        counted = pikepdf.settings.qpdf_limit_errors() > limits_hit
        if counted or "limit exceeded" in str(error):
            raise SourceTooComplex(
                "the document unpacks to more than the limit, or is nested too deeply"
            ) from error
        raise SourceUnreadable(
            "the PDF document cannot be read: it is damaged, cut off, or of an unusual kind"
        ) from error


@contextmanager
def open_document(work: Work, index: int, password: str, **how: Any) -> Iterator[pikepdf.Pdf]:
    """Open one of the uploads. Raises PasswordRequired, SourceUnreadable, SourceTooComplex."""
    pikepdf.settings.set_qpdf_limits(
        doc_max_warnings=_WARNINGS_MAX,
        flate_max_memory=_STREAM_BYTES_MAX,
        run_length_max_memory=_STREAM_BYTES_MAX,
        png_max_memory=_STREAM_BYTES_MAX,
        tiff_max_memory=_STREAM_BYTES_MAX,
        dct_max_memory=_STREAM_BYTES_MAX,
    )
    with reading():
        document = pikepdf.Pdf.open(io.BytesIO(work.inputs[index]), password=password, **how)
    with document:
        yield document


def read_pages(document: pikepdf.Pdf, bounds: Bounds) -> int:
    """Walk the page tree and count. Raises SourceTooComplex, SourceUnreadable."""
    with reading():
        count = len(document.pages)
    if count > bounds.pages_max:
        raise SourceTooComplex(f"the document has {count} pages; the limit is {bounds.pages_max}")
    if not count:
        raise SourceUnreadable("the document has no pages")
    return count


def save(document: pikepdf.Pdf, work: Work, **how: Any) -> Buffer:
    """Write the document. Raises TargetTooLarge.

    qpdf writes a few bytes at a time, some 25,000 times for a hundred pages: a buffer that counts
    in Python at each would cost more than all else of a merge. It is asked at each hundredth.
    """
    buffer = io.BytesIO()

    def check(_hundredths: int = 0) -> None:
        if buffer.tell() > work.bounds.output_bytes_max:
            raise TargetTooLarge(
                f"the document would be larger than {work.bounds.output_bytes_max // MIB} MiB;"
                " ask for fewer pages or files"
            )

    # Without this, an encrypted source would be encrypted again with the password that opened it.
    how.setdefault("encryption", False)
    with reading():
        document.save(buffer, progress=check, **how)
    check()
    return buffer.getbuffer()


def unencrypted_warning(document: pikepdf.Pdf) -> tuple[str, ...]:
    """Said where the source was encrypted and the result is not."""
    return ("the result is not encrypted; the source was",) if document.is_encrypted else ()
