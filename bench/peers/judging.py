"""Is what a peer answered the same kind of thing, and how alike is it?

A judge gets the corpus, the files that were sent and the answer. It returns a likeness, 1 where
nothing is lost, or None where there is no such figure; it raises Unlike where the answer is not
what was asked, and that peer's row is then left out with the reason.
"""

import csv
import functools
import io
import re
import subprocess
import zipfile
from collections.abc import Callable, Sequence
from typing import NamedTuple

import pi_heif
from PIL import Image

from bench.peers.inputs import Corpus
from bench.quality_judge import similarity

# Decoders that scale round sides up or down.
_PIXELS_OFF = 1
# Below this two pictures are not of the same thing, or not of the same quality.
_ALIKE_LEAST = 0.75
_PAGE_WIDTH = 500
_WORDS_LEAST, _CELLS_LEAST = 0.9, 0.9
# 192 kilobits a second.
_MP3_BITS, _MP3_OFF = 192_000, 0.1


class Unlike(Exception):
    """The answer is not what was asked; the text says in what."""


class Wish(NamedTuple):
    """What was asked: the files, the format, the width where pictures are scaled."""

    corpus: Corpus
    files: Sequence[str]
    target: str
    width: int | None


# What a broken answer makes of the tools that look into it.
CANNOT_LOOK = (OSError, ValueError, subprocess.SubprocessError, csv.Error, zipfile.BadZipFile)

Judge = Callable[[Wish, bytes], float | None]


def picture(wish: Wish, answer: bytes) -> float:
    """SSIM with all pixels of the source scaled by Lanczos."""
    return _alike(_reference(wish.corpus, wish.files[0], wish.width), _opened(answer, wish.target))


def animation(wish: Wish, answer: bytes) -> float:
    """The same of the first frame; all frames must be there."""
    made = _opened(answer, wish.target)
    frames = Image.open(wish.corpus.path(wish.files[0])).n_frames  # type: ignore[attr-defined]
    if (count := getattr(made, "n_frames", 1)) != frames:
        raise Unlike(f"{count} frames of {frames}")
    return _alike(_reference(wish.corpus, wish.files[0], wish.width), made)


def drawn_page(wish: Wish, answer: bytes) -> float:
    """SSIM with what poppler draws."""
    return _alike(_page(wish.corpus.bytes(wish.files[0]), 1, 1240), _opened(answer, wish.target))


def merged(wish: Wish, answer: bytes) -> float:
    """All pages in order: the first of each part, drawn by poppler."""
    parts = [wish.corpus.bytes(name) for name in wish.files]
    counts = [_pages(part) for part in parts]
    if (count := _pages(answer)) != sum(counts):
        raise Unlike(f"{count} pages of {sum(counts)}")
    least = 1.0
    for number in (0, len(parts) - 1):
        at = sum(counts[:number]) + 1
        drawn = _page(answer, at, _PAGE_WIDTH)
        least = min(least, _alike(_page(parts[number], 1, _PAGE_WIDTH), drawn))
    return least


def same_pages(wish: Wish, answer: bytes) -> float:
    """The same document: every page, drawn by poppler; the least alike counts."""
    before = wish.corpus.bytes(wish.files[0])
    if (count := _pages(answer)) != _pages(before):
        raise Unlike(f"{count} pages of {_pages(before)}")
    each = range(1, count + 1)
    return min(_alike(_page(before, n, _PAGE_WIDTH), _page(answer, n, _PAGE_WIDTH)) for n in each)


def bound(wish: Wish, answer: bytes) -> float:
    """A page a picture, and the first one drawn is the first picture."""
    if (count := _pages(answer)) != len(wish.files):
        raise Unlike(f"{count} pages of {len(wish.files)}")
    first = Image.open(wish.corpus.path(wish.files[0])).convert("RGB")
    drawn = _page(answer, 1, first.width)
    if drawn.height > first.height + _PIXELS_OFF:
        raise Unlike("the first page is not of the picture's proportions")
    return _alike(first, drawn)


def words(wish: Wish, answer: bytes) -> float:
    """The share of the source's different words that poppler finds in the PDF."""
    if not _pages(answer):
        raise Unlike("no PDF")
    told = subprocess.run(["pdftotext", "-", "-"], input=answer, capture_output=True, check=True)
    wanted = set(re.findall(r"[a-z]{4,}", wish.corpus.bytes("notes.md").decode().lower()))
    found = set(re.findall(r"[a-z]{4,}", told.stdout.decode(errors="replace").lower()))
    share = len(wanted & found) / len(wanted)
    if share < _WORDS_LEAST:
        raise Unlike(f"{share:.0%} of the words")
    return share


