"""The page around a document: what pandoc's body of typst needs, and how it shall look.

Values that come from a customer's file reach typst as inputs, never as source.
"""

import re
from typing import Any

from engine.converters.document.pictures import Picture
from engine.converters.document.tree import Element, Tree, paragraph, raw, text_of

# Width and height in millimetres, and typst's names.
_SIZES = {
    "a3": (297.0, 420.0, "a3"),
    "a4": (210.0, 297.0, "a4"),
    "a5": (148.0, 210.0, "a5"),
    "a6": (105.0, 148.0, "a6"),
    "b5": (176.0, 250.0, "iso-b5"),
    "letter": (215.9, 279.4, "us-letter"),
    "legal": (215.9, 355.6, "us-legal"),
}
# Text, formulas. All are built into typst.
_FONTS = {
    "serif": ("Libertinus Serif", "New Computer Modern Math"),
    "classic": ("New Computer Modern", "New Computer Modern Math"),
    "mono": ("DejaVu Sans Mono", "New Computer Modern Math"),
}
_MM = 72 / 25.4
_GUTTER = 0.04
_UNITS = {"in": 72.0, "cm": 72 / 2.54, "mm": _MM, "pt": 1.0, "px": 0.75, "": 0.75, "pc": 12.0}
_LENGTH = re.compile(r"\s*([0-9]{1,6}(?:\.[0-9]{1,20})?)\s*(in|cm|mm|pt|px|pc|em|%|)\s*$")
# Room for a caption below a picture as tall as the page.
_TALLEST = 0.9

_STYLE = """
#let horizontalrule = align(center, line(length: 40%, stroke: 0.5pt + luma(60%)))
#let picture(name, alt, ..size) = box(image(
  bytes(sys.inputs.at(name)), format: "svg", alt: sys.inputs.at(alt), ..size,
))
#set heading(supplement: none)
#show heading: set block(above: 1.5em, below: 0.8em)
#show heading: set text(hyphenate: false)
#show heading: set par(justify: false)
#show raw.where(block: true): set par(justify: false)
#show raw.where(block: true): it => block(
  width: 100%, fill: luma(96%), inset: 8pt, radius: 3pt, it,
)
#show raw: set text(font: "DejaVu Sans Mono", size: 0.85em)
#show link: set text(fill: rgb("#1a4f8b"))
#show quote.where(block: true): it => block(
  width: 100%, stroke: (left: 2pt + luma(80%)), inset: (left: 1em, y: 0.3em), it.body,
)
#set table(inset: (x: 6pt, y: 5pt), stroke: (x, y) => (
  bottom: if y == 0 { 0.8pt + luma(30%) } else { 0.4pt + luma(80%) },
))
#show table.cell: set par(justify: false)
#show table.cell.where(y: 0): set text(weight: "bold")
#show figure.where(kind: table): set block(breakable: true)
#show figure.where(kind: table): set figure.caption(position: top)
#show figure.caption: set text(size: 0.92em)
#show terms.item: it => block(below: 1em)[
  #strong(it.term)#block(inset: (left: 1.5em), it.description)
]
#set smartquote(enabled: false)
"""


