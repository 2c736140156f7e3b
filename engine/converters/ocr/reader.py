"""Tesseract, one instance a language, made before the fork.

An instance reads its language's data from a file when it is made. A worker can open none, so the
zygote makes one for each installed language and one for each together with English; workers inherit
them, at no cost until they write. More languages than the limit would make the zygote large.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import tesserocr
from PIL import Image

from engine.converters.ocr.catalogue import TESSDATA, RecogniseOptions
from engine.errors import OptionInvalid

# Each costs the zygote 13 MiB, and 22 more together with English: 250 MiB at this many.
_LANGUAGES_MAX = 8
_ENGLISH = "eng"
# Data that is no language: of directions and scripts, of formulas.
_NO_LANGUAGE = frozenset({"osd", "equ"})
_LAYOUTS = {
    "auto": tesserocr.PSM.AUTO,
    "column": tesserocr.PSM.SINGLE_COLUMN,
    "block": tesserocr.PSM.SINGLE_BLOCK,
    "line": tesserocr.PSM.SINGLE_LINE,
    "word": tesserocr.PSM.SINGLE_WORD,
    "sparse": tesserocr.PSM.SPARSE_TEXT,
}

_instances: dict[frozenset[str], tesserocr.PyTessBaseAPI] = {}


class Word(NamedTuple):
    """A word: box and baseline in pixels from the top left; how sure tesseract is, of 100."""

    text: str
    box: tuple[int, int, int, int]
    baseline: tuple[tuple[int, int], tuple[int, int]]
    confidence: float


class Line(NamedTuple):
    """A line of text, and whether a paragraph or a block begins with it."""

    words: tuple[Word, ...]
    box: tuple[int, int, int, int]
    starts_paragraph: bool
    starts_block: bool


class Page(NamedTuple):
    """A page as it was looked at: its size in pixels, its lines, the dots an inch."""

    size: tuple[int, int]
    dpi: float
    lines: tuple[Line, ...]


def load() -> None:
    """Make the instances. Called once, in the zygote."""
    found = sorted(path.stem for path in Path(TESSDATA).glob("*.traineddata"))
    others = [name for name in found if name not in {_ENGLISH, *_NO_LANGUAGE}]
    languages = [_ENGLISH, *others][:_LANGUAGES_MAX]
    for name in languages:
        _make(name)
    for name in languages[1:]:
        _make(name, _ENGLISH)


def _make(*languages: str) -> None:
    instance = tesserocr.PyTessBaseAPI(path=f"{TESSDATA}/", lang="+".join(languages))
    # Remarks go to standard error, which a worker lacks; by default to a file it cannot open.
    instance.SetVariable("debug_file", "")
    _instances[frozenset(languages)] = instance


def installed() -> list[str]:
    """The languages there are, English first."""
    return [next(iter(names)) for names in _instances if len(names) == 1]


def combinations() -> list[str]:
    """All that the option language may say."""
    return ["+".join(names) for names in _instances]


def read(picture: Image.Image, dpi: float, likely_dpi: float, options: RecogniseOptions) -> Page:
    """Recognise a page given in shades of grey. Raises OptionInvalid for a language not here.

    `dpi` is what it was drawn at; `likely_dpi` tells tesseract how large letters may be.
    """
    instance = _instances.get(frozenset(options.language.split("+")))
    if instance is None:
        raise OptionInvalid(
            f"language: installed here are {', '.join(installed())}, each alone or with +eng"
        )
    instance.SetPageSegMode(_LAYOUTS[options.layout])
    instance.SetImageBytes(picture.tobytes(), *picture.size, 1, picture.width)
    instance.SetSourceResolution(round(likely_dpi))
    instance.Recognize()
    lines = tuple(_lines(instance.GetIterator()))
    instance.Clear()
    return Page(picture.size, dpi, lines)


def _lines(found: tesserocr.PyResultIterator) -> Iterator[Line]:
    """Lines in reading order; those without a word are spots."""
    level = tesserocr.RIL
    words: list[Word] = []
    starts = [False, False]
    box = (0, 0, 0, 0)
    for at in tesserocr.iterate_level(found, level.WORD) if found else ():
        if at.Empty(level.WORD):
            continue
        if at.IsAtBeginningOf(level.TEXTLINE):
            words, box = [], at.BoundingBox(level.TEXTLINE)
            starts = [at.IsAtBeginningOf(level.PARA), at.IsAtBeginningOf(level.BLOCK)]
        text = at.GetUTF8Text(level.WORD).strip()
        if text:
            words.append(
                Word(
                    text,
                    at.BoundingBox(level.WORD),
                    at.Baseline(level.WORD),
                    at.Confidence(level.WORD),
                )
            )
        if at.IsAtFinalElement(level.TEXTLINE, level.WORD) and words:
            yield Line(tuple(words), box, *starts)
