"""What the vector family offers: declarations only, no codec."""

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from engine.converter import Converter, Family
from engine.converters.raster.formats import TARGETS
from engine.converters.raster.options import ImageOptions, check_options
from engine.job import Bounds
from sandbox.limits import MIB, Limits

# Liberation, which comes with this project, then what is installed.
FONTS = (str(Path(__file__).parent.parent / "fonts"), "/usr/share/fonts")


class PageOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of vector.pdf: the drawing stays lines, areas and letters."""

    page_size: Annotated[
        Literal["drawing", "a3", "a4", "a5", "letter", "legal"],
        Meta(
            description="Size of the page. drawing: as large as the drawing says it is.",
            examples=["a4"],
        ),
    ] = "drawing"
    orientation: Annotated[
        Literal["auto", "portrait", "landscape"],
        Meta(
            description="How a page of fixed size lies. auto: as the drawing does.",
            examples=["landscape"],
        ),
    ] = "auto"
    margin_mm: Annotated[
        float,
        Meta(ge=0, le=50, description="White on each side, in millimetres.", examples=[10]),
    ] = 0


CONVERTERS: tuple[Converter, ...] = (
    Converter(
        name="vector.convert",
        family="vector",
        title="Draw an SVG as pixels",
        sources=("svg",),
        targets=TARGETS,
        options=ImageOptions,
        check=check_options,
        default=True,
        run="engine.converters.vector.draw:convert",
    ),
    Converter(
        name="vector.pdf",
        family="vector",
        title="Put an SVG on a page",
        sources=("svg",),
        targets=("pdf",),
        options=PageOptions,
        default=True,
        run="engine.converters.vector.page:page",
    ),
)

FAMILY = Family(
    name="vector",
    needs=("PIL", "cykooz_resizer", "imagequant", "lxml", "typst"),
    preload=("engine.task", "engine.converters.vector.warm"),
    warm="engine.converters.vector.warm:warm",
    touch="engine.converters.vector.warm:touch",
    # typst opens a font when the first letter of it is drawn.
    reads=FONTS,
    # typst's layout runs on a pool of threads, of which it gets one: a slot is one core.
    environment=(("RAYON_NUM_THREADS", "1"),),
    limits=Limits(
        # A picture of the largest size, the layers of its filters, and fonts.
        address_space_bytes=2048 * MIB,
        cpu_s=60,
        wall_s=60.0,
        # Text is read into a tree of many times its size.
        input_bytes_max=64 * MIB,
        threads=1,
    ),
    bounds=Bounds(),
)
