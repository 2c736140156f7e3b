"""Compare two stories, block by block, and write what became of the first into the second."""

from collections.abc import Iterator, Sequence
from copy import deepcopy

import msgspec
from lxml import etree

from engine.converters.document.comparing import atoms, blocks, properties
from engine.converters.document.comparing.alignment import matches
from engine.converters.document.comparing.atoms import Atom, Sight
from engine.converters.document.comparing.blocks import Block, Kind, Row
from engine.converters.document.comparing.marking import Change, Marker
from engine.converters.document.comparing.properties import Foreign
from engine.converters.document.comparing.terms import (
    PPR,
    SDT,
    SDT_CONTENT,
    TBL,
    TC,
    TCPR,
    TR,
    TRPR,
    Element,
    P,
    w,
)

# What stands alone between two changes and is no word: it belongs to them, for a reader.
_ISLAND_MAX = 3
_TABLE_HEADS = (w("tblPr"), w("tblGrid"))


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What is compared."""

    formatting: bool
    tables: bool
    same_lists: bool


class Stories:
    """Stories of one part of each document; `notes` collects those that are referred to in both."""

    def __init__(
        self, first: Sight, second: Sight, marker: Marker, foreign: Foreign, rules: Rules
    ) -> None:
        self._first = first
        self._second = second
        self._marker = marker
        self._foreign = foreign
        self._rules = rules
        self.notes: list[tuple[str, str, str]] = []

    def compare(self, first: Element, second: Element) -> None:
        """Change the second story so that it shows both."""
        old, _ = blocks.read(first, self._first)
        new, rest = blocks.read(second, self._second)
        for child in list(second):
            if child.tag != TCPR:
                second.remove(child)
        written: list[Element] = []
        for one in blocks.placed(blocks.paired(old, new), _ends_in):
            if one.row.second is not None:
                written += one.row.second.before
            made = self._written(one.row)
            if one.mark is not None:
                self._marker.mark(made[-1], one.mark)
            if one.instead_of is not None:
                self._replace_mark(made[-1], one.row, one.instead_of)
            written += made
        second.extend((*written, *rest))

    def _written(self, row: Row) -> list[Element]:
        if row.second is None:
            return [] if row.first is None else list(self._deleted(row.first.element))
        if row.first is None:
            return [self._inserted(row.second.element, row.second)]
        return [self._changed(row.first, row.second)]

    def _changed(self, first: Block, second: Block) -> Element:
        if second.is_paragraph:
            self._changed_paragraph(first, second)
        elif second.element.tag == TBL:
            if self._rules.tables:
                self._changed_table(first.element, second.element)
        else:
            inner, other = first.element.find(SDT_CONTENT), second.element.find(SDT_CONTENT)
            if inner is not None and other is not None:
                self.compare(inner, other)
        return second.element

    def _changed_paragraph(self, first: Block, second: Block) -> None:
        changes = _changes(first.atoms, second.atoms)
        for change in changes:
            if change.former is not None:
                self._note(change.former, change.atom)
        if not self._same_looks(first, second) or any(one.kind != "same" for one in changes):
            self._marker.write(second.element, changes, second.tail)
        if self._rules.formatting:
            now, then = second.element.find(PPR), first.element.find(PPR)
            lists = self._rules.same_lists
            if properties.look(now, lists=lists) != properties.look(then, lists=lists):
                self._marker.former_paragraph(second.element, then)

    def _same_looks(self, first: Block, second: Block) -> bool:
        if not self._rules.formatting:
            return True
        return all(
            one.key == other.key and self._marker.looks_same(one, other)
            for one, other in zip(first.atoms, second.atoms, strict=False)
        )

    def _note(self, former: Atom, atom: Atom) -> None:
        one, other = atoms.note_of(former), atoms.note_of(atom)
        if one is not None and other is not None:
            self.notes.append((one[0], one[1], other[1]))

    def _inserted(self, element: Element, block: Block | None = None) -> Element:
        """A block of the second document, all of it marked as inserted."""
        if element.tag == P:
            block = block or blocks.read_one(element, self._second)
            changes = [Change("ins", atom) for atom in block.atoms]
            self._marker.write(element, changes, block.tail)
        elif element.tag == TBL:
            if self._rules.tables:
                for row in element.iterchildren(TR):
                    self._inserted_row(row)
        else:
            for child in element.iterchildren(SDT_CONTENT):
                self._insert_all(child)
        return element

    def _inserted_row(self, row: Element) -> Element:
        self._marker.row(row, "ins")
        for cell in row.iterchildren(TC):
            self._insert_all(cell)
        return row

    def _insert_all(self, story: Element) -> None:
        for child in story.iterchildren(P, TBL, SDT):
            self._inserted(child)
            if child.tag == P:
                self._marker.mark(child, "ins")

    def _deleted(self, element: Element) -> Iterator[Element]:
        """A block of the first document as one that was deleted from the second."""
        if element.tag == P:
            yield self._deleted_paragraph(element)
        elif element.tag == TBL:
            if self._rules.tables:
                yield self._deleted_table(element)
        else:
            for inner in element.iterchildren(SDT_CONTENT):
                for child in inner.iterchildren(P, TBL, SDT):
                    yield from self._deleted(child)

    def _deleted_paragraph(self, element: Element) -> Element:
        paragraph = etree.Element(P)
        look = self._foreign.paragraph(element.find(PPR))
        if look is not None:
            paragraph.append(look)
        found, _ = atoms.read(element, self._first)
        self._marker.write(paragraph, [Change("del", atom) for atom in found], ())
        return paragraph

    def _deleted_table(self, element: Element) -> Element:
        table = etree.Element(TBL)
        for head in _TABLE_HEADS:
            found = element.find(head)
            table.append(etree.Element(head) if found is None else self._foreign.table(found))
        table.extend(self._deleted_row(row) for row in element.iterchildren(TR))
        return table

    def _deleted_row(self, element: Element) -> Element:
        row = etree.Element(TR)
        if (look := element.find(TRPR)) is not None:
            row.append(self._foreign.table(look))
        self._marker.row(row, "del")
        for old in element.iterchildren(TC):
            cell = etree.SubElement(row, TC)
            if (look := old.find(TCPR)) is not None:
                cell.append(self._foreign.table(look))
            for child in old.iterchildren(P, TBL, SDT):
                for made in self._deleted(child):
                    if made.tag == P:
                        self._marker.mark(made, "del")
                    cell.append(made)
        return row

    def _changed_table(self, first: Element, second: Element) -> None:
        """Row by row; a row with another number of cells is another row."""
        old, _ = blocks.rows_of(first, self._first)
        new, rest = blocks.rows_of(second, self._second)
        for row in new:
            second.remove(row.element)
        for child in [*(one for row in new for one in row.before), *rest]:
            second.remove(child)
        for pair in blocks.paired(old, new):
            if pair.second is not None:
                second.extend(pair.second.before)
            second.append(self._row(pair))
        second.extend(rest)

    def _row(self, pair: Row) -> Element:
        if pair.first is None and pair.second is not None:
            return self._inserted_row(pair.second.element)
        if pair.first is not None and pair.second is None:
            return self._deleted_row(pair.first.element)
        rows = [one.element for one in (pair.first, pair.second) if one is not None]
        for cells in list(zip(*(row.iterchildren(TC) for row in rows), strict=True)):
            self.compare(*cells)
        return rows[-1]

    def _replace_mark(self, paragraph: Element, row: Row, instead_of: Row) -> None:
        """The last mark is another one's than it was: it keeps the look of that one."""
        old, new = instead_of.first, instead_of.second
        if row.second is not None:
            self._relook(paragraph, None if old is None else old.element.find(PPR))
            return
        if (look := paragraph.find(PPR)) is not None:
            paragraph.remove(look)
        if new is not None and (look := new.element.find(PPR)) is not None:
            paragraph.insert(0, _without_mark(look))
        self._relook(paragraph, None if row.first is None else row.first.element.find(PPR))

    def _relook(self, paragraph: Element, former: Element | None) -> None:
        if properties.look(paragraph.find(PPR)) != properties.look(former):
            self._marker.former_paragraph(paragraph, former)


