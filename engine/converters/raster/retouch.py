"""Changes to the pixels themselves: tones, colourfulness, blur and sharpness; and trimming.

Tones are one table of 256 entries a channel, however many of them are asked for.
"""

from collections.abc import Callable

from PIL import Image, ImageChops, ImageEnhance, ImageFilter

from engine.converters.raster.geometry import Box
from engine.converters.raster.modes import eight_bits
from engine.converters.raster.options import ImageOptions

_MIDDLE, _WHITE = 127.5, 255
# Of the unsharp mask: finer than this is what a reduction by Lanczos softens.
_SHARPEN_RADIUS, _SHARPEN_PERCENT, _SHARPEN_THRESHOLD = 1.0, 60, 2


def is_wanted(options: ImageOptions) -> bool:
    """Whether any of this changes anything; asked once a conversion."""
    return bool(
        options.brightness != 1
        or options.contrast != 1
        or options.gamma != 1
        or options.saturation != 1
        or options.negate
        or options.blur
        or options.sharpen
    )


def retouched(image: Image.Image, options: ImageOptions) -> Image.Image:
    """Apply them in the order in which the options list them. Takes L, LA, RGB and RGBA."""
    tones = _tones(options)
    if tones is not None:
        bands = image.split()
        coloured = len(bands) - (image.mode in {"LA", "RGBA"})
        image = Image.merge(
            image.mode,
            [band.point(tones) if n < coloured else band for n, band in enumerate(bands)],
        )
    if options.saturation != 1 and image.mode in {"RGB", "RGBA"}:
        image = ImageEnhance.Color(image).enhance(options.saturation)
    if options.blur:
        image = _filtered(image, ImageFilter.GaussianBlur(options.blur))
    if options.sharpen:
        percent = round(_SHARPEN_PERCENT * options.sharpen)
        image = _filtered(
            image, ImageFilter.UnsharpMask(_SHARPEN_RADIUS, percent, _SHARPEN_THRESHOLD)
        )
    return image


def _tones(options: ImageOptions) -> list[int] | None:
    """The table for brightness, contrast, gamma and negation, or None where it changes nothing."""
    steps: list[Callable[[float], float]] = []
    if options.brightness != 1:
        steps.append(lambda value: value * options.brightness)
    if options.contrast != 1:
        steps.append(lambda value: _MIDDLE + (value - _MIDDLE) * options.contrast)
    if options.gamma != 1:
        steps.append(lambda value: _WHITE * (_held(value) / _WHITE) ** (1 / options.gamma))
    if options.negate:
        steps.append(lambda value: _WHITE - value)
    return [_through(steps, value) for value in range(256)] if steps else None


def _through(steps: list[Callable[[float], float]], value: float) -> int:
    for step in steps:
        value = _held(step(value))
    return round(value)


def _held(value: float) -> float:
    return min(max(value, 0.0), float(_WHITE))


def _filtered(image: Image.Image, kernel: ImageFilter.Filter) -> Image.Image:
    """Apply a filter so that see-through pixels weigh nothing."""
    if image.mode not in {"LA", "RGBA"}:
        return image.filter(kernel)
    return image.convert("RGBA").convert("RGBa").filter(kernel).convert("RGBA").convert(image.mode)


def borderless(image: Image.Image, tolerance: int) -> Box | None:
    """What is left without borders of one colour or of transparency; None where nothing is."""
    if image.mode in {"LA", "RGBA"}:
        alpha = image.getchannel("A")
        if alpha.getpixel((0, 0)) == 0:
            return alpha.point(lambda value: 255 * (value > tolerance)).getbbox()
    plain = eight_bits(image) if image.mode == "I;16" else image
    if plain.mode not in {"L", "RGB", "CMYK"}:
        plain = plain.convert("L" if plain.mode == "LA" else "RGB")
    border = plain.crop((0, 0, 1, 1)).resize(plain.size, Image.Resampling.NEAREST)
    bands = ImageChops.difference(plain, border).split()
    most = bands[0]
    for band in bands[1:]:
        most = ImageChops.lighter(most, band)
    return most.point(lambda value: 255 * (value > tolerance)).getbbox()
