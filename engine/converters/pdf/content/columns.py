"""Find tables that have no lines: rows of words whose gaps stand one above the other.

Pure geometry. A row is cut into cells at gaps wider than a space between words ever is; rows that
follow each other closely and have several cells each are a table, if their cells fall into columns.
Newspaper columns do the same, but their cells are long: those are text.
"""

from collections.abc import Iterable, Iterator, Sequence
from statistics import median
from typing import NamedTuple

# In heights of the letters: a space is a quarter; justified text stretches it, seldom so far.
_GAP = 0.8
# Rows further apart than this, in heights of the letters, do not belong together.
_PITCH = 3.2
# A table has at least so many rows and columns.
_ROWS_MIN, _COLUMNS_MIN = 3, 2
# The middle cell of a table is shorter than this; a line of a newspaper column is longer.
_CELL_LETTERS_MAX = 28
# Most of its cells are filled.
_FILLED_MIN = 0.6

Box = tuple[float, float, float, float]


class Piece(NamedTuple):
    """A word or a cell: its text, and left, top, right, bottom in points from the top left."""

    text: str
    box: Box


class Table(NamedTuple):
    """A table: its box, and its rows of cells; empty where there is nothing."""

    box: Box
    rows: list[list[str]]


def find(words: Iterable[Piece]) -> list[Table]:
    """All tables that these words make, from the top down."""
    rows = [_cells(row) for row in _rows(words)]
    found = (_table(group) for group in _groups(rows))
    return [table for table in found if table is not None]


def _rows(words: Iterable[Piece]) -> list[list[Piece]]:
    """Words that stand on one line, from left to right; lines from the top down."""
    rows: list[list[Piece]] = []
    for word in sorted(words, key=lambda one: (_middle(one), one.box[0])):
        height = word.box[3] - word.box[1]
        if rows and _middle(word) - _middle(rows[-1][0]) < height / 2:
            rows[-1].append(word)
        else:
            rows.append([word])
    return [sorted(row, key=lambda one: one.box[0]) for row in rows]


def _middle(piece: Piece) -> float:
    return (piece.box[1] + piece.box[3]) / 2


def _cells(row: Sequence[Piece]) -> list[Piece]:
    """Words joined where the gap between them is a space."""
    cells = [row[0]]
    for word in row[1:]:
        last = cells[-1]
        if word.box[0] - last.box[2] < _GAP * (word.box[3] - word.box[1]):
            cells[-1] = Piece(f"{last.text} {word.text}", _around([last, word]))
        else:
            cells.append(word)
    return cells


def _around(pieces: Iterable[Piece]) -> Box:
    lefts, tops, rights, bottoms = zip(*(piece.box for piece in pieces), strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)


def _groups(rows: Iterable[list[Piece]]) -> Iterator[list[list[Piece]]]:
    """Runs of rows with several cells each that follow closely."""
    group: list[list[Piece]] = []
    for row in rows:
        height = row[0].box[3] - row[0].box[1]
        near = not group or _middle(row[0]) - _middle(group[-1][0]) < _PITCH * height
        if len(row) < _COLUMNS_MIN or not near:
            yield group
            group = []
        if len(row) >= _COLUMNS_MIN:
            group.append(row)
    yield group


def _table(group: list[list[Piece]]) -> Table | None:
    cells = [cell for row in group for cell in row]
    if len(group) < _ROWS_MIN or median(len(cell.text) for cell in cells) > _CELL_LETTERS_MAX:
        return None
    columns = _columns(cells)
    if len(columns) < _COLUMNS_MIN:
        return None
    rows = [[""] * len(columns) for _ in group]
    for row, pieces in zip(rows, group, strict=True):
        for piece in pieces:
            at = next(n for n, (left, right) in enumerate(columns) if left <= piece.box[0] <= right)
            row[at] = f"{row[at]} {piece.text}".strip()
    if sum(map(bool, (cell for row in rows for cell in row))) < _FILLED_MIN * len(cells):
        return None
    return Table(_around(cells), rows)


def _columns(cells: Iterable[Piece]) -> list[tuple[float, float]]:
    """Left and right of each column: cells that stand above each other, merged."""
    columns: list[tuple[float, float]] = []
    for left, right in sorted((cell.box[0], cell.box[2]) for cell in cells):
        if columns and left < columns[-1][1]:
            columns[-1] = columns[-1][0], max(columns[-1][1], right)
        else:
            columns.append((left, right))
    return columns
