"""What a PDF says, in another format: text, tables, documents; and recognised text."""

from gateway.compat.convertapi.parameters.draft import Draft
from gateway.compat.convertapi.parameters.kinds import Choice, Flag, Text
from gateway.compat.convertapi.parameters.shared import FILE, PASSWORD, flag_off, pages
from gateway.compat.convertapi.parameters.terms import (
    Counterpart,
    Joint,
    Only,
    Parameter,
    Sets,
    To,
)

_UNGUESSED = "which language it is is not found out: name it; English is expected otherwise"
_LANGUAGES: dict[str, str | None] = {
    "ar": "ara",
    "ca": "cat",
    "zh": "chi_sim",
    "zh-cn": "chi_sim",
    "zh-tw": "chi_tra",
    "da": "dan",
    "nl": "nld",
    "en": "eng",
    "fi": "fin",
    "fr": "fra",
    "fa": "fas",
    "de": "deu",
    "el": "ell",
    "he": "heb",
    "it": "ita",
    "ja": "jpn",
    "ko": "kor",
    "lt": "lit",
    "no": "nor",
    "pl": "pol",
    "pt": "por",
    "ro": "ron",
    "ru": "rus",
    "sl": "slv",
    "es": "spa",
    "sv": "swe",
    "tr": "tur",
    "ua": "ukr",
    "th": "tha",
}
LANGUAGE = Parameter(
    name="OcrLanguage",
    kind=Choice(("auto", *_LANGUAGES)),
    effect=Sets(option="language", words=_LANGUAGES, lacks=_UNGUESSED),
    group="OCR",
)
_LATE_LANGUAGE = Parameter(
    name="OcrLanguage",
    kind=Choice(("auto", *_LANGUAGES)),
    effect=Joint("`language`, by tesseract's names; those installed can be used; auto is refused"),
    group="OCR",
)
_LAYOUTS: dict[str, str | None] = {
    "sparseText": "sparse",
    "auto": "auto",
    "singleLine": "line",
    "singleColumn": "column",
    "singleWord": "word",
}
_PRESENT: dict[str, str | None] = {
    "auto": "keep",
    "always": "recognise",
    "reprocess": "recognise",
}


def _recognised(draft: Draft) -> None:
    if draft.values.get("OutputType") == "txt":
        draft.instead(To("txt", "recognise"))


_OCR = Counterpart(
    sources=("pdf",),
    target="ocr",
    steps=(To("pdf", "searchable"),),
    parameters=(
        FILE,
        PASSWORD,
        pages(),
        LANGUAGE,
        Parameter(
            name="OcrMode",
            kind=Choice(tuple(_PRESENT)),
            effect=Sets(option="pages_with_text", words=_PRESENT),
            default="auto",
            group="OCR",
        ),
        Parameter(
            name="OutputType",
            kind=Choice(("pdf", "txt")),
            effect=Joint("`ocr.searchable` or `ocr.recognise`"),
            default="pdf",
        ),
        Parameter(
            name="PageSegmentationMode",
            kind=Choice((*_LAYOUTS, "sparseTextOsd", "autoOsd")),
            effect=Sets(option="layout", words=_LAYOUTS, lacks="pages are not turned to be read"),
            default="auto",
            group="OCR",
        ),
    ),
    rules=(_recognised,),
)
_READ = Counterpart(
    sources=("jpg",),
    target="txt",
    steps=(To("txt", "recognise"),),
    parameters=(FILE, LANGUAGE, flag_off("Preprocessing", "pictures are looked at as they are")),
    also=("png", "tiff", "bmp", "webp", "gif"),
)


def _ocr_mode(name: str = "OcrMode", auto: str = "auto", off: str = "never") -> Parameter:
    force = {"Scanned": "All"}.get(auto, "force")
    return Parameter(
        name=name,
        kind=Choice((auto, force, off)),
        effect=Joint(f"{off}: nothing; {auto} and {force}: `ocr.searchable` goes before"),
        group="OCR",
    )


def _recognise_first(draft: Draft) -> None:
    """Text under scanned pages, before anything is read from them."""
    mode = draft.values.get("OcrMode") or draft.values.get("EnableOcr")
    if mode in {None, "never", "None"}:
        return
    present = "keep" if mode in {"auto", "Scanned"} else "recognise"
    step = draft.prepend("pdf", "searchable", pages_with_text=present)
    _speak(draft, step.options)


def _speak(draft: Draft, options: dict[str, str]) -> None:
    said = draft.said("OcrLanguage")
    if said == "auto":
        draft.refuse("OcrLanguage", f"auto cannot be honoured: {_UNGUESSED}")
    elif said is not None and (language := _LANGUAGES[said]):
        options["language"] = language


