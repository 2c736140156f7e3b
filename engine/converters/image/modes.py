"""The last step of colour: a mode that the target holds, and palettes for GIF."""

import math

from PIL import Image

from engine.converters.colour import Colour, flatten
from engine.converters.image.targets import Target

# Enough to find 256 colours that stand for a picture.
_PALETTE_PIXELS = 500_000


def fit_mode(
    image: Image.Image, target: Target, background: Colour, warnings: list[str]
) -> Image.Image:
    """Bring the frame to a mode that the target holds, flattening what it cannot."""
    if image.mode in target.modes:
        return image
    if image.mode == "I;16":
        # Pillow's own conversion clips: the upper byte is the picture.
        warnings.append(f"{target.title} holds 8 bits a channel; 16 were reduced to 8")
        image = image.convert("I").point(lambda value: value * (1 / 257) + 0.5).convert("L")
    if image.mode in {"LA", "RGBA"} and not target.alpha:
        image = flatten(image, background, target.title, warnings)
    if image.mode in target.modes:
        return image
    if image.mode == "LA":
        return image.convert("RGBA")
    return image.convert("RGB")


def in_mode(colour: Colour, mode: str) -> tuple[int, ...]:
    """A colour as a pixel of the mode, for padding."""
    if mode == "I;16":
        return (in_mode(colour, "L")[0] * 257,)
    return tuple(Image.new("RGBA", (1, 1), colour).convert(mode).tobytes())


def to_palette(image: Image.Image, *, dither: bool) -> Image.Image:
    """At most 256 colours for GIF, one of them transparent where the image has alpha.

    Exact where the image has few enough colours; else median cut, by default with error diffusion.
    """
    if image.mode in {"1", "L", "P"}:
        return image
    alpha = image.getchannel("A") if image.mode in {"LA", "RGBA"} else None
    hidden = alpha.point([255] * 128 + [0] * 128) if alpha is not None else None
    if hidden is not None and hidden.getbbox() is None:
        hidden = None
    opaque = image.convert("RGB")
    if hidden is not None:
        opaque.paste((0, 0, 0), mask=hidden)
    reduced = _quantise(opaque, 255 if hidden is not None else 256, dither=dither)
    if hidden is not None:
        reduced.putpalette((reduced.getpalette() or [])[:765] + [0] * 3)
        reduced = _pad_palette(reduced)
        reduced.paste(255, mask=hidden)
        reduced.info["transparency"] = 255
    return reduced


def _pad_palette(image: Image.Image) -> Image.Image:
    palette = image.getpalette() or []
    image.putpalette(palette + [0] * (768 - len(palette)))
    return image


def _quantise(image: Image.Image, colours: int, *, dither: bool) -> Image.Image:
    if image.getcolors(colours) is not None:
        return image.quantize(colours, method=Image.Quantize.MEDIANCUT)
    # The palette of a smaller copy is as good, and found in a fraction of the time.
    step = max(1, math.isqrt(image.width * image.height // _PALETTE_PIXELS))
    sample = image.reduce(step) if step > 1 else image
    reduced = sample.quantize(colours, method=Image.Quantize.MEDIANCUT)
    if not dither and sample is image:
        return reduced
    diffusion = Image.Dither.FLOYDSTEINBERG if dither else Image.Dither.NONE
    return image.quantize(palette=reduced, dither=diffusion)
