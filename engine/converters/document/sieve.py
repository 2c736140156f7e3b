"""What of a document goes into a result: pictures put in, active content taken out, losses counted.

One walk over the tree. For pictures the rule is: what the upload brings goes in where the target
can hold it; what lies elsewhere is never fetched, and stands as its description (or as the link
that it was, in formats that name their pictures).
"""

import re
from collections import Counter
from collections.abc import Callable
from typing import Literal

from engine.converters.document.markup import defused, is_active, runs_something, tags
from engine.converters.document.pictures import Picture, Pictures
from engine.converters.document.tree import Element, Tree, attributes_of, raw, words

# What a picture becomes in the result.
Place = Callable[[Element, Picture], Element]
Elsewhere = Literal["linked", "described", "dropped"]

# What readers of these formats show; anything else is turned into PNG where it can be.
SHOWN: dict[str, frozenset[str]] = {
    "html": frozenset({"png", "jpeg", "gif", "webp", "svg"}),
    "epub": frozenset({"png", "jpeg", "gif", "webp", "svg"}),
    "md": frozenset({"png", "jpeg", "gif", "webp", "svg"}),
    "ipynb": frozenset({"png", "jpeg", "gif", "svg"}),
    "docx": frozenset({"png", "jpeg", "gif", "bmp", "tiff", "emf", "wmf"}),
    "pptx": frozenset({"png", "jpeg", "gif", "bmp", "tiff", "emf", "wmf"}),
    "odt": frozenset({"png", "jpeg", "gif", "svg", "bmp", "tiff", "emf", "wmf"}),
    "rtf": frozenset({"png", "jpeg"}),
    "fb2": frozenset({"png", "jpeg"}),
    "pdf": frozenset({"png", "jpeg", "gif", "webp", "svg"}),
}

_REMOTE = re.compile(r"(https?:)?//", re.IGNORECASE)


class Sieve:
    """One walk. What it found that the customer would miss is in `warnings`."""

    def __init__(
        self,
        *,
        pictures: Pictures,
        raw_html: Literal["safe", "keep", "strip"],
        speaks_html: bool,
        notation: str,
        shown: frozenset[str],
        place: Place | None,
        elsewhere: Elsewhere,
    ) -> None:
        self._pictures = pictures
        self._raw_html = raw_html
        self._speaks_html = speaks_html
        self._notation = notation
        self._shown = shown
        # None: pictures that the upload brings are left out.
        self._place = place
        self._elsewhere = elsewhere
        self._lost: Counter[str] = Counter()

    def sift(self, tree: Tree) -> None:
        """Change the tree. Raises RecursionError for one that is nested too deeply."""
        tree.rewrite(self._visit)

    @property
    def warnings(self) -> list[str]:
        """What the customer would miss, a sentence a kind of loss."""
        return [
            one if self._lost[name] == 1 else several.format(self._lost[name])
            for name, one, several in _LOSSES
            if self._lost[name]
        ]

    def _visit(self, element: Element) -> list[Element]:
        match element["t"]:
            case "Image":
                return self._image(element)
            case "Link":
                self._defuse_attributes(element)
                return self._link(element)
            case "RawInline" | "RawBlock":
                return self._raw(element)
            case "Cite" if self._notation == "pdf":
                # There is no bibliography to refer to, which typst takes for an error.
                cited: list[Element] = element["c"][1]
                return cited
            case _:
                self._defuse_attributes(element)
                return [element]

    def _image(self, element: Element) -> list[Element]:
        _, alt, (source, _) = element["c"]
        picture = self._pictures.find(source)
        if picture is not None:
            return self._brought(element, picture)
        if source[:5].lower() == "data:":
            self._lost["damaged"] += 1
            return _description(alt)
        self._lost["elsewhere"] += 1
        if self._elsewhere == "linked":
            self._defuse_attributes(element)
            return [element]
        if _REMOTE.match(source) and self._elsewhere == "described":
            return [{"t": "Link", "c": [["", [], []], alt or words(source), [source, ""]]}]
        return _description(alt)

    def _brought(self, element: Element, picture: Picture) -> list[Element]:
        """A picture that is in the upload."""
        alt = element["c"][1]
        if self._place is None:
            self._lost["left out"] += 1
            return _description(alt)
        shown = picture if picture.kind in self._shown else picture.as_png()
        if shown is None:
            self._lost["unshowable"] += 1
            return _description(alt)
        return [self._place(element, shown)]

    def _link(self, element: Element) -> list[Element]:
        if self._raw_html != "keep" and is_active(element["c"][2][0]):
            self._lost["active"] += 1
            return [{"t": "Span", "c": [["", [], []], element["c"][1]]}]
        return [element]

    def _defuse_attributes(self, element: Element) -> None:
        attributes = attributes_of(element)
        if attributes is None or self._raw_html == "keep":
            return
        kept = [pair for pair in attributes[2] if not pair[0].lower().startswith("on")]
        self._lost["active"] += len(attributes[2]) - len(kept)
        attributes[2] = kept

    def _raw(self, element: Element) -> list[Element]:
        kind, text = element["c"]
        block = element["t"] == "RawBlock"
        if kind in {"html", "html4", "html5"}:
            return self._raw_markup(element, text, block=block)
        same = kind == self._notation or (kind == "tex" and self._notation == "latex")
        if same and self._raw_html != "strip":
            return [element]
        self._lost["raw"] += bool(text.strip())
        return []

    def _raw_markup(self, element: Element, text: str, *, block: bool) -> list[Element]:
        if self._raw_html == "strip" or not self._speaks_html:
            return self._understood(text, block=block)
        if self._raw_html == "keep":
            self._lost["kept"] += runs_something(text)
            return [element]
        safe, removed = defused(text)
        self._lost["active"] += removed
        return [raw("html", safe, block=block)] if safe.strip() else []

    def _understood(self, text: str, *, block: bool) -> list[Element]:
        """What of raw HTML has a meaning elsewhere: line breaks and pictures."""
        found: list[Element] = []
        for name, values in tags(text):
            if name == "br":
                found.append({"t": "LineBreak"})
            elif name == "img":
                size = [[key, values[key]] for key in ("width", "height") if values.get(key)]
                image = [["", [], size], words(values.get("alt", "")), [values.get("src", ""), ""]]
                found += self._image({"t": "Image", "c": image})
            else:
                self._lost["raw"] += 1
        if block:
            return [{"t": "Plain", "c": found}] if found else []
        return found


def _description(alt: list[Element]) -> list[Element]:
    return [{"t": "Emph", "c": alt}] if alt else []


# One, several.
_LOSSES = (
    (
        "active",
        "a script or another active part was taken out",
        "{} scripts or other active parts were taken out",
    ),
    (
        "kept",
        "a script or another active part of the source is in the result, as asked",
        "{} scripts or other active parts of the source are in the result, as asked",
    ),
    (
        "raw",
        "a piece in another markup language was left out",
        "{} pieces in another markup language were left out",
    ),
    (
        "left out",
        "a picture was left out; its description stands for it",
        "{} pictures were left out; their descriptions stand for them",
    ),
    (
        "unshowable",
        "a picture is of a kind that the result cannot show and was left out",
        "{} pictures are of a kind that the result cannot show and were left out",
    ),
    (
        "damaged",
        "a picture is damaged and was left out",
        "{} pictures are damaged and were left out",
    ),
    (
        "elsewhere",
        "a picture is not in the file and was not fetched",
        "{} pictures are not in the file and were not fetched",
    ),
)
