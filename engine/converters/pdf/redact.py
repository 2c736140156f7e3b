"""pdf.redact: words and places removed for good.

A black bar over text is no redaction: the text is still there. So a page with something to hide
becomes a picture of itself, drawn with the bars; other pages keep their text. What could repeat the
words elsewhere goes from the whole document: comments and fields become part of their pages first,
then scripts, attached files, metadata and tags are dropped, and bookmarks and other texts that hold
the words are emptied. At last the written result is read again and searched; if anything is found,
nothing is returned.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec
import pikepdf
import pypdfium2
from pikepdf import Array, Dictionary, Stream, String
from PIL import Image, ImageDraw

from engine.converter import Result, Work
from engine.converters.pageparts import walk
from engine.converters.pdf import search
from engine.converters.pdf.appearances import flatten
from engine.converters.pdf.catalogue_safety import Place, RedactOptions, places_of, words_of
from engine.converters.pdf.files import losses, open_document, read_pages, reading, save
from engine.converters.pdf.geometry import MM, view
from engine.converters.pdf.metadata import remove_metadata
from engine.converters.pdf.pdfium import drawn
from engine.converters.pdf.ranges import parse_pages
from engine.converters.pdf.raster import become_picture
from engine.converters.pdf.sanitise import remove_active_content
from engine.converters.pdfium import opened, opened_page
from engine.errors import TargetImpossible
from engine.progress import each

# Bars reach this far beyond the letters, in shares of their height: accents and slants do.
_BEYOND = 0.12
_PIXELS_BEYOND = 2
_DEPTH_MAX = 50
_NAMED_MAX = 20
_TAGS = ("/StructTreeRoot", "/MarkInfo")
# Of content streams: what begins marked content, whose properties may repeat its text.
_MARKED = "BDC DP"


class _Plan(NamedTuple):
    """Letters (by number) and places to hide, by page."""

    letters: Mapping[int, list[list[int]]]
    boxes: Mapping[int, list[Place]]

    @property
    def pages(self) -> list[int]:
        """All pages that change."""
        return sorted({*self.letters, *self.boxes})


def redact(work: Work) -> Result:
    """Hide. Raises TargetImpossible where nothing is found, or the result cannot be proved."""
    options: RedactOptions = work.options
    wanted = search.words(
        words_of(options.words), match_case=options.match_case, whole=options.whole_words
    )
    with open_document(work, 0, options.password) as document:
        chosen = _chosen(document, work)
        warnings = list(losses(document))
        flatten(document, "all")
        # What pdfium reads from here on is the document as it will be, not encrypted any more.
        flat = msgspec.structs.replace(
            work,
            inputs=(save(document, work),),
            options=msgspec.structs.replace(options, password=""),
        )
    with open_document(flat, 0, "") as document:
        walk(document, range(len(document.pages)), work.bounds)
        with opened(flat.inputs[0], "") as seen:
            plan = _plan(document, seen, wanted, flat, warnings)
            for index in each(plan.pages):
                size = view(document.pages[index]).size
                picture = _with_bars(seen, index, plan, size, flat)
                become_picture(document, document.pages[index], picture, size)
        _clean(document, wanted)
        written = save(document, work)
    _prove(msgspec.structs.replace(flat, inputs=(written,)), wanted, chosen, plan.pages)
    named = ", ".join(str(index + 1) for index in plan.pages[:_NAMED_MAX])
    more = " and others" if len(plan.pages) > _NAMED_MAX else ""
    warnings.append(
        f"pages that became pictures: {named}{more}; comments, form fields, tags and metadata were"
        " removed from the whole document"
    )
    return Result(files=(written,), warnings=tuple(warnings))


def _chosen(document: pikepdf.Pdf, work: Work) -> list[int]:
    """The pages that are searched."""
    count = read_pages(document, work.bounds)
    return sorted(set(parse_pages(work.options.pages, count, pages_max=work.bounds.pages_max)))


def _plan(
    document: pikepdf.Pdf,
    seen: pypdfium2.PdfDocument,
    wanted: search.Words,
    work: Work,
    warnings: list[str],
) -> _Plan:
    """What to hide where. Raises TargetImpossible."""
    options: RedactOptions = work.options
    chosen = _chosen(document, work)
    boxes: dict[int, list[Place]] = {}
    for place in places_of(options.boxes):
        if place.page > len(document.pages):
            raise TargetImpossible(
                f"boxes: page {place.page} does not exist: the document has {len(document.pages)}"
            )
        boxes.setdefault(place.page - 1, []).append(place)
    letters: dict[int, list[list[int]]] = {}
    known: set[int] = set()
    silent = []
    for index in chosen if wanted.forms else ():
        with opened_page(seen, index) as page:
            text = search.page_text(page)
            if not text.strip():
                silent.append(index)
            if search.holds(text, wanted):
                found = search.find(page, wanted)
                known |= set(found)
                letters[index] = [match for matches in found.values() for match in matches]
        told = _told(document.pages[index], wanted)
        known |= told
        if told and not letters.get(index) and index not in boxes:
            raise TargetImpossible(
                f"page {index + 1} holds the words where they cannot be seen; name a box on it"
            )
    if not letters and not boxes:
        raise TargetImpossible(
            "none of the words was found; words in scans need boxes, or text recognition first"
        )
    missing = len(wanted.forms) - len(known)
    if missing:
        warnings.append(f"{missing} of {len(wanted.forms)} words were not found")
    hidden = [index for index in silent if index not in boxes]
    if hidden:
        named = ", ".join(str(index + 1) for index in hidden[:_NAMED_MAX])
        warnings.append(f"pages without text that can be searched: {named}")
    return _Plan({index: found for index, found in letters.items() if found}, boxes)


def _told(page: pikepdf.Page, wanted: search.Words) -> set[int]:
    """Words in what a page says to readers aloud, in place of what it shows."""
    found: set[int] = set()
    with reading():
        for scope in page.content_scopes():
            for instruction in pikepdf.parse_content_stream(scope.content, _MARKED):
                for operand in instruction.operands:
                    for text in _texts(operand, 0):
                        found |= search.holds(text, wanted)
    return found


def _texts(thing: Any, depth: int) -> Iterable[str]:
    """All texts within a value, references not followed."""
    if isinstance(thing, String):
        yield str(thing)
    elif isinstance(thing, Array | Dictionary | Stream) and depth < _DEPTH_MAX:
        values = list(thing) if isinstance(thing, Array) else [value for _, value in thing.items()]
        for value in values:
            if not getattr(value, "is_indirect", False):
                yield from _texts(value, depth + 1)


def _with_bars(
    seen: pypdfium2.PdfDocument,
    index: int,
    plan: _Plan,
    size: tuple[float, float],
    work: Work,
) -> Image.Image:
    """The page as a picture in which what is to be hidden is black."""
    picture = drawn(seen, index, work.options.dpi, work)
    pen = ImageDraw.Draw(picture)
    with opened_page(seen, index) as page:
        for match in plan.letters.get(index, ()):
            bars = search.rectangles(page, match, picture.size)
            if not bars:
                raise TargetImpossible(
                    f"page {index + 1} holds the words where they have no place; name a box on it"
                )
            for left, top, right, bottom in bars:
                more = round(min(right - left, bottom - top) * _BEYOND) + _PIXELS_BEYOND
                pen.rectangle((left - more, top - more, right + more, bottom + more), fill="black")
    across, down = picture.width / size[0] * MM, picture.height / size[1] * MM
    for place in plan.boxes.get(index, ()):
        corner = int(place.left_mm * across), int(place.top_mm * down)
        other = (
            int((place.left_mm + place.width_mm) * across) + 1,
            int((place.top_mm + place.height_mm) * down) + 1,
        )
        pen.rectangle((*corner, *other), fill="black")
    return picture


def _clean(document: pikepdf.Pdf, wanted: search.Words) -> None:
    """Take away whatever could repeat the words beside the pages."""
    remove_active_content(document, keep_links=True)
    remove_metadata(document)
    with reading():
        for name in _TAGS:
            if name in document.Root:
                del document.Root[name]
        for thing in document.objects:
            if isinstance(thing, Array | Dictionary | Stream):
                _empty(thing, wanted, 0)


def _empty(holder: Any, wanted: search.Words, depth: int) -> None:
    """Empty the texts that hold one of the words."""
    if depth > _DEPTH_MAX:
        return
    entries = list(enumerate(holder)) if isinstance(holder, Array) else list(holder.items())
    for key, value in entries:
        if isinstance(value, String):
            if search.holds(str(value), wanted):
                holder[key] = String("")
        elif isinstance(value, Array | Dictionary) and not value.is_indirect:
            _empty(value, wanted, depth + 1)


def _prove(
    work: Work, wanted: search.Words, chosen: Iterable[int], pictures: Iterable[int]
) -> None:
    """Search the written result. Raises TargetImpossible if anything is left."""
    left = False
    with open_document(work, 0, "") as document:
        with opened(work.inputs[0], "") as seen:
            for index in {*chosen, *pictures}:
                with opened_page(seen, index) as page:
                    text = search.page_text(page)
                left = left or bool(search.holds(text, wanted))
                left = left or (index in set(pictures) and bool(text.strip()))
                left = left or bool(_told(document.pages[index], wanted))
        with reading():
            for thing in document.objects:
                left = left or any(search.holds(text, wanted) for text in _texts(thing, 0))
    if left:
        raise TargetImpossible(
            "the words could not be removed for certain, so nothing is returned; name boxes, or"
            " make the pages pictures first"
        )
