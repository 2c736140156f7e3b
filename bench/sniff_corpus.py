"""How many real files does the sniffer name rightly, and which does it take for what?

The files are those that libraries keep in their source distributions, which pip fetches into a
temporary directory, labelled by their extensions; and some made on the spot by programs of this
machine, labelled by what they were told to make. Both are labelled without looking at the bytes.
No format may come to its number by one project's hundreds, so a few of each project count.
"""

import argparse
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import msgspec

from bench import sniff_made
from engine.likeness import known
from engine.sniff import sniff

SDISTS = (
    *("docutils", "ezdxf", "fastavro", "fonttools", "gpxpy", "icalendar", "msoffcrypto-tool"),
    *("mutagen", "nbformat", "odfpy", "olefile", "pi-heif", "pikepdf", "pillow", "py7zr"),
    *("pygments", "pysubs2", "python-docx", "python-oxmsg", "python-pptx", "rarfile", "tinytag"),
    "trimesh",
)
SHARE_REQUIRED = 0.99
FILE_BYTES_MAX = 64 * 1024 * 1024
# Of one format from one project; those of all projects together are what counts.
EACH_MAX = 16

# Formats that files of their own name are, and others by their extensions.
_SAME = """
    png gif webp bmp avif psd jp2 ico icns cur dds fli sgi qoi fits tga pcx dcx ras emf wmf xbm xpm
    blp fpx ppm pgm pbm pfm tiff heic jpeg arw dng nef cr2 pdf ps docx pptx xlsx odt ods odp odg doc
    xls ppt msg rtf epub html xhtml svg gpx kml docbook xml plist ipynb json toml yaml csv rst md
    ics vcf eml srt vtt ass ssa ttml avro parquet orc mp3 wav flac ogg opus aac m4a aiff mp4 mov
    webm mkv avi flv ape tta tak spx ac3 dsf zip rar 7z gz bz2 xz zst tar iso ttf otf ttc woff woff2
    pcf bdf pfb dxf glb ply stl obj off gltf dae 3mf txt
"""
_OTHERS = """
    jpeg: jpg mpo jfif
    png: apng
    bmp: dib
    tiff: tif
    heic: heif hif
    jp2: j2k jpf jpx
    avif: avifs
    fli: flc
    sgi: rgb bw
    ps: eps
    pptx: pptm
    docx: docm
    xlsx: xlsm
    html: htm
    xml: glif ttx designspace xsd xsl
    latex: tex
    json: avsc jcal
    yaml: yml
    aiff: aif aifc
    ogg: oga oggflac
    ogv: ogv oggtheora
    m4a: m4b
    3gp: 3gp 3g2
    asf: wma wmv
    dsf: dff
    midi: mid
    wavpack: wv
    musepack: mpc
    gz: tgz
    txt: py c h css js fea sh el scala cpp go java ini cfg bat rb pl sql
"""
LABELS = {one: one for one in _SAME.split()} | {
    extension: line.partition(":")[0].strip()
    for line in _OTHERS.strip().splitlines()
    for extension in line.partition(":")[2].split()
}
# Part of a path, and why its file does not count: it is not what its extension says, by intention.
ASIDE = (
    ("/fuzz", "made by a fuzzer"),
    ("/crash", "broken on purpose"),
    ("crash-", "broken on purpose"),
    ("timeout-", "broken on purpose"),
    ("oom-", "broken on purpose"),
    ("fli_oo", "broken on purpose"),
    ("_overflow", "broken on purpose"),
    ("negative_size", "broken on purpose"),
    ("courB08.pbm", "a PNG file, called PBM"),
    ("sv4_header", "a Musepack of before 2001, which has no signature"),
    ("sv5_header", "a Musepack of before 2001, which has no signature"),
    ("almostempty.mpc", "holds nothing"),
    ("full-template.txt", "valid TOML, called text"),
    ("git_archival.txt", "valid YAML, called text"),
    ("markdown/example.md", "text without any mark-up"),
    ("json-with-spaces", "not JSON: it has tabs inside of strings"),
    ("ossfuzz", "made by a fuzzer"),
    ("no_cursors", "holds nothing"),
    ("TestNoXML", "is not what it is called"),
    ("test_files/dummy.mp4", "is not what it is called"),
    ("_scratch/", "is not what it is called"),
    ("test_files/snippets/", "XML, called text"),
    ("pillow-13.0.0/Tests/fonts/", "PNG files, called PBM"),
    ("examplefiles/arrow", "a language of that extension"),
    ("examplefiles/blueprint", "a language of that extension"),
    ("examplefiles/csound", "a language of that extension"),
    ("_templates/", "the template of a page, not a page"),
    ("_themes/", "the template of a page, not a page"),
    ("latex2e/", "the template of a document, not a document"),
    ("resources/templates/", "the template of a drawing, not a drawing"),
    ("xelatex.tex", "the template of a document, not a document"),
    ("Tests/images/bmp/b/", "broken on purpose"),
    ("Tests/images/bmp/x/", "broken on purpose"),
)


