"""What a signature looks like on its page: name, date and reason in a frame."""

from datetime import datetime

import pikepdf
from pikepdf import Dictionary, Name

from engine.converters.lettering import check_letters, embed, measure, number
from engine.converters.signing.catalogue import SignOptions
from engine.errors import TargetImpossible

_MM = 72 / 25.4  # points
_FACE = "sans"
_PADDING = 4.0
_SIZE_MAX = 11.0
_SIZE_MIN = 4.0
_FRAME = "q 0.75 w 0.35 G 0.97 g 0.4 0.4 {} {} re B Q"


def drawn_on(
    document: pikepdf.Pdf,
    field: pikepdf.Object,
    options: SignOptions,
    name: str,
    when: datetime,
) -> pikepdf.Object:
    """The appearance; a field that has no place yet gets one. Raises TargetImpossible."""
    left, bottom, right, top = (float(side) for side in field[Name.Rect])
    width, height = abs(right - left), abs(top - bottom)
    if width <= 1 or height <= 1:
        width, height = options.width_mm * _MM, options.height_mm * _MM
        field[Name.Rect] = _rect(pikepdf.Page(field[Name.P]), options, width, height)
        turn = int(pikepdf.Page(field[Name.P]).rotation) % 360
    else:
        turn = int(pikepdf.Page(field[Name.P]).rotation) % 360 if Name.P in field else 0
        width, height = (height, width) if turn % 180 else (width, height)
    lines = [f"Signed by {name}", when.strftime("%Y-%m-%d %H:%M UTC")]
    lines += [text for text in (options.reason, options.location) if text]
    lines = [_known(line) for line in lines]
    widest = max(measure(_FACE, line, 1)[0] for line in lines)
    size = min(
        _SIZE_MAX,
        (width - 2 * _PADDING) / max(widest, 0.01),
        (height - 2 * _PADDING) / (1.25 * len(lines)),
    )
    if size < _SIZE_MIN:
        raise TargetImpossible("the text does not fit; make width_mm and height_mm larger")
    letters = embed(document, _FACE, lines)
    content = [_FRAME.format(number(width - 0.8), number(height - 0.8)), "BT 0 g"]
    for place, line in enumerate(lines):
        up = height - _PADDING - size * (0.9 + 1.25 * place)
        content.append(letters.line(line, size, _PADDING, up))
    content.append("ET")
    return document.make_stream(
        "\n".join(content).encode(),
        Type=Name.XObject,
        Subtype=Name.Form,
        BBox=[0, 0, round(width, 4), round(height, 4)],
        # Upright on a page that is turned when it is shown.
        Matrix=_upright(turn, width, height),
        Resources=Dictionary(Font=Dictionary(F=letters.font)),
    )


def _known(line: str) -> str:
    """The line, with a mark for each letter that the typeface does not have."""
    out = []
    for letter in line:
        try:
            check_letters(_FACE, letter)
        except TargetImpossible:
            out.append("?")
        else:
            out.append(letter)
    return "".join(out)


def _upright(turn: int, width: float, height: float) -> list[float]:
    return {
        90: [0, 1, -1, 0, height, 0],
        180: [-1, 0, 0, -1, width, height],
        270: [0, -1, 1, 0, 0, width],
    }.get(turn, [1, 0, 0, 1, 0, 0])


def _rect(page: pikepdf.Page, options: SignOptions, width: float, height: float) -> pikepdf.Array:
    """The place on the page, in its own coordinates, for one as seen."""
    left, bottom, right, top = (float(side) for side in page.cropbox)
    turn = int(page.rotation) % 360
    room = (top - bottom, right - left) if turn % 180 else (right - left, top - bottom)
    margin = options.margin_mm * _MM
    if width + margin > room[0] or height + margin > room[1]:
        raise TargetImpossible("the signature does not fit on the page; make it smaller")
    x = margin if "left" in options.position else room[0] - margin - width
    y = margin if "bottom" in options.position else room[1] - margin - height
    corners = [_to_page((x, y), turn, (left, bottom, right, top))]
    corners.append(_to_page((x + width, y + height), turn, (left, bottom, right, top)))
    xs, ys = sorted(one[0] for one in corners), sorted(one[1] for one in corners)
    return pikepdf.Array([round(value, 4) for value in (xs[0], ys[0], xs[1], ys[1])])


def _to_page(
    seen: tuple[float, float], turn: int, box: tuple[float, float, float, float]
) -> tuple[float, float]:
    x, y = seen
    left, bottom, right, top = box
    return {
        90: (right - y, bottom + x),
        180: (right - x, top - y),
        270: (left + y, top - x),
    }.get(turn, (left + x, bottom + y))
