"""pdf.repair: a damaged document written anew, with what can be found of it.

Three readers try in turn. qpdf rebuilds the table of objects where the trailer is left; a trailer
that was cut off is made up from the objects that say what they are; pdfium reads by rules of its
own, and what it writes is read by qpdf again.
"""

import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec
import pikepdf

from engine.converter import Result, Work
from engine.converters.pdf.files import losses, open_document, read_pages, reading, save
from engine.converters.pdfium import opened
from engine.errors import SourceUnreadable
from engine.job import Buffer

_OBJECT = re.compile(rb"(?:^|[\r\n \t])(\d{1,9})[ \t]+(\d{1,5})[ \t]+obj\b")
_CATALOGUE = re.compile(rb"/Type\s*/Catalog\b")
_PAGE = re.compile(rb"/Type\s*/Page\b")
# As far as an object's type stands behind its beginning.
_HEAD_BYTES = 4_096
_OBJECTS_MAX = 500_000


def repair(work: Work) -> Result:
    """Rebuild. Raises SourceUnreadable where no reader finds a page."""
    with _readable(work) as (document, how):
        before = len(document.pages)
        lost = _drop_unreadable(document)
        count = read_pages(document, work.bounds)
        warnings = [*how, *losses(document)]
        if lost:
            warnings.append(f"{lost} of {before} pages could not be read and are gone")
        with reading():
            # qpdf writes the right figure, but only into a trailer that has one.
            document.trailer.Size = len(document.objects) + 1
            document.remove_unreferenced_resources()
        written = save(document, work)
        told = len(document.get_warnings())
        if told:
            warnings.append(f"{told} faults were found and set right; {count} pages are left")
        empty = sum("/Contents" not in page.obj for page in document.pages)
        if told and empty:
            warnings.append(f"{empty} pages have no contents, or lost them")
    if not warnings:
        warnings.append("no fault was found; the document was only written anew")
    return Result(files=(written,), warnings=tuple(warnings))


@contextmanager
def _readable(work: Work) -> Iterator[tuple[pikepdf.Pdf, list[str]]]:
    """The document by the first reader that finds pages, and what there is to say of it."""
    password = work.options.password
    for find, how in _READERS:
        try:
            upload = find(work)
            if upload is None:
                continue
            changed = msgspec.structs.replace(work, inputs=(upload,))
            with open_document(changed, 0, password) as document:
                read_pages(document, work.bounds)
        except SourceUnreadable:
            continue
        with open_document(changed, 0, password) as document:
            yield document, [how] if how else []
        return
    raise SourceUnreadable("the PDF document cannot be repaired: no page of it can be found")


def _drop_unreadable(document: pikepdf.Pdf) -> int:
    """Remove pages that are none, or whose contents cannot be unpacked."""
    bad = []
    for index in range(len(document.pages)):
        try:
            with reading():
                page = document.pages[index]
                _ = page.mediabox
                contents = page.obj.get("/Contents")
                if contents is not None:
                    page.contents_coalesce()
                    page.obj.Contents.read_bytes()
        except SourceUnreadable:
            bad.append(index)
    if len(bad) < len(document.pages):
        for index in reversed(bad):
            del document.pages[index]
    return len(bad)


def _with_trailer(work: Work) -> Buffer | None:
    """The file with a trailer made up: the catalogue where there is one, else one of all pages."""
    upload = bytes(work.inputs[0])
    numbers: list[int] = []
    catalogue = 0
    pages: list[int] = []
    for found in _OBJECT.finditer(upload):
        number = int(found[1])
        head = upload[found.end() : found.end() + _HEAD_BYTES].partition(b"endobj")[0]
        numbers.append(number)
        if len(numbers) > _OBJECTS_MAX:
            return None
        if _CATALOGUE.search(head):
            catalogue = number
        elif _PAGE.search(head):
            pages.append(number)
    if not numbers or not (catalogue or pages):
        return None
    top = max(numbers) + 1
    more = b""
    if not catalogue:
        kids = b" ".join(b"%d 0 R" % number for number in dict.fromkeys(pages))
        more = b"%d 0 obj\n<< /Type /Catalog /Pages %d 0 R >>\nendobj\n" % (top, top + 1)
        more += b"%d 0 obj\n<< /Type /Pages /MediaBox [0 0 612 792] " % (top + 1)
        more += b"/Count %d /Kids [%s] >>\nendobj\n" % (len(set(pages)), kids)
        catalogue, top = top, top + 2
    trailer = b"trailer\n<< /Root %d 0 R /Size %d >>\nstartxref\n0\n%%%%EOF\n" % (catalogue, top)
    return upload + b"\nendobj\n" + more + trailer


def _by_pdfium(work: Work) -> Buffer | None:
    buffer = io.BytesIO()
    with opened(work.inputs[0], work.options.password) as document:
        if not len(document):
            return None
        document.save(buffer)
    return buffer.getvalue()


# What tries to read, and what is said if it was the first to succeed.
_READERS: tuple[tuple[Callable[[Work], Buffer | None], str], ...] = (
    (lambda work: work.inputs[0], ""),
    (_with_trailer, "the end of the file is missing; the document is what is left of it"),
    (_by_pdfium, "the document was too damaged to be repaired in place; pdfium rebuilt it"),
)
