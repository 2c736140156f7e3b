"""Text, Markdown, HTML as a document, books, mail, tables: and what they become."""

from gateway.compat.convertapi.parameters.draft import Draft
from gateway.compat.convertapi.parameters.kinds import Choice, Flag, Number, Text, Whole
from gateway.compat.convertapi.parameters.office import TIFF_PARAMETERS
from gateway.compat.convertapi.parameters.shared import (
    FILE,
    PAGE_SCALING,
    PAGES_DPI,
    PASSWORD,
    RENDERER,
    even_margins,
    flag_off,
    margins,
    never,
    pages,
    pdfa,
    quality,
    resolution,
    same_margins,
    scale_page,
)
from gateway.compat.convertapi.parameters.terms import (
    Counterpart,
    Joint,
    Moot,
    Never,
    Only,
    Parameter,
    Sets,
    To,
)

_NO_LOCK = never("Password", "the format knows no password")
_ARCHIVE = pdfa("true: `pdf_standard=a-2b`")


def _typeset(draft: Draft) -> None:
    if draft.is_on("Pdfa"):
        if draft.said("PageRange", "1-") != "1-":
            draft.refuse("Pdfa", "true contradicts PageRange: what pages are taken from is not one")
        draft.steps[0].options["pdf_standard"] = "a-2b"


def _chosen(draft: Draft) -> None:
    if draft.said("PageRange", "1-") != "1-":
        step = draft.append("pdf", "pages", pages=draft.values["PageRange"])
        step.blamed["pages"] = "PageRange"


_PAGES_AFTER = Parameter(
    name="PageRange", kind=pages().kind, effect=Joint("`pdf.pages` follows"), group="Input"
)
_FONTS = ("Arial", "Bahnschrift", "Calibri", "Cambria", "Consolas", "Constantia", "CourierNew")
_TEXT_PAGES = (
    Counterpart(
        sources=("txt",),
        target="pdf",
        steps=(To("pdf", "typeset"),),
        parameters=(
            FILE,
            Parameter(
                name="FontName",
                kind=Choice((*_FONTS, "Georgia", "Tahoma", "TimesNewRoman", "Verdana")),
                effect=Never("text is set in Libertinus Serif"),
            ),
            Parameter(name="FontSize", kind=Whole(4, 72), effect=Sets(option="font_size")),
            *even_margins(500),
            _PAGES_AFTER,
            _ARCHIVE,
        ),
        rules=(same_margins, _typeset, _chosen),
        note="FontSize from 6 to 36.",
    ),
    Counterpart(
        sources=("log",),
        target="pdf",
        steps=(To("pdf", "typeset"),),
        parameters=(
            FILE,
            _PAGES_AFTER,
            Parameter(
                name="PdfaVersion",
                kind=Choice(("none", "pdfA1b", "pdfA2b", "pdfA3b")),
                effect=Sets(
                    option="pdf_standard",
                    words={"none": None, "pdfA2b": "a-2b", "pdfA3b": "a-3b"},
                    lacks="typeset documents are level B of parts 2 and 3",
                ),
                default="none",
            ),
        ),
        rules=(_chosen,),
    ),
    Counterpart(
        sources=("md",),
        target="pdf",
        steps=(To("html", "restructure"), To("pdf", "print")),
        parameters=(FILE, *margins(0, 500)),
        note="By way of HTML.",
    ),
    Counterpart(
        sources=("epub",),
        target="pdf",
        steps=(To("pdf", "typeset"),),
        parameters=(
            FILE,
            Parameter(name="BaseFontSize", kind=Number(1, 50), effect=Sets(option="font_size")),
            *even_margins(200),
        ),
        rules=(same_margins,),
        note="BaseFontSize from 6 to 36.",
    ),
)

_DRAWN = (*PAGE_SCALING, *resolution(), *RENDERER)


def _drawn(sources: tuple[str, ...], target: str, first: To, *parameters: Parameter) -> Counterpart:
    return Counterpart(
        sources=sources,
        target=target,
        steps=(first, To(target, "render", {"dpi": PAGES_DPI})),
        parameters=(FILE, *parameters),
        rules=(scale_page,),
        note="By way of PDF.",
    )


_GREYS: dict[str, str | None] = {"jpeg": None, "jpeggray": "grey"}
_JPG_TYPE = Parameter(
    name="JpgType",
    kind=Choice(("jpeg", "jpegcmyk", "jpeggray")),
    effect=Sets(
        option="colour", words=_GREYS, step=-1, lacks="pictures of pages have no printing inks"
    ),
    default="jpeg",
)
_SET, _MAILED = To("pdf", "typeset"), To("pdf", "mail-pages")
_MAIL = (
    Parameter(
        name="IgnoreAttachmentErrors",
        kind=Flag(),
        effect=Moot("attachments are not converted, so none can fail"),
    ),
    Parameter(
        name="Merge",
        kind=Flag(),
        effect=Never("attachments are not converted, so there is nothing to merge"),
    ),
)
_BOOKS = (
    _drawn(("epub",), "jpg", _SET, *_DRAWN, *quality(step=-1), _JPG_TYPE),
    _drawn(("epub",), "png", _SET, *_DRAWN),
    _drawn(("epub",), "webp", _SET, *_DRAWN, *quality("ImageQuality", step=-1)),
    _drawn(("epub",), "tiff", _SET, *TIFF_PARAMETERS),
    _drawn(("txt",), "jpg", _SET, _NO_LOCK, pages(-1), *_DRAWN, *quality(step=-1), _JPG_TYPE),
)
_LETTERS = (
    Counterpart(
        sources=("eml", "msg"),
        target="pdf",
        steps=(_MAILED,),
        parameters=(FILE, *_MAIL, *even_margins(500), _ARCHIVE),
        rules=(same_margins, _typeset),
        note="The message without its attachments.",
    ),
    *(
        _drawn(
            ("eml", "msg"),
            target,
            _MAILED,
            *_MAIL,
            *(TIFF_PARAMETERS if target == "tiff" else _DRAWN),
            *(quality(step=-1) if target in {"jpg", "webp"} else ()),
        )
        for target in ("jpg", "png", "webp", "tiff")
    ),
)

