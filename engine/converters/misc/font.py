"""Fonts: TrueType, OpenType, WOFF and WOFF2 into each other, subset, and described (fontTools).

Between containers a font stays as it is. Between outlines (quadratic in TTF, cubic in OTF) the
curves are redrawn, within a thousandth of the em; a variable font is not, since its deltas belong
to the old points.
"""

import io
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import brotli
import msgspec
from fontTools import subset
from fontTools.fontBuilder import FontBuilder
from fontTools.misc.psCharStrings import T2CharString
from fontTools.pens.cu2quPen import Cu2QuPen
from fontTools.pens.reverseContourPen import ReverseContourPen
from fontTools.pens.t2CharStringPen import T2CharStringPen
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import TTCollection, TTFont, TTLibError, newTable

from engine.converter import Result, Work
from engine.converters.capped import CappedBuffer
from engine.converters.misc.catalogue import FontOptions
from engine.errors import SourceTooComplex, SourceUnreadable, TargetImpossible
from engine.job import Buffer
from sandbox.limits import MIB

# Fonts of 65,535 glyphs are 20 MB; what unpacks to more is none.
_UNPACKED_MAX = 128 * MIB
_GLYPHS_REDRAWN_MAX = 20_000
# Of the em, per curve: what cu2qu and most foundries use.
_ERROR_PER_EM = 0.001
_TTC = b"ttcf"
_WOFF, _WOFF2 = b"wOFF", b"wOF2"
_FLAVOURS = {"woff": "woff", "woff2": "woff2"}
_DAMAGE = (
    TTLibError, struct.error, zlib.error, ValueError, TypeError, LookupError, AttributeError,
    AssertionError, ArithmeticError, OSError, EOFError, RuntimeError, NotImplementedError,
    ImportError, brotli.error, subset.Subsetter.SubsettingError,
)  # fmt: skip


@contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except RecursionError as error:
        raise SourceTooComplex(
            "the font's glyphs or lookups refer to each other too deeply"
        ) from error
    except _DAMAGE as error:
        raise SourceUnreadable(
            "the font cannot be read: it is damaged, cut off or of an unusual kind"
        ) from error


def _open(upload: Buffer, number: int) -> tuple[Any, int]:
    """The font, and how many its file holds."""
    content = bytes(upload)
    _check_size(content)
    with _reading():
        if not content.startswith(_TTC):
            return TTFont(io.BytesIO(content), lazy=True, recalcTimestamp=False), 1
        collection = TTCollection(io.BytesIO(content), lazy=True, recalcTimestamp=False)
        count = len(collection.fonts)
    if number > count:
        raise TargetImpossible(f"the collection has {count} fonts; number chooses one of them")
    return collection.fonts[number - 1], count


def _check_size(content: bytes) -> None:
    """The size that a WOFF says it unpacks to; fontTools trusts it. Raises SourceTooComplex."""
    if content[:4] in {_WOFF, _WOFF2} and len(content) >= 20:  # noqa: PLR2004  # totalSfntSize at 16
        size = struct.unpack_from(">I", content, 16)[0]
        if size > _UNPACKED_MAX or size > 200 * len(content) + MIB:
            raise SourceTooComplex("the font unpacks to more than the limit")


def convert(work: Work) -> Result:
    """Convert or subset one font. Raises the refusals of engine.errors."""
    options: FontOptions = work.options
    font, count = _open(work.inputs[0], options.number)
    notes: list[str] = []
    if count > 1:
        notes.append(f"the collection holds {count} fonts; one was taken, number {options.number}")
    with _reading():
        if "glyf" not in font and "CFF " not in font and "CFF2" not in font:
            raise TargetImpossible("the font holds pictures of its glyphs and no outlines")
        if options.text or options.unicodes or not options.hinting:
            _subset(font, options, notes)
        if work.target == "otf" and "glyf" in font:
            _to_cubic(font)
        elif work.target == "ttf" and "glyf" not in font:
            _to_quadratic(font)
        if "DSIG" in font:
            del font["DSIG"]
            notes.append("the font's signature was taken out: it would not fit any more")
        font.flavor = _FLAVOURS.get(work.target)
        buffer = CappedBuffer(work.bounds.output_bytes_max)
        font.save(buffer)
    return Result(files=(buffer.take(),), warnings=tuple(notes))


