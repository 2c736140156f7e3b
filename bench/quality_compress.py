"""PDF compression against qpdf at its hardest, and against LibreOffice's own smaller export.

Without loss: bytes of `pdf.compress` against qpdf's object streams with everything packed again at
level 9; both must look as before. With loss: a document that LibreOffice exported whole and we made
small, against the one it exports small itself at the same dots an inch and JPEG quality; likeness
is the least of all pages, drawn by poppler, to the whole export. What counts is our size at the
JPEG quality at which we are as alike as it is.
"""

import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from bench import catalogue_inputs as made
from bench import corpus
from bench.quality_judge import least_alike, printed_by_office
from engine import task
from tests.engine.calls import convert, sample

_AS_GOOD = 1.01
_DPI = 60
# Presets that do what LibreOffice's filter can be told as well.
_LOSSY = {"ebook": (150, 75), "print": (300, 85)}
# JPEG qualities that are tried to come to the same likeness.
_LEAST, _MOST, _STEP = 30, 95, 3


def table() -> list[str]:
    """Print the tables; the rows that are worse."""
    __import__("engine.converters.pdf.warm")
    task.warm()
    documents = _documents()
    worse = _lossless(documents) if shutil.which("qpdf") else ["qpdf is not installed"]
    return worse + _lossy()


def _documents() -> dict[str, bytes]:
    """From several programs: typst, LibreOffice, images as pages, joined by qpdf, a form."""
    found = {"typst, 10 pages": made.pdf(), "form": sample("form.pdf"), "nine": sample("nine.pdf")}
    found["scan as pages"] = convert(made.scan(), "png", "pdf").file
    found["photograph"] = convert(corpus.jpeg_1mp(), "jpeg", "pdf").file
    if office := shutil.which("soffice"):
        found["LibreOffice export"] = _exported(office, "pdf")
        found["two exports joined"] = _joined(found["LibreOffice export"])
    return found


def _exported(office: str, target: str) -> bytes:
    with tempfile.TemporaryDirectory() as name:
        (path := Path(name, "made.docx")).write_bytes(made.docx())
        return printed_by_office(office, path, target, dict(os.environ))


def _joined(document: bytes) -> bytes:
    with tempfile.TemporaryDirectory() as name:
        one, two = Path(name, "one.pdf"), Path(name, "two.pdf")
        one.write_bytes(document)
        two.write_bytes(document)
        out = Path(name, "out.pdf")
        joined = ["qpdf", "--empty", "--pages", str(one), str(two), "--", str(out)]
        subprocess.run(joined, check=True)
        return out.read_bytes()


def _lossless(documents: dict[str, bytes]) -> list[str]:
    print(
        f"\nwithout loss\n{'document':20} {'before':>8} {'ours':>8} {'qpdf':>8} {'ratio':>6}"
        f" {'CPU ms':>7} {'qpdf':>7} {'SSIM':>7}  verdict"
    )
    worse = []
    for name, document in documents.items():
        begun = time.process_time()
        ours = convert(document, "pdf", "pdf", operation="compress").file
        cpu_ms = 1000 * (time.process_time() - begun)
        theirs, their_ms = _by_qpdf(document)
        likeness = least_alike(document, ours, _DPI)
        ratio = len(ours) / len(theirs)
        bad = ratio > _AS_GOOD or likeness < 1
        said = "worse" if bad else "as good" if ratio > 2 - _AS_GOOD else "better"
        print(
            f"{name:20} {len(document):8} {len(ours):8} {len(theirs):8} {ratio:6.3f} {cpu_ms:7.1f}"
            f" {their_ms:7.1f} {likeness:7.4f}  {said}",
            flush=True,
        )
        if bad:
            worse.append(f"lossless compression of {name}: {ratio:.3f}, SSIM {likeness:.4f}")
    return worse


def _by_qpdf(document: bytes) -> tuple[bytes, float]:
    command = ["qpdf", "--object-streams=generate", "--recompress-flate", "--compression-level=9"]
    with tempfile.TemporaryDirectory() as name:
        path, out = Path(name, "in.pdf"), Path(name, "out.pdf")
        path.write_bytes(document)
        begun = os.times()
        subprocess.run(
            [*command, "--remove-unreferenced-resources=yes", str(path), str(out)], check=True
        )
        ended = os.times()
        spent = ended.children_user + ended.children_system
        spent -= begun.children_user + begun.children_system
        return out.read_bytes(), 1000 * spent


def _lossy() -> list[str]:
    office = shutil.which("soffice")
    if office is None:
        print("\nwith loss: left out, LibreOffice is not installed")
        return []
    print(
        f"\nwith loss, against LibreOffice's own export: at the preset, and at equal likeness\n"
        f"{'preset':8} {'whole':>8} {'ours':>8} {'office':>8} {'SSIM':>7} {'office':>7}"
        f" {'as alike':>8} {'ratio':>6}  verdict"
    )
    worse = []
    whole = _exported(office, _filter(None))
    for preset, (dpi, quality) in _LOSSY.items():
        theirs = _exported(office, _filter((dpi, quality)))
        wanted = least_alike(whole, theirs, dpi // 2)
        ours, likeness = _smaller(whole, preset, quality, dpi)
        alike = _as_alike(whole, preset, wanted)
        ratio = len(alike) / len(theirs)
        said = "worse" if ratio > _AS_GOOD else "as good" if ratio > 2 - _AS_GOOD else "better"
        print(
            f"{preset:8} {len(whole):8} {len(ours):8} {len(theirs):8} {likeness:7.4f}"
            f" {wanted:7.4f} {len(alike):8} {ratio:6.3f}  {said}",
            flush=True,
        )
        if said == "worse":
            worse.append(f"compression for {preset}: {ratio:.3f}")
    return worse


def _smaller(whole: bytes, preset: str, quality: int, dpi: int) -> tuple[bytes, float]:
    """Ours at a JPEG quality, and how alike it is."""
    made_small = convert(
        whole, "pdf", "pdf", operation="compress", preset=preset, quality=quality
    ).file
    return made_small, least_alike(whole, made_small, dpi // 2)


def _as_alike(whole: bytes, preset: str, wanted: float) -> bytes:
    """The smallest of ours that is as alike: from the preset's quality down, or else up."""
    dpi, quality = _LOSSY[preset]
    best, likeness = _smaller(whole, preset, quality, dpi)
    step = -_STEP if likeness >= wanted else _STEP
    while _LEAST <= quality + step <= _MOST:
        quality += step
        tried, likeness = _smaller(whole, preset, quality, dpi)
        if step < 0 and likeness < wanted:
            break
        best = tried
        if step > 0 and likeness >= wanted:
            break
    return best


def _filter(small: tuple[int, int] | None) -> str:
    """The export filter: everything kept, or pictures at most so dense and of this quality."""
    settings: dict[str, dict[str, object]] = {
        "UseLosslessCompression": {"type": "boolean", "value": small is None},
        "ReduceImageResolution": {"type": "boolean", "value": small is not None},
    }
    if small is not None:
        settings["MaxImageResolution"] = {"type": "long", "value": small[0]}
        settings["Quality"] = {"type": "long", "value": small[1]}
    return f"pdf:writer_pdf_Export:{json.dumps(settings)}"
