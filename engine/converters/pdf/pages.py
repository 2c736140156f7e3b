"""Operations on pages: merge, pages, split, rotate (by pikepdf, over qpdf).

A result with other pages than its source is a new document into which pages are copied: deleting
pages in place would leave them in the file wherever a bookmark or a link still points at them.
"""

from contextlib import ExitStack

import pikepdf

from engine.converter import Result, Work
from engine.converters.pdf.catalogue_pages import RotateOptions, SplitOptions
from engine.converters.pdf.files import (
    open_document,
    read_pages,
    reading,
    save,
    unencrypted_warning,
)
from engine.converters.pdf.ranges import parse_items, parse_pages
from engine.errors import SourceTooComplex, TargetTooLarge
from engine.job import Buffer

# More files than this are more than anybody sorts by hand, and each repeats fonts and resources.
_FILES_MAX = 1_000


def merge(work: Work) -> Result:
    """Join the documents in order. Form fields and links stay; equal field names are renamed."""
    warnings: list[str] = []
    total = 0
    # Copied streams are read from their source when the target is saved: all stay open until then.
    with ExitStack() as opened:
        target = opened.enter_context(pikepdf.new())
        for index in range(len(work.inputs)):
            source = opened.enter_context(open_document(work, index, work.options.password))
            total += read_pages(source, work.bounds)
            if total > work.bounds.pages_max:
                raise SourceTooComplex(
                    f"the documents have together more than {work.bounds.pages_max} pages,"
                    " the limit"
                )
            _copy(source, target, None, warnings)
            warnings += unencrypted_warning(source)
            if index == 0:
                _copy_title(source, target)
        written = save(target, work)
    return Result(files=(written,), warnings=tuple(dict.fromkeys(warnings)))


def pages(work: Work) -> Result:
    """Only the named pages, in the named order."""
    with open_document(work, 0, work.options.password) as source:
        count = read_pages(source, work.bounds)
        chosen = parse_pages(work.options.pages, count, pages_max=work.bounds.pages_max)
        warnings = list(unencrypted_warning(source))
        written = _extract(source, chosen, work, warnings)
    return Result(files=(written,), warnings=tuple(warnings))


def split(work: Work) -> Result:
    """Several documents: every so many pages, or one a range."""
    options: SplitOptions = work.options
    with open_document(work, 0, options.password) as source:
        count = read_pages(source, work.bounds)
        if options.ranges:
            groups = parse_items(options.ranges, count)
        else:
            every = options.every
            groups = [list(range(at, min(at + every, count))) for at in range(0, count, every)]
        if len(groups) > _FILES_MAX:
            raise SourceTooComplex(
                f"the result would be {len(groups)} files; the limit is {_FILES_MAX}:"
                " put more pages in each"
            )
        warnings = list(unencrypted_warning(source))
        files: list[Buffer] = []
        for group in groups:
            files.append(_extract(source, group, work, warnings))
            if sum(len(file) for file in files) > work.bounds.output_bytes_max:
                raise TargetTooLarge("the results would together be larger than the limit")
    return Result(files=tuple(files), warnings=tuple(dict.fromkeys(warnings)))


def rotate(work: Work) -> Result:
    """Turn pages clockwise, on top of how they lie now."""
    options: RotateOptions = work.options
    with open_document(work, 0, options.password) as document:
        count = read_pages(document, work.bounds)
        chosen = parse_pages(options.pages, count, pages_max=work.bounds.pages_max)
        with reading():
            for index in dict.fromkeys(chosen):
                document.pages[index].rotate(options.angle, relative=True)
        written = save(document, work)
        return Result(files=(written,), warnings=unencrypted_warning(document))


def _extract(source: pikepdf.Pdf, chosen: list[int], work: Work, warnings: list[str]) -> Buffer:
    with pikepdf.new() as target:
        _copy(source, target, chosen, warnings)
        _copy_title(source, target)
        return save(target, work)


def _copy(
    source: pikepdf.Pdf, target: pikepdf.Pdf, chosen: list[int] | None, warnings: list[str]
) -> None:
    with reading():
        target.add_pages_from(source, chosen)
        if "/Outlines" in source.Root:
            warnings.append("bookmarks were not carried over")


def _copy_title(source: pikepdf.Pdf, target: pikepdf.Pdf) -> None:
    """Title, author and the like. They are texts; anything else there is not carried over."""
    with reading():
        for name, value in source.docinfo.items():
            if isinstance(value, pikepdf.String):
                target.docinfo[name] = pikepdf.String(bytes(value))
