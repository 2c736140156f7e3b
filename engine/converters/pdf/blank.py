"""pdf.remove_blank: the pages that show something."""

from engine.converter import Result, Work
from engine.converters.pdf.catalogue_layout import RemoveBlankOptions
from engine.converters.pdf.files import losses, open_document, read_pages, reading
from engine.converters.pdf.outlines import read_bookmarks
from engine.converters.pdf.pages import extract
from engine.converters.pdf.pdfium import drawn, seen_by_pdfium
from engine.converters.pdf.ranges import parse_pages
from engine.errors import TargetImpossible

# A full stop of 10 points is three pixels here; a page is 0.2 megapixels.
_LOOK_DPI = 50
# Darker than this is ink: paper in scans is grey.
_INK = 225
# Pages named in the warning before it says "and others".
_NAMED_MAX = 20


def remove_blank(work: Work) -> Result:
    """Leave out the blank ones among the named pages. Raises TargetImpossible if all are."""
    options: RemoveBlankOptions = work.options
    with open_document(work, 0, options.password) as source:
        count = read_pages(source, work.bounds)
        chosen = set(parse_pages(options.pages, count, pages_max=work.bounds.pages_max))
        blank = []
        with seen_by_pdfium(source, chosen, work) as pages:
            for index in sorted(chosen):
                with reading():
                    has_fields = any(
                        one.get("/Subtype") == "/Widget"
                        for one in source.pages[index].obj.get("/Annots", ())
                    )
                if has_fields:
                    continue
                histogram = drawn(pages, index, _LOOK_DPI, work, grey=True).histogram()
                if sum(histogram[:_INK]) * 100 <= sum(histogram) * options.ink_percent:
                    blank.append(index)
        if len(blank) == count:
            raise TargetImpossible("no page would be left: all are blank")
        kept = [index for index in range(count) if index not in set(blank)]
        warnings = [_told(blank), *losses(source)]
        written = extract(source, kept, read_bookmarks(source), work)
        return Result(files=(written,), warnings=tuple(warnings))


def _told(blank: list[int]) -> str:
    if not blank:
        return "no page is blank; nothing was left out"
    named = ", ".join(str(index + 1) for index in blank[:_NAMED_MAX])
    others = " and others" if len(blank) > _NAMED_MAX else ""
    return f"blank pages left out: {named}{others}"
