"""The options of the document family: typed, with a range and a sentence each."""

from typing import Annotated, Literal, get_args

import msgspec
from msgspec import Meta

Encoding = Literal[
    "auto",
    "utf-8",
    "utf-16",
    "iso-8859-1",
    "iso-8859-2",
    "iso-8859-15",
    "windows-1250",
    "windows-1251",
    "windows-1252",
    "koi8-r",
    "shift_jis",
    "euc-jp",
    "euc-kr",
    "gb18030",
    "big5",
    "mac-roman",
]
ENCODINGS = tuple(name for name in get_args(Encoding) if name != "auto")

Highlight = Literal[
    "pygments",
    "tango",
    "espresso",
    "zenburn",
    "kate",
    "monochrome",
    "breezedark",
    "haddock",
    "none",
]
PdfStandard = Literal["1.7", "2.0", "a-2b", "a-2u", "a-3b", "a-4", "ua-1"]

_Standard = Annotated[
    PdfStandard,
    Meta(
        description="What the PDF conforms to: a version, PDF/A for archives, or PDF/UA for"
        " accessibility. typst refuses what it cannot make conform.",
        examples=["a-2b"],
    ),
]


# How the upload is read.
_Encoding = Annotated[
    Encoding,
    Meta(
        description="Character encoding of a text upload. auto: by its mark, else UTF-8, else"
        " Windows-1252.",
        examples=["iso-8859-15"],
    ),
]
_Markdown = Annotated[
    Literal["auto", "pandoc", "gfm", "commonmark"],
    Meta(
        description="Flavour of Markdown, read or written. auto: reads what people write,"
        " writes GitHub's.",
        examples=["gfm"],
    ),
]
_TextLayout = Annotated[
    Literal["lines", "paragraphs", "verbatim"],
    Meta(
        description="How plain text is read. lines: line ends are kept. paragraphs: lines up to"
        " an empty one are joined. verbatim: as it stands, in a fixed-width font.",
        examples=["paragraphs"],
    ),
]
_TrackedChanges = Annotated[
    Literal["accept", "reject"],
    Meta(description="What becomes of tracked changes in a DOCX.", examples=["reject"]),
]
_RawHtml = Annotated[
    Literal["safe", "keep", "strip"],
    Meta(
        description="HTML inside other formats, where the result can hold it. safe: formatting"
        " stays; scripts, frames, forms and event handlers go. keep: all stays, scripts too."
        " strip: none stays.",
        examples=["strip"],
    ),
]
# What of a message is shown.
_Headers = Annotated[
    Literal["standard", "all", "none"],
    Meta(
        description="Header lines above the text. standard: from, to, copies, date, subject.",
        examples=["all"],
    ),
]
_Body = Annotated[
    Literal["html", "text"],
    Meta(
        description="Which version of the text is taken where a message has both.",
        examples=["text"],
    ),
]


