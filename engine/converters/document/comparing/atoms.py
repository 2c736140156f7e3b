"""A paragraph as a row of atoms: words, spaces, marks, fields, pictures; with the runs they are in.

An atom is what is compared as a whole. It knows the pieces that it is made of, since a word may go
through several runs, and the wrappers (a link, a content control) that its runs are in.
"""

import hashlib
import re
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import NamedTuple

from lxml import etree

from engine.converters.document.comparing.terms import (
    FLD_CHAR,
    FLD_TYPE,
    INSTR,
    LETTERS,
    PPR,
    R_RUN,
    RPR,
    SDT,
    SDT_CONTENT,
    VAL,
    Element,
    M,
    R,
    T,
    is_element,
    local,
    w,
)

# A word, a gap, or one sign of anything else.
_WORDS = re.compile(r"\w+(?:['\u2019.,]\w+)*|\s+|.", re.DOTALL)
_LETTERS = re.compile(r".", re.DOTALL)

_WRAPPERS = frozenset({w("hyperlink"), SDT, w("bdo"), w("dir")})
_UNWRAPPED = frozenset({w("smartTag"), w("customXml")})
# Of no width, and of the second document: kept where they stand, never compared.
_SILENT = frozenset(
    w(name)
    for name in (
        *("bookmarkStart", "bookmarkEnd", "commentRangeStart", "commentRangeEnd", "permStart"),
        *("permEnd", "commentReference", "annotationRef", "lastRenderedPageBreak"),
    )
)
_DROPPED = frozenset({w("proofErr")})
_FOOTNOTES = frozenset({w("footnoteReference"), w("endnoteReference")})
# What differs from one saving to the next and means nothing.
_VOLATILE = re.compile(r"^(id|name|editId|anchorId|paraId|textId|rsid\w*)$")

Wrappers = tuple[Element, ...]


class Piece(NamedTuple):
    """A part of a run: text, or one of its elements; or an element of the paragraph itself."""

    run: Element | None
    content: str | Element


class Atom(NamedTuple):
    """What is compared as a whole."""

    key: Hashable
    pieces: tuple[Piece, ...]
    wrappers: Wrappers
    # Bookmarks and the like that stand before it.
    before: tuple["Item", ...] = ()
    text: str = ""


class Sight(NamedTuple):
    """How closely is looked."""

    letters: bool
    case: bool
    whitespace: bool
    # What stands for the file that a relation of the part refers to.
    print_of: Callable[[str], str]

    def word(self, text: str) -> Hashable:
        """What two words have to have in common."""
        if not self.whitespace and text.isspace():
            return " "
        return text if self.case else text.casefold()


class Item(NamedTuple):
    """A piece, and what it stands in."""

    piece: Piece
    wrappers: Wrappers


def read(paragraph: Element, sight: Sight) -> tuple[list[Atom], tuple[Item, ...]]:
    """The atoms, and what stands after the last one without a width."""
    atoms: list[Atom] = []
    silent: list[Item] = []
    for key, items, text in _grouped(list(_items(paragraph, ())), sight):
        if key is None:
            silent += items
            continue
        pieces = tuple(item.piece for item in items)
        atoms.append(Atom(key, pieces, items[0].wrappers, tuple(silent), text))
        silent = []
    return atoms, tuple(silent)


def _items(parent: Element, wrappers: Wrappers) -> Iterator[Item]:
    """What the paragraph consists of, from left to right, in the smallest parts that XML has."""
    for child in parent:
        if not is_element(child) or child.tag in {PPR, *_DROPPED}:
            continue
        if child.tag == R_RUN:
            yield from (Item(Piece(child, one), wrappers) for one in _contents(child))
        elif child.tag in _WRAPPERS:
            inner = child.find(SDT_CONTENT) if child.tag == SDT else child
            if inner is not None:
                yield from _items(inner, (*wrappers, child))
        elif child.tag in _UNWRAPPED:
            yield from _items(child, wrappers)
        else:
            yield Item(Piece(None, child), wrappers)


def _contents(run: Element) -> Iterator[str | Element]:
    for child in run:
        if child.tag == T:
            if child.text:
                yield child.text
        elif is_element(child) and child.tag != RPR:
            yield child


Group = tuple[Hashable | None, Sequence[Item], str]


def _grouped(items: Sequence[Item], sight: Sight) -> Iterator[Group]:
    """Items that are one atom, with its key and its text; no key for what has no width."""
    at = 0
    while at < len(items):
        end = _text_end(items, at)
        if end > at:
            yield from _words(items[at:end], sight)
            at = end
            continue
        end = _field_end(items, at)
        if end > at:
            yield _field(items[at:end])
            at = end
            continue
        yield _single(items[at], sight)
        at += 1


