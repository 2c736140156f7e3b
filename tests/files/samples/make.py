"""Make the samples of `test_every_pair`: `python tests/files/samples/make.py`, run by hand.

One small file of each source format that no family keeps elsewhere under `tests/files`, made by a
library or a program that is not the one that converts it here where there is one. `sample.vsd`,
`sample.vsdx`, `sample.pub` and `sample.ppt` are test files of the Apache POI project (under the
Apache License 2.0): nothing free writes the first three, or a small one of the last.
"""

import io
import shutil
import sqlite3
import subprocess
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

HERE = Path(__file__).parent
FILES = HERE.parent
TEXT = """# A heading

Some *text* with **weight** and a [link](https://example.org/).

- one
- two

| name | count |
|------|-------|
| bolt | 3     |
"""
# What the samples that are encrypted open with.
PASSWORD = "sesame"  # of files made here
WRITINGS = {
    **{name: name for name in ("asciidoc", "docbook", "dokuwiki", "epub", "fb2", "jats", "jira")},
    **{name: name for name in ("latex", "man", "mediawiki", "opml", "org", "rst", "textile")},
    **{name: name for name in ("typst", "djot")},
}
OFFICE = {"doc": "suite.odt", "odp": "deck.pptx", "ods": "sums.xlsx"}


def write(name: str, body: bytes) -> None:
    """Put a sample in its place."""
    (HERE / f"sample.{name}").write_bytes(body)


def archives() -> None:
    """Of one small text and a folder."""
    with tempfile.TemporaryDirectory() as folder:
        inside = Path(folder) / "notes" / "text.txt"
        inside.parent.mkdir()
        inside.write_text(TEXT, encoding="utf-8")
        for name, mode in {"tar": "", "tgz": "gz", "tbz2": "bz2", "txz": "xz"}.items():
            with tarfile.open(HERE / f"sample.{name}", f"w:{mode}") as archive:
                archive.add(inside.parent, "notes")
        for name, command in {"gz": "gzip", "bz2": "bzip2", "xz": "xz", "zst": "zstd"}.items():
            packed = subprocess.run([command, "-c", str(inside)], check=True, capture_output=True)
            write(name, packed.stdout)
        tar = (HERE / "sample.tar").read_bytes()
        packed = subprocess.run(["zstd", "-c"], input=tar, check=True, capture_output=True)
        write("tzst", packed.stdout)
        import py7zr  # noqa: PLC0415  # one maker of several

        with py7zr.SevenZipFile(HERE / "sample.7z", "w") as archive:
            archive.write(inside, "notes/text.txt")
        place = HERE / "sample.ar"
        place.unlink(missing_ok=True)
        subprocess.run(["ar", "rc", str(place), str(inside)], check=True)
    manifest = "Manifest-Version: 1.0\n"
    write("zip", zipped({"notes/text.txt": TEXT}))
    write("jar", zipped({"META-INF/MANIFEST.MF": manifest}))
    write("apk", zipped({"AndroidManifest.xml": "<manifest/>"}))
    kml = (FILES / "misc" / "places.kml").read_text(encoding="utf-8")
    write("kmz", zipped({"doc.kml": kml}))


