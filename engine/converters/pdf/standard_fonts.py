"""Embed fonts that documents expect readers to bring: Helvetica, Times, Courier and their copies.

Only where nothing that is drawn can change but the shapes of letters: simple fonts with a Latin
encoding, replaced by a face whose letters are as wide. Other fonts are left as they are.
"""

import functools
import io
from typing import NamedTuple

import pikepdf
from fontTools.agl import AGL2UV
from fontTools.encodings.StandardEncoding import StandardEncoding
from pikepdf import Array, Dictionary, Name

from engine.converters.lettering import cut
from engine.converters.pdf.files import reading
from engine.converters.pdf.objects import dictionaries

# By the name of the font, in small letters and without spaces: the face that is as wide.
_FACES = {
    "helvetica": "sans",
    "arial": "sans",
    "arialmt": "sans",
    "helvetica-bold": "sans-bold",
    "arial,bold": "sans-bold",
    "arial-bold": "sans-bold",
    "arial-boldmt": "sans-bold",
    "times-roman": "serif",
    "timesnewroman": "serif",
    "timesnewromanpsmt": "serif",
    "courier": "mono",
    "couriernew": "mono",
    "couriernewpsmt": "mono",
}
_ENCODINGS = {"/WinAnsiEncoding": "cp1252", "/MacRomanEncoding": "mac_roman"}
# Of fonts that name none: Adobe's, which PDF has no name for.
_STANDARD = "standard"
_FIRST, _LAST = 32, 255
_THOUSAND = 1000
_NONSYMBOLIC = 32


def embed_standard_fonts(document: pikepdf.Pdf, *, plain: bool) -> int:
    """Returns how many fonts were embedded. `plain`: no encoding that lists differences."""
    count = 0
    files: dict[str, pikepdf.Object] = {}
    with reading():
        for font in dictionaries(document):
            if font.get("/Type") != Name.Font:
                continue
            face, encoding = _FACES.get(_name(font)), _encoding(font)
            if face is None or encoding is None or (plain and encoding == _STANDARD):
                continue
            if face not in files:
                content = _face(face).file
                files[face] = document.make_stream(content, Length1=len(content))
            _embed(document, font, _face(face), encoding, files[face])
            count += 1
    return count


def _name(font: pikepdf.Object) -> str:
    """The font's name, if it is simple and not embedded."""
    if str(font.get("/Subtype")) not in {"/Type1", "/TrueType"}:
        return ""
    descriptor = font.get("/FontDescriptor")
    if isinstance(descriptor, Dictionary) and any(
        entry in descriptor for entry in ("/FontFile", "/FontFile2", "/FontFile3")
    ):
        return ""
    return str(font.get("/BaseFont", "")).removeprefix("/").replace(" ", "").lower()


def _encoding(font: pikepdf.Object) -> str | None:
    """The name of its encoding here; None for one that says more than a table's name."""
    encoding = font.get("/Encoding")
    if encoding is None:
        return _STANDARD
    return _ENCODINGS.get(str(encoding)) if isinstance(encoding, pikepdf.Name) else None


class _Face(NamedTuple):
    """A file with the letters of all three encodings, and its measures in thousandths."""

    file: bytes
    widths: dict[int, float]
    box: list[int]
    ascent: int
    descent: int


@functools.cache
def _face(name: str) -> _Face:
    points = {
        point
        for encoding in (*_ENCODINGS.values(), _STANDARD)
        for code in range(_FIRST, _LAST + 1)
        if (point := _point(code, encoding))
    }
    font = cut(name, points)
    scale = _THOUSAND / font["head"].unitsPerEm
    metrics, head = font["hmtx"].metrics, font["head"]
    widths = {
        point: round(metrics[glyph][0] * scale, 1) for point, glyph in font.getBestCmap().items()
    }
    file = io.BytesIO()
    font.save(file)
    return _Face(
        file.getvalue(),
        widths,
        [round(side * scale) for side in (head.xMin, head.yMin, head.xMax, head.yMax)],
        round(font["hhea"].ascent * scale),
        round(font["hhea"].descent * scale),
    )


def _embed(
    document: pikepdf.Pdf, font: pikepdf.Object, face: _Face, encoding: str, file: pikepdf.Object
) -> None:
    points = [_point(code, encoding) for code in range(_FIRST, _LAST + 1)]
    font["/Subtype"] = Name.TrueType
    font["/Encoding"] = _written(encoding)
    font["/FirstChar"], font["/LastChar"] = _FIRST, _LAST
    font["/Widths"] = Array([face.widths.get(point, 0) for point in points])
    font["/FontDescriptor"] = document.make_indirect(
        Dictionary(
            Type=Name.FontDescriptor,
            FontName=font["/BaseFont"],
            Flags=_NONSYMBOLIC,
            FontBBox=face.box,
            ItalicAngle=0,
            Ascent=face.ascent,
            Descent=face.descent,
            CapHeight=face.ascent,
            StemV=80,
            FontFile2=file,
        )
    )


def _written(encoding: str) -> pikepdf.Object:
    if encoding != _STANDARD:
        return Name.MacRomanEncoding if encoding == "mac_roman" else Name.WinAnsiEncoding
    differences: list[object] = []
    for code in range(_FIRST, _LAST + 1):
        if _point(code, _STANDARD) and _point(code, _STANDARD) != _point(code, "cp1252"):
            differences += [code, Name(f"/{StandardEncoding[code]}")]
    return Dictionary(
        Type=Name.Encoding, BaseEncoding=Name.WinAnsiEncoding, Differences=Array(differences)
    )


def _point(code: int, encoding: str) -> int:
    """The code point of a code; 0 for none."""
    if encoding == _STANDARD:
        return int(AGL2UV.get(StandardEncoding[code], 0))
    try:
        return ord(bytes([code]).decode(encoding))
    except UnicodeDecodeError:
        return 0
