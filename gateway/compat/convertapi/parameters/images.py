"""Pictures: into each other, onto pages, smaller."""

from gateway.compat.convertapi.parameters.draft import Draft
from gateway.compat.convertapi.parameters.kinds import Choice, Colour, Flag, Number, Whole
from gateway.compat.convertapi.parameters.shared import (
    DPI,
    FILE,
    FILES,
    PDFA_AFTER,
    SCALING,
    archive_after,
    never,
    quality,
    scale_picture,
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

_SEE_THROUGH = ("gif", "heic", "heif", "ico", "png", "psd", "svg", "tiff", "webp")
_SPACES: dict[str, str | None] = {
    "default": None,
    "rgb": "rgb",
    "srgb": "rgb",
    "cmyk": "cmyk",
    "gray": "grey",
}
_SPACE = Parameter(
    name="ColorSpace",
    kind=Choice(tuple(_SPACES)),
    effect=Sets(option="colour_space", words=_SPACES),
    default="default",
    group="Image",
)
_RESOLUTION = tuple(
    Parameter(name=name, kind=DPI, effect=Sets(option="dpi"), group="Image")
    for name in ("ImageResolution", "ImageResolutionH", "ImageResolutionV")
)
_CLEAR = never("TransparentColor", "no colour is made transparent here")


def _picture(
    source: str | tuple[str, ...], target: str, *more: Parameter, to: To | None = None
) -> Counterpart:
    sources = (source,) if isinstance(source, str) else source
    return Counterpart(
        sources=sources,
        target=target,
        steps=(to or To(target),),
        parameters=(FILE, *SCALING, *_RESOLUTION, *more),
        rules=(scale_picture,),
    )


_ALPHA = Parameter(
    name="AlphaColor", kind=Colour(), effect=Sets(option="background"), group="Image"
)
_MULTIPAGE = Parameter(
    name="MultiPage",
    kind=Flag(),
    effect=Only(values=("true",), why="a picture of several pages stays one file"),
    default="true",
    group="Image",
)
_ANIMATION = (
    Parameter(
        name="AnimationDelay",
        kind=Whole(0, 20_000),
        effect=Never("one picture is converted, and keeps the times it has"),
    ),
    Parameter(
        name="AnimationIterations",
        kind=Whole(0, 1000),
        effect=Never("one picture is converted, and keeps the rounds it has"),
    ),
)

_MATRIX = (
    _picture(_SEE_THROUGH, "jpg", _ALPHA, _SPACE, *quality()),
    _picture(("bmp", "jpg"), "jpg", _SPACE, *quality()),
    _picture(
        ("bmp", "gif", "heic", "ico", "jpg", "png", "psd", "svg", "tiff", "webp"),
        "webp",
        _SPACE,
        *quality("ImageQuality"),
    ),
    _picture(("heic", "jpg"), "jxl", _SPACE, *quality("ImageQuality")),
    _picture(
        ("bmp", "gif", "heic", "ico", "jpg", "png", "psd", "svg", "tiff", "webp"), "png", _CLEAR
    ),
    _picture(
        ("bmp", "gif", "heic", "jpg", "png", "psd", "svg", "tiff", "webp"),
        "pnm",
        _CLEAR,
        to=To("ppm"),
    ),
    _picture(
        ("bmp", "gif", "heic", "jpg", "png", "psd", "svg", "tiff", "webp"), "tiff", _MULTIPAGE
    ),
    Counterpart(
        sources=("gif", "jpg", "png", "webp"),
        target="gif",
        steps=(To("gif"),),
        parameters=(FILES, *SCALING, *_ANIMATION),
        rules=(scale_picture,),
        note="One file: an animation is not put together from several pictures.",
    ),
)


def _turn(draft: Draft) -> None:
    """Right angles turn the page that the picture is on, and so its margins with it."""
    angle = int(draft.values.get("Rotate", "0")) % 360
    if not angle:
        return
    if angle % 90:
        draft.refuse("Rotate", f"{angle} cannot be honoured: pages turn by 90, 180 or 270")
        return
    if angle % 180:
        options = draft.steps[0].options
        across, down = options.pop("margin_x_mm", None), options.pop("margin_y_mm", None)
        options |= {"margin_x_mm": down} if down else {}
        options |= {"margin_y_mm": across} if across else {}
    draft.append("pdf", "rotate", angle=str(angle))


_SIZES = ("a2", "a3", "a4", "a5", "a6", "letter", "legal")
_SIZE_WORDS: dict[str, str | None] = {"default": None} | {size: size for size in _SIZES}
_PROFILE = Parameter(
    name="ColorProfile",
    kind=Choice(("default", "isocoatedv2")),
    effect=Only(values=("default",), why="no other profile is put into a document"),
    default="default",
)
_ROTATE = Parameter(
    name="Rotate",
    kind=Whole(-360, 360),
    effect=Joint("`pdf.rotate` follows, for right angles"),
    default="0",
    group="Image",
)
_KEPT_SPACE = Parameter(
    name="ColorSpace",
    kind=Choice(tuple(_SPACES)),
    effect=Only(values=("default",), why="pictures are put on pages as they are"),
    default="default",
    group="Image",
)
_ON_PAGES = (
    Parameter(
        name="MarginHorizontal",
        kind=Number(0, 500),
        effect=Sets(option="margin_x_mm"),
        group="Page",
    ),
    Parameter(
        name="MarginVertical", kind=Number(0, 500), effect=Sets(option="margin_y_mm"), group="Page"
    ),
    Parameter(
        name="PageSize",
        kind=Choice(("default", *_SIZES)),
        effect=Sets(option="page_size", words=_SIZE_WORDS),
        default="default",
        group="Page",
    ),
    Parameter(
        name="PageOrientation",
        kind=Choice(("default", "portrait", "landscape")),
        effect=Sets(
            option="orientation",
            words={"default": None, "portrait": "portrait", "landscape": "landscape"},
        ),
        default="default",
        group="Page",
    ),
)
_UNSUITED = "pages of these formats have no such"
_PLAIN_PAGES = (
    Parameter(name="MarginHorizontal", kind=Number(0, 500), effect=Never(_UNSUITED), default="0"),
    Parameter(name="MarginVertical", kind=Number(0, 500), effect=Never(_UNSUITED), default="0"),
)

_PAGES = (
    Counterpart(
        sources=("bmp", "gif", "jfif", "jpg", "png", "webp"),
        target="pdf",
        steps=(To("pdf", "images"),),
        parameters=(FILE, _ROTATE, _KEPT_SPACE, _PROFILE, PDFA_AFTER, *_ON_PAGES),
        rules=(_turn, archive_after),
        also=("avif",),
    ),
    Counterpart(
        sources=("tiff",),
        target="pdf",
        steps=(To("pdf", "images"),),
        parameters=(
            FILE,
            _ROTATE,
            _KEPT_SPACE,
            _PROFILE,
            PDFA_AFTER,
            *_ON_PAGES,
            Parameter(
                name="AlphaChannel",
                kind=Flag(),
                effect=Never("transparency is kept where the document can hold it"),
            ),
        ),
        rules=(_turn, archive_after),
    ),
    Counterpart(
        sources=("heic", "heif", "ico"),
        target="pdf",
        steps=(To("pdf"),),
        parameters=(
            FILE,
            Parameter(name="Rotate", kind=Whole(-360, 360), effect=Sets(option="rotate")),
            _SPACE,
            _PROFILE,
            PDFA_AFTER,
            *_PLAIN_PAGES,
        ),
        rules=(archive_after,),
        also=("psd",),
        note="A page is as large as its picture.",
    ),
    Counterpart(
        sources=("images",),
        target="pdf",
        steps=(To("pdf", "images"),),
        parameters=(FILES, _ROTATE, _KEPT_SPACE, PDFA_AFTER, *_ON_PAGES),
        rules=(_turn, archive_after),
        note="JPEG, PNG, WebP, AVIF, GIF, TIFF and BMP, up to 100 files.",
    ),
)


def _compress(draft: Draft) -> None:
    """Without loss by an optimiser, otherwise by a lower quality."""
    level = draft.values.get("CompressionLevel", "Good")
    if level == "Lossless":
        draft.instead(To("jpeg", "optimise"))
    else:
        draft.put("quality", "75" if level == "Good" else "50", "CompressionLevel")


_COMPRESS = Counterpart(
    sources=("jpg",),
    target="compress",
    steps=(To("jpeg", "convert"),),
    parameters=(
        FILE,
        Parameter(
            name="CompressionLevel",
            kind=Choice(("Lossless", "Good", "Extreme")),
            effect=Joint("`image.optimise`, `quality=75` or `quality=50`"),
        ),
    ),
    rules=(_compress,),
)

COUNTERPARTS = (*_MATRIX, *_PAGES, _COMPRESS)
