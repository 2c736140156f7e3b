"""Declarations of how pages lie: cropped, resized, several on a sheet, blank ones left out."""

from typing import Annotated, Literal

from msgspec import Meta

from engine.converter import Converter
from engine.converters.pdf.catalogue_terms import DocumentOptions, Pages, declare
from engine.errors import OptionInvalid

# Readers show pages of up to 14,400 points, five metres (ISO 32000-1, annex C).
SIDE_MM_MAX = 5_080

PageSize = Literal["a2", "a3", "a4", "a5", "a6", "letter", "legal", "tabloid"]
Orientation = Annotated[
    Literal["auto", "portrait", "landscape"],
    Meta(description="How the new pages lie. auto: as their contents do.", examples=["portrait"]),
]
_Cut = Annotated[
    float,
    Meta(ge=0, le=SIDE_MM_MAX, description="Millimetres cut off at this side.", examples=[10]),
]


class CropOptions(DocumentOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of pdf.crop. Sides are those of the page as it is seen."""

    mode: Annotated[
        Literal["margins", "box", "auto"],
        Meta(
            description="margins: cut off left, top, right and bottom. box: keep width by height"
            " from left and top on. auto: keep what is drawn, and padding_mm around it.",
            examples=["auto"],
        ),
    ] = "margins"
    left_mm: _Cut = 0
    top_mm: _Cut = 0
    right_mm: _Cut = 0
    bottom_mm: _Cut = 0
    width_mm: Annotated[
        float,
        Meta(ge=0, le=SIDE_MM_MAX, description="Width of the box, with mode=box.", examples=[100]),
    ] = 0
    height_mm: Annotated[
        float,
        Meta(ge=0, le=SIDE_MM_MAX, description="Height of the box, with mode=box.", examples=[80]),
    ] = 0
    padding_mm: Annotated[
        float,
        Meta(ge=0, le=200, description="Kept around what is drawn, with mode=auto.", examples=[5]),
    ] = 3
    uniform: Annotated[
        bool,
        Meta(
            description="With mode=auto: one box for all pages, which holds what is drawn on any.",
            examples=[True],
        ),
    ] = False
    pages: Pages = "1-"


class ResizeOptions(DocumentOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of pdf.resize: contents are scaled with their page, links and forms too."""

    page_size: Annotated[
        PageSize | Literal["custom", "scale"],
        Meta(
            description="The new size; custom: width_mm by height_mm; scale: percent of the old.",
            examples=["a4"],
        ),
    ] = "a4"
    width_mm: Annotated[
        float,
        Meta(ge=0, le=SIDE_MM_MAX, description="Width, with page_size=custom.", examples=[210]),
    ] = 0
    height_mm: Annotated[
        float,
        Meta(ge=0, le=SIDE_MM_MAX, description="Height, with page_size=custom.", examples=[297]),
    ] = 0
    percent: Annotated[
        float,
        Meta(ge=1, le=1000, description="Of the old size, with page_size=scale.", examples=[50]),
    ] = 100
    orientation: Orientation = "auto"
    fit: Annotated[
        Literal["inside", "shrink", "stretch"],
        Meta(
            description="inside: contents as large as fits. shrink: only made smaller, never"
            " larger. stretch: to the exact size.",
            examples=["shrink"],
        ),
    ] = "inside"
    margin_mm: Annotated[
        float,
        Meta(ge=0, le=200, description="Kept free on each side, in millimetres.", examples=[10]),
    ] = 0
    pages: Pages = "1-"


class NupOptions(DocumentOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of pdf.nup: several pages on one sheet."""

    per_sheet: Annotated[
        Literal[2, 3, 4, 6, 8, 9, 12, 16],
        Meta(description="Pages on each sheet.", examples=[4]),
    ] = 2
    page_size: Annotated[PageSize, Meta(description="Size of the sheets.", examples=["a4"])] = "a4"
    orientation: Orientation = "auto"
    order: Annotated[
        Literal["across", "down"],
        Meta(description="Whether pages follow each other in rows or columns.", examples=["down"]),
    ] = "across"
    margin_mm: Annotated[
        float,
        Meta(ge=0, le=100, description="Kept free around the sheet's edge.", examples=[10]),
    ] = 5
    gap_mm: Annotated[
        float, Meta(ge=0, le=100, description="Kept free between pages.", examples=[4])
    ] = 4
    frame: Annotated[
        bool, Meta(description="Draw a thin line around each page.", examples=[True])
    ] = False
    pages: Pages = "1-"


class BookletOptions(DocumentOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of pdf.booklet: two pages a side, to be printed on both sides and folded once."""

    page_size: Annotated[
        PageSize, Meta(description="Size of the sheets before folding.", examples=["a4"])
    ] = "a4"
    binding: Annotated[
        Literal["left", "right"],
        Meta(description="right: for scripts that run from right to left.", examples=["left"]),
    ] = "left"
    margin_mm: Annotated[
        float, Meta(ge=0, le=100, description="Kept free around each page.", examples=[5])
    ] = 5
    pages: Pages = "1-"


class RemoveBlankOptions(DocumentOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of pdf.remove_blank: pages are judged by how they look."""

    ink_percent: Annotated[
        float,
        Meta(
            ge=0,
            le=20,
            description="A page with less of its area covered than this counts as blank; scans"
            " have specks, so a little more than nothing.",
            examples=[0.1],
        ),
    ] = 0.05
    pages: Pages = "1-"


def check_crop(options: CropOptions, _target: str) -> None:
    """A box has a size. Raises OptionInvalid."""
    if options.mode == "box" and not (options.width_mm and options.height_mm):
        raise OptionInvalid("width_mm: mode=box needs width_mm and height_mm")


def check_resize(options: ResizeOptions, _target: str) -> None:
    """A size of one's own has two sides. Raises OptionInvalid."""
    if options.page_size == "custom" and not (options.width_mm and options.height_mm):
        raise OptionInvalid("width_mm: page_size=custom needs width_mm and height_mm")


CONVERTERS: tuple[Converter, ...] = (
    declare("crop", "Cut pages to a box", CropOptions, module="crop", check=check_crop),
    declare("resize", "Scale pages to a size", ResizeOptions, module="resize", check=check_resize),
    declare("nup", "Several pages on a sheet", NupOptions, module="sheets"),
    declare("booklet", "Sheets to fold into a booklet", BookletOptions, module="sheets"),
    declare("remove_blank", "Leave blank pages out", RemoveBlankOptions, module="blank"),
)
