"""Text on pages: typefaces read once, and of them just the letters in use put into a document.

Letters are embedded as ISO 32000-1, 9.7 has it: a Type 0 font over a subset whose glyph numbers are
the codes, with a map back to Unicode, so that text can be searched and PDF/A allows it.
"""

import functools
import io
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pikepdf
from fontTools import subset
from fontTools.ttLib import TTFont
from pikepdf import Array, Dictionary, Name

from engine import converters
from engine.converters.mapped import mapped
from engine.errors import TargetImpossible

_FOLDER = Path(str(converters.__file__)).parent / "fonts"
_FILES = {
    "sans": "LiberationSans-Regular",
    "sans-bold": "LiberationSans-Bold",
    "serif": "LiberationSerif-Regular",
    "mono": "LiberationMono-Regular",
}
# Widths in fonts are counted in thousandths of the size.
_THOUSAND = 1000
_LEADING = 1.2
_NOT_IN_USE = ["GSUB", "GPOS", "GDEF", "kern", "name", "OS/2", "post", "FFTM", "gasp", "DSIG"]
_SYMBOLIC = 4  # a flag of descriptors: letters beyond the standard Latin set
_MAP_HEAD = (
    "/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /Letters def"
    " /CMapType 2 def 1 begincodespacerange <0000> <FFFF> endcodespacerange\n"
)
_MAP_TAIL = "endcmap CMapName currentdict /CMap defineresource pop end end"
# More entries in one block are not allowed (Adobe Technical Note 5014).
_BLOCK = 100


def load() -> None:
    """Read all typefaces. Called where files can still be opened."""
    for face in _FILES:
        _measures(face)


@functools.cache
def content_of(face: str) -> memoryview:
    """The whole font file of a typeface."""
    return mapped(_FOLDER / f"{_FILES[face]}.ttf")


def number(value: float) -> str:
    """A number as content streams have it: no exponent, four decimals at the most."""
    return f"{value:.4f}".rstrip("0").rstrip(".")


class _Measures(NamedTuple):
    """What setting text needs of a typeface; lengths in shares of the size."""

    glyphs: dict[int, str]
    widths: dict[str, float]
    ascent: float
    descent: float


@functools.cache
def _measures(face: str) -> _Measures:
    font = TTFont(io.BytesIO(content_of(face)), lazy=True)
    units = font["head"].unitsPerEm
    return _Measures(
        font.getBestCmap(),
        {name: advance / units for name, (advance, _) in font["hmtx"].metrics.items()},
        font["hhea"].ascent / units,
        -font["hhea"].descent / units,
    )


def check_letters(face: str, text: str) -> None:
    """Raise TargetImpossible for text that this typeface cannot show."""
    known = _measures(face).glyphs
    for letter in text.replace("\n", ""):
        if unicodedata.bidirectional(letter) in {"R", "AL"}:
            raise TargetImpossible("text that runs from right to left cannot be set here")
        if ord(letter) not in known:
            raise TargetImpossible(
                f"the typeface has no letter for {letter!r} (U+{ord(letter):04X}); it knows Latin,"
                " Greek and Cyrillic ones: stamp a picture of the text instead"
            )


def measure(face: str, text: str, size: float) -> tuple[float, float]:
    """Width and height in points of text set in lines."""
    measures = _measures(face)
    lines = text.split("\n")
    width = max(_width(measures, line) for line in lines)
    height = measures.ascent + measures.descent + _LEADING * (len(lines) - 1)
    return width * size, height * size


def _width(measures: _Measures, line: str) -> float:
    return sum(measures.widths[measures.glyphs[ord(letter)]] for letter in line)


