"""Recognised pages as plain text, as JSON and as hOCR."""

import html
from collections.abc import Iterator, Sequence

import msgspec

from engine.converters.ocr.reader import Line, Page

_HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE html>\n'
    '<html xmlns="http://www.w3.org/1999/xhtml"><head><title></title><meta charset="utf-8"/>\n'
    '<meta name="ocr-system" content="tesseract"/>\n'
    '<meta name="ocr-capabilities" content="ocr_page ocr_par ocr_line ocrx_word"/></head><body>\n'
)


def as_text(page: Page) -> str:
    """Lines in reading order, an empty one between paragraphs."""
    written = []
    for number, line in enumerate(page.lines):
        if number and (line.starts_paragraph or line.starts_block):
            written.append("")
        written.append(" ".join(word.text for word in line.words))
    return "".join(f"{one}\n" for one in written)


def as_json(pages: Sequence[tuple[int, Page]]) -> bytes:
    """Every word with its box in pixels: left, top, right, bottom."""
    told = [
        {
            "page": place + 1,
            "width": page.size[0],
            "height": page.size[1],
            "dpi": round(page.dpi, 2),
            "lines": [
                {
                    "box": line.box,
                    "words": [
                        {
                            "text": word.text,
                            "box": word.box,
                            "confidence": round(word.confidence, 1),
                        }
                        for word in line.words
                    ],
                }
                for line in page.lines
            ],
        }
        for place, page in pages
    ]
    return msgspec.json.format(msgspec.json.encode({"pages": told}), indent=1)


def as_hocr(pages: Sequence[tuple[int, Page]]) -> bytes:
    """The embedded workflow format of hOCR 1.2 (kba.github.io/hocr-spec/1.2)."""
    body = "".join(_hocr_page(place, page) for place, page in pages)
    return f"{_HEAD}{body}</body></html>\n".encode()


def _hocr_page(place: int, page: Page) -> str:
    width, height = page.size
    title = f"bbox 0 0 {width} {height}; ppageno {place}; scan_res {page.dpi:.0f} {page.dpi:.0f}"
    paragraphs = "".join(
        f'<p class="ocr_par">\n{"".join(map(_hocr_line, lines))}</p>\n'
        for lines in _paragraphs(page.lines)
    )
    return f'<div class="ocr_page" title="{title}">\n{paragraphs}</div>\n'


def _paragraphs(lines: Sequence[Line]) -> Iterator[list[Line]]:
    together: list[Line] = []
    for line in lines:
        if together and (line.starts_paragraph or line.starts_block):
            yield together
            together = []
        together.append(line)
    if together:
        yield together


def _hocr_line(line: Line) -> str:
    words = " ".join(
        f'<span class="ocrx_word" title="{_box(word.box)}; x_wconf {word.confidence:.0f}">'
        f"{html.escape(word.text)}</span>"
        for word in line.words
    )
    return f'<span class="ocr_line" title="{_box(line.box)}">{words}</span>\n'


def _box(sides: tuple[int, int, int, int]) -> str:
    return "bbox " + " ".join(map(str, sides))
