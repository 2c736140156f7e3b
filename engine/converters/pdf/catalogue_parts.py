"""Declarations of what a document carries beside its pages: metadata, files, bookmarks, fields."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from engine.converter import Converter
from engine.converters.pdf.catalogue_terms import FILES_MAX, DocumentOptions, declare
from engine.errors import OptionInvalid
from engine.formats import FORMATS

# A thousand bookmarks, or fields, of a hundred letters each.
_JSON_MAX = 100_000
_TEXT_MAX = 2_000

_Text = Annotated[str, Meta(max_length=_TEXT_MAX)]


class MetadataOptions(DocumentOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of pdf.metadata: what the document says of itself, and what it holds."""


class SetMetadataOptions(DocumentOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of pdf.set_metadata: what is not given stays; an empty text removes."""

    title: Annotated[
        _Text | None, Meta(description="Title of the document.", examples=["Annual report"])
    ] = None
    author: Annotated[_Text | None, Meta(description="Who wrote it.", examples=["Ada Example"])] = (
        None
    )
    subject: Annotated[
        _Text | None, Meta(description="What it is about.", examples=["Figures"])
    ] = None
    keywords: Annotated[
        _Text | None, Meta(description="Keywords, apart by commas.", examples=["a, b"])
    ] = None
    creator: Annotated[
        _Text | None,
        Meta(description="The program that made the original.", examples=["Our ledger"]),
    ] = None
    language: Annotated[
        Annotated[str, Meta(max_length=35, pattern="^([A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*)?$")]
        | None,
        Meta(description="Language of the text (BCP 47).", examples=["en-GB"]),
    ] = None


class StripMetadataOptions(DocumentOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of pdf.strip_metadata: all of it, in pictures too; what pages show stays."""


class AttachOptions(DocumentOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of pdf.attach: the files after the first are put into it."""

    names: Annotated[
        str,
        Meta(
            max_length=_TEXT_MAX,
            description="File names of the attachments in their order, apart by slashes. Absent:"
            " attachment-1 and so on.",
            examples=["invoice.xml/terms.pdf"],
        ),
    ] = ""
    description: Annotated[
        str, Meta(max_length=500, description="Shown beside the names.", examples=["Invoice data"])
    ] = ""
    relationship: Annotated[
        Literal["unspecified", "source", "data", "alternative", "supplement"],
        Meta(
            description="What the files are to the document (PDF 2.0, 7.11.3).", examples=["data"]
        ),
    ] = "unspecified"


class AttachmentsOptions(DocumentOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of pdf.attachments."""


class BookmarksOptions(DocumentOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of pdf.bookmarks."""


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A bookmark as customers write and read it; pages count from 1."""

    title: Annotated[str, Meta(min_length=1, max_length=_TEXT_MAX)]
    page: Annotated[int, Meta(ge=1)] | None = None
    open: bool = True
    children: list["Entry"] = []


class SetBookmarksOptions(DocumentOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of pdf.set_bookmarks."""

    bookmarks: Annotated[
        str,
        Meta(
            max_length=_JSON_MAX,
            description="JSON list of objects with title, page, and children (a list of the same);"
            " as pdf.bookmarks writes it. An empty list removes all.",
            examples=['[{"title": "One", "page": 1, "children": []}]'],
        ),
    ] = "[]"
    mode: Annotated[
        Literal["replace", "append"],
        Meta(description="What happens to those that are there.", examples=["append"]),
    ] = "replace"


class FieldsOptions(DocumentOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of pdf.fields."""


class FillOptions(DocumentOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of pdf.fill."""

    values: Annotated[
        str,
        Meta(
            max_length=_JSON_MAX,
            description="JSON object: the full name of each field, and its value; true and false"
            " for check boxes, a choice's value for lists and radio buttons.",
            examples=['{"name": "Ada", "agreed": true}'],
        ),
    ] = "{}"
    flatten: Annotated[
        bool,
        Meta(
            description="Make the filled fields part of the page, not to be changed any more.",
            examples=[True],
        ),
    ] = False


class FlattenOptions(DocumentOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of pdf.flatten: fields and comments become part of the page; links end."""


def entries(text: str) -> list[Entry]:
    """Bookmarks from their JSON. Raises OptionInvalid."""
    try:
        return msgspec.json.decode(text or "[]", type=list[Entry])
    except (msgspec.MsgspecError, RecursionError) as error:
        raise OptionInvalid(
            "bookmarks: not a JSON list of objects with title, page and children"
        ) from error


def field_values(text: str) -> dict[str, Any]:
    """Values by field name. Raises OptionInvalid."""
    wanted = dict[str, bool | int | float | str | list[str] | None]
    try:
        values: dict[str, Any] = msgspec.json.decode(text or "{}", type=wanted)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise OptionInvalid("values: not a JSON object of field names and values") from error
    return values


def check_bookmarks(options: SetBookmarksOptions, _target: str) -> None:
    """Refuse what is no list of bookmarks. Raises OptionInvalid."""
    entries(options.bookmarks)


def check_filling(options: FillOptions, _target: str) -> None:
    """Refuse what is no set of values. Raises OptionInvalid."""
    if not field_values(options.values) and not options.flatten:
        raise OptionInvalid('values: pdf.fill needs values, such as {"name": "Ada"}')


CONVERTERS: tuple[Converter, ...] = (
    declare(
        "metadata",
        "What the document says of itself",
        MetadataOptions,
        module="metadata",
        targets=("json",),
        default=True,
    ),
    declare(
        "set_metadata", "Change title, author and the like", SetMetadataOptions, module="metadata"
    ),
    declare("strip_metadata", "Remove all metadata", StripMetadataOptions, module="metadata"),
    declare(
        "attach",
        "Put files into the document",
        AttachOptions,
        module="attachments",
        inputs_min=2,
        inputs_max=FILES_MAX,
        companions=tuple(one.name for one in FORMATS),
    ),
    declare(
        "attachments",
        "List the files in the document",
        AttachmentsOptions,
        module="attachments",
        targets=("json",),
    ),
    declare(
        "extract_attachments",
        "Take out the files in the document",
        AttachmentsOptions,
        module="attachments",
        targets=("zip",),
        default=True,
    ),
    declare(
        "bookmarks", "List the bookmarks", BookmarksOptions, module="bookmarks", targets=("json",)
    ),
    declare(
        "set_bookmarks",
        "Add, replace or remove bookmarks",
        SetBookmarksOptions,
        module="bookmarks",
        check=check_bookmarks,
    ),
    declare(
        "fields", "List form fields and values", FieldsOptions, module="forms", targets=("json",)
    ),
    declare("fill", "Fill form fields", FillOptions, module="forms", check=check_filling),
    declare("flatten", "Fields and comments into the page", FlattenOptions, module="forms"),
)