def _text_end(items: Sequence[Item], at: int) -> int:
    """Where the text that begins here ends: as far as it is in the same wrappers."""
    end = at
    while (
        end < len(items)
        and isinstance(items[end].piece.content, str)
        and items[end].wrappers == items[at].wrappers
    ):
        end += 1
    return end


def _words(items: Sequence[Item], sight: Sight) -> Iterator[Group]:
    text = "".join(str(item.piece.content) for item in items)
    pattern = _LETTERS if sight.letters else _WORDS
    number, offset = 0, 0
    for found in pattern.finditer(text):
        word, taken = found.group(), []
        left = len(word)
        while left:
            item = items[number]
            content = str(item.piece.content)[offset : offset + left]
            taken.append(Item(Piece(item.piece.run, content), item.wrappers))
            left -= len(content)
            offset += len(content)
            if offset == len(str(item.piece.content)):
                number, offset = number + 1, 0
        yield sight.word(word), taken, word


def _field_end(items: Sequence[Item], at: int) -> int:
    """Where the field that begins here ends, in this paragraph; `at` where none begins or ends."""
    depth = 0
    for number in range(at, len(items)):
        kind = _field_part(items[number])
        if number == at and kind != "begin":
            return at
        depth += {"begin": 1, "end": -1}.get(kind, 0)
        if depth == 0:
            return number + 1
    return at


def _field_part(item: Item) -> str:
    content = item.piece.content
    if isinstance(content, str) or content.tag != FLD_CHAR:
        return ""
    return str(content.get(FLD_TYPE, ""))


def _field(items: Sequence[Item]) -> Group:
    """A whole field: what it says to do, and what it shows."""
    told, shown, is_result = [], [], False
    for item in items:
        content = item.piece.content
        if _field_part(item) == "separate":
            is_result = True
        elif isinstance(content, str):
            shown.append(content)
        elif content.tag == INSTR:
            told.append(content.text or "")
        elif is_result:
            shown.append(LETTERS.get(content.tag, ""))
    text = "".join(shown)
    return ("field", " ".join("".join(told).split()), text), items, text


def _single(item: Item, sight: Sight) -> Group:
    """An element that is an atom of its own."""
    thing: Element = item.piece.content
    if thing.tag in _SILENT:
        return None, [item], ""
    return _key(thing, sight), [item], _text_of(thing)


def _key(thing: Element, sight: Sight) -> Hashable:
    tag, name = thing.tag, local(thing)
    keys: dict[str, Hashable] = {
        w("sym"): ("sign", thing.get(w("font")), thing.get(w("char"))),
        w("fldSimple"): ("field", " ".join(thing.get(w("instr"), "").split()), _text_of(thing)),
        **dict.fromkeys(LETTERS, ("letter", name, thing.get(w("type"), ""))),
        **dict.fromkeys(_FOOTNOTES, ("note", name)),
        **dict.fromkeys((FLD_CHAR, INSTR), ("part", name, thing.text or "")),
    }
    if etree.QName(thing).namespace == M:
        return ("formula", "".join(thing.itertext()))
    return keys[tag] if tag in keys else ("thing", fingerprint(thing, sight.print_of))


def _text_of(thing: Element) -> str:
    return LETTERS.get(thing.tag) or "".join(
        thing.itertext(T) if thing.tag == w("fldSimple") else ""
    )


def fingerprint(thing: Element, print_of: Callable[[str], str]) -> str:
    """What stands for a drawing: its markup without what every saving changes, its files' bytes."""
    told = hashlib.sha256()
    for node in thing.iter():
        if not is_element(node):
            continue
        told.update(f"<{node.tag}".encode())
        for name, value in sorted(node.attrib.items()):
            plain = etree.QName(name)
            if plain.namespace == R:
                told.update(print_of(value).encode())
            elif not _VOLATILE.match(plain.localname):
                told.update(f" {name}={value}".encode())
        told.update(f">{(node.text or '').strip()}".encode())
    return told.hexdigest()


def words_of(atoms: Sequence[Atom]) -> Iterator[Hashable]:
    """What says what a paragraph is about: its words and things, without gaps and signs."""
    return (one.key for one in atoms if not one.text or one.text[:1].isalnum())


def note_of(atom: Atom) -> tuple[str, str] | None:
    """The kind and the number of the note that an atom refers to."""
    content = atom.pieces[0].content
    if isinstance(content, str) or content.tag not in _FOOTNOTES:
        return None
    return local(content).removesuffix("Reference"), str(content.get(w("id"), ""))


def value_of(properties: Element | None, name: str) -> str:
    """What a property says; "" where it is absent."""
    found = properties.find(w(name)) if properties is not None else None
    return "" if found is None else str(found.get(VAL, ""))
