"""The conversions: a document goes into LibreOffice through a file that only this process has."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import pikepdf
import pypdfium2
from PIL import Image

from engine.converter import Result, Work
from engine.converters import pdfium
from engine.converters.capped import CappedBuffer
from engine.converters.office import kit, pdf_filter, source, store
from engine.converters.office.catalogue_options import ImageOptions
from engine.errors import (
    SourceUnreadable,
    TargetImpossible,
    TargetTooLarge,
)
from engine.job import Bounds, Buffer
from engine.progress import each

_IN, _OUT = "in", "out"
# Pictures of one document.
_FILES_MAX = 500
# Two copies of the result while it grows, the document, and LibreOffice's own temporary files.
_STORE_BYTES_MAX = 1024 * 1024 * 1024
_IMAGES = {"png": "PNG", "jpeg": "JPEG", "webp": "WEBP"}


class _Open(NamedTuple):
    document: kit.Document
    source: source.Source
    work: Work


def to_pdf(work: Work) -> Result:
    """Print the document. Raises TargetImpossible where it has none of the pages."""
    with _opened(work) as opened:
        printed = _saved(opened, "pdf", pdf_filter.written(work.options))
        _check_pages(printed, work.options.pages)
        if work.options.user_password:
            printed = protected(printed, work.options.user_password, work.bounds)
        return Result(files=(printed,), warnings=opened.source.warnings)


def to_images(work: Work) -> Result:
    """Draw pages: LibreOffice prints them, pdfium draws what was printed."""
    options: ImageOptions = work.options
    with _opened(work) as opened:
        printed = _saved(opened, "pdf", pdf_filter.for_pictures(options.pages))
    _check_pages(printed, options.pages)
    return Result(files=drawn(printed, work), warnings=opened.source.warnings)


def drawn(printed: Buffer, work: Work) -> tuple[Buffer, ...]:
    """Each page of a PDF as a picture. Raises TargetTooLarge, SourceTooComplex."""
    with pdfium.opened(printed, "") as document:
        if len(document) > _FILES_MAX:
            raise TargetTooLarge(f"more than {_FILES_MAX} images; ask for fewer pages")
        return tuple(_picture(document, index, work) for index in each(range(len(document))))


def protected(printed: Buffer, password: str, bounds: Bounds) -> Buffer:
    """Encrypt a PDF with AES-256, which LibreOffice of this version cannot."""
    buffer = CappedBuffer(bounds.output_bytes_max)
    with pikepdf.Pdf.open(io.BytesIO(printed)) as document:
        document.save(buffer, encryption=pikepdf.Encryption(user=password, owner=password))
    return buffer.take()


def to_office(work: Work) -> Result:
    """Save the document in another format."""
    with _opened(work) as opened:
        options = "EmbedImages" if work.target == "html" else ""
        saved = _saved(opened, work.target, options)
        return Result(files=(saved,), warnings=opened.source.warnings)


@contextmanager
def _opened(work: Work) -> Iterator[_Open]:
    """Raises PasswordRequired, SourceUnreadable, SourceTooComplex."""
    examined = source.examine(work.inputs[0], work.source, work.options.password)
    store.limit(_STORE_BYTES_MAX)
    path = f"{store.folder(_IN)}/source.{examined.kind}"
    store.put(path, examined.content)
    try:
        with kit.kit().opened(path) as document:
            yield _Open(document, examined, work)
    except kit.Unreadable as error:
        raise SourceUnreadable(
            "the document cannot be read: it is damaged, cut off, or not what it is said to be"
        ) from error


def _saved(opened: _Open, kind: str, options: str) -> Buffer:
    """The document in another format. Raises TargetTooLarge, TargetImpossible."""
    path = f"{store.folder(_OUT)}/result.{kind}"
    try:
        opened.document.save(path, kind, options)
    except kit.Unwritable as error:
        if store.was_full():
            raise _too_large(opened.work) from error
        raise TargetImpossible(
            f"this document cannot be written as {kind}: it may be empty, or have none of the pages"
        ) from error
    saved = store.take(path)
    if saved is None or not len(saved):
        raise TargetImpossible(f"nothing of this document can be written as {kind}")
    if len(saved) > opened.work.bounds.output_bytes_max:
        raise _too_large(opened.work)
    return saved


def _too_large(work: Work) -> TargetTooLarge:
    return TargetTooLarge(
        f"the result would be larger than {work.bounds.output_bytes_max >> 20} MiB, the limit"
    )


def _check_pages(printed: Buffer, pages: str) -> None:
    with pdfium.opened(printed, "") as document:
        if not len(document):
            raise TargetImpossible(f"the document has none of the pages {pages}")


def _picture(document: pypdfium2.PdfDocument, index: int, work: Work) -> Buffer:
    options: ImageOptions = work.options
    look = pdfium.Look()
    sheet = pdfium.measure(
        document,
        index,
        look,
        work.bounds,
        dpi=options.dpi,
        width=options.width,
        height=options.height,
    )
    picture = pdfium.draw(document, sheet, look)
    buffer = CappedBuffer(work.bounds.output_bytes_max)
    _write(picture, buffer, work.target, options.quality, sheet.dpi)
    return buffer.take()


def _write(
    picture: Image.Image, buffer: CappedBuffer, target: str, quality: int, dpi: float
) -> None:
    if target == "png":
        picture.save(buffer, "PNG", dpi=(dpi, dpi))
    else:
        picture.save(buffer, _IMAGES[target], quality=quality, dpi=(dpi, dpi))
