"""Dots an inch, where a file states them.

Pillow fills gaps with invented numbers (72 for a JPEG with EXIF, 1 for a TIFF), so JPEG's own field
is read and what no device has is taken for silence.
"""

from PIL import Image

_X_RESOLUTION, _Y_RESOLUTION, _UNIT = 0x011A, 0x011B, 0x0128
_CENTIMETRES = 3
_LEAST, _MOST = 10, 10_000


def resolution(image: Image.Image) -> tuple[float, float] | None:
    """Horizontal and vertical dots an inch, or None where the file states none or nonsense."""
    try:
        across, down = _stated(image)
        pair = float(across), float(down)
    except (SyntaxError, ValueError, TypeError, LookupError, OSError, ArithmeticError):
        return None
    return pair if all(_LEAST <= value <= _MOST for value in pair) else None


def _stated(image: Image.Image) -> tuple[float, float]:
    if image.format not in {"JPEG", "MPO"}:
        across, down = image.info["dpi"]
        return across, down
    if image.info.get("jfif_unit"):
        across, down = image.info["jfif_density"]
        unit = 2.54 if image.info["jfif_unit"] == _CENTIMETRES - 1 else 1
        return across * unit, down * unit
    tags = image.getexif()
    unit = 2.54 if tags.get(_UNIT) == _CENTIMETRES else 1
    return float(tags[_X_RESOLUTION]) * unit, float(tags[_Y_RESOLUTION]) * unit
