"""What is put over or under the pages of a PDF: words, a picture, another document."""

import re

from gateway.compat.convertapi.parameters.draft import Draft
from gateway.compat.convertapi.parameters.kinds import (
    Choice,
    Colour,
    Flag,
    Number,
    Text,
    Upload,
    Whole,
)
from gateway.compat.convertapi.parameters.shared import (
    FILE,
    PASSWORD,
    UNIT,
    flag_on,
    millimetres,
    never,
    pages,
    written,
)
from gateway.compat.convertapi.parameters.terms import (
    Counterpart,
    Effect,
    Holds,
    Joint,
    Moot,
    Never,
    Only,
    Parameter,
    Sets,
    To,
)

_ACROSS = {"left": "left", "center": "", "right": "right"}
_DOWN = {"top": "top", "center": "", "bottom": "bottom"}
_VARIABLE = re.compile("%[A-Z]+%")
_LAYERS: dict[str, str | None] = {"stamp": "over", "watermark": "under"}
_OFFSET = Number(-10_000, 10_000)

_STYLE = Parameter(
    name="Style",
    kind=Choice(("stamp", "watermark")),
    effect=Sets(option="layer", words=_LAYERS),
    default="stamp",
)
_OPACITY = Parameter(
    name="Opacity",
    kind=Whole(0, 100),
    effect=Joint("`opacity`, as a fraction; 0 is refused"),
    default="100",
)


def _placing(across: Effect, down: Effect, offset: Effect) -> tuple[Parameter, ...]:
    return (
        _STYLE,
        UNIT,
        Parameter(
            name="HorizontalAlignment",
            kind=Choice(("left", "center", "right")),
            effect=across,
            default="center",
        ),
        Parameter(
            name="VerticalAlignment",
            kind=Choice(("top", "center", "bottom")),
            effect=down,
            default="center",
        ),
        Parameter(name="OffsetX", kind=_OFFSET, effect=offset, default="0"),
        Parameter(name="OffsetY", kind=_OFFSET, effect=offset, default="0"),
        Parameter(
            name="PageBox",
            kind=Choice(("mediabox", "trimbox", "bleedbox", "cropbox")),
            effect=Only(values=("cropbox",), why="marks are placed on what viewers show"),
        ),
        never("GoToLink", "marks are no links"),
        never("GoToPage", "marks are no links"),
    )


_PLACED = _placing(
    Joint("`position`"),
    Joint("`position`"),
    Joint("`margin_mm`, away from the edges that the alignments name, the same from both"),
)


def _place(draft: Draft) -> None:
    """Alignments and offsets as a position and a margin."""
    across = _ACROSS[draft.values.get("HorizontalAlignment", "center")]
    down = _DOWN[draft.values.get("VerticalAlignment", "center")]
    draft.put("position", "-".join(filter(None, (down, across))) or "centre", "VerticalAlignment")
    inward = {
        "OffsetX": millimetres(draft, "OffsetX") * {"right": -1}.get(across, 1),
        "OffsetY": millimetres(draft, "OffsetY") * {"bottom": -1}.get(down, 1),
    }
    edges = {"OffsetX": across, "OffsetY": down}
    for name, offset in inward.items():
        if offset and not edges[name]:
            draft.refuse(name, "cannot be honoured where that alignment is center")
        elif offset < 0:
            draft.refuse(name, "leads off the page")
    wanted = {offset for name, offset in inward.items() if edges[name]}
    if len(wanted) > 1:
        draft.refuse("OffsetX", "must be as far from its edge as OffsetY from its own")
    elif wanted:
        draft.put("margin_mm", written(wanted.pop()), "OffsetX")


def _cover(draft: Draft) -> None:
    opacity = int(draft.values.get("Opacity", "100"))
    if opacity:
        draft.put("opacity", f"{opacity / 100:g}", "Opacity")
    else:
        draft.refuse("Opacity", "0 cannot be honoured: nothing would be seen")


def _write(draft: Draft) -> None:
    text = draft.values.get("Text", "").replace("%N%", "\n")
    if not text:
        draft.refuse("Text", "must be given")
    elif found := _VARIABLE.search(text):
        draft.refuse("Text", f"{found[0]} cannot be honoured: of the variables only %N% is known")
    else:
        draft.put("text", text, "Text")
    # Ours turns counter-clockwise from -180 to 180.
    angle = int(draft.values.get("Rotate", "0")) % 360
    draft.put("angle", str(angle - 360 if angle > 180 else angle), "Rotate")  # noqa: PLR2004


_FONTS: dict[str, str | None] = {"arial": "sans", "timesNewRoman": "serif", "courierNew": "mono"}
_FONT_NAMES = (
    *("arial", "bahnschrift", "calibri", "cambria", "consolas", "constantia", "courierNew"),
    *("georgia", "tahoma", "timesNewRoman", "verdana"),
)
_FILLED = "text is filled, without an outline"

