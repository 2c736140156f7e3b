"""HTML inside another format, for results that cannot hold HTML: read as what it means.

People write tables, centred pictures and keys into their Markdown as HTML. Left raw, all of it
would be lost in a Word document. So each piece, with whatever it encloses, goes once through
pandoc's writer and reader of HTML, all pieces of a document together. That costs two more
executions, for documents that have such pieces only.
"""

from typing import Any

from engine.converters.document import pandoc
from engine.converters.document.markup import tags
from engine.converters.document.tree import Element, Tree
from engine.errors import EngineError
from sandbox.limits import MIB

_VOID = frozenset({"area", "br", "col", "hr", "img", "input", "link", "meta", "source", "wbr"})
# What a way through HTML would lose: such a paragraph keeps its pieces raw.
_FRAGILE = frozenset({"Note", "Math", "Cite"})
_PIECES_BYTES_MAX = 64 * MIB
_STAND_IN = "StandIn"


def understand(tree: Tree) -> None:
    """Put what raw HTML means in its place; what cannot be read stays as it is."""
    pieces: list[list[Element]] = []
    _take_out(tree.blocks, pieces)
    if not pieces:
        return
    read = _read(tree.version, pieces)
    tree.rewrite(
        lambda one: read[one["c"]] if one["t"] == _STAND_IN else [one],
    )


def _read(version: list[int], pieces: list[list[Element]]) -> list[list[Element]]:
    wrapped = [
        {"t": "Div", "c": [[f"piece-{number}", [], []], piece]}
        for number, piece in enumerate(pieces)
    ]
    try:
        page, _ = pandoc.write(
            Tree(version=version, meta={}, blocks=wrapped),
            "html",
            ("--wrap=none", "--syntax-highlighting=none"),
            output_bytes_max=_PIECES_BYTES_MAX,
        )
        read, _ = pandoc.read(page, "html", "html")
    except EngineError:
        return pieces
    found = [one["c"][1] for one in read.blocks if one["t"] == "Div"]
    # A piece that closes what it did not open breaks out of its wrapping.
    return found if len(found) == len(pieces) == len(read.blocks) else pieces


def _take_out(content: list[Any], pieces: list[list[Element]]) -> None:
    """Collect the pieces of a list of blocks and of all in it; numbers stand in for them."""
    made: list[Any] = []
    at = 0
    while at < len(content):
        one = content[at]
        end = _end_of_piece(content, at)
        if end > at:
            made.append({"t": _STAND_IN, "c": len(pieces)})
            pieces.append(content[at:end])
            at = end
            continue
        inner = one.get("c") if isinstance(one, dict) else one
        if isinstance(inner, list):
            _take_out(inner, pieces)
        made.append(one)
        at += 1
    content[:] = made


def _end_of_piece(content: list[Any], at: int) -> int:
    """Where the piece that begins here ends; here, where none begins."""
    first = content[at]
    if not isinstance(first, dict):
        return at
    if first.get("t") in {"Para", "Plain"}:
        kinds = {one["t"] for one in Tree(meta={}, blocks=first["c"]).elements()}
        raw = any(_is_html(one) for one in first["c"])
        return at + 1 if raw and not kinds & _FRAGILE else at
    if not _is_html(first):
        return at
    depth = 0
    for end in range(at, len(content)):
        if _is_html(content[end]):
            depth += _depth(content[end]["c"][1])
        if depth <= 0:
            return end + 1
    return at + 1


def _is_html(one: Any) -> bool:
    return (
        isinstance(one, dict)
        and one.get("t") in {"RawBlock", "RawInline"}
        and one["c"][0] in {"html", "html4", "html5"}
    )


def _depth(text: str) -> int:
    """How many tags stay open behind this markup."""
    names = [name for name, _ in tags(text) if name.lstrip("/") not in _VOID]
    return sum(-1 if name.startswith("/") else 1 for name in names)
