"""Pages taken apart: lines of text with their look and place, and a picture of all the rest.

Laid together again, in Word or PowerPoint, they show the page as it was, with text that can be
edited. The fonts themselves stay out: cut down to the letters in use they lack what an editor would
type, and their licences seldom allow it. They are named by their families, as editors know them.
"""

import ctypes
import io
import math
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import pikepdf
import pypdfium2
import pypdfium2.raw as pdfium
from PIL import Image, ImageChops

from engine.converters.pdf.content.columns import Box
from engine.converters.pdfium import HYPHEN, Look, draw, measure, opened, opened_page, printable
from engine.converters.qpdf import reading
from engine.errors import SourceUnreadable
from engine.job import Bounds

# The picture behind the text; letters are not in it, so this is enough for print.
_DPI = 150
_JPEG_QUALITY = 88
# A picture of few colours is a drawing, and smaller as PNG.
_FEW_COLOURS = 256
# In sizes of the letters: pieces closer than this on one baseline are one line.
_GAP, _LEVEL = 0.8, 0.15
_BOLD_FROM = 600
_NAME_MAX = 256
_ITALIC_FLAG = 1 << 6  # ISO 32000-1, table 123
_SHOWING = frozenset({"Tj", "TJ", "'", '"'})
_FORMS_DEEP_MAX = 20
_WORDS = re.compile(r"(?<=[a-z])(?=[A-Z])")
_FAMILIES = {
    "arialmt": "Arial",
    "courier": "Courier New",
    "helvetica": "Arial",
    "times": "Times New Roman",
    "timesnewroman": "Times New Roman",
    "timesnewromanps": "Times New Roman",
    "timesnewromanpsmt": "Times New Roman",
    "couriernewps": "Courier New",
    "couriernewpsmt": "Courier New",
}


class Letters(NamedTuple):
    """A piece of text of one look. `size` in points, `colour` as RRGGBB."""

    text: str
    size: float
    family: str
    bold: bool
    italic: bool
    colour: str


class Line(NamedTuple):
    """Letters on one baseline, with its left end and width in points from the page's top left."""

    pieces: tuple[Letters, ...]
    left: float
    baseline: float
    width: float
    angle: float  # degrees clockwise

    @property
    def size(self) -> float:
        """Of its largest letters."""
        return max(piece.size for piece in self.pieces)


class Placed(NamedTuple):
    """A page: its size in points, its lines, and what is behind them ("png" or "jpeg")."""

    size: tuple[float, float]
    lines: tuple[Line, ...]
    picture: bytes = b""
    picture_kind: str = ""


def take_apart(content: bytes, bounds: Bounds) -> list[Placed]:
    """Every page. Raises SourceUnreadable, SourceTooComplex."""
    pages = []
    with opened(content, "") as document, opened(_without_text(content), "") as bare:
        for index in range(len(document)):
            with opened_page(document, index) as page:
                size, lines = page.get_size(), tuple(_lines(page))
            picture, kind = _behind(bare, index, bounds)
            pages.append(Placed(size, lines, picture, kind))
    return pages


def _without_text(content: bytes) -> bytes:
    """The same document with nothing that shows letters, in forms neither."""
    with pikepdf.open(io.BytesIO(content)) as document:
        seen: set[tuple[int, int]] = set()
        for page in document.pages:
            try:
                with reading():
                    page.Contents = document.make_stream(_silenced(page.obj))
                    _silence_forms(page.resources, seen, _FORMS_DEEP_MAX)
            except SourceUnreadable:  # its text is then in the picture too
                continue
        buffer = io.BytesIO()
        document.save(buffer)
    return buffer.getvalue()


def _silence_forms(resources: Any, seen: set[tuple[int, int]], deep: int) -> None:
    drawn = resources.get("/XObject") if isinstance(resources, pikepdf.Dictionary) else None
    if not isinstance(drawn, pikepdf.Dictionary) or not deep:
        return
    for one in drawn.as_dict().values():
        is_form = isinstance(one, pikepdf.Stream) and one.get("/Subtype") == "/Form"
        if not is_form or one.objgen in seen:
            continue
        seen.add(one.objgen)
        _silence_forms(one.get("/Resources"), seen, deep - 1)
        one.write(_silenced(one))


def _silenced(drawing: Any) -> bytes:
    kept = [
        step for step in pikepdf.parse_content_stream(drawing) if str(step.operator) not in _SHOWING
    ]
    return pikepdf.unparse_content_stream(kept)


