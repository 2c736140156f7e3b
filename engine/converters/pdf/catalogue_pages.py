"""Declarations of what is done with pages: joined, chosen, taken out, split, turned."""

from typing import Annotated, Literal

from msgspec import Meta

from engine.converter import Converter
from engine.converters.pdf.catalogue_terms import FILES_MAX, DocumentOptions, Pages, declare
from engine.converters.pdf.ranges import PATTERN
from engine.errors import OptionInvalid

# The pattern of a list of pages without its anchors.
_LIST = PATTERN.strip("^$")
# As deep as readers show bookmarks.
_LEVELS_MAX = 15


class MergeOptions(DocumentOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of pdf.merge: the files follow each other in the order they were sent."""

    pages: Annotated[
        str,
        Meta(
            pattern=f"^({_LIST})?(;({_LIST})?)*$",
            max_length=2000,
            description="Pages of each file, files apart by semicolons; nothing means all of them.",
            examples=["1-3;;2,4"],
        ),
    ] = ""
    bookmarks: Annotated[
        Literal["keep", "nest", "drop"],
        Meta(
            description="keep: those of all files follow each other. nest: one bookmark a file,"
            " named after its title, with its own beneath it. drop: none.",
            examples=["nest"],
        ),
    ] = "keep"


class PagesOptions(DocumentOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of pdf.pages."""

    pages: Pages = "1-"


class DeleteOptions(DocumentOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of pdf.delete."""

    pages: Annotated[
        str,
        Meta(
            pattern=f"^$|{PATTERN}",
            max_length=1000,
            description="Pages to leave out, written as everywhere; it must be given.",
            examples=["2,5-7"],
        ),
    ] = ""


class RotateOptions(DocumentOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of pdf.rotate."""

    angle: Annotated[
        Literal[90, 180, 270],
        Meta(description="Degrees clockwise, added to how the page lies now.", examples=[180]),
    ] = 90
    pages: Pages = "1-"


class SplitOptions(DocumentOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of pdf.split: the result is several files. One way of splitting is named, or none."""

    every: Annotated[
        int,
        Meta(ge=1, le=10_000, description="Pages in each file.", examples=[5]),
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
    bookmarks: Annotated[
        int,
        Meta(
            ge=0,
            le=_LEVELS_MAX,
            description="Begin a file at every bookmark down to this level; 1: at the top ones.",
            examples=[1],
        ),
    ] = 0
    size_mb: Annotated[
        float,
        Meta(
            ge=0,
            le=256,
            description="Fill each file with pages up to this size, in millions of bytes.",
            examples=[10],
        ),
    ] = 0


def check_deletion(options: DeleteOptions, _target: str) -> None:
    """Which pages to delete is nothing to be guessed. Raises OptionInvalid."""
    if not options.pages:
        raise OptionInvalid("pages: pdf.delete needs the pages to leave out, such as '2,5-7'")


def check_split(options: SplitOptions, _target: str) -> None:
    """Two ways of splitting at once contradict each other. Raises OptionInvalid."""
    given = {
        "every": options.every > 1,
        "ranges": bool(options.ranges),
        "bookmarks": bool(options.bookmarks),
        "size_mb": bool(options.size_mb),
    }
    named = [name for name, is_given in given.items() if is_given]
    if len(named) > 1:
        raise OptionInvalid(f"{named[1]}: pdf.split takes only one of {', '.join(given)}")


CONVERTERS: tuple[Converter, ...] = (
    declare("merge", "Join PDF documents", MergeOptions, module="pages", inputs_max=FILES_MAX),
    declare("pages", "Extract, reorder or repeat pages", PagesOptions, module="pages"),
    declare("delete", "Leave pages out", DeleteOptions, module="pages", check=check_deletion),
    declare(
        "split", "Split into several documents", SplitOptions, module="split", check=check_split
    ),
    declare("rotate", "Turn pages", RotateOptions, module="pages"),
)
