"""Are pages drawn, read and rebuilt as well as by the programs people compare with?

Renders every page of a few documents with our converter and with poppler, and compares: SSIM of the
grey pictures, after a shift of at most one pixel, since the two count pixel centres differently.
Recognises pages that were generated and drawn here, clean and worn, and counts words. Where
LibreOffice is installed, rebuilds documents as Word (laid out as the page) and PowerPoint and
compares what it shows with the original.
"""

import argparse
import io
import random
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import typst
from PIL import Image, ImageFilter

from engine import task
from tests.engine.calls import Reply, convert, sample

_WORDS = Path("/usr/share/common-licenses/GPL-3")
# Drawn at twice the density at which they are compared, so that where exactly a letter's edge falls
# between two pixels, which is anybody's choice, weighs less.
_DPI = 200
# A page full of small print reaches 0.93, everything else 0.98: the two shade the edges of
# letters differently, and such a page is nothing but edges.
_LIKE = 0.92


def main(argv: list[str]) -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m bench quality_pdf")
    parser.add_argument("--pages", type=int, default=6, help="recognised pages of each kind")
    options = parser.parse_args(argv)
    for module in ("engine.converters.pdf.warm", "engine.converters.ocr.warm"):
        __import__(module)
    task.warm()
    documents = _documents()
    failed = _render(documents)
    failed |= _recognise(options.pages)
    _rebuild(documents)
    return failed


def _documents() -> dict[str, bytes]:
    """Text, tables, drawings, gradients, a photograph, formulas, several scripts; and forms."""
    prose = " ".join(_WORDS.read_text().split()[:900])
    plain = re.sub(r"[^A-Za-z0-9 ,.;:()-]", "", prose)
    report = f"""
#set page(paper: "a4", margin: 2cm, numbering: "1")
#set text(font: ("Liberation Serif", "DejaVu Serif"))
= The harbour in numbers
#columns(2)[{plain}]
"""
    drawing = """
#set page(paper: "a5", margin: 1cm)
#set text(font: "DejaVu Sans")
#table(columns: 4, fill: (x, y) => if calc.odd(y) { luma(230) },
  ..range(40).map(n => [cell #n]))
#rect(width: 100%, height: 3cm, fill: gradient.linear(red, blue, green))
#rotate(30deg)[#circle(radius: 1cm, stroke: 2pt + purple)[turned]]
$ integral_0^1 x^2 dif x = sum_(k=1)^n 1 / k^2 $
Greek αβγδ, Cyrillic жизнь, French çà et là, Polish źdźbło
"""
    made = {
        name: typst.compile(text.encode())
        for name, text in (("report", report), ("drawing", drawing))
    }
    made["photograph"] = convert(sample("orientation-1.jpg"), "jpeg", "pdf", page_size="a6").file
    made["form"] = sample("form.pdf")
    return made


def _render(documents: dict[str, bytes]) -> int:
    print("\npages drawn, against poppler at 200 dots an inch, compared at 100")
    print(f"{'document':12} {'page':>4} {'SSIM':>7} {'ours ms':>8} {'poppler ms':>11}")
    worst = 1.0
    for name, document in documents.items():
        started = time.process_time()
        files = convert(document, "pdf", "png", dpi=_DPI, colour="grey").files
        ours = (time.process_time() - started) * 1000 / len(files)
        for number, file in enumerate(files, 1):
            theirs, cost = _poppler(document, number)
            likeness = _likeness(Image.open(io.BytesIO(file)).convert("L"), theirs)
            worst = min(worst, likeness)
            print(f"{name:12} {number:4} {likeness:7.4f} {ours:8.0f} {cost:11.0f}")
    print(f"worst {worst:.4f} (wanted {_LIKE})")
    return int(worst < _LIKE)


def _poppler(document: bytes, page: int) -> tuple[Image.Image, float]:
    # By its cairo half: pdftoppm moves each letter to a whole pixel, which nobody else does.
    pages = ["-f", str(page), "-l", str(page), "-singlefile"]
    command = ["pdftocairo", "-png", "-gray", "-r", str(_DPI), *pages, "-", "-"]
    started = time.perf_counter()
    raw = subprocess.run(command, input=document, capture_output=True, check=True).stdout
    cost = (time.perf_counter() - started) * 1000
    return Image.open(io.BytesIO(raw)).convert("L"), cost


def _likeness(one: Image.Image, other: Image.Image) -> float:
    """The best SSIM over shifts of at most one pixel."""
    one, other = one.reduce(2), other.reduce(2)
    size = min(one.width, other.width) - 2, min(one.height, other.height) - 2
    still = np.asarray(other.crop((1, 1, size[0] + 1, size[1] + 1)), dtype=np.float64)
    return max(
        _ssim(np.asarray(one.crop((x, y, x + size[0], y + size[1])), dtype=np.float64), still)
        for x in range(3)
        for y in range(3)
    )


