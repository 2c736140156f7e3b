"""Typefaces for text whose font is not in the document: read once, then served from memory.

pdfium would look through the machine's font folders and open what it likes, which a worker cannot;
what a page looks like would also depend on the machine. It is given this list in their place: the
faces whose letters are as wide as those of the fonts that documents most often leave out. Where
they are not installed, and for every other name, pdfium takes its own built-in ones.
"""

import ctypes
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pypdfium2.raw as pdfium

from engine.converters.mapped import mapped

# Debian's packages fonts-liberation2, fonts-crosextra-carlito and -caladea, fonts-droid-fallback.
_FOLDERS = (
    Path("/usr/share/fonts/truetype/liberation2"),
    Path("/usr/share/fonts/truetype/liberation"),
    Path("/usr/share/fonts/truetype/crosextra"),
    Path("/usr/share/fonts/truetype/droid"),
)
_STYLES = ("Regular", "Bold", "Italic", "BoldItalic")
_SANS, _SERIF, _MONO = "LiberationSans", "LiberationSerif", "LiberationMono"
# Words that a font's name begins with, without spaces and in small letters, and who stands in.
_STAND_INS: Mapping[str, str] = {
    "arial": _SANS,
    "helvetica": _SANS,
    "liberationsans": _SANS,
    "timesnewroman": _SERIF,
    "times": _SERIF,
    "liberationserif": _SERIF,
    "couriernew": _MONO,
    "courier": _MONO,
    "liberationmono": _MONO,
    "calibri": "Carlito",
    "carlito": "Carlito",
    "cambria": "Caladea",
    "caladea": "Caladea",
}
# Writing that pdfium's built-in faces have no letters for: Greek, Cyrillic, Vietnamese, Turkish,
# Hebrew, Eastern European (fpdf_sysfontinfo.h).
_BEYOND_LATIN = frozenset({161, 162, 163, 177, 204, 238})
# Japanese, Korean, simplified and traditional Chinese: one face has the letters of all four.
_EAST_ASIAN = frozenset({128, 129, 134, 136})
_EASTERN = "DroidSansFallbackFull"
_BOLD_FROM = 600
# Pitch and family as Windows counts them.
_FIXED, _FAMILY, _ROMAN = 0x01, 0xF0, 0x10


class _Face(NamedTuple):
    name: bytes
    content: memoryview
    tables: Mapping[int, slice]


_faces: dict[tuple[str, str], _Face] = {}
# What pdfium holds a pointer to must outlive it.
_kept: list[Any] = []


def install() -> None:
    """Read the faces and hand pdfium the list. Called once, where files can still be opened."""
    if _kept:
        return
    for family in sorted(set(_STAND_INS.values())):
        for style in _STYLES:
            _read(family, style, f"{family}-{style}.ttf")
    _read(_EASTERN, "Regular", f"{_EASTERN}.ttf")
    info = pdfium.FPDF_SYSFONTINFO()
    info.version = 2
    types = dict(pdfium.FPDF_SYSFONTINFO._fields_)
    callbacks = {
        "Release": _release,
        "MapFont": _map_font,
        "GetFont": _get_font,
        "GetFontData": _get_font_data,
        "GetFaceName": _get_face_name,
        "GetFontCharset": _get_charset,
        "DeleteFont": _delete_font,
    }
    for name, function in callbacks.items():
        callback = types[name](function)
        setattr(info, name, callback)
        _kept.append(callback)
    _kept.append(info)
    pdfium.FPDF_SetSystemFontInfo(info)


def _read(family: str, style: str, name: str) -> None:
    found = next((path for folder in _FOLDERS if (path := folder / name).is_file()), None)
    if found is not None:
        content = mapped(found)
        _faces[family, style] = _Face(family.encode(), content, _tables(content))


def _tables(content: memoryview) -> dict[int, slice]:
    """Where a TrueType file's tables lie, by tag as a number (OpenType, font directory)."""
    count = struct.unpack_from(">H", content, 4)[0]
    rows = (struct.unpack_from(">IIII", content, 12 + 16 * index) for index in range(count))
    return {tag: slice(at, at + size) for tag, _, at, size in rows}


def stand_in(name: str, *, charset: int = 0, pitch: int = 0) -> str | None:
    """Who replaces a font of this name; None leaves it to pdfium."""
    plain = "".join(letter for letter in name.lower() if letter.isalnum())
    for word, family in _STAND_INS.items():
        if plain.startswith(word) and (family, "Regular") in _faces:
            return family
    if charset in _EAST_ASIAN:
        return _EASTERN if (_EASTERN, "Regular") in _faces else None
    if charset not in _BEYOND_LATIN or (_SANS, "Regular") not in _faces:
        return None
    if pitch & _FIXED:
        return _MONO
    return _SERIF if pitch & _FAMILY == _ROMAN else _SANS


_ORDER: list[tuple[str, str]] = []


def _handle(key: tuple[str, str]) -> int:
    """A number for the face that is not zero; pdfium passes it back."""
    if key not in _ORDER:
        _ORDER.append(key)
    return _ORDER.index(key) + 1


def _face(handle: int) -> _Face:
    return _faces[_ORDER[handle - 1]]


def _map_font(
    _info: Any, weight: int, italic: int, charset: int, pitch: int, name: Any, _exact: Any
) -> int | None:
    called = ctypes.string_at(name).decode("latin-1") if name else ""
    family = stand_in(called, charset=charset, pitch=pitch)
    if family is None:
        return None
    lower = called.lower()
    bold = weight >= _BOLD_FROM or "bold" in lower
    slanted = bool(italic) or "italic" in lower or "oblique" in lower
    style = _STYLES[bold + 2 * slanted]
    return _handle((family, style if (family, style) in _faces else "Regular"))


def _get_font(_info: Any, _name: Any) -> None:
    return None


def _get_font_data(_info: Any, handle: int, table: int, buffer: Any, size: int) -> int:
    face = _face(handle)
    where = face.tables.get(table, slice(0)) if table else slice(None)
    content = face.content[where]
    if buffer and size >= len(content):
        ctypes.memmove(buffer, bytes(content), len(content))
    return len(content)


def _get_face_name(_info: Any, handle: int, buffer: Any, size: int) -> int:
    name = _face(handle).name + b"\0"
    if buffer and size >= len(name):
        ctypes.memmove(buffer, name, len(name))
    return len(name)


def _get_charset(_info: Any, _handle: int) -> int:
    return 0


def _release(_info: Any) -> None:
    """Nothing of ours ends before the process does."""


def _delete_font(_info: Any, _handle: int) -> None:
    """Faces stay for the next page."""
