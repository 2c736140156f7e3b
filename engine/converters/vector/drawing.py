"""An SVG made harmless and complete: nothing of it reaches outside, and every letter has a font.

Both renderers would open files that an image names (there is none for them to find) and drop text
whose font is missing without a word. So references to anything but the drawing itself and embedded
pictures are taken out, and every list of fonts ends with one that is here.
"""

import re
from typing import Any, NamedTuple

from lxml import etree

from engine.converters.opening import check_pixels
from engine.errors import SourceUnreadable
from engine.job import Bounds, Buffer

# What CSS takes for an inch, and a browser for a drawing that names no size.
_DPI = 96.0
_SIZE = (300.0, 150.0)
_EM = 16.0
_UNITS = {
    "": 1.0,
    "px": 1.0,
    "pt": _DPI / 72,
    "pc": _DPI / 6,
    "in": _DPI,
    "cm": _DPI / 2.54,
    "mm": _DPI / 25.4,
    "q": _DPI / 101.6,
    "em": _EM,
    "rem": _EM,
    "ex": _EM / 2,
}
_LENGTH = re.compile(r"^\s*\+?(\d{1,9}(?:\.\d*)?|\.\d+)(?:e\+?(\d))?\s*([a-z]*)\s*$", re.IGNORECASE)
_NUMBERS = re.compile(r"[\s,]+")
_SANS, _SERIF, _MONO = "Liberation Sans", "Liberation Serif", "Liberation Mono"
# What a font's name contains, in small letters, and who stands in for it; else it is a plain one.
_STAND_INS = (
    (("mono", "courier", "consol", "menlo", "code", "typewriter"), _MONO),
    (("sans",), _SANS),
    (("serif", "times", "georgia", "cambria", "garamond", "palatino", "roman", "bookman"), _SERIF),
)
_FAMILIES = re.compile(r"(font-family\s*:\s*)([^;}]+)", re.IGNORECASE)
_SHORTHAND = re.compile(r"(?<![-\w])(font\s*:\s*)([^;}]+)", re.IGNORECASE)
_MOVING = frozenset({"animate", "animateMotion", "animateTransform", "animateColor", "set"})
_INSIDE = ("#", "data:")


class Drawing(NamedTuple):
    """A drawing that is safe to draw: its text, its size in CSS pixels, what is missing of it."""

    text: str
    size: tuple[float, float]
    warnings: tuple[str, ...]


def read(data: Buffer, bounds: Bounds) -> Drawing:
    """Parse and clean. Raises SourceUnreadable, SourceTooComplex."""
    # Entities of the document itself are common (names of namespaces) and bounded by libxml2.
    parser = etree.XMLParser(
        resolve_entities="internal", no_network=True, load_dtd=False, remove_comments=True
    )
    try:
        root = etree.fromstring(bytes(data), parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise SourceUnreadable("the SVG is not well-formed XML, or cut off") from error
    if root is None or _local(root) != "svg":
        raise SourceUnreadable("the XML is not an SVG drawing")
    warnings: dict[str, None] = {}
    for element in list(root.iter(etree.Element)):
        _clean(element, warnings)
    if not root.get("font-family"):
        root.set("font-family", _SERIF)
    size = _size_of(root)
    check_pixels((round(size[0]), round(size[1])), bounds)
    root.set("width", f"{size[0]:g}")
    root.set("height", f"{size[1]:g}")
    text: str = etree.tostring(root, encoding="unicode")
    return Drawing(text, size, tuple(warnings))


def _clean(element: Any, warnings: dict[str, None]) -> None:
    name = _local(element)
    if name == "script":
        warnings["the drawing's scripts were not run"] = None
        element.getparent().remove(element)
        return
    if name == "foreignObject":
        warnings["text and pages of HTML inside the drawing are not shown"] = None
    if name in _MOVING:
        warnings["what moves in the drawing is shown as it begins"] = None
    if name == "style" and element.text:
        element.text = _with_fonts(element.text)
    for key in list(element.attrib):
        plain = key.rpartition("}")[2]
        if plain == "href" and name != "a" and not element.get(key).strip().startswith(_INSIDE):
            warnings["files that the drawing refers to were left out: nothing is fetched"] = None
            del element.attrib[key]
        elif plain.startswith("on"):
            del element.attrib[key]
        elif plain == "font-family":
            element.set(key, _list_with_font(element.get(key)))
        elif plain == "style":
            element.set(key, _with_fonts(element.get(key)))


def _local(element: Any) -> str:
    return str(etree.QName(element).localname)


def _with_fonts(css: str) -> str:
    css = _FAMILIES.sub(lambda found: found[1] + _list_with_font(found[2]), css)
    return _SHORTHAND.sub(lambda found: found[1] + _list_with_font(found[2]), css)


def _list_with_font(families: str) -> str:
    """The list, ending with a font that is here and as like as can be."""
    lower = families.lower()
    stand_in = next(
        (font for words, font in _STAND_INS if any(word in lower for word in words)), _SANS
    )
    kept, important = families.strip().rstrip(","), ""
    if lower.rstrip().endswith("!important"):
        kept, important = kept[: -len("!important")].rstrip(), " !important"
    if lower.strip() in {"inherit", "initial", "unset"}:
        return families
    return f"{kept}, '{stand_in}'{important}"


def _size_of(root: Any) -> tuple[float, float]:
    """Width and height in CSS pixels, from the attributes or the view box (SVG 2, 8.2)."""
    box = _view_box(root)
    wide, high = _length(root.get("width")), _length(root.get("height"))
    if box is None:
        return wide or _SIZE[0], high or _SIZE[1]
    if wide is None and high is None:
        return box
    ratio = box[0] / box[1]
    return wide or (high or 0) * ratio, high or (wide or 0) / ratio


def _view_box(root: Any) -> tuple[float, float] | None:
    try:
        numbers = [float(word) for word in _NUMBERS.split(root.get("viewBox", "").strip())]
    except ValueError:
        return None
    if len(numbers) != 4 or not (0 < numbers[2] < 1e9 and 0 < numbers[3] < 1e9):  # noqa: PLR2004  # left, top, width, height
        return None
    return numbers[2], numbers[3]


def _length(text: str | None) -> float | None:
    """A length in CSS pixels; None for percentages and what is none."""
    found = _LENGTH.match(text or "")
    if found is None or found[3].lower() not in _UNITS:
        return None
    value = float(found[1]) * 10 ** int(found[2] or 0) * _UNITS[found[3].lower()]
    return value if value > 0 else None
