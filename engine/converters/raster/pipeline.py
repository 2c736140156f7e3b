"""From opened frames to a written file: scale, bring to the target's colours, turn, write.

Everything expensive happens on as few pixels as possible: a JPEG is decoded at a fraction where the
result is small, and colours and orientation are dealt with after scaling. Only a turn by other than
right angles and a trim look at every pixel first.
"""

from collections.abc import Iterable, Iterator, Mapping

import msgspec
from PIL import Image

from engine.converter import Result
from engine.converters.colour import Colour, expand, parse_colour, to_srgb
from engine.converters.opening import check_pixels, reading
from engine.converters.raster import pages, retouch, turns
from engine.converters.raster.encode import QUALITY, Encoder, Picture, encode
from engine.converters.raster.frames import alike, frames_wanted, plays_of
from engine.converters.raster.geometry import (
    POSITIONS,
    Box,
    Layout,
    Point,
    Size,
    lay_out,
    proportioned,
    within,
)
from engine.converters.raster.metadata import Metadata, collect, orientation_of
from engine.converters.raster.modes import eight_bits, fit_mode, holding, in_mode, in_space
from engine.converters.raster.options import ImageOptions
from engine.converters.raster.resample import draft, pad, resample
from engine.converters.raster.sources import Source, at_page
from engine.converters.raster.targets import TARGETS, Target
from engine.converters.raster.watermark import Mark, mark_of, marked
from engine.converters.resolution import resolution
from engine.errors import TargetImpossible, TargetTooLarge
from engine.job import Bounds
from engine.progress import each

_EIGHT_BITS = 8
_RIGHT_ANGLE = 90


