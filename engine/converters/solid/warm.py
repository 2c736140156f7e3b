"""Use every reader, writer and drawing backend once: these libraries load parts when first used."""

import io
from itertools import product

import trimesh
from ezdxf.filemanagement import new
from msgspec import structs

from engine.converter import Converter, Work
from engine.converters.solid import drawing, mesh
from engine.converters.solid.catalogue import CONVERTERS, MESHES, DrawingOptions, MeshOptions
from engine.errors import EngineError
from engine.job import Bounds, Buffer

_IMPLEMENTATIONS = {"mesh": mesh, "drawing": drawing}

# What a spare is touched with, made before the fork.
_touchstone: list[Buffer] = []


def warm() -> None:
    """Convert each format to each, coloured and plain, whole and broken; draw one of everything."""
    drawing.install_typeface()
    by_name = {converter.operation: converter for converter in CONVERTERS}
    box = trimesh.creation.box()
    box.visual.vertex_colors = [[200, 10 * n, 0, 255] for n in range(len(box.vertices))]
    start = bytes(box.export(file_type="glb"))
    samples = {
        target: _run(by_name["mesh"], start, "glb", target, MeshOptions()) for target in MESHES
    }
    for source, target in product(MESHES, MESHES):
        for upload in (samples[source], samples[source][: len(samples[source]) // 2]):
            _attempt(by_name["mesh"], upload, source, target, MeshOptions(scale=2, up="y-to-z"))
    for source in MESHES:
        _attempt(by_name["measure"], samples[source], source, "json", by_name["measure"].options())
    for target in ("stl", "ply"):
        text = _run(by_name["mesh"], start, "glb", target, MeshOptions(ascii=True))
        _attempt(by_name["mesh"], text, target, "glb", MeshOptions())
    sample = _drawing()
    draw, plain = by_name["drawing"], DrawingOptions(page_size="fit", background="black")
    for target in draw.targets:
        _attempt(draw, sample, "dxf", target, plain)
    for upload in (sample[: len(sample) // 2], b"0\nEOF\n"):
        _attempt(draw, upload, "dxf", draw.targets[0], plain)
    for colours in ("black", "grey"):
        options = structs.replace(plain, colours=colours)
        _attempt(draw, sample, "dxf", draw.targets[0], options)
    _touchstone.append(samples["stl"])


def touch() -> None:
    """One box of twelve faces."""
    _attempt(CONVERTERS[0], _touchstone[0], "stl", "off", MeshOptions())


def _drawing() -> bytes:
    """Lines, arcs, curves, text, hatches, a dimension and a block, each once."""
    document = new(setup=True)
    space = document.modelspace()
    space.add_line((0, 0), (90, 60), dxfattribs={"linetype": "DASHED", "color": 1})
    space.add_circle((30, 30), 20)
    space.add_arc((30, 30), 10, 0, 90)
    space.add_ellipse((50, 30), (20, 0), 0.5)
    space.add_spline([(0, 0), (10, 30), (60, 20), (80, 50)])
    space.add_lwpolyline([(0, 0), (10, 0), (10, 10, 0, 0, 0.5)], close=True)
    space.add_text("w\u00e4rm", height=5).set_placement((5, 50))
    space.add_mtext("two\\Plines", dxfattribs={"char_height": 4})
    space.add_point((1, 1))
    space.add_solid([(0, 0), (5, 0), (0, 5), (5, 5)])
    space.add_3dface([(0, 0, 0), (5, 0, 1), (5, 5, 2), (0, 5, 3)])
    hatch = space.add_hatch(color=3)
    hatch.paths.add_polyline_path([(60, 0), (80, 0), (80, 20)], is_closed=True)
    lined = space.add_hatch(color=4)
    lined.set_pattern_fill("ANSI31", scale=0.5)
    lined.paths.add_polyline_path([(60, 30), (80, 30), (80, 50)], is_closed=True)
    space.add_linear_dim(base=(0, -10), p1=(0, 0), p2=(90, 0)).render()
    space.add_leader([(0, 0), (20, 20)])
    block = document.blocks.new("warm")
    block.add_line((0, 0), (1, 1))
    space.add_blockref("warm", (3, 3))
    text = io.StringIO()
    document.write(text)
    return text.getvalue().encode()


def _run(converter: Converter, upload: Buffer, source: str, target: str, options: object) -> bytes:
    module, _, function = converter.run.rpartition(".")[2].partition(":")
    work = Work(
        sources=(source,), target=target, inputs=(upload,), options=options, bounds=Bounds()
    )
    return bytes(getattr(_IMPLEMENTATIONS[module], function)(work).files[0])


def _attempt(
    converter: Converter, upload: Buffer, source: str, target: str, options: object
) -> None:
    try:
        _run(converter, upload, source, target, options)
    except EngineError:
        return
