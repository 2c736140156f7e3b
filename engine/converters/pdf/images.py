"""pdf.images: images on pages, their pixels untouched."""

from engine.converter import Result, Work
from engine.converters.onpages import MM, PAGE_SIZES, Arrangement, compose, read_sheets
from engine.converters.pdf.catalogue_images import ImagesOptions


def images(work: Work) -> Result:
    """Make the document, a page an image. Raises the errors of decoding and bounds."""
    options: ImagesOptions = work.options
    warnings: list[str] = []
    sheets = read_sheets(work, warnings)
    if options.dpi is not None:
        sheets = [sheet._replace(dpi=(options.dpi, options.dpi)) for sheet in sheets]
    written = compose(sheets, _arrangement(options), work.bounds)
    return Result(files=(written,), warnings=tuple(dict.fromkeys(warnings)))


def _arrangement(options: ImagesOptions) -> Arrangement:
    size = PAGE_SIZES.get(options.page_size)
    if options.page_width_mm is not None and options.page_height_mm is not None:
        size = options.page_width_mm * MM, options.page_height_mm * MM
    across, down = options.margin_x_mm, options.margin_y_mm
    return Arrangement(
        size=size,
        orientation=options.orientation,
        margins=(
            (options.margin_mm if across is None else across) * MM,
            (options.margin_mm if down is None else down) * MM,
        ),
        fit=options.fit,
    )
