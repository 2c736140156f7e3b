"""Walk through everything that pages draw: fonts, pictures, and streams unpacked once.

pdfium has no limits on what a stream unpacks to, so a few kilobytes could fill a worker's memory.
Whatever is reachable from the pages is unpacked here first by qpdf, which has them, and thrown
away; what qpdf cannot unpack at all is left for pdfium to try.
"""

from collections.abc import Iterable
from typing import Any

import msgspec
import pikepdf

from engine.converters.qpdf import reading
from engine.errors import SourceTooComplex, SourceUnreadable
from engine.job import Bounds

# A page of a large catalogue reaches a few thousand objects; this is a hundred such pages.
_OBJECTS_MAX = 500_000
# Keys that lead out of the page: to other pages, to the logical structure, to where a link goes.
_OUTWARD = frozenset({
    "/Parent", "/P", "/Dest", "/A", "/AA", "/B", "/Popup", "/IRT", "/StructParent", "/Metadata",
    "/PieceInfo", "/Thumb", "/Next", "/Prev", "/OC", "/OCGs", "/Group", "/V", "/Kids",
})  # fmt: skip
_ANCESTORS_MAX = 50
# Readers bring these along (ISO 32000-1, 9.6.2.2).
STANDARD_FONTS = frozenset({
    "Courier", "Courier-Bold", "Courier-BoldOblique", "Courier-Oblique", "Helvetica",
    "Helvetica-Bold", "Helvetica-BoldOblique", "Helvetica-Oblique", "Symbol", "Times-Bold",
    "Times-BoldItalic", "Times-Italic", "Times-Roman", "ZapfDingbats",
})  # fmt: skip


class Font(msgspec.Struct, frozen=True):
    """A font that a page names. `subset`: only the letters in use are in the document."""

    name: str
    kind: str
    embedded: bool
    subset: bool


class Parts(msgspec.Struct):
    """What the walked pages draw; each thing once, in the order of its first use."""

    fonts: list[Font] = []
    pictures: list[Any] = []  # pikepdf.Stream, which is typed as Object

    def missing_fonts(self) -> int:
        """How many fonts are neither in the document nor among those that readers bring."""
        return sum(not font.embedded and font.name not in STANDARD_FONTS for font in self.fonts)


def walk(document: pikepdf.Pdf, pages: Iterable[int], bounds: Bounds) -> Parts:
    """Visit what these pages (from 0) reach. Raises SourceTooComplex for what is too large."""
    parts = Parts(fonts=[], pictures=[])
    seen: set[tuple[int, int]] = set()
    visited = 0
    for index in dict.fromkeys(pages):
        todo = _roots(document, index)
        while todo:
            node = todo.pop()
            if _is_known(node, seen):
                continue
            visited += 1
            if visited > _OBJECTS_MAX:
                raise SourceTooComplex("the pages are made of more objects than the limit")
            try:
                with reading():
                    todo += _look(node, parts, bounds)
            except SourceUnreadable:  # pdfium may know what to make of it
                continue
    return parts


def _roots(document: pikepdf.Pdf, index: int) -> list[Any]:
    """Contents, resources (the page's own or inherited) and what annotations look like."""
    with reading():
        page = document.pages[index].obj
        roots = [page.get("/Contents"), _inherited(page, "/Resources")]
        annotations = page.get("/Annots")
        if isinstance(annotations, pikepdf.Array):
            roots += [one.get("/AP") for one in annotations if isinstance(one, pikepdf.Dictionary)]
    return [root for root in reversed(roots) if isinstance(root, pikepdf.Object)]


def _inherited(page: pikepdf.Object, key: str) -> Any:
    node: Any = page
    for _ in range(_ANCESTORS_MAX):
        if not isinstance(node, pikepdf.Dictionary):
            return None
        if key in node:
            return node.get(key)
        node = node.get("/Parent")
    return None


def _is_known(node: Any, seen: set[tuple[int, int]]) -> bool:
    place = node.objgen
    if place == (0, 0):
        return False
    known = place in seen
    seen.add(place)
    return known


def _look(node: Any, parts: Parts, bounds: Bounds) -> list[Any]:
    """Take note of one object and return those that it refers to, the first one last."""
    if isinstance(node, pikepdf.Array):
        inside = list(node)
    else:
        inside = [value for key, value in node.items() if key not in _OUTWARD]
        if isinstance(node, pikepdf.Stream):
            _look_at_stream(node, parts, bounds)
        elif node.get("/Type") == "/Font" and "/Subtype" in node:
            _note_font(node, parts)
    kinds = (pikepdf.Dictionary, pikepdf.Array, pikepdf.Stream)
    return [one for one in reversed(inside) if isinstance(one, kinds)]


def _look_at_stream(stream: Any, parts: Parts, bounds: Bounds) -> None:
    if stream.get("/Subtype") != "/Image":
        stream.read_bytes()
        return
    width, height = int(stream.get("/Width", 0)), int(stream.get("/Height", 0))
    if width * height > bounds.pixels_max:
        raise SourceTooComplex(
            f"a picture in the document is {width} x {height} pixels; the limit is"
            f" {bounds.pixels_max // 1_000_000} megapixels"
        )
    parts.pictures.append(stream)


def _note_font(font: Any, parts: Parts) -> None:
    kind = str(font.get("/Subtype", "")).removeprefix("/")
    if kind.startswith("CIDFont"):
        return  # a part of the Type0 font that was noted
    name = str(font.get("/BaseFont", font.get("/Name", ""))).removeprefix("/")
    prefix, plus, rest = name.partition("+")
    subset = bool(plus) and len(prefix) == 6 and prefix.isupper()  # noqa: PLR2004  # ISO 32000-1, 9.6.4
    noted = Font(rest if subset else name, kind, kind == "Type3" or _is_embedded(font), subset)
    if noted not in parts.fonts:
        parts.fonts.append(noted)


def _is_embedded(font: Any) -> bool:
    below = font.get("/DescendantFonts")
    holder = below[0] if isinstance(below, pikepdf.Array) and len(below) else font
    descriptor = holder.get("/FontDescriptor")
    return isinstance(descriptor, pikepdf.Dictionary) and any(
        key in descriptor for key in ("/FontFile", "/FontFile2", "/FontFile3")
    )
