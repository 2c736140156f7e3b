"""Pages of a PDF as pictures, and the pictures that are on its pages."""

from gateway.compat.convertapi.parameters.draft import Draft
from gateway.compat.convertapi.parameters.kinds import Choice, Colour, Flag, Whole
from gateway.compat.convertapi.parameters.shared import (
    FILE,
    PAGE_SCALING,
    PAGES_DPI,
    PASSWORD,
    RENDERER,
    background,
    pages,
    quality,
    resolution,
    scale_page,
)
from gateway.compat.convertapi.parameters.terms import (
    Counterpart,
    Joint,
    Never,
    Only,
    Parameter,
    Sets,
    To,
)

_ANGLES: dict[str, str | None] = {
    "default": None,
    "rotate90": "90",
    "rotate180": "180",
    "rotate270": "270",
}
_ROTATE = Parameter(
    name="Rotate",
    kind=Choice(("default", "none", "rotate90", "rotate180", "rotate270")),
    effect=Sets(option="angle", words=_ANGLES, lacks="pages are drawn as they are meant to lie"),
    default="default",
    group="Image",
)
_BOXES: dict[str, str | None] = {
    "TrimBox": "trim",
    "MediaBox": "media",
    "ArtBox": "art",
    "BleedBox": "bleed",
}
_CROP = Parameter(
    name="CropTo",
    kind=Choice(("BoundingBox", "TrimBox", "MediaBox", "ArtBox", "BleedBox")),
    effect=Sets(option="box", words=_BOXES, lacks="what is drawn has no box of its own"),
    group="Image",
)
_NO_INKS = "pictures of pages have no printing inks"
_COLOURED: dict[str, str | None] = {"default": None, "rgb": None, "srgb": None, "gray": "grey"}
_TIFF_COLOURED: dict[str, str | None] = {"default": None, "grayscale": "grey", "bitonal": "mono"}


def multipage(step: int = -1) -> Parameter:
    """One TIFF, or one a page."""
    return Parameter(
        name="MultiPage",
        kind=Flag(),
        effect=Sets(option="multipage", step=step),
        default="true",
        group="Image",
    )


def _drawn(target: str, *more: Parameter, **options: str) -> Counterpart:
    return Counterpart(
        sources=("pdf",),
        target=target,
        steps=(
            To("tiff" if target == "tiff-fax" else target, "render", {"dpi": PAGES_DPI} | options),
        ),
        parameters=(FILE, PASSWORD, pages(), *PAGE_SCALING, *resolution(), *RENDERER, *more),
        rules=(scale_page,),
        note="Drawn by pdfium at 200 dots an inch unless told otherwise.",
    )


_PLAIN_ROTATE = Parameter(
    name="Rotate",
    kind=Whole(-360, 360),
    effect=Joint("`angle`, for right angles"),
    default="0",
    group="Image",
)


def _turned(draft: Draft) -> None:
    angle = int(draft.values.get("Rotate", "0")) % 360
    if angle % 90:
        draft.refuse("Rotate", f"{angle} cannot be honoured: pages turn by 90, 180 or 270")
    else:
        draft.put("angle", str(angle), "Rotate")


_FAX = Parameter(
    name="TiffType",
    kind=Choice(
        ("monochromeg3", "monochromeg32d", "monochromeg4", "monochromelzw", "monochromepackbits")
    ),
    effect=Only(values=("monochromeg4",), why="black and white pages are packed by group 4"),
)
_RENDERED = (
    _drawn(
        "jpg",
        Parameter(
            name="ColorSpace",
            kind=Choice(("default", "rgb", "srgb", "cmyk", "gray")),
            effect=Sets(option="colour", words=_COLOURED, lacks=_NO_INKS),
            default="default",
            group="Image",
        ),
        _ROTATE,
        _CROP,
        *quality(),
    ),
    _drawn("png", _ROTATE, _CROP, background()),
    _drawn(
        "tiff",
        Parameter(
            name="ColorMode",
            kind=Choice(("default", "cmyk", "grayscale", "bitonal")),
            effect=Sets(option="colour", words=_TIFF_COLOURED, lacks=_NO_INKS),
            default="default",
            group="Image",
        ),
        _ROTATE,
        _CROP,
        background(),
        multipage(),
    ),
    _drawn("tiff-fax", _FAX, _CROP, multipage(), colour="mono"),
    Counterpart(
        sources=("pdf",),
        target="webp",
        steps=(To("webp", "render", {"dpi": PAGES_DPI}),),
        parameters=(
            *(FILE, PASSWORD, pages(), *PAGE_SCALING, *resolution(), *RENDERER),
            _PLAIN_ROTATE,
            Parameter(
                name="TransparentColor",
                kind=Colour(),
                effect=Never("no colour is made transparent here"),
            ),
            *quality("ImageQuality"),
        ),
        rules=(_turned, scale_page),
    ),
)


def _side(draft: Draft) -> None:
    """One number bounds both sides of a picture."""
    width, height = (draft.said(f"MinimumImage{side}") for side in ("Width", "Height"))
    if width != height:
        draft.refuse("MinimumImageWidth", "must be the same as MinimumImageHeight here")
    elif width is not None:
        draft.put("min_side", str(max(int(width), 1)), "MinimumImageWidth")


def _format(draft: Draft) -> None:
    wanted = draft.values.get("ImageOutputFormat")
    if wanted == "jpg":
        draft.instead(To("jpeg", "extract_images"))
    elif wanted == "tiff":
        draft.refuse("ImageOutputFormat", "tiff cannot be honoured: jpg and png can")


_EXTRACTED = Counterpart(
    sources=("pdf",),
    target="extract-images",
    steps=(To("png", "extract_images"),),
    parameters=(
        FILE,
        PASSWORD,
        pages(),
        Parameter(
            name="ImageOutputFormat",
            kind=Choice(("default", "jpg", "png", "tiff")),
            effect=Joint("png or jpeg; default is png, and tiff is refused"),
            default="default",
        ),
        *(
            Parameter(
                name=f"MinimumImage{side}",
                kind=Whole(0, 1000),
                effect=Joint("`min_side`, where both say the same"),
            )
            for side in ("Width", "Height")
        ),
    ),
    rules=(_side, _format),
    note="Pictures that pages show, as PNG without loss, or as JPEG.",
)


COUNTERPARTS = (*_RENDERED, _EXTRACTED)
