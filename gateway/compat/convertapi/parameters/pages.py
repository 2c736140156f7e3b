"""The pages of a PDF: put together, taken apart, turned, cut and resized."""

import re

from gateway.compat.convertapi.parameters.draft import Draft
from gateway.compat.convertapi.parameters.kinds import Choice, Flag, Number, Pages, Text, Whole
from gateway.compat.convertapi.parameters.shared import (
    FILE,
    FILES,
    PASSWORD,
    UNIT,
    flag_off,
    millimetres,
    pages,
    written,
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

SIZES = ("a2", "a3", "a4", "a5", "a6", "letter", "legal", "tabloid")
_SAME = ("default", "portrait", "landscape")
_TOC: dict[str, str | None] = {"disabled": None, "title": "nest"}
_NO_NAMES = "a conversion does not learn the names of its files; title can be had"


def _merged(draft: Draft) -> None:
    if draft.said("PageSize", "default") != "default":
        step = draft.append("pdf", "resize", page_size=draft.values["PageSize"])
        step.blamed["page_size"] = "PageSize"
        if draft.said("PageOrientation", "default") != "default":
            step.options["orientation"] = draft.values["PageOrientation"]
    elif draft.said("PageOrientation", "default") != "default":
        draft.refuse("PageOrientation", "can be honoured together with PageSize only")
    if draft.is_on("RemoveDuplicateFonts"):
        draft.append("pdf", "compress", preset="lossless", level="strong")


_MERGE = Counterpart(
    sources=("pdf",),
    target="merge",
    steps=(To("pdf", "merge"),),
    parameters=(
        FILES,
        PASSWORD,
        *(
            Parameter(
                name=name,
                kind=Choice(("disabled", "filename", "title")),
                effect=Sets(option="bookmarks", words=_TOC, lacks=_NO_NAMES),
                default="disabled",
            )
            for name in ("BookmarksToc", "BookmarksTableOfContents")
        ),
        Parameter(
            name="RemoveDuplicateFonts",
            kind=Flag(),
            effect=Joint("true: `pdf.compress` follows, without loss"),
            default="false",
        ),
        Parameter(
            name="OpenPage",
            kind=Whole(1, 3000),
            effect=Only(values=("1",), why="documents open at their first page"),
            default="1",
        ),
        Parameter(
            name="PageSize",
            kind=Choice(("default", *SIZES)),
            effect=Joint("`pdf.resize` follows"),
            default="default",
        ),
        Parameter(
            name="PageOrientation",
            kind=Choice(_SAME),
            effect=Joint("`orientation` of that `pdf.resize`"),
            default="default",
        ),
    ),
    rules=(_merged,),
    note="Up to 100 files.",
)

_WAYS = ("SplitByPattern", "SplitByRange", "ExtractPages", "SplitByBookmark")


def _split(draft: Draft) -> None:
    """One of four ways, and whether the pieces are put together again."""
    named = [name for name in _WAYS if draft.said(name, "false") != "false"]
    for name in named[1:]:
        draft.refuse(name, f"contradicts {named[0]}: say one of {', '.join(_WAYS)}")
    way = named[0] if named else ""
    whole = draft.is_on("MergeOutput")
    if way in {"SplitByRange", "ExtractPages"}:
        chosen = draft.values[way]
        if whole:
            draft.instead(To("pdf", "pages", {"pages": chosen}))
            draft.steps[0].blamed["pages"] = way
        elif way == "SplitByRange":
            draft.put("ranges", chosen, way)
        else:
            draft.instead(To("pdf", "pages", {"pages": chosen}), To("pdf", "split"))
            draft.steps[0].blamed["pages"] = way
    elif whole:
        draft.instead(To("pdf", "pages"))
    elif way == "SplitByPattern":
        counts = {item.strip() for item in draft.values[way].split(",")}
        if len(counts) > 1:
            draft.refuse(way, "several counts in turn cannot be honoured; one count can")
        elif not re.fullmatch("[1-9][0-9]{0,4}", next(iter(counts))):
            draft.refuse(way, "must be a count of pages")
        else:
            draft.put("every", counts.pop(), way)
    elif way == "SplitByBookmark":
        draft.put("bookmarks", "15", way)


_SPLIT = Counterpart(
    sources=("pdf",),
    target="split",
    steps=(To("pdf", "split"),),
    parameters=(
        FILE,
        PASSWORD,
        Parameter(
            name="SplitByPattern",
            kind=Text(),
            effect=Joint("`every`, for one count; several counts in turn are refused"),
        ),
        Parameter(name="SplitByRange", kind=Pages(), effect=Joint("`ranges`")),
        Parameter(name="ExtractPages", kind=Pages(), effect=Joint("`pdf.pages`, then `pdf.split`")),
        Parameter(
            name="SplitByTextPattern",
            kind=Text(),
            effect=Never("a foreign regular expression may never end"),
        ),
        Parameter(
            name="SplitByBookmark",
            kind=Flag(),
            effect=Joint("`bookmarks=15`: at those of every level"),
            default="false",
        ),
        Parameter(
            name="MergeOutput",
            kind=Flag(),
            effect=Joint("true: `pdf.pages` in place of `pdf.split`"),
            default="false",
        ),
    ),
    rules=(_split,),
    note="Results of SplitByBookmark are numbered, not named after the bookmarks; a document"
    " without any is refused.",
)


def _rotate(draft: Draft) -> None:
    angles = [name for name in ("Angle", "RotatePage") if name in draft.values]
    if not angles:
        draft.refuse("Angle", "must be given: which way up a page reads is not found out here")
    elif all(draft.values[name] == "0" for name in angles):
        draft.instead(To("pdf", "pages"))
        draft.steps[0].options.pop("pages", None)
    else:
        for name in angles:
            draft.put("angle", draft.values[name], name)


_ROTATE = Counterpart(
    sources=("pdf",),
    target="rotate",
    steps=(To("pdf", "rotate"),),
    parameters=(
        FILE,
        PASSWORD,
        flag_off("AutoRotate", "which way up a page reads is not found out here"),
        *(
            Parameter(
                name=name,
                kind=Choice(("0", "90", "180", "270")),
                effect=Joint("`angle`, clockwise; 0 leaves the pages as they are"),
            )
            for name in ("Angle", "RotatePage")
        ),
        pages(),
    ),
    rules=(_rotate,),
)


def _delete(draft: Draft) -> None:
    blank, chosen = draft.is_on("DeleteBlankPages"), "PageRange" in draft.values
    if blank and chosen:
        draft.append("pdf", "remove_blank")
    elif blank:
        draft.instead(To("pdf", "remove_blank"))
    elif not chosen:
        draft.refuse("PageRange", "must be given, or DeleteBlankPages=true")


_DELETE = Counterpart(
    sources=("pdf",),
    target="delete-pages",
    steps=(To("pdf", "delete"),),
    parameters=(
        FILE,
        PASSWORD,
        pages(),
        Parameter(
            name="DeleteBlankPages",
            kind=Flag(),
            effect=Joint("true: `pdf.remove_blank`, after PageRange"),
            default="false",
        ),
    ),
    rules=(_delete,),
)

_ANCHORS = ("center", "topleft", "top", "topright", "left", "right", "bottomleft", "bottom")
_LENGTH = Number(0, 30_000)
_CROPPED = {
    "auto": ("AutoPadding", "AutoStrategy"),
    "margins": ("HorizontalMargin", "VerticalMargin"),
    "size": ("Width", "Height", "Anchor"),
}


def _crop(draft: Draft) -> None:
    mode = draft.values.get("CropMode", "auto")
    draft.put("mode", "box" if mode == "size" else mode, "CropMode")
    for name in _CROPPED[mode]:
        if name in draft.values:
            _crop_by(draft, name)
    if mode == "size" and draft.said("Anchor") != "topleft":
        draft.refuse("Anchor", "must be topleft: a box is placed from the top left corner here")


def _crop_by(draft: Draft, name: str) -> None:
    length = written(millimetres(draft, name)) if name not in {"AutoStrategy", "Anchor"} else ""
    match name:
        case "AutoStrategy":
            uniform = draft.values[name] == "uniform"
            draft.put("uniform", "true" if uniform else "false", name)
        case "AutoPadding":
            draft.put("padding_mm", length, name)
        case "HorizontalMargin":
            draft.put("left_mm", length, name)
            draft.put("right_mm", length, name)
        case "VerticalMargin":
            draft.put("top_mm", length, name)
            draft.put("bottom_mm", length, name)
        case "Width" | "Height":
            draft.put(f"{name.lower()}_mm", length, name)
        case _:
            pass


_CROP = Counterpart(
    sources=("pdf",),
    target="crop",
    steps=(To("pdf", "crop", {"padding_mm": "0"}),),
    parameters=(
        FILE,
        PASSWORD,
        pages(),
        UNIT,
        Parameter(
            name="CropMode",
            kind=Choice(("auto", "size", "margins")),
            effect=Joint("`mode`: auto, box or margins"),
        ),
        Parameter(
            name="AutoStrategy", kind=Choice(("perPage", "uniform")), effect=Joint("`uniform`")
        ),
        Parameter(name="AutoPadding", kind=_LENGTH, effect=Joint("`padding_mm`")),
        Parameter(
            name="Anchor",
            kind=Choice((*_ANCHORS, "bottomright")),
            effect=Joint("topleft only, for CropMode=size"),
        ),
        Parameter(name="HorizontalMargin", kind=_LENGTH, effect=Joint("`left_mm` and `right_mm`")),
        Parameter(name="VerticalMargin", kind=_LENGTH, effect=Joint("`top_mm` and `bottom_mm`")),
        Parameter(name="Width", kind=_LENGTH, effect=Joint("`width_mm`")),
        Parameter(name="Height", kind=_LENGTH, effect=Joint("`height_mm`")),
    ),
    rules=(_crop,),
    note="CropMode is auto where it is not sent.",
)


def _resize(draft: Draft) -> None:
    sides = {"PageWidth": "width_mm", "PageHeight": "height_mm"}
    sent = [name for name in sides if name in draft.values]
    size = draft.values.get("PageSize", "custom" if sent else "")
    if not size:
        draft.refuse("PageSize", "must be given, or PageWidth and PageHeight")
        return
    draft.put("page_size", size, "PageSize")
    for name in sent:
        draft.put(sides[name], written(millimetres(draft, name)), name)


_RESIZE = Counterpart(
    sources=("pdf",),
    target="resize",
    steps=(To("pdf", "resize"),),
    parameters=(
        FILE,
        PASSWORD,
        pages(),
        UNIT,
        Parameter(name="PageSize", kind=Choice((*SIZES, "custom")), effect=Joint("`page_size`")),
        Parameter(name="PageWidth", kind=_LENGTH, effect=Joint("`width_mm`")),
        Parameter(name="PageHeight", kind=_LENGTH, effect=Joint("`height_mm`")),
        Parameter(
            name="PageOrientation",
            kind=Choice(_SAME),
            effect=Sets(
                option="orientation",
                words={"default": None, "portrait": "portrait", "landscape": "landscape"},
            ),
            default="default",
        ),
    ),
    rules=(_resize,),
)

COUNTERPARTS = (_MERGE, _SPLIT, _ROTATE, _DELETE, _CROP, _RESIZE)
