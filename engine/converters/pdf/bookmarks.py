"""pdf.bookmarks and pdf.set_bookmarks: the outline of a document as JSON."""

from collections.abc import Sequence

import msgspec

from engine.converter import Result, Work
from engine.converters.pdf.catalogue_parts import Entry, SetBookmarksOptions, entries
from engine.converters.pdf.files import losses, open_document, read_pages, save
from engine.converters.pdf.outlines import Bookmark, read_bookmarks, write_bookmarks
from engine.errors import OptionInvalid, TargetImpossible

# As deep as readers show them.
_DEPTH_MAX = 15


def bookmarks(work: Work) -> Result:
    """Titles, pages and what is beneath them."""
    with open_document(work, 0, work.options.password) as document:
        read_pages(document, work.bounds)
        listed = [_told(one) for one in read_bookmarks(document)]
    return Result(files=(msgspec.json.format(msgspec.json.encode(listed)),))


def _told(one: Bookmark) -> Entry:
    return Entry(
        title=one.title,
        page=None if one.page is None else one.page + 1,
        open=one.is_open,
        children=[_told(child) for child in one.children],
    )


def set_bookmarks(work: Work) -> Result:
    """Write bookmarks. Raises TargetImpossible for a page beyond the end."""
    options: SetBookmarksOptions = work.options
    with open_document(work, 0, options.password) as document:
        count = read_pages(document, work.bounds)
        wanted = _wanted(entries(options.bookmarks), count, 1)
        if options.mode == "append":
            wanted = [*read_bookmarks(document), *wanted]
        write_bookmarks(document, wanted)
        return Result(files=(save(document, work),), warnings=losses(document))


def _wanted(listed: Sequence[Entry], count: int, depth: int) -> list[Bookmark]:
    if depth > _DEPTH_MAX:
        raise OptionInvalid(f"bookmarks: they are nested deeper than {_DEPTH_MAX} levels")
    made = []
    for one in listed:
        if one.page is not None and one.page > count:
            raise TargetImpossible(
                f"a bookmark leads to page {one.page}: the document has {count}"
                f" {'page' if count == 1 else 'pages'}"
            )
        made.append(
            Bookmark(
                title=one.title,
                page=None if one.page is None else one.page - 1,
                is_open=one.open,
                children=_wanted(one.children, count, depth + 1),
            )
        )
    return made
