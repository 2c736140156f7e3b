"""What the image family offers: declarations only, no codec."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from engine.converter import Converter, Family
from engine.converters.raster.formats import MARKS, OTHERS, RASTER, READ_ONLY, SOURCES, TARGETS
from engine.converters.raster.options import (
    ImageOptions,
    NoOptions,
    OptimiseOptions,
    check_options,
)
from engine.job import Bounds
from sandbox.limits import MIB, Limits

__all__ = ["CONVERTERS", "FAMILY", "RASTER", "SOURCES", "TARGETS", "ImageOptions"]

# Pictures of one document: one at a time is decoded, so that only uploads add up.
_FILES_MAX = 100


class CodeOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of image.qr. The file's text, without a line end, is what the code says."""

    kind: Annotated[
        Literal[
            "qr",
            "micro-qr",
            "data-matrix",
            "aztec",
            "pdf417",
            "code-128",
            "code-39",
            "code-93",
            "codabar",
            "itf",
            "ean-13",
            "ean-8",
            "upc-a",
            "upc-e",
        ],
        Meta(description="Which kind of code is drawn.", examples=["data-matrix"]),
    ] = "qr"
    scale: Annotated[
        int,
        Meta(ge=1, le=64, description="Pixels of the narrowest bar or dot.", examples=[4]),
    ] = 8
    correction: Annotated[
        Literal["low", "medium", "quartile", "high"],
        Meta(
            description="How much of a QR code may be covered: 7, 15, 25 or 30 percent.",
            examples=["high"],
        ),
    ] = "medium"
    margin: Annotated[
        bool,
        Meta(
            description="Whether there is an empty margin around it, which readers need.",
            examples=[True],
        ),
    ] = True
    caption: Annotated[
        bool,
        Meta(description="Write the text below a code of bars.", examples=[True]),
    ] = False


class ReadOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of image.barcode: QR codes and barcodes anywhere in the picture are read."""

    kinds: Annotated[
        Literal["all", "qr", "matrix", "bars"],
        Meta(
            description="Which codes to look for. qr: QR codes only. matrix: all with dots. bars:"
            " all with bars.",
            examples=["qr"],
        ),
    ] = "all"


class BlurhashOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of image.blurhash: a few characters that stand for the picture until it is loaded."""

    across: Annotated[
        int, Meta(ge=1, le=9, description="Patches of colour from left to right.", examples=[4])
    ] = 4
    down: Annotated[
        int, Meta(ge=1, le=9, description="Patches of colour from top to bottom.", examples=[3])
    ] = 3


CONVERTERS: tuple[Converter, ...] = (
    Converter(
        name="image.convert",
        family="image",
        title="Convert and resize an image",
        sources=SOURCES,
        targets=TARGETS,
        options=ImageOptions,
        check=check_options,
        default=True,
        run="engine.converters.image.convert:convert",
    ),
    Converter(
        name="image.watermark",
        family="image",
        title="Lay a second picture over an image",
        sources=SOURCES,
        targets=TARGETS,
        options=ImageOptions,
        check=check_options,
        inputs_min=2,
        inputs_max=2,
        companions=MARKS,
        run="engine.converters.image.convert:watermark",
    ),
    Converter(
        name="image.pdf",
        family="image",
        title="Put pictures on pages",
        sources=(*OTHERS, *READ_ONLY),
        targets=("pdf",),
        options=ImageOptions,
        check=check_options,
        inputs_max=_FILES_MAX,
        default=True,
        run="engine.converters.image.convert:bind",
    ),
    Converter(
        name="image.metadata",
        family="image",
        title="Say what an image is and what it tells about itself",
        sources=SOURCES,
        targets=("json",),
        options=NoOptions,
        default=True,
        run="engine.converters.image.convert:describe",
    ),
    Converter(
        name="image.optimise",
        family="image",
        title="Make a JPEG smaller, its pixels untouched",
        sources=("jpeg",),
        targets=("jpeg",),
        options=OptimiseOptions,
        run="engine.converters.image.optimise:optimise",
    ),
    Converter(
        name="image.qr",
        family="image",
        title="Draw a QR code or barcode",
        sources=("txt",),
        targets=("png", "svg"),
        options=CodeOptions,
        run="engine.converters.image.codes:draw",
    ),
    Converter(
        name="image.barcode",
        family="image",
        title="Read QR codes and barcodes",
        sources=SOURCES,
        targets=("txt", "json"),
        options=ReadOptions,
        run="engine.converters.image.codes:read",
    ),
    Converter(
        name="image.blurhash",
        family="image",
        title="Make a BlurHash",
        sources=SOURCES,
        targets=("txt",),
        options=BlurhashOptions,
        run="engine.converters.image.placeholder:blurhash",
    ),
)

FAMILY = Family(
    name="image",
    needs=(
        "PIL",
        "blurhash",
        "cykooz_resizer",
        "imagequant",
        "mozjpeg_lossless_optimization",
        "zxingcpp",
    ),
    preload=(
        "engine.task",
        "engine.converters.image.convert",
        "engine.converters.image.codes",
        "engine.converters.image.optimise",
        "engine.converters.image.placeholder",
        "engine.converters.image.warm",
    ),
    warm="engine.converters.image.warm:warm",
    # What a worker would look up at its first call is looked up before the fork.
    environment=(("LD_BIND_NOW", "1"),),
    # libwebp's and libaom's slowest honest case, a large picture at full effort, stays below 60 s.
    limits=Limits(address_space_bytes=2048 * MIB, cpu_s=60, wall_s=60.0),
    bounds=Bounds(),
)
