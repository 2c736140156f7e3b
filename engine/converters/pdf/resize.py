"""pdf.resize: pages of another size, with their contents, links, comments and form fields."""

import pikepdf

from engine.converter import Result, Work
from engine.converters.lettering import number
from engine.converters.pdf.catalogue_layout import ResizeOptions
from engine.converters.pdf.files import (
    losses,
    open_document,
    read_pages,
    reading,
    save,
)
from engine.converters.pdf.geometry import (
    MM,
    SIDE_MAX,
    SIDE_MIN,
    SIZES,
    Box,
    View,
    lying,
    set_box,
    view,
)
from engine.converters.pdf.ranges import parse_pages
from engine.errors import TargetImpossible

# Entries of an annotation that hold points one after the other (ISO 32000-1, 12.5.6).
_POINTS = ("/Rect", "/QuadPoints", "/Vertices", "/L", "/CL")

# Across and up: how much larger, and how far moved.
_Placing = tuple[float, float, float, float]


def resize(work: Work) -> Result:
    """Scale the pages. Raises TargetImpossible for sizes that no reader shows."""
    options: ResizeOptions = work.options
    with open_document(work, 0, options.password) as document:
        count = read_pages(document, work.bounds)
        pages = parse_pages(options.pages, count, pages_max=work.bounds.pages_max)
        moved: set[tuple[int, int]] = set()
        for index in dict.fromkeys(pages):
            page = document.pages[index]
            with reading():
                page.flatten_rotation()
            _resize(page, view(page), options, moved)
        warnings = losses(document)
        return Result(files=(save(document, work),), warnings=warnings)


def _resize(
    page: pikepdf.Page, seen: View, options: ResizeOptions, moved: set[tuple[int, int]]
) -> None:
    width, height = _size(seen.size, options)
    placing = _placing(seen, width, height, options)
    with reading():
        page.contents_add(_prefix(seen.box, placing), prepend=True)
        page.contents_add(b"\nQ\n")
        for annotation in page.obj.get("/Annots", pikepdf.Array()):
            # One that two pages list is moved once.
            if isinstance(annotation, pikepdf.Dictionary) and annotation.objgen not in moved:
                _move(annotation, placing)
                if annotation.is_indirect:
                    moved.add(annotation.objgen)
        if "/UserUnit" in page.obj:
            del page.obj["/UserUnit"]
    set_box(page, Box(0, 0, width, height))


def _size(seen: tuple[float, float], options: ResizeOptions) -> tuple[float, float]:
    """The new page in points."""
    if options.page_size == "scale":
        size = seen[0] * options.percent / 100, seen[1] * options.percent / 100
    elif options.page_size == "custom":
        size = options.width_mm * MM, options.height_mm * MM
    else:
        wide = (
            seen[0] > seen[1]
            if options.orientation == "auto"
            else (options.orientation == "landscape")
        )
        size = lying(SIZES[options.page_size], wide=wide)
    if not all(SIDE_MIN <= side <= SIDE_MAX for side in size):
        raise TargetImpossible("a page would be smaller than 1 mm or larger than 5 m")
    return size


def _placing(seen: View, width: float, height: float, options: ResizeOptions) -> _Placing:
    margin = options.margin_mm * MM
    room = width - 2 * margin, height - 2 * margin
    if min(room) < SIDE_MIN:
        raise TargetImpossible("the margins leave no room on the page")
    across, up = room[0] / seen.box.width, room[1] / seen.box.height
    if options.fit != "stretch":
        across = up = min(across, up)
        if options.fit == "shrink":
            across = up = min(across, seen.unit)
    left = (width - seen.box.width * across) / 2 - seen.box.left * across
    bottom = (height - seen.box.height * up) / 2 - seen.box.bottom * up
    return across, up, left, bottom


def _prefix(box: Box, placing: _Placing) -> bytes:
    """Scale and move; what the old box hid stays hidden."""
    across, up, left, bottom = (number(value) for value in placing)
    sides = " ".join(number(value) for value in (box.left, box.bottom, box.width, box.height))
    return f"q {across} 0 0 {up} {left} {bottom} cm {sides} re W n\n".encode()


def _move(annotation: pikepdf.Dictionary, placing: _Placing) -> None:
    for name in _POINTS:
        points = annotation.get(name)
        if isinstance(points, pikepdf.Array):
            annotation[name] = _moved(points, placing)
    strokes = annotation.get("/InkList")
    if isinstance(strokes, pikepdf.Array):
        annotation["/InkList"] = pikepdf.Array(
            [_moved(one, placing) for one in strokes if isinstance(one, pikepdf.Array)]
        )


def _moved(points: pikepdf.Array, placing: _Placing) -> pikepdf.Array:
    across, up, left, bottom = placing
    return pikepdf.Array(
        [
            round(float(value) * (up if place % 2 else across) + (bottom if place % 2 else left), 4)
            for place, value in enumerate(points)
        ]
    )
