"""pdf.images: images on pages, their pixels untouched."""

from engine.converter import Result, Work
from engine.converters.onpages import MM, PAGE_SIZES, Arrangement, compose, read_sheets
from engine.converters.pdf.catalogue import ImagesOptions


def images(work: Work) -> Result:
    """Make the document, a page an image. Raises the errors of decoding and bounds."""
    options: ImagesOptions = work.options
    warnings: list[str] = []
    sheets = read_sheets(work, warnings)
    margin = options.margin_mm * MM
    arrangement = Arrangement(
        size=PAGE_SIZES.get(options.page_size),
        orientation=options.orientation,
        margins=(margin, margin),
        fit=options.fit,
    )
    written = compose(sheets, arrangement, work.bounds)
    return Result(files=(written,), warnings=tuple(dict.fromkeys(warnings)))
