"""pdf.nup and pdf.booklet: pages drawn on sheets, by qpdf's form objects.

A page becomes a drawing: comments and filled forms are part of it, links and fields end.
"""

from collections.abc import Sequence
from typing import NamedTuple

import pikepdf
from pikepdf import Name, Rectangle

from engine.converter import Result, Work
from engine.converters.lettering import number
from engine.converters.pdf.appearances import flatten
from engine.converters.pdf.catalogue_layout import BookletOptions, NupOptions
from engine.converters.pdf.files import (
    losses,
    open_document,
    read_pages,
    reading,
    save,
)
from engine.converters.pdf.geometry import MM, SIDE_MIN, SIZES, Box, lying, view
from engine.converters.pdf.ranges import parse_pages
from engine.errors import TargetImpossible

# Columns and rows of an upright sheet; on a wide one they change places.
_GRIDS = {
    2: (1, 2),
    3: (1, 3),
    4: (2, 2),
    6: (2, 3),
    8: (2, 4),
    9: (3, 3),
    12: (3, 4),
    16: (4, 4),
}
_DRAWN = "links, bookmarks and form fields end: the pages are drawings on the sheets"
_FRAME = "q 0.5 w 0.6 G {} {} {} {} re S Q\n"
# A booklet's sheet has two pages on each of two sides.
_LEAVES = 4


class _Grid(NamedTuple):
    """A sheet in points, and the places on it in reading order."""

    width: float
    height: float
    cells: tuple[Box, ...]


def nup(work: Work) -> Result:
    """Pages beside and below each other."""
    options: NupOptions = work.options
    with open_document(work, 0, options.password) as source:
        chosen = _prepared(source, options.pages, work)
        first = view(source.pages[chosen[0]]).size
        grid = _best_grid(options, first)
        size = len(grid.cells)
        sides = [list(chosen[at : at + size]) for at in range(0, len(chosen), size)]
        return _draw(source, grid, sides, work, frame=options.frame)


def booklet(work: Work) -> Result:
    """Two pages a side, in the order that folding asks for."""
    options: BookletOptions = work.options
    with open_document(work, 0, options.password) as source:
        chosen = _prepared(source, options.pages, work)
        margin = options.margin_mm * MM
        grid = _grid(lying(SIZES[options.page_size], wide=True), (2, 1), margin, 2 * margin)
        leaves: list[int | None] = [*chosen]
        leaves += [None] * (-len(leaves) % _LEAVES)
        sides = []
        for place in range(len(leaves) // 2):
            outer, inner = leaves[len(leaves) - 1 - place], leaves[place]
            pair = [outer, inner] if place % 2 == 0 else [inner, outer]
            sides.append(pair if options.binding == "left" else pair[::-1])
        return _draw(source, grid, sides, work)


def _prepared(source: pikepdf.Pdf, pages: str, work: Work) -> list[int]:
    """The wanted pages; what is laid over them becomes part of them."""
    count = read_pages(source, work.bounds)
    chosen = parse_pages(pages, count, pages_max=work.bounds.pages_max)
    flatten(source, "screen")
    return chosen


def _best_grid(options: NupOptions, page: tuple[float, float]) -> _Grid:
    """Of the ways a sheet can lie and be divided, the one with the largest pages."""
    grid = _GRIDS[options.per_sheet]
    ways = {"portrait": [False], "landscape": [True], "auto": [False, True]}[options.orientation]
    tries = [
        _grid(
            lying(SIZES[options.page_size], wide=wide),
            shape,
            options.margin_mm * MM,
            options.gap_mm * MM,
            down=options.order == "down",
        )
        for wide in ways
        for shape in dict.fromkeys((grid[::-1] if wide else grid, grid if wide else grid[::-1]))
    ]
    return max(
        tries, key=lambda one: min(one.cells[0].width / page[0], one.cells[0].height / page[1])
    )


def _grid(
    sheet: tuple[float, float],
    shape: tuple[int, int],
    margin: float,
    gap: float,
    *,
    down: bool = False,
) -> _Grid:
    columns, rows = shape
    width = (sheet[0] - 2 * margin - (columns - 1) * gap) / columns
    height = (sheet[1] - 2 * margin - (rows - 1) * gap) / rows
    if min(width, height) < SIDE_MIN:
        raise TargetImpossible("the margins leave no room on the sheet")
    places = (
        [(column, row) for column in range(columns) for row in range(rows)]
        if down
        else [(column, row) for row in range(rows) for column in range(columns)]
    )
    cells = []
    for column, row in places:
        left = margin + column * (width + gap)
        top = sheet[1] - margin - row * (height + gap)
        cells.append(Box(left, top - height, left + width, top))
    return _Grid(*sheet, tuple(cells))


def _draw(
    source: pikepdf.Pdf,
    grid: _Grid,
    sides: Sequence[Sequence[int | None]],
    work: Work,
    *,
    frame: bool = False,
) -> Result:
    drawings: dict[int, pikepdf.Object] = {}
    with pikepdf.new() as target:
        for side in sides:
            sheet = target.add_blank_page(page_size=(grid.width, grid.height))
            for cell, index in zip(grid.cells, side, strict=False):
                if index is None:
                    continue
                with reading():
                    if index not in drawings:
                        drawings[index] = _drawing(source, target, index)
                    sheet.add_overlay(drawings[index], Rectangle(*cell))
                    if frame:
                        sheet.contents_add(_framed(source, index, cell))
        warnings = (_DRAWN, *losses(source))
        return Result(files=(save(target, work),), warnings=warnings)


def _drawing(source: pikepdf.Pdf, target: pikepdf.Pdf, index: int) -> pikepdf.Object:
    """A page as a form object of the target; qpdf takes the trim box for its extent."""
    page = source.pages[index]
    page.trimbox = pikepdf.Array(list(view(page).box))
    form = target.copy_foreign(source.make_indirect(page.as_form_xobject()))
    form[Name.Type] = Name.XObject
    return form


def _framed(source: pikepdf.Pdf, index: int, cell: Box) -> bytes:
    """A line around the page where qpdf puts it: centred, as large as fits."""
    width, height = view(source.pages[index]).size
    scale = min(cell.width / width, cell.height / height)
    width, height = width * scale, height * scale
    left = cell.left + (cell.width - width) / 2
    bottom = cell.bottom + (cell.height - height) / 2
    return _FRAME.format(*(number(value) for value in (left, bottom, width, height))).encode()
