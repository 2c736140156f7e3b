"""How many faces and vertices a mesh claims, from its header and before anything is allocated."""

import json
import re
import struct
import zipfile
from io import BytesIO

from engine.errors import SourceTooComplex
from sandbox.limits import MIB

# A scan of a statue; the readers and writers need 300 to 800 bytes for each.
FACES_MAX = 2_000_000
VERTICES_MAX = 4_000_000
_UNPACKED_MAX = 256 * MIB
_STL_HEADER, _STL_FACE = 84, 50


def check(content: bytes, source: str) -> None:
    """Refuse a mesh beyond the bounds. Raises SourceTooComplex, ValueError, LookupError."""
    faces, vertices = _COUNTS[source](content)
    if faces > FACES_MAX or vertices > VERTICES_MAX:
        raise SourceTooComplex(
            f"the mesh has {faces} faces and {vertices} vertices; the limits are {FACES_MAX} and"
            f" {VERTICES_MAX}"
        )


def _stl(content: bytes) -> tuple[int, int]:
    if len(content) >= _STL_HEADER:
        faces = struct.unpack_from("<I", content, 80)[0]
        if len(content) == _STL_HEADER + faces * _STL_FACE:
            return faces, faces * 3
    faces = content.count(b"facet normal") or content.lower().count(b"facet normal")
    if not faces:
        raise ValueError
    return faces, faces * 3


def _obj(content: bytes) -> tuple[int, int]:
    faces = sum(len(line.split()) - 3 for line in re.findall(rb"(?m)^[ \t]*f[ \t].*$", content))
    return faces, len(re.findall(rb"(?m)^[ \t]*v[ \t]", content))


def _ply(content: bytes) -> tuple[int, int]:
    head = content[: content.index(b"end_header")]
    counts = {name: int(count) for name, count in re.findall(rb"element (\w+) (\d{1,12})", head)}
    return counts.get(b"face", 0), counts[b"vertex"]


def _off(content: bytes) -> tuple[int, int]:
    words = re.sub(rb"#[^\n]*", b"", content[:4096]).replace(b"OFF", b" ", 1).split()
    return int(words[1]), int(words[0])


def _glb(content: bytes) -> tuple[int, int]:
    length = struct.unpack_from("<I", content, 12)[0]
    return _gltf(content[20 : 20 + length])


def _gltf(content: bytes) -> tuple[int, int]:
    told = json.loads(content)
    counts = [int(one["count"]) for one in told.get("accessors", [])]
    faces = vertices = 0
    meshes = []
    for mesh in told.get("meshes", []):
        own = 0
        for primitive in mesh["primitives"]:
            corners = counts[primitive["attributes"]["POSITION"]]
            vertices += corners
            own += (counts[primitive["indices"]] if "indices" in primitive else corners) // 3
        meshes.append(own)
    # A node may show a mesh that others show too.
    shown = [meshes[node["mesh"]] for node in told.get("nodes", []) if "mesh" in node]
    return max(sum(shown), faces, sum(meshes)), max(vertices, max(counts, default=0))


def _3mf(content: bytes) -> tuple[int, int]:
    faces = vertices = unpacked = 0
    with zipfile.ZipFile(BytesIO(content)) as parts:
        for part in parts.infolist():
            if not part.filename.lower().endswith(".model"):
                continue
            with parts.open(part) as stream:
                model = stream.read(_UNPACKED_MAX - unpacked + 1)
            unpacked += len(model)
            if unpacked > _UNPACKED_MAX:
                raise SourceTooComplex(
                    f"the file unpacks to more than {_UNPACKED_MAX // MIB} MiB, the limit"
                )
            if b"<!ENTITY" in model:
                raise SourceTooComplex("the model declares entities of its own, which are not read")
            faces += model.count(b"<triangle ")
            vertices += model.count(b"<vertex ")
    return faces, vertices


_COUNTS = {
    "stl": _stl, "obj": _obj, "ply": _ply, "off": _off, "glb": _glb, "gltf": _gltf, "3mf": _3mf,
}  # fmt: skip
