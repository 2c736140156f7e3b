"""Typefaces, read before the fork: a worker can open no file."""

import io
from functools import cache
from pathlib import Path

from PIL import ImageFont

_FOLDER = Path(__file__).parent.parent / "fonts"
# Liberation (SIL Open Font Licence): the widths of Arial, Times New Roman and Courier New.
REGULAR, BOLD = "LiberationSans-Regular.ttf", "LiberationSans-Bold.ttf"


@cache
def content(name: str) -> bytes:
    """The font file; the first call reads it, and has to come before the fork."""
    return (_FOLDER / name).read_bytes()


def typeface(name: str, size: float) -> ImageFont.FreeTypeFont:
    """The font at a size in pixels."""
    return ImageFont.truetype(io.BytesIO(content(name)), size)
