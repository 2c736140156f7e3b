"""Use every small codec once: fontTools and the text encodings load their parts when first used."""

import importlib
import io
import pkgutil
import zipfile
from itertools import product
from typing import get_args

import fontTools.ttLib.tables
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import TTCollection, TTFont

from engine.converter import Converter, Work
from engine.converters.misc import cards, font, places, subtitles
from engine.converters.misc.catalogue import (
    CONVERTERS,
    FONT_SOURCES,
    PLACES,
    SUBTITLES,
    Encoding,
    FontOptions,
    SubtitleOptions,
)
from engine.errors import EngineError
from engine.job import Bounds, Buffer
from engine.rehearsal import Rehearsal

_IMPLEMENTATIONS = {"cards": cards, "font": font, "places": places, "subtitles": subtitles}
_SRT = b"1\n00:00:01,000 --> 00:00:02,000\n<i>w\xc3\xa4rm</i>\n\n"
_SMI = b"<SAMI><BODY><SYNC Start=1000><P Class=ENCC>warm<SYNC Start=2000><P>&nbsp;</BODY></SAMI>"
_CSV = b"name,lat,lon,start,email\nwarm,1,2,2024-01-01 10:00,a@b.example\n"
_ICS = (
    b"BEGIN:VCALENDAR\nVERSION:2.0\nBEGIN:VEVENT\nUID:1\nDTSTART;TZID=Europe/Berlin:20240101T100000"
    b"\nRRULE:FREQ=DAILY;COUNT=2\nSUMMARY:w\nEND:VEVENT\nEND:VCALENDAR\n"
)
_VCF = b"BEGIN:VCARD\nVERSION:2.1\nN;ENCODING=QUOTED-PRINTABLE:w=C3=A4rm\nTEL;HOME:1\nEND:VCARD\n"


def warm() -> list[Rehearsal]:
    """Load every font table, then run each converter on a whole and a broken file."""
    for module in pkgutil.iter_modules(fontTools.ttLib.tables.__path__):
        # One of them is a program for making others.
        if not module.name.startswith("table_"):
            importlib.import_module(f"fontTools.ttLib.tables.{module.name}")
    samples = _samples()
    for converter in CONVERTERS:
        for source, target in product(converter.sources, converter.targets):
            for upload in (samples[source], samples[source][: len(samples[source]) // 2]):
                _attempt(converter, upload, source, target, converter.options())
    by_name = {converter.name: converter for converter in CONVERTERS}
    for source, target in product(FONT_SOURCES, ("ttf", "woff2")):
        narrow = FontOptions(text="A", features="all", hinting=False)
        _attempt(by_name["misc.font"], samples[source], source, target, narrow)
    for encoding in get_args(Encoding):
        options = SubtitleOptions(encoding=encoding, fps=25)
        _attempt(by_name["misc.subtitles"], _SRT, "srt", "sub", options)
    return [Rehearsal("misc.subtitles", "srt", "vtt", samples["srt"])]


def _samples() -> dict[str, bytes]:
    """One file a source."""
    plain = _font()
    found = {"srt": _SRT, "smi": _SMI, "csv": _CSV, "ics": _ICS, "vcf": _VCF, "ttf": plain}
    by_name = {converter.operation: converter for converter in CONVERTERS}
    for target in ("otf", "woff", "woff2"):
        found[target] = _run(by_name["font"], plain, "ttf", target, FontOptions())
    collection = TTCollection()
    collection.fonts = [TTFont(io.BytesIO(plain)), TTFont(io.BytesIO(plain))]
    buffer = io.BytesIO()
    collection.save(buffer)
    found["ttc"] = buffer.getvalue()
    for target in SUBTITLES[1:]:
        options = SubtitleOptions(fps_out=25, fps=25)
        found[target] = _run(by_name["subtitles"], _SRT, "srt", target, options)
    for target in PLACES:
        places_options = by_name["places-from-table"].options()
        found[target] = _run(by_name["places-from-table"], _CSV, "csv", target, places_options)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("doc.kml", found["kml"])
    calendar = _run(by_name["calendar"], _ICS, "ics", "json", by_name["calendar"].options())
    return {**found, "kmz": buffer.getvalue(), "json": calendar}


def _font() -> bytes:
    """A font of three glyphs, one of them composed, with kerning."""
    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    pen.qCurveTo((0, 500), (500, 500))
    pen.lineTo((500, 0))
    pen.closePath()
    square = pen.glyph()
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder([".notdef", "A", "B"])
    builder.setupCharacterMap({65: "A", 66: "B"})
    builder.setupGlyf({".notdef": square, "A": square, "B": square})
    builder.setupHorizontalMetrics(dict.fromkeys((".notdef", "A", "B"), (600, 0)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "Warm", "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.addOpenTypeFeatures(
        "feature kern { pos A B -50; } kern; feature liga {sub A B by A;} liga;"
    )
    buffer = io.BytesIO()
    builder.save(buffer)
    return buffer.getvalue()


def _run(converter: Converter, upload: Buffer, source: str, target: str, options: object) -> bytes:
    module, _, function = converter.run.rpartition(".")[2].partition(":")
    work = Work(
        sources=(source,), target=target, inputs=(upload,), options=options, bounds=Bounds()
    )
    return bytes(getattr(_IMPLEMENTATIONS[module], function)(work).files[0])


def _attempt(
    converter: Converter, upload: Buffer, source: str, target: str, options: object
) -> None:
    try:
        _run(converter, upload, source, target, options)
    except EngineError:
        return
