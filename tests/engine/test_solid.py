"""3D meshes and drawings, judged by arithmetic on the files themselves, poppler and ImageMagick."""

import base64
import io
import json
import math
import re
import struct
import zipfile
from collections.abc import Iterator
from functools import cache
from xml.etree import ElementTree as ET

import pytest

from engine.converters.solid.catalogue import DRAWN, MESHES
from engine.errors import EngineError
from engine.job import Output
from engine.registry import FAMILIES
from tests.engine.judges import Seen, run
from tests.engine.own_converter import of_family
from tests.engine.real_workers import convert_all

convert = of_family("solid")

pytestmark = pytest.mark.skipif(
    all(family.name != "solid" for family in FAMILIES), reason="the extra solids is not installed"
)


@pytest.fixture(scope="module", autouse=True)
def _typeface() -> None:
    """What the zygote does once."""
    from engine.converters.solid import drawing  # noqa: PLC0415  # only where the extra is there

    drawing.install_typeface()


_Triangle = tuple[tuple[float, ...], ...]
# A box of 2 x 3 x 4, one corner at the origin: corners, and faces that look outwards.
_CORNERS = [(x, y, z) for x in (0.0, 2.0) for y in (0.0, 3.0) for z in (0.0, 4.0)]
_FACES = [
    (0, 1, 3), (0, 3, 2), (4, 6, 7), (4, 7, 5), (0, 4, 5), (0, 5, 1),
    (2, 3, 7), (2, 7, 6), (0, 2, 6), (0, 6, 4), (1, 5, 7), (1, 7, 3),
]  # fmt: skip


def _obj() -> bytes:
    lines = [f"v {x} {y} {z}" for x, y, z in _CORNERS]
    lines += [f"f {a + 1} {b + 1} {c + 1}" for a, b, c in _FACES]
    return "\n".join(["# a box", *lines, ""]).encode()


def _stl() -> bytes:
    body = b"".join(
        struct.pack("<12fH", 0, 0, 0, *(n for corner in face for n in _CORNERS[corner]), 0)
        for face in _FACES
    )
    return bytes(80) + struct.pack("<I", len(_FACES)) + body


def _off() -> bytes:
    lines = [f"{x} {y} {z}" for x, y, z in _CORNERS] + [f"3 {a} {b} {c}" for a, b, c in _FACES]
    return "\n".join([f"OFF\n{len(_CORNERS)} {len(_FACES)} 0", *lines, ""]).encode()


def _ply() -> bytes:
    head = (
        f"ply\nformat ascii 1.0\nelement vertex {len(_CORNERS)}\nproperty float x\n"
        f"property float y\nproperty float z\nelement face {len(_FACES)}\n"
        "property list uchar int vertex_indices\nend_header\n"
    )
    return (head + _off().decode().split("\n", 2)[2]).encode()


@cache
def upload(source: str) -> bytes:
    """The box, by hand where that is short; in the others by the converter."""
    makers = {"obj": _obj, "stl": _stl, "off": _off, "ply": _ply}
    return makers[source]() if source in makers else convert(_obj(), "obj", source).file


def _triangles(content: bytes, target: str) -> list[_Triangle]:
    return list(_SEEN[target](content))


def _of_stl(content: bytes) -> Iterator[_Triangle]:
    (count,) = struct.unpack_from("<I", content, 80)
    assert len(content) == 84 + 50 * count
    for number in range(count):
        n = struct.unpack_from("<12f", content, 84 + 50 * number)
        yield n[3:6], n[6:9], n[9:12]


def _indexed(corners: list[tuple[float, ...]], faces: list[list[int]]) -> Iterator[_Triangle]:
    for face in faces:
        yield tuple(corners[corner] for corner in face)


def _of_obj(content: bytes) -> Iterator[_Triangle]:
    lines = [line.split() for line in content.decode().splitlines()]
    corners = [tuple(map(float, line[1:4])) for line in lines if line[:1] == ["v"]]
    faces = [[int(w.split("/")[0]) - 1 for w in line[1:]] for line in lines if line[:1] == ["f"]]
    return _indexed(corners, faces)


def _of_off(content: bytes) -> Iterator[_Triangle]:
    words = content.decode().split()
    assert words[0] == "OFF"
    count, faces = int(words[1]), int(words[2])
    numbers = [float(word) for word in words[4:]]
    corners = [tuple(numbers[3 * n : 3 * n + 3]) for n in range(count)]
    rest = [int(n) for n in numbers[3 * count :]]
    return _indexed(corners, [rest[4 * n + 1 : 4 * n + 4] for n in range(faces)])


