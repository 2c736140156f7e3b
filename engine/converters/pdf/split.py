"""pdf.split: several documents out of one, by count, ranges, bookmarks or size."""

from collections.abc import Iterator, Sequence

import pikepdf

from engine.converter import Result, Work
from engine.converters.pdf.catalogue_pages import SplitOptions
from engine.converters.pdf.files import losses, open_document, read_pages
from engine.converters.pdf.outlines import Bookmark, read_bookmarks
from engine.converters.pdf.pages import extract
from engine.converters.pdf.ranges import parse_items
from engine.errors import SourceTooComplex, TargetImpossible, TargetTooLarge
from engine.job import Buffer

# More files than this are more than anybody sorts by hand, and each repeats fonts and resources.
_FILES_MAX = 1_000
_MEGABYTE = 1_000_000


def split(work: Work) -> Result:
    """Several documents in the order of their pages. Raises TargetImpossible, TargetTooLarge."""
    options: SplitOptions = work.options
    warnings: list[str] = []
    files: list[Buffer] = []
    size = 0
    with open_document(work, 0, options.password) as source:
        count = read_pages(source, work.bounds)
        bookmarks = read_bookmarks(source)
        warnings += losses(source)
        for file in _files(source, count, bookmarks, work, warnings):
            files.append(file)
            size += len(file)
            if len(files) > _FILES_MAX:
                raise _too_many(f"more than {_FILES_MAX}")
            if size > work.bounds.output_bytes_max:
                raise TargetTooLarge("the results would together be larger than the limit")
    return Result(files=tuple(files), warnings=tuple(dict.fromkeys(warnings)))


def _files(
    source: pikepdf.Pdf, count: int, bookmarks: Sequence[Bookmark], work: Work, warnings: list[str]
) -> Iterator[Buffer]:
    options: SplitOptions = work.options
    if options.size_mb:
        yield from _filled(source, count, bookmarks, work, warnings)
        return
    if options.ranges:
        groups = parse_items(options.ranges, count)
    elif options.bookmarks:
        groups = _chapters(bookmarks, options.bookmarks, count)
    else:
        every = options.every
        groups = [list(range(at, min(at + every, count))) for at in range(0, count, every)]
    if len(groups) > _FILES_MAX:
        raise _too_many(str(len(groups)))
    for group in groups:
        yield extract(source, group, bookmarks, work)


def _too_many(files: str) -> SourceTooComplex:
    return SourceTooComplex(
        f"the result would be {files} files; the limit is {_FILES_MAX}: put more pages in each"
    )


def _chapters(bookmarks: Sequence[Bookmark], levels: int, count: int) -> list[list[int]]:
    """Pages from each bookmark to the next; what lies before the first is a file too."""
    begins = sorted(set(_begins(bookmarks, levels)))
    if not begins:
        raise TargetImpossible("the document has no bookmarks that lead to a page of it")
    begins = begins if begins[0] == 0 else [0, *begins]
    ends = [*begins[1:], count]
    return [list(range(begin, end)) for begin, end in zip(begins, ends, strict=True)]


def _begins(bookmarks: Sequence[Bookmark], levels: int) -> Iterator[int]:
    for one in bookmarks:
        if one.page is not None:
            yield one.page
        if levels > 1:
            yield from _begins(one.children, levels - 1)


def _filled(
    source: pikepdf.Pdf, count: int, bookmarks: Sequence[Bookmark], work: Work, warnings: list[str]
) -> Iterator[Buffer]:
    """Files as full as fits.

    What pages weigh together is known only when they are written, since they share fonts and
    pictures: each file is found by doubling its pages until it is too large, then by halving steps.
    """
    bytes_max = int(work.options.size_mb * _MEGABYTE)
    at = 0
    while at < count:
        best = extract(source, [at], bookmarks, work)
        if len(best) > bytes_max:
            warnings.append("a page alone is larger than size_mb; it is a file of its own")
            at += 1
            yield best
            continue
        fits, step = 1, 1
        too_many = count - at + 1
        while fits + step < too_many:
            trial = extract(source, range(at, at + fits + step), bookmarks, work)
            if len(trial) <= bytes_max:
                best, fits = trial, fits + step
                step = min(step * 2, max(too_many - fits - 1, 1))
            else:
                too_many = fits + step
                step = max((too_many - fits) // 2, 1)
        at += fits
        yield best
