"""Files for `bench sniff_corpus`, made by whatever programs and libraries are here.

A maker that is missing, or fails, leaves its formats out and says so.
"""

import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

_SAME = """png gif bmp psd pcx tga sgi xpm xbm fits xcf miff dpx jp2 webp avif heic dcx ras ppm pgm
    pbm pfm hdr ps pdf"""
PICTURES = {one: one for one in _SAME.split()} | {"jpg": "jpeg", "tif": "tiff", "eps": "ps"}
PICTURES |= {"pam": "pnm", "ico": "ico"}
_WRITTEN = """docx odt epub rtf html ipynb rst org textile mediawiki man docbook fb2 latex jats opml
    tei typst json pptx"""
WRITINGS = {one: one for one in _WRITTEN.split()}
WRITINGS |= {"markdown": "md", "gfm": "md", "opendocument": "xml", "html5": "html", "epub2": "epub"}
OFFICE = {
    "writer": ("doc", "docx", "odt", "rtf", "pdf", "epub", "fodt", "html", "txt"),
    "calc": ("xls", "xlsx", "ods", "csv", "fods", "html", "pdf"),
    "impress": ("ppt", "pptx", "odp", "odg", "fodp"),
}
# By extension, FFmpeg's names of the container and the codec.
MEDIA = {
    line.split()[0]: (line.split()[1], line.split()[2])
    for line in """
        mp4 mp4 mpeg4
        mov mov mpeg4
        mkv matroska mpeg4
        webm webm libvpx
        avi avi mpeg4
        flv flv flv1
        ts mpegts mpeg2video
        m2ts mpegts mpeg2video
        mpg mpeg mpeg1video
        wmv asf wmv2
        3gp 3gp mpeg4
        mp3 mp3 libmp3lame
        mp2 mp2 mp2
        wav wav pcm_s16le
        w64 w64 pcm_s16le
        flac flac flac
        opus opus libopus
        ogg ogg flac
        aac adts aac
        m4a ipod aac
        aiff aiff pcm_s16be
        ac3 ac3 ac3
        caf caf pcm_s16le
        au au pcm_s16be
        wv wv wavpack
        tta tta tta
        mka matroska aac
        amr amr libopencore_amrnb
        y4m yuv4mpegpipe wrapped_avframe
    """.strip().splitlines()
}
MEDIA_LABELS = {
    "mpg": "mpeg",
    "mka": "mkv",
    "m2ts": "ts",
    "wv": "wavpack",
    "wmv": "asf",
    "mp2": "mp3",
}

TEXT = """# A heading

Some *text* with **weight**, a [link](https://example.org/) and `code`.

- one
- two

## A second heading

| a | b |
|---|---|
| 1 | 2 |

```
x = 1
```
"""
TABLE = "name,count,price\nbolt,3,1.25\nnut,5,0.75\nwasher,8,0.1\n"
Made = Iterator[tuple[Path, str]]


def make_all(folder: Path) -> Made:
    """Make everything; paths with their labels."""
    for maker in (pictures, writings, office, media, tables, archives, solids, fonts, texts):
        try:
            yield from maker(folder)
        except (OSError, ImportError, subprocess.SubprocessError) as error:
            print(f"left out: {maker.__name__}, {error}", file=sys.stderr)


def run(*command: object, **rest: object) -> bool:
    """Whether a program did it."""
    words = [str(word) for word in command]
    return not subprocess.run(
        words, check=False, capture_output=True, timeout=300, **rest
    ).returncode  # type: ignore[call-overload]


def pictures(folder: Path) -> Made:
    """By ImageMagick, of its built-in pictures."""
    for extension, label in PICTURES.items():
        for number, source in enumerate(("rose:", "logo:", "gradient:", "wizard:")):
            path = folder / f"picture{number}.{extension}"
            size = ("-resize", "64x64") if extension in {"ico", "cur"} else ()
            if run("convert", source, *size, f"{extension}:{path}") and path.exists():
                yield path, label


