"""What a story (the body, a cell, a note, a header) consists of: paragraphs, tables, controls."""

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from itertools import groupby
from typing import Literal

import msgspec

from engine.converters.document.comparing import atoms
from engine.converters.document.comparing.alignment import (
    LEAST_ALIKE,
    likeness,
    matches,
    pairs_alike,
)
from engine.converters.document.comparing.atoms import Atom, Item, Sight
from engine.converters.document.comparing.terms import (
    SDT,
    SDT_CONTENT,
    TBL,
    TC,
    TCPR,
    TR,
    Element,
    P,
)

Kind = Literal["same", "ins", "del"]

_KINDS = frozenset({P, TBL, SDT})


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """A paragraph, a table, a control around some; or a row of a table."""

    element: Element
    key: Hashable
    # Its words, to tell how alike two blocks are.
    bag: Counter[Hashable]
    # Of a paragraph.
    atoms: Sequence[Atom] = ()
    tail: tuple[Item, ...] = ()
    # Of a row; of a table in its first row.
    cells: int = 0
    # What stands before it and is none: bookmarks and the like.
    before: tuple[Element, ...] = ()

    @property
    def is_paragraph(self) -> bool:
        """Whether it has a mark at its end."""
        return bool(self.element.tag == P)


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of a block: it is in the first document, in the second, or in both."""

    first: Block | None = None
    second: Block | None = None

    @property
    def kind(self) -> Kind:
        """What became of it."""
        if self.first is None:
            return "ins"
        return "del" if self.second is None else "same"

    @property
    def is_paragraph(self) -> bool:
        """Whether it has a mark at its end."""
        block = self.second or self.first
        return block is not None and block.is_paragraph


class Placed(msgspec.Struct, frozen=True, kw_only=True):
    """A row, and what is said of its paragraph's mark."""

    row: Row
    mark: Kind | None = None
    # Whose mark it has now, where another one's went or came.
    instead_of: Row | None = None


def read(story: Element, sight: Sight) -> tuple[list[Block], tuple[Element, ...]]:
    """The blocks of a story, and what stands after the last one."""
    blocks: list[Block] = []
    between: list[Element] = []
    for child in story.iterchildren():
        if child.tag == TCPR:
            continue
        if child.tag in _KINDS:
            blocks.append(_block(child, sight, tuple(between)))
            between = []
        else:
            between.append(child)
    return blocks, tuple(between)


def rows_of(table: Element, sight: Sight) -> tuple[list[Block], tuple[Element, ...]]:
    """The rows of a table; what is between them stands before the next."""
    rows: list[Block] = []
    between: list[Element] = []
    for child in table.iterchildren():
        if child.tag == TR:
            rows.append(_row(child, sight, tuple(between)))
            between = []
        else:
            between.append(child)
    return rows, tuple(between)


def read_one(paragraph: Element, sight: Sight) -> Block:
    """A paragraph as a block."""
    return _block(paragraph, sight, ())


def _block(element: Element, sight: Sight, before: tuple[Element, ...]) -> Block:
    if element.tag == P:
        found, tail = atoms.read(element, sight)
        key = ("p", tuple(one.key for one in found))
        bag = Counter(atoms.words_of(found))
        return Block(element=element, key=key, bag=bag, atoms=found, tail=tail, before=before)
    inner = element.find(SDT_CONTENT) if element.tag == SDT else element
    parts = [] if inner is None else (rows_of if element.tag == TBL else read)(inner, sight)[0]
    return _whole(element, parts, before, parts[0].cells if parts else 0)


def _row(element: Element, sight: Sight, before: tuple[Element, ...]) -> Block:
    cells = [read(cell, sight)[0] for cell in element if cell.tag == TC]
    joined = [block for cell in cells for block in cell]
    return _whole(element, joined, before, len(cells))


def _whole(
    element: Element, parts: Sequence[Block], before: tuple[Element, ...], count: int = 0
) -> Block:
    bag: Counter[Hashable] = Counter()
    for part in parts:
        bag.update(part.bag)
    key = (element.tag, count, tuple(part.key for part in parts))
    return Block(element=element, key=key, bag=bag, cells=count, before=before)


