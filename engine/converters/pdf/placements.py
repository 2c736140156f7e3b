"""How finely pictures are shown: their dots an inch, at the largest of the places they stand.

The contents of pages, and of the form objects they draw, are followed for what moves the coordinate
system. A picture that is drawn elsewhere (a pattern, a comment) has no entry.
"""

import math
from collections.abc import Mapping

import pikepdf
from pikepdf import Dictionary, Matrix, Name, Stream

from engine.converters.pdf.files import reading
from engine.converters.pdf.geometry import view
from engine.errors import SourceUnreadable

_WATCHED = "q Q cm Do"
_DEPTH_MAX = 12
# Drawings of pictures and forms; a hundred on each of a thousand pages.
_DRAWINGS_MAX = 100_000
_POINTS = 72

Ids = tuple[int, int]


class _Walk:
    """What was found so far, and how much of the work is left."""

    def __init__(self) -> None:
        # Largest width and height in points, by picture.
        self.extents: dict[Ids, tuple[float, float]] = {}
        self.left = _DRAWINGS_MAX


def picture_dpi(document: pikepdf.Pdf) -> Mapping[Ids, float]:
    """Dots an inch of each picture (by object and generation number) that pages show."""
    walk = _Walk()
    for page in document.pages:
        unit = view(page).unit
        try:
            with reading():
                resources = page.get_resources()
                _follow(page, resources, Matrix(unit, 0, 0, unit, 0, 0), walk, 0)
        except SourceUnreadable:  # contents that make no sense: their pictures stay as they are
            continue
        if walk.left <= 0:
            return {}
    found = {}
    for ids, (width, height) in walk.extents.items():
        picture = document.get_object(ids)
        pixels = int(picture.get("/Width", 0)), int(picture.get("/Height", 0))
        if width > 0 and height > 0:
            found[ids] = min(pixels[0] / width, pixels[1] / height) * _POINTS
    return found


def _follow(
    content: pikepdf.Page | pikepdf.Stream,
    resources: pikepdf.Object | None,
    matrix: Matrix,
    walk: _Walk,
    depth: int,
) -> None:
    things = resources.get(Name.XObject) if isinstance(resources, Dictionary) else None
    if not isinstance(things, Dictionary) or depth > _DEPTH_MAX:
        return
    stack: list[Matrix] = []
    for instruction in pikepdf.parse_content_stream(content, _WATCHED):
        operator, operands = str(instruction.operator), instruction.operands
        if operator == "q":
            stack.append(matrix)
        elif operator == "Q":
            matrix = stack.pop() if stack else matrix
        elif operator == "cm":
            matrix = Matrix(*(float(value) for value in operands)) @ matrix
        elif operator == "Do":
            walk.left -= 1
            if walk.left <= 0:
                return
            _note(things.get(str(operands[0])), resources, matrix, walk, depth)


def _note(
    thing: pikepdf.Object | None,
    resources: pikepdf.Object | None,
    matrix: Matrix,
    walk: _Walk,
    depth: int,
) -> None:
    if not isinstance(thing, Stream):
        return
    if thing.get(Name.Subtype) == Name.Form:
        inner = thing.get(Name.Matrix)
        if inner is not None:
            matrix = Matrix(*(float(value) for value in inner)) @ matrix
        _follow(thing, thing.get(Name.Resources) or resources, matrix, walk, depth + 1)
    elif thing.get(Name.Subtype) == Name.Image:
        extent = math.hypot(matrix.a, matrix.b), math.hypot(matrix.c, matrix.d)
        before = walk.extents.get(thing.objgen, (0.0, 0.0))
        walk.extents[thing.objgen] = max(before[0], extent[0]), max(before[1], extent[1])