def _subset(font: Any, options: FontOptions, notes: list[str]) -> None:
    how = subset.Options()
    how.hinting = options.hinting
    how.notdef_outline = True
    how.name_IDs = ["*"]
    how.name_languages = ["*"]
    how.glyph_names = True
    how.recalc_timestamp = False
    how.ignore_missing_unicodes = True
    if options.features != "usual":
        how.layout_features = ["*"] if options.features == "all" else []
    wanted = {ord(character) for character in options.text} | set(_codes(options.unicodes))
    subsetter = subset.Subsetter(options=how)
    if wanted:
        missing = wanted - set(font.getBestCmap() or {})
        if missing == wanted:
            raise TargetImpossible("the font has none of the characters that were asked for")
        if missing:
            notes.append(f"characters asked for that the font does not have: {len(missing)}")
        subsetter.populate(unicodes=wanted)
    else:
        subsetter.populate(glyphs=font.getGlyphOrder())
        how.layout_features = ["*"]
    subsetter.subset(font)


def _codes(text: str) -> Iterator[int]:
    for word in filter(None, text.split(",")):
        first, _, last = word.upper().replace("U+", "").partition("-")
        start, end = int(first, 16), int(last or first, 16)
        yield from range(start, min(end, 0x10FFFF) + 1)


def _check_static(font: Any) -> None:
    if "fvar" in font:
        raise TargetImpossible(
            "the font is variable, and its outlines cannot be turned into another kind; take woff2,"
            " or the format it has"
        )
    if font["maxp"].numGlyphs > _GLYPHS_REDRAWN_MAX:
        raise SourceTooComplex(
            f"the font has more than {_GLYPHS_REDRAWN_MAX} glyphs, the limit for new outlines"
        )


def _to_cubic(font: Any) -> None:
    """Quadratic outlines as cubic ones, exactly."""
    _check_static(font)
    order, glyphs = font.getGlyphOrder(), font.getGlyphSet()
    strings: dict[str, T2CharString] = {}
    for name in order:
        pen = T2CharStringPen(glyphs[name].width, glyphs, roundTolerance=0)
        # The two formats draw outer contours in opposite directions.
        glyphs[name].draw(ReverseContourPen(pen))
        strings[name] = pen.getCharString()
    names = font["name"]
    label = names.getDebugName(6) or "Font"
    info = {
        "FullName": names.getDebugName(4) or label,
        "FamilyName": names.getDebugName(1) or label,
    }
    upem = font["head"].unitsPerEm
    info["FontMatrix"] = [1 / upem, 0, 0, 1 / upem, 0, 0]
    for tag in ("glyf", "loca", "cvt ", "fpgm", "prep", "gasp", "hdmx", "LTSH", "VDMX"):
        if tag in font:
            del font[tag]
    builder = FontBuilder(font=font)
    builder.setupCFF(label, info, strings, {})
    maxp = newTable("maxp")
    maxp.tableVersion, maxp.numGlyphs = 0x00005000, len(order)
    font["maxp"] = maxp
    font.sfntVersion = "OTTO"


def _to_quadratic(font: Any) -> None:
    """Cubic outlines as quadratic ones, within the error."""
    _check_static(font)
    order, glyphs = font.getGlyphOrder(), font.getGlyphSet()
    error = font["head"].unitsPerEm * _ERROR_PER_EM
    drawn = {}
    for name in order:
        pen = TTGlyphPen(glyphs)
        glyphs[name].draw(Cu2QuPen(pen, error, reverse_direction=True))
        drawn[name] = pen.glyph()
    for tag in ("CFF ", "CFF2", "VORG"):
        if tag in font:
            del font[tag]
    font["loca"] = newTable("loca")
    font["glyf"] = glyf = newTable("glyf")
    glyf.glyphOrder, glyf.glyphs = order, drawn
    glyf.compile(font)
    maxp = newTable("maxp")
    maxp.tableVersion, maxp.numGlyphs = 0x00010000, len(order)
    for field in ("maxZones", "maxTwilightPoints", "maxStorage", "maxFunctionDefs",
                  "maxInstructionDefs", "maxStackElements", "maxSizeOfInstructions",
                  "maxComponentElements"):  # fmt: skip
        setattr(maxp, field, 1 if field == "maxZones" else 0)
    font["maxp"] = maxp
    font["post"].formatType = 2.0
    font["post"].extraNames, font["post"].mapping = [], {}
    font["post"].glyphOrder = order
    font.sfntVersion = "\x00\x01\x00\x00"


