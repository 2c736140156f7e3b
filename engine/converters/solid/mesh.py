"""3D meshes into each other, by trimesh: shapes and colours; materials stay in glTF only."""

import io
import json
import math
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import trimesh
from lxml import etree

from engine.converter import Result, Work
from engine.converters.capped import CappedBuffer
from engine.converters.solid import mesh_size
from engine.converters.solid.catalogue import MeshOptions
from engine.errors import SourceTooComplex, SourceUnreadable, TargetImpossible
from engine.formats import find

# Half of its functions have no types.
_trimesh: Any = trimesh

_SCENES = frozenset({"glb", "gltf"})
_COLOURED = frozenset({"glb", "gltf", "ply", "obj", "off"})
_TURNS = {"y-to-z": math.pi / 2, "z-to-y": -math.pi / 2}
_DAMAGE = (
    ValueError, TypeError, LookupError, AttributeError, ArithmeticError, AssertionError, OSError,
    EOFError, RuntimeError, NotImplementedError, struct.error, zlib.error, zipfile.BadZipFile,
    etree.XMLSyntaxError,
)  # fmt: skip


@contextmanager
def _reading(source: str) -> Iterator[None]:
    try:
        yield
    except RecursionError as error:
        raise SourceTooComplex("the scene is nested too deeply") from error
    except _DAMAGE as error:
        raise SourceUnreadable(
            f"the {find(source).title} cannot be read: it is damaged, cut off or of an unusual kind"
        ) from error


def convert(work: Work) -> Result:
    """Convert one mesh. Raises SourceUnreadable, SourceTooComplex, TargetTooLarge."""
    options: MeshOptions = work.options
    notes: list[str] = []
    keeps = {work.source, work.target} <= _SCENES
    scene = _scene(work, skip_materials=not keeps)
    with _reading(work.source):
        if options.scale != 1:
            scene.apply_transform(np.diag([*[options.scale] * 3, 1.0]))
        if options.up != "keep":
            axis = [1, 0, 0]
            scene.apply_transform(
                _trimesh.transformations.rotation_matrix(_TURNS[options.up], axis)
            )
        if work.source in _SCENES and not keeps and b'"materials"' in bytes(work.inputs[0]):
            notes.append("materials and pictures on surfaces were lost")
        if work.source in {"obj", "3mf"} and b"usemtl" in bytes(work.inputs[0]):
            notes.append("materials, which are in a file of their own, are not in the result")
        _note_colours(scene, work, notes)
        written = _written(scene, work.target, ascii=options.ascii)
    buffer = CappedBuffer(work.bounds.output_bytes_max)
    buffer.write(written)
    return Result(files=(buffer.take(),), warnings=tuple(notes))


def _scene(work: Work, *, skip_materials: bool) -> Any:
    """The file as a scene with at least one face."""
    content = bytes(work.inputs[0])
    with _reading(work.source):
        mesh_size.check(content, work.source)
        scene = trimesh.load_scene(
            io.BytesIO(content), file_type=work.source, process=False, maintain_order=True,
            skip_materials=skip_materials,
        )  # fmt: skip
        scene = _with_colours_at_corners(scene)
        faces = sum(len(getattr(one, "faces", ())) for one in scene.dump())
        finite = all(np.isfinite(one.vertices).all() for one in scene.geometry.values())
    if not faces:
        raise TargetImpossible("the file holds no faces: points and lines alone are no mesh")
    if faces > mesh_size.FACES_MAX:
        raise SourceTooComplex(f"the mesh has {faces} faces; the limit is {mesh_size.FACES_MAX}")
    if not finite:
        raise SourceUnreadable("the mesh has corners that are nowhere (not finite)")
    return scene


def _with_colours_at_corners(scene: Any) -> Any:
    """Faces with colours of their own get corners of their own, which every format can colour.

    trimesh would average the colours at shared corners, and needs scipy for that.
    """
    for name, one in list(scene.geometry.items()):
        if getattr(one, "visual", None) is None or one.visual.kind != "face":
            continue
        corners = one.vertices[one.faces].reshape(-1, 3)
        scene.geometry[name] = _trimesh.Trimesh(
            vertices=corners,
            faces=np.arange(len(corners)).reshape(-1, 3),
            vertex_colors=np.repeat(one.visual.face_colors, 3, axis=0),
            process=False,
        )
    return scene


def _note_colours(scene: Any, work: Work, notes: list[str]) -> None:
    coloured = any(
        getattr(one, "visual", None) is not None and one.visual.kind in {"vertex", "face"}
        for one in scene.geometry.values()
    )
    if coloured and work.target not in _COLOURED:
        notes.append("colours were lost")


def _written(scene: Any, target: str, *, ascii: bool) -> bytes:  # noqa: A002  # the format's word
    if target == "glb":
        written = scene.export(file_type="glb")
    elif target == "gltf":
        parts = _trimesh.exchange.gltf.export_gltf(scene, merge_buffers=True, embed_buffers=True)
        written = next(part for name, part in parts.items() if name.endswith(".gltf"))
    elif target == "3mf":
        written = _trimesh.exchange.threemf.export_3MF(scene)
    else:
        whole = scene.to_mesh()
        more: dict[str, Any] = {}
        if target == "stl":
            target = "stl_ascii" if ascii else "stl"
        elif target == "ply":
            more = {"encoding": "ascii" if ascii else "binary", "include_attributes": False}
        elif target == "obj":
            # Else the colours would go into a second file.
            more = {"include_texture": False}
        written = whole.export(file_type=target, **more)
    return written.encode() if isinstance(written, str) else bytes(written)


def measure(work: Work) -> Result:
    """Say as JSON what a mesh is."""
    scene = _scene(work, skip_materials=True)
    with _reading(work.source):
        whole = scene.to_mesh()
        # Files without shared corners, such as STL, would look open at every edge.
        whole.merge_vertices()
        low, high = whole.bounds.tolist()
        told = {
            "meshes": len(scene.geometry),
            "faces": len(whole.faces),
            "vertices": len(whole.vertices),
            "from": low,
            "to": high,
            "extents": whole.extents.tolist(),
            "area": float(whole.area),
            "closed": bool(whole.is_watertight),
            "volume": float(whole.volume) if whole.is_watertight else None,
        }
    buffer = CappedBuffer(work.bounds.output_bytes_max)
    buffer.write(json.dumps(told, indent=2).encode() + b"\n")
    return Result(files=(buffer.take(),))
