"""Where things lie on a page: paper sizes, the visible box, and sides as they are seen.

A page has its own coordinates (points, upwards) and two entries that change how it is seen: Rotate
turns it clockwise, UserUnit says how large its point is. Options speak of the page as it is seen.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import pikepdf

from engine.converters.pdf.files import reading
from engine.errors import SourceUnreadable

MM = 72 / 25.4  # points
# Points, upright; ISO 216 and ANSI.
SIZES = {
    "a2": (420 * MM, 594 * MM),
    "a3": (297 * MM, 420 * MM),
    "a4": (210 * MM, 297 * MM),
    "a5": (148 * MM, 210 * MM),
    "a6": (105 * MM, 148 * MM),
    "letter": (612.0, 792.0),
    "legal": (612.0, 1008.0),
    "tabloid": (792.0, 1224.0),
}
# PDF units; what readers accept as the side of a page (ISO 32000-1, annex C).
SIDE_MIN, SIDE_MAX = 3.0, 14_400.0

_CORNERS = 4
_RIGHT_ANGLE, _TURN = 90, 360


class Box(NamedTuple):
    """A rectangle: lower left corner, upper right corner."""

    left: float
    bottom: float
    right: float
    top: float

    @property
    def width(self) -> float:
        """From left to right."""
        return self.right - self.left

    @property
    def height(self) -> float:
        """From bottom to top."""
        return self.top - self.bottom


class View(NamedTuple):
    """How a page is seen: its visible box, its turn in degrees clockwise, points a unit."""

    box: Box
    turn: int
    unit: float

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in points as seen."""
        sides = self.box.width * self.unit, self.box.height * self.unit
        return sides[::-1] if self.turn % 180 else sides

    def own_sides(self, seen: Sequence[float]) -> list[float]:
        """Left, bottom, right, top of the page itself, from the same as seen (points)."""
        left, bottom, right, top = (length / self.unit for length in seen)
        # A page that is turned by 90 shows its left side at the top.
        around = [left, top, right, bottom]
        turns = self.turn // _RIGHT_ANGLE
        left, top, right, bottom = around[turns:] + around[:turns]
        return [left, bottom, right, top]


def view(page: pikepdf.Page) -> View:
    """How this page is seen. Raises SourceUnreadable for a page without extent."""
    with reading():
        outer, inner = _box(page.mediabox), _box(page.cropbox)
        turn = page.rotation % _TURN // _RIGHT_ANGLE * _RIGHT_ANGLE
        unit = float(page.obj.get("/UserUnit", 1) or 1)
    box = Box(
        max(outer.left, inner.left),
        max(outer.bottom, inner.bottom),
        min(outer.right, inner.right),
        min(outer.top, inner.top),
    )
    if box.width <= 0 or box.height <= 0:
        box = outer
    if not (0 < box.width < SIDE_MAX * 100 and 0 < box.height < SIDE_MAX * 100 and unit > 0):
        raise SourceUnreadable("a page of the document has no size, or an absurd one")
    return View(box, turn, unit)


def _box(array: pikepdf.Array) -> Box:
    left, bottom, right, top = (float(array[corner]) for corner in range(_CORNERS))
    return Box(min(left, right), min(bottom, top), max(left, right), max(bottom, top))


def set_box(page: pikepdf.Page, box: Box) -> None:
    """Make this the page's extent, and the only one."""
    with reading():
        page.mediabox = pikepdf.Array([round(side, 4) for side in box])
        for name in ("/CropBox", "/TrimBox", "/BleedBox", "/ArtBox"):
            if name in page.obj:
                del page.obj[name]


def lying(size: tuple[float, float], *, wide: bool) -> tuple[float, float]:
    """The size with its longer side across, or up."""
    short, long = sorted(size)
    return (long, short) if wide else (short, long)


# Six numbers of a transformation: x' = a x + c y + e, y' = b x + d y + f (ISO 32000-1, 8.3.3).
Transform = tuple[float, float, float, float, float, float]


def seen_to_page(seen: View) -> Transform:
    """From points as seen, counted from the lower left corner, to the page's own coordinates."""
    box, point = seen.box, 1 / seen.unit
    return {
        0: (point, 0.0, 0.0, point, box.left, box.bottom),
        90: (0.0, point, -point, 0.0, box.right, box.bottom),
        180: (-point, 0.0, 0.0, -point, box.right, box.top),
        270: (0.0, -point, point, 0.0, box.left, box.top),
    }[seen.turn]


def then(first: Transform, second: Transform) -> Transform:
    """Both, one after the other."""
    a, b, c, d, e, f = first
    p, q, r, s, t, u = second
    return (
        a * p + b * r,
        a * q + b * s,
        c * p + d * r,
        c * q + d * s,
        e * p + f * r + t,
        e * q + f * s + u,
    )


def turned(size: tuple[float, float], scale: float, degrees: float) -> tuple[float, float]:
    """How wide and high something is after scaling and turning."""
    sine, cosine = abs(math.sin(math.radians(degrees))), abs(math.cos(math.radians(degrees)))
    width, height = size[0] * scale, size[1] * scale
    return width * cosine + height * sine, width * sine + height * cosine


def centred(
    size: tuple[float, float], centre: tuple[float, float], scale: float, degrees: float
) -> Transform:
    """Something that lies at the origin, scaled, turned counter-clockwise, its middle put here."""
    angle = math.radians(degrees)
    a, b = scale * math.cos(angle), scale * math.sin(angle)
    middle = size[0] / 2, size[1] / 2
    return (
        a,
        b,
        -b,
        a,
        centre[0] - a * middle[0] + b * middle[1],
        centre[1] - b * middle[0] - a * middle[1],
    )


def anchored(
    place: str, room: tuple[float, float], size: tuple[float, float], margin: float
) -> tuple[float, float]:
    """The middle of something of this size at a place such as "top-left" or "centre"."""
    across, up = room[0] / 2, room[1] / 2
    if "left" in place:
        across = margin + size[0] / 2
    elif "right" in place:
        across = room[0] - margin - size[0] / 2
    if "top" in place:
        up = room[1] - margin - size[1] / 2
    elif "bottom" in place:
        up = margin + size[1] / 2
    return across, up