def _behind(bare: pypdfium2.PdfDocument, index: int, bounds: Bounds) -> tuple[bytes, str]:
    """What the page shows besides text, as a picture; nothing where that is white paper."""
    look = Look()
    drawn = draw(bare, measure(bare, index, look, bounds, dpi=_DPI), look)
    if ImageChops.invert(drawn).getbbox() is None:
        return b"", ""
    buffer = io.BytesIO()
    if drawn.getcolors(_FEW_COLOURS) is not None:
        flat = drawn.quantize(_FEW_COLOURS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        flat.save(buffer, "PNG", optimize=True)
        return buffer.getvalue(), "png"
    drawn.save(buffer, "JPEG", quality=_JPEG_QUALITY)
    return buffer.getvalue(), "jpeg"


class _Piece(NamedTuple):
    letters: Letters
    left: float
    right: float
    baseline: float
    angle: float


def _lines(page: pypdfium2.PdfPage) -> Iterator[Line]:
    """Pieces that go on where another ended, on one baseline, joined."""
    joined: list[list[_Piece]] = []
    for piece in _pieces(page):
        last = joined[-1][-1] if joined else None
        if last is not None and _goes_on(last, piece):
            joined[-1].append(piece)
        else:
            joined.append([piece])
    for pieces in joined:
        first, last = pieces[0], pieces[-1]
        letters = tuple(_spaced(pieces))
        yield Line(letters, first.left, first.baseline, last.right - first.left, first.angle)


def _goes_on(last: _Piece, piece: _Piece) -> bool:
    size = max(last.letters.size, piece.letters.size)
    return (
        abs(piece.baseline - last.baseline) < _LEVEL * size
        and -_LEVEL * size < piece.left - last.right < _GAP * size
        and piece.angle == last.angle == 0
    )


def _spaced(pieces: Iterable[_Piece]) -> Iterator[Letters]:
    """With one space where there is a gap, whoever wrote it."""
    last: _Piece | None = None
    for piece in pieces:
        text = piece.letters.text
        if last is not None:
            gap = piece.left - last.right > _LEVEL * piece.letters.size
            written = last.letters.text.endswith(" ")
            text = text.lstrip() if written else " " + text.lstrip() if gap else text
        yield piece.letters._replace(text=text)
        last = piece


def _pieces(page: pypdfium2.PdfPage) -> Iterator[_Piece]:
    words = page.get_textpage()
    left, bottom, right, top = _shown(page)
    turn = page.get_rotation()
    for index in range(words.count_rects()):
        box = words.get_rect(index)
        found = words.get_text_bounded(*box).replace("\r", "").replace("\n", " ")
        text = printable(found.replace(HYPHEN, "-"))
        at = words.get_index((box[0] + box[2]) / 2, (box[1] + box[3]) / 2, 9, 9)
        if not text.strip() or at is None:
            continue
        x, y = _origin(words, at)
        moved: Box = (box[0] - left, box[1] - bottom, box[2] - left, box[3] - bottom)
        begin, end, level = _as_seen(
            moved, (x - left, y - bottom), (right - left, top - bottom), turn
        )
        angle = (-math.degrees(pdfium.FPDFText_GetCharAngle(words, at)) + turn) % 360
        if not round(angle) % 360:
            begin -= _bearing(words, box, turn)
        yield _Piece(_letters(words, at, text), begin, end, level, round(angle) % 360)


def _bearing(words: pypdfium2.PdfTextPage, box: Box, turn: int) -> float:
    """How far the first letter's ink begins behind the place where it is set."""
    corner = {
        0: (box[0], (box[1] + box[3]) / 2),
        90: ((box[0] + box[2]) / 2, box[1]),
        180: (box[2], (box[1] + box[3]) / 2),
        270: ((box[0] + box[2]) / 2, box[3]),
    }[turn]
    at = words.get_index(*corner, 2, 9)
    if at is None:
        return 0.0
    x, y = _origin(words, at)
    behind = {0: box[0] - x, 90: box[1] - y, 180: x - box[2], 270: y - box[3]}[turn]
    return behind if 0 < behind < box[3] - box[1] else 0.0


def _origin(words: pypdfium2.PdfTextPage, at: int) -> tuple[float, float]:
    x, y = ctypes.c_double(), ctypes.c_double()
    pdfium.FPDFText_GetCharOrigin(words, at, x, y)
    return x.value, y.value


def _shown(page: pypdfium2.PdfPage) -> Box:
    """The part of the page's own plane that is seen."""
    crop, media = page.get_cropbox(), page.get_mediabox()
    return (
        max(crop[0], media[0]), max(crop[1], media[1]),
        min(crop[2], media[2]), min(crop[3], media[3]),
    )  # fmt: skip


def _as_seen(
    box: Box, origin: tuple[float, float], size: tuple[float, float], turn: int
) -> tuple[float, float, float]:
    """Left, right and baseline from the top, on the page as it was turned clockwise."""
    left, bottom, right, top = box
    x, y = origin
    return {
        0: (left, right, size[1] - y),
        90: (bottom, top, x),
        180: (size[0] - right, size[0] - left, y),
        270: (size[1] - top, size[1] - bottom, size[0] - x),
    }[turn]


def _letters(words: pypdfium2.PdfTextPage, at: int, text: str) -> Letters:
    name, flags = ctypes.create_string_buffer(_NAME_MAX), ctypes.c_int()
    pdfium.FPDFText_GetFontInfo(words, at, name, _NAME_MAX, flags)
    called = name.value.decode(errors="replace")
    weight = pdfium.FPDFText_GetFontWeight(words, at)
    red, green, blue, alpha = (ctypes.c_uint() for _ in range(4))
    pdfium.FPDFText_GetFillColor(words, at, red, green, blue, alpha)
    return Letters(
        text=text,
        size=_size(words, at),
        family=family(called),
        bold=weight >= _BOLD_FROM or "bold" in called.lower(),
        italic=bool(flags.value & _ITALIC_FLAG)
        or any(word in called.lower() for word in ("italic", "oblique")),
        colour=f"{red.value:02X}{green.value:02X}{blue.value:02X}",
    )


def _size(words: pypdfium2.PdfTextPage, at: int) -> float:
    """As it is seen: the size that was set, times what the letters are scaled by."""
    matrix = pdfium.FS_MATRIX()
    pdfium.FPDFText_GetMatrix(words, at, matrix)
    scale = math.hypot(matrix.c, matrix.d) or 1.0
    return max(1.0, round(float(pdfium.FPDFText_GetFontSize(words, at)) * scale * 2) / 2)


def family(name: str) -> str:
    """A family as editors list it, from a PostScript name: "OpenSans-Bold" is "Open Sans"."""
    base = re.split("[-,]", name.rpartition("+")[2])[0]
    known = _FAMILIES.get(base.lower())
    named = known or _WORDS.sub(" ", base.removesuffix("MT")).replace("Deja Vu", "DejaVu")
    return named or "Arial"
