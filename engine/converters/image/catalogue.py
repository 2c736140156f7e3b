"""What the image family offers: declarations only, no codec."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from engine.converter import Converter, Family
from engine.errors import OptionInvalid
from engine.job import Bounds
from sandbox.limits import MIB, Limits

RASTER = ("jpeg", "png", "webp", "avif", "gif", "tiff", "bmp")

# 16,384 pixels is the widest WebP, and wider than any screen or print we were asked for.
_Side = Annotated[int, Meta(ge=1, le=16_384)]
_Percent = Annotated[int, Meta(ge=1, le=100)]
_Effort = Annotated[int, Meta(ge=1, le=9)]


class ImageOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of image.convert. The EXIF orientation is always applied."""

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
            " kept. outside: as small as covers, proportions kept. cover: fills it exactly, cut"
            " equally at opposite edges. contain: as inside, then padded with the background to the"
            " exact size. fill: stretched to the exact size.",
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
    quality: Annotated[
        _Percent | None,
        Meta(
            description="Quality of a lossy target, 1 to 100. Absent: JPEG 80, WebP 80, AVIF 60.",
            examples=[85],
        ),
    ] = None
    lossless: Annotated[
        bool,
        Meta(
            description="WebP without loss. PNG, TIFF and BMP always are; JPEG and AVIF cannot be.",
            examples=[True],
        ),
    ] = False
    effort: Annotated[
        _Effort | None,
        Meta(
            description="How long a PNG, WebP or AVIF encoder tries for a smaller file: 1 is"
            " fastest, 9 smallest. Absent: a fair balance, faster for very large images.",
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
    background: Annotated[
        str,
        Meta(
            pattern="^(#?([0-9a-fA-F]{6}|[0-9a-fA-F]{8})|white|black|transparent)$",
            max_length=11,
            description="Colour behind transparent pixels where the target has no transparency, and"
            " of the padding of fit=contain: RRGGBB or RRGGBBAA in hexadecimal, white, black or"
            " transparent (which is white where the target has no transparency).",
            examples=["ffe4c4"],
        ),
    ] = "transparent"
    metadata: Annotated[
        Literal["strip", "keep"],
        Meta(
            description="strip: no EXIF (place, camera, date), XMP or comments in the result."
            " keep: EXIF, XMP and resolution are carried over where the target can hold them.",
            examples=["keep"],
        ),
    ] = "strip"
    icc: Annotated[
        Literal["srgb", "keep"],
        Meta(
            description="srgb: colours are converted to sRGB, which every viewer shows right."
            " keep: numbers and embedded profile stay as they are, CMYK included where the target"
            " can hold it.",
            examples=["keep"],
        ),
    ] = "srgb"
    frames: Annotated[
        Literal["all", "first"],
        Meta(
            description="all: an animation stays one (GIF, WebP, AVIF, PNG), a multi-page TIFF"
            " keeps its pages (TIFF). first: the first frame or page only.",
            examples=["first"],
        ),
    ] = "all"


def check_options(options: ImageOptions, target: str) -> None:
    """Refuse what the target format cannot do. Raises OptionInvalid."""
    if options.lossless and target in {"jpeg", "avif"}:
        raise OptionInvalid(
            f"lossless: {target} has no lossless mode here; choose webp, png or tiff"
        )


CONVERTERS: tuple[Converter, ...] = (
    Converter(
        name="image.convert",
        family="image",
        title="Convert and resize an image",
        sources=RASTER,
        targets=RASTER,
        options=ImageOptions,
        check=check_options,
        run="engine.converters.image.convert:convert",
    ),
)

FAMILY = Family(
    name="image",
    needs=("PIL", "cykooz_resizer"),
    preload=("engine.task", "engine.converters.image.convert", "engine.converters.image.warm"),
    warm="engine.converters.image.warm:warm",
    touch="engine.converters.image.warm:touch",
    # libwebp's and libaom's slowest honest case, a large picture at full effort, stays below 60 s.
    limits=Limits(address_space_bytes=2048 * MIB, cpu_s=60, wall_s=60.0),
    bounds=Bounds(),
)
