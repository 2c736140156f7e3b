"""Images put on pages: options and declaration."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from engine.converter import Converter
from engine.converters.pdf.catalogue_terms import FILES_MAX, declare
from engine.errors import OptionInvalid

IMAGES = ("jpeg", "png", "webp", "avif", "gif", "tiff", "bmp")
# What may follow the first one besides; the image family makes a document of these alone.
OTHERS = ("jp2", "tga", "pnm", "ppm", "pgm", "pbm", "pcx", "sgi", "psd", "dds", "ico", "icns")

# 14,400 units are the longest side of a page (ISO 32000-1, annex C).
_Side = Annotated[float, Meta(ge=5, le=5_080)]
_Margin = Annotated[float, Meta(ge=0, le=500)]


class ImagesOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of pdf.images: one page an image (a TIFF's pages each), pixels kept without loss."""

    page_size: Annotated[
        Literal["image", "a2", "a3", "a4", "a5", "a6", "letter", "legal", "tabloid", "custom"],
        Meta(
            description="Size of the pages. image: as large as the image at its own resolution (96"
            " dots an inch where it names none). custom: page_width_mm by page_height_mm.",
            examples=["a4"],
        ),
    ] = "image"
    page_width_mm: Annotated[
        _Side | None,
        Meta(description="Width of a custom page in millimetres.", examples=[148]),
    ] = None
    page_height_mm: Annotated[
        _Side | None,
        Meta(description="Height of a custom page in millimetres.", examples=[148]),
    ] = None
    orientation: Annotated[
        Literal["auto", "portrait", "landscape"],
        Meta(
            description="How a page of fixed size lies. auto: as the image does.",
            examples=["portrait"],
        ),
    ] = "auto"
    margin_mm: Annotated[
        _Margin, Meta(description="White on each side, in millimetres.", examples=[10])
    ] = 0
    margin_x_mm: Annotated[
        _Margin | None,
        Meta(description="White on the left and the right, where it differs.", examples=[20]),
    ] = None
    margin_y_mm: Annotated[
        _Margin | None,
        Meta(description="White at the top and the bottom, where it differs.", examples=[15]),
    ] = None
    fit: Annotated[
        Literal["inside", "shrink", "cover", "stretch"],
        Meta(
            description="How an image meets a page of fixed size. inside: as large as fits."
            " shrink: only made smaller, never larger. cover: fills it, and what overhangs does not"
            " show. stretch: to the exact size.",
            examples=["shrink"],
        ),
    ] = "inside"
    dpi: Annotated[
        Annotated[int, Meta(ge=10, le=10_000)] | None,
        Meta(
            description="Dots an inch of the images, in place of what they state themselves.",
            examples=[300],
        ),
    ] = None


def check_images(options: ImagesOptions, _target: str) -> None:
    """A custom page needs both sides, and nothing else takes them. Raises OptionInvalid."""
    given = [options.page_width_mm, options.page_height_mm]
    if options.page_size == "custom" and None in given:
        raise OptionInvalid("page_size: custom needs page_width_mm and page_height_mm")
    if options.page_size != "custom" and given != [None, None]:
        raise OptionInvalid("page_width_mm and page_height_mm: only with page_size=custom")


CONVERTERS: tuple[Converter, ...] = (
    declare(
        "images",
        "Put images on pages",
        ImagesOptions,
        module="images",
        sources=IMAGES,
        companions=(*IMAGES, *OTHERS),
        inputs_max=FILES_MAX,
        default=True,
        check=check_images,
    ),
)
