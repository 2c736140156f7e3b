"""Words or a picture over the result: drawn once for a size, laid over every frame."""

import msgspec
from PIL import Image, ImageDraw

from engine.converters.colour import Colour, expand, parse_colour, to_srgb
from engine.converters.opening import reading
from engine.converters.raster import fonts
from engine.converters.raster.geometry import POSITIONS, Size
from engine.converters.raster.options import ImageOptions
from engine.converters.raster.resample import resample
from engine.converters.raster.sources import Source

# Of the shorter side, between the mark and the edge.
_MARGIN = 0.03
# Type is measured at this size and scaled from there; smaller than the least nobody reads it.
_MEASURED, _SIZE_LEAST, _SIZE_MOST = 100, 6, 2_000
# The outline, as a share of the size.
_OUTLINE = 0.05
# Between tiles, as shares of the tile.
_GAP_ACROSS, _GAP_DOWN = 0.6, 1.6
# Lighter than this, words have a dark outline.
_LIGHT = 128


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """What is laid over, and how. Exactly one of `picture` and the options' text is drawn."""

    options: ImageOptions
    picture: Image.Image | None = None


def mark_of(options: ImageOptions, picture: Source | None) -> Mark | None:
    """The mark of a conversion, if there is one. The picture is decoded here, upright and sRGB."""
    if picture is not None:
        with reading(picture.name):
            picture.first.load()
            plain = expand(picture.first, [])
        plain = to_srgb(plain, picture.first.info.get("icc_profile"), [])
        return Mark(options=options, picture=plain.convert("RGBA"))
    return Mark(options=options) if options.watermark_text.strip() else None


def marked(frame: Image.Image, mark: Mark) -> Image.Image:
    """The frame with the mark. Takes L, LA, RGB and RGBA; returns RGB or RGBA."""
    layer = _layer(frame.size, mark)
    if frame.mode in {"LA", "RGBA"}:
        return Image.alpha_composite(frame.convert("RGBA"), layer)
    result = frame.convert("RGB")
    result = result.copy() if result is frame else result
    result.paste(layer, mask=layer.getchannel("A"))
    return result


def _layer(size: Size, mark: Mark) -> Image.Image:
    """A clear picture of the frame's size with the mark where it stands."""
    options = mark.options
    wide = max(1, round(size[0] * options.watermark_scale))
    stamp = _words(wide, options) if mark.picture is None else _reduced(mark.picture, wide)
    opacity = options.watermark_opacity
    stamp.putalpha(stamp.getchannel("A").point(lambda value: round(value * opacity)))
    layer = Image.new("RGBA", size, (*stamp.getpixel((0, 0))[:3], 0))  # type: ignore[index]
    for place in _places(size, stamp.size, options.watermark_position):
        layer.paste(stamp, place)
    return layer


def _places(size: Size, stamp: Size, position: str) -> list[Size]:
    if position != "tiled":
        margin = round(min(size) * _MARGIN)
        x, y = POSITIONS[position]
        return [
            (
                margin + round((size[0] - stamp[0] - 2 * margin) * x),
                margin + round((size[1] - stamp[1] - 2 * margin) * y),
            )
        ]
    across = stamp[0] + max(1, round(stamp[0] * _GAP_ACROSS))
    down = stamp[1] + max(1, round(stamp[1] * _GAP_DOWN))
    return [
        (left - (across // 2 if row % 2 else 0), top)
        for row, top in enumerate(range(down // 3, size[1], down))
        for left in range(0, size[0] + across, across)
    ]


def _reduced(picture: Image.Image, wide: int) -> Image.Image:
    high = max(1, round(picture.height * wide / picture.width))
    return resample(picture, (0, 0, *picture.size), (wide, high)).copy()


def _words(wide: int, options: ImageOptions) -> Image.Image:
    """The text as wide as asked, tightly cut."""
    text, colour = " ".join(options.watermark_text.split()), parse_colour(options.watermark_colour)
    measured = fonts.typeface(fonts.BOLD, _MEASURED).getbbox(text)
    # The outline stands out on both sides.
    size = wide / max(0.01, (measured[2] - measured[0]) / _MEASURED + 2 * _OUTLINE)
    size = min(max(size, _SIZE_LEAST), _SIZE_MOST)
    font, outline = fonts.typeface(fonts.BOLD, size), max(1, round(size * _OUTLINE))
    box = [round(edge) for edge in font.getbbox(text, stroke_width=outline)]
    edge = _contrast(colour)
    stamp = Image.new("RGBA", (max(1, box[2] - box[0]), max(1, box[3] - box[1])), (*edge[:3], 0))
    ImageDraw.Draw(stamp).text(
        (-box[0], -box[1]), text, (*colour[:3], 255), font, stroke_width=outline, stroke_fill=edge
    )
    return stamp


def _contrast(colour: Colour) -> Colour:
    red, green, blue = colour[:3]
    light = (299 * red + 587 * green + 114 * blue) // 1000 >= _LIGHT
    return (0, 0, 0, 255) if light else (255, 255, 255, 255)
