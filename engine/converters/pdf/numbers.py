"""pdf.number and pdf.bates: a line of text on every page, which counts."""

from collections.abc import Callable

from engine.converter import Result, Work
from engine.converters.lettering import check_letters, embed
from engine.converters.pdf.catalogue_marks import BatesOptions, NumberOptions
from engine.converters.pdf.files import losses, open_document, read_pages, save
from engine.converters.pdf.geometry import MM, anchored, centred, seen_to_page, then, view
from engine.converters.pdf.ranges import parse_pages
from engine.converters.pdf.stamps import lay, text_stamp

_MIRRORED = {
    "left": "right",
    "right": "left",
    "top-left": "top-right",
    "top-right": "top-left",
    "bottom-left": "bottom-right",
    "bottom-right": "bottom-left",
}


def number(work: Work) -> Result:
    """Page numbers, headers or footers: the numbers follow the order in which pages are named."""
    options: NumberOptions = work.options

    def texts(count: int) -> list[str]:
        last = options.start + count - 1
        return [
            options.text.replace("{pages}", str(last)).replace("{page}", str(options.start + at))
            for at in range(count)
        ]

    return _write(work, texts)


def bates(work: Work) -> Result:
    """Numbers with zeros before them, a prefix and a suffix."""
    options: BatesOptions = work.options

    def texts(count: int) -> list[str]:
        return [
            f"{options.prefix}{options.start + at:0{options.digits}d}{options.suffix}"
            for at in range(count)
        ]

    return _write(work, texts)


def _write(work: Work, texts: Callable[[int], list[str]]) -> Result:
    options: NumberOptions | BatesOptions = work.options
    mirrored = isinstance(options, NumberOptions) and options.mirrored
    with open_document(work, 0, options.password) as document:
        count = read_pages(document, work.bounds)
        pages = parse_pages(options.pages, count, pages_max=work.bounds.pages_max)
        chosen = list(dict.fromkeys(pages))
        lines = texts(len(chosen))
        check_letters(options.font, "".join(lines))
        letters = embed(document, options.font, lines)
        for index, line in zip(chosen, lines, strict=True):
            page = document.pages[index]
            seen = view(page)
            place = str(options.position)
            if mirrored and index % 2:
                place = _MIRRORED.get(place, place)
            stamp = text_stamp(document, letters, line, options.font_size, options.colour)
            middle = anchored(place, seen.size, stamp.size, options.margin_mm * MM)
            where = then(centred(stamp.size, middle, 1, 0), seen_to_page(seen))
            lay(page, stamp.form, [where])
        warnings = losses(document)
        return Result(files=(save(document, work),), warnings=warnings)