def _of_ply(content: bytes) -> Iterator[_Triangle]:
    head, body = content.split(b"end_header\n", 1)
    assert b"format binary_little_endian 1.0" in head
    assert re.findall(rb"property (?!list)(\w+)", head)[:3] == [b"float"] * 3
    count, faces = (int(n) for n in re.findall(rb"element \w+ (\d+)", head))
    step = (len(body) - faces * 13) // count
    corners = [struct.unpack_from("<3f", body, step * n) for n in range(count)]
    at = step * count
    return _indexed(
        corners, [list(struct.unpack_from("<3i", body, at + 13 * n + 1)) for n in range(faces)]
    )


def _of_gltf(content: bytes, chunk: bytes | None = None) -> Iterator[_Triangle]:
    told = json.loads(content)
    buffer = chunk or base64.b64decode(told["buffers"][0]["uri"].split(",")[1])
    for mesh in told["meshes"]:
        for primitive in mesh["primitives"]:
            points = _accessor(told, buffer, primitive["attributes"]["POSITION"], "f", 3)
            order = [n for (n,) in _accessor(told, buffer, primitive["indices"], "I", 1)]
            faces = [order[n : n + 3] for n in range(0, len(order), 3)]
            yield from _indexed(points, faces)


def _accessor(
    told: dict[str, list[dict[str, int]]], buffer: bytes, index: int, code: str, width: int
) -> list[tuple[float, ...]]:
    one = told["accessors"][index]
    view = told["bufferViews"][one["bufferView"]]
    at = view.get("byteOffset", 0) + one.get("byteOffset", 0)
    return [
        struct.unpack_from(f"<{width}{code}", buffer, at + 4 * width * n)
        for n in range(one["count"])
    ]


def _of_glb(content: bytes) -> Iterator[_Triangle]:
    assert content[:4] == b"glTF"
    (length,) = struct.unpack_from("<I", content, 12)
    return _of_gltf(content[20 : 20 + length], content[28 + length :])


def _of_3mf(content: bytes) -> Iterator[_Triangle]:
    with zipfile.ZipFile(io.BytesIO(content)) as parts:
        root = ET.fromstring(parts.read("3D/3dmodel.model"))  # noqa: S314  # our own
    space = "{http://schemas.microsoft.com/3dmanufacturing/core/2015/02}"
    corners = [tuple(float(one.attrib[n]) for n in "xyz") for one in root.iter(f"{space}vertex")]
    faces = [
        [int(one.attrib[n]) for n in ("v1", "v2", "v3")] for one in root.iter(f"{space}triangle")
    ]
    return _indexed(corners, faces)


_SEEN = {
    "stl": _of_stl, "obj": _of_obj, "off": _of_off, "ply": _of_ply, "gltf": _of_gltf,
    "glb": _of_glb, "3mf": _of_3mf,
}  # fmt: skip


def _volume(triangles: list[_Triangle]) -> float:
    """Of a closed mesh whose faces look outwards (divergence theorem)."""
    total = 0.0
    for (ax, ay, az), (bx, by, bz), (cx, cy, cz) in triangles:
        total += ax * (by * cz - bz * cy) - ay * (bx * cz - bz * cx) + az * (bx * cy - by * cx)
    return total / 6


def _extents(triangles: list[_Triangle]) -> list[float]:
    columns = list(zip(*(corner for face in triangles for corner in face), strict=True))
    return [max(column) - min(column) for column in columns]


@pytest.mark.parametrize("target", MESHES)
@pytest.mark.parametrize("source", MESHES)
def test_every_mesh_becomes_every_other_with_its_faces(source: str, target: str) -> None:
    reply = convert(upload(source), source, target)
    seen = _triangles(reply.file, target)
    assert len(seen) == 12
    assert _volume(seen) == pytest.approx(24, abs=1e-4)
    assert _extents(seen) == pytest.approx([2, 3, 4])
    assert reply.warnings == ()


def test_lengths_are_scaled_and_what_lies_is_stood_up() -> None:
    inches = _triangles(convert(upload("stl"), "stl", "off", scale=25.4).file, "off")
    assert _extents(inches) == pytest.approx([50.8, 76.2, 101.6])
    stood = _triangles(convert(upload("glb"), "glb", "stl", up="y-to-z").file, "stl")
    assert _extents(stood) == pytest.approx([2, 4, 3])
    assert _volume(stood) == pytest.approx(24, abs=1e-4)


def test_stl_and_ply_can_be_text() -> None:
    text = convert(upload("stl"), "stl", "stl", ascii=True).file
    assert text.startswith(b"solid")
    assert text.count(b"facet normal") == 12
    assert len(_triangles(convert(text, "stl", "off").file, "off")) == 12
    assert b"format ascii 1.0" in convert(upload("stl"), "stl", "ply", ascii=True).file


@pytest.mark.parametrize("source", MESHES)
def test_a_mesh_is_measured(source: str) -> None:
    told = json.loads(convert(upload(source), source, "json").file)
    assert (told["faces"], told["vertices"], told["closed"]) == (12, 8, True)
    assert told["volume"] == pytest.approx(24)
    assert told["area"] == pytest.approx(2 * (6 + 8 + 12))
    assert told["extents"] == pytest.approx([2, 3, 4])


