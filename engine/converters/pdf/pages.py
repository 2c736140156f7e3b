"""Operations on pages: merge, pages, delete, rotate (by pikepdf, over qpdf).

A result with other pages than its source is a new document into which pages are copied: deleting
pages in place would leave them in the file wherever a bookmark or a link still points at them.
Bookmarks are carried over as far as their pages are.
"""

from collections.abc import Sequence
from contextlib import ExitStack

import pikepdf

from engine.converter import Result, Work
from engine.converters.pdf.catalogue_pages import DeleteOptions, MergeOptions, RotateOptions
from engine.converters.pdf.files import (
    losses,
    open_document,
    read_pages,
    reading,
    save,
)
from engine.converters.pdf.outlines import (
    Bookmark,
    carried,
    places_of,
    read_bookmarks,
    write_bookmarks,
)
from engine.converters.pdf.ranges import parse_pages
from engine.errors import OptionInvalid, SourceTooComplex, TargetImpossible
from engine.job import Buffer

# Where a document keeps names that its pages use: of destinations, and of fields.
_NAMING = ("/AcroForm", "/Dests", "/Names")
# Each page asked for by its number costs as much as a list of all costs for a sixteenth of them.
_FEW = 16


def merge(work: Work) -> Result:
    """Join the documents in order. Form fields and links stay; equal field names are renamed."""
    options: MergeOptions = work.options
    wanted = options.pages.split(";")
    if len(wanted) > len(work.inputs):
        raise OptionInvalid(
            f"pages: there are {len(wanted)} lists of pages and {len(work.inputs)} files"
        )
    warnings: list[str] = []
    bookmarks: list[Bookmark] = []
    total = 0
    # Copied streams are read from their source when the target is saved: all stay open until then.
    with ExitStack() as opened:
        target = opened.enter_context(pikepdf.new())
        for index in range(len(work.inputs)):
            source = opened.enter_context(open_document(work, index, options.password))
            text = wanted[index] if index < len(wanted) else ""
            chosen = _chosen(source, text or "1-", work)
            if total + len(chosen) > work.bounds.pages_max:
                raise SourceTooComplex(
                    f"the documents have together more than {work.bounds.pages_max} pages,"
                    " the limit"
                )
            _copy(source, target, chosen)
            if options.bookmarks != "drop":
                own = carried(read_bookmarks(source), places_of(chosen, total))
                bookmarks += (
                    _nested(source, own, index, total) if options.bookmarks == "nest" else own
                )
            warnings += losses(source)
            total += len(chosen)
            if index == 0:
                _copy_title(source, target)
        write_bookmarks(target, bookmarks)
        written = save(target, work)
    return Result(files=(written,), warnings=tuple(dict.fromkeys(warnings)))


def _nested(source: pikepdf.Pdf, own: list[Bookmark], index: int, first: int) -> list[Bookmark]:
    with reading():
        title = str(source.docinfo.get("/Title", "")).strip()
    return [Bookmark(title=title or f"Document {index + 1}", page=first, children=own)]


def pages(work: Work) -> Result:
    """Only the named pages, in the named order."""
    with open_document(work, 0, work.options.password) as source:
        chosen = _chosen(source, work.options.pages, work)
        return Result(
            files=(extract(source, chosen, read_bookmarks(source), work),),
            warnings=losses(source),
        )


def delete(work: Work) -> Result:
    """All pages but the named ones. Raises TargetImpossible where none would be left."""
    options: DeleteOptions = work.options
    with open_document(work, 0, options.password) as source:
        gone = set(_chosen(source, options.pages, work))
        kept = [index for index in range(len(source.pages)) if index not in gone]
        if not kept:
            raise TargetImpossible("no page would be left: pages names all of them")
        return Result(
            files=(extract(source, kept, read_bookmarks(source), work),),
            warnings=losses(source),
        )


def rotate(work: Work) -> Result:
    """Turn pages clockwise, on top of how they lie now."""
    options: RotateOptions = work.options
    with open_document(work, 0, options.password) as document:
        chosen = _chosen(document, options.pages, work)
        with reading():
            for index in dict.fromkeys(chosen):
                document.pages[index].rotate(options.angle, relative=True)
        written = save(document, work)
        return Result(files=(written,), warnings=losses(document))


def extract(
    source: pikepdf.Pdf, chosen: Sequence[int], bookmarks: Sequence[Bookmark], work: Work
) -> Buffer:
    """A document of these pages, with the bookmarks that lead to them. Raises TargetTooLarge."""
    with pikepdf.new() as target:
        _copy(source, target, chosen)
        _copy_title(source, target)
        write_bookmarks(target, carried(bookmarks, places_of(chosen)))
        return save(target, work)


def _chosen(document: pikepdf.Pdf, text: str, work: Work) -> list[int]:
    count = read_pages(document, work.bounds)
    return parse_pages(text, count, pages_max=work.bounds.pages_max)


def _copy(source: pikepdf.Pdf, target: pikepdf.Pdf, chosen: Sequence[int]) -> None:
    """Append these pages, with what else of the document they need.

    pikepdf's own way asks qpdf for the list of all pages several times a page: twice the time for
    ten pages, and 8 s for 8,000 of them. It is taken where links or fields have names.
    """
    with reading():
        if any(name in source.Root for name in _NAMING):
            target.add_pages_from(source, chosen)
            return
        pages = source.pages if len(chosen) < _FEW else list(source.pages)
        for index in chosen:
            target._add_page(pages[index].obj)  # noqa: SLF001  # append counts all pages first


def _copy_title(source: pikepdf.Pdf, target: pikepdf.Pdf) -> None:
    """Title, author and the like. They are texts; anything else there is not carried over."""
    with reading():
        for name, value in source.docinfo.items():
            if isinstance(value, pikepdf.String):
                target.docinfo[name] = pikepdf.String(bytes(value))
