"""image.convert: decode, scale, bring to the target's colours, turn upright, write.

Everything expensive happens on as few pixels as possible: a JPEG is decoded at a fraction where the
result is small, and colours and orientation are dealt with after scaling.
"""

import msgspec
from PIL import Image, ImageFile

from engine.converter import Result, Work
from engine.converters.colour import Colour, expand, parse_colour, to_srgb
from engine.converters.image.catalogue import ImageOptions
from engine.converters.image.encode import Picture, encode
from engine.converters.image.geometry import Layout, Size, lay_out
from engine.converters.image.metadata import Metadata, collect, orientation_of
from engine.converters.image.modes import fit_mode, in_mode
from engine.converters.image.resample import draft, pad, resample
from engine.converters.image.targets import TARGETS, Target
from engine.converters.opening import check_frames, check_pixels, frame_count, open_image, reading
from engine.errors import TargetImpossible, TargetTooLarge
from engine.job import Bounds

# What undoes each EXIF orientation (EXIF 2.32, 4.6.4: where row 0 and column 0 lie).
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ON_ITS_SIDE = frozenset({5, 6, 7, 8})
_EIGHT_BITS = 8


class _Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for every frame of one conversion."""

    source: str
    target: Target
    options: ImageOptions
    bounds: Bounds
    background: Colour
    still: bool
    warnings: list[str]


def convert(work: Work) -> Result:
    """Convert one image. Raises the errors of decoding, bounds and encoding in engine.errors."""
    options: ImageOptions = work.options
    target = TARGETS[work.target]
    warnings: list[str] = []
    image = open_image(work.inputs[0], work.source, work.bounds)
    indexes = _frames_wanted(image, work, target, warnings)
    plan = _Plan(
        source=work.source,
        target=target,
        options=options,
        bounds=work.bounds,
        background=parse_colour(options.background),
        still=len(indexes) == 1,
        warnings=warnings,
    )
    _warn_of_depth(image, target, warnings)
    metadata = collect(image, target, warnings) if options.metadata == "keep" else Metadata()
    plays = _plays(image)
    frames, durations = _render_all(image, indexes, plan)
    if target.name == "avif" and plays and len(frames) > 1:
        warnings.append("AVIF animations repeat without end here; the number of plays was lost")
    picture = Picture(
        frames=_alike(frames) if target.animated else frames,
        durations_ms=durations,
        plays=plays,
        metadata=metadata,
        icc=_icc_to_embed(image, frames[0], target, options),
    )
    written = encode(picture, target.name, options, work.bounds.output_bytes_max)
    return Result(files=(written,), warnings=tuple(dict.fromkeys(warnings)))


def _frames_wanted(
    image: ImageFile.ImageFile, work: Work, target: Target, warnings: list[str]
) -> range:
    """Which frames or pages become part of the result; says so where some are left out."""
    count = frame_count(image, work.inputs[0], work.source, work.bounds)
    if count == 1 or work.options.frames == "first":
        return range(1)
    pages = work.source == "tiff"
    if not (target.pages if pages else target.animated):
        kind = "page of several" if pages else "frame of an animation"
        warnings.append(f"only the first {kind} was kept: {target.title} holds one")
        return range(1)
    # An APNG may carry a still for old viewers before its animation.
    start = 1 if image.info.get("default_image") else 0
    check_frames(count, image.size, work.bounds)
    return range(start, count)


def _render_all(
    image: ImageFile.ImageFile, indexes: range, plan: _Plan
) -> tuple[list[Image.Image], list[int]]:
    frames, durations = [], []
    for index in indexes:
        with reading(plan.source):
            image.seek(index)
        frame = _render(image, plan, len(indexes))
        # The decoder's own object would change with the next seek, and savers read its tags.
        frames.append(frame.copy() if frame is image else frame)
        durations.append(max(0, round(float(image.info.get("duration") or 0))))
    return frames, durations


def _render(image: ImageFile.ImageFile, plan: _Plan, count: int) -> Image.Image:
    """One frame, finished: scaled, in the target's colours, upright."""
    check_pixels(image.size, plan.bounds)
    orientation = orientation_of(image)
    layout = _layout(image.size, orientation, plan, count)
    icc = image.info.get("icc_profile")
    with reading(plan.source):
        layout = draft(image, layout) if plan.still else layout
        image.load()
    if plan.still and orientation == 1 and layout.keeps(image.size) and _holds(image, plan, icc):
        return image
    with reading(plan.source):
        frame = expand(image, plan.warnings)
    frame = resample(frame, layout.crop, layout.size)
    if plan.options.icc == "srgb" or not plan.target.icc:
        frame = to_srgb(frame, icc, plan.warnings)
    if layout.canvas != layout.size:
        frame = _padded(frame, layout, plan)
    frame = fit_mode(frame, plan.target, plan.background, plan.warnings)
    return frame.transpose(_UPRIGHT[orientation]) if orientation != 1 else frame


