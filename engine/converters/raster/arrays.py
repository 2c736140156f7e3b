"""Between a codec's array of numbers and Pillow's image, in either direction."""

from typing import Any

from PIL import Image

from engine.converters.raster.numbers import np

_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
# The curve of sRGB (IEC 61966-2-1).
_DARK, _SLOPE, _BENT, _GAMMA = 0.0031308, 12.92, 1.055, 2.4
_EIGHT, _SIXTEEN = np.dtype(np.uint8), np.dtype(np.uint16)


def to_image(pixels: "np.ndarray[Any, Any]", warnings: list[str]) -> Image.Image:
    """An array of rows as an image of 8 bits a channel, or 16 for grey. Raises ValueError."""
    if pixels.ndim == 3 and pixels.shape[2] == 1:  # noqa: PLR2004  # rows, columns, channels
        pixels = pixels[:, :, 0]
    if pixels.dtype == _SIXTEEN and pixels.ndim == 2:  # noqa: PLR2004  # grey
        return Image.fromarray(np.ascontiguousarray(pixels.astype("<u2")))
    if pixels.dtype != _EIGHT:
        pixels = _reduced(pixels, warnings)
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]  # noqa: PLR2004  # grey
    high, wide = pixels.shape[:2]
    return Image.frombuffer(_MODES[channels], (wide, high), np.ascontiguousarray(pixels))


def _reduced(pixels: "np.ndarray[Any, Any]", warnings: list[str]) -> "np.ndarray[Any, Any]":
    if pixels.dtype == _SIXTEEN:
        warnings.append("colours of 16 bits a channel were reduced to 8 bits")
        return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if np.issubdtype(pixels.dtype, np.floating):
        warnings.append("light beyond white was cut off: the samples are floating-point numbers")
        return (
            _as_shown(np.clip(np.nan_to_num(pixels.astype(np.float32)), 0, 1)) * 255 + 0.5
        ).astype(np.uint8)
    raise ValueError("samples of an unusual kind")


def _as_shown(linear: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """Linear light, as these formats hold it, as sRGB shows it; alpha is linear in both."""
    channels = 1 if linear.ndim == 2 else linear.shape[2]  # noqa: PLR2004  # grey
    colours = linear[..., :3] if channels == 4 else linear  # noqa: PLR2004  # RGBA
    bent = _BENT * np.power(colours, 1 / _GAMMA) - (_BENT - 1)
    shown = np.where(colours <= _DARK, colours * _SLOPE, bent)
    return np.concatenate([shown, linear[..., 3:]], axis=2) if channels == 4 else shown  # noqa: PLR2004  # RGBA


def to_array(image: Image.Image) -> "np.ndarray[Any, Any]":
    """The image's numbers as rows, contiguous; grey of 16 bits stays so."""
    return np.ascontiguousarray(np.asarray(image))
