"""The last step of colour: a mode that the target holds, inks for print, dots, and palettes."""

import math

import imagequant
from PIL import Image, ImageChops, ImageMath

from engine.converters.colour import Colour, flatten
from engine.converters.raster.targets import Target

# Enough to find 256 colours that stand for a picture.
_PALETTE_PIXELS = 500_000


def fit_mode(
    image: Image.Image, target: Target, background: Colour, warnings: list[str]
) -> Image.Image:
    """Bring the frame to a mode that the target holds, flattening what it cannot."""
    if image.mode in target.modes:
        return image
    if image.mode == "I;16":
        warnings.append(f"{target.title} holds 8 bits a channel; 16 were reduced to 8")
        image = eight_bits(image)
    if image.mode in {"LA", "RGBA"} and not target.alpha:
        image = flatten(image, background, target.title, warnings)
    if image.mode in target.modes:
        return image
    if image.mode in {"LA", "RGBA"}:
        return image.convert("RGBA")
    if "RGB" not in target.modes and target.modes & {"L", "1"}:
        if image.mode != "L":
            warnings.append(f"{target.title} holds no colours; they became shades of grey")
            image = image.convert("L")
        if "L" not in target.modes:
            warnings.append(f"{target.title} holds black and white only; shades became dots")
            image = image.convert("1")
        return image
    return image.convert("RGB" if "RGB" in target.modes else "RGBA")


def eight_bits(image: Image.Image) -> Image.Image:
    """Sixteen-bit grey as 8-bit grey. Pillow's own conversion clips: the upper byte is it."""
    return image.convert("I").point(lambda value: value * (1 / 257) + 0.5).convert("L")


def in_space(image: Image.Image, space: str, target: Target, warnings: list[str]) -> Image.Image:
    """The frame in the colour space that was asked for; transparency stays where there is some."""
    mode = image.mode
    if space == "grey":
        return image if mode in {"1", "L", "LA", "I;16"} else image.convert(_grey(mode))
    if space == "rgb":
        if mode == "I;16":
            warnings.append(f"{target.title} holds 8 bits a channel here; 16 were reduced to 8")
            image = eight_bits(image)
        return image if mode in {"RGB", "RGBA"} else image.convert(_colour(mode))
    if space == "cmyk" and mode != "CMYK":
        warnings.append("inks were computed without a press profile; a printer may want its own")
        return _inks(image)
    if space == "bitmap" and mode != "1":
        return (eight_bits(image) if mode == "I;16" else image).convert("L").convert("1")
    return image


def _grey(mode: str) -> str:
    return "LA" if mode == "RGBA" else "L"


def _colour(mode: str) -> str:
    return "RGBA" if mode == "LA" else "RGB"


def _inks(image: Image.Image) -> Image.Image:
    """Opaque RGB as CMYK, the black ink taken as far as it goes, as (1-c)(1-k) shows it."""
    rgb = (eight_bits(image) if image.mode == "I;16" else image).convert("RGB").split()
    light = ImageChops.lighter(ImageChops.lighter(rgb[0], rgb[1]), rgb[2])
    inks = [
        ImageMath.lambda_eval(
            lambda seen: seen["convert"](
                255 - (seen["part"] * 255 + seen["most"] / 2) / seen["max"](seen["most"], 1), "L"
            ),
            part=part,
            most=light,
        )
        for part in rgb
    ]
    return Image.merge("CMYK", (*inks, ImageChops.invert(light)))


def in_mode(colour: Colour, mode: str) -> tuple[int, ...]:
    """A colour as a pixel of the mode, for padding."""
    if mode == "I;16":
        return (in_mode(colour, "L")[0] * 257,)
    return tuple(Image.new("RGBA", (1, 1), colour).convert(mode).tobytes())


def holding(frame: Image.Image, colour: Colour, *, alpha: bool) -> Image.Image:
    """The frame in a mode that can show the colour beside its own pixels."""
    if colour[3] != 255 and alpha and frame.mode in {"L", "RGB"}:  # noqa: PLR2004  # opaque
        frame = frame.convert("LA" if frame.mode == "L" else "RGBA")
    if frame.mode in {"L", "LA"} and len(set(colour[:3])) > 1:
        frame = frame.convert("RGB" if frame.mode == "L" else "RGBA")
    return frame


def best_palette(image: Image.Image, colours: int) -> Image.Image:
    """At most so many colours with graded transparency, chosen by libimagequant, diffused."""
    rgba = image.convert("RGBA")
    pixels, palette = imagequant.quantize_raw_rgba_bytes(
        rgba.tobytes(), *rgba.size, dithering_level=1.0, max_colors=colours
    )
    reduced = Image.frombytes("P", rgba.size, pixels)
    reduced.putpalette(
        [value for at in range(0, len(palette), 4) for value in palette[at : at + 3]]
    )
    opacity = bytes(palette[3::4])
    if min(opacity, default=255) < 255:  # noqa: PLR2004  # opaque
        reduced.info["transparency"] = opacity
    return reduced


def to_palette(image: Image.Image, *, dither: bool, colours: int = 256) -> Image.Image:
    """At most 256 colours for GIF, one of them transparent where the image has alpha.

    Exact where the image has few enough colours; else median cut, by default with error diffusion.
    """
    if image.mode in {"1", "L", "P"} and colours == 256:  # noqa: PLR2004  # all that there are
        return image
    alpha = image.getchannel("A") if image.mode in {"LA", "RGBA"} else None
    hidden = alpha.point([255] * 128 + [0] * 128) if alpha is not None else None
    if hidden is not None and hidden.getbbox() is None:
        hidden = None
    opaque = image.convert("RGB")
    if hidden is not None:
        opaque.paste((0, 0, 0), mask=hidden)
    reduced = _quantise(opaque, colours - 1 if hidden is not None else colours, dither=dither)
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
