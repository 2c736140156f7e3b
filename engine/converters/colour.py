"""Colour: from any mode a decoder gives to a few plain ones, and from any colour space to sRGB.

`expand` comes before scaling (palettes and single bits cannot be averaged), `to_srgb` after it
(fewer pixels).
"""

import io
from functools import cache

from PIL import Image, ImageCms

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
        if "transparency" in image.info:
            warnings.append("the one shade of 16-bit grey that was transparent became opaque")
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
    warnings.append("floating-point samples were scaled to 8 bits")
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
        warnings.append("the embedded colour profile does not suit the image and was ignored")
        return image.convert("RGB") if image.mode == "CMYK" else image
    return converted


def opened_profile(icc: bytes) -> ImageCms.ImageCmsProfile | None:
    """The profile in these bytes, or None where they are none."""
    return _profile(icc, [])


def is_profile(icc: bytes | None, warnings: list[str]) -> bool:
    """Whether these bytes are a colour profile that can be read; says so where they are not."""
    return icc is not None and _profile(icc, warnings) is not None


def _profile(icc: bytes, warnings: list[str]) -> ImageCms.ImageCmsProfile | None:
    try:
        return ImageCms.ImageCmsProfile(io.BytesIO(icc))
    except (OSError, ValueError, TypeError):
        warnings.append("the embedded colour profile is damaged and was ignored")
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
