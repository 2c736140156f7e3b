"""Fonts become each other with the same shapes, drawn by FreeType and named by fontconfig."""

import io
import json
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import pytest
import reportlab
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import TTCollection, TTFont
from PIL import Image, ImageDraw, ImageFont

from engine.converters.misc.catalogue import FONT_SOURCES, FONTS
from tests.engine.judges import psnr
from tests.engine.own_converter import of_family

convert = of_family("misc")

# Bitstream Vera, which its licence lets anybody pass on.
_VERA = Path(reportlab.__file__).parent / "fonts" / "Vera.ttf"
_TEXT = "Rage\u00e4%"


@cache
def upload(source: str) -> bytes:
    """The font in this container, by fontTools itself; as OTF, by the converter."""
    if source == "otf":
        return convert(_VERA.read_bytes(), "ttf", "otf").file
    buffer = io.BytesIO()
    if source == "ttc":
        collection = TTCollection()
        collection.fonts = [TTFont(_VERA), TTFont(_VERA.with_name("VeraBd.ttf"))]
        collection.save(buffer)
    else:
        font = TTFont(_VERA)
        font.flavor = source if source.startswith("woff") else None
        font.save(buffer)
    return buffer.getvalue()


def _drawn(font: bytes) -> Image.Image:
    """Characters as FreeType draws them, each in a place of its own and too large for hints."""
    face = ImageFont.truetype(io.BytesIO(font), 150, layout_engine=ImageFont.Layout.BASIC)
    picture = Image.new("RGB", (200 * len(_TEXT), 240), "white")
    for place, character in enumerate(_TEXT):
        ImageDraw.Draw(picture).text((200 * place + 20, 20), character, "black", font=face)
    return picture


def _scanned(font: bytes) -> list[str]:
    with tempfile.NamedTemporaryFile(suffix=".font") as file:
        file.write(font)
        file.flush()
        command = ["fc-scan", "-f", "%{family}|%{fontformat}\n", file.name]
        told = subprocess.run(command, capture_output=True, check=True).stdout
    return told.decode().strip().split("|")


@pytest.mark.parametrize("target", FONTS)
@pytest.mark.parametrize("source", FONT_SOURCES)
def test_every_font_becomes_every_other_with_its_shapes(source: str, target: str) -> None:
    reply = convert(upload(source), source, target)
    family, outlines = _scanned(reply.file)
    assert family == "Bitstream Vera Sans"
    starts = {"ttf": b"\0\1\0\0", "otf": b"OTTO", "woff": b"wOFF", "woff2": b"wOF2"}
    assert reply.file.startswith(starts[target])
    cubic = target == "otf" or (target.startswith("woff") and source == "otf")
    assert outlines == ("CFF" if cubic else "TrueType")
    assert psnr(_drawn(_VERA.read_bytes()), _drawn(reply.file)) > 24
    assert bool(reply.warnings) == (source == "ttc")


def test_the_second_font_of_a_collection_is_chosen_by_number() -> None:
    told = json.loads(convert(upload("ttc"), "ttc", "json", number=2).file)
    assert (told["fonts"], told["style"]) == (2, "Bold")
    assert convert(upload("ttc"), "ttc", "ttf", number=3).error == "TargetImpossible"


@pytest.mark.parametrize("target", ["ttf", "woff2", "otf"])
def test_a_subset_holds_what_was_asked_for_and_no_more(target: str) -> None:
    options = {"text": "Ham", "unicodes": "U+0030-0033,e4"}
    reply = convert(upload("ttf"), "ttf", target, **options)
    kept = TTFont(io.BytesIO(reply.file)).getBestCmap()
    assert {chr(code) for code in kept} == set("Ham0123\u00e4")
    assert len(reply.file) < len(upload("ttf")) / 4
    face = ImageFont.truetype(io.BytesIO(reply.file), 64)
    assert face.getlength("Ham") == ImageFont.truetype(_VERA, 64).getlength("Ham")


def test_a_subset_says_what_the_font_does_not_have() -> None:
    reply = convert(upload("ttf"), "ttf", "ttf", text="A\u4e2d\u6587")
    assert reply.warnings == ("characters asked for that the font does not have: 2",)
    nothing = convert(upload("ttf"), "ttf", "ttf", text="\u4e2d")
    assert nothing.error == "TargetImpossible"


def test_hints_can_be_taken_out() -> None:
    font = TTFont(io.BytesIO(convert(upload("ttf"), "ttf", "ttf", hinting=False).file))
    assert not {"fpgm", "prep", "cvt "} & set(font.keys())
    assert len(font.getGlyphOrder()) == len(TTFont(_VERA).getGlyphOrder())


@pytest.mark.parametrize("source", FONT_SOURCES)
def test_a_font_is_described(source: str) -> None:
    told = json.loads(convert(upload(source), source, "json").file)
    assert (told["family"], told["style"], told["weight"]) == ("Bitstream Vera Sans", "Roman", 400)
    assert told["outlines"] == ("cff" if source == "otf" else "truetype")
    assert told["characters"][0] == "U+0020-007E"
    assert told["glyphs"] == 268 or source == "ttc"


def _variable() -> bytes:
    pen = TTGlyphPen(None)
    for point in ((0, 0), (0, 500), (500, 0)):
        (pen.lineTo if point != (0, 0) else pen.moveTo)(point)
    pen.closePath()
    glyph = pen.glyph()
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder([".notdef", "A"])
    builder.setupCharacterMap({65: "A"})
    builder.setupGlyf({".notdef": glyph, "A": glyph})
    builder.setupHorizontalMetrics({".notdef": (500, 0), "A": (500, 0)})
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "Wide", "styleName": "Regular"})
    builder.setupFvar([("wght", 100, 400, 900, "Weight")], [])
    builder.setupGvar({})
    builder.setupOS2()
    builder.setupPost()
    buffer = io.BytesIO()
    builder.save(buffer)
    return buffer.getvalue()


def test_a_variable_font_keeps_its_axes_and_its_kind_of_outlines() -> None:
    woff = convert(_variable(), "ttf", "woff2").file
    told = json.loads(convert(woff, "woff2", "json").file)
    assert told["variable"] == [{"tag": "wght", "from": 100.0, "default": 400.0, "to": 900.0}]
    assert convert(woff, "woff2", "otf").error == "TargetImpossible"


@pytest.mark.parametrize("source", FONT_SOURCES)
def test_what_is_broken_or_no_font_is_unreadable(source: str) -> None:
    whole = upload(source)
    for content in (b"", b"\0" * 500, b"no font" * 40, whole[:100], whole[: len(whole) // 2]):
        assert convert(content, source, "woff").error in {"SourceUnreadable", "SourceTooComplex"}
    for at in range(0, 2000, 97):
        damaged = bytearray(whole)
        damaged[at] ^= 0xFF
        reply = convert(bytes(damaged), source, "json")
        assert reply.error in {"", "SourceUnreadable", "SourceTooComplex", "TargetImpossible"}


def test_a_font_that_claims_to_unpack_to_gigabytes_is_refused() -> None:
    lying = bytearray(upload("woff2"))
    lying[16:20] = b"\xff\xff\xff\xff"
    assert convert(bytes(lying), "woff2", "ttf").error == "SourceTooComplex"
