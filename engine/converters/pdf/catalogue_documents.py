"""Declarations of what is done with a whole document: its size, its order, its encryption."""

from typing import Annotated, Literal

from msgspec import Meta

from engine.converter import Converter
from engine.converters.pdf.catalogue_terms import PASSWORD_MAX, DocumentOptions, declare
from engine.errors import OptionInvalid

PERMISSIONS = ("print", "modify", "copy", "annotate", "forms", "assemble")


class CompressOptions(DocumentOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of pdf.compress. With preset=lossless nothing visible changes."""

    preset: Annotated[
        Literal["lossless", "print", "ebook", "screen"],
        Meta(
            description="What happens to pictures. lossless: nothing. print, ebook, screen: at most"
            " 300, 150, 96 dots an inch and JPEG of quality 85, 75, 60, where that saves enough;"
            " bitmaps, palettes and printing inks are left as they are.",
            examples=["ebook"],
        ),
    ] = "lossless"
    dpi: Annotated[
        int,
        Meta(
            ge=0,
            le=1200,
            description="Dots an inch in place of the preset's; 0: the preset's.",
            examples=[200],
        ),
    ] = 0
    quality: Annotated[
        int,
        Meta(
            ge=0,
            le=95,
            description="JPEG quality in place of the preset's; 0: the preset's.",
            examples=[70],
        ),
    ] = 0
    level: Annotated[
        Literal["light", "strong"],
        Meta(
            description="light: structure is packed, what is uncompressed is compressed. strong:"
            " what is there twice is stored once, every compressed stream is packed again, harder,"
            " and unused resources are dropped.",
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


class RepairOptions(DocumentOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of pdf.repair."""


class LineariseOptions(DocumentOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of pdf.linearise."""


class ProtectOptions(DocumentOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of pdf.protect: AES-256 (revision 6)."""

    user_password: Annotated[
        str,
        Meta(
            max_length=PASSWORD_MAX,
            description="Password needed to open the result. Absent: it opens without one, and"
            " only the permissions are restricted.",
            examples=["correct horse"],
            extra_json_schema={"format": "password", "writeOnly": True},
        ),
    ] = ""
    owner_password: Annotated[
        str,
        Meta(
            max_length=PASSWORD_MAX,
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


class UnlockOptions(DocumentOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of pdf.unlock: the result opens without a password and allows everything."""


def check_compression(options: CompressOptions, _target: str) -> None:
    """Figures for pictures mean nothing where those are left alone. Raises OptionInvalid."""
    if options.preset == "lossless" and (options.dpi or options.quality):
        raise OptionInvalid("preset: dpi and quality need preset=print, ebook or screen")


def check_protection(options: ProtectOptions, _target: str) -> None:
    """A protection without any password would protect nothing. Raises OptionInvalid."""
    if not options.user_password and not options.owner_password and options.allow == "all":
        raise OptionInvalid(
            "user_password: pdf.protect needs a user_password, an owner_password, or a shorter"
            " list in allow"
        )


CONVERTERS: tuple[Converter, ...] = (
    declare(
        "compress",
        "Make the file smaller",
        CompressOptions,
        module="compress",
        check=check_compression,
    ),
    declare("repair", "Rebuild a damaged document", RepairOptions, module="repair"),
    declare("linearise", "Order for fast web view", LineariseOptions, module="documents"),
    declare(
        "protect",
        "Encrypt and restrict",
        ProtectOptions,
        module="documents",
        check=check_protection,
    ),
    declare("unlock", "Remove encryption and restrictions", UnlockOptions, module="documents"),
)
