"""Declarations of what makes documents safe to hand on, or to keep: redaction, PDF/A."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from engine.converter import Converter
from engine.converters.pdf.catalogue_layout import SIDE_MM_MAX
from engine.converters.pdf.catalogue_terms import DocumentOptions, Pages, declare
from engine.errors import OptionInvalid

# A list of names; each is searched on every page.
_WORDS_MAX, _WORD_MAX = 500, 500
_BOXES_MAX = 5_000
_JSON_MAX = 100_000

_Side = Annotated[float, Meta(ge=0, le=SIDE_MM_MAX)]


class RedactOptions(DocumentOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of pdf.redact: pages with something to hide become pictures without it."""

    words: Annotated[
        str,
        Meta(
            max_length=_JSON_MAX,
            description="JSON list of words and phrases to hide wherever they stand.",
            examples=['["Ada Example", "DE12 3456"]'],
        ),
    ] = "[]"
    match_case: Annotated[
        bool, Meta(description="Capital and small letters differ.", examples=[True])
    ] = False
    whole_words: Annotated[
        bool,
        Meta(description="Not where the words are only a part of longer ones.", examples=[True]),
    ] = False
    boxes: Annotated[
        str,
        Meta(
            max_length=_JSON_MAX,
            description="JSON list of places to hide: page, and left_mm, top_mm, width_mm and"
            " height_mm as the page is seen.",
            examples=['[{"page": 1, "left_mm": 20, "top_mm": 30, "width_mm": 60, "height_mm": 8}]'],
        ),
    ] = "[]"
    dpi: Annotated[
        int,
        Meta(ge=100, le=600, description="Dots an inch of pages that change.", examples=[300]),
    ] = 200
    pages: Pages = "1-"


class Place(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A rectangle on a page (from 1) as it is seen, from its upper left corner."""

    page: Annotated[int, Meta(ge=1)]
    left_mm: _Side
    top_mm: _Side
    width_mm: Annotated[float, Meta(gt=0, le=SIDE_MM_MAX)]
    height_mm: Annotated[float, Meta(gt=0, le=SIDE_MM_MAX)]


class SanitiseOptions(DocumentOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of pdf.sanitise: scripts, actions, files and media in the document always go."""

    keep_links: Annotated[
        bool,
        Meta(
            description="Links to web pages stay; all other references outward go.", examples=[True]
        ),
    ] = False
    strip_metadata: Annotated[
        bool,
        Meta(description="Title, author, dates and all other metadata go too.", examples=[True]),
    ] = False


class PdfaOptions(DocumentOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of pdf.pdfa: PDF/A, checked by pikepdf's validator; no certificate."""

    level: Annotated[
        Literal["1b", "2b", "3b"],
        Meta(
            description="Part of ISO 19005, level B: 1b knows no transparency, 3b keeps attached"
            " files.",
            examples=["3b"],
        ),
    ] = "2b"
    fallback: Annotated[
        Literal["refuse", "picture"],
        Meta(
            description="When the document cannot be made to conform. picture: every page becomes"
            " one, which always conforms, and its text cannot be searched any more.",
            examples=["picture"],
        ),
    ] = "refuse"
    dpi: Annotated[
        int,
        Meta(ge=100, le=600, description="Dots an inch of such pictures.", examples=[300]),
    ] = 200


def words_of(text: str) -> list[str]:
    """What to hide. Raises OptionInvalid."""
    wanted = Annotated[
        list[Annotated[str, Meta(min_length=1, max_length=_WORD_MAX)]], Meta(max_length=_WORDS_MAX)
    ]
    try:
        found: list[str] = msgspec.json.decode(text or "[]", type=wanted)
    except msgspec.MsgspecError as error:
        raise OptionInvalid(
            f"words: not a JSON list of at most {_WORDS_MAX} words or phrases"
        ) from error
    if any(not word.strip() for word in found):
        raise OptionInvalid("words: one of them is empty")
    return found


def places_of(text: str) -> list[Place]:
    """Where to hide. Raises OptionInvalid."""
    wanted = Annotated[list[Place], Meta(max_length=_BOXES_MAX)]
    try:
        found: list[Place] = msgspec.json.decode(text or "[]", type=wanted)
    except msgspec.MsgspecError as error:
        raise OptionInvalid(
            "boxes: not a JSON list of objects with page, left_mm, top_mm, width_mm and height_mm"
        ) from error
    return found


def check_redaction(options: RedactOptions, _target: str) -> None:
    """There has to be something to hide. Raises OptionInvalid."""
    if not words_of(options.words) and not places_of(options.boxes):
        raise OptionInvalid('words: pdf.redact needs words, such as ["Ada Example"], or boxes')


# Twice the price: pages are drawn as pictures, and the result is read again and judged.
# Each page that something is removed from is drawn anew: 0.4 s.
_REDACTION_CREDITS = 5

CONVERTERS: tuple[Converter, ...] = (
    declare(
        "redact",
        "Remove words or places for good",
        RedactOptions,
        module="redact",
        check=check_redaction,
        credits=_REDACTION_CREDITS,
    ),
    declare("sanitise", "Remove active content", SanitiseOptions, module="sanitise"),
    declare("pdfa", "PDF/A for long keeping", PdfaOptions, module="pdfa"),
)
