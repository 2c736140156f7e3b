"""Plain text as a document: pandoc has no reader for it."""

import re

from engine.converters.document.tree import Element, Tree, paragraph

_EMPTY_LINES = re.compile(r"\n[ \t]*(?:\n[ \t]*)+")
_SPACES = re.compile(r"[ \t]+")
# A form feed begins a new page; there are none in a tree, so a paragraph has to do.
_FORM_FEED = "\f"


def read_plain(text: str, layout: str, *, wraps: bool = False) -> Tree:
    """A tree of paragraphs, with lines kept or joined; or of one block as it stands."""
    if layout == "verbatim":
        return Tree(blocks=[{"t": "CodeBlock", "c": [["", [], []], text]}])
    pieces = _EMPTY_LINES.split(text.replace(_FORM_FEED, "\n\n").strip("\n"))
    joint = "LineBreak" if layout == "lines" else "SoftBreak"
    return Tree(
        blocks=[paragraph(lines(piece, joint, wraps=wraps)) for piece in pieces if piece.strip()]
    )


def lines(text: str, joint: str = "LineBreak", *, wraps: bool = False) -> list[Element]:
    """Lines of text as inlines, with the indentation that they have.

    A line is one element unless it will be wrapped: a tree of words is eight times as large.
    """
    made: list[Element] = []
    for line in text.rstrip().split("\n"):
        made += [{"t": joint}] * bool(made)
        kept = line.rstrip()
        indent = len(kept) - len(kept.lstrip())
        if indent and joint == "LineBreak":
            # Spaces at the front of a line would be lost, and with them lists and verses.
            made.append({"t": "Str", "c": "\u00a0" * len(kept[:indent].expandtabs(4))})
        rest = kept.strip()
        for index, word in enumerate(_SPACES.split(rest) if wraps else [_SPACES.sub(" ", rest)]):
            made += [{"t": "Space"}] * bool(index)
            made += [{"t": "Str", "c": word}] * bool(word)
    return made