class Sample(msgspec.Struct, frozen=True):
    """One labelled file."""

    name: str
    label: str
    body: bytes


def main(argv: list[str]) -> int:
    """Print the share, the table of formats and every mistake; fail below the share required."""
    parser = argparse.ArgumentParser(prog="bench sniff_corpus", description=__doc__)
    parser.add_argument("--sources", type=Path, help="source distributions that are here already")
    chosen = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as scratch:
        folder = chosen.sources or Path(scratch) / "sources"
        if chosen.sources is None:
            download(folder)
        made = Path(scratch) / "made"
        made.mkdir()
        samples = [*from_sources(folder), *from_made(made)]
        return report(samples)


def download(folder: Path) -> None:
    """Have pip fetch the source distributions, one after the other; one may fail to."""
    for name in SDISTS:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--no-binary", name, "--dest", str(folder), name]
        if subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode:
            print(f"left out: pip cannot fetch {name}", file=sys.stderr)


def from_sources(folder: Path) -> Iterator[Sample]:
    """Some files of each format of each project."""
    for archive in sorted([*folder.glob("*.tar.gz"), *folder.glob("*.zip")]):
        by_label: dict[str, list[Sample]] = defaultdict(list)
        for name, body in members(archive):
            label = LABELS.get(PurePosixPath(name).suffix[1:].lower())
            if label and body and not any(part in name for part, _ in ASIDE):
                by_label[label].append(Sample(name, label, body))
        for label in sorted(by_label):
            found = sorted(by_label[label], key=lambda one: one.name)
            yield from found[:: max(len(found) // EACH_MAX, 1)][:EACH_MAX]


def members(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the files in an archive."""
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as opened:
            yield from ((one, opened.read(one)) for one in opened.namelist() if one[-1] != "/")
        return
    with tarfile.open(archive) as opened:
        for member in opened:
            if member.isfile() and member.size <= FILE_BYTES_MAX:
                stream = opened.extractfile(member)
                yield member.name, stream.read() if stream else b""


def from_made(folder: Path) -> Iterator[Sample]:
    """What the programs of this machine make."""
    for path, label in sniff_made.make_all(folder):
        yield Sample(f"made/{path.name}", label, path.read_bytes())


def report(samples: list[Sample]) -> int:
    """The table, the mistakes, the share."""
    counted, right = Counter(), Counter()
    mistakes = []
    for sample in samples:
        wanted, found = known(sample.label)[:1], sniff(sample.body)
        label = wanted[0] if wanted else sample.label
        counted[label] += 1
        if found == label:
            right[label] += 1
        else:
            mistakes.append((label, found, sample.name))
    print(f"{'format':16} {'files':>6} {'right':>6}")
    for label in sorted(counted):
        print(f"{label:16} {counted[label]:6} {right[label]:6}")
    confusions = Counter((label, found) for label, found, _ in mistakes)
    for (label, found), count in confusions.most_common():
        names = [name for one, other, name in mistakes if (one, other) == (label, found)]
        print(f"{label} taken for {found}: {count} ({', '.join(names[:4])})")
    share = right.total() / counted.total()
    print(f"{right.total()} of {counted.total()} files of {len(counted)} formats: {share:.2%}")
    return share < SHARE_REQUIRED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
