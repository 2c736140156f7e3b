"""Lay recognised words over a page, unseen, where its picture shows them."""

import math
from collections.abc import Iterable
from typing import Any

import pikepdf

from engine.converters.ocr.glyphless import WIDTH
from engine.converters.ocr.reader import Line, Page, Word

_FONT = "EphemeraOcr"
# Points; smaller boxes are specks.
_SIZE_MIN = 1.0
# Beyond the plane that two bytes can name.
_PLANE = 0x10000


def add(document: pikepdf.Pdf, index: int, found: Page, font: pikepdf.Object) -> None:
    """Add a page's words to it; what the page shows stays as it is."""
    page = document.pages[index]
    scale = found.dpi / 72
    height = found.size[1] / scale
    lines = "\n".join(_line(line, scale, height) for line in found.lines)
    if not lines:
        return
    _name_font(page, font)
    matrix = " ".join(f"{number:.3f}" for number in _from_view(page))
    layer = f"q {matrix} cm BT 3 Tr\n{lines}\nET Q\n"
    # The page's own contents may leave their state changed.
    page.contents_add(document.make_stream(b"q\n"), prepend=True)
    page.contents_add(document.make_stream(b"\nQ\n" + layer.encode()))


def _line(line: Line, scale: float, height: float) -> str:
    size = max((line.box[3] - line.box[1]) / scale, _SIZE_MIN)
    return "\n".join(_word(word, size, scale, height) for word in line.words)


def _word(word: Word, size: float, scale: float, height: float) -> str:
    """Text operators for one word, as wide as it is in the picture, and a space behind it."""
    (left, begin), (right, end) = word.baseline
    turn = math.atan2(begin - end, right - left)
    text = "".join(letter if ord(letter) < _PLANE else "\ufffd" for letter in word.text)
    length = math.hypot(right - left, end - begin) / scale
    stretch = 100 * max(length, _SIZE_MIN) / (len(text) * size * WIDTH / 1000)
    across, up = math.cos(turn), math.sin(turn)
    x, y = left / scale, height - begin / scale
    codes = (text + " ").encode("utf-16-be").hex()
    return (
        f"/{_FONT} {size:.2f} Tf {stretch:.2f} Tz"
        f" {across:.4f} {up:.4f} {-up:.4f} {across:.4f} {x:.2f} {y:.2f} Tm <{codes}> Tj"
    )


def _from_view(page: pikepdf.Page) -> tuple[float, ...]:
    """From the page as it is seen, its corner at the bottom left, to the page's own coordinates."""
    media, crop = (_upright(box) for box in (page.mediabox, page.cropbox))
    left, bottom = max(media[0], crop[0]), max(media[1], crop[1])
    right, top = min(media[2], crop[2]), min(media[3], crop[3])
    return {
        0: (1, 0, 0, 1, left, bottom),
        90: (0, 1, -1, 0, right, bottom),
        180: (-1, 0, 0, -1, right, top),
        270: (0, -1, 1, 0, left, top),
    }[page.rotation % 360]


def _upright(box: Iterable[Any]) -> tuple[float, float, float, float]:
    """Left, bottom, right, top, whichever corners are given."""
    x, y, other_x, other_y = (float(side) for side in box)
    return min(x, other_x), min(y, other_y), max(x, other_x), max(y, other_y)


def _name_font(page: pikepdf.Page, font: pikepdf.Object) -> None:
    """Give the page resources of its own: those it has may be shared with other pages."""
    node: Any = page.obj
    for _ in range(50):
        if "/Resources" in node or not isinstance(node.get("/Parent"), pikepdf.Dictionary):
            break
        node = node["/Parent"]
    inherited = node.get("/Resources")
    resources = pikepdf.Dictionary(dict(inherited.items()) if inherited is not None else {})
    fonts = resources.get("/Font")
    named = dict(fonts.items()) if isinstance(fonts, pikepdf.Dictionary) else {}
    resources["/Font"] = pikepdf.Dictionary({**named, f"/{_FONT}": font})
    page.obj["/Resources"] = resources
