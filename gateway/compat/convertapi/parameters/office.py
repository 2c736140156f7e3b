"""Office documents: onto pages, as pictures, into each other."""

from gateway.compat.convertapi.parameters.documents import OPENING, describe, described
from gateway.compat.convertapi.parameters.draft import Draft
from gateway.compat.convertapi.parameters.kinds import Choice, Colour, Flag, Whole
from gateway.compat.convertapi.parameters.printing import printer
from gateway.compat.convertapi.parameters.rendering import multipage
from gateway.compat.convertapi.parameters.shared import (
    FILE,
    METADATA,
    PAGE_SCALING,
    PAGES_DPI,
    PASSWORD,
    RENDERER,
    flag_off,
    never,
    pages,
    pdfa,
    quality,
    resolution,
    scale_page,
    strip_metadata,
)
from gateway.compat.convertapi.parameters.terms import (
    FIRST,
    LAST,
    Counterpart,
    Effect,
    Joint,
    Never,
    Only,
    Parameter,
    Sets,
    To,
)

_ENGINES = ("openoffice", "libreoffice", "office")
_ARCHIVE = "pdf-a-2b"
_PDFA = pdfa(f"true: `standard={_ARCHIVE}`")
_VERSIONS: dict[str, str | None] = {
    "none": None,
    "pdfA1b": "pdf-a-1b",
    "pdfA2b": "pdf-a-2b",
    "pdfA3b": "pdf-a-3b",
}
_PDFA_VERSION = Parameter(
    name="PdfaVersion",
    kind=Choice(tuple(_VERSIONS)),
    effect=Sets(option="standard", words=_VERSIONS, step=FIRST),
    default="none",
    group="PDF",
)
_STALE = "fields are printed as they were last worked out"
_TOC = flag_off("UpdateToc", _STALE)
_REFERENCES = flag_off("UpdateReferences", _STALE)


def _archived(draft: Draft) -> None:
    if draft.is_on("Pdfa"):
        draft.steps[_office_step(draft)].options["standard"] = _ARCHIVE


def _office_step(draft: Draft) -> int:
    """The step that writes the PDF: the first one, or behind a workbook made of a CSV."""
    return next(at for at, step in enumerate(draft.steps) if step.target == "pdf")