_NAMES = {
    "family": 1, "style": 2, "full_name": 4, "version": 5, "postscript_name": 6, "copyright": 0,
    "trademark": 7, "manufacturer": 8, "designer": 9, "description": 10, "licence": 13,
    "licence_url": 14, "typographic_family": 16, "typographic_style": 17,
}  # fmt: skip


def describe(work: Work) -> Result:
    """Say as JSON what a font is."""
    font, count = _open(work.inputs[0], work.options.number)
    with _reading():
        told = {
            "fonts": count,
            "container": {"woff": "woff", "woff2": "woff2"}.get(font.flavor or "", "sfnt"),
            "outlines": "truetype" if "glyf" in font else "cff" if "CFF " in font else "other",
            **_names(font),
            **_metrics(font),
            "variable": _axes(font),
            "features": sorted(_features(font)),
            "tables": [str(tag) for tag in font.keys() if tag != "GlyphOrder"],  # noqa: SIM118  # not a dict
            "characters": _ranges(sorted(font.getBestCmap() or {})),
        }
    buffer = CappedBuffer(work.bounds.output_bytes_max)
    buffer.write(msgspec.json.format(msgspec.json.encode(told), indent=2) + b"\n")
    return Result(files=(buffer.take(),))


def _names(font: Any) -> dict[str, str]:
    if "name" not in font:
        return {}
    found = ((label, font["name"].getDebugName(number)) for label, number in _NAMES.items())
    return {label: str(name) for label, name in found if name}


def _metrics(font: Any) -> dict[str, object]:
    told: dict[str, object] = {"glyphs": font["maxp"].numGlyphs}
    told["units_per_em"] = font["head"].unitsPerEm
    if "hhea" in font:
        told["ascender"], told["descender"] = font["hhea"].ascender, font["hhea"].descender
    if "OS/2" in font:
        told["weight"] = font["OS/2"].usWeightClass
        told["width"] = font["OS/2"].usWidthClass
        # The four lowest bits of fsType: what its licence lets be embedded.
        told["embedding"] = {0: "installable", 2: "restricted", 4: "preview and print",
                             8: "editable"}.get(font["OS/2"].fsType & 0xF, "unclear")  # fmt: skip
    if "post" in font:
        told["italic_angle"] = font["post"].italicAngle
        told["monospaced"] = bool(font["post"].isFixedPitch)
    return told


def _axes(font: Any) -> list[dict[str, object]]:
    if "fvar" not in font:
        return []
    return [
        {"tag": str(axis.axisTag), "from": axis.minValue, "default": axis.defaultValue,
         "to": axis.maxValue}
        for axis in font["fvar"].axes
    ]  # fmt: skip


def _features(font: Any) -> set[str]:
    found = set()
    for tag in ("GSUB", "GPOS"):
        listed = font[tag].table.FeatureList if tag in font else None
        found |= {str(record.FeatureTag) for record in listed.FeatureRecord} if listed else set()
    return found


def _ranges(codes: list[int]) -> list[str]:
    """Runs of characters: U+0041-005A."""
    runs: list[list[int]] = []
    for code in codes:
        if runs and code == runs[-1][1] + 1:
            runs[-1][1] = code
        else:
            runs.append([code, code])
    return [f"U+{a:04X}" if a == b else f"U+{a:04X}-{b:04X}" for a, b in runs]