def _ssim(one: Any, other: Any) -> float:
    """Structural similarity (Wang et al. 2004) by means of 8 x 8 pixels."""

    def mean(values: Any) -> Any:
        high, wide = (side // 8 * 8 for side in values.shape)
        return values[:high, :wide].reshape(high // 8, 8, wide // 8, 8).mean(axis=(1, 3))

    steady, lively = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    a, b = mean(one), mean(other)
    varied = mean(one * one) - a * a, mean(other * other) - b * b, mean(one * other) - a * b
    above = (2 * a * b + steady) * (2 * varied[2] + lively)
    return float((above / ((a * a + b * b + steady) * (varied[0] + varied[1] + lively))).mean())


_WEAR: dict[str, Callable[[Image.Image, random.Random], Image.Image]] = {
    "clean 300": lambda page, _: page,
    "clean 200": lambda page, _: page.resize((page.width * 2 // 3, page.height * 2 // 3)),
    "noise 300": lambda page, chance: Image.blend(
        page, Image.effect_noise(page.size, 90), 0.25 + chance.random() * 0.05
    ),
    "skew 1.0 300": lambda page, _: page.rotate(1.0, Image.Resampling.BICUBIC, fillcolor=255),
    "blur 300": lambda page, _: page.filter(ImageFilter.GaussianBlur(1.2)),
    "jpeg 20, 200": lambda page, _: _squeezed(
        page.resize((page.width * 2 // 3, page.height * 2 // 3))
    ),
}


def _squeezed(page: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    page.save(buffer, "JPEG", quality=20)
    return Image.open(buffer)


def _recognise(pages: int) -> int:
    print(f"\nwords recognised on {pages} generated pages of each kind, in their order")
    print(f"{'pages':14} {'words':>6} {'right':>7} {'searchable':>11} {'CPU s a page':>13}")
    rates = {}
    for kind, wear in _WEAR.items():
        right = total = found_in_pdf = 0
        started = time.process_time()
        for text, picture in _printed(pages):
            worn = wear(picture, random.Random(kind))  # noqa: S311  # wear, not secrets
            dpi = 200 if "200" in kind else 300
            buffer = io.BytesIO()
            worn.save(buffer, "PNG", dpi=(dpi, dpi))
            found = convert(buffer.getvalue(), "png", "txt", operation="recognise").file.decode()
            made = convert(buffer.getvalue(), "png", "pdf", operation="searchable").file
            inside = subprocess.run(
                ["pdftotext", "-", "-"], input=made, capture_output=True, check=True
            )
            total += len(text)
            right += _common(text, found.split())
            found_in_pdf += _common(text, inside.stdout.decode().split())
        cost = (time.process_time() - started) / pages / 2
        rates[kind] = right / total
        print(f"{kind:14} {total:6} {right / total:7.2%} {found_in_pdf / total:11.2%} {cost:13.2f}")
    print("wanted: 97% on clean pages")
    return int(min(rates["clean 300"], rates["clean 200"]) < 0.97)


def _printed(pages: int) -> Iterator[tuple[list[str], Image.Image]]:
    """Words in an order of their own, in several typefaces and sizes, drawn by poppler."""
    known = [word for word in _WORDS.read_text().split() if word.isascii() and word[0].isalnum()]
    faces = ("Liberation Serif", "Liberation Sans", "DejaVu Sans", "Carlito", "Caladea")
    for number in range(pages):
        chance = random.Random(number)  # noqa: S311  # words, not secrets
        words = chance.choices(known, k=350)
        shown = " ".join(words).replace("\\", "/")
        for mark in "#$*_<>@`[]~":
            shown = shown.replace(mark, f"\\{mark}")
        size = chance.choice((9, 10, 11, 12))
        text = (
            '#set page(paper: "a4")\n#set par(justify: true)\n'
            f'#set text(font: "{faces[number % 5]}", size: {size}pt, hyphenate: false)\n{shown}'
        )
        document = typst.compile(text.encode())
        raw = subprocess.run(
            ["pdftoppm", "-gray", "-r", "300", "-l", "1"],
            input=document,
            capture_output=True,
            check=True,
        ).stdout
        inside = subprocess.run(
            ["pdftotext", "-", "-"], input=document, capture_output=True, check=True
        )
        yield inside.stdout.decode().split(), Image.open(io.BytesIO(raw)).convert("L")


def _common(wanted: list[str], found: list[str]) -> int:
    """The longest common run of words, gaps allowed."""
    row = [0] * (len(found) + 1)
    for word in wanted:
        before = row[:]
        for at, other in enumerate(found):
            row[at + 1] = before[at] + 1 if word == other else max(row[at], before[at + 1])
    return row[-1]


def _rebuild(documents: dict[str, bytes]) -> None:
    office = shutil.which("soffice")
    if office is None:
        print("\nLibreOffice is not installed: rebuilt documents are not compared")
        return
    print(
        "\nrebuilt documents, shown by LibreOffice, against the original (SSIM of the first page)"
    )
    for name in ("report", "drawing"):
        original = _poppler(documents[name], 1)[0]
        for target, options in (("docx", {"layout": "page"}), ("pptx", {})):
            reply: Reply = convert(documents[name], "pdf", target, **options)
            shown = _poppler(_by_office(office, reply.file, target), 1)[0]
            print(f"{name:12} {target:5} {_likeness(shown.resize(original.size), original):7.4f}")


def _by_office(office: str, file: bytes, kind: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"made.{kind}"
        path.write_bytes(file)
        # Under a name of its own, or an office that is open would take the file over.
        command = [office, f"-env:UserInstallation=file://{folder}/profile", "--headless"]
        subprocess.run(
            [*command, "--convert-to", "pdf", "--outdir", folder, str(path)],
            capture_output=True,
            check=True,
        )
        return (Path(folder) / "made.pdf").read_bytes()