class Document(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is asked of every document, however it is written in the end."""

    title: Annotated[
        str, Meta(max_length=500, description="Title, in place of its own.", examples=["Report"])
    ] = ""
    author: Annotated[
        str,
        Meta(
            max_length=500,
            description="Authors in place of its own, apart by semicolons.",
            examples=["Ada Lovelace; Charles Babbage"],
        ),
    ] = ""
    language: Annotated[
        str,
        Meta(
            pattern="^([a-z]{2,3}(-[A-Za-z0-9]{2,8})*)?$",
            max_length=35,
            description="Language of the text as a BCP 47 tag: for hyphenation, spelling and screen"
            " readers.",
            examples=["en-GB"],
        ),
    ] = ""
    toc: Annotated[bool, Meta(description="Put a table of contents in front.", examples=[True])] = (
        False
    )
    toc_depth: Annotated[
        int,
        Meta(ge=1, le=6, description="Levels of headings in the table of contents.", examples=[2]),
    ] = 3
    number_sections: Annotated[
        bool, Meta(description="Number the headings: 1, 1.1, 1.2 ...", examples=[True])
    ] = False


class Written(Document, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a result that is a file of text or a package is written."""

    standalone: Annotated[
        bool,
        Meta(
            description="A whole document with its head; false gives a fragment to put into"
            " another.",
            examples=[False],
        ),
    ] = True
    images: Annotated[
        Literal["auto", "embed", "drop"],
        Meta(
            description="Pictures that the file holds. embed: in the result (Markdown: as data"
            " addresses). drop: their descriptions only. auto: embed where the format is made"
            " for it.",
            examples=["embed"],
        ),
    ] = "auto"
    highlight: Annotated[
        Highlight,
        Meta(description="Colours of program code, or none.", examples=["tango"]),
    ] = "pygments"
    line_width: Annotated[
        int,
        Meta(
            ge=0,
            le=500,
            description="Characters a line in formats that are text. 0: a paragraph is one line.",
            examples=[72],
        ),
    ] = 0
    slide_level: Annotated[
        int,
        Meta(
            ge=0,
            le=6,
            description="Level of heading that begins a slide of a presentation. 0: found from the"
            " document.",
            examples=[2],
        ),
    ] = 0


class RestructureOptions(Written, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of document.restructure."""

    encoding: _Encoding = "auto"
    markdown: _Markdown = "auto"
    text_layout: _TextLayout = "lines"
    tracked_changes: _TrackedChanges = "accept"
    raw_html: _RawHtml = "safe"


class OnPages(Document, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How text is set on pages."""

    page_size: Annotated[
        Literal["a3", "a4", "a5", "a6", "b5", "letter", "legal"],
        Meta(description="Size of the pages.", examples=["letter"]),
    ] = "a4"
    orientation: Annotated[
        Literal["portrait", "landscape"],
        Meta(description="How the pages lie.", examples=["landscape"]),
    ] = "portrait"
    margin_mm: Annotated[
        float,
        Meta(ge=5, le=60, description="White on each side, in millimetres.", examples=[20]),
    ] = 25
    font: Annotated[
        Literal["serif", "classic", "mono"],
        Meta(
            description="Typeface: Libertinus Serif, New Computer Modern or DejaVu Sans Mono.",
            examples=["classic"],
        ),
    ] = "serif"
    font_size: Annotated[
        float, Meta(ge=6, le=36, description="Size of the text in points.", examples=[12])
    ] = 11
    line_spacing: Annotated[
        float,
        Meta(ge=0.8, le=3, description="Distance of lines; 1 is single.", examples=[1.5]),
    ] = 1
    columns: Annotated[
        int, Meta(ge=1, le=3, description="Columns of text on a page.", examples=[2])
    ] = 1
    justify: Annotated[bool, Meta(description="Align text on both sides.", examples=[False])] = True
    page_numbers: Annotated[
        bool, Meta(description="Number the pages at their foot.", examples=[False])
    ] = True
    images: Annotated[
        Literal["embed", "drop"],
        Meta(
            description="Pictures that the file holds. embed: on the pages. drop: their"
            " descriptions only.",
            examples=["drop"],
        ),
    ] = "embed"
    pdf_standard: _Standard = "1.7"


class TypesetOptions(OnPages, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of document.typeset."""

    encoding: _Encoding = "auto"
    markdown: _Markdown = "auto"
    text_layout: _TextLayout = "lines"
    tracked_changes: _TrackedChanges = "accept"
    raw_html: _RawHtml = "safe"


class MailOptions(Written, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of document.mail."""

    headers: _Headers = "standard"
    body: _Body = "html"


class MailPagesOptions(OnPages, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of document.mail-pages."""

    headers: _Headers = "standard"
    body: _Body = "html"


class CompileOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of document.compile: typst source as it is."""

    dpi: Annotated[
        int,
        Meta(ge=36, le=600, description="Dots an inch of PNG pages.", examples=[300]),
    ] = 144
    inputs: Annotated[
        str,
        Meta(
            max_length=8000,
            description="A JSON object of texts that the source finds in sys.inputs.",
            examples=['{"customer": "Ada"}'],
        ),
    ] = ""
    pdf_standard: _Standard = "1.7"


class NoOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """document.metadata has none."""
