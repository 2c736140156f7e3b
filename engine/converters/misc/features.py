"""Places and tracks as GeoJSON models them (RFC 7946): what all these formats can be told in."""

from collections.abc import Sequence
from typing import Any

import msgspec

from engine.errors import SourceTooComplex

# A track a second for a month.
POINTS_MAX = 3_000_000


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """Degrees, metres above the sea, and when (ISO 8601)."""

    longitude: float
    latitude: float
    elevation: float | None = None
    time: str = ""


class Feature(msgspec.Struct, frozen=True, kw_only=True):
    """Points, lines or rings, one of them or several, with properties.

    `kind` is "point", "line" or "polygon"; of a polygon each part is an outer ring and its holes.
    """

    kind: str
    parts: Sequence[Any]  # Point | Sequence[Point] | Sequence[Sequence[Point]]
    properties: dict[str, Any] = {}

    @property
    def lines(self) -> list[Sequence[Point]]:
        """What can be drawn as lines: a line's parts, or a polygon's rings."""
        if self.kind == "line":
            return list(self.parts)
        return [ring for rings in self.parts for ring in rings]


class Counter:
    """Counts points while they are read."""

    def __init__(self) -> None:
        self._points = 0

    def take(self, count: int = 1) -> None:
        """Count. Raises SourceTooComplex."""
        self._points += count
        if self._points > POINTS_MAX:
            raise SourceTooComplex(f"there are more than {POINTS_MAX} points, the limit")


def checked(longitude: object, latitude: object) -> tuple[float, float]:
    """Degrees as numbers on the globe. Raises ValueError."""
    x, y = float(longitude), float(latitude)  # type: ignore[arg-type]  # what is no number raises
    if not (-90 <= y <= 90 and -540 <= x <= 540):  # noqa: PLR2004  # beyond the globe
        raise ValueError
    return x, y
