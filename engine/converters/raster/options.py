"""The options of every conversion that ends in pixels: one struct, shared by the families."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from engine.errors import OptionInvalid

# 16,384 pixels is the widest WebP, and wider than any screen or print we were asked for.
_Side = Annotated[int, Meta(ge=1, le=16_384)]
_Percent = Annotated[int, Meta(ge=1, le=100)]
_Number = Annotated[int, Meta(ge=1, le=10_000)]
_Colours = Annotated[int, Meta(ge=2, le=256)]
_Bytes = Annotated[int, Meta(ge=500, le=100_000_000)]
_Dpi = Annotated[int, Meta(ge=10, le=2400)]
_Effort = Annotated[int, Meta(ge=1, le=9)]
Position = Literal[
    "centre",
    "top",
    "top-right",
    "right",
    "bottom-right",
    "bottom",
    "bottom-left",
    "left",
    "top-left",
]
_COLOUR = "^(#?([0-9a-fA-F]{6}|[0-9a-fA-F]{8})|white|black|transparent)$"
_FRACTION = r"(0(\.[0-9]{1,6})?|1(\.0{1,6})?)"

LOSSLESS = frozenset({"png", "tiff", "bmp", "webp", "jp2", "jxl"})
LOSSY = frozenset({"jpeg", "webp", "avif", "jp2", "jxl"})
PALETTES = frozenset({"png", "gif"})
PRINTED = frozenset({"jpeg", "tiff"})
BITMAPS = frozenset({"png", "tiff", "bmp", "gif", "pbm", "ppm", "pcx"})


class ImageOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of image.convert. The EXIF orientation is always applied, before anything else."""

    width: Annotated[
        _Side | None,
        Meta(
            description="Width of the result in pixels. With only one of width and height, the"
            " other follows from the proportions. Absent: as the source.",
            examples=[800],
        ),
    ] = None
    height: Annotated[
        _Side | None,
        Meta(description="Height of the result in pixels; see width.", examples=[600]),
    ] = None
    fit: Annotated[
        Literal["inside", "outside", "cover", "contain", "fill"],
        Meta(
            description="How the image meets width x height. inside: as large as fits, proportions"
            " kept. outside: as small as covers, proportions kept. cover: fills it exactly, what is"
            " too much is cut (see position). contain: as inside, then padded with the background"
            " to the exact size. fill: stretched to the exact size.",
            examples=["cover"],
        ),
    ] = "inside"
    enlarge: Annotated[
        bool,
        Meta(
            description="Whether an image smaller than width x height is scaled up.",
            examples=[True],
        ),
    ] = False
    page: Annotated[
        _Number | None,
        Meta(
            description="Only this page of a document or frame of an animation, the first is 1.",
            examples=[2],
        ),
    ] = None
    frames: Annotated[
        Literal["all", "first"],
        Meta(
            description="all: an animation stays one (GIF, WebP, AVIF, PNG, JPEG XL), a"
            " multi-page TIFF keeps its pages (TIFF). first: the first frame or page only.",
            examples=["first"],
        ),
    ] = "all"
    rotate: Annotated[
        float,
        Meta(
            ge=-360,
            le=360,
            description="Degrees clockwise. The corners that a turn other than by right angles"
            " leaves are filled with the background.",
            examples=[90],
        ),
    ] = 0
    flip: Annotated[
        bool, Meta(description="Mirror top to bottom, after turning.", examples=[True])
    ] = False
    flop: Annotated[
        bool, Meta(description="Mirror left to right, after turning.", examples=[True])
    ] = False
    trim: Annotated[
        bool,
        Meta(
            description="Cut away borders of one colour, that of the top left corner, or of"
            " transparent pixels. An animation is cut as its first frame.",
            examples=[True],
        ),
    ] = False
    trim_tolerance: Annotated[
        int,
        Meta(
            ge=0,
            le=128,
            description="How far a channel may differ from the border's colour, of 255.",
            examples=[30],
        ),
    ] = 10
    crop: Annotated[
        str,
        Meta(
            pattern=r"^$|^[1-9][0-9]{0,4}:[1-9][0-9]{0,4}$|^[0-9]{1,5},[0-9]{1,5},[1-9][0-9]{0,4},[1-9][0-9]{0,4}$",
            max_length=23,
            description="What to cut out before scaling: proportions such as 16:9 (the largest such"
            " area, see position), or left,top,width,height in pixels.",
            examples=["16:9"],
        ),
    ] = ""
    position: Annotated[
        Position,
        Meta(
            description="Which part a crop to proportions and fit=cover keep.",
            examples=["top"],
        ),
    ] = "centre"
    focus: Annotated[
        str,
        Meta(
            pattern=f"^$|^{_FRACTION},{_FRACTION}$",
            max_length=20,
            description="A point that a crop to proportions and fit=cover keep as close to the"
            " middle as they can: fractions of width and height. It replaces position.",
            examples=["0.3,0.25"],
        ),
    ] = ""
    icc: Annotated[
        Literal["srgb", "keep"],
        Meta(
            description="srgb: colours are converted to sRGB, which every viewer shows right."
            " keep: numbers and embedded profile stay as they are, CMYK included where the target"
            " can hold it.",
            examples=["keep"],
        ),
    ] = "srgb"
    brightness: Annotated[
        float,
        Meta(ge=0, le=10, description="Factor of all channels; 1 changes nothing.", examples=[1.2]),
    ] = 1
    contrast: Annotated[
        float,
        Meta(
            ge=0,
            le=10,
            description="Factor of the distance from middle grey; 1 changes nothing.",
            examples=[1.1],
        ),
    ] = 1
    gamma: Annotated[
        float,
        Meta(
            ge=0.1,
            le=10,
            description="Above 1 lightens the middle tones, below 1 darkens them.",
            examples=[1.4],
        ),
    ] = 1
    saturation: Annotated[
        float,
        Meta(
            ge=0,
            le=10,
            description="Factor of the colourfulness; 0 is grey, 1 changes nothing.",
            examples=[1.3],
        ),
    ] = 1
    negate: Annotated[
        bool,
        Meta(
            description="Swap light and dark, and each colour with its opposite.", examples=[True]
        ),
    ] = False
    blur: Annotated[
        float,
        Meta(
            ge=0,
            le=250,
            description="Standard deviation of a Gaussian blur in pixels of the result.",
            examples=[3],
        ),
    ] = 0
    sharpen: Annotated[
        float,
        Meta(
            ge=0,
            le=10,
            description="Strength of an unsharp mask on the result; 1 is what a reduced photograph"
            " bears well.",
            examples=[1],
        ),
    ] = 0
    background: Annotated[
        str,
        Meta(
            pattern=_COLOUR,
            max_length=11,
            description="Colour behind transparent pixels where the target has no transparency, and"
            " of the padding of fit=contain: RRGGBB or RRGGBBAA in hexadecimal, white, black or"
            " transparent (which is white where the target has no transparency).",
            examples=["ffe4c4"],
        ),
    ] = "transparent"
    watermark_text: Annotated[
        str,
        Meta(
            max_length=200,
            description="Words to write over the result, outlined so that they can be read on any"
            " ground. Latin, Greek, Cyrillic and Hebrew letters are known.",
            examples=["(c) Jane Doe"],
        ),
    ] = ""
    watermark_colour: Annotated[
        str,
        Meta(
            pattern=_COLOUR,
            max_length=11,
            description="Colour of the words: RRGGBB in hexadecimal, white or black.",
            examples=["ffffff"],
        ),
    ] = "white"
    watermark_position: Annotated[
        Literal[Position, "tiled"],
        Meta(
            description="Where the watermark stands. tiled: everywhere, in staggered rows.",
            examples=["tiled"],
        ),
    ] = "bottom-right"
    watermark_scale: Annotated[
        float,
        Meta(
            ge=0.01,
            le=1,
            description="Width of the watermark as a share of the result's width.",
            examples=[0.3],
        ),
    ] = 0.25
    watermark_opacity: Annotated[
        float,
        Meta(
            ge=0.01,
            le=1,
            description="How much the watermark covers: 1 is opaque.",
            examples=[0.5],
        ),
    ] = 0.6
    colour_space: Annotated[
        Literal["auto", "rgb", "grey", "cmyk", "bitmap"],
        Meta(
            description="auto: as it comes, in what the target can hold. grey: without colours."
            " cmyk: printing inks, for JPEG and TIFF. bitmap: black and white dots only.",
            examples=["grey"],
        ),
    ] = "auto"
    colours: Annotated[
        _Colours | None,
        Meta(
            description="Reduce a PNG or GIF to a palette of at most so many colours; a PNG becomes"
            " a third of its size or less. Absent: PNG without a palette, GIF with 256.",
            examples=[128],
        ),
    ] = None
    quality: Annotated[
        _Percent | None,
        Meta(
            description="Quality of a lossy target, 1 to 100. Absent: JPEG, WebP and JPEG 2000 80,"
            " AVIF 60, JPEG XL 85.",
            examples=[85],
        ),
    ] = None
    bytes_max: Annotated[
        _Bytes | None,
        Meta(
            description="The result is to be no larger: the best quality is searched that fits, at"
            " most the one that quality names or 95. For lossy targets.",
            examples=[200_000],
        ),
    ] = None
    lossless: Annotated[
        bool,
        Meta(
            description="WebP, JPEG 2000 and JPEG XL without loss. PNG, TIFF, BMP and their like"
            " always are; JPEG and AVIF cannot be.",
            examples=[True],
        ),
    ] = False
    effort: Annotated[
        _Effort | None,
        Meta(
            description="How long a PNG, WebP, AVIF or JPEG XL encoder tries for a smaller file: 1"
            " is fastest, 9 smallest. Absent: a fair balance, faster for very large images.",
            examples=[7],
        ),
    ] = None
    progressive: Annotated[
        bool,
        Meta(description="A JPEG that appears coarse to fine while loading.", examples=[True]),
    ] = False
    chroma: Annotated[
        Literal["4:2:0", "4:2:2", "4:4:4"],
        Meta(
            description="Colour resolution of JPEG and AVIF. 4:4:4 keeps coloured lines crisp.",
            examples=["4:4:4"],
        ),
    ] = "4:2:0"
    dpi: Annotated[
        _Dpi | None,
        Meta(
            description="Dots an inch, stated in the result where the format has a place for it; a"
            " drawing (SVG) is drawn so fine, where width and height are absent.",
            examples=[300],
        ),
    ] = None
    metadata: Annotated[
        Literal["strip", "keep"],
        Meta(
            description="strip: no EXIF (place, camera, date), XMP or comments in the result."
            " keep: EXIF, XMP and resolution are carried over where the target can hold them.",
            examples=["keep"],
        ),
    ] = "strip"


class OptimiseOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of image.optimise: no pixel changes, the file becomes smaller."""

    metadata: Annotated[
        Literal["strip", "keep"],
        Meta(
            description="strip: EXIF, XMP and comments are removed; orientation and colour profile"
            " stay. keep: everything stays.",
            examples=["keep"],
        ),
    ] = "strip"


class NoOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An operation that has no options."""


def check_options(options: ImageOptions, target: str) -> None:
    """Refuse what the target format cannot do. Raises OptionInvalid."""
    if options.lossless and target in LOSSY - LOSSLESS:
        raise OptionInvalid(
            f"lossless: {target} has no lossless mode here; choose webp, png or tiff"
        )
    if options.page is not None and options.frames == "first":
        raise OptionInvalid("page: page and frames=first contradict each other; give one of them")
    for name, given, targets in (
        ("bytes_max", options.bytes_max is not None, LOSSY),
        ("colours", options.colours is not None, PALETTES),
        ("colour_space: cmyk", options.colour_space == "cmyk", PRINTED),
        ("colour_space: bitmap", options.colour_space == "bitmap", BITMAPS),
    ):
        if given and target not in targets:
            raise OptionInvalid(f"{name} is for {', '.join(sorted(targets))}; {target} has no such")
    if options.bytes_max is not None and options.lossless:
        raise OptionInvalid("bytes_max: a lossless result is as large as it is; give one of them")
