"""Parameters that many converters share, and the rules that read sizes and units."""

from collections.abc import Mapping

from gateway.compat.convertapi.parameters.draft import Draft
from gateway.compat.convertapi.parameters.kinds import (
    Choice,
    Colour,
    Flag,
    Number,
    Pages,
    Text,
    Upload,
    Whole,
)
from gateway.compat.convertapi.parameters.terms import (
    FIRST,
    LAST,
    Holds,
    Joint,
    Moot,
    Never,
    Only,
    Parameter,
    Sets,
)

# Sides of pictures and pages as ConvertAPI bounds them.
SIDE = Whole(10, 20_000)
DPI = Whole(10, 2400)
# ConvertAPI's own resolution of pages that become pictures.
PAGES_DPI = "200"

FILE = Parameter(name="File", kind=Upload(), effect=Holds(), required=True, group="Input")
FILES = Parameter(
    name="Files", kind=Upload(several=True), effect=Holds(), required=True, group="Input"
)
URL = Parameter(name="Url", kind=Upload(), effect=Holds(), required=True, group="Input")

# What the surface itself honours for every converter (`general.py`).
GENERAL = (
    Parameter(
        name="FileName",
        kind=Text(),
        effect=Moot("names the result; several get an index"),
        group="Output",
    ),
    Parameter(
        name="StoreFile",
        kind=Flag(),
        effect=Moot("true: the result is stored, encrypted, and answered as a URL"),
        default="false",
        group="Output",
    ),
    Parameter(
        name="Timeout",
        kind=Whole(10, 1200),
        effect=Moot("seconds until the answer is 5000; the limits of docs/formats.md are lower"),
        default="900",
        group="Execution",
    ),
)

PASSWORD = Parameter(
    name="Password", kind=Text(secret=True), effect=Sets(option="password"), group="Input"
)


def pages(step: int = FIRST) -> Parameter:
    """`PageRange`, as the option `pages` of a step."""
    return Parameter(
        name="PageRange",
        kind=Pages(),
        effect=Sets(option="pages", step=step),
        default="1-2000",
        group="Input",
    )


def flag_off(name: str, why: str, *, default: str = "false") -> Parameter:
    """A flag that can only be left off."""
    return Parameter(
        name=name, kind=Flag(), effect=Only(values=("false",), why=why), default=default
    )


def flag_on(name: str, why: str) -> Parameter:
    """A flag that can only be left on."""
    return Parameter(name=name, kind=Flag(), effect=Only(values=("true",), why=why), default="true")


def never(name: str, why: str, default: str = "") -> Parameter:
    """A text that is refused."""
    return Parameter(name=name, kind=Text(), effect=Never(why), default=default)


SCALING = (
    Parameter(
        name="ScaleImage",
        kind=Flag(),
        effect=Joint("false: `ImageWidth` and `ImageHeight` are not used"),
        group="Image",
    ),
    Parameter(
        name="ScaleProportions",
        kind=Flag(),
        effect=Joint("`fit=inside`, or `fit=fill` for false with both sides"),
        default="true",
        group="Image",
    ),
    Parameter(
        name="ScaleIfLarger",
        kind=Flag(),
        effect=Joint("`enlarge=true` unless it is true"),
        default="false",
        group="Image",
    ),
    Parameter(name="ImageWidth", kind=SIDE, effect=Joint("`width`"), group="Image"),
    Parameter(name="ImageHeight", kind=SIDE, effect=Joint("`height`"), group="Image"),
)


def scale_picture(draft: Draft) -> None:
    """The sides of a picture that has its own."""
    sides = _sides(draft)
    for name, (option, value) in sides.items():
        draft.put(option, value, name)
    if sides:
        stretched = draft.said("ScaleProportions") == "false"
        draft.put("fit", "fill" if stretched else "inside", "ScaleProportions")
        draft.put("enlarge", "false" if draft.is_on("ScaleIfLarger") else "true", "ScaleIfLarger")


PAGE_SCALING = (
    SCALING[0],
    Parameter(
        name="ScaleProportions",
        kind=Flag(),
        effect=Joint("false, with both sides: `image.convert` follows, for one page or one TIFF"),
        default="true",
        group="Image",
    ),
    Parameter(
        name="ScaleIfLarger",
        kind=Flag(),
        effect=Joint("true, with a side: `image.convert` follows, for one page or one TIFF"),
        default="false",
        group="Image",
    ),
    *SCALING[3:],
)


def scale_page(draft: Draft) -> None:
    """The sides of a picture that is drawn from a page, in the last step.

    Pages are drawn at the size that is asked for. What asks how large they were before is scaled
    afterwards, which takes one file: one page, or one TIFF of all of them.
    """
    sides = _sides(draft)
    if len(sides) > 1 and draft.said("ScaleProportions") == "false":
        _scale_after(draft, sides, "ScaleProportions", fit="fill")
    elif sides and draft.is_on("ScaleIfLarger"):
        _scale_after(draft, sides, "ScaleIfLarger", fit="inside")
    else:
        for name, (option, value) in sides.items():
            draft.put(option, value, name, step=LAST)


def _scale_after(draft: Draft, sides: Mapping[str, tuple[str, str]], name: str, fit: str) -> None:
    drawn = draft.steps[LAST]
    target, is_tiff = drawn.target, drawn.target == "tiff"
    one_file = drawn.options.get("multipage") != "false" if is_tiff else _is_one_page(draft)
    if not one_file:
        draft.refuse(
            name, "can be honoured for one page only: name it by PageRange, or leave it out"
        )
        return
    drawn.target = "tiff" if is_tiff else "png"
    scaled = draft.append(target, "convert", fit=fit)
    scaled.options["enlarge"] = "false" if draft.is_on("ScaleIfLarger") else "true"
    if "quality" in drawn.options:
        scaled.options["quality"] = drawn.options.pop("quality")
        scaled.blamed["quality"] = drawn.blamed.pop("quality", name)
    if drawn.options.get("colour") == "mono":
        scaled.options["colour_space"] = "bitmap"
    for parameter, (option, value) in sides.items():
        scaled.options[option] = value
        scaled.blamed[option] = parameter


