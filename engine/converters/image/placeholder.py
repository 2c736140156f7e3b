"""image.blurhash: some thirty characters that a page shows as a blur until the picture is there."""

import blurhash as codec

from engine.converter import Result, Work
from engine.converters.colour import expand, flatten, to_srgb
from engine.converters.opening import reading
from engine.converters.raster.geometry import Layout
from engine.converters.raster.metadata import orientation_of
from engine.converters.raster.resample import draft, resample
from engine.converters.raster.sources import open_source
from engine.converters.raster.turns import turned

# Nine waves at most are measured across it: more pixels change nothing but the time.
_SIDE = 32
_WHITE = (255, 255, 255, 255)


def blurhash(work: Work) -> Result:
    """The hash of the first frame, as one line."""
    image = open_source(work.inputs[0], work.source, work.bounds).first
    layout = Layout((0, 0, *image.size), (_SIDE, _SIDE), (_SIDE, _SIDE))
    with reading(work.source):
        layout = draft(image, layout)
        image.load()
        plain = expand(image, [])
    small = to_srgb(resample(plain, layout.crop, layout.size), image.info.get("icc_profile"), [])
    if small.mode in {"LA", "RGBA"}:
        small = flatten(small, _WHITE, "", [])
    small = turned(small.convert("RGB"), orientation_of(image))
    rows = [[small.getpixel((x, y)) for x in range(_SIDE)] for y in range(_SIDE)]
    written: str = codec.encode(rows, work.options.across, work.options.down)
    return Result(files=(f"{written}\n".encode(),))