def _without_mark(look: Element) -> Element:
    copy = deepcopy(look)
    for name in ("rPr", "sectPr", "pPrChange"):
        for one in copy.findall(w(name)):
            copy.remove(one)
    return copy


def _ends_in(row: Row) -> Kind:
    """What becomes of the end of a paragraph that is in both documents."""
    if row.first is None or row.second is None:
        return row.kind
    changes = _changes(row.first.atoms, row.second.atoms)
    return changes[-1].kind if changes else "same"


def _changes(first: Sequence[Atom], second: Sequence[Atom]) -> list[Change]:
    """What became of each atom, what went before what came."""
    pairs = matches([one.key for one in first], [one.key for one in second])
    pairs = _without_islands(pairs, first, second)
    changes: list[Change] = []
    low = left = 0
    for one, other in [*pairs, (len(first), len(second))]:
        changes += (Change("del", atom) for atom in first[low:one])
        changes += (Change("ins", atom) for atom in second[left:other])
        if one < len(first):
            changes.append(Change("same", second[other], first[one]))
        low, left = one + 1, other + 1
    return changes


def _without_islands(
    pairs: Sequence[tuple[int, int]], first: Sequence[Atom], second: Sequence[Atom]
) -> list[tuple[int, int]]:
    """Leave out pairs of gaps and signs that are alone between two replaced parts."""
    kept: list[tuple[int, int]] = []
    at = 0
    while at < len(pairs):
        end = at + 1
        while end < len(pairs) and pairs[end] == (pairs[end - 1][0] + 1, pairs[end - 1][1] + 1):
            end += 1
        island = pairs[at:end]
        before = kept[-1] if kept else (-1, -1)
        after = pairs[end] if end < len(pairs) else (len(first), len(second))
        replaced = _both_between(before, island[0]) and _both_between(island[-1], after)
        small = len(island) <= _ISLAND_MAX and all(_is_between(second[one]) for _, one in island)
        if not (replaced and small):
            kept += island
        at = end
    return kept


def _both_between(low: tuple[int, int], high: tuple[int, int]) -> bool:
    return high[0] - low[0] > 1 and high[1] - low[1] > 1


def _is_between(atom: Atom) -> bool:
    return bool(atom.text) and not any(letter.isalnum() for letter in atom.text)