def _is_one_page(draft: Draft) -> bool:
    return draft.values.get("PageRange", "").isdecimal()


def _sides(draft: Draft) -> dict[str, tuple[str, str]]:
    if draft.said("ScaleImage") == "false":
        return {}
    named = {"ImageWidth": "width", "ImageHeight": "height"}
    return {
        name: (option, draft.values[name]) for name, option in named.items() if name in draft.values
    }


def resolution(step: int = -1) -> tuple[Parameter, ...]:
    """Dots an inch of drawn pages: one number for both directions."""
    return (
        Parameter(
            name="ImageResolution", kind=DPI, effect=Sets(option="dpi", step=step), group="Image"
        ),
        Parameter(
            name="ImageResolutionH", kind=DPI, effect=Sets(option="dpi", step=step), group="Image"
        ),
        Parameter(
            name="ImageResolutionV", kind=DPI, effect=Sets(option="dpi", step=step), group="Image"
        ),
    )


def quality(*names: str, step: int = FIRST, low: int = 10) -> tuple[Parameter, ...]:
    """The quality of a lossy picture."""
    return tuple(
        Parameter(
            name=name, kind=Whole(low, 100), effect=Sets(option="quality", step=step), group="Image"
        )
        for name in names or ("ImageQuality", "JpgQuality")
    )


# Of ConvertAPI's renderer, which has switches that ours has not.
RENDERER = (
    Parameter(
        name="TextAntialiasing",
        kind=Whole(0, 8),
        effect=Never("text is always drawn smooth"),
        default="1",
    ),
    Parameter(
        name="GraphicsAntialiasing",
        kind=Whole(0, 8),
        effect=Never("lines are always drawn smooth"),
        default="1",
    ),
    flag_off("ImageInterpolation", "pictures on pages are drawn as their page says"),
    flag_off("UseCIEColor", "colours are drawn as sRGB"),
)

UNIT = Parameter(
    name="MeasurementUnit",
    kind=Choice(("pt", "in", "mm", "cm")),
    effect=Joint(
        "the unit of the other measures, pt where it is not sent; they become millimetres"
    ),
    default="pt",
)
_MILLIMETRES = {"pt": 25.4 / 72, "in": 25.4, "mm": 1.0, "cm": 10.0}


def millimetres(draft: Draft, name: str) -> float:
    """A measure in the unit that was asked for, in millimetres; 0 where it was not sent."""
    unit = _MILLIMETRES[draft.values.get("MeasurementUnit", "pt")]
    return float(draft.values.get(name, "0")) * unit


def written(number: float) -> str:
    """A measure as an option's text."""
    return f"{number:.3f}".rstrip("0").rstrip(".")


def background(step: int = FIRST, name: str = "BackgroundColor") -> Parameter:
    """The colour behind what is see-through."""
    return Parameter(
        name=name, kind=Colour(), effect=Sets(option="background", step=step), group="Image"
    )


def pdfa(step: str) -> Parameter:
    """`Pdfa`, read by a rule that knows how its converter makes one."""
    return Parameter(name="Pdfa", kind=Flag(), effect=Joint(step), default="false", group="PDF")


PDFA_AFTER = pdfa("true: `pdf.pdfa` follows, level 2b")


def archive_after(draft: Draft) -> None:
    """PDF/A as a conversion of its own, which refuses what cannot be made to conform."""
    if draft.is_on("Pdfa"):
        draft.append("pdf", "pdfa", level="2b")


METADATA = Parameter(
    name="ConvertMetadata",
    kind=Flag(),
    effect=Joint("true, or `pdf.strip_metadata` follows"),
    default="true",
    group="PDF",
)


def strip_metadata(draft: Draft) -> None:
    """What the document tells about itself, taken out where that is wanted."""
    if draft.said("ConvertMetadata") == "false":
        if draft.is_on("Pdfa"):
            draft.refuse("ConvertMetadata", "false contradicts Pdfa, which must say what it is")
        draft.append("pdf", "strip_metadata")


SIDES = ("Top", "Right", "Bottom", "Left")


def margins(low: float, high: float) -> tuple[Parameter, ...]:
    """Four margins of the browser's pages, in millimetres."""
    return tuple(
        Parameter(
            name=f"Margin{side}",
            kind=Number(low, high),
            effect=Sets(option=f"margin_{side.lower()}_mm", step=-1),
            group="Page",
        )
        for side in SIDES
    )


def even_margins(high: int) -> tuple[Parameter, ...]:
    """Four margins that must be the same: typeset pages have one."""
    return tuple(
        Parameter(
            name=f"Margin{side}",
            kind=Number(0, high),
            effect=Joint("`margin_mm`, where all four are the same, 5 to 60"),
            group="Page",
        )
        for side in SIDES
    )


def same_margins(draft: Draft) -> None:
    """One margin out of four that agree."""
    given = {f"Margin{side}": draft.values.get(f"Margin{side}") for side in SIDES}
    sent = {name: value for name, value in given.items() if value is not None}
    if not sent:
        return
    if len(sent) < len(given) or len(set(sent.values())) > 1:
        draft.refuse(next(iter(sent)), "all four margins must be given and be the same here")
        return
    for name, value in sent.items():
        draft.put("margin_mm", value, name)