_TEXTS = Counterpart(
    sources=("docx", "dotx", "rtf"),
    target="pdf",
    steps=(To("pdf", "pdf"),),
    parameters=(
        FILE,
        PASSWORD,
        pages(),
        flag_off("ConvertMarkups", "comments and tracked changes are not printed"),
        Parameter(
            name="ConvertTags",
            kind=Flag(),
            effect=Sets(option="accessible"),
            default="false",
            group="PDF",
        ),
        METADATA,
        Parameter(
            name="BookmarkMode",
            kind=Choice(("none", "headings", "bookmarks")),
            effect=Sets(
                option="bookmarks",
                words={"none": "false", "headings": "true"},
                lacks="bookmarks are made of headings",
            ),
            group="PDF",
        ),
        _TOC,
        _PDFA,
        *printer(FIRST),
    ),
    rules=(_archived, strip_metadata),
    also=("doc", "docm", "odt"),
    engines=_ENGINES,
)
_SLIDES = Counterpart(
    sources=("pptx", "ppsx", "potx"),
    target="pdf",
    steps=(To("pdf", "pdf"),),
    parameters=(
        FILE,
        PASSWORD,
        pages(),
        Parameter(
            name="ConvertHiddenSlides",
            kind=Flag(),
            effect=Sets(option="hidden_slides"),
            default="false",
        ),
        Parameter(
            name="ConvertSpeakerNotes",
            kind=Choice(("Disabled", "SeparatePage", "PageComments")),
            effect=Sets(
                option="speaker_notes",
                words={"Disabled": None, "SeparatePage": "after"},
                lacks="notes get pages of their own, behind all slides",
            ),
            default="Disabled",
        ),
        METADATA,
        _PDFA,
        *printer(FIRST),
    ),
    rules=(_archived, strip_metadata),
    also=("ppt", "pptm", "pps"),
    engines=_ENGINES,
    note="Pages of speaker's notes stand behind all slides.",
)
_LOCALE = "cells are printed as the workbook says"
_PRINTED = (
    PASSWORD,
    METADATA,
    _PDFA,
    flag_off("AutoColumnFit", _LOCALE),
    flag_off("HeaderOnEachPage", _LOCALE),
    never("ThousandsSeparator", _LOCALE),
    never("DecimalSeparator", _LOCALE),
    Parameter(
        name="DateFormat",
        kind=Choice(("us", "iso", "eu", "german", "japanese")),
        effect=Never(_LOCALE),
    ),
)
_SHEETS = (
    Counterpart(
        sources=("xlsx", "xlsb", "xltx"),
        target="pdf",
        steps=(To("pdf", "pdf"),),
        parameters=(FILE, pages(), *_PRINTED, *printer(FIRST)),
        rules=(_archived, strip_metadata),
        also=("xls", "xlsm"),
        engines=_ENGINES,
    ),
    Counterpart(
        sources=("csv",),
        target="pdf",
        steps=(To("xlsx"), To("pdf", "pdf")),
        parameters=(
            FILE,
            never("Password", "a CSV has none"),
            *(one for one in _PRINTED if one is not PASSWORD),
            *printer(LAST),
        ),
        rules=(_archived, strip_metadata),
        also=("tsv",),
        note="By way of XLSX.",
    ),
)
_OPEN = (
    Counterpart(
        sources=("odg", "odp", "ods", "odt", "vsdx"),
        target="pdf",
        steps=(To("pdf", "pdf"),),
        parameters=(FILE, PASSWORD, _PDFA_VERSION),
        also=("vsd",),
        engines=_ENGINES,
    ),
    Counterpart(
        sources=("pub",),
        target="pdf",
        steps=(To("pdf", "pdf"),),
        parameters=(
            FILE,
            PASSWORD,
            METADATA,
            *OPENING,
            *described("`pdf.set_metadata`, which follows"),
            Parameter(
                name="PdfResolution",
                kind=Whole(10, 2400),
                effect=Never("drawings stay drawings; there is nothing to resolve"),
            ),
            Parameter(
                name="RotatePage",
                kind=Choice(("Disabled", "ByPage", "All")),
                effect=Only(values=("Disabled",), why="pages lie as they are meant to"),
                default="Disabled",
            ),
        ),
        rules=(strip_metadata, describe),
        engines=_ENGINES,
    ),
    Counterpart(
        sources=("office",),
        target="pdf",
        steps=(To("pdf"),),
        parameters=(
            FILE,
            PASSWORD,
            flag_off("Pdfa", "say which format it is: the others take it", default="false"),
        ),
        note="The file's first bytes say what it is.",
    ),
    Counterpart(
        sources=("file",),
        target="pdf",
        steps=(To("pdf"),),
        parameters=(FILE,),
        note="The file's first bytes say what it is: whatever docs/formats.md turns into PDF.",
    ),
)

_JPEG_TYPES = Parameter(
    name="JpgType",
    kind=Choice(("jpeg", "jpegcmyk", "jpeggray")),
    effect=Only(values=("jpeg",), why="pictures of documents are in colour"),
    default="jpeg",
)
_HIDDEN = Parameter(
    name="ConvertHiddenSlides",
    kind=Flag(),
    effect=Joint("true: by way of PDF"),
    default="false",
)
_UPRIGHT = Parameter(
    name="Rotate",
    kind=Whole(-360, 360),
    effect=Only(values=("0", "360", "-360"), why="pages are drawn as they are meant to lie"),
    default="0",
)
_CLEAR = never("TransparentColor", "no colour is made transparent here")
_WHITE = Parameter(
    name="BackgroundColor",
    kind=Colour(),
    effect=Only(values=("ffffff",), why="paper is white"),
)
_TIFF_TYPES: dict[str, str | None] = {
    "color24zip": "colour",
    "grayscalezip": "grey",
    "monochromeg4": "mono",
}
_TIFF_TYPE = Parameter(
    name="TiffType",
    kind=Choice(
        (
            *("color24nc", "color32nc", "color24lzw", "color32lzw", "color24zip", "color32zip"),
            *("grayscale", "grayscalelzw", "grayscalezip", "monochromeg3", "monochromeg32d"),
            *("monochromeg4", "monochromelzw", "monochromepackbits"),
        )
    ),
    effect=Sets(
        option="colour",
        words=_TIFF_TYPES,
        step=LAST,
        lacks="colours and greys are packed by zip (color24zip, grayscalezip), black and white by"
        " group 4 (monochromeg4)",
    ),
    group="Image",
)
_FILL = Parameter(
    name="FillOrder",
    kind=Choice(("0", "1")),
    effect=Only(values=("1",), why="bits stand in the usual order"),
    default="1",
)
TIFF_PARAMETERS = (*PAGE_SCALING, *resolution(), *RENDERER, multipage(), _TIFF_TYPE, _FILL)


