"""Right angles and mirrors: the eight ways a picture can lie, and what they do to a box.

An orientation is a number as EXIF counts (2.32, 4.6.4): how stored pixels must be transposed to be
seen. Turning and mirroring on request is the same group of eight, so it costs nothing more: it is
composed with what the camera said, and the pixels are moved once, after scaling.
"""

from PIL import Image

from engine.converters.raster.geometry import Box, Layout, Size

UPRIGHT = 1

_TRANSPOSES = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# For each orientation, where a seen point lies in what is stored: for its x and its y, the seen
# axis they are read from, and whether against that axis' direction.
_MAPS = {
    1: ((0, False), (1, False)),
    2: ((0, True), (1, False)),
    3: ((0, True), (1, True)),
    4: ((0, False), (1, True)),
    5: ((1, False), (0, False)),
    6: ((1, False), (0, True)),
    7: ((1, True), (0, True)),
    8: ((1, True), (0, False)),
}
_NUMBERS = {mapping: number for number, mapping in _MAPS.items()}
_CLOCKWISE = {0: 1, 90: 6, 180: 3, 270: 8}
_FLIPPED, _FLOPPED = 4, 2


def wanted(angle: int, *, flip: bool, flop: bool) -> int:
    """The orientation that turns by a multiple of 90 degrees clockwise, then mirrors."""
    turn = _CLOCKWISE[angle % 360]
    turn = composed(turn, _FLIPPED) if flip else turn
    return composed(turn, _FLOPPED) if flop else turn


def composed(first: int, then: int) -> int:
    """One orientation for two applied one after the other."""
    inner, outer = _MAPS[first], _MAPS[then]
    mapping = tuple((outer[axis][0], outer[axis][1] != against) for axis, against in inner)
    return _NUMBERS[mapping[0], mapping[1]]


def is_sideways(turn: int) -> bool:
    """Whether width and height change places."""
    return _MAPS[turn][0][0] == 1


def seen_size(stored: Size, turn: int) -> Size:
    """Width and height after the turn."""
    return stored[::-1] if is_sideways(turn) else stored


def as_stored(layout: Layout, seen: Size, turn: int) -> Layout:
    """The same layout for the pixels as they are stored; `seen` is the size the crop counts in."""
    if turn == UPRIGHT:
        return layout
    crop: list[tuple[float, float]] = []
    for axis, against in _MAPS[turn]:
        low, high = layout.crop[axis], layout.crop[axis + 2]
        crop.append((seen[axis] - high, seen[axis] - low) if against else (low, high))
    box: Box = (crop[0][0], crop[1][0], crop[0][1], crop[1][1])
    return Layout(box, seen_size(layout.size, turn), seen_size(layout.canvas, turn))


def turned(image: Image.Image, turn: int) -> Image.Image:
    """The image as it is seen."""
    return image if turn == UPRIGHT else image.transpose(_TRANSPOSES[turn])
