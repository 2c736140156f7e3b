"""browser.capture: a picture of a page, of its window, or of one element."""

import math

import msgspec

from engine.converter import Result, Work
from engine.converters.browser.catalogue import SIDE_PX_MAX, CaptureOptions
from engine.converters.browser.devtools import CommandRefused
from engine.converters.browser.loading import Loaded
from engine.converters.browser.printing import drawing_size_px
from engine.converters.browser.spare import opened
from engine.errors import SourceTooComplex, TargetImpossible, TargetTooLarge

_WINDOW_PX = (1280, 800)

_Box = list[float]


class _Captured(msgspec.Struct, frozen=True):
    data: bytes


class _Rectangle(msgspec.Struct, frozen=True):
    width: float
    height: float


class _Layout(msgspec.Struct, frozen=True, rename="camel"):
    css_content_size: _Rectangle


def capture(work: Work) -> Result:
    """Take the picture. Raises EngineError."""
    options: CaptureOptions = work.options
    with opened() as page:
        loaded = Loaded(page, work)
        _set_window(loaded, options, _WINDOW_PX)
        if not options.background:
            page.tell(
                "Emulation.setDefaultBackgroundColorOverride",
                color={"r": 0, "g": 0, "b": 0, "a": 0},
            )
        media = "screen" if options.media == "auto" else options.media
        loaded.load(javascript=options.javascript, media=media)
        if drawing := drawing_size_px(loaded):
            _set_window(loaded, options, (math.ceil(drawing[0]), math.ceil(drawing[1])))
        loaded.wait(wait_ms=options.wait_ms, wait_for=options.wait_for)
        box = _box(loaded, options, drawing)
        _check(box, options, work)
        try:
            captured = page.ask("Page.captureScreenshot", _Captured, **_settings(work, box))
        except CommandRefused:
            raise TargetImpossible("the browser could take no picture of this page") from None
        if len(captured.data) > work.bounds.output_bytes_max:
            raise TargetTooLarge("the picture is larger than the limit")
        return Result(files=(captured.data,), warnings=loaded.warnings())


def _set_window(loaded: Loaded, options: CaptureOptions, own: tuple[int, int]) -> None:
    loaded.page.tell(
        "Emulation.setDeviceMetricsOverride",
        width=options.width or own[0],
        height=options.height or own[1],
        deviceScaleFactor=options.scale,
        mobile=False,
    )


def _box(loaded: Loaded, options: CaptureOptions, drawing: tuple[float, float] | None) -> _Box:
    """What of the page is shown: left, top, width, height in CSS pixels."""
    own = drawing or _WINDOW_PX
    width, height = options.width or own[0], options.height or own[1]
    if options.element:
        return loaded.element(options.element, "element")
    if not options.full_page or drawing:
        return [0, 0, width, height]
    content = loaded.page.ask("Page.getLayoutMetrics", _Layout).css_content_size
    return [0, 0, max(width, content.width), max(height, content.height)]


def _check(box: _Box, options: CaptureOptions, work: Work) -> None:
    """Refuse a picture that Chromium would not draw whole. Raises SourceTooComplex."""
    width, height = (math.ceil(side * options.scale) for side in box[2:])
    if max(width, height) > SIDE_PX_MAX:
        raise SourceTooComplex(
            f"the picture would be {width} x {height} pixels and {SIDE_PX_MAX} is the limit in each"
            " direction; full_page=false or a smaller scale takes less, a PDF has no such limit"
        )
    if width * height > work.bounds.pixels_max:
        raise SourceTooComplex(
            f"the picture would be {width} x {height} pixels; the limit is"
            f" {work.bounds.pixels_max // 1_000_000} megapixels"
        )


def _settings(work: Work, box: _Box) -> dict[str, object]:
    left, top, width, height = box
    lossy = {} if work.target == "png" else {"quality": work.options.quality}
    return {
        "format": work.target,
        "clip": {"x": left, "y": top, "width": width, "height": height, "scale": 1},
        "captureBeyondViewport": True,
        **lossy,
    }
