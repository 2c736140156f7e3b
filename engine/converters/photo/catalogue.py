"""What the photo family offers: declarations only, no codec."""

from typing import Annotated, Literal

from msgspec import Meta

from engine.converter import Converter, Family
from engine.converters.raster.formats import SOURCES, TARGETS
from engine.converters.raster.options import ImageOptions, NoOptions, OptimiseOptions, check_options
from engine.errors import OptionInvalid
from engine.job import Bounds
from sandbox.limits import MIB, Limits

RAW = ("dng", "cr2", "cr3", "nef", "arw", "raf", "rw2", "orf", "pef")
# What only this family decodes, and what only it encodes.
# HEIC is read and not written. Of the HEVC encoders that may be had as a wheel or from Debian 12,
# x265 is the only one for pictures, and under the GPL: pillow-heif's wheel and libheif hold it.
# kvazaar (BSD) is packaged by neither; libde265's encoder (LGPL) is an experiment. AVIF is what is
# written in its place.
DECODED = ("heic", "jxl", "qoi", "jxr")
ENCODED = ("jxl", "qoi")


class PhotoOptions(ImageOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of photo.develop: those of image.convert, and how a raw file is developed."""

    white_balance: Annotated[
        Literal["camera", "auto", "daylight"],
        Meta(
            description="camera: as it was set when the picture was taken. auto: found from the"
            " picture. daylight: the sensor's own for daylight.",
            examples=["auto"],
        ),
    ] = "camera"
    exposure: Annotated[
        float,
        Meta(
            ge=-2,
            le=3,
            description="Stops of light more or less. 0: the brightness is found from the picture.",
            examples=[0.7],
        ),
    ] = 0
    preview: Annotated[
        bool,
        Meta(
            description="Take the picture that the camera itself put into the file: quick, and in"
            " its own colours.",
            examples=[True],
        ),
    ] = False


class PackOptions(OptimiseOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of photo.optimise: no pixel changes, the file becomes smaller."""

    effort: Annotated[
        int,
        Meta(
            ge=1,
            le=6,
            description="How much is tried for a smaller PNG: 1 is quick, 6 takes a minute for a"
            " large one.",
            examples=[4],
        ),
    ] = 2


def check_photo(options: PhotoOptions, target: str) -> None:
    """Refuse what contradicts itself. Raises OptionInvalid."""
    check_options(options, target)
    if options.preview and (options.exposure or options.white_balance != "camera"):
        raise OptionInvalid("preview: the camera's own picture is developed already")


CONVERTERS: tuple[Converter, ...] = (
    Converter(
        name="photo.develop",
        family="photo",
        title="Develop a camera's raw file",
        sources=RAW,
        targets=(*TARGETS, *ENCODED),
        options=PhotoOptions,
        check=check_photo,
        default=True,
        credits=2,
        run="engine.converters.photo.convert:convert",
    ),
    Converter(
        name="photo.convert",
        family="photo",
        title="Convert from HEIC, JPEG XL, QOI or JPEG XR",
        sources=DECODED,
        targets=(*TARGETS, *ENCODED),
        options=ImageOptions,
        check=check_options,
        default=True,
        # HEVC takes most of a second for 12 megapixels.
        credits=2,
        run="engine.converters.photo.convert:convert",
    ),
    Converter(
        name="photo.encode",
        family="photo",
        title="Convert to JPEG XL or QOI",
        sources=SOURCES,
        targets=ENCODED,
        options=ImageOptions,
        check=check_options,
        default=True,
        run="engine.converters.photo.convert:convert",
    ),
    Converter(
        name="photo.pdf",
        family="photo",
        title="Put photographs on pages",
        sources=DECODED,
        targets=("pdf",),
        options=ImageOptions,
        check=check_options,
        inputs_max=100,
        default=True,
        run="engine.converters.photo.convert:bind",
    ),
    Converter(
        name="photo.sheets",
        family="photo",
        title="Put developed raw files on pages",
        sources=RAW,
        targets=("pdf",),
        options=PhotoOptions,
        check=check_photo,
        inputs_max=20,
        default=True,
        credits=2,
        run="engine.converters.photo.convert:bind",
    ),
    Converter(
        name="photo.restore",
        family="photo",
        title="Restore the JPEG inside a JPEG XL file",
        sources=("jxl",),
        targets=("jpeg",),
        options=NoOptions,
        run="engine.converters.photo.convert:restore",
    ),
    Converter(
        name="photo.metadata",
        family="photo",
        title="Say what a photograph is and what it tells about itself",
        sources=(*DECODED, *RAW),
        targets=("json",),
        options=NoOptions,
        default=True,
        run="engine.converters.photo.convert:describe",
    ),
    Converter(
        name="photo.optimise",
        family="photo",
        title="Make a PNG smaller, its pixels untouched",
        sources=("png",),
        targets=("png",),
        options=PackOptions,
        run="engine.converters.photo.optimise:optimise",
    ),
)

FAMILY = Family(
    name="photo",
    needs=(
        "PIL",
        "cykooz_resizer",
        "imagecodecs",
        "imagequant",
        "numpy",
        "oxipng",
        "pi_heif",
        "rawpy",
    ),
    preload=(
        "engine.task",
        "engine.converters.raster.numbers",  # before all that import numpy
        "engine.converters.photo.convert",
        "engine.converters.photo.optimise",
        "engine.converters.photo.warm",
    ),
    warm="engine.converters.photo.warm:warm",
    # A zygote that forks has one thread, so numeric libraries get no pool.
    environment=(
        ("OPENBLAS_NUM_THREADS", "1"),
        ("OMP_NUM_THREADS", "1"),
        ("RAYON_NUM_THREADS", "1"),
    ),
    # 24 MP of raw: 50 MB of sensor, 150 MB of working copy, 75 MB of picture, all twice over; and
    # numpy's and the codecs' address space. oxipng and libde265 insist on a thread of their own;
    # four are for a HEIC whose next tile begins before the last one's thread has gone.
    limits=Limits(address_space_bytes=3072 * MIB, cpu_s=120, wall_s=120.0, threads=4),
    bounds=Bounds(),
)
