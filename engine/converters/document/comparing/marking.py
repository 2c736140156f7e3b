"""Revisions as Word writes them (ISO/IEC 29500-1, 17.13.5): who, when, numbered; and their runs."""

from collections.abc import Iterator, Sequence
from copy import deepcopy
from itertools import groupby
from typing import NamedTuple

from lxml import etree

from engine.converters.document.comparing import properties
from engine.converters.document.comparing.atoms import Atom, Item, Piece, Wrappers
from engine.converters.document.comparing.blocks import Kind
from engine.converters.document.comparing.properties import Foreign
from engine.converters.document.comparing.terms import (
    DEL_TEXT,
    LETTERS,
    PPR,
    R_RUN,
    RPR,
    SDT,
    SDT_CONTENT,
    XML_SPACE,
    Element,
    T,
    made,
    w,
)


class Change(NamedTuple):
    """What became of an atom; `former` is what it was in the first document, if it is in both."""

    kind: Kind
    atom: Atom
    former: Atom | None = None


class _Unit(NamedTuple):
    """The smallest thing that is written: a piece, and how it looked before, if otherwise."""

    kind: Kind
    wrappers: Wrappers
    piece: Piece
    reformatted: bool = False
    looked: Element | None = None


class Marker:
    """Writes revisions of one author at one time, each with a number of its own."""

    def __init__(
        self, author: str, date: str, first: int, foreign: Foreign, *, formatting: bool
    ) -> None:
        self._author = author
        self._date = date
        self._next = first
        self._foreign = foreign
        # Whether looks are compared as well.
        self._formatting = formatting
        # Of the first document: pictures, notes and the like, which cannot come over.
        self.lost = 0
        # Of runs: asked for every word.
        self._looks: dict[Element, frozenset[str]] = {}
        self.count = 0

    def revision(self, name: str) -> Element:
        """An element such as `ins`, signed and numbered."""
        self.count += 1
        signed = {"id": str(self._next), "author": self._author}
        self._next += 1
        if self._date:
            signed["date"] = self._date
        return made(name, **signed)

    def mark(self, paragraph: Element, kind: Kind) -> None:
        """Say of a paragraph's mark that it was inserted or deleted."""
        properties.mark_of(paragraph).insert(0, self.revision(kind))

    def row(self, row: Element, kind: Kind) -> None:
        """Say it of a row."""
        found = row.find(w("trPr"))
        if found is None:
            found = made("trPr")
            before = row.find(w("tblPrEx"))
            row.insert(0 if before is None else row.index(before) + 1, found)
        found.append(self.revision(kind))

    def former_paragraph(self, paragraph: Element, former: Element | None) -> None:
        """Say how a paragraph looked before."""
        now = properties.of(paragraph, PPR)
        change = self.revision("pPrChange")
        kept = self._foreign.paragraph(former)
        change.append(made("pPr") if kept is None else kept)
        now.append(change)

    def write(self, paragraph: Element, changes: Sequence[Change], tail: Sequence[Item]) -> None:
        """Put the changes in place of what the paragraph holds."""
        units = _settled([unit for change in changes for unit in self._units(change)])
        units += [_Unit("same", item.wrappers, item.piece) for item in tail]
        for child in [one for one in paragraph if one.tag != PPR]:
            paragraph.remove(child)
        self._write(paragraph, units, 0)

    def _units(self, change: Change) -> Iterator[_Unit]:
        kind, atom, former = change
        if kind == "del":
            yield from (_Unit(kind, atom.wrappers, piece) for piece in self._deletable(atom))
            return
        yield from (_Unit("same", item.wrappers, item.piece) for item in atom.before)
        if former is None or not self._formatting or not atom.text:
            yield from (_Unit(kind, atom.wrappers, piece) for piece in atom.pieces)
            return
        yield from self._compared(atom, former)

    def _compared(self, atom: Atom, former: Atom) -> Iterator[_Unit]:
        """A text in both documents, cut where its look changed or was changed."""
        looks = [piece.run for piece in former.pieces for _ in _letters(piece)]
        place = 0
        for piece in atom.pieces:
            size = len(list(_letters(piece)))
            if not isinstance(piece.content, str) or place + size > len(looks):
                place += size
                yield _Unit("same", atom.wrappers, piece)
                continue
            start = 0
            for run, group in groupby(looks[place : place + size]):
                end = start + len(list(group))
                part = Piece(piece.run, piece.content[start:end])
                yield self._formerly(atom.wrappers, part, run)
                start = end
            place += size

    def _formerly(self, wrappers: Wrappers, piece: Piece, run: Element | None) -> _Unit:
        if self._look(piece.run) == self._look(run):
            return _Unit("same", wrappers, piece)
        then = None if run is None else run.find(RPR)
        return _Unit("same", wrappers, piece, reformatted=True, looked=self._foreign.run(then))

    def looks_same(self, one: Atom, other: Atom) -> bool:
        """Whether the letters of two equal atoms look the same."""
        looks = (
            [self._look(piece.run) for piece in atom.pieces for _ in _letters(piece)]
            for atom in (one, other)
        )
        return next(looks) == next(looks)

    def _look(self, run: Element | None) -> frozenset[str]:
        if run is None:
            return frozenset()
        if run not in self._looks:
            self._looks[run] = properties.look(run.find(RPR))
        return self._looks[run]

    def _deletable(self, atom: Atom) -> Iterator[Piece]:
        """What of an atom of the first document can stand in the second."""
        kind = atom.key[0] if isinstance(atom.key, tuple) else ""
        if kind in {"note", "thing"}:
            self.lost += 1
        if kind in {"note", "thing", "part"}:
            return
        for piece in atom.pieces:
            if (
                isinstance(piece.content, str)
                or piece.content.tag in LETTERS
                or piece.content.tag == w("sym")
            ):
                yield piece
            elif kind == "field" and piece.run is None:
                # Of a field only what it showed: its orders are no text.
                yield Piece(next(piece.content.iter(R_RUN), None), atom.text)
            elif kind == "formula":
                yield piece

    def _write(self, parent: Element, units: Sequence[_Unit], depth: int) -> None:
        for _, group in groupby(
            units, key=lambda one: tuple(map(id, one.wrappers[depth : depth + 1]))
        ):
            inside = list(group)
            if len(inside[0].wrappers) <= depth:
                self._write_runs(parent, inside)
                continue
            wrapper = inside[0].wrappers[depth]
            clone = _shallow(wrapper)
            parent.append(clone)
            self._write(_inner(wrapper, clone), inside, depth + 1)

    def _write_runs(self, parent: Element, units: Sequence[_Unit]) -> None:
        for kind, group in groupby(units, key=lambda one: one.kind):
            place = parent
            if kind != "same":
                place = self.revision(kind)
                parent.append(place)
            for _, run in groupby(group, key=lambda one: (id(one.piece.run), _look_key(one))):
                self._write_run(place, list(run))

    def _write_run(self, parent: Element, units: Sequence[_Unit]) -> None:
        first = units[0]
        if first.piece.run is None and not isinstance(first.piece.content, str):
            parent.extend(deepcopy(one.piece.content) for one in units)
            return
        run = self._run_like(first)
        parent.append(run)
        text = DEL_TEXT if first.kind == "del" else T
        for is_text, pieces in groupby(units, key=lambda one: isinstance(one.piece.content, str)):
            if is_text:
                written = etree.SubElement(run, text)
                written.text = "".join(str(one.piece.content) for one in pieces)
                written.set(XML_SPACE, "preserve")
            else:
                run.extend(deepcopy(one.piece.content) for one in pieces)

    def _run_like(self, unit: _Unit) -> Element:
        """A run that looks as the piece's own, and says how it looked before."""
        of = unit.piece.run
        run = made("r") if of is None or unit.kind == "del" else etree.Element(of.tag, of.attrib)
        look = None if of is None else of.find(RPR)
        if look is not None:
            look = self._foreign.run(look) if unit.kind == "del" else deepcopy(look)
        if look is not None:
            run.append(look)
        if unit.reformatted:
            change = self.revision("rPrChange")
            change.append(made("rPr") if unit.looked is None else unit.looked)
            properties.of(run, RPR).append(change)
        return run


