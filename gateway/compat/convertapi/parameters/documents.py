"""A PDF as a document: made smaller, locked, archived, described, redacted."""

import msgspec

from gateway.compat.convertapi.parameters.draft import Draft
from gateway.compat.convertapi.parameters.kinds import Choice, Colour, Flag, Number, Text, Whole
from gateway.compat.convertapi.parameters.shared import (
    FILE,
    PASSWORD,
    flag_off,
    flag_on,
    pages,
)
from gateway.compat.convertapi.parameters.terms import (
    Counterpart,
    Holds,
    Joint,
    Moot,
    Never,
    Only,
    Parameter,
    Sets,
    To,
)

LINEARIZE = Parameter(
    name="Linearize",
    kind=Flag(),
    effect=Joint("true: `pdf.linearise` follows"),
    default="false",
)


def _linearise(draft: Draft) -> None:
    if draft.is_on("Linearize"):
        draft.append("pdf", "linearise")


_PRESETS: dict[str, str | None] = {
    "none": "lossless",
    "lossless": "lossless",
    "text": "lossless",
    "archive": "print",
    "printer": "print",
    "ebook": "ebook",
    "web": "screen",
}
_PACKED: dict[str, str | None] = {"true": "strong", "false": "light"}
_KEPT = "nothing that belongs to the document is taken out here"


def _compress(draft: Draft) -> None:
    if draft.is_on("RemoveMetadata"):
        draft.append("pdf", "strip_metadata")
    # At the end of all steps: any later one would undo it.
    if draft.is_on("Linearize"):
        if len(draft.steps) > 1:
            draft.append("pdf", "linearise")
        else:
            draft.put("linearise", "true", "Linearize")


_COMPRESS = Counterpart(
    sources=("pdf",),
    target="compress",
    steps=(To("pdf", "compress"),),
    parameters=(
        FILE,
        PASSWORD,
        Parameter(
            name="Preset",
            kind=Choice(("none", "lossless", "text", "archive", "web", "ebook", "printer")),
            effect=Sets(option="preset", words=_PRESETS),
        ),
        *(
            Parameter(
                name=name, kind=Flag(), effect=Sets(option="level", words=_PACKED), default="true"
            )
            for name in ("RemoveDuplicates", "RemoveUnusedResources")
        ),
        Parameter(
            name="RemoveMetadata",
            kind=Flag(),
            effect=Joint("true: `pdf.strip_metadata` follows"),
            default="false",
        ),
        LINEARIZE,
        flag_on("Optimize", "a document is always written anew"),
        flag_off("PreservePdfa", "that a result still conforms is not promised"),
        flag_off("UnembedBaseFonts", "fonts stay in the document"),
        flag_off("SubsetEmbeddedFonts", "fonts stay as they are"),
        *(
            flag_off(name, _KEPT)
            for name in (
                "RemoveForms",
                "RemoveEmbeddedFiles",
                "RemoveStructureInformation",
                "RemovePieceInformation",
            )
        ),
    ),
    rules=(_compress,),
)

_ALLOWED = {
    "PrintDocument": "print",
    "ModifyContents": "modify",
    "ExtractContents": "copy",
    "ModifyAnnotations": "annotate",
    "FillFormFields": "forms",
    "AssembleDocument": "assemble",
}


def _protect(draft: Draft) -> None:
    """What was not allowed is not allowed: silence is the strict reading."""
    if not draft.said("UserPassword") and not draft.said("OwnerPassword"):
        draft.refuse("UserPassword", "must be given, or OwnerPassword")
    allowed = [word for name, word in _ALLOWED.items() if draft.is_on(name)]
    draft.put("allow", ",".join(allowed) or "none", "ModifyContents")
    faithful, printed = draft.said("PrintFaithfulCopy"), draft.is_on("PrintDocument")
    if faithful is not None and (faithful == "true") != printed:
        draft.refuse("PrintFaithfulCopy", "must say the same as PrintDocument here")