def writings(folder: Path) -> Made:
    """By pandoc, of a little Markdown."""
    import pypandoc  # type: ignore[import-untyped]  # noqa: PLC0415  # one maker of several

    source = folder / "source.markdown"
    source.write_text(TEXT * 3, encoding="utf-8")
    for target, label in WRITINGS.items():
        path = folder / f"writing.{target}"
        if run(
            pypandoc.get_pandoc_path(), "-s", "--metadata=title:A", source, "-t", target, "-o", path
        ):
            yield path, label


def office(folder: Path) -> Made:
    """By LibreOffice."""
    sources = {"writer": folder / "w.html", "calc": folder / "c.csv", "impress": folder / "i.odp"}
    sources["writer"].write_text("<html><body><h1>A</h1><p>Some text.</p></body></html>")
    sources["calc"].write_text(TABLE)
    run("convert", "logo:", folder / "i.png")
    soffice = ("soffice", f"-env:UserInstallation=file://{folder}/profile", "--headless")
    run(*soffice, "--convert-to", "odp", "--outdir", folder, folder / "i.png")
    for kind, targets in OFFICE.items():
        for target in targets:
            out = folder / f"office-{kind}-{target}"
            out.mkdir()
            run(*soffice, "--convert-to", target, "--outdir", out, sources[kind])
            for path in out.glob(f"*.{target}"):
                yield path, target


def media(folder: Path) -> Made:
    """By FFmpeg's libraries: half a second of grey, or of silence."""
    import av  # noqa: PLC0415  # one maker of several

    for extension, (container, codec) in MEDIA.items():
        path = folder / f"media.{extension}"
        try:
            with av.open(str(path), "w", format=container) as out:
                _fill(out, codec)
        except (av.FFmpegError, ValueError) as error:
            print(f"left out: {extension}, {error}", file=sys.stderr)
            continue
        yield path, MEDIA_LABELS.get(extension, extension)


def _fill(out, codec: str) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001  # av has no types here
    import av  # noqa: PLC0415  # one maker of several

    if av.Codec(codec, "w").type == "video":
        stream = out.add_stream(codec, rate=25)
        stream.width, stream.height = 176, 144
        stream.pix_fmt = "yuv420p"
        frames = [av.VideoFrame(176, 144, "yuv420p") for _ in range(13)]
    else:
        rate = 8000 if "amr" in codec else 48_000
        stream = out.add_stream(codec, rate=rate)
        layout = "mono" if "amr" in codec else "stereo"
        stream.layout = layout
        size = stream.codec_context.frame_size or 1024
        kind = stream.codec_context.codec.audio_formats[0].name
        frames = [av.AudioFrame(kind, layout, size) for _ in range(20)]
        for frame in frames:
            frame.sample_rate = rate
            for plane in frame.planes:
                plane.update(bytes(plane.buffer_size))
    for number, frame in enumerate(frames):
        frame.pts = number * (1 if av.Codec(codec, "w").type == "video" else frame.samples)
        if hasattr(frame, "sample_rate"):
            frame.time_base = Fraction(1, frame.sample_rate)
        out.mux(stream.encode(frame))
    out.mux(stream.encode(None))


def tables(folder: Path) -> Made:
    """By pyarrow, fastavro, XlsxWriter, the standard library."""
    import sqlite3  # noqa: PLC0415  # one maker of several

    import pyarrow as pa  # noqa: PLC0415
    from pyarrow import feather, orc, parquet  # noqa: PLC0415

    columns = pa.table({"name": ["bolt", "nut"] * 50, "count": [3, 5] * 50})
    parquet.write_table(columns, folder / "t.parquet")
    feather.write_feather(columns, folder / "t.arrow")
    orc.write_table(columns, folder / "t.orc")
    with sqlite3.connect(folder / "t.sqlite") as base:
        base.execute("create table t (a, b)")
    base.close()
    yield from ((folder / f"t.{one}", one) for one in ("parquet", "arrow", "orc", "sqlite"))


