"""browser.print: a page set on paper."""

from typing import NamedTuple

import msgspec

from engine.converter import Result, Work
from engine.converters.browser.catalogue import PrintOptions
from engine.converters.browser.devtools import CommandRefused
from engine.converters.browser.loading import Loaded
from engine.converters.browser.spare import opened
from engine.errors import TargetImpossible, TargetTooLarge

_MM_IN = 25.4
_PX_IN = 96
# Millimetres, upright.
_PAPERS = {
    "auto": (210, 297),
    "single": (210, 297),
    "a2": (420, 594),
    "a3": (297, 420),
    "a4": (210, 297),
    "a5": (148, 210),
    "a6": (105, 148),
    "letter": (215.9, 279.4),
    "legal": (215.9, 355.6),
    "tabloid": (279.4, 431.8),
    "ledger": (431.8, 279.4),
}
_MARGIN_MM = 10.0
# 14,400 points: PDF viewers show no page that is longer (ISO 32000-1, annex C).
_SIDE_MM_MAX = 5080.0
# Chromium writes its own where the template is empty.
_NO_TEMPLATE = "<span></span>"

_DRAWING_SIZE = (
    "(() => { const s = document.documentElement, b = s.viewBox && s.viewBox.baseVal,"
    " n = l => l && l.unitType != 2 ? l.value : 0, w = n(s.width && s.width.baseVal),"
    " h = n(s.height && s.height.baseVal), r = b && b.width && b.height ? b.height / b.width : 0;"
    " return [w || (r ? (h ? h / r : b.width) : 0), h || (r ? (w ? w * r : b.height) : 0)]; })()"
)
_CONTENT_HEIGHT = (
    "Math.ceil(Math.max(document.documentElement.getBoundingClientRect().height,"
    " document.body ? document.body.scrollHeight : 0))"
)


class _Printed(msgspec.Struct, frozen=True):
    data: bytes


class _Paper(NamedTuple):
    width_mm: float
    height_mm: float
    top_mm: float
    right_mm: float
    bottom_mm: float
    left_mm: float


def print_pages(work: Work) -> Result:
    """Print the page. Raises EngineError."""
    options: PrintOptions = work.options
    with opened() as page:
        loaded = Loaded(page, work)
        media = "print" if options.media == "auto" else options.media
        loaded.load(javascript=options.javascript, media=media)
        loaded.wait(wait_ms=options.wait_ms, wait_for=options.wait_for)
        paper = _paper(options, loaded)
        _overrule(options, paper, loaded)
        try:
            printed = page.ask("Page.printToPDF", _Printed, **_settings(options, paper, loaded))
        except CommandRefused:
            raise TargetImpossible(
                "the page cannot be printed like this: `pages` names none that there is, or the"
                " margins leave no room"
            ) from None
        if len(printed.data) > work.bounds.output_bytes_max:
            raise TargetTooLarge("the document is larger than the limit")
        return Result(files=(printed.data,), warnings=loaded.warnings())


def drawing_size_px(loaded: Loaded) -> tuple[float, float] | None:
    """A drawing's own size in CSS pixels, None for one that names none (and for a page)."""
    if loaded.source != "svg":
        return None
    width, height = msgspec.convert(loaded.value_of(_DRAWING_SIZE) or [0, 0], tuple[float, float])
    return (width, height) if width > 0 and height > 0 else None


