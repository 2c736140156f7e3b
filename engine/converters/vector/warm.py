"""Use what can be used before the fork; prove in every spare that letters are drawn.

typst starts threads when it first draws, and opens a font when the first letter of it is needed, so
both happen in the worker (`Family.reads`). Where it could not, text would be missing and nobody
would be told: a spare that draws no letter refuses to serve.
"""

import io

from PIL import Image

from engine.converters.raster import fonts
from engine.converters.raster.formats import TARGETS
from engine.converters.raster.options import ImageOptions
from engine.converters.raster.pipeline import produce
from engine.converters.raster.sources import still
from engine.converters.vector import draw, page, press
from engine.converters.vector.drawing import read
from engine.errors import EngineError
from engine.job import Bounds

# Imported here so that preloading this module loads every implementation.
_IMPLEMENTATIONS = (draw, page)
_LETTER = b"""<svg xmlns="http://www.w3.org/2000/svg" width="16" height="16">
<style>text { font-family: Arial }</style><text y="15" font-size="16">W</text></svg>"""


def warm() -> None:
    """Read a drawing, good and broken, and write every format."""
    for name in (fonts.REGULAR, fonts.BOLD):
        fonts.content(name)
    press.prepare()
    for data in (_LETTER, b"<svg", b"<html/>"):
        try:
            read(data, Bounds())
        except EngineError:
            continue
    plain = io.BytesIO()
    Image.new("RGBA", (16, 16), (10, 20, 30, 40)).save(plain, "PNG")
    for target in TARGETS:
        for options in (ImageOptions(width=9), ImageOptions(watermark_text="w", blur=1)):
            image = Image.open(io.BytesIO(plain.getvalue()), formats=("PNG",))
            produce(still("svg", image), target, options, Bounds())


def touch() -> None:
    """One letter. Raises RuntimeError where none is drawn."""
    image = draw.drawn(read(_LETTER, Bounds()), 1, Bounds())
    if image.convert("RGBA").getchannel("A").getbbox() is None:
        raise RuntimeError("the fonts of drawings cannot be read by a worker: check who may")
