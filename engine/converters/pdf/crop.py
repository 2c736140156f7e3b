"""pdf.crop: a smaller visible box, given or found."""

from collections.abc import Sequence

import pikepdf

from engine.converter import Result, Work
from engine.converters.pdf.catalogue_layout import CropOptions
from engine.converters.pdf.files import losses, open_document, read_pages, save
from engine.converters.pdf.geometry import MM, SIDE_MIN, Box, View, set_box, view
from engine.converters.pdf.pdfium import drawn, seen_by_pdfium
from engine.converters.pdf.ranges import parse_pages
from engine.errors import TargetImpossible

# Finer than the padding that anybody asks for, and 0.7 megapixels for A4.
_LOOK_DPI = 100
# Paper that is a little grey is still paper.
_PAPER = 245
_HIDDEN = "what lies outside the new box is hidden, not removed; redact removes"

# Left, bottom, right, top: what is cut off each side as seen, in points.
_Cuts = tuple[float, float, float, float]


def crop(work: Work) -> Result:
    """Shrink the pages' boxes. Raises TargetImpossible where nothing would be left."""
    options: CropOptions = work.options
    warnings = [_HIDDEN]
    with open_document(work, 0, options.password) as document:
        count = read_pages(document, work.bounds)
        pages = parse_pages(options.pages, count, pages_max=work.bounds.pages_max)
        chosen = list(dict.fromkeys(pages))
        views = {index: view(document.pages[index]) for index in chosen}
        if options.mode == "auto":
            cuts = _found(document, views, work, warnings)
        else:
            cuts = {index: _asked(options, views[index], index) for index in chosen}
        for index, cut in cuts.items():
            _crop(document.pages[index], views[index], cut, index)
        warnings += losses(document)
        return Result(files=(save(document, work),), warnings=tuple(warnings))


def _asked(options: CropOptions, seen: View, index: int) -> _Cuts:
    left, top = options.left_mm * MM, options.top_mm * MM
    if options.mode == "margins":
        return left, options.bottom_mm * MM, options.right_mm * MM, top
    width, height = seen.size
    right = width - left - options.width_mm * MM
    bottom = height - top - options.height_mm * MM
    # A box that sticks out ends where the page does.
    if right >= width - left or bottom >= height - top:
        raise TargetImpossible(f"the box lies outside page {index + 1}")
    return left, max(bottom, 0), max(right, 0), top


def _crop(page: pikepdf.Page, seen: View, cuts: _Cuts, index: int) -> None:
    left, bottom, right, top = seen.own_sides(cuts)
    old = seen.box
    box = Box(old.left + left, old.bottom + bottom, old.right - right, old.top - top)
    if box.width < SIDE_MIN or box.height < SIDE_MIN:
        raise TargetImpossible(f"nothing of page {index + 1} would be left")
    set_box(page, box)


def _found(
    document: pikepdf.Pdf, views: dict[int, View], work: Work, warnings: list[str]
) -> dict[int, _Cuts]:
    """What is white around each page's contents, less the padding."""
    options: CropOptions = work.options
    cuts: dict[int, _Cuts] = {}
    with seen_by_pdfium(document, views, work) as pages:
        for index, seen in views.items():
            look = drawn(pages, index, _LOOK_DPI, work, grey=True)
            inked = look.point([255] * _PAPER + [0] * (256 - _PAPER)).getbbox()
            if inked is None:
                continue
            width, height = seen.size
            across, up = width / look.width, height / look.height
            sides = (
                inked[0] * across,
                (look.height - inked[3]) * up,
                (look.width - inked[2]) * across,
                inked[1] * up,
            )
            padding = options.padding_mm * MM
            cuts[index] = _cuts([max(side - padding, 0) for side in sides])
    if len(cuts) < len(views):
        warnings.append("blank pages were left as they are")
    if options.uniform and cuts:
        least = _cuts([min(sides) for sides in zip(*cuts.values(), strict=True)])
        return dict.fromkeys(cuts, least)
    return cuts


def _cuts(sides: Sequence[float]) -> _Cuts:
    left, bottom, right, top = sides
    return left, bottom, right, top
