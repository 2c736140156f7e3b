"""Bookmarks: read as a tree of plain values, carried over to other pages, written.

A bookmark points at a page object of its own document, directly, through a name, or through an
action. What is read here holds the page's index instead, so it can be moved with the page; a
bookmark of a page that is gone goes too, unless something beneath it stays.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec
import pikepdf
from pikepdf import Array, Dictionary, Name, OutlineItem

from engine.converters.pdf.files import reading
from engine.errors import SourceTooComplex

# Deeper ones than any reader shows; what is below them is left out.
_DEPTH_MAX = 15
# A book of a thousand pages has a few hundred; the tree is held as Python objects.
_BOOKMARKS_MAX = 50_000


class Bookmark(msgspec.Struct, kw_only=True):
    """One bookmark. `page` counts from 0; `where` is the rest of its destination, or nothing."""

    title: str
    page: int | None = None
    where: tuple[object, ...] = ()
    is_open: bool = True
    children: list["Bookmark"] = msgspec.field(default_factory=list)


def read_bookmarks(document: pikepdf.Pdf) -> list[Bookmark]:
    """The document's bookmarks. Raises SourceTooComplex, SourceUnreadable."""
    with reading():
        if "/Outlines" not in document.Root:
            return []
        numbers = {page.obj.objgen: index for index, page in enumerate(document.pages)}
        items = document.open_outline(max_depth=_DEPTH_MAX).root
        return _read(document, items, numbers, [0])


def _read(
    document: pikepdf.Pdf,
    items: Iterable[OutlineItem],
    numbers: Mapping[tuple[int, int], int],
    count: list[int],
) -> list[Bookmark]:
    found = []
    for item in items:
        count[0] += 1
        if count[0] > _BOOKMARKS_MAX:
            raise SourceTooComplex(f"the document has more than {_BOOKMARKS_MAX} bookmarks")
        page, where = _target(document, item, numbers)
        found.append(
            Bookmark(
                title=item.title,
                page=page,
                where=where,
                is_open=not item.is_closed,
                children=_read(document, item.children, numbers, count),
            )
        )
    return found


def _target(
    document: pikepdf.Pdf, item: OutlineItem, numbers: Mapping[tuple[int, int], int]
) -> tuple[int | None, tuple[object, ...]]:
    """The page's index and how it is shown. A destination that makes no sense is none."""
    destination = item.destination
    if destination is None and item.action is not None and item.action.get("/S") == Name.GoTo:
        aim = item.action.get("/D")
        destination = aim if isinstance(aim, Array | pikepdf.String | Name) else None
    if destination is None:
        return None, ()
    try:
        named = OutlineItem("", destination).resolved_destination(document)
        if named is None:
            return None, ()
        page = named.page
        index = numbers.get(page.objgen) if isinstance(page, Dictionary) else None
        return index, tuple(named.to_array())[1:]
    except (pikepdf.PikepdfError, ValueError, TypeError, AttributeError):
        return None, ()


def carried(bookmarks: Sequence[Bookmark], places: Mapping[int, int]) -> list[Bookmark]:
    """The bookmarks of the pages that stay, pointing where those lie now (`places`: from, to)."""
    kept = []
    for one in bookmarks:
        children = carried(one.children, places)
        place = None if one.page is None else places.get(one.page)
        if place is not None or children:
            where = one.where if place is not None else ()
            kept.append(
                Bookmark(
                    title=one.title,
                    page=place,
                    where=where,
                    is_open=one.is_open,
                    children=children,
                )
            )
    return kept


def places_of(chosen: Sequence[int], offset: int = 0) -> dict[int, int]:
    """Where each chosen page lies afterwards; of one that is repeated, its first."""
    places: dict[int, int] = {}
    for place, page in enumerate(chosen):
        places.setdefault(page, place + offset)
    return places


def write_bookmarks(document: pikepdf.Pdf, bookmarks: Sequence[Bookmark]) -> None:
    """Replace the document's bookmarks; none leaves it without."""
    with reading():
        if "/Outlines" in document.Root:
            del document.Root["/Outlines"]
        if not bookmarks:
            return
        with document.open_outline(max_depth=_DEPTH_MAX) as outline:
            outline.root.extend(_items(document, bookmarks))


def _items(document: pikepdf.Pdf, bookmarks: Sequence[Bookmark]) -> list[OutlineItem]:
    made = []
    for one in bookmarks:
        destination = None
        if one.page is not None:
            where = list(one.where) or [Name.Fit]
            destination = Array([document.pages[one.page].obj, *where])
        item = OutlineItem(one.title, destination)
        item.is_closed = not one.is_open
        item.children = _items(document, one.children)
        made.append(item)
    return made