class _Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for every frame of one conversion."""

    source: str
    target: Target
    options: ImageOptions
    bounds: Bounds
    background: Colour
    keep: Point
    # What was asked for in right angles and mirrors, as an orientation; other degrees apart.
    turn: int
    degrees: float
    count: int
    retouches: bool
    mark: Mark | None
    warnings: list[str]


def produce(
    source: Source,
    target: str,
    options: ImageOptions,
    bounds: Bounds,
    *,
    encoders: Mapping[str, Encoder] | None = None,
    overlay: Source | None = None,
) -> Result:
    """Convert an opened picture. Raises the errors of decoding, bounds and encoding."""
    warnings = list(source.warnings)
    if options.page is not None:
        source = at_page(source, options.page, bounds)
    plan = _plan(source, TARGETS[target], options, bounds, overlay=overlay, warnings=warnings)
    _warn_of_depth(source.first, plan.target, warnings)
    metadata = collect(source.first, plan.target, warnings) if options.metadata == "keep" else None
    plays = plays_of(source.first)
    frames, durations = _render_all(source, plan)
    if source.count == 1:
        source.first.close()  # what an encoder allocates is memory that the decoder had
    if target == "avif" and plays and len(frames) > 1:
        warnings.append("AVIF animations repeat without end here; the number of plays was lost")
    picture = Picture(
        frames=alike(frames) if plan.target.animated else frames,
        durations_ms=durations,
        plays=plays,
        metadata=_with_dpi(metadata or Metadata(), options),
        icc=_icc_to_embed(source.first, frames[0], plan),
    )
    written = encode(picture, target, options, bounds.output_bytes_max, encoders)
    return Result(files=(written,), warnings=tuple(dict.fromkeys(warnings)))


def bind(sources: Iterable[Source], options: ImageOptions, bounds: Bounds) -> Result:
    """Pictures as the pages of a PDF, one after the other: one at a time is in memory.

    Without options.dpi each page has the resolution that its picture states.
    """
    warnings: list[str] = []
    sheets = (sheet for source in sources for sheet in _sheets(source, options, bounds, warnings))
    quality = None if options.lossless else options.quality or QUALITY["pdf"]
    written = pages.document(sheets, quality, bounds)
    return Result(files=(written,), warnings=tuple(dict.fromkeys(warnings)))


def _sheets(
    source: Source, options: ImageOptions, bounds: Bounds, warnings: list[str]
) -> Iterator[pages.Sheet]:
    warnings += source.warnings
    if options.page is not None:
        source = at_page(source, options.page, bounds)
    plan = _plan(source, TARGETS["pdf"], options, bounds, overlay=None, warnings=warnings)
    for index in range(plan.count):
        single = msgspec.structs.replace(
            source, first=source.at(index), count=1, at=lambda _, index=index: source.at(index)
        )
        frame = _render_all(single, msgspec.structs.replace(plan, count=1))[0][0]
        dpi = (float(options.dpi),) * 2 if options.dpi else resolution(single.first)
        yield pages.Sheet(frame, dpi)


def _plan(
    source: Source,
    target: Target,
    options: ImageOptions,
    bounds: Bounds,
    *,
    overlay: Source | None,
    warnings: list[str],
) -> _Plan:
    right = not options.rotate % _RIGHT_ANGLE
    return _Plan(
        source=source.name,
        target=target,
        options=options,
        bounds=bounds,
        background=parse_colour(options.background),
        keep=_point(options),
        turn=turns.wanted(
            int(options.rotate) if right else 0, flip=options.flip, flop=options.flop
        ),
        degrees=0.0 if right else options.rotate,
        count=len(frames_wanted(source, target, options, bounds, warnings)),
        retouches=retouch.is_wanted(options),
        mark=mark_of(options, overlay),
        warnings=warnings,
    )


def _point(options: ImageOptions) -> Point:
    if not options.focus:
        return POSITIONS[options.position]
    x, y = options.focus.split(",")
    return float(x), float(y)


def _with_dpi(metadata: Metadata, options: ImageOptions) -> Metadata:
    if options.dpi is None:
        return metadata
    return msgspec.structs.replace(metadata, dpi=(float(options.dpi), float(options.dpi)))


def _render_all(source: Source, plan: _Plan) -> tuple[list[Image.Image], list[int]]:
    frames, durations = [], []
    start = 1 if plan.count > 1 and source.first.info.get("default_image") else 0
    region: Box | None = None
    for index in each(range(start, start + plan.count)):
        with reading(plan.source):
            image = source.at(index)
        check_pixels(image.size, plan.bounds)
        if plan.options.trim and (region is None or source.paged):
            region = _trimmed(image, plan)
        frame = _render(image, region, plan)
        # The decoder's own object would change with the next seek, and savers read its tags.
        frames.append(frame.copy() if frame is image else frame)
        durations.append(max(0, round(float(image.info.get("duration") or 0))))
    return frames, durations


def _trimmed(image: Image.Image, plan: _Plan) -> Box | None:
    """Where the picture is, within what is seen."""
    with reading(plan.source):
        image.load()
        seen = expand(image, plan.warnings)
    turn = turns.composed(orientation_of(image), plan.turn)
    region = retouch.borderless(
        _rotated(turns.turned(seen, turn), plan), plan.options.trim_tolerance
    )
    if region is None:
        plan.warnings.append("there was nothing to trim: the image has one colour only")
    return region


def _rotated(seen: Image.Image, plan: _Plan) -> Image.Image:
    """Turned by other than right angles; what that bares shows the background."""
    if not plan.degrees:
        return seen
    seen = holding(seen, plan.background, alpha=plan.target.alpha)
    if seen.mode == "I;16":
        seen = eight_bits(seen)
    fill = in_mode(plan.background, seen.mode)
    return seen.rotate(
        -plan.degrees,
        Image.Resampling.BICUBIC,
        expand=True,
        fillcolor=fill if len(fill) > 1 else fill[0],
    )


def _render(image: Image.Image, region: Box | None, plan: _Plan) -> Image.Image:
    """One frame, finished: scaled, in the target's colours, upright."""
    turn = turns.composed(orientation_of(image), plan.turn)
    icc = image.info.get("icc_profile")
    if plan.degrees:
        with reading(plan.source):
            image.load()
            frame = expand(image, plan.warnings)
        frame = _rotated(turns.turned(frame, turn), plan)
        check_pixels(frame.size, plan.bounds)
        layout, turn = _layout(frame.size, turns.UPRIGHT, region, plan), turns.UPRIGHT
    else:
        layout = _layout(image.size, turn, region, plan)
        with reading(plan.source):
            layout = draft(image, layout) if plan.count == 1 else layout
            image.load()
        if turn == turns.UPRIGHT and layout.keeps(image.size) and _holds(image, plan, icc):
            return image
        with reading(plan.source):
            frame = expand(image, plan.warnings)
    frame = resample(frame, layout.crop, layout.size)
    frame = _coloured(frame, icc, plan)
    if layout.canvas != layout.size:
        frame = holding(frame, plan.background, alpha=plan.target.alpha)
        frame = pad(frame, layout.canvas, in_mode(plan.background, frame.mode))
    frame = turns.turned(frame, turn)
    frame = marked(_plain(frame, plan), plan.mark) if plan.mark is not None else frame
    if plan.options.colour_space != "auto":
        opaque = plan.options.colour_space in {"cmyk", "bitmap"}
        frame = fit_mode(frame, _OPAQUE, plan.background, plan.warnings) if opaque else frame
        frame = in_space(frame, plan.options.colour_space, plan.target, plan.warnings)
    return fit_mode(frame, plan.target, plan.background, plan.warnings)


# What CMYK and bitmaps are made from: anything without transparency.
_OPAQUE = Target(name="tiff", modes=frozenset({"1", "L", "RGB", "CMYK", "I;16"}))


def _coloured(frame: Image.Image, icc: bytes | None, plan: _Plan) -> Image.Image:
    """In sRGB where that is wanted, and retouched."""
    if plan.options.icc == "srgb" or not plan.target.icc:
        frame = to_srgb(frame, icc, plan.warnings)
    if plan.retouches:
        frame = retouch.retouched(_plain(frame, plan), plan.options)
    return frame