def _layout(stored: Size, orientation: int, plan: _Plan, count: int) -> Layout:
    """Where pixels go, in the stored orientation. Raises TargetImpossible, TargetTooLarge."""
    options, sideways = plan.options, orientation in _ON_ITS_SIDE
    seen = stored[::-1] if sideways else stored
    layout = lay_out(seen, options.width, options.height, options.fit, enlarge=options.enlarge)
    if max(layout.canvas) > plan.target.side_max:
        raise TargetImpossible(
            f"{plan.target.title} holds at most {plan.target.side_max} pixels a side and this image"
            f" has {max(layout.canvas)}; give a smaller width or height"
        )
    pixels_max = plan.bounds.pixels_max if count == 1 else plan.bounds.animation_pixels_max
    if layout.canvas[0] * layout.canvas[1] * count > pixels_max:
        raise TargetTooLarge(
            f"the result would have more than {pixels_max // 1_000_000} megapixels;"
            " give a smaller width or height"
        )
    return layout.transposed() if sideways else layout


def _holds(image: Image.Image, plan: _Plan, icc: bytes | None) -> bool:
    """Whether an untouched bitmap or palette image can go into the target as it is."""
    if image.mode not in {"1", "P"} or image.mode not in plan.target.modes:
        return False
    if image.mode == "1":
        return not image.has_transparency_data
    if icc and plan.options.icc == "srgb":
        return False
    transparency = image.info.get("transparency")
    if image.palette is not None and image.palette.mode != "RGB":
        return False
    return (
        transparency is None
        or plan.target.name == "png"
        or (plan.target.name == "gif" and isinstance(transparency, int))
    )


def _padded(frame: Image.Image, layout: Layout, plan: _Plan) -> Image.Image:
    """Pad for fit=contain; a see-through padding gives the frame an alpha channel where it can."""
    if plan.background[3] != 255 and plan.target.alpha and frame.mode in {"L", "RGB"}:  # noqa: PLR2004  # opaque
        frame = frame.convert("LA" if frame.mode == "L" else "RGBA")
    if frame.mode == "L" and len(set(plan.background[:3])) > 1:
        frame = frame.convert("RGB")
    if frame.mode == "LA" and len(set(plan.background[:3])) > 1:
        frame = frame.convert("RGBA")
    return pad(frame, layout.canvas, in_mode(plan.background, frame.mode))


def _plays(image: Image.Image) -> int:
    """How often the animation runs; 0 is without end. GIF counts repetitions, others runs."""
    loop = image.info.get("loop")
    if image.format == "GIF":
        return 1 if loop is None else (loop + 1 if loop else 0)
    return loop if isinstance(loop, int) else 0


def _alike(frames: list[Image.Image]) -> list[Image.Image]:
    """All frames of an animation in one mode: encoders fix it with the first."""
    modes = {frame.mode for frame in frames}
    if len(modes) == 1:
        return frames
    mode = "RGBA" if modes & {"RGBA", "LA", "PA"} else "RGB"
    return [frame.convert(mode) for frame in frames]


def _icc_to_embed(
    image: Image.Image, frame: Image.Image, target: Target, options: ImageOptions
) -> bytes | None:
    """The source's profile, where the pixels are still in its space and the target holds one."""
    icc = image.info.get("icc_profile")
    kept = options.icc == "keep" or frame.mode == "I;16"
    if not (icc and kept and target.icc):
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
