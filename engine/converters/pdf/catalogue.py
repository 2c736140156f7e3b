"""What the pdf family offers: declarations only, no codec."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from engine.converter import Converter, Family
from engine.converters.pdf.ranges import PATTERN
from engine.errors import OptionInvalid
from engine.job import Bounds
from sandbox.limits import MIB, Limits

IMAGES = ("jpeg", "png", "webp", "avif", "gif", "tiff", "bmp")
PERMISSIONS = ("print", "modify", "copy", "annotate", "forms", "assemble")

# A revision 6 password is at most 127 bytes of UTF-8 (ISO 32000-2, 7.6.4.3.4).
_PASSWORD_MAX = 127
# Uploads in one request. They are in memory together, so their sum is what bounds them first.
_FILES_MAX = 100

_Pages = Annotated[
    str,
    Meta(
        pattern=PATTERN,
        max_length=1000,
        description="Pages, first is 1, joined by commas: 3 | 2-5 | 7- | -4 | last | last-1"
        " (backwards) | odd | even.",
        examples=["1-3,7,9-"],
    ),
]
_Password = Annotated[
    str,
    Meta(
        max_length=_PASSWORD_MAX,
        description="Password that opens the document, where it is encrypted.",
        examples=["correct horse"],
        extra_json_schema={"format": "password", "writeOnly": True},
    ),
]


class _Document(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every operation on a PDF takes."""

    password: _Password = ""


class MergeOptions(_Document, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of pdf.merge: the files follow each other in the order they were sent."""


class PagesOptions(_Document, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of pdf.pages."""

    pages: _Pages = "1-"


class RotateOptions(_Document, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of pdf.rotate."""

    angle: Annotated[
        Literal[90, 180, 270],
        Meta(description="Degrees clockwise, added to how the page lies now.", examples=[180]),
    ] = 90
    pages: _Pages = "1-"


class SplitOptions(_Document, frozen=True, kw_only=True, forbid_unknown_fields=True):
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


class CompressOptions(_Document, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of pdf.compress. Nothing visible changes; pictures are not touched."""

    level: Annotated[
        Literal["light", "strong"],
        Meta(
            description="light: structure is packed, what is uncompressed is compressed. strong:"
            " every compressed stream is packed again, harder, and unused resources are dropped.",
            examples=["light"],
        ),
    ] = "strong"
    linearise: Annotated[
        bool,
        Meta(
            description="Order the file for fast web view: the first page shows before all is"
            " loaded.",
            examples=[True],
        ),
    ] = False


class LineariseOptions(_Document, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of pdf.linearise."""


class ProtectOptions(_Document, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of pdf.protect: AES-256 (revision 6)."""

    user_password: Annotated[
        str,
        Meta(
            max_length=_PASSWORD_MAX,
            description="Password needed to open the result. Absent: it opens without one, and"
            " only the permissions are restricted.",
            examples=["correct horse"],
            extra_json_schema={"format": "password", "writeOnly": True},
        ),
    ] = ""
    owner_password: Annotated[
        str,
        Meta(
            max_length=_PASSWORD_MAX,
            description="Password that lifts all restrictions. Absent: a random one that nobody"
            " knows.",
            examples=["battery staple"],
            extra_json_schema={"format": "password", "writeOnly": True},
        ),
    ] = ""
    allow: Annotated[
        str,
        Meta(
            pattern=rf"^(all|none|({'|'.join(PERMISSIONS)})(,({'|'.join(PERMISSIONS)}))*)$",
            max_length=100,
            description="What readers without the owner password may do: all, none, or some of "
            + ", ".join(PERMISSIONS)
            + ", joined by commas.",
            examples=["print,copy"],
        ),
    ] = "all"


class UnlockOptions(_Document, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of pdf.unlock: the result opens without a password and allows everything."""


class TextOptions(_Document, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of pdf.text: UTF-8, lines end with a line feed."""

    pages: _Pages = "1-"
    separator: Annotated[
        Literal["form-feed", "blank-line"],
        Meta(
            description="What stands between pages: a form feed, as pdftotext writes, or an empty"
            " line.",
            examples=["blank-line"],
        ),
    ] = "form-feed"


class ImagesOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of pdf.images: one page an image (a TIFF's pages each), pixels kept without loss."""

    page_size: Annotated[
        Literal["image", "a3", "a4", "a5", "letter", "legal"],
        Meta(
            description="Size of the pages. image: as large as the image at its own resolution (96"
            " dots an inch where it names none).",
            examples=["a4"],
        ),
    ] = "image"
    orientation: Annotated[
        Literal["auto", "portrait", "landscape"],
        Meta(
            description="How a page of fixed size lies. auto: as the image does.",
            examples=["portrait"],
        ),
    ] = "auto"
    margin_mm: Annotated[
        float,
        Meta(ge=0, le=50, description="White on each side, in millimetres.", examples=[10]),
    ] = 0
    fit: Annotated[
        Literal["inside", "shrink", "stretch"],
        Meta(
            description="How an image meets a page of fixed size. inside: as large as fits."
            " shrink: only made smaller, never larger. stretch: to the exact size.",
            examples=["shrink"],
        ),
    ] = "inside"


def check_protection(options: ProtectOptions, _target: str) -> None:
    """A protection without any password would protect nothing. Raises OptionInvalid."""
    if not options.user_password and not options.owner_password and options.allow == "all":
        raise OptionInvalid(
            "user_password: pdf.protect needs a user_password, an owner_password, or a shorter"
            " list in allow"
        )


def _operation(
    operation: str,
    title: str,
    options: type[msgspec.Struct],
    *,
    module: str = "documents",
    **more: Any,
) -> Converter:
    return Converter(
        **{
            "name": f"pdf.{operation}",
            "family": "pdf",
            "title": title,
            "sources": ("pdf",),
            "targets": ("pdf",),
            "options": options,
            "run": f"engine.converters.pdf.{module}:{operation}",
            **more,
        }
    )


CONVERTERS: tuple[Converter, ...] = (
    _operation("merge", "Join PDF documents", MergeOptions, module="pages", inputs_max=_FILES_MAX),
    _operation("pages", "Extract, reorder or repeat pages", PagesOptions, module="pages"),
    _operation("split", "Split into several documents", SplitOptions, module="pages"),
    _operation("rotate", "Turn pages", RotateOptions, module="pages"),
    _operation("compress", "Make the file smaller", CompressOptions),
    _operation("linearise", "Order for fast web view", LineariseOptions),
    _operation("protect", "Encrypt and restrict", ProtectOptions, check=check_protection),
    _operation("unlock", "Remove encryption and restrictions", UnlockOptions),
    _operation("text", "Take the text out", TextOptions, module="text", targets=("txt",)),
    _operation(
        "images",
        "Put images on pages",
        ImagesOptions,
        module="images",
        sources=IMAGES,
        inputs_max=_FILES_MAX,
    ),
)

FAMILY = Family(
    name="pdf",
    needs=("PIL", "img2pdf", "pikepdf", "pypdfium2"),
    preload=("engine.task", "engine.converters.pdf.warm"),
    warm="engine.converters.pdf.warm:warm",
    touch="engine.converters.pdf.warm:touch",
    limits=Limits(address_space_bytes=1536 * MIB, cpu_s=60, wall_s=60.0),
    bounds=Bounds(),
)
