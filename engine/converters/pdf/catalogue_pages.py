"""Declarations of what is done with pages: joined, chosen, split, turned."""

from typing import Annotated, Literal

from msgspec import Meta

from engine.converter import Converter
from engine.converters.pdf.catalogue_terms import FILES_MAX, DocumentOptions, Pages, declare
from engine.converters.pdf.ranges import PATTERN


class MergeOptions(DocumentOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of pdf.merge: the files follow each other in the order they were sent."""


class PagesOptions(DocumentOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of pdf.pages."""

    pages: Pages = "1-"


class RotateOptions(DocumentOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of pdf.rotate."""

    angle: Annotated[
        Literal[90, 180, 270],
        Meta(description="Degrees clockwise, added to how the page lies now.", examples=[180]),
    ] = 90
    pages: Pages = "1-"


class SplitOptions(DocumentOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of pdf.split: the result is several files."""

    every: Annotated[
        int,
        Meta(
            ge=1,
            le=10_000,
            description="Pages in each file. Not used where ranges are given.",
            examples=[5],
        ),
    ] = 1
    ranges: Annotated[
        str,
        Meta(
            pattern=f"^$|{PATTERN}",
            max_length=1000,
            description="Page ranges joined by commas; each becomes a file of its own.",
            examples=["1-4,5-9,10-"],
        ),
    ] = ""


CONVERTERS: tuple[Converter, ...] = (
    declare("merge", "Join PDF documents", MergeOptions, module="pages", inputs_max=FILES_MAX),
    declare("pages", "Extract, reorder or repeat pages", PagesOptions, module="pages"),
    declare("split", "Split into several documents", SplitOptions, module="pages"),
    declare("rotate", "Turn pages", RotateOptions, module="pages"),
)
