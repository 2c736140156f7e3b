"""What the pdf family offers: declarations only, no codec."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from engine.converter import Converter, Family
from engine.converters.pdf import (
    catalogue_documents,
    catalogue_layout,
    catalogue_marks,
    catalogue_pages,
    catalogue_parts,
    catalogue_safety,
)
from engine.converters.pdf.catalogue_terms import (
    FILES_MAX,
    declare,
)
from engine.converters.pdf.content import catalogue as catalogue_content
from engine.job import Bounds
from sandbox.limits import MIB, Limits

IMAGES = ("jpeg", "png", "webp", "avif", "gif", "tiff", "bmp")


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


_OWN: tuple[Converter, ...] = (
    declare(
        "images",
        "Put images on pages",
        ImagesOptions,
        module="images",
        sources=IMAGES,
        inputs_max=FILES_MAX,
        default=True,
    ),
)
# Each topic has a module of its own that holds its options and its converters; the order is that
# of lists shown to people, and the first that takes several files is chosen for several.
_TOPICS = (
    catalogue_pages,
    catalogue_layout,
    catalogue_marks,
    catalogue_documents,
    catalogue_parts,
    catalogue_safety,
    catalogue_content,
)
CONVERTERS: tuple[Converter, ...] = (
    *(converter for topic in _TOPICS for converter in topic.CONVERTERS),
    *_OWN,
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