_TEXT = Counterpart(
    sources=("pdf",),
    target="text-watermark",
    steps=(
        To(
            "pdf",
            "watermark",
            {"font": "sans", "font_size": "20", "colour": "black", "margin_mm": "0"},
        ),
    ),
    parameters=(
        FILE,
        PASSWORD,
        Parameter(
            name="Text",
            kind=Text(),
            effect=Joint("`text`; %N% is a new line, other variables are refused"),
            required=True,
        ),
        pages(),
        *_PLACED,
        _OPACITY,
        Parameter(name="FontSize", kind=Whole(1, 200), effect=Sets(option="font_size")),
        Parameter(name="FontColor", kind=Colour(), effect=Sets(option="colour")),
        Parameter(
            name="FontName",
            kind=Choice(_FONT_NAMES),
            effect=Sets(
                option="font",
                words=_FONTS,
                lacks="arial, timesNewRoman and courierNew have counterparts of the same measures",
            ),
        ),
        Parameter(
            name="Rotate",
            kind=Whole(0, 360),
            effect=Joint("`angle`, counter-clockwise"),
            default="0",
        ),
        Parameter(
            name="TextRenderingMode",
            kind=Choice(("filltext", "stroketext", "fillstroke", "invisible")),
            effect=Only(values=("filltext",), why=_FILLED),
            default="filltext",
        ),
        Parameter(name="StrokeColor", kind=Colour(), effect=Moot(_FILLED)),
        Parameter(name="StrokeWidth", kind=Whole(0, 200), effect=Moot(_FILLED)),
        *(
            Parameter(
                name=name,
                kind=Number(0, 10_000),
                effect=Only(values=("0",), why="the text takes the room that it needs"),
                default="0",
            )
            for name in ("Width", "Height")
        ),
        Parameter(
            name="LineSpacing",
            kind=Whole(-30, 30),
            effect=Only(values=("0",), why="lines have the distance that their font gives them"),
            default="0",
        ),
        flag_on("FontEmbed", "fonts are always put into the document"),
        flag_on("FontSubset", "only the letters in use are put into the document"),
    ),
    rules=(_write, _place, _cover),
    note="Where they are not sent: 20 points, black, upright, opaque.",
)

_IMAGE = Counterpart(
    sources=("pdf",),
    target="image-watermark",
    steps=(To("pdf", "watermark", {"angle": "0", "margin_mm": "0"}),),
    parameters=(
        FILE,
        PASSWORD,
        Parameter(name="ImageFile", kind=Upload(), effect=Holds(), required=True, group="Input"),
        pages(),
        *_PLACED,
        _OPACITY,
        Parameter(
            name="PageRotation",
            kind=Flag(),
            effect=Never("a mark stands upright as the page is seen"),
        ),
    ),
    rules=(_place, _cover),
    note="The picture is 70% as wide as the page.",
)


def _overlay(draft: Draft) -> None:
    """In the middle it is fitted; at the lower left it keeps its size."""
    placed = (
        draft.values.get("HorizontalAlignment", "center"),
        draft.values.get("VerticalAlignment", "center"),
    )
    fits = {("center", "center"): "inside", ("left", "bottom"): "none"}
    if placed in fits:
        draft.put("fit", fits[placed], "HorizontalAlignment")
    else:
        draft.refuse(
            "HorizontalAlignment", "must be center with center, or left with bottom, for a document"
        )


_NO_OFFSET = Only(values=("0",), why="a document is fitted to the page, or at its lower left")
_FITTED = Joint("`fit`: inside for center with center, none for left with bottom")
_PDF = Counterpart(
    sources=("pdf",),
    target="pdf-watermark",
    steps=(To("pdf", "overlay"),),
    parameters=(
        FILE,
        PASSWORD,
        Parameter(name="OverlayFile", kind=Upload(), effect=Holds(), required=True, group="Input"),
        pages(),
        *_placing(_FITTED, _FITTED, _NO_OFFSET),
        Parameter(
            name="Opacity",
            kind=Whole(0, 100),
            effect=Only(values=("100",), why="a document is put on pages as it is"),
            default="100",
        ),
        Parameter(
            name="OverlayPage",
            kind=Whole(1, 2000),
            effect=Never("each page gets the page of the same number; send a document of one page"),
        ),
        Parameter(
            name="PageRotation",
            kind=Flag(),
            effect=Never("a mark stands upright as the page is seen"),
        ),
    ),
    rules=(_overlay,),
    note="Of a document of several pages each page gets its own, and the rest the last one.",
)

COUNTERPARTS = (_TEXT, _IMAGE, _PDF)