def placed(rows: Sequence[Row], ends_in: Callable[[Row], Kind]) -> Iterator[Placed]:
    """Say which marks came and went.

    The mark of the last paragraph before a table, or at the end of a story, can do neither: it is
    the one before that did. So it is where the paragraph before ends in a change of the same kind
    (`ends_in` says it of one that is in both): LibreOffice takes the two for one, and the mark
    between them with it.
    """
    paragraphs: list[Row] = []
    for row in rows:
        if row.is_paragraph:
            paragraphs.append(row)
            continue
        yield from _ended(paragraphs, ends_in)
        yield Placed(row=row)
        paragraphs = []
    yield from _ended(paragraphs, ends_in)


def _ended(paragraphs: Sequence[Row], ends_in: Callable[[Row], Kind]) -> Iterator[Placed]:
    rows = _settled(paragraphs)
    groups = [list(group) for _, group in groupby(rows, key=lambda one: one.kind)]
    moved = [_is_moved(groups, number, ends_in) for number in range(len(groups))] + [False]
    for number, group in enumerate(groups):
        *first, last = group
        if last.kind == "same":
            yield from (Placed(row=row) for row in first)
            yield Placed(row=last, mark=groups[number + 1][0].kind if moved[number + 1] else None)
            continue
        yield from (Placed(row=row, mark=row.kind) for row in first)
        if moved[number]:
            yield Placed(row=last, instead_of=groups[number - 1][-1])
        else:
            yield Placed(row=last, mark=last.kind)


def _is_moved(groups: Sequence[Sequence[Row]], number: int, ends_in: Callable[[Row], Kind]) -> bool:
    """Whether not the last mark of these came or went, but that of the paragraph before them."""
    kind, before = groups[number][0].kind, groups[number - 1][-1]
    if kind == "same" or not number or before.kind != "same":
        return False
    return number == len(groups) - 1 or ends_in(before) == kind


def paired(first: Sequence[Block], second: Sequence[Block]) -> list[Row]:
    """Every block of both, in an order in which both documents can be read."""
    rows: list[Row] = []
    equal = matches([one.key for one in first], [one.key for one in second])
    low = left = 0
    for one, other in [*equal, (len(first), len(second))]:
        rows += _gap(first[low:one], second[left:other])
        if one < len(first):
            rows.append(Row(first=first[one], second=second[other]))
        low, left = one + 1, other + 1
    return rows


def _gap(first: Sequence[Block], second: Sequence[Block]) -> Iterator[Row]:
    """Changed blocks between two equal ones."""

    def alike(one: int, other: int) -> float:
        old, new = first[one], second[other]
        if (old.element.tag, old.cells) != (new.element.tag, new.cells):
            return 0.0
        alike = likeness(old.bag, new.bag)
        # A table of as many columns is rather the same with other values than another one.
        return max(alike, LEAST_ALIKE) if old.element.tag == TBL else alike

    found = pairs_alike(len(first), len(second), alike)
    low = left = 0
    for one, other in [*found, (len(first), len(second))]:
        yield from _replaced(first[low:one], second[left:other])
        if one < len(first):
            yield Row(first=first[one], second=second[other])
        low, left = one + 1, other + 1


def _replaced(first: Sequence[Block], second: Sequence[Block]) -> Iterator[Row]:
    """What went, then what came; where a table meets a table, they are one with other rows.

    Nothing stands between two tables that follow each other, so readers take them for one.
    """
    one = bool(first and second) and first[-1].element.tag == second[0].element.tag == TBL
    gone, come = (first[:-1], second[1:]) if one else (first, second)
    yield from (Row(first=block) for block in gone)
    if one:
        yield Row(first=first[-1], second=second[0])
    yield from (Row(second=block) for block in come)


def _settled(rows: Sequence[Row]) -> list[Row]:
    """The same, so that the last paragraph is in both where paragraphs of both are at the end."""
    end = _last_same(rows) + 1
    gone = [row for row in rows[end:] if row.second is None]
    come = [row for row in rows[end:] if row.first is None]
    if not gone or not come:
        return list(rows)
    both = Row(first=gone[-1].first, second=come[-1].second)
    return [*rows[:end], *gone[:-1], *come[:-1], both]


def _last_same(rows: Sequence[Row]) -> int:
    end = len(rows) - 1
    while end >= 0 and rows[end].kind != "same":
        end -= 1
    return end