def _shown(draft: Draft) -> None:
    """Hidden slides are printed only: their pictures go by way of PDF."""
    if draft.is_on("ConvertHiddenSlides"):
        target = draft.steps[0].target
        draft.instead(
            To("pdf", "pdf", {"hidden_slides": "true"}), To(target, "render", {"dpi": PAGES_DPI})
        )
        for option in ("dpi", "width", "height", "quality"):
            draft.move(option, LAST)


_HIDDEN_PRINTED = Parameter(
    name="ConvertHiddenSlides", kind=Flag(), effect=Sets(option="hidden_slides"), default="false"
)


def _pictures(
    sources: tuple[str, ...], *more: Parameter, also: tuple[str, ...] = (), ranged: bool = True
) -> tuple[Counterpart, ...]:
    """JPEG, PNG and WebP drawn at once, TIFF by way of PDF."""
    first = (FILE, PASSWORD, *((pages(),) if ranged else ()))
    lasting = (*PAGE_SCALING, *resolution(), *RENDERER)
    own: dict[str, tuple[Parameter, ...]] = {
        "jpg": (_JPEG_TYPES, *quality()),
        "png": (_UPRIGHT, _CLEAR, _WHITE),
        "webp": quality("ImageQuality"),
    }
    drawn = tuple(
        Counterpart(
            sources=sources,
            target=target,
            steps=(To(target, "image", {"pages": "1-", "dpi": PAGES_DPI}),),
            parameters=(*first, *lasting, *parameters, *more),
            rules=(_shown, scale_page),
            also=also,
            engines=_ENGINES,
        )
        for target, parameters in own.items()
    )
    printed = tuple(_HIDDEN_PRINTED if one is _HIDDEN else one for one in more)
    tiff = Counterpart(
        sources=sources,
        target="tiff",
        steps=(To("pdf", "pdf"), To("tiff", "render", {"dpi": PAGES_DPI})),
        parameters=(*first, *TIFF_PARAMETERS, _WHITE, *printed),
        rules=(scale_page,),
        also=also,
        engines=_ENGINES,
        note="By way of PDF.",
    )
    return (*drawn, tiff)


_PICTURES = (
    *_pictures(("docx", "dotx", "odt", "rtf"), also=("doc", "docm")),
    *_pictures(("pptx", "ppsx", "potx"), _HIDDEN, also=("ppt", "pptm", "pps")),
    *_pictures(("odp",)),
    *_pictures(("xlsx", "ods"), also=("xls", "xlsm", "xlsb", "xltx")),
    *_pictures(("pub",)),
    *_pictures(("vsdx",), also=("vsd", "odg")),
)


def _other(
    sources: tuple[str, ...],
    target: str,
    *more: Parameter,
    operation: str = "convert",
    effect: Effect | None = None,
) -> Counterpart:
    password = (
        PASSWORD
        if effect is None
        else Parameter(name="Password", kind=PASSWORD.kind, effect=effect)
    )
    return Counterpart(
        sources=sources,
        target=target,
        steps=(To(target, operation),),
        parameters=(FILE, password, *more),
        engines=_ENGINES,
    )


_OTHERS = (
    _other(("doc", "odt"), "docx", _TOC, _REFERENCES),
    _other(("docx",), "odt", _TOC, _REFERENCES),
    _other(("docx",), "rtf", _TOC, _REFERENCES),
    _other(("potx", "ppsx", "ppt", "pptx"), "pptx"),
    _other(("xls",), "xls"),
    _other(("xls", "xlsx"), "xlsx"),
)

COUNTERPARTS = (_TEXTS, _SLIDES, *_SHEETS, *_OPEN, *_PICTURES, *_OTHERS)
