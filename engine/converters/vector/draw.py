"""vector.convert: the drawing as pixels of exactly the size asked for, then as any image."""

import io

import msgspec
from PIL import Image

from engine.converter import Result, Work
from engine.converters.opening import check_pixels, reading
from engine.converters.raster.geometry import lay_out
from engine.converters.raster.options import ImageOptions
from engine.converters.raster.pipeline import produce
from engine.converters.raster.sources import still
from engine.converters.raster.turns import is_sideways, wanted
from engine.converters.vector.drawing import Drawing, read
from engine.converters.vector.press import pressed
from engine.job import Bounds

_DPI = 96.0
_RIGHT_ANGLE = 90


def convert(work: Work) -> Result:
    """Draw, then convert like a picture. Raises SourceUnreadable, SourceTooComplex."""
    options: ImageOptions = work.options
    drawing = read(work.inputs[0], work.bounds)
    image = drawn(drawing, _scale(drawing, options), work.bounds)
    source = still("svg", image, drawing.warnings)
    # Drawn as large as asked: what is left to scale is the fraction of a pixel.
    exact = msgspec.structs.replace(options, enlarge=True)
    return produce(source, work.target, exact, work.bounds)


def _scale(drawing: Drawing, options: ImageOptions) -> float:
    """How much larger than its own size it is to be drawn."""
    if options.width is None and options.height is None:
        return (options.dpi or _DPI) / _DPI
    size = (max(1, round(drawing.size[0])), max(1, round(drawing.size[1])))
    right = not options.rotate % _RIGHT_ANGLE
    if right and is_sideways(wanted(int(options.rotate), flip=False, flop=False)):
        size = size[::-1]
    layout = lay_out(size, options.width, options.height, options.fit, enlarge=True)
    left, top, edge, bottom = layout.crop
    return max(layout.size[0] / (edge - left), layout.size[1] / (bottom - top))


def drawn(drawing: Drawing, scale: float, bounds: Bounds) -> Image.Image:
    """The pixels, with transparency where nothing is drawn."""
    size = (max(1, round(drawing.size[0] * scale)), max(1, round(drawing.size[1] * scale)))
    check_pixels(size, bounds)
    made = pressed(drawing.text, size, target="png", fit="stretch")
    with reading("svg"):
        return Image.open(io.BytesIO(made), formats=("PNG",))
