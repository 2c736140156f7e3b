"""vector.pdf: the drawing on a page as it is, lines as lines and letters as letters."""

from engine.converter import Result, Work
from engine.converters.vector.catalogue import PageOptions
from engine.converters.vector.drawing import read
from engine.converters.vector.press import pressed
from engine.errors import TargetImpossible

_PT = 72 / 96  # of a CSS pixel
_MM = 72 / 25.4
# Points; ISO 216 and ANSI.
_SIZES = {
    "a3": (297 * _MM, 420 * _MM),
    "a4": (210 * _MM, 297 * _MM),
    "a5": (148 * _MM, 210 * _MM),
    "letter": (612.0, 792.0),
    "legal": (612.0, 1008.0),
}
# What readers accept as the side of a page (ISO 32000-1, annex C).
_SIDE_MIN, _SIDE_MAX = 3.0, 14_400.0


def page(work: Work) -> Result:
    """The document. Raises SourceUnreadable, TargetImpossible."""
    options: PageOptions = work.options
    drawing = read(work.inputs[0], work.bounds)
    wide, high = (side * _PT for side in drawing.size)
    margin = options.margin_mm * _MM
    if options.page_size == "drawing":
        sides = wide + 2 * margin, high + 2 * margin
    else:
        sides = _SIZES[options.page_size]
        landscape = {"auto": wide > high, "landscape": True, "portrait": False}
        sides = sides[::-1] if landscape[options.orientation] else sides
    if not all(max(_SIDE_MIN, 2 * margin + 1) <= side <= _SIDE_MAX for side in sides):
        raise TargetImpossible("the drawing is too small or too large for a page; name a page_size")
    made = pressed(drawing.text, sides, target="pdf", margin=margin)
    return Result(files=(made,), warnings=drawing.warnings)
