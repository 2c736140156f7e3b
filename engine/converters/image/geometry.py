"""Where the pixels go: sizes and boxes for each `fit`, as plain arithmetic."""

from typing import NamedTuple

Size = tuple[int, int]
Box = tuple[float, float, float, float]


class Layout(NamedTuple):
    """Take `crop` of the source (left, top, right, bottom), scale to `size`, centre on `canvas`."""

    crop: Box
    size: Size
    canvas: Size

    def keeps(self, source: Size) -> bool:
        """Whether this changes nothing of an image of that size."""
        return self.size == self.canvas == source and self.crop == (0, 0, *source)

    def transposed(self) -> "Layout":
        """The same for an image stored on its side. Centred crops do not care which side."""
        left, top, right, bottom = self.crop
        return Layout((top, left, bottom, right), self.size[::-1], self.canvas[::-1])


def lay_out(
    source: Size, width: int | None, height: int | None, fit: str, *, enlarge: bool
) -> Layout:
    """Compute the layout of a request. `fit` matters only where both sides are given."""
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
        return _cover(source, box, enlarge=enlarge)
    size = _scaled(source, _ratio(source, width, height, cover=fit == "outside"), enlarge=enlarge)
    return Layout(whole, size, box if fit == "contain" else size)


def _ratio(source: Size, width: int | None, height: int | None, *, cover: bool) -> float:
    ratios = [wanted / side for wanted, side in zip((width, height), source, strict=True) if wanted]
    return max(ratios) if cover else min(ratios)


def _scaled(source: Size, ratio: float, *, enlarge: bool) -> Size:
    if ratio > 1 and not enlarge:
        return source
    return max(1, round(source[0] * ratio)), max(1, round(source[1] * ratio))


def _cover(source: Size, box: Size, *, enlarge: bool) -> Layout:
    ratio = max(box[0] / source[0], box[1] / source[1])
    if ratio > 1 and not enlarge:
        ratio = 1.0
    size = (min(box[0], round(source[0] * ratio)), min(box[1], round(source[1] * ratio)))
    size = (max(1, size[0]), max(1, size[1]))
    cut = (min(source[0], size[0] / ratio), min(source[1], size[1] / ratio))
    left, top = (source[0] - cut[0]) / 2, (source[1] - cut[1]) / 2
    return Layout((left, top, left + cut[0], top + cut[1]), size, size)
