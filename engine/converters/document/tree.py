"""A document as pandoc's tree: elements with a tag `t` and contents `c`, in lists of lists.

The types are pandoc's (Text.Pandoc.Definition); what is here is only how to walk them, to change
them on the way, and to make the few that this package makes itself.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Self

import msgspec

from engine.errors import ConversionCrashed

Element = dict[str, Any]
# What stands in place of an element: nothing, itself, others.
Visit = Callable[[Element], list[Element]]

# The version of pandoc's types that the trees made here are of.
_VERSION = [1, 23, 1]


class Tree(msgspec.Struct, kw_only=True):
    """A document: its metadata and its blocks."""

    version: list[int] = msgspec.field(name="pandoc-api-version", default_factory=lambda: _VERSION)
    meta: dict[str, Element] = {}
    blocks: list[Element] = []

    @classmethod
    def parse(cls, written: bytes) -> Self:
        """Read pandoc's JSON. Raises ConversionCrashed for what is none, RecursionError."""
        try:
            return msgspec.json.decode(written, type=cls)
        except msgspec.MsgspecError as error:
            raise ConversionCrashed("the converter of documents gave no tree") from error

    def dump(self) -> bytes:
        """Write pandoc's JSON. Raises RecursionError."""
        return msgspec.json.encode(self)

    def rewrite(self, visit: Visit) -> None:
        """Put in place of each element, innermost first, what `visit` says. Raises RecursionError.

        An inline's replacement is inlines, a block's is blocks.
        """
        self.blocks = _rewritten(self.blocks, visit)
        for value in self.meta.values():
            _descend(value, visit)

    def elements(self) -> Iterator[Element]:
        """Every element, outermost first, in the order of the document."""
        stack: list[Any] = [self.blocks]
        while stack:
            one = stack.pop()
            if isinstance(one, dict):
                if "t" in one:
                    yield one
                stack.append(one.get("c"))
            elif isinstance(one, list):
                stack += reversed(one)

    def title_text(self) -> str:
        """Its own title without formatting, or its first heading, or nothing."""
        named = self.meta.get("title")
        if named is not None and (said := text_of([named])):
            return said
        first = next((one for one in self.elements() if one["t"] == "Header"), None)
        return text_of(first["c"][2]) if first else ""


def attributes_of(element: Element) -> list[Any] | None:
    """The [identifier, classes, [key, value] ...] of an element that has them."""
    at = _ATTRIBUTES_AT.get(element["t"])
    return None if at is None else element["c"][at]


_ATTRIBUTES_AT = {
    "Code": 0,
    "Link": 0,
    "Image": 0,
    "Span": 0,
    "CodeBlock": 0,
    "Div": 0,
    "Table": 0,
    "Figure": 0,
    "Header": 1,
}


def text_of(content: Any) -> str:
    """The words in any part of a tree."""
    words: list[str] = []
    stack = [content]
    while stack:
        one = stack.pop()
        if isinstance(one, dict):
            match one.get("t"):
                case "Str" | "MetaString":
                    words.append(one["c"])
                case "Space" | "SoftBreak" | "LineBreak":
                    words.append(" ")
                case "Code" | "Math" | "CodeBlock":
                    words.append(one["c"][1])
                case "Note" | "RawInline" | "RawBlock":
                    pass
                case _:
                    stack.append(one.get("c"))
        elif isinstance(one, list):
            stack += reversed(one)
    return "".join(words).strip()


def words(text: str) -> list[Element]:
    """A line of text as inlines."""
    found: list[Element] = []
    for word in text.split():
        found += [{"t": "Space"}] * bool(found) + [{"t": "Str", "c": word}]
    return found


def raw(kind: str, text: str, *, block: bool = False) -> Element:
    """Text in the target's own notation."""
    return {"t": "RawBlock" if block else "RawInline", "c": [kind, text]}


def paragraph(inlines: Iterable[Element]) -> Element:
    """A paragraph."""
    return {"t": "Para", "c": list(inlines)}


def _rewritten(content: list[Any], visit: Visit) -> list[Any]:
    made: list[Any] = []
    for one in content:
        if isinstance(one, dict) and "t" in one:
            _descend(one, visit)
            made += visit(one)
        elif isinstance(one, list):
            made.append(_rewritten(one, visit))
        else:
            made.append(one)
    return made


def _descend(element: Element, visit: Visit) -> None:
    content = element.get("c")
    if isinstance(content, list):
        element["c"] = _rewritten(content, visit)
    elif isinstance(content, dict):
        # The map of a piece of metadata.
        for value in content.values():
            if isinstance(value, dict):
                _descend(value, visit)
