"""Where the pixels go: sizes and boxes for each `fit` and crop, as plain arithmetic."""

from typing import NamedTuple

Size = tuple[int, int]
Box = tuple[float, float, float, float]
# A point of interest as fractions of width and height.
Point = tuple[float, float]

CENTRE: Point = (0.5, 0.5)
POSITIONS: dict[str, Point] = {
    "centre": CENTRE,
    "top": (0.5, 0.0),
    "top-right": (1.0, 0.0),
    "right": (1.0, 0.5),
    "bottom-right": (1.0, 1.0),
    "bottom": (0.5, 1.0),
    "bottom-left": (0.0, 1.0),
    "left": (0.0, 0.5),
    "top-left": (0.0, 0.0),
}


class Layout(NamedTuple):
    """Take `crop` of the source (left, top, right, bottom), scale to `size`, place on `canvas`."""

    crop: Box
    size: Size
    canvas: Size

    def keeps(self, source: Size) -> bool:
        """Whether this changes nothing of an image of that size."""
        return self.size == self.canvas == source and self.crop == (0, 0, *source)


def lay_out(
    source: Size,
    width: int | None,
    height: int | None,
    fit: str,
    *,
    enlarge: bool,
    keep: Point = CENTRE,
) -> Layout:
    """Compute the layout of a request. `fit` matters only where both sides are given.

    `keep` is the point that a cut stays as close to as it can.
    """
    whole: Box = (0, 0, *source)
    if width is None and height is None:
        return Layout(whole, source, source)
    if width is None or height is None:
        size = _scaled(source, _ratio(source, width, height, cover=False), enlarge=enlarge)
        return Layout(whole, size, size)
    box = (width, height)
    if fit == "fill":
        size = box if enlarge else (min(width, source[0]), min(height, source[1]))
        return Layout(whole, size, size)
    if fit == "cover":
        return _cover(source, box, keep, enlarge=enlarge)
    size = _scaled(source, _ratio(source, width, height, cover=fit == "outside"), enlarge=enlarge)
    return Layout(whole, size, box if fit == "contain" else size)


def within(layout: Layout, region: Box) -> Layout:
    """The layout of a region, as one of the whole that the region was cut from."""
    left, top = region[:2]
    crop = layout.crop
    return layout._replace(crop=(crop[0] + left, crop[1] + top, crop[2] + left, crop[3] + top))


def proportioned(source: Size, across: int, down: int, keep: Point) -> Box:
    """The largest region of these proportions, as whole pixels."""
    ratio = across / down
    width = min(source[0], max(1, round(source[1] * ratio)))
    height = min(source[1], max(1, round(source[0] / ratio)))
    left, top = _offset(source[0], width, keep[0]), _offset(source[1], height, keep[1])
    return round(left), round(top), round(left) + width, round(top) + height


def _ratio(source: Size, width: int | None, height: int | None, *, cover: bool) -> float:
    ratios = [wanted / side for wanted, side in zip((width, height), source, strict=True) if wanted]
    return max(ratios) if cover else min(ratios)


def _scaled(source: Size, ratio: float, *, enlarge: bool) -> Size:
    if ratio > 1 and not enlarge:
        return source
    return max(1, round(source[0] * ratio)), max(1, round(source[1] * ratio))


def _cover(source: Size, box: Size, keep: Point, *, enlarge: bool) -> Layout:
    ratio = max(box[0] / source[0], box[1] / source[1])
    if ratio > 1 and not enlarge:
        ratio = 1.0
    size = (min(box[0], round(source[0] * ratio)), min(box[1], round(source[1] * ratio)))
    size = (max(1, size[0]), max(1, size[1]))
    cut = (min(source[0], size[0] / ratio), min(source[1], size[1] / ratio))
    left, top = _offset(source[0], cut[0], keep[0]), _offset(source[1], cut[1], keep[1])
    return Layout((left, top, left + cut[0], top + cut[1]), size, size)


def _offset(whole: int, part: float, keep: float) -> float:
    """Where a part begins so that the point stays in its middle, or as close as the edge allows."""
    return min(max(0.0, keep * whole - part / 2), whole - part)
