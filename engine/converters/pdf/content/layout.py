"""Text set out as it stands on the page: columns stay columns, in letters of one width.

Pure geometry, on pieces of text with boxes in points from the bottom left of the page as it is
seen.
"""

from collections.abc import Sequence
from itertools import pairwise
from statistics import median

from engine.converters.pdf.content.columns import Piece

# A page is not set wider than this; a stray piece far away would fill memory with spaces.
_COLUMNS_MAX = 1_000
# Empty lines between two rows, however far apart they are.
_EMPTY_MAX = 2
# Pieces closer than this, in letters, have no space between.
_TOUCH = 0.4
# The narrowest letter that counts, in points: text may be set in no size at all.
_LETTER_MIN = 0.5


def set_out(pieces: Sequence[Piece]) -> str:
    """Lines of text, each ended by a line feed."""
    rows = _rows([piece for piece in pieces if piece.text.strip()])
    if not rows:
        return ""
    widths = [
        (piece.box[2] - piece.box[0]) / len(piece.text)
        for row in rows
        for piece in row
        if len(piece.text) > 2  # noqa: PLR2004  # one or two letters say little about the width
    ]
    letter = max(median(widths or [0.0]), _LETTER_MIN)
    left = min(piece.box[0] for row in rows for piece in row)
    steps = [_middle(one[0]) - _middle(next_one[0]) for one, next_one in pairwise(rows)]
    pitch = max(median(steps or [0.0]), _LETTER_MIN)
    lines = [_line(rows[0], left, letter)]
    for row, step in zip(rows[1:], steps, strict=True):
        lines += [""] * min(max(round(step / pitch) - 1, 0), _EMPTY_MAX)
        lines.append(_line(row, left, letter))
    return "".join(f"{line}\n" for line in lines)


def _rows(pieces: Sequence[Piece]) -> list[list[Piece]]:
    """Pieces that stand on one line, from left to right; lines from the top down."""
    rows: list[list[Piece]] = []
    for piece in sorted(pieces, key=lambda one: -_middle(one)):
        if rows and (_beside(piece, rows[-1][0]) or _beside(rows[-1][0], piece)):
            rows[-1].append(piece)
        else:
            rows.append([piece])
    return [sorted(row, key=lambda one: one.box[0]) for row in rows]


def _middle(piece: Piece) -> float:
    return (piece.box[1] + piece.box[3]) / 2


def _beside(piece: Piece, other: Piece) -> bool:
    return other.box[1] <= _middle(piece) <= other.box[3]


def _line(row: Sequence[Piece], left: float, letter: float) -> str:
    line, last = "", None
    for piece in row:
        text = " ".join(piece.text.split())
        if last is None or piece.box[0] - last.box[2] > letter:
            column = min(round((piece.box[0] - left) / letter), _COLUMNS_MAX)
            line = line.ljust(max(column, len(line) + 2 if line else 0)) + text
        else:  # goes on where the last one ended
            line += text if _touches(last, piece, letter) else f" {text}"
        last = piece
    return line


def _touches(last: Piece, piece: Piece, letter: float) -> bool:
    """Whether one word goes on in another piece, in bold for example."""
    near = piece.box[0] - last.box[2] < _TOUCH * letter
    return near and not last.text.endswith(" ") and not piece.text.startswith(" ")