def _letters(piece: Piece) -> Sequence[int]:
    return range(len(piece.content)) if isinstance(piece.content, str) else range(1)


def _look_key(unit: _Unit) -> object:
    if not unit.reformatted:
        return None
    return properties.look(unit.looked)


def _settled(units: Sequence[_Unit]) -> list[_Unit]:
    """What was deleted within a link or a control of the second document is shown within it."""
    before = _neighbours(units)
    after = _neighbours(units[::-1])[::-1]
    return [
        unit._replace(wrappers=left if left == right else ()) if unit.kind == "del" else unit
        for unit, left, right in zip(units, before, after, strict=True)
    ]


def _neighbours(units: Sequence[_Unit]) -> list[Wrappers]:
    """Of each unit, what the last one before it that is not deleted stands in."""
    found, last = [], ()
    for unit in units:
        last = last if unit.kind == "del" else unit.wrappers
        found.append(last)
    return found


def _shallow(wrapper: Element) -> Element:
    clone = etree.Element(wrapper.tag, wrapper.attrib)
    if wrapper.tag == SDT:
        clone.extend(deepcopy(one) for one in wrapper if one.tag != SDT_CONTENT)
        clone.append(made("sdtContent"))
    return clone


def _inner(wrapper: Element, clone: Element) -> Element:
    return clone.find(SDT_CONTENT) if wrapper.tag == SDT else clone
