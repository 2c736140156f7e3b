"""What the solid family offers: declarations only, no codec."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from engine.converter import Converter, Family
from engine.errors import OptionInvalid
from engine.formats import title
from engine.job import Bounds
from sandbox.limits import MIB, Limits

MESHES = ("stl", "obj", "ply", "glb", "gltf", "off", "3mf")
DRAWN = ("svg", "pdf", "png")
_IN_WORDS = frozenset({"stl", "ply"})


class MeshInfoOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of solid.measure: faces, extents, area, volume and whether it is closed."""


class MeshOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of solid.mesh."""

    scale: Annotated[
        float,
        Meta(
            ge=1e-6,
            le=1e6,
            description="Factor of all lengths: 25.4 for inches into millimetres.",
            examples=[25.4],
        ),
    ] = 1.0
    up: Annotated[
        Literal["keep", "y-to-z", "z-to-y"],
        Meta(
            description="Turn what stands: y-to-z for a glTF scene into a 3D print, z-to-y back.",
            examples=["y-to-z"],
        ),
    ] = "keep"
    ascii: Annotated[
        bool,
        Meta(description="Whether STL and PLY results are text.", examples=[True]),
    ] = False


class DrawingOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of solid.drawing."""

    layout: Annotated[
        str,
        Meta(
            max_length=255,
            description="Which layout of the drawing: model, or the name of a paper layout.",
            examples=["Layout1"],
        ),
    ] = "model"
    page_size: Annotated[
        Literal["fit", "a4", "a3", "a2", "a1", "a0", "letter"],
        Meta(
            description="Size of the page; the drawing fills it. fit: as large as the drawing is in"
            " its own units, within 1 m.",
            examples=["a3"],
        ),
    ] = "a4"
    margin_mm: Annotated[
        float,
        Meta(ge=0, le=100, description="White on each side, in millimetres.", examples=[5]),
    ] = 10
    colours: Annotated[
        Literal["colour", "black", "grey"],
        Meta(description="Colours as drawn, all black, or grey.", examples=["black"]),
    ] = "colour"
    background: Annotated[
        Literal["white", "black", "none"],
        Meta(
            description="What is behind the lines; those of the background's colour are swapped.",
            examples=["black"],
        ),
    ] = "white"
    width: Annotated[
        Annotated[int, Meta(ge=16, le=8192)] | None,
        Meta(description="Width of a PNG in pixels. Absent: 150 dots an inch.", examples=[2000]),
    ] = None


def check_mesh(options: MeshOptions, target: str) -> None:
    """Refuse text where the target has one form. Raises OptionInvalid."""
    if options.ascii and target not in _IN_WORDS:
        raise OptionInvalid(f"ascii: {title(target)} has no form in text besides its own")


def check_drawing(options: DrawingOptions, target: str) -> None:
    """Only a PNG has pixels. Raises OptionInvalid."""
    if options.width is not None and target != "png":
        raise OptionInvalid("width: only a PNG is measured in pixels; see page_size")


CONVERTERS: tuple[Converter, ...] = (
    Converter(
        name="solid.mesh",
        family="solid",
        title="Convert a 3D mesh",
        sources=MESHES,
        targets=MESHES,
        options=MeshOptions,
        check=check_mesh,
        run="engine.converters.solid.mesh:convert",
    ),
    Converter(
        name="solid.measure",
        family="solid",
        title="Measure a 3D mesh",
        sources=MESHES,
        targets=("json",),
        options=MeshInfoOptions,
        run="engine.converters.solid.mesh:measure",
    ),
    Converter(
        name="solid.drawing",
        family="solid",
        title="Draw a DXF on a page",
        sources=("dxf",),
        targets=DRAWN,
        options=DrawingOptions,
        check=check_drawing,
        run="engine.converters.solid.drawing:convert",
        credits=2,
    ),
)

FAMILY = Family(
    name="solid",
    needs=("ezdxf", "fontTools", "lxml", "networkx", "numpy", "reportlab", "resvg_py", "trimesh"),
    preload=("engine.task", "engine.converters.solid.warm"),
    warm="engine.converters.solid.warm:warm",
    touch="engine.converters.solid.warm:touch",
    # Two million faces take 600 MB in the hungriest of the writers.
    limits=Limits(address_space_bytes=3072 * MIB, cpu_s=60, wall_s=60.0),
    bounds=Bounds(),
)
