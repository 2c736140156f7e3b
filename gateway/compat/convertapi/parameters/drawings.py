"""Drawings: SVG on a page, DXF on a page and as pictures."""

from gateway.compat.convertapi.parameters.kinds import Choice, Colour, Flag
from gateway.compat.convertapi.parameters.rendering import multipage
from gateway.compat.convertapi.parameters.shared import (
    FILE,
    PAGE_SCALING,
    PAGES_DPI,
    flag_off,
    resolution,
    scale_page,
)
from gateway.compat.convertapi.parameters.terms import (
    FIRST,
    Counterpart,
    Never,
    Only,
    Parameter,
    Sets,
    To,
)

_SVG = Counterpart(
    sources=("svg",),
    target="pdf",
    steps=(To("pdf", "pdf"),),
    parameters=(
        FILE,
        Parameter(
            name="UseImagePageSize",
            kind=Flag(),
            effect=Sets(option="page_size", words={"true": "drawing", "false": "a4"}),
        ),
        Parameter(
            name="BackgroundColor",
            kind=Colour(),
            effect=Only(values=("transparent",), why="nothing is put behind a drawing"),
        ),
        *(
            Parameter(
                name=f"{way}Alignment",
                kind=Choice(places),
                effect=Only(values=("center",), why="a drawing stands in the middle of its page"),
                default="center",
            )
            for way, places in (
                ("Horizontal", ("left", "center", "right")),
                ("Vertical", ("top", "center", "bottom")),
            )
        ),
    ),
    note="The page is as large as the drawing unless UseImagePageSize is false: then A4.",
)

_COLOURS: dict[str, str | None] = {
    "truecolors": "colour",
    "grayscale": "grey",
    "monochrome": "black",
}
_DRAWING = (
    Parameter(
        name="ColorSpace",
        kind=Choice(tuple(_COLOURS)),
        effect=Sets(option="colours", words=_COLOURS, step=FIRST),
        default="truecolors",
    ),
    flag_off("ExportLayers", "all layers are drawn together"),
)
_CLEAR = Parameter(
    name="TransparentColor",
    kind=Colour(),
    effect=Never("no colour is made transparent here"),
)


def _dxf(target: str, *steps: To, more: tuple[Parameter, ...] = ()) -> Counterpart:
    by_page = len(steps) > 1
    scaled = (*PAGE_SCALING, *resolution()) if by_page else ()
    return Counterpart(
        sources=("dxf",),
        target=target,
        steps=steps,
        parameters=(FILE, *_DRAWING, *scaled, *more),
        rules=(scale_page,) if by_page else (),
        note="By way of PDF." if by_page else "",
    )


def _rendered(target: str) -> tuple[To, To]:
    return To("pdf", "drawing"), To(target, "render", {"dpi": PAGES_DPI})


_FIT = Parameter(
    name="AutoFit",
    kind=Flag(),
    effect=Sets(option="page_size", words={"true": "fit", "false": None}),
)

COUNTERPARTS = (
    _SVG,
    _dxf("pdf", To("pdf", "drawing"), more=(_FIT,)),
    _dxf("svg", To("svg", "drawing")),
    _dxf("png", *_rendered("png"), more=(_CLEAR,)),
    _dxf("jpg", *_rendered("jpg")),
    _dxf("webp", *_rendered("webp"), more=(_CLEAR,)),
    _dxf("tiff", *_rendered("tiff"), more=(multipage(),)),
)
