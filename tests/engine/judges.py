"""Look inside results with programs that did not make them: ImageMagick, qpdf, poppler."""

import math
import re
import shutil
import struct
import subprocess
import tempfile
from pathlib import Path

from PIL import Image, ImageChops, ImageStat

# /usr/local may hold a stand-in under the plain name.
_CONVERT = shutil.which("convert-im6") or shutil.which("convert-im6.q16") or "/usr/bin/convert"


def run(*command: str, stdin: bytes) -> bytes:
    """What the program writes; it must succeed."""
    done = subprocess.run(command, input=stdin, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout


class Seen:
    """An image as ImageMagick sees it: one frame."""

    def __init__(self, data: bytes, name: str, frame: int = 0) -> None:
        place = f"{name}:-[{frame}]"
        told = run(
            "identify", "-format", "%m|%w|%h|%[channels]|%z|%[colorspace]\n", place, stdin=data
        )
        kind, width, height, self.channels, depth, self.colourspace = (
            told.decode().strip().split("|")
        )
        self.kind, self.size, self.depth = kind, (int(width), int(height)), int(depth)
        self._data, self._place = data, place

    def rgb(self) -> Image.Image:
        """Its colours, transparency ignored, as decoded by ImageMagick."""
        raw = run(_CONVERT, self._place, "-alpha", "off", "-depth", "8", "rgb:-", stdin=self._data)
        return Image.frombytes("RGB", self.size, raw)

    def alpha(self) -> Image.Image:
        """Its transparency as a grey image."""
        raw = run(
            _CONVERT, self._place, "-alpha", "extract", "-depth", "8", "gray:-", stdin=self._data
        )
        return Image.frombytes("L", self.size, raw)


def frames(data: bytes, name: str) -> list[tuple[int, int]]:
    """(width, height) of every frame's canvas, as ImageMagick counts them."""
    told = run("identify", "-format", "%W %H\n", f"{name}:-", stdin=data).decode()
    return [(int(w), int(h)) for w, h in re.findall(r"(\d+) (\d+)", told)]


def delays_ms(data: bytes, name: str) -> list[int]:
    """Duration of every frame in milliseconds."""
    told = run("identify", "-format", "%T\n", f"{name}:-", stdin=data).decode()
    return [int(line) * 10 for line in told.split()]


def psnr(one: Image.Image, other: Image.Image) -> float:
    """Peak signal-to-noise ratio in dB of two images of one mode and size; 99 for equal ones."""
    assert (one.mode, one.size) == (other.mode, other.size)
    statistics = ImageStat.Stat(ImageChops.difference(one, other))
    error = sum(statistics.sum2) / (one.width * one.height * len(statistics.sum2))
    return 10 * math.log10(255**2 / error) if error else 99.0


def png_chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """(type, content) of each chunk, by the specification rather than a library."""
    chunks, at = [], 8
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        chunks.append((kind, data[at + 8 : at + 8 + size]))
        at += 12 + size
    return chunks


def page_sizes(pdf: bytes) -> list[tuple[float, float]]:
    """Width and height of every page in points as seen (turned), by poppler."""
    told = run("pdfinfo", "-l", "-1", "-", stdin=pdf).decode()
    sizes = re.findall(r"Page +\d+ size: +([\d.]+) x ([\d.]+)", told)
    turns = re.findall(r"Page +\d+ rot: +(\d+)", told)
    pairs = [(float(w), float(h)) for w, h in sizes]
    return [
        pair[::-1] if int(turn) % 180 else pair for pair, turn in zip(pairs, turns, strict=True)
    ]


def words(pdf: bytes, *options: str) -> str:
    """The text by poppler, pages apart by form feeds."""
    return run("pdftotext", *options, "-", "-", stdin=pdf).decode()


def pictures(pdf: bytes) -> list[Image.Image]:
    """Every image in the document as RGB, taken out by poppler."""
    with tempfile.TemporaryDirectory() as folder:
        run("pdfimages", "-png", "-", f"{folder}/picture", stdin=pdf)
        return [Image.open(path).convert("RGB") for path in sorted(Path(folder).iterdir())]


def rendered(pdf: bytes, page: int = 1, dpi: int = 72) -> Image.Image:
    """A page as poppler draws it."""
    raw = run("pdftoppm", "-r", str(dpi), "-f", str(page), "-l", str(page), stdin=pdf)
    width, height = (int(n) for n in raw.split(maxsplit=4)[1:3])
    return Image.frombytes("RGB", (width, height), raw[-width * height * 3 :])


def qpdf_approves(pdf: bytes, *options: str) -> str:
    """qpdf finds nothing wrong; returns what it says. It reads from files only."""
    with tempfile.NamedTemporaryFile(suffix=".pdf") as file:
        file.write(pdf)
        file.flush()
        done = subprocess.run(
            ["qpdf", *options, "--check", file.name], capture_output=True, check=False
        )
    said = (done.stdout + done.stderr).decode(errors="replace")
    assert done.returncode == 0, said
    return said