def _paper(options: PrintOptions, loaded: Loaded) -> _Paper:
    drawing = drawing_size_px(loaded) if options.page_size == "auto" else None
    own = drawing is not None and options.width_mm is None
    margin = options.margin_mm
    if margin is None:
        margin = 0.0 if own or loaded.source == "svg" else _MARGIN_MM
    sides = [
        margin if side is None else side
        for side in (
            options.margin_top_mm,
            options.margin_right_mm,
            options.margin_bottom_mm,
            options.margin_left_mm,
        )
    ]
    top, right, bottom, left = sides
    width, height = _PAPERS[options.page_size]
    if own and drawing is not None:
        factor = options.scale * _MM_IN / _PX_IN
        width = drawing[0] * factor + left + right
        height = drawing[1] * factor + top + bottom
    elif options.width_mm is not None:
        width, height = options.width_mm, options.height_mm or height
    if options.orientation == "landscape" and not own:
        width, height = height, width
    if options.page_size == "single":
        height = _content_mm(options, loaded, width - left - right) + top + bottom
    if max(width, height) > _SIDE_MM_MAX:
        raise TargetImpossible(
            f"the page would be {max(width, height) / 1000:.1f} m long; a PDF page is at most"
            f" {_SIDE_MM_MAX / 1000:.2f} m"
        )
    if left + right >= width or top + bottom >= height:
        raise TargetImpossible("the margins leave no room on this paper")
    return _Paper(width, height, top, right, bottom, left)


def _content_mm(options: PrintOptions, loaded: Loaded, width_mm: float) -> float:
    """How long the content is, set as wide as this."""
    px_mm = _PX_IN / _MM_IN / options.scale
    loaded.page.ask(
        "Emulation.setDeviceMetricsOverride",
        msgspec.Raw,
        width=max(1, int(width_mm * px_mm)),
        height=1,
        deviceScaleFactor=1,
        mobile=False,
    )
    height_px = msgspec.convert(loaded.value_of(_CONTENT_HEIGHT) or 1, float)
    # A pixel more: what is rounded up must not end on a second page.
    return (height_px + 1) / px_mm


def _overrule(options: PrintOptions, paper: _Paper, loaded: Loaded) -> None:
    """Let the customer's wishes go before the page's own @page rules."""
    rules = []
    if not _is_own_size(options):
        rules.append("size: auto !important")
    if any(
        side is not None
        for side in (
            options.margin_mm,
            options.margin_top_mm,
            options.margin_right_mm,
            options.margin_bottom_mm,
            options.margin_left_mm,
        )
    ):
        sides = " ".join(f"{side:.3f}mm" for side in paper[2:])
        rules.append(f"margin: {sides} !important")
    if rules and loaded.source != "svg":
        style = f"@page {{ {'; '.join(rules)} }}"
        loaded.value_of(
            "document.documentElement.appendChild(document.createElement('style')).textContent"
            f" = '{style}'"
        )


def _is_own_size(options: PrintOptions) -> bool:
    return options.page_size == "auto" and options.width_mm is None


def _template(html: str, paper: _Paper) -> str:
    """A header or footer, as far from the paper's sides as the text is, and of a readable size."""
    if not html:
        return _NO_TEMPLATE
    return (
        f'<div style="width: 100%; box-sizing: border-box; font: 9px sans-serif; padding: 0'
        f' {paper.right_mm:.2f}mm 0 {paper.left_mm:.2f}mm">{html}</div>'
    )


def _settings(options: PrintOptions, paper: _Paper, loaded: Loaded) -> dict[str, object]:
    return {
        "paperWidth": paper.width_mm / _MM_IN,
        "paperHeight": paper.height_mm / _MM_IN,
        "marginTop": paper.top_mm / _MM_IN,
        "marginRight": paper.right_mm / _MM_IN,
        "marginBottom": paper.bottom_mm / _MM_IN,
        "marginLeft": paper.left_mm / _MM_IN,
        "preferCSSPageSize": loaded.source != "svg" and _is_own_size(options),
        "scale": options.scale,
        "printBackground": options.background,
        "displayHeaderFooter": bool(options.header or options.footer),
        "headerTemplate": _template(options.header, paper),
        "footerTemplate": _template(options.footer, paper),
        "pageRanges": "" if options.pages == "1-" else options.pages.replace(" ", ""),
        "generateDocumentOutline": options.outline,
        "generateTaggedPDF": options.tagged,
    }