def zipped(members: Mapping[str, str]) -> bytes:
    """A ZIP of texts, with a fixed time."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(zipfile.ZipInfo(name), text)
    return made.getvalue()


def tables() -> None:
    """Two columns and three rows."""
    import fastavro  # noqa: PLC0415  # one maker of several
    import msoffcrypto.format.ooxml  # noqa: PLC0415
    import pyarrow as pa  # noqa: PLC0415
    from pyarrow import feather, orc, parquet  # noqa: PLC0415

    rows = [{"name": name, "count": count} for name, count in (("bolt", 3), ("nut", 5), ("", 0))]
    table = pa.Table.from_pylist(rows)
    parquet.write_table(table, HERE / "sample.parquet")
    feather.write_feather(table, HERE / "sample.arrow")
    orc.write_table(table, HERE / "sample.orc")
    fields = [{"name": "name", "type": "string"}, {"name": "count", "type": "long"}]
    made = io.BytesIO()
    fastavro.writer(made, {"type": "record", "name": "row", "fields": fields}, rows)
    write("avro", made.getvalue())
    place = HERE / "sample.sqlite"
    place.unlink(missing_ok=True)
    with sqlite3.connect(place) as base:
        base.execute("pragma page_size = 512")
        base.execute("create table stock (name text, count integer)")
        base.executemany("insert into stock values (:name, :count)", rows)
    base.close()
    made = io.BytesIO()
    plain = msoffcrypto.format.ooxml.OOXMLFile(
        io.BytesIO((FILES / "office/sums.xlsx").read_bytes())
    )
    plain.encrypt(PASSWORD, made)
    write("ooxml-encrypted", made.getvalue())


def writings() -> None:
    """By pandoc."""
    import pypandoc  # noqa: PLC0415  # one maker of several

    for name, target in WRITINGS.items():
        place = str(HERE / f"sample.{name}")
        command = [pypandoc.get_pandoc_path(), "-s", "--metadata=title:Sample", "-t", target]
        subprocess.run([*command, "-o", place], input=TEXT.encode(), check=True)
    write("txt", b"Just a few words,\nover two lines.\n")


def office() -> None:
    """By LibreOffice, of what the office family keeps."""
    with tempfile.TemporaryDirectory() as folder:
        for target, source in OFFICE.items():
            (path,) = FILES.rglob(source)
            command = ["soffice", f"-env:UserInstallation=file://{folder}/profile", "--headless"]
            command += ["--convert-to", target, "--outdir", folder, str(path)]
            subprocess.run(command, check=True, capture_output=True)
            shutil.copy(Path(folder) / f"{path.stem}.{target}", HERE / f"sample.{target}")


def subtitles() -> None:
    """By pysubs2."""
    import pysubs2  # noqa: PLC0415  # one maker of several

    lines = pysubs2.load(str(FILES / "misc" / "lines.srt"))
    kinds = {"vtt": "vtt", "ass": "ass", "ssa": "ssa", "sub": "microdvd", "mpl2": "mpl2"}
    for name, kind in (kinds | {"ttml": "ttml"}).items():
        write(name, lines.to_string(kind, fps=25).encode())


def solids() -> None:
    """By trimesh and ezdxf."""
    import ezdxf  # noqa: PLC0415  # one maker of several
    import trimesh  # noqa: PLC0415

    box = trimesh.creation.box()
    for name in ("stl", "obj", "ply", "glb", "off", "3mf"):
        exported = box.export(file_type=name)
        write(name, exported if isinstance(exported, bytes) else exported.encode())
    write("gltf", trimesh.Scene(box).export(file_type="gltf", embed_buffers=True)["model.gltf"])
    drawing = ezdxf.new("R12")
    drawing.modelspace().add_line((0, 0), (10, 5))
    drawing.modelspace().add_circle((5, 5), 3)
    drawing.saveas(HERE / "sample.dxf")


def fonts() -> None:
    """By fontTools: two letters, drawn here."""
    from fontTools.fontBuilder import FontBuilder  # noqa: PLC0415  # one maker of several
    from fontTools.pens.t2CharStringPen import T2CharStringPen  # noqa: PLC0415
    from fontTools.pens.ttGlyphPen import TTGlyphPen  # noqa: PLC0415
    from fontTools.ttLib import TTCollection, TTFont  # noqa: PLC0415

    names = [".notdef", "space", "A", "B"]
    for kind, new_pen in (
        ("ttf", lambda: TTGlyphPen(None)),
        ("otf", lambda: T2CharStringPen(600, None)),
    ):
        glyphs = {}
        for number, name in enumerate(names):
            pen = new_pen()
            if name != "space":
                corners = [(50, 0), (50, 500 + 50 * number), (500, 500), (500, 0)]
                pen.moveTo(corners[0])
                for corner in corners[1:]:
                    pen.lineTo(corner)
                pen.closePath()
            glyphs[name] = pen.glyph() if kind == "ttf" else pen.getCharString()
        font = FontBuilder(1000, isTTF=kind == "ttf")
        font.setupGlyphOrder(names)
        font.setupCharacterMap({0x20: "space", 0x41: "A", 0x42: "B"})
        if kind == "ttf":
            font.setupGlyf(glyphs)
        else:
            font.setupCFF("Sample-Regular", {"FullName": "Sample"}, glyphs, {})
        font.setupHorizontalMetrics(dict.fromkeys(names, (600, 50)))
        font.setupHorizontalHeader(ascent=800, descent=-200)
        font.setupNameTable(
            {"familyName": "Sample", "styleName": "Regular", "psName": "Sample-Regular"}
        )
        font.setupOS2(sTypoAscender=800, usWinAscent=800, usWinDescent=200)
        font.setupPost()
        font.save(HERE / f"sample.{kind}")
    for flavor in ("woff", "woff2"):
        font = TTFont(HERE / "sample.ttf")
        font.flavor = flavor
        font.save(HERE / f"sample.{flavor}")
    collection = TTCollection()
    collection.fonts = [TTFont(HERE / "sample.ttf")]
    collection.save(HERE / "sample.ttc")


def documents() -> None:
    """A page with text, a ruled table, a picture and an attached file; and a picture of a code."""
    import pikepdf  # noqa: PLC0415  # one maker of several
    import segno  # noqa: PLC0415
    from reportlab import rl_config  # noqa: PLC0415
    from reportlab.lib.pagesizes import A5  # noqa: PLC0415
    from reportlab.pdfgen.canvas import Canvas  # noqa: PLC0415

    rl_config.useA85 = 0
    made = io.BytesIO()
    canvas = Canvas(made, pagesize=A5, invariant=1)
    canvas.bookmarkPage("one")
    canvas.addOutlineEntry("Stock", "one")
    canvas.drawString(60, 500, "Stock of the workshop")
    canvas.drawImage(str(FILES / "grey.jpg"), 60, 380, 80, 60)
    canvas.grid([60, 160, 260], [200, 230, 260, 290])
    for row, words in enumerate((("name", "count"), ("bolt", "3"), ("nut", "5"))):
        for column, word in enumerate(words):
            canvas.drawString(70 + 100 * column, 270 - 30 * row, word)
    canvas.showPage()
    canvas.drawString(60, 500, "A second page")
    canvas.save()
    with pikepdf.open(io.BytesIO(made.getvalue())) as document:
        document.attachments["notes.txt"] = TEXT.encode()
        document.save(HERE / "sample.pdf", static_id=True)
    segno.make("ephemera").save(HERE / "code.png", scale=4)


if __name__ == "__main__":
    for make in (documents, archives, tables, writings, subtitles, solids, fonts, office):
        make()