def archives(folder: Path) -> Made:
    """By the usual programs."""
    inside = folder / "inside.txt"
    inside.write_text(TEXT)
    wanted = {
        "tar": ("tar", "--format=gnu", "-C", folder, "-cf", folder / "a.tar", "inside.txt"),
        "v7.tar": ("tar", "--format=v7", "-C", folder, "-cf", folder / "a.v7.tar", "inside.txt"),
        "gz": ("gzip", "-k", inside),
        "bz2": ("bzip2", "-k", inside),
        "xz": ("xz", "-k", inside),
        "zst": ("zstd", "-q", inside),
        "lz4": ("lz4", "-q", inside, folder / "inside.txt.lz4"),
        "lzma": ("xz", "-k", "--format=lzma", inside),
        "deb": ("ar", "rc", folder / "a.deb", inside),
        "jar": ("jar", "cf", folder / "a.jar", "-C", folder, "inside.txt"),
        "elf": ("cp", "/bin/true", folder / "a.elf"),
    }
    for extension, command in wanted.items():
        if run(*command):
            path = next(iter(folder.glob(f"*.{extension}")))
            yield path, {"v7.tar": "tar", "deb": "ar"}.get(extension, extension)


def solids(folder: Path) -> Made:
    """By trimesh and ezdxf."""
    import ezdxf  # noqa: PLC0415  # one maker of several
    import trimesh  # type: ignore[import-untyped]  # noqa: PLC0415

    for number, mesh in enumerate((trimesh.creation.box(), trimesh.creation.icosphere())):
        for extension in ("stl", "obj", "ply", "glb", "off"):
            path = folder / f"solid{number}.{extension}"
            mesh.export(path)
            yield path, extension
        path = folder / f"ascii{number}.stl"
        path.write_text(mesh.export(file_type="stl_ascii"))
        yield path, "stl"
    drawing = ezdxf.new()
    drawing.modelspace().add_line((0, 0), (1, 1))
    drawing.saveas(folder / "d.dxf")
    drawing.saveas(folder / "b.dxf", fmt="bin")
    yield from ((folder / name, "dxf") for name in ("d.dxf", "b.dxf"))


def fonts(folder: Path) -> Made:
    """By fontTools, of a font that is here."""
    from fontTools.ttLib import TTFont  # noqa: PLC0415  # one maker of several

    for source in sorted(Path("/usr/share/fonts").rglob("*.ttf"))[:1]:
        yield source, "ttf"
        for flavor in ("woff", "woff2"):
            font = TTFont(source)
            font.flavor = flavor
            font.save(folder / f"f.{flavor}")
            yield folder / f"f.{flavor}", flavor


def texts(folder: Path) -> Made:
    """By hand and the standard library: small honest examples."""
    import email.message  # noqa: PLC0415  # one maker of several
    import json  # noqa: PLC0415

    mail = email.message.EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "a@example.org", "b@example.org", "Hello"
    mail.set_content("Some text.\n")
    rows = [{"a": number, "b": "x"} for number in range(5)]
    point = {"type": "Point", "coordinates": [1.5, 2.5]}
    feature = {"type": "Feature", "geometry": point, "properties": {}}
    kml = '<?xml version="1.0"?><kml xmlns="http://www.opengis.net/kml/2.2"><Document/></kml>'
    written = {
        "mail.eml": mail.as_bytes(),
        "rows.json": json.dumps(rows, indent=1).encode(),
        "rows.ndjson": "\n".join(json.dumps(row) for row in rows).encode(),
        "map.geojson": json.dumps({"type": "FeatureCollection", "features": [feature]}).encode(),
        "map.kml": kml.encode(),
        "table.csv": TABLE.encode(),
        "table.tsv": TABLE.replace(",", "\t").encode(),
        "german.csv": TABLE.replace(".", "_").replace(",", ";").replace("_", ",").encode(),
        "settings.toml": b'title = "x"\n[owner]\nname = "y"\nages = [1, 2]\n',
        "settings.yaml": b"title: x\nowner:\n  name: y\n  ages:\n  - 1\n",
        "notes.txt": b"Just a few words,\nover two lines.\n",
        "words.srt": b"1\n00:00:01,000 --> 00:00:02,000\nHello\n",
        "words.vtt": b"WEBVTT\n\n00:01.000 --> 00:02.000\nHello\n",
    }
    for name, body in written.items():
        path = folder / name
        path.write_bytes(body)
        yield path, path.suffix[1:]