def _plain(frame: Image.Image, plan: _Plan) -> Image.Image:
    """In a mode that can be retouched and written over."""
    if frame.mode == "I;16":
        plan.warnings.append("16 bits a channel were reduced to 8 to change the picture")
        return eight_bits(frame)
    return frame if frame.mode in {"L", "LA", "RGB", "RGBA"} else frame.convert("RGB")


def _layout(stored: Size, turn: int, region: Box | None, plan: _Plan) -> Layout:
    """Where pixels go, in the stored orientation. Raises TargetImpossible, TargetTooLarge."""
    options, seen = plan.options, turns.seen_size(stored, turn)
    region = _cropped(seen, region, plan) if options.crop or region is not None else None
    part = seen if region is None else (int(region[2] - region[0]), int(region[3] - region[1]))
    layout = lay_out(
        part, options.width, options.height, options.fit, enlarge=options.enlarge, keep=plan.keep
    )
    if max(layout.canvas) > plan.target.side_max:
        raise TargetImpossible(
            f"{plan.target.title} holds at most {plan.target.side_max} pixels a side and this image"
            f" has {max(layout.canvas)}; give a smaller width or height"
        )
    pixels_max = plan.bounds.pixels_max if plan.count == 1 else plan.bounds.animation_pixels_max
    if layout.canvas[0] * layout.canvas[1] * plan.count > pixels_max:
        raise TargetTooLarge(
            f"the result would have more than {pixels_max // 1_000_000} megapixels;"
            " give a smaller width or height"
        )
    if region is not None:
        layout = within(layout, region)
    return turns.as_stored(layout, seen, turn)


def _cropped(seen: Size, region: Box | None, plan: _Plan) -> Box:
    """The region that is left after trim and crop. Raises TargetImpossible."""
    left, top, right, bottom = region or (0, 0, *seen)
    part = int(right - left), int(bottom - top)
    crop = plan.options.crop
    if not crop:
        return left, top, right, bottom
    if ":" in crop:
        across, down = (int(number) for number in crop.split(":"))
        box = proportioned(part, across, down, plan.keep)
    else:
        x, y, width, height = (int(number) for number in crop.split(","))
        box = (x, y, min(x + width, part[0]), min(y + height, part[1]))
        if x >= part[0] or y >= part[1]:
            raise TargetImpossible(
                f"crop: the area begins outside the image, which is {part[0]} x {part[1]} pixels"
            )
    return left + box[0], top + box[1], left + box[2], top + box[3]


def _holds(image: Image.Image, plan: _Plan, icc: bytes | None) -> bool:
    """Whether an untouched bitmap or palette image can go into the target as it is."""
    if image.mode not in {"1", "P"} or image.mode not in plan.target.modes:
        return False
    if plan.retouches or plan.mark is not None:
        return False
    if image.mode == "1":
        spaces = {"auto", "grey", "bitmap"}
        return plan.options.colour_space in spaces and not image.has_transparency_data
    if plan.options.colours is not None or plan.options.colour_space != "auto":
        return False
    return _holds_palette(image, plan, icc)


def _holds_palette(image: Image.Image, plan: _Plan, icc: bytes | None) -> bool:
    transparency = image.info.get("transparency")
    in_other_colours = bool(icc) and plan.options.icc == "srgb"
    if in_other_colours or (image.palette is not None and image.palette.mode != "RGB"):
        return False
    return (
        transparency is None
        or plan.target.name == "png"
        or (plan.target.name == "gif" and isinstance(transparency, int))
    )


def _icc_to_embed(image: Image.Image, frame: Image.Image, plan: _Plan) -> bytes | None:
    """The source's profile, where the pixels are still in its space and the target holds one."""
    icc = image.info.get("icc_profile")
    kept = plan.options.icc == "keep" or frame.mode == "I;16"
    if not (icc and kept and plan.target.icc):
        return None
    space = bytes(icc[16:20])
    matching = {"CMYK": b"CMYK", "L": b"GRAY", "LA": b"GRAY", "I;16": b"GRAY", "1": b"GRAY"}
    return icc if matching.get(frame.mode, b"RGB ") == space else None


def _warn_of_depth(image: Image.Image, target: Target, warnings: list[str]) -> None:
    """Colour of 16 bits a channel is decoded to 8: say so, whatever the target could hold."""
    bits: object = None
    if image.format == "TIFF":
        bits = max(image.tag_v2.get(258, (1,)), default=1)  # type: ignore[attr-defined]  # BitsPerSample
    elif image.format == "PNG" and image.mode in {"RGB", "RGBA", "LA"}:
        bits = 16 if ";16" in str(image.tile[0].args if image.tile else "") else None  # type: ignore[attr-defined]
    if isinstance(bits, int) and bits > _EIGHT_BITS and image.mode in {"RGB", "RGBA", "LA", "CMYK"}:
        warnings.append(
            f"colours of {bits} bits a channel were reduced to 8 bits for {target.title}"
        )