def test_colours_survive_where_they_can_and_are_missed_where_not() -> None:
    lines = _ply().decode().replace(
        "vertex_indices\n", "vertex_indices\nproperty uchar red\nproperty uchar green\n"
        "property uchar blue\n",
    ).split("end_header\n")  # fmt: skip
    body = lines[1].split("\n")
    body[8:20] = [f"{line} 255 {20 * n} 0" for n, line in enumerate(body[8:20])]
    coloured = f"{lines[0]}end_header\n{chr(10).join(body)}".encode()
    assert convert(coloured, "ply", "stl").warnings == ("colours were lost",)
    told = convert(coloured, "ply", "glb")
    assert told.warnings == ()
    assert b"COLOR_0" in told.file
    assert len(_triangles(told.file, "glb")) == 12


@pytest.mark.claim("C-BOMB-1")
def test_what_claims_too_much_is_refused_from_its_header() -> None:
    ply = _ply().replace(b"element face 12", b"element face 2000000000")
    stl = bytes(80) + struct.pack("<I", 3_000_000) + bytes(150_000_000)
    off = b"OFF\n5000000 1 0\n0 0 0\n"
    gltf = json.dumps({
        "asset": {"version": "2.0"}, "scenes": [{"nodes": [0]}],
        "accessors": [{"count": 3, "componentType": 5126, "type": "VEC3"}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}}]}],
        "nodes": [{"mesh": 0}] * 2_500_000,
    }).encode()  # fmt: skip
    for source, content in (("ply", ply), ("stl", stl), ("off", off), ("gltf", gltf)):
        assert convert(content, source, "obj").error == "SourceTooComplex", source


