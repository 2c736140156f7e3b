"""Declarations of what is laid over pages: watermarks, numbers, other documents."""

from typing import Annotated, Literal

from msgspec import Meta

from engine.converter import Converter
from engine.converters.pdf.catalogue_terms import DocumentOptions, Pages, declare

# What a picture that is stamped may be.
PICTURES = ("jpeg", "png", "webp", "avif", "gif", "tiff", "bmp")

Place = Literal[
    "top-left",
    "top",
    "top-right",
    "left",
    "centre",
    "right",
    "bottom-left",
    "bottom",
    "bottom-right",
]
# As long as a line of the smallest letters on the widest paper that people print.
_TEXT_MAX = 500

Typeface = Annotated[
    Literal["sans", "sans-bold", "serif", "mono"],
    Meta(
        description="Typeface; its letters in use are put into the document. Latin, Greek and"
        " Cyrillic letters are known.",
        examples=["serif"],
    ),
]
TextColour = Annotated[
    str,
    Meta(
        pattern="^(#?[0-9a-fA-F]{6}|white|black)$",
        max_length=7,
        description="Colour of the text: RRGGBB in hexadecimal, white or black.",
        examples=["cc0000"],
    ),
]
Opacity = Annotated[
    float,
    Meta(ge=0.01, le=1, description="How much it covers: 1 is opaque.", examples=[0.5]),
]
_Margin = Annotated[
    float,
    Meta(ge=0, le=500, description="Kept free at the edge, in millimetres.", examples=[10]),
]
_FontSize = Annotated[
    float,
    Meta(ge=3, le=200, description="Size of the letters in points.", examples=[9]),
]


class WatermarkOptions(DocumentOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of pdf.watermark: a text, or a picture that is sent as second file."""

    text: Annotated[
        str,
        Meta(
            max_length=_TEXT_MAX,
            description="Text to write; lines are apart by line feeds. Not with a picture.",
            examples=["DRAFT"],
        ),
    ] = ""
    font: Typeface = "sans-bold"
    font_size: Annotated[
        float,
        Meta(
            ge=0,
            le=1000,
            description="Size of the letters in points; 0: as large as scale says.",
            examples=[48],
        ),
    ] = 0
    colour: TextColour = "808080"
    scale: Annotated[
        float,
        Meta(
            ge=0.01,
            le=1,
            description="Width of text or picture as a share of the page's width.",
            examples=[0.3],
        ),
    ] = 0.7
    opacity: Opacity = 0.3
    angle: Annotated[
        float,
        Meta(ge=-180, le=180, description="Degrees, counter-clockwise.", examples=[45]),
    ] = 45
    position: Annotated[
        Place | Literal["tiled"],
        Meta(description="Where it stands. tiled: all over the page.", examples=["tiled"]),
    ] = "centre"
    margin_mm: _Margin = 10
    layer: Annotated[
        Literal["over", "under"],
        Meta(
            description="over or under what the page shows; scans hide what is under them.",
            examples=["under"],
        ),
    ] = "over"
    pages: Pages = "1-"


class NumberOptions(DocumentOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of pdf.number: page numbers, headers and footers."""

    text: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=_TEXT_MAX,
            description="What each page gets: {page} is its number, {pages} how many there are.",
            examples=["Page {page} of {pages}"],
        ),
    ] = "{page}"
    start: Annotated[
        int, Meta(ge=0, le=1_000_000, description="Number of the first of them.", examples=[1])
    ] = 1
    position: Annotated[Place, Meta(description="Where it stands.", examples=["top-right"])] = (
        "bottom"
    )
    mirrored: Annotated[
        bool,
        Meta(
            description="On even pages left and right change places, as in books.", examples=[True]
        ),
    ] = False
    font: Typeface = "sans"
    font_size: _FontSize = 10
    colour: TextColour = "black"
    margin_mm: _Margin = 10
    pages: Pages = "1-"


class BatesOptions(DocumentOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of pdf.bates: a number on every page that no other page has."""

    prefix: Annotated[
        str, Meta(max_length=50, description="Before the number.", examples=["ACME-"])
    ] = ""
    suffix: Annotated[
        str, Meta(max_length=50, description="Behind the number.", examples=["-CONF"])
    ] = ""
    start: Annotated[
        int, Meta(ge=0, le=999_999_999, description="Number of the first page.", examples=[1001])
    ] = 1
    digits: Annotated[
        int,
        Meta(ge=1, le=15, description="Digits at least, filled with zeros.", examples=[6]),
    ] = 6
    position: Annotated[Place, Meta(description="Where it stands.", examples=["bottom-left"])] = (
        "bottom-right"
    )
    font: Typeface = "mono"
    font_size: _FontSize = 9
    colour: TextColour = "black"
    margin_mm: _Margin = 8
    pages: Pages = "1-"


class OverlayOptions(DocumentOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of pdf.overlay: the pages of a second document, laid over those of the first."""

    layer: Annotated[
        Literal["over", "under"],
        Meta(description="over: as a stamp. under: as a letterhead.", examples=["under"]),
    ] = "over"
    repeat: Annotated[
        Literal["none", "last", "all"],
        Meta(
            description="When the second document has fewer pages. none: the rest stays as it is."
            " last: its last page goes on. all: it starts again.",
            examples=["all"],
        ),
    ] = "last"
    fit: Annotated[
        Literal["inside", "stretch", "none"],
        Meta(
            description="inside: as large as fits, centred. stretch: to the page's exact size."
            " none: in its own size, from the lower left corner.",
            examples=["inside"],
        ),
    ] = "inside"
    pages: Pages = "1-"


CONVERTERS: tuple[Converter, ...] = (
    declare(
        "watermark",
        "Write or stamp over pages",
        WatermarkOptions,
        module="watermark",
        inputs_max=2,
        companions=PICTURES,
    ),
    declare("number", "Page numbers, headers, footers", NumberOptions, module="numbers"),
    declare("bates", "Bates numbers", BatesOptions, module="numbers"),
    declare(
        "overlay",
        "Lay a document over or under another",
        OverlayOptions,
        module="overlay",
        inputs_min=2,
        inputs_max=2,
        companions=("pdf",),
    ),
)
