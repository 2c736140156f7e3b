"""What the pdf family takes out of documents: declarations only, no codec."""

from typing import Annotated, Literal

from msgspec import Meta

from engine.converter import Converter
from engine.converters.pdf.catalogue_terms import DocumentOptions, Pages, declare
from engine.errors import OptionInvalid

DRAWN = ("jpeg", "png", "webp", "avif", "gif", "tiff", "bmp")
_LOSSY = frozenset({"jpeg", "webp", "avif"})
_SEE_THROUGH = frozenset({"png", "webp", "avif", "gif", "tiff"})

# 16,384 pixels is the widest WebP, and wider than any screen or print we were asked for.
_Side = Annotated[int, Meta(ge=1, le=16_384)]


class RenderOptions(DocumentOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of pdf.render: pages become pictures, one file a page."""

    pages: Pages = "1-"
    dpi: Annotated[
        int,
        Meta(
            ge=10,
            le=1200,
            description="Dots an inch. Not used where width or height is given.",
            examples=[300],
        ),
    ] = 150
    width: Annotated[
        _Side | None,
        Meta(
            description="Width of the pictures in pixels. With only one of width and height, the"
            " other follows from the page; with both, as large as fits.",
            examples=[800],
        ),
    ] = None
    height: Annotated[
        _Side | None,
        Meta(description="Height of the pictures in pixels; see width.", examples=[600]),
    ] = None
    colour: Annotated[
        Literal["colour", "grey", "mono"],
        Meta(
            description="colour, shades of grey, or mono: black and white without dots between,"
            " which keeps letters crisp.",
            examples=["grey"],
        ),
    ] = "colour"
    quality: Annotated[
        Annotated[int, Meta(ge=1, le=100)] | None,
        Meta(
            description="Quality of a lossy target, 1 to 100. Absent: JPEG 85, WebP 85, AVIF 65.",
            examples=[90],
        ),
    ] = None
    lossless: Annotated[bool, Meta(description="WebP without loss.", examples=[True])] = False
    background: Annotated[
        str,
        Meta(
            pattern="^(#?([0-9a-fA-F]{6}|[0-9a-fA-F]{8})|white|black|transparent)$",
            max_length=11,
            description="Colour of the paper: RRGGBB or RRGGBBAA in hexadecimal, white, black or"
            " transparent (PNG, WebP, AVIF, GIF and TIFF).",
            examples=["transparent"],
        ),
    ] = "white"
    box: Annotated[
        Literal["crop", "media", "trim", "bleed", "art"],
        Meta(
            description="Which of the page's boxes is drawn. crop is what viewers show; where a"
            " page does not name a box, the next larger one stands in.",
            examples=["trim"],
        ),
    ] = "crop"
    annotations: Annotated[
        bool,
        Meta(
            description="Whether comments, stamps and the content of form fields are drawn.",
            examples=[False],
        ),
    ] = True
    angle: Annotated[
        Literal[0, 90, 180, 270],
        Meta(description="Degrees clockwise, added to how the page lies.", examples=[90]),
    ] = 0
    multipage: Annotated[
        bool,
        Meta(
            description="TIFF: all pages in one file. false: a file each, as in every other"
            " format.",
            examples=[False],
        ),
    ] = True


def check_render(options: RenderOptions, target: str) -> None:
    """Refuse what the target format cannot do. Raises OptionInvalid."""
    if options.quality is not None and target not in _LOSSY:
        raise OptionInvalid(f"quality: {target} is written without loss and takes none")
    if options.lossless and target != "webp":
        raise OptionInvalid("lossless: only webp can be either; choose webp, png or tiff")
    opaque = options.background != "transparent" and len(options.background.lstrip("#")) != 8  # noqa: PLR2004  # RRGGBBAA
    if opaque:
        return
    if target not in _SEE_THROUGH:
        raise OptionInvalid(f"background: {target} has no transparency; name an opaque colour")
    if options.colour == "mono":
        raise OptionInvalid("background: colour=mono has no transparency; name an opaque colour")


CONVERTERS: tuple[Converter, ...] = (
    declare(
        "render",
        "Draw pages as pictures",
        RenderOptions,
        module="content.render",
        targets=DRAWN,
        default=True,
        check=check_render,
    ),
)
