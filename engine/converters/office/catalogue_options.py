"""The options of the office family's converters."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from engine.errors import OptionInvalid

_ITEM = r"([1-9][0-9]{0,5}(-([1-9][0-9]{0,5})?)?|-[1-9][0-9]{0,5})"
_PAGES = f"^{_ITEM}(,{_ITEM})*$"
_SECRET = {"format": "password", "writeOnly": True}

_Pages = Annotated[
    str,
    Meta(
        pattern=_PAGES,
        max_length=200,
        description="Pages (slides, or sheets as they print), first is 1, joined by commas:"
        " 3 | 2-5 | 7- | -4.",
        examples=["1-3,7"],
    ),
]

_Side = Annotated[int, Meta(ge=1, le=16_000)]


class _Document(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every operation on an office document takes."""

    password: Annotated[
        str,
        Meta(
            max_length=255,
            description="Password that opens the document, where it is encrypted.",
            examples=["correct horse"],
            extra_json_schema=_SECRET,
        ),
    ] = ""


class PdfOptions(_Document, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of every office document to PDF."""

    pages: _Pages = "1-"
    standard: Annotated[
        Literal["pdf-1.6", "pdf-1.7", "pdf-a-1b", "pdf-a-2b", "pdf-a-3b"],
        Meta(
            description="Which PDF: 1.6 and 1.7 for everyday use, the others for archives"
            " (ISO 19005), with every font inside and no password.",
            examples=["pdf-a-2b"],
        ),
    ] = "pdf-1.6"
    accessible: Annotated[
        bool,
        Meta(
            description="Write a PDF/UA: tagged for screen readers, with a title and a language.",
            examples=[True],
        ),
    ] = False
    quality: Annotated[
        int,
        Meta(ge=1, le=100, description="JPEG quality of pictures.", examples=[75]),
    ] = 90
    lossless: Annotated[
        bool,
        Meta(description="Keep every pixel of pictures in place of JPEG.", examples=[True]),
    ] = False
    picture_dpi: Annotated[
        Literal[75, 150, 300, 600, 1200],
        Meta(
            description="Pictures of more dots an inch than this are made smaller.", examples=[150]
        ),
    ] = 300
    watermark: Annotated[
        str,
        Meta(
            max_length=100,
            description="Text to stand across every page, grey and see-through.",
            examples=["DRAFT"],
        ),
    ] = ""
    user_password: Annotated[
        str,
        Meta(
            max_length=127,
            description="Password needed to open the result, which is encrypted with AES-256.",
            examples=["battery staple"],
            extra_json_schema=_SECRET,
        ),
    ] = ""


class TextPdfOptions(PdfOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of texts to PDF."""

    bookmarks: Annotated[
        bool,
        Meta(description="Make bookmarks of the headings.", examples=[False]),
    ] = True
    comments: Annotated[
        Literal["none", "notes"],
        Meta(
            description="Where comments go: nowhere, or into notes to click on.", examples=["notes"]
        ),
    ] = "none"
    forms: Annotated[
        bool,
        Meta(description="Keep form fields to be filled in.", examples=[False]),
    ] = True
    blank_pages: Annotated[
        bool,
        Meta(
            description="Keep the empty pages that make a chapter begin on the right.",
            examples=[False],
        ),
    ] = True


class SheetPdfOptions(PdfOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of spreadsheets to PDF."""

    page_a_sheet: Annotated[
        bool,
        Meta(
            description="Give each sheet one page, as large as it takes, in place of paper.",
            examples=[True],
        ),
    ] = False
    comments: Annotated[
        Literal["none", "notes"],
        Meta(
            description="Where comments go: nowhere, or into notes to click on.", examples=["notes"]
        ),
    ] = "none"


class SlidesPdfOptions(PdfOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of presentations to PDF."""

    hidden_slides: Annotated[
        bool,
        Meta(description="Put hidden slides into the result, too.", examples=[True]),
    ] = False
    speaker_notes: Annotated[
        Literal["none", "after", "only"],
        Meta(
            description="Pages with a slide and its speaker's notes: none, after all slides, or in"
            " their place.",
            examples=["after"],
        ),
    ] = "none"
    bookmarks: Annotated[
        bool,
        Meta(description="Make a bookmark of each slide's title.", examples=[False]),
    ] = True
    comments: Annotated[
        Literal["none", "notes"],
        Meta(
            description="Where comments go: nowhere, or into notes to click on.", examples=["notes"]
        ),
    ] = "none"


class ImageOptions(_Document, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of office documents to images: one image a page."""

    pages: _Pages = "1"
    dpi: Annotated[
        int,
        Meta(
            ge=18,
            le=600,
            description="Dots an inch. Not used where width or height is given.",
            examples=[300],
        ),
    ] = 150
    width: Annotated[
        _Side | None,
        Meta(
            description="Width of the images in pixels; with height as well, they fit inside both.",
            examples=[1280],
        ),
    ] = None
    height: Annotated[
        _Side | None,
        Meta(description="Height of the images in pixels; see width.", examples=[720]),
    ] = None
    quality: Annotated[
        int,
        Meta(ge=1, le=100, description="Quality of JPEG and WebP; PNG has none.", examples=[75]),
    ] = 85


class ConvertOptions(_Document, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of an office document to another of its kind."""


def check_pdf(options: PdfOptions, _target: str) -> None:
    """An archive's document has no password. Raises OptionInvalid."""
    if options.user_password and options.standard.startswith("pdf-a"):
        raise OptionInvalid(
            "user_password: PDF/A cannot be encrypted; choose another standard or leave one out"
        )