_INLINE = Parameter(
    name="InlineImages",
    kind=Flag(),
    effect=Only(values=("true",), why="a page that lies beside its pictures is several files"),
    default="true",
)
_LINES = Parameter(
    name="EndLineChar",
    kind=Choice(("crlf", "cr", "lfcr", "lf")),
    effect=Only(values=("lf",), why="lines end with a line feed"),
)
_SUBSTITUTIONS = flag_off("Substitutions", "letters stay the letters that they are")
_FLAVOURS: dict[str, str | None] = {"true": "gfm", "false": "commonmark"}
_MARKDOWN = (
    Parameter(
        name="GithubFlavored",
        kind=Flag(),
        effect=Sets(option="markdown", words=_FLAVOURS),
        default="false",
    ),
    Parameter(
        name="ListBulletChar",
        kind=Text(),
        effect=Only(values=("-",), why="lists begin with a hyphen"),
        default="-",
    ),
    Parameter(
        name="RemoveComments",
        kind=Flag(),
        effect=Only(values=("true",), why="comments are taken out"),
        default="true",
    ),
    never("PassThroughTags", "what Markdown cannot say is written plainly"),
    Parameter(
        name="UnsupportedTags",
        kind=Choice(("PassThrough", "Drop", "Bypass", "Fail")),
        effect=Only(values=("Bypass",), why="of a tag that Markdown lacks the content stays"),
    ),
)


def _restructured(
    sources: tuple[str, ...], target: str, *parameters: Parameter, **options: str
) -> Counterpart:
    return Counterpart(
        sources=sources,
        target=target,
        steps=(To(target, "restructure", options),),
        parameters=(FILE, *parameters),
    )


_STRUCTURED = (
    _restructured(("docx", "rtf"), "html", _NO_LOCK, _INLINE, images="embed"),
    _restructured(("docx",), "md", _NO_LOCK),
    _restructured(("md",), "html"),
    _restructured(("log",), "docx"),
    _restructured(("docx", "odt", "rtf"), "txt", _NO_LOCK, _LINES, _SUBSTITUTIONS),
    _restructured(("log",), "txt", _NO_LOCK, _LINES, _SUBSTITUTIONS, text_layout="lines"),
    _restructured(("html",), "md", *_MARKDOWN),
    _restructured(
        ("html",),
        "docx",
        Parameter(
            name="MarginHorizontal",
            kind=Number(0, 500),
            effect=Never("a document gets the margins of its template"),
        ),
        Parameter(
            name="MarginVertical",
            kind=Number(0, 500),
            effect=Never("a document gets the margins of its template"),
        ),
    ),
)


def _both_sides(draft: Draft) -> None:
    """A margin for two sides of the page each."""
    for name, sides in (("Horizontal", ("left", "right")), ("Vertical", ("top", "bottom"))):
        if (value := draft.said(f"Margin{name}")) is not None:
            for side in sides:
                draft.put(f"margin_{side}_mm", value, f"Margin{name}")


_ARCHIVED_PAGE = Counterpart(
    sources=("mhtml",),
    target="docx",
    steps=(To("pdf", "print"), To("docx", "editable")),
    parameters=(
        FILE,
        *(
            Parameter(
                name=f"Margin{name}", kind=Number(0, 500), effect=Joint(f"margins at the {sides}")
            )
            for name, sides in (("Horizontal", "left and right"), ("Vertical", "top and bottom"))
        ),
    ),
    rules=(_both_sides,),
    note="By way of PDF.",
)

_DELIMITERS: dict[str, str | None] = {
    ",": "comma",
    ";": "semicolon",
    "\t": "tab",
    "\\t": "tab",
    "|": "pipe",
    ":": "colon",
    " ": "space",
}
_TABLES = (
    Counterpart(
        sources=("csv",),
        target="xlsx",
        steps=(To("xlsx"),),
        parameters=(
            FILE,
            Parameter(
                name="Delimiter",
                kind=Text(),
                effect=Sets(
                    option="delimiter",
                    words=_DELIMITERS,
                    lacks="a comma, semicolon, tab, bar, colon or space can be",
                ),
            ),
            Parameter(
                name="CellType",
                kind=Choice(("general", "text")),
                effect=Sets(option="types", words={"general": "infer", "text": "text"}),
                default="general",
            ),
        ),
        also=("tsv",),
    ),
    Counterpart(
        sources=("xlsx", "xlsb"),
        target="csv",
        steps=(To("csv"),),
        parameters=(FILE, PASSWORD),
        also=("xls", "ods", "xlsm"),
    ),
)

COUNTERPARTS = (*_TEXT_PAGES, *_BOOKS, *_LETTERS, *_STRUCTURED, _ARCHIVED_PAGE, *_TABLES)