_PROTECT = Counterpart(
    sources=("pdf",),
    target="protect",
    steps=(To("pdf", "protect"),),
    parameters=(
        FILE,
        PASSWORD,
        Parameter(
            name="EncryptionAlgorithm",
            kind=Choice(("Standard40Bit", "Standard128Bit", "Aes128Bit", "Aes256Bit")),
            effect=Only(
                values=("Aes256Bit",), why="only AES-256 is written; the others are broken or weak"
            ),
        ),
        flag_on("EncryptMeta", "metadata is always encrypted with the rest"),
        Parameter(name="UserPassword", kind=Text(secret=True), effect=Sets(option="user_password")),
        Parameter(
            name="OwnerPassword", kind=Text(secret=True), effect=Sets(option="owner_password")
        ),
        flag_on("RespectOwnerPassword", "a locked document is opened by its owner's password"),
        *(
            Parameter(
                name=name,
                kind=Flag(),
                effect=Joint(f"`allow`: {word}, if true; what is not sent is not allowed"),
                group="Permissions",
            )
            for name, word in _ALLOWED.items()
        ),
        Parameter(
            name="PrintFaithfulCopy",
            kind=Flag(),
            effect=Joint("the same as PrintDocument"),
            group="Permissions",
        ),
    ),
    rules=(_protect,),
    note="Permissions that are not sent are not given. The result is encrypted with AES-256.",
)

_LEVELS: dict[str, str | None] = {"pdfA1b": "1b", "pdfA2b": "2b", "pdfA3b": "3b"}
_ARCHIVED = (
    *("pdfA1a", "pdfA1b", "pdfA2a", "pdfA2b", "pdfA2u", "pdfA3a", "pdfA3b", "pdfA3u", "pdfA4"),
    *("pdfA4e", "pdfA4f"),
)
_PDFA = Counterpart(
    sources=("pdf",),
    target="pdfa",
    steps=(To("pdf", "pdfa"),),
    parameters=(
        FILE,
        PASSWORD,
        Parameter(
            name="PdfaVersion",
            kind=Choice(_ARCHIVED),
            effect=Sets(
                option="level",
                words=_LEVELS,
                lacks="level B of parts 1, 2 and 3 is made; A and U need what a page does not tell",
            ),
        ),
        LINEARIZE,
        Parameter(
            name="InvoiceFormat",
            kind=Choice(("none", "facturX", "zugferd1", "zugferd2")),
            effect=Only(values=("none",), why="invoices are not put into documents here"),
            default="none",
        ),
        Parameter(
            name="InvoiceFile",
            kind=Text(),
            effect=Holds("invoices are not put into documents here"),
        ),
    ),
    rules=(_linearise,),
    note="pdfA2b where PdfaVersion is not sent. What cannot be made to conform is refused.",
)

_FLATTEN = Counterpart(
    sources=("pdf",),
    target="flatten",
    steps=(To("pdf", "flatten"),),
    parameters=(
        FILE,
        PASSWORD,
        flag_on("FlattenControls", "form fields and comments become part of the page together"),
        flag_on("FlattenWidgets", "form fields and comments become part of the page together"),
        flag_off("FlattenText", "letters stay letters"),
    ),
)

_DESCRIBED = (
    ("PdfTitle", "title"),
    ("PdfSubject", "subject"),
    ("PdfAuthor", "author"),
    ("PdfKeywords", "keywords"),
    ("PdfCreator", "creator"),
)
OPENING = (
    Parameter(
        name="OpenPage",
        kind=Whole(1, 3000),
        effect=Only(values=("1",), why="documents open at their first page"),
        default="1",
    ),
    Parameter(
        name="OpenZoom",
        kind=Choice(
            (
                *("Default", "ActualSize", "FitPage", "FitWidth", "FitHeight", "FitVisible"),
                *("25", "50", "75", "100", "125", "150", "200", "400", "800", "1600", "2400"),
                *("3200", "6400"),
            )
        ),
        effect=Only(values=("Default",), why="how large a document opens is its reader's choice"),
        default="Default",
    ),
    Parameter(
        name="ColorSpace",
        kind=Choice(("Default", "RGB", "CMYK", "Gray")),
        effect=Only(values=("Default",), why="colours of a document are not converted"),
        default="Default",
    ),
    Parameter(
        name="PdfVersion",
        kind=Choice(("1.2", "1.3", "1.4", "1.5", "1.6", "1.7", "1.8", "2.0")),
        effect=Never("a document is of the version that what it holds needs"),
    ),
)


