"""Find words on pages, and where exactly they stand (by pdfium).

Text on a page has no words, only letters at places; a word may be broken over two lines, have
ligatures or odd spaces. Both sides are brought to one form before they are compared: compatible
letters are the same, white space is one space, and a hyphen at a line's end is tried as none.
"""

import ctypes
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

import pypdfium2
import pypdfium2.raw as pdfium

# What pdfium reports where it took a hyphen at the end of a line away.
_BROKEN = frozenset({"\x02", "\ufffe"})
_HYPHENS = frozenset({"-", "\u2010", "\u2011", *_BROKEN})
_SOFT_HYPHEN = "\u00ad"


class Words(NamedTuple):
    """What is searched for, in the one form."""

    forms: tuple[str, ...]
    match_case: bool
    whole: bool


class _Text(NamedTuple):
    """Letters in the one form, and for each the number of the letter on the page."""

    letters: str
    numbers: tuple[int, ...]


def words(wanted: Sequence[str], *, match_case: bool, whole: bool) -> Words:
    """Prepare a search."""
    forms = (_plain(word, match_case=match_case).letters.strip() for word in wanted)
    return Words(tuple(form for form in forms if form), match_case, whole)


def holds(text: str, wanted: Words) -> set[int]:
    """Which of the words (by index) stand in a text."""
    found = set()
    for joined in (False, True):
        plain = _plain(text, match_case=wanted.match_case, joined=joined)
        found |= {index for index, _, _ in _matches(plain.letters, wanted)}
    return found


def page_text(page: pypdfium2.PdfPage) -> str:
    """All letters of a page, hidden ones too."""
    text = page.get_textpage()
    try:
        return str(text.get_text_range())
    finally:
        text.close()


def find(page: pypdfium2.PdfPage, wanted: Words) -> dict[int, list[list[int]]]:
    """The numbers of the letters of each match, by the index of its word."""
    text = page.get_textpage()
    try:
        letters = [
            chr(pdfium.FPDFText_GetUnicode(text, place)) for place in range(text.count_chars())
        ]
    finally:
        text.close()
    found: dict[int, list[list[int]]] = {}
    for joined in (False, True):
        plain = _plain(letters, match_case=wanted.match_case, joined=joined)
        for index, begin, end in _matches(plain.letters, wanted):
            found.setdefault(index, []).append(sorted(set(plain.numbers[begin:end])))
    return found


def _plain(letters: Sequence[str], *, match_case: bool, joined: bool = False) -> _Text:
    """Bring letters to the one form; `joined`: a word broken at a line's end is one."""
    out: list[str] = []
    numbers: list[int] = []
    place = 0
    while place < len(letters):
        letter = letters[place]
        if joined and letter in _HYPHENS:
            after = place + 1
            while after < len(letters) and letters[after].isspace():
                after += 1
            if after > place + 1 or letter in _BROKEN:
                place = after
                continue
        if letter == _SOFT_HYPHEN:
            place += 1
            continue
        form = (
            " " if letter.isspace() or letter in _BROKEN else unicodedata.normalize("NFKC", letter)
        )
        form = form if match_case else form.casefold()
        if not (form == " " and out and out[-1] == " "):
            for one in form:
                out.append(one)
                numbers.append(place)
        place += 1
    return _Text("".join(out), tuple(numbers))


def _matches(text: str, wanted: Words) -> list[tuple[int, int, int]]:
    """(index of the word, begin, end) of each place where one stands; they may overlap."""
    found = []
    for index, form in enumerate(wanted.forms):
        at = text.find(form)
        while at >= 0:
            end = at + len(form)
            if not wanted.whole or _is_whole(text, at, end):
                found.append((index, at, end))
            at = text.find(form, at + 1)
    return found


def _is_whole(text: str, begin: int, end: int) -> bool:
    before, after = text[begin - 1 : begin] if begin else "", text[end : end + 1]
    return not (before.isalnum() and text[begin].isalnum()) and not (
        after.isalnum() and text[end - 1].isalnum()
    )


Rectangle = tuple[int, int, int, int]


def rectangles(
    page: pypdfium2.PdfPage, letters: Sequence[int], size: tuple[int, int]
) -> list[Rectangle]:
    """Where letters stand in a drawing of this size: one rectangle for what is on one line."""
    text = page.get_textpage()
    try:
        boxes = [_in_drawing(page, text, number, size) for number in letters]
    finally:
        text.close()
    lines: list[Rectangle] = []
    for box in boxes:
        if box is None:
            continue
        if lines and _is_same_line(lines[-1], box):
            last = lines[-1]
            lines[-1] = (
                min(last[0], box[0]),
                min(last[1], box[1]),
                max(last[2], box[2]),
                max(last[3], box[3]),
            )
        else:
            lines.append(box)
    return lines


def _in_drawing(
    page: pypdfium2.PdfPage, text: pypdfium2.PdfTextPage, number: int, size: tuple[int, int]
) -> Rectangle | None:
    """The box of one letter: left, top, right, bottom in pixels. None for one without extent."""
    left, bottom, right, top = text.get_charbox(number, loose=True)
    if right <= left and top <= bottom:
        return None  # spaces and line ends that pdfium adds
    corners = [_to_drawing(page, size, x, y) for x in (left, right) for y in (bottom, top)]
    across, down = [corner[0] for corner in corners], [corner[1] for corner in corners]
    return min(across), min(down), max(across), max(down)


def _to_drawing(
    page: pypdfium2.PdfPage, size: tuple[int, int], x: float, y: float
) -> tuple[int, int]:
    across, down = ctypes.c_int(), ctypes.c_int()
    pdfium.FPDF_PageToDevice(page, 0, 0, *size, 0, x, y, across, down)
    return across.value, down.value


def _is_same_line(one: Rectangle, other: Rectangle) -> bool:
    """Beside each other: they overlap down or across by more than half of the smaller."""
    down = min(one[3], other[3]) - max(one[1], other[1])
    across = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3] - one[1], other[3] - other[1])
    wide = min(one[2] - one[0], other[2] - other[0])
    gap = max(other[0] - one[2], one[0] - other[2], other[1] - one[3], one[1] - other[3])
    near = gap <= 2 * max(other[3] - other[1], other[2] - other[0])
    return near and (2 * down > high or 2 * across > wide)
