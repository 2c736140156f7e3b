"""pdf.overlay: the pages of one document laid over or under those of another."""

import pikepdf
from pikepdf import Matrix, Name

from engine.converter import Result, Work
from engine.converters.pdf.appearances import flatten
from engine.converters.pdf.catalogue_marks import OverlayOptions
from engine.converters.pdf.files import (
    losses,
    open_document,
    read_pages,
    reading,
    save,
)
from engine.converters.pdf.geometry import Transform, View, seen_to_page, then, view
from engine.converters.pdf.ranges import parse_pages
from engine.converters.pdf.stamps import lay


def overlay(work: Work) -> Result:
    """Lay the second upload's pages on the first one's. What was drawn over them comes along."""
    options: OverlayOptions = work.options
    with (
        open_document(work, 0, options.password) as document,
        open_document(work, 1, options.password) as other,
    ):
        count = read_pages(document, work.bounds)
        chosen = parse_pages(options.pages, count, pages_max=work.bounds.pages_max)
        layers = read_pages(other, work.bounds)
        flatten(other, "screen")
        drawings: dict[int, pikepdf.Object] = {}
        for place, index in enumerate(dict.fromkeys(chosen)):
            layer = _layer(place, layers, options.repeat)
            if layer is None:
                break
            if layer not in drawings:
                drawings[layer] = _drawing(other, document, layer)
            page = document.pages[index]
            where = _placed(view(other.pages[layer]), view(page), options.fit)
            lay(page, drawings[layer], [where], under=options.layer == "under")
        warnings = dict.fromkeys([*losses(document), *losses(other)])
        return Result(files=(save(document, work),), warnings=tuple(warnings))


def _layer(place: int, layers: int, repeat: str) -> int | None:
    """Which page of the second document goes on the page at this place."""
    if place < layers:
        return place
    return {"none": None, "last": layers - 1, "all": place % layers}[repeat]


def _drawing(other: pikepdf.Pdf, document: pikepdf.Pdf, index: int) -> pikepdf.Object:
    """A page as a form object that shows it upright, its lower left corner at the origin."""
    page = other.pages[index]
    seen = view(page)
    with reading():
        page.trimbox = pikepdf.Array(list(seen.box))  # what qpdf takes for the extent
        form = document.copy_foreign(other.make_indirect(page.as_form_xobject(False)))
        form[Name.Type] = Name.XObject
        form[Name.Matrix] = pikepdf.Array(Matrix(*seen_to_page(seen)).inverse().as_array())
    return form


def _placed(layer: View, seen: View, fit: str) -> Transform:
    """Where the layer goes on a page, both as they are seen."""
    across = up = 1.0
    left = bottom = 0.0
    if fit != "none":
        across, up = seen.size[0] / layer.size[0], seen.size[1] / layer.size[1]
    if fit == "inside":
        across = up = min(across, up)
        left = (seen.size[0] - layer.size[0] * across) / 2
        bottom = (seen.size[1] - layer.size[1] * up) / 2
    return then((across, 0.0, 0.0, up, left, bottom), seen_to_page(seen))