class Letters(NamedTuple):
    """A font as it lies in one document, and the code of each of its letters."""

    face: str
    font: pikepdf.Object
    codes: dict[str, int]

    def line(self, text: str, size: float, left: float, up: float) -> str:
        """Content between BT and ET that sets one line from this point on."""
        codes = "".join(f"{self.codes[letter]:04X}" for letter in text)
        return f"/F {number(size)} Tf 1 0 0 1 {number(left)} {number(up)} Tm <{codes}> Tj"

    def drawn(self, text: str, size: float, colour: tuple[float, float, float]) -> bytes:
        """Content that sets the text in lines above the origin, each in the middle."""
        measures = _measures(self.face)
        width, height = measure(self.face, text, size)
        parts = [f"BT {' '.join(number(share) for share in colour)} rg"]
        for place, line in enumerate(text.split("\n")):
            left = (width - _width(measures, line) * size) / 2
            up = height - (measures.ascent + _LEADING * place) * size
            parts.append(self.line(line, size, left, up))
        return "\n".join([*parts, "ET"]).encode()


def embed(document: pikepdf.Pdf, face: str, texts: Iterable[str]) -> Letters:
    """Put the letters of these texts into the document."""
    letters = sorted(set("".join(texts)) - {"\n"})
    font = cut(face, (ord(letter) for letter in letters))
    codes = {letter: font.getGlyphID(_measures(face).glyphs[ord(letter)]) for letter in letters}
    file = io.BytesIO()
    font.save(file)
    return Letters(face, _font(document, face, font, file.getvalue(), codes), codes)


def cut(face: str, points: Iterable[int]) -> TTFont:
    """The typeface with only the letters of these code points, without hints for screens."""
    font = TTFont(io.BytesIO(content_of(face)), lazy=True)
    options = subset.Options(
        hinting=False, layout_features=[], name_IDs=[], glyph_names=False, notdef_outline=True
    )
    options.drop_tables += _NOT_IN_USE
    cutter = subset.Subsetter(options)
    cutter.populate(unicodes=list(points))
    cutter.subset(font)
    return font


def _font(
    document: pikepdf.Pdf, face: str, font: TTFont, file: bytes, codes: dict[str, int]
) -> pikepdf.Object:
    measures = _measures(face)
    units = font["head"].unitsPerEm
    name = Name(f"/EPHMRA+{_FILES[face]}")
    head = font["head"]
    descriptor = Dictionary(
        Type=Name.FontDescriptor,
        FontName=name,
        Flags=_SYMBOLIC,
        FontBBox=[
            round(side * _THOUSAND / units) for side in (head.xMin, head.yMin, head.xMax, head.yMax)
        ],
        ItalicAngle=0,
        Ascent=round(measures.ascent * _THOUSAND),
        Descent=round(-measures.descent * _THOUSAND),
        CapHeight=round(measures.ascent * _THOUSAND * 0.8),
        StemV=80,
        FontFile2=document.make_stream(file, Length1=len(file)),
    )
    widths: list[object] = []
    for letter, code in sorted(codes.items(), key=lambda pair: pair[1]):
        width = measures.widths[measures.glyphs[ord(letter)]]
        widths += [code, Array([round(width * _THOUSAND, 2)])]
    inner = Dictionary(
        Type=Name.Font,
        Subtype=Name.CIDFontType2,
        BaseFont=name,
        CIDSystemInfo=Dictionary(Registry=b"Adobe", Ordering=b"Identity", Supplement=0),
        FontDescriptor=document.make_indirect(descriptor),
        W=Array(widths),
        CIDToGIDMap=Name.Identity,
    )
    return document.make_indirect(
        Dictionary(
            Type=Name.Font,
            Subtype=Name.Type0,
            BaseFont=name,
            Encoding=Name("/Identity-H"),
            DescendantFonts=Array([document.make_indirect(inner)]),
            ToUnicode=document.make_stream(_to_unicode(codes)),
        )
    )


def _to_unicode(codes: dict[str, int]) -> bytes:
    rows = [
        f"<{code:04X}> <{letter.encode('utf-16-be').hex().upper()}>"
        for letter, code in codes.items()
    ]
    blocks = [rows[at : at + _BLOCK] for at in range(0, len(rows), _BLOCK)]
    body = "".join(
        f"{len(block)} beginbfchar\n{chr(10).join(block)}\nendbfchar\n" for block in blocks
    )
    return (_MAP_HEAD + body + _MAP_TAIL).encode()