@pytest.mark.parametrize("source", MESHES)
def test_what_is_broken_or_no_mesh_is_unreadable(source: str) -> None:
    whole = upload(source)
    for content in (b"", b"\0" * 300, b"no mesh at all\n" * 20, whole[: len(whole) // 2]):
        reply = convert(content, source, "stl")
        assert reply.error in {"SourceUnreadable", "TargetImpossible"} or source == "obj"
    for at in range(0, len(whole), max(1, len(whole) // 40)):
        damaged = bytearray(whole)
        damaged[at] ^= 0xFF
        reply = convert(bytes(damaged), source, "off")
        assert reply.error in {"", "SourceUnreadable", "SourceTooComplex", "TargetImpossible"}


def _dxf() -> bytes:
    """R12 by hand: a red line, a circle in a block placed twice, and a word."""

    def entity(kind: str, *pairs: tuple[int, object]) -> str:
        return "".join(f"{code}\n{value}\n" for code, value in ((0, kind), *pairs))

    block = entity("BLOCK", (8, 0), (2, "RING"), (70, 0), (10, 0), (20, 0), (3, "RING"))
    block += entity("CIRCLE", (8, 0), (10, 0), (20, 0), (40, 10)) + entity("ENDBLK")
    body = entity("LINE", (8, 0), (62, 1), (10, 0), (20, 0), (11, 100), (21, 50))
    body += entity("INSERT", (8, 0), (2, "RING"), (10, 20), (20, 20))
    body += entity("INSERT", (8, 0), (2, "RING"), (10, 80), (20, 20))
    body += entity("TEXT", (8, 0), (10, 5), (20, 45), (40, 5), (1, "Plan"))
    sections = (("BLOCKS", block), ("ENTITIES", body))
    return (
        "".join(f"0\nSECTION\n2\n{name}\n{inner}0\nENDSEC\n" for name, inner in sections)
        + "0\nEOF\n"
    ).encode()


def _ink(content: bytes, target: str) -> tuple[tuple[int, int], set[tuple[int, ...]], float]:
    """Size in pixels, colours, and the share that is not white, at 50 dots an inch or as drawn."""
    if target == "pdf":
        content = run("pdftoppm", "-r", "50", "-png", "-", stdin=content)
    picture = Seen(content, "png").rgb()
    colours = picture.getcolors(1 << 24) or []
    white = sum(count for count, colour in colours if min(colour) > 250)
    found = {colour for count, colour in colours if count > 5}
    return picture.size, found, 1 - white / math.prod(picture.size)


@pytest.mark.parametrize("target", ["pdf", "png"])
def test_a_drawing_gets_onto_a_page(target: str) -> None:
    size, colours, ink = _ink(convert(_dxf(), "dxf", target).file, target)
    # A4 lying down: 297 by 210 mm.
    assert size[0] / size[1] == pytest.approx(297 / 210, rel=0.01)
    assert any(red > 200 > green for red, green, _ in colours)
    assert 0.001 < ink < 0.1


def test_a_drawing_as_svg_holds_paths() -> None:
    root = ET.fromstring(convert(_dxf(), "dxf", "svg").file)  # noqa: S314  # our own
    assert (root.attrib["width"], root.attrib["height"]) == ("297mm", "210mm")
    paths = list(root.iter("{http://www.w3.org/2000/svg}path"))
    assert len(paths) >= 4


def test_svg_png_and_pdf_show_the_same() -> None:
    page = {"page_size": "fit", "margin_mm": 0}
    pdf = run("pdftoppm", "-r", "100", "-png", "-",
              stdin=convert(_dxf(), "dxf", "pdf", **page).file)  # fmt: skip
    width, height = Seen(pdf, "png").size
    png = Seen(convert(_dxf(), "dxf", "png", width=width, **page).file, "png")
    assert abs(png.size[1] - height) <= 1
    one, other = (
        picture.rgb().convert("L").resize((100, 50)).point(lambda v: 255 * (v > 235))
        for picture in (Seen(pdf, "png"), png)
    )
    pairs = zip(one.tobytes(), other.tobytes(), strict=True)
    assert sum(a != b for a, b in pairs) < 250


def test_colours_background_and_size_are_chosen() -> None:
    black = convert(_dxf(), "dxf", "png", colours="black", width=600).file
    size, colours, _ = _ink(black, "png")
    assert size[0] == 600
    assert all(max(colour) - min(colour) < 10 for colour in colours)
    _, _, ink = _ink(convert(_dxf(), "dxf", "png", background="black", width=300).file, "png")
    assert ink > 0.95
    a3 = convert(_dxf(), "dxf", "pdf", page_size="a3").file
    assert b"420" in run("pdfinfo", "-", stdin=a3) or b"1190" in run("pdfinfo", "-", stdin=a3)
    missing = convert(_dxf(), "dxf", "svg", layout="Nowhere")
    assert missing.error == "TargetImpossible"


def test_a_drawing_of_blocks_within_blocks_without_end_is_refused() -> None:
    def block(name: str, inner: str) -> str:
        return f"0\nBLOCK\n8\n0\n2\n{name}\n70\n0\n10\n0\n20\n0\n3\n{name}\n{inner}0\nENDBLK\n"

    insert = "0\nINSERT\n8\n0\n2\n{}\n10\n{}\n20\n0\n"
    line = "0\nLINE\n8\n0\n10\n0\n20\n0\n11\n1\n21\n1\n"
    blocks = block("B0", line)
    for level in range(1, 9):
        blocks += block(f"B{level}", "".join(insert.format(f"B{level - 1}", n) for n in range(10)))
    bomb = f"0\nSECTION\n2\nBLOCKS\n{blocks}0\nENDSEC\n0\nSECTION\n2\nENTITIES\n"
    bomb += insert.format("B8", 0) + "0\nENDSEC\n0\nEOF\n"
    assert convert(bomb.encode(), "dxf", "svg").error == "SourceTooComplex"
    ring = block("B0", insert.format("B1", 0)) + block("B1", insert.format("B0", 0))
    loop = f"0\nSECTION\n2\nBLOCKS\n{ring}0\nENDSEC\n0\nSECTION\n2\nENTITIES\n"
    loop += insert.format("B1", 0) + line + "0\nENDSEC\n0\nEOF\n"
    assert convert(loop.encode(), "dxf", "svg").error in {
        "",
        "SourceTooComplex",
        "SourceUnreadable",
    }


@pytest.mark.parametrize("content", [b"", b"\0" * 99, b"no drawing", b"0\nEOF\n", b"0\nSECTION\n"])
def test_what_is_no_drawing_says_so(content: bytes) -> None:
    reply = convert(content, "dxf", "svg")
    assert reply.error in {"SourceUnreadable", "TargetImpossible"}


def test_damaged_drawings_fail_well() -> None:
    whole = _dxf()
    for at in range(0, len(whole), 23):
        damaged = bytearray(whole)
        damaged[at] ^= 0x15
        reply = convert(bytes(damaged), "dxf", "svg")
        assert reply.error in {"", "SourceUnreadable", "SourceTooComplex", "TargetImpossible"}


async def test_every_pair_runs_in_a_worker_that_can_open_nothing() -> None:
    uploads = {source: [upload(source)] for source in MESHES} | {"dxf": [_dxf()]}
    done = await convert_all("solid", uploads)
    refused = {pair: str(one) for pair, one in done.items() if isinstance(one, EngineError)}
    assert refused == {}
    assert len(done) == len(MESHES) * (len(MESHES) + 1) + len(DRAWN)
    drawn = done["solid.drawing", "dxf", "svg"]
    assert isinstance(drawn, Output)
    assert bytes(drawn.files[0]) == convert(_dxf(), "dxf", "svg").file
