"""What the signing family offers: declarations only, no codec.

A family of its own: who signs is rare, and its libraries would weigh on every PDF conversion.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from engine.converter import Converter, Family
from engine.errors import OptionInvalid
from engine.job import Bounds
from sandbox.limits import MIB, Limits

_PASSWORD_MAX = 127
_TEXT_MAX = 200

_Password = Annotated[
    str,
    Meta(
        max_length=_PASSWORD_MAX,
        description="Password that opens the document, where it is encrypted.",
        examples=["correct horse"],
        extra_json_schema={"format": "password", "writeOnly": True},
    ),
]


class SignOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of signing.sign; the second file is the key with its certificate (PKCS#12)."""

    password: _Password = ""
    key_password: Annotated[
        str,
        Meta(
            max_length=_PASSWORD_MAX,
            description="Password of the key file.",
            examples=["correct horse"],
            extra_json_schema={"format": "password", "writeOnly": True},
        ),
    ] = ""
    reason: Annotated[
        str, Meta(max_length=_TEXT_MAX, description="Why it is signed.", examples=["I approve"])
    ] = ""
    location: Annotated[
        str, Meta(max_length=_TEXT_MAX, description="Where it is signed.", examples=["Graz"])
    ] = ""
    contact: Annotated[
        str,
        Meta(max_length=_TEXT_MAX, description="How to reach the signer.", examples=["+43 1 234"]),
    ] = ""
    field: Annotated[
        str,
        Meta(
            pattern=r"^[^.]*$",
            max_length=100,
            description="Name of the signature field; one that is there and empty is used, with its"
            " place. Absent: a new one.",
            examples=["Signature1"],
        ),
    ] = ""
    visible: Annotated[
        bool, Meta(description="Write name, date and reason on the page.", examples=[True])
    ] = False
    page: Annotated[
        int, Meta(ge=0, le=10_000, description="Page it is written on; 0: the last.", examples=[1])
    ] = 0
    position: Annotated[
        Literal["top-left", "top-right", "bottom-left", "bottom-right"],
        Meta(description="Where it is written, if visible.", examples=["bottom-left"]),
    ] = "bottom-right"
    width_mm: Annotated[
        float, Meta(ge=20, le=200, description="Width of what is written.", examples=[70])
    ] = 70
    height_mm: Annotated[
        float, Meta(ge=8, le=100, description="Height of what is written.", examples=[20])
    ] = 20
    margin_mm: Annotated[
        float, Meta(ge=0, le=200, description="Kept free at the edge.", examples=[10])
    ] = 10


class SignaturesOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of signing.signatures: who signed, when, and whether the bytes are unchanged.

    Whether a certificate is to be trusted is not judged: there is no network here to ask.
    """

    password: _Password = ""


def check_signing(options: SignOptions, _target: str) -> None:
    """Where something is written has to be wanted. Raises OptionInvalid."""
    if options.page and not options.visible:
        raise OptionInvalid("page: it needs visible=true")


CONVERTERS: tuple[Converter, ...] = (
    Converter(
        name="signing.sign",
        family="signing",
        title="Sign with a key of one's own",
        sources=("pdf",),
        targets=("pdf",),
        options=SignOptions,
        run="engine.converters.signing.sign:sign",
        inputs_min=2,
        inputs_max=2,
        companions=("p12",),
        check=check_signing,
    ),
    Converter(
        name="signing.signatures",
        family="signing",
        title="Signatures and whether they hold",
        sources=("pdf",),
        targets=("json",),
        options=SignaturesOptions,
        run="engine.converters.signing.signatures:signatures",
    ),
)

FAMILY = Family(
    name="signing",
    needs=("asn1crypto", "cryptography", "fontTools", "pikepdf"),
    preload=("engine.task", "engine.converters.signing.warm"),
    warm="engine.converters.signing.warm:warm",
    touch="engine.converters.signing.warm:touch",
    # The document three times over (upload, parsed, written), with what Python needs for itself.
    limits=Limits(address_space_bytes=1024 * MIB, cpu_s=30, wall_s=30.0),
    bounds=Bounds(),
)