def described(step: str) -> tuple[Parameter, ...]:
    """What a document says of itself; `step` says how it gets there."""
    return tuple(
        Parameter(name=name, kind=Text(), effect=Joint(f"`{option}` of {step}"), group="PDF")
        for name, option in _DESCRIBED
    )


def describe(draft: Draft) -> None:
    """Set the metadata in a step of its own, where any is given."""
    sent = [(name, option) for name, option in _DESCRIBED if name in draft.values]
    if not sent:
        return
    step = draft.append("pdf", "set_metadata")
    for name, option in sent:
        step.options[option] = draft.values[name]
        step.blamed[option] = name


_REWRITE = Counterpart(
    sources=("pdf",),
    target="pdf",
    steps=(To("pdf", "pages"),),
    parameters=(FILE, PASSWORD, *OPENING, *described("`pdf.set_metadata`, which follows")),
    rules=(describe,),
)


def _redact(draft: Draft) -> None:
    """The words alone: what is sensitive is not guessed."""
    if "RedactionData" not in draft.values:
        draft.refuse("RedactionData", "must be given: what is sensitive is not guessed here")
        return
    try:
        items = msgspec.json.decode(draft.values["RedactionData"], type=list[dict[str, str]])
    except msgspec.MsgspecError:
        draft.refuse("RedactionData", 'must be a JSON list such as [{"Text": "Ada Example"}]')
        return
    if not items or any(set(item) != {"Text"} for item in items):
        draft.refuse("RedactionData", "Regex and Detect cannot be honoured; Text can")
        return
    words = msgspec.json.encode([item["Text"] for item in items]).decode()
    draft.put("words", words, "RedactionData")


_DETECTION = "what is sensitive is not guessed; RedactionData names what to hide"
_REDACT = Counterpart(
    sources=("pdf",),
    target="redact",
    steps=(To("pdf", "redact"),),
    parameters=(
        FILE,
        PASSWORD,
        pages(),
        Parameter(
            name="Preset",
            kind=Choice(("auto", "gdpr", "hipaa", "ferpa", "foia", "glba", "ccpa", "manual")),
            effect=Only(values=("manual",), why=_DETECTION),
        ),
        *(flag_off(name, _DETECTION) for name in ("PII", "PHI", "Financial")),
        Parameter(
            name="RedactionData",
            kind=Text(),
            effect=Joint("`words`, from items with Text; Regex and Detect are refused"),
        ),
        Parameter(
            name="RedactionColor",
            kind=Colour(),
            effect=Only(values=("000000",), why="what is hidden is black"),
        ),
        Parameter(
            name="RedactionThickness",
            kind=Number(0.5, 2),
            effect=Only(values=("1",), why="lines are hidden at their whole height"),
            default="1",
        ),
        *(
            Parameter(name=name, kind=kind, effect=Moot("nothing is guessed"))
            for name, kind in (
                ("MinimumConfidence", Number(0.01, 0.99)),
                ("ContextSize", Choice(("balanced", "page"))),
            )
        ),
    ),
    rules=(_redact,),
    note="By RedactionData's texts only. Pages that change become pictures, so that nothing is"
    " left beneath.",
)

_RASTERIZE = Counterpart(
    sources=("pdf",),
    target="rasterize",
    steps=(To("tiff", "render", {"dpi": "200"}), To("pdf", "images")),
    parameters=(
        FILE,
        PASSWORD,
        Parameter(name="Resolution", kind=Whole(10, 800), effect=Sets(option="dpi")),
    ),
)

COUNTERPARTS = (
    _COMPRESS,
    _PROTECT,
    Counterpart(
        sources=("pdf",),
        target="unprotect",
        steps=(To("pdf", "unlock"),),
        parameters=(FILE, PASSWORD),
    ),
    _PDFA,
    _FLATTEN,
    Counterpart(
        sources=("pdf",),
        target="meta",
        steps=(To("json", "metadata"),),
        parameters=(FILE, PASSWORD),
        note="A JSON document.",
    ),
    _REWRITE,
    _REDACT,
    _RASTERIZE,
)
