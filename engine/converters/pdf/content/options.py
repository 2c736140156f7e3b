"""Options of what is taken out of documents, and what their types alone cannot refuse."""

from typing import Annotated, Literal

from msgspec import Meta

from engine.converters.pdf.catalogue_terms import DocumentOptions, Pages
from engine.errors import OptionInvalid

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
    lossless: Annotated[
        bool, Meta(description="Whether a WebP is written without loss.", examples=[True])
    ] = False
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


class TablesOptions(DocumentOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of pdf.tables. CSV: a file a table."""

    pages: Pages = "1-"
    borders: Annotated[
        Literal["auto", "ruled", "borderless"],
        Meta(
            description="Which tables are looked for. ruled: those with lines. borderless: words"
            " in columns, of at least three rows. auto: both.",
            examples=["ruled"],
        ),
    ] = "auto"
    decimal: Annotated[
        Literal["point", "comma"],
        Meta(
            description="How numbers are written in the document: 1,234.5 or 1.234,5. They are"
            " numbers in a workbook; in CSV and JSON all cells are text.",
            examples=["comma"],
        ),
    ] = "point"
    delimiter: Annotated[
        Literal["comma", "semicolon", "tab"],
        Meta(description="CSV: what stands between cells.", examples=["semicolon"]),
    ] = "comma"
    sheets: Annotated[
        Literal["table", "one"],
        Meta(
            description="Workbook: a sheet for each table, or one for all of them.",
            examples=["one"],
        ),
    ] = "table"


class TextOptions(DocumentOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of pdf.text: UTF-8, lines end with a line feed."""

    pages: Pages = "1-"
    order: Annotated[
        Literal["drawn", "reading", "layout"],
        Meta(
            description="drawn: line by line, in the order in which the document draws them."
            " reading: column by column, a paragraph a line. layout: set out with spaces as it"
            " stands on the page.",
            examples=["layout"],
        ),
    ] = "drawn"
    separator: Annotated[
        Literal["form-feed", "blank-line"],
        Meta(
            description="What stands between pages: a form feed, as pdftotext writes, or an empty"
            " line.",
            examples=["blank-line"],
        ),
    ] = "form-feed"


class PicturesOptions(DocumentOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of images from a document. Pictures repeated on several pages come once."""

    pages: Pages = "1-"
    min_side: Annotated[
        int,
        Meta(
            ge=1,
            le=10_000,
            description="Pictures with a side shorter than this many pixels are left out.",
            examples=[100],
        ),
    ] = 1


class InspectOptions(DocumentOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of pdf.inspect. `pages` chooses those whose sizes, fonts and pictures are told."""

    pages: Pages = "1-"


class EditableOptions(DocumentOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of pdf.editable: the text flows again, in the order in which it is read."""

    pages: Pages = "1-"
    layout: Annotated[
        Literal["flow", "page"],
        Meta(
            description="Word: flow is headings, paragraphs, lists and tables that can be worked on"
            " like any. page: each line stays where it stood. A presentation is always laid out as"
            " the page.",
            examples=["page"],
        ),
    ] = "flow"
    pictures: Annotated[
        bool,
        Meta(
            description="HTML, Markdown and flowing Word: whether pictures are taken along; they"
            " follow the text of their page.",
            examples=[False],
        ),
    ] = True
    running_heads: Annotated[
        Literal["keep", "drop"],
        Meta(
            description="HTML, Markdown and flowing Word: what repeats at the top or the bottom of"
            " most pages, page numbers included.",
            examples=["drop"],
        ),
    ] = "keep"
    page_breaks: Annotated[
        bool,
        Meta(
            description="Flowing Word: whether a new page begins where one began.",
            examples=[True],
        ),
    ] = False


def check_editable(options: EditableOptions, target: str) -> None:
    """Refuse what the target format cannot do. Raises OptionInvalid."""
    if options.layout == "page" and target not in {"docx", "pptx"}:
        raise OptionInvalid("layout: only docx can be laid out as the page; pptx always is")
