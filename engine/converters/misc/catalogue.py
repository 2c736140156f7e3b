"""What the misc family offers: declarations only, no codec."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from engine.converter import Converter, Family
from engine.errors import OptionInvalid
from engine.formats import title
from engine.job import Bounds
from sandbox.limits import MIB, Limits

FONT_SOURCES = ("ttf", "otf", "ttc", "woff", "woff2")
FONTS = ("ttf", "otf", "woff", "woff2")
SUBTITLES = ("srt", "vtt", "ass", "ssa", "ttml", "sub", "mpl2")
PLACES = ("gpx", "geojson", "kml")

_CODE = "(U\\+)?[0-9A-Fa-f]{1,6}(-(U\\+)?[0-9A-Fa-f]{1,6})?"
_UNICODES = f"^$|^{_CODE}(,{_CODE})*$"
Encoding = Literal[
    "auto", "utf-8", "utf-16", "windows-1250", "windows-1251", "windows-1252", "windows-1253",
    "windows-1254", "windows-1255", "windows-1256", "iso-8859-1", "iso-8859-2", "koi8-r",
    "shift_jis", "gb18030", "big5", "euc-kr",
]  # fmt: skip
_Number = Annotated[
    int,
    Meta(ge=1, le=1000, description="Which font of a collection, first is 1.", examples=[2]),
]
_Rate = Annotated[float, Meta(gt=1, le=240)]


class FontInfoOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of misc.font-info: names, metrics, tables, features and the characters it has."""

    number: _Number = 1


class FontOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of misc.font. Without text and unicodes all glyphs are kept."""

    text: Annotated[
        str,
        Meta(
            max_length=20_000,
            description="Characters to keep: all others are taken out of the font.",
            examples=["Hello"],
        ),
    ] = ""
    unicodes: Annotated[
        str,
        Meta(
            pattern=_UNICODES,
            max_length=4000,
            description="Characters to keep, by number in hexadecimal, ranges too, joined by"
            " commas; added to those of text.",
            examples=["U+0020-007E,U+00A0-00FF"],
        ),
    ] = ""
    features: Annotated[
        Literal["usual", "all", "none"],
        Meta(
            description="Which layout features a subset keeps: usual (kerning, ligatures, marks and"
            " what scripts need), all, or none.",
            examples=["all"],
        ),
    ] = "usual"
    hinting: Annotated[
        bool,
        Meta(
            description="Whether instructions for small sizes are kept. Without them a font is"
            " smaller and looks the same on screens of today.",
            examples=[False],
        ),
    ] = True
    number: _Number = 1


class SubtitleOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of misc.subtitles."""

    shift_ms: Annotated[
        int,
        Meta(
            ge=-86_400_000,
            le=86_400_000,
            description="Milliseconds by which all lines come later; below 0 earlier.",
            examples=[-1500],
        ),
    ] = 0
    fps: Annotated[
        _Rate | None,
        Meta(
            description="Frames a second of the video that the source was made for. MicroDVD needs"
            " it where the file does not say it.",
            examples=[25],
        ),
    ] = None
    fps_out: Annotated[
        _Rate | None,
        Meta(
            description="Frames a second of the video that the result is for: times are stretched"
            " from fps to it, and MicroDVD counts in it.",
            examples=[23.976],
        ),
    ] = None
    encoding: Annotated[
        Encoding,
        Meta(
            description="Encoding of the source. auto: by its byte order mark, else UTF-8, else"
            " Windows-1252.",
            examples=["windows-1251"],
        ),
    ] = "auto"
    plain: Annotated[
        bool,
        Meta(description="Whether italics, colours and positions are taken out.", examples=[True]),
    ] = False


class PlacesOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of misc.places. Coordinates are WGS 84, as all these formats ask for."""

    latitude: Annotated[
        str,
        Meta(
            max_length=100,
            description="Name of a CSV's column of latitudes. Absent: found by its usual names.",
            examples=["y"],
        ),
    ] = ""
    longitude: Annotated[
        str,
        Meta(
            max_length=100,
            description="Name of a CSV's column of longitudes. Absent: found by its usual names.",
            examples=["x"],
        ),
    ] = ""
    digits: Annotated[
        int,
        Meta(
            ge=0,
            le=12,
            description="Digits after the point of coordinates; 7 are a centimetre.",
            examples=[6],
        ),
    ] = 7


class CardOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of misc.calendar and misc.contacts; JSON is jCal (RFC 7265) and jCard (RFC 7095)."""

    pretty: Annotated[
        bool, Meta(description="Whether a JSON result is indented.", examples=[False])
    ] = True


def check_subtitles(options: SubtitleOptions, target: str) -> None:
    """Frame rates come in pairs, or for MicroDVD. Raises OptionInvalid."""
    if options.fps_out is not None and options.fps is None and target != "sub":
        raise OptionInvalid("fps_out: stretching times takes fps, the source's rate, as well")


def check_cards(options: CardOptions, target: str) -> None:
    """Only JSON can be indented. Raises OptionInvalid."""
    if not options.pretty and target != "json":
        raise OptionInvalid(f"pretty: has no meaning where the result is {title(target)}")


def _converter(operation: str, label: str, run: str, **more: Any) -> Converter:
    return Converter(
        name=f"misc.{operation}",
        family="misc",
        title=label,
        run=f"engine.converters.misc.{run}",
        **more,
    )


_CALENDAR = {"options": CardOptions, "check": check_cards, "run": "cards:calendar"}
_CONTACTS = {"options": CardOptions, "check": check_cards, "run": "cards:contacts"}
_SUBTITLES = {"options": SubtitleOptions, "check": check_subtitles, "run": "subtitles:convert"}
_PLACES = {"options": PlacesOptions, "run": "places:convert"}
_AS_DATA = ("json", "csv")

# (operation, title, sources, targets, what runs). A pair is here only where it means something:
# JSON into a calendar does, JSON into CSV is for another family.
_ROWS: tuple[tuple[str, str, tuple[str, ...], tuple[str, ...], dict[str, Any]], ...] = (
    ("font", "Convert or subset a font", FONT_SOURCES, FONTS,
     {"options": FontOptions, "run": "font:convert"}),
    ("font-info", "Describe a font", FONT_SOURCES, ("json",),
     {"options": FontInfoOptions, "run": "font:describe"}),
    ("subtitles", "Convert, shift or stretch subtitles", (*SUBTITLES, "smi"),
     (*SUBTITLES, "json", "csv", "txt"), _SUBTITLES),
    ("subtitles-from-json", "Make subtitles from JSON", ("json",), SUBTITLES, _SUBTITLES),
    ("places", "Convert tracks and places", (*PLACES, "kmz"), (*PLACES, "csv"), _PLACES),
    ("places-from-table", "Make places from a table", ("csv",), PLACES, _PLACES),
    ("calendar", "A calendar as data", ("ics",), _AS_DATA, _CALENDAR),
    ("calendar-from-data", "A calendar from data", _AS_DATA, ("ics",), _CALENDAR),
    ("contacts", "Contacts as data", ("vcf",), _AS_DATA, _CONTACTS),
    ("contacts-from-data", "Contacts from data", _AS_DATA, ("vcf",), _CONTACTS),
)  # fmt: skip
CONVERTERS: tuple[Converter, ...] = tuple(
    _converter(operation, label, sources=sources, targets=targets, **more)
    for operation, label, sources, targets, more in _ROWS
)

FAMILY = Family(
    name="misc",
    needs=("brotli", "fontTools", "lxml", "pysubs2"),
    preload=("engine.task", "engine.converters.misc.warm"),
    warm="engine.converters.misc.warm:warm",
    # A font of 20 MB with all its tables as Python objects takes half a gigabyte.
    limits=Limits(address_space_bytes=1536 * MIB, cpu_s=60, wall_s=60.0),
    bounds=Bounds(),
)