def _said(draft: Draft) -> None:
    """Plain text: recognised in one conversion, where recognition is asked for."""
    mode = draft.values.get("OcrMode")
    if mode in {"auto", "force"}:
        present = "keep" if mode == "auto" else "recognise"
        if draft.is_on("IncludeFormatting"):
            draft.prepend("pdf", "searchable", pages_with_text=present)
            _speak(draft, draft.steps[0].options)
            return
        draft.steps[0].options.pop("order", None)
        draft.instead(To("txt", "recognise", {"pages_with_text": present}))
        _speak(draft, draft.steps[0].options)


_TEXT = Counterpart(
    sources=("pdf",),
    target="txt",
    steps=(To("txt", "text"),),
    parameters=(
        FILE,
        PASSWORD,
        pages(),
        _ocr_mode(),
        _LATE_LANGUAGE,
        Parameter(
            name="IncludeFormatting",
            kind=Flag(),
            effect=Sets(option="order", words={"true": "layout", "false": None}),
            default="false",
        ),
        flag_off("SplitPages", "a document becomes one text; a form feed stands between its pages"),
        *(
            flag_off(name, "a page does not say which of its words are such")
            for name in ("RemoveHeadersFooters", "RemoveFootnotes", "RemoveTables")
        ),
    ),
    rules=(_said,),
    note="Text is recognised in scans where OcrMode is sent and is not never.",
)
_DELIMITERS: dict[str, str | None] = {",": "comma", ";": "semicolon", "\t": "tab", "\\t": "tab"}
_TABLES = (
    Counterpart(
        sources=("pdf",),
        target="csv",
        steps=(To("csv", "tables"),),
        parameters=(
            FILE,
            PASSWORD,
            pages(),
            Parameter(
                name="Delimiter",
                kind=Text(),
                effect=Sets(
                    option="delimiter", words=_DELIMITERS, lacks="a comma, semicolon or tab can be"
                ),
            ),
            _ocr_mode("EnableOcr", "Scanned", "None"),
            _LATE_LANGUAGE,
        ),
        rules=(_recognise_first,),
        note="A file a table.",
    ),
    Counterpart(
        sources=("pdf",),
        target="xlsx",
        steps=(To("xlsx", "tables"),),
        parameters=(
            FILE,
            PASSWORD,
            pages(),
            _ocr_mode(),
            _LATE_LANGUAGE,
            flag_off("IncludeFormatting", "cells hold what tables say, without its looks"),
            Parameter(
                name="SingleSheet",
                kind=Flag(),
                effect=Sets(option="sheets", words={"true": "one", "false": "table"}),
                default="false",
            ),
            Parameter(
                name="DecimalSeparator",
                kind=Choice(("auto", "period", "comma")),
                effect=Sets(
                    option="decimal",
                    words={"period": "point", "comma": "comma"},
                    lacks="it is not found out: a point is expected unless comma is said",
                ),
            ),
            Parameter(
                name="ThousandsSeparator",
                kind=Choice(("auto", "period", "comma", "space")),
                effect=Only(values=("auto",), why="it follows from the decimal separator"),
                default="auto",
            ),
        ),
        rules=(_recognise_first,),
    ),
)
_AS_PLACED = Parameter(
    name="Wysiwyg",
    kind=Flag(),
    effect=Sets(option="layout", words={"true": "page", "false": "flow"}),
)
_EDITED = (FILE, PASSWORD, pages(), _ocr_mode(), _LATE_LANGUAGE)
_EDITABLE = (
    Counterpart(
        sources=("pdf",),
        target="docx",
        steps=(To("docx", "editable"),),
        parameters=(
            *_EDITED,
            _AS_PLACED,
            Parameter(
                name="Annotations",
                kind=Choice(("textBox", "comment", "none")),
                effect=Only(values=("none",), why="comments on pages are left out"),
            ),
        ),
        rules=(_recognise_first,),
    ),
    Counterpart(
        sources=("pdf",),
        target="html",
        steps=(To("html", "editable"),),
        parameters=(*_EDITED, flag_off("Wysiwyg", "a page becomes text that flows")),
        rules=(_recognise_first,),
    ),
    Counterpart(
        sources=("pdf",),
        target="rtf",
        steps=(To("docx", "editable"), To("rtf", "convert")),
        parameters=(*_EDITED, _AS_PLACED),
        rules=(_recognise_first,),
        note="By way of DOCX.",
    ),
    Counterpart(
        sources=("pdf",),
        target="pptx",
        steps=(To("pptx", "editable"),),
        parameters=(
            *_EDITED,
            Parameter(
                name="TextRecoveryMode",
                kind=Choice(("auto", "always", "never")),
                effect=Only(values=("never",), why="text is taken as its fonts say that it reads"),
            ),
        ),
        rules=(_recognise_first,),
    ),
)

COUNTERPARTS = (
    _OCR,
    _READ,
    _TEXT,
    *_TABLES,
    *_EDITABLE,
)
