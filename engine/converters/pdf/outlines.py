"""Bookmarks: read as a tree of plain values, carried over to other pages, written.

A bookmark points at a page object of its own document, directly, through a name, or through an
action. What is read here holds the page's index instead, so it can be moved with the page; a
bookmark of a page that is gone goes too, unless something beneath it stays.

Items are walked and written here: pikepdf's own objects for them cost 50 microseconds each to read
and 20 to write, two thirds of what a merge of short documents cost.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal

import msgspec
import pikepdf
from pikepdf import Array, Dictionary, Name, OutlineItem, String

from engine.converters.pdf.files import reading
from engine.errors import SourceTooComplex

# Deeper ones than any reader shows; what is below them is left out.
_DEPTH_MAX = 15
# A book of a thousand pages has a few hundred; the tree is held as Python objects.
_BOOKMARKS_MAX = 50_000
# How many numbers say where on the page, by the kind of destination.
_NUMBERS = {"XYZ": 3, "Fit": 0, "FitH": 1, "FitV": 1, "FitR": 4, "FitB": 0, "FitBH": 1, "FitBV": 1}
_GO_TO = Name.GoTo

_Ids = tuple[int, int]


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
        outlines = document.Root.get("/Outlines")
        if outlines is None:
            return []
        numbers = {page.obj.objgen: index for index, page in enumerate(document.pages)}
        return _Reader(document, numbers).level(outlines.get("/First"), 0)


class _Reader:
    """Walks the lists of siblings. An item that was met before ends its list."""

    def __init__(self, document: pikepdf.Pdf, numbers: Mapping[_Ids, int]) -> None:
        self._document = document
        self._numbers = numbers
        self._met: set[_Ids] = set()
        self._count = 0

    def level(self, item: pikepdf.Object | None, depth: int) -> list[Bookmark]:
        """This item and all that follow it, each with what is beneath it."""
        found = []
        while item is not None:
            if item.is_indirect:
                if item.objgen in self._met:
                    break
                self._met.add(item.objgen)
            self._count += 1
            if self._count > _BOOKMARKS_MAX:
                raise SourceTooComplex(f"the document has more than {_BOOKMARKS_MAX} bookmarks")
            page, where = self._target(item)
            first = item.get("/First") if depth < _DEPTH_MAX else None
            if not isinstance(first, Dictionary):
                first = None
            found.append(
                Bookmark(
                    title=str(item.get("/Title", "")),
                    page=page,
                    where=where,
                    is_open=first is None or not _is_negative(item.get("/Count")),
                    children=[] if first is None else self.level(first, depth + 1),
                )
            )
            item = item.get("/Next")
        return found

    def _target(self, item: pikepdf.Object) -> tuple[int | None, tuple[object, ...]]:
        """The page's index and how it is shown. A destination that makes no sense is none."""
        aim = item.get("/Dest")
        if aim is None and (action := item.get("/A")) is not None:
            aim = action.get("/D") if action.get("/S") == _GO_TO else None
        if isinstance(aim, String | Name):
            aim = self._named(aim)
        if not isinstance(aim, Array) or not len(aim):
            return None, ()
        page, *where = aim
        index = self._numbers.get(page.objgen) if isinstance(page, Dictionary) else None
        return (None, ()) if index is None else (index, _shown(where))

    def _named(self, name: String | Name) -> Array | None:
        try:
            found = OutlineItem("", name).resolved_destination(self._document)
        except (pikepdf.PikepdfError, ValueError, TypeError, AttributeError):
            return None
        return None if found is None else found.to_array()


def _is_negative(count: object) -> bool:
    return isinstance(count, int) and count < 0


def _shown(where: Sequence[object]) -> tuple[object, ...]:
    """How the page is shown, as ISO 32000-1, 12.3.2.2 has it; whole, where that is not said."""
    kind = str(where[0]).removeprefix("/") if where else ""
    if kind not in _NUMBERS:
        return (Name.Fit,)
    numbers = [one if type(one) in {int, Decimal} else None for one in where[1:]]
    wanted = _NUMBERS[kind]
    return (Name(f"/{kind}"), *numbers[:wanted], *[None] * (wanted - len(numbers)))


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
        outlines = document.make_indirect(Dictionary(Type=Name.Outlines))
        pages = [page.obj for page in document.pages]
        outlines["/Count"] = _hang(document, outlines, bookmarks, pages)
        document.Root["/Outlines"] = outlines


def _hang(
    document: pikepdf.Pdf,
    parent: pikepdf.Object,
    bookmarks: Sequence[Bookmark],
    pages: Sequence[pikepdf.Object],
) -> int:
    """Put these beneath an item; returns how many show while it is open."""
    showing = 0
    previous = None
    for one in bookmarks:
        item = document.make_indirect(Dictionary(Title=one.title, Parent=parent))
        if one.page is not None:
            item["/Dest"] = Array([pages[one.page], *(one.where or [Name.Fit])])
        if previous is None:
            parent["/First"] = item
        else:
            item["/Prev"] = previous
            previous["/Next"] = item
        previous = item
        showing += 1
        if one.children:
            beneath = _hang(document, item, one.children, pages)
            item["/Count"] = beneath if one.is_open else -beneath
            showing += beneath if one.is_open else 0
    parent["/Last"] = previous
    return showing