class Page:
    """One document's page, from the options."""

    def __init__(self, options: Any) -> None:
        self._options = options
        width, height, self._paper = _SIZES[options.page_size]
        if options.orientation == "landscape":
            width, height = height, width
        margins = 2 * options.margin_mm
        columns: int = options.columns
        text = max((width - margins) * _MM, 36.0)
        self._column = text * (1 - _GUTTER * (columns - 1)) / columns
        self._height = max((height - margins) * _MM, 36.0)

    def picture_size(self, picture: Picture, attributes: dict[str, str]) -> str:
        """The size of a picture as arguments: what it says itself, and never beyond the column."""
        natural = picture.size()
        width = self._length(attributes.get("width", ""), self._column)
        height = self._length(attributes.get("height", ""), self._height)
        if natural is None:
            # A drawing has the size that it names, unless the document says another.
            return f", width: {min(width, self._column):.2f}pt" if width else ", width: auto"
        across, down = natural
        if width is None:
            width = across if height is None else across * height / down
        if height is None:
            height = down * width / across
        shrink = min(1.0, self._column / width, self._height * _TALLEST / height)
        return f", width: {width * shrink:.2f}pt, height: {height * shrink:.2f}pt"

    def title_block(self, front: dict[str, Any]) -> list[Element]:
        """Title, authors and date above the text, and the table of contents."""
        made: list[Element] = []
        for name, opening in (
            ("title", '#align(center, text(size: 1.7em, weight: "bold", hyphenate: false)['),
            ("subtitle", "#align(center, text(size: 1.25em)["),
            ("author", "#align(center)["),
            ("date", "#align(center)["),
        ):
            if name in front and text_of([front[name]]):
                closing = "])" if "text(" in opening else "]"
                made += [raw("typst", opening, block=True), _shown(front[name])]
                made.append(raw("typst", closing, block=True))
        if made:
            made.append(raw("typst", "#v(1.2em)", block=True))
        if self._options.toc:
            depth = self._options.toc_depth
            made.append(raw("typst", f"#outline(depth: {depth})\n#v(1em)", block=True))
        return made

    def inputs(self, front: dict[str, Any]) -> dict[str, str]:
        """What of a document's own words the source below refers to."""
        return {
            "title": text_of([front["title"]]) if "title" in front else "",
            "author": _plain_names(front.get("author")),
        }

    def around(self, body: str, front: dict[str, Any]) -> str:
        """The whole source. Raises nothing: every value is one of ours or a number."""
        options = self._options
        text, formulas = _FONTS[options.font]
        language = text_of([front["lang"]]).lower() if "lang" in front else "en"
        language = language.partition("-")[0].partition("_")[0]
        if not re.fullmatch("[a-z]{2,3}", language):
            language = "en"
        flipped = "true" if options.orientation == "landscape" else "false"
        numbering = '"1"' if options.page_numbers else "none"
        justify = "true" if options.justify else "false"
        settings = (
            f'#set page(paper: "{self._paper}", flipped: {flipped},'
            f" margin: {options.margin_mm}mm, numbering: {numbering}, columns: {options.columns})\n"
            f'#set text(font: "{text}", size: {options.font_size}pt, lang: "{language}")\n'
            f'#show math.equation: set text(font: "{formulas}")\n'
            f"#set par(justify: {justify}, leading: {0.65 * options.line_spacing:.3f}em,"
            f" spacing: {1.2 * options.line_spacing:.3f}em)\n"
            '#set document(title: sys.inputs.title) if sys.inputs.title != ""\n'
            '#set document(author: sys.inputs.author) if sys.inputs.author != ""\n'
        )
        if options.number_sections:
            settings += '#set heading(numbering: "1.1")\n'
        return settings + _STYLE + body

    def unprintable(self, tree: Tree) -> list[str]:
        """Whether the text has characters for which no built-in font has a glyph."""
        missing = sum(
            _NO_GLYPH.search(one["c"]) is not None for one in tree.elements() if one["t"] == "Str"
        )
        if not missing:
            return []
        return [_BOXES]

    def _length(self, said: str, whole: float) -> float | None:
        found = _LENGTH.match(said)
        if found is None:
            return None
        number, unit = float(found.group(1)), found.group(2)
        if unit == "%":
            value = whole * number / 100
        elif unit == "em":
            value = number * self._options.font_size
        else:
            value = number * _UNITS[unit]
        return value or None


_BOXES = (
    "the fonts of this converter have no glyphs for some characters (such as Chinese, Japanese,"
    " Korean, Indic scripts or emoji): they show as boxes"
)
# Scripts beyond Latin, Greek, Cyrillic, Hebrew, Arabic, Georgian, Armenian and symbols.
_NO_GLYPH = re.compile(
    "[\u0700-\u0e00\u0e00-\u0e7f\u0f00-\u109f\u1100-\u1cff\u2e80-\ua4cf\ua500-\ua6ff\ua800-\ufaff"
    "\U00010000-\U0001d3ff\U0001d800-\U000fffff]"
)


def _shown(value: Element) -> Element:
    """A piece of metadata as a paragraph; several, such as authors, side by side."""
    match value["t"]:
        case "MetaList":
            parts = [_inlines(one) for one in value["c"]]
            joined: list[Element] = []
            for part in parts:
                joined += [{"t": "Str", "c": ","}, {"t": "Space"}] * bool(joined) + part
            return paragraph(joined)
        case _:
            return paragraph(_inlines(value))


def _inlines(value: Element) -> list[Element]:
    match value["t"]:
        case "MetaInlines":
            inlines: list[Element] = value["c"]
            return inlines
        case _:
            return [{"t": "Str", "c": text_of([value])}]


def _plain_names(value: Element | None) -> str:
    if value is None:
        return ""
    if value["t"] == "MetaList":
        return ", ".join(text_of([one]) for one in value["c"])
    return text_of([value])