def cells(wish: Wish, answer: bytes) -> float:
    """The share of cells that say what the workbook was made of."""
    del wish
    from bench import catalogue_inputs  # noqa: PLC0415  # the table is made when it is needed

    wanted = list(csv.reader(io.StringIO(catalogue_inputs.table().decode())))
    found = list(csv.reader(io.StringIO(answer.decode("utf-8-sig"))))
    if len(found) != len(wanted):
        raise Unlike(f"{len(found)} rows of {len(wanted)}")
    pairs = [pair for a, b in zip(wanted, found, strict=True) for pair in zip(a, b, strict=False)]
    share = sum(_same(*pair) for pair in pairs) / sum(map(len, wanted))
    if share < _CELLS_LEAST:
        raise Unlike(f"{share:.0%} of the cells")
    return share


def sound(_: Wish, answer: bytes) -> None:
    """Half a minute of MP3 at the usual rate; how it sounds is not judged."""
    asked = ["ffprobe", "-v", "error", "-show_entries", "format=duration,bit_rate,format_name"]
    told = subprocess.run(
        [*asked, "-of", "csv=p=0", "-"], input=answer, capture_output=True, check=False
    ).stdout.decode()
    if "mp3" not in told:
        raise Unlike(f"no MP3: {told.strip() or 'unreadable'}")
    bits = len(answer) * 8 / 30
    if abs(bits / _MP3_BITS - 1) > _MP3_OFF:
        raise Unlike(f"{bits / 1000:.0f} kbit/s of {_MP3_BITS / 1000:.0f}")


def many(wish: Wish, answer: bytes) -> float:
    """An archive with all pictures and the manifest, or the first of those asked for singly."""
    if not answer.startswith(b"PK"):
        return picture(wish, answer)
    with zipfile.ZipFile(io.BytesIO(answer)) as archive:
        names = [name for name in archive.namelist() if name.endswith(f".{wish.target}")]
        if len(names) != len(wish.files):
            raise Unlike(f"{len(names)} pictures of {len(wish.files)}")
        return picture(wish, archive.read(names[0]))


@functools.lru_cache(maxsize=8)
def _reference(corpus: Corpus, name: str, width: int | None) -> Image.Image:
    pi_heif.register_heif_opener()
    source = Image.open(corpus.path(name)).convert("RGB")
    if width is None:
        return source
    size = (width, round(source.height * width / source.width))
    return source.resize(size, Image.Resampling.LANCZOS)


def _opened(answer: bytes, target: str) -> Image.Image:
    try:
        made = Image.open(io.BytesIO(answer))
        made.load()
    except OSError as error:
        raise Unlike("no picture") from error
    if made.format != target.upper():
        raise Unlike(f"{made.format} and not {target.upper()}")
    return made


def _alike(reference: Image.Image, made: Image.Image) -> float:
    across, down = made.width - reference.width, made.height - reference.height
    if max(abs(across), abs(down)) > _PIXELS_OFF:
        raise Unlike(f"{made.width} x {made.height} pixels, not {reference.size}")
    shared = (0, 0, min(made.width, reference.width), min(made.height, reference.height))
    likeness = similarity(reference.convert("RGB").crop(shared), made.convert("RGB").crop(shared))
    if likeness < _ALIKE_LEAST:
        raise Unlike(f"another picture: SSIM {likeness:.2f}")
    return likeness


def _pages(document: bytes) -> int:
    told = subprocess.run(["pdfinfo", "-"], input=document, capture_output=True, check=False)
    found = re.search(rb"^Pages: +(\d+)", told.stdout, re.MULTILINE)
    return int(found[1]) if found else 0


@functools.lru_cache(maxsize=64)
def _page(document: bytes, number: int, width: int) -> Image.Image:
    """A page of a given width, whatever size its document says that it has."""
    chosen = ["-f", str(number), "-l", str(number), "-singlefile"]
    scaled = ["-scale-to-x", str(width), "-scale-to-y", "-1"]
    raw = subprocess.run(
        ["pdftocairo", "-png", *scaled, *chosen, "-", "-"],
        input=document,
        capture_output=True,
        check=True,
    ).stdout
    return Image.open(io.BytesIO(raw)).convert("RGB")


def _same(wanted: str, found: str) -> bool:
    if wanted.casefold() == found.casefold():
        return True
    try:
        return abs(float(wanted) - float(found)) < 1e-9 * max(1.0, abs(float(wanted)))
    except ValueError:
        return False
