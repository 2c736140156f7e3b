"""Colour: from any mode a decoder gives to one the target can hold, sRGB unless asked otherwise.

The order matters and is `convert.py`'s: `expand` before scaling (palettes and single bits cannot be
averaged), `to_srgb` after it (fewer pixels), then `fit_mode`.
"""

import io
from functools import cache

from PIL import Image, ImageCms

from engine.converters.image.targets import Target

Colour = tuple[int, int, int, int]

_SIXTEEN_BIT = frozenset({"I;16", "I;16L", "I;16B", "I;16N"})
_NAMED: dict[str, Colour] = {
    "white": (255, 255, 255, 255),
    "black": (0, 0, 0, 255),
    "transparent": (255, 255, 255, 0),
}


def parse_colour(text: str) -> Colour:
    """The background option, which the catalogue's pattern has checked, as RGBA."""
    if text in _NAMED:
        return _NAMED[text]
    digits = text.removeprefix("#").ljust(8, "f")
    red, green, blue, alpha = bytes.fromhex(digits)
    return red, green, blue, alpha


def expand(image: Image.Image, warnings: list[str]) -> Image.Image:
    """Bring a decoded frame to L, LA, RGB, RGBA, CMYK or I;16, which can all be scaled."""
    mode = image.mode
    if mode == "F":
        return _from_floats(image, warnings)
    if mode == "LAB":
        lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
        return _transform(image, lab, "RGB") or image.convert("RGB")
    if mode == "I" or mode in _SIXTEEN_BIT:
        return image.convert("I").convert("I;16")
    if image.has_transparency_data:
        return image.convert("LA" if mode in {"L", "LA", "1"} else "RGBA")
    wanted = {"1": "L", "L": "L", "CMYK": "CMYK"}.get(mode, "RGB")
    return image if mode == wanted else image.convert(wanted)


def _from_floats(image: Image.Image, warnings: list[str]) -> Image.Image:
    """Stretch floating-point samples to 8 bits: 0..1 by convention, else from least to most."""
    low, high = image.getextrema()
    if not isinstance(low, float) or not isinstance(high, float):
        return image.convert("L")
    if low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    scale = 255 / (high - low) if high > low else 0.0
    warnings.append("Floating-point samples were scaled to 8 bits")
    return image.point(lambda value: value * scale + (-low * scale)).convert("L")


def to_srgb(image: Image.Image, icc: bytes | None, warnings: list[str]) -> Image.Image:
    """Convert to sRGB by the embedded profile; without one, device values are taken as sRGB.

    CMYK becomes RGB either way, L stays L. Sixteen-bit grey is left alone.
    """
    if image.mode == "I;16":
        return image
    profile = _profile(icc, warnings) if icc else None
    if profile is None or _is_srgb(profile):
        return image.convert("RGB") if image.mode == "CMYK" else image
    space = str(profile.profile.xcolor_space).strip()
    converted = _by_profile(image, profile, space)
    if converted is None:
        warnings.append("The embedded colour profile does not suit the image and was ignored")
        return image.convert("RGB") if image.mode == "CMYK" else image
    return converted


def _profile(icc: bytes, warnings: list[str]) -> ImageCms.ImageCmsProfile | None:
    try:
        return ImageCms.ImageCmsProfile(io.BytesIO(icc))
    except (OSError, ValueError, TypeError):
        warnings.append("The embedded colour profile is damaged and was ignored")
        return None


def _is_srgb(profile: ImageCms.ImageCmsProfile) -> bool:
    """By its description, as browsers do: every sRGB variant in use calls itself so."""
    return "srgb" in (profile.profile.profile_description or "").lower()


def _by_profile(
    image: Image.Image, profile: ImageCms.ImageCmsProfile, space: str
) -> Image.Image | None:
    """Transform the colours, leaving alpha as it is; None where profile and mode do not match."""
    if image.mode == "CMYK":
        return _transform(image, profile, "RGB") if space == "CMYK" else None
    alpha = image.getchannel("A") if image.mode in {"LA", "RGBA"} else None
    grey = image.mode in {"L", "LA"}
    opaque = image.convert("L" if grey else "RGB") if alpha is not None else image
    if space == "RGB":
        result = _transform(opaque.convert("RGB"), profile, "RGB")
    elif space == "GRAY" and grey:
        result = _transform(opaque, profile, "RGB")
    else:
        result = None
    if result is None:
        return None
    result = result.convert("L") if grey else result
    if alpha is not None:
        result.putalpha(alpha)
    return result


def _transform(
    image: Image.Image, profile: ImageCms.ImageCmsProfile, mode: str
) -> Image.Image | None:
    try:
        return ImageCms.profileToProfile(
            image,
            profile,
            _srgb(),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode=mode,
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except ImageCms.PyCMSError:
        return None


@cache
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


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


def flatten(image: Image.Image, background: Colour, title: str, warnings: list[str]) -> Image.Image:
    """Lay the image over an opaque background; warns where that shows."""
    alpha = image.getchannel("A")
    if alpha.getextrema() != (255, 255):
        warnings.append(f"{title} has no transparency; it was laid over a background colour")
    opaque = image.convert("RGB")
    result = Image.new("RGB", image.size, background[:3])
    result.paste(opaque, mask=alpha)
    grey = background[0] == background[1] == background[2] and image.mode == "LA"
    return result.convert("L") if grey else result


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
    reduced = image.quantize(colours, method=Image.Quantize.MEDIANCUT)
    if not dither or image.getcolors(colours) is not None:
        return reduced
    return image.quantize(palette=reduced, dither=Image.Dither.FLOYDSTEINBERG)
