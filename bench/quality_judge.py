"""How alike two pictures are, and what a page looks like: the judges of the quality benches.

Structural similarity as its authors define it (Wang, Bovik, Sheikh and Simoncelli, 2004): a
Gaussian window of 11 pixels, sigma 1.5. Of a colour picture it is taken of luma and both chromas,
weighted 6 : 1 : 1, so that who saves on colour does not get that for nothing.
"""

import functools
import io
import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

_SIGMA, _RADIUS = 1.5, 5
_STEADY, _LIVELY = (0.01 * 255) ** 2, (0.03 * 255) ** 2
_WEIGHTS = (6, 1, 1)
_PAGES_KEPT = 32


def similarity(one: Image.Image, other: Image.Image) -> float:
    """SSIM of two pictures of the same size, 1 where they are equal."""
    if one.mode == other.mode == "L":
        return _ssim(_plane(one), _plane(other))
    bands = zip(
        one.convert("RGB").convert("YCbCr").split(),
        other.convert("RGB").convert("YCbCr").split(),
        strict=True,
    )
    values = [_ssim(_plane(a), _plane(b)) for a, b in bands]
    return sum(w * value for w, value in zip(_WEIGHTS, values, strict=True)) / sum(_WEIGHTS)


def _plane(band: Image.Image) -> Any:
    return np.asarray(band, dtype=np.float32)


def _ssim(a: Any, b: Any) -> float:
    mean_a, mean_b = _blurred(a), _blurred(b)
    both = mean_a * mean_b
    square_a, square_b = mean_a * mean_a, mean_b * mean_b
    varied_a = _blurred(a * a) - square_a
    varied_b = _blurred(b * b) - square_b
    together = _blurred(a * b) - both
    above = (2 * both + _STEADY) * (2 * together + _LIVELY)
    below = (square_a + square_b + _STEADY) * (varied_a + varied_b + _LIVELY)
    return float((above / below).mean(dtype=np.float64))


_STEPS = np.arange(-_RADIUS, _RADIUS + 1)
_WINDOW = np.exp(-(_STEPS**2) / (2 * _SIGMA**2))
_WINDOW = (_WINDOW / _WINDOW.sum()).astype(np.float32)


def _blurred(plane: Any) -> Any:
    """Weighted means over the window, where it lies within the picture."""
    high, wide = (side - 2 * _RADIUS for side in plane.shape)
    plane = sum(weight * plane[at : at + high] for at, weight in enumerate(_WINDOW))
    return sum(weight * plane[:, at : at + wide] for at, weight in enumerate(_WINDOW))


def pages(document: bytes) -> int:
    """How many pages poppler counts; 0 where it cannot read the document."""
    told = subprocess.run(["pdfinfo", "-"], input=document, capture_output=True, check=False)
    found = re.search(rb"^Pages: +(\d+)", told.stdout, re.MULTILINE)
    return int(found[1]) if found else 0


# The pages of one document are looked at beside those of several others.
@functools.lru_cache(maxsize=_PAGES_KEPT)
def drawn(document: bytes, page: int, dpi: int) -> Image.Image:
    """A page as poppler draws it, in colour."""
    chosen = ["-f", str(page), "-l", str(page), "-singlefile"]
    command = ["pdftocairo", "-png", "-r", str(dpi), *chosen, "-", "-"]
    raw = subprocess.run(command, input=document, capture_output=True, check=True).stdout
    return Image.open(io.BytesIO(raw)).convert("RGB")


def least_alike(one: bytes, other: bytes, dpi: int) -> float:
    """The smallest similarity of pages of two documents; 0 where pages differ in size or number."""
    count = pages(one)
    if not count or count != pages(other):
        return 0.0
    least = 1.0
    for page in range(1, count + 1):
        a, b = drawn(one, page, dpi), drawn(other, page, dpi)
        least = min(least, similarity(a, b) if a.size == b.size else 0.0)
    return least


def printed_by_office(office: str, path: Path, target: str, environment: dict[str, str]) -> bytes:
    """What a `soffice` of its own, with a profile and a disk, exports; `target` as it names it."""
    folder = path.parent
    command = [office, f"-env:UserInstallation=file://{folder}/profile", "--headless"]
    subprocess.run(
        [*command, "--convert-to", target, "--outdir", str(folder), str(path)],
        env=environment,
        check=True,
        capture_output=True,
    )
    return path.with_suffix(".pdf").read_bytes()
