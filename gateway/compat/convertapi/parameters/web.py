"""Web pages, sent or fetched: printed, taken pictures of, read."""

from gateway.compat.convertapi.parameters.draft import Draft
from gateway.compat.convertapi.parameters.kinds import Choice, Flag, Number, Text, Whole
from gateway.compat.convertapi.parameters.shared import (
    FILE,
    URL,
    flag_off,
    margins,
    never,
    pages,
    quality,
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

_ALONE = "a page is loaded without a network: what it names elsewhere is not fetched"
_NO_REQUESTS = "a page makes no requests here"
_FETCHED = (
    "The page is fetched, where the operator allows it; its style sheets, pictures and scripts that"
    " lie elsewhere are not."
)
_LOADED = (
    Parameter(name="AdBlock", kind=Flag(), effect=Moot(_ALONE), default="false"),
    flag_off("CookieConsentBlock", "a page is shown as it is"),
    never("Cookies", _NO_REQUESTS),
    never("Headers", _NO_REQUESTS),
    never("UserCss", "a page is shown with its own style sheets"),
)
_SCRIPTED = (
    Parameter(name="JavaScript", kind=Flag(), effect=Sets(option="javascript"), default="true"),
    Parameter(name="WaitElement", kind=Text(), effect=Sets(option="wait_for")),
    Parameter(
        name="ConversionDelay",
        kind=Number(0, 60),
        effect=Sets(option="wait_ms", factor=1000),
    ),
    Parameter(
        name="CssMediaType",
        kind=Text(),
        effect=Sets(
            option="media",
            words={"screen": "screen", "print": "print"},
            lacks="screen and print are known",
        ),
    ),
)
_ZOOM = Parameter(name="Zoom", kind=Number(0.1, 10), effect=Sets(option="scale"), default="1")
_WINDOW = tuple(
    Parameter(name=name, kind=Whole(10, 20_000), effect=Sets(option=option), group="Image")
    for name, option in (("ImageWidth", "width"), ("ImageHeight", "height"))
)
_ELEMENTS = "a page decides itself where it breaks"
_SIZES: dict[str, str | None] = {"default": None} | {
    size: size for size in ("a2", "a3", "a4", "a5", "a6", "letter", "legal", "tabloid", "ledger")
}


def _sized(draft: Draft) -> None:
    """A paper of one's own takes both sides."""
    sides = [name for name in ("PageWidth", "PageHeight") if name in draft.values]
    if len(sides) == 1:
        draft.refuse(sides[0], "takes PageWidth and PageHeight together")


_PRINTED = (
    *_LOADED,
    *_SCRIPTED,
    *margins(0, 500),
    pages(),
    Parameter(name="Background", kind=Flag(), effect=Sets(option="background"), default="true"),
    Parameter(name="Header", kind=Text(), effect=Sets(option="header")),
    Parameter(name="Footer", kind=Text(), effect=Sets(option="footer")),
    Parameter(
        name="PageSize",
        kind=Choice(tuple(_SIZES)),
        effect=Sets(option="page_size", words=_SIZES),
        default="default",
    ),
    Parameter(
        name="PageOrientation",
        kind=Choice(("portrait", "landscape")),
        effect=Sets(option="orientation"),
        default="portrait",
    ),
    Parameter(name="PageWidth", kind=Number(20, 5000), effect=Sets(option="width_mm")),
    Parameter(name="PageHeight", kind=Number(20, 5000), effect=Sets(option="height_mm")),
    Parameter(
        name="ViewportWidth",
        kind=Whole(200, 4000),
        effect=Never("a page is laid out for its paper; PageWidth makes that wider"),
    ),
    Parameter(
        name="ViewportHeight",
        kind=Whole(200, 4000),
        effect=Never("a page is laid out for its paper; PageHeight makes that longer"),
    ),
    Parameter(
        name="RespectViewport",
        kind=Flag(),
        effect=Only(values=("true",), why="a page is laid out for its paper"),
        default="true",
    ),
    Parameter(
        name="FixedElements",
        kind=Choice(("fixed", "absolute", "relative", "hide")),
        effect=Only(values=("fixed",), why="what a page fixes stays fixed"),
        default="fixed",
    ),
    flag_off("LoadLazyContent", _ALONE),
    *(
        never(name, _ELEMENTS)
        for name in (
            "ShowElements",
            "AvoidBreakElements",
            "BreakBeforeElements",
            "BreakAfterElements",
        )
    ),
)
_UNSCRIPTED = "Scripts do not run: the text is that of the page as it was sent."
_UNREAD = "text is read from the page as it was sent"
_READ = (
    *_LOADED,
    never("CssMediaType", _UNREAD),
    never("WaitElement", _UNREAD),
    Parameter(name="JavaScript", kind=Flag(), effect=Only(values=("false",), why=_UNREAD)),
    never("ExtractElements", "the whole page is read"),
)


def _see_through(draft: Draft) -> None:
    if draft.is_on("TransparentBackground"):
        draft.put("background", "false", "TransparentBackground")


_CLEAR = Parameter(
    name="TransparentBackground",
    kind=Flag(),
    effect=Joint("`background=false`"),
    default="false",
)


def _page(source: str, target: str, to: To, *parameters: Parameter) -> Counterpart:
    fetched = source == "web"
    return Counterpart(
        sources=(source,),
        target=target,
        steps=(to,),
        parameters=(URL if fetched else FILE, *parameters),
        rules=(_sized,) if target == "pdf" else (_see_through,),
        also=("mhtml",) if not fetched and target != "txt" else (),
        note=" ".join(
            filter(None, (_FETCHED if fetched else "", _UNSCRIPTED if target == "txt" else ""))
        ),
    )


_CAPTURED = (*_LOADED, *_SCRIPTED, _ZOOM, *_WINDOW)
COUNTERPARTS = tuple(
    _page(source, target, to, *parameters)
    for source in ("html", "web")
    for target, to, parameters in (
        ("pdf", To("pdf", "print"), _PRINTED),
        ("jpg", To("jpeg", "capture"), (*_CAPTURED, *quality())),
        ("png", To("png", "capture"), (*_CAPTURED, _CLEAR)),
        ("txt", To("txt", "restructure"), _READ),
    )
)
