"""The frames of an animation and the pages of a document: which ones, how often, and all alike."""

from PIL import Image

from engine.converters.opening import check_frames
from engine.converters.raster.geometry import Size
from engine.converters.raster.options import ImageOptions
from engine.converters.raster.sources import Source
from engine.converters.raster.targets import Target
from engine.job import Bounds


def frames_wanted(
    source: Source, target: Target, options: ImageOptions, bounds: Bounds, warnings: list[str]
) -> range:
    """Which frames or pages become part of the result; says so where some are left out."""
    if source.count == 1 or options.frames == "first":
        return range(1)
    if not (target.pages if source.paged else target.animated):
        kind = "page of several" if source.paged else "frame of an animation"
        warnings.append(f"only the first {kind} was kept: {target.title} holds one")
        return range(1)
    # An APNG may carry a still for old viewers before its animation.
    start = 1 if source.first.info.get("default_image") else 0
    check_frames(source.count, source.first.size, bounds)
    return range(start, source.count)


def plays_of(image: Image.Image) -> int:
    """How often the animation runs; 0 is without end. GIF counts repetitions, others runs."""
    loop = image.info.get("loop")
    if image.format == "GIF":
        return 1 if loop is None else (loop + 1 if loop else 0)
    return loop if isinstance(loop, int) else 0


def alike(frames: list[Image.Image]) -> list[Image.Image]:
    """All frames of an animation in one mode and size: encoders fix both with the first."""
    modes, sizes = {frame.mode for frame in frames}, {frame.size for frame in frames}
    if len(sizes) > 1:
        # A GIF whose later frames reach beyond its canvas grows while it is decoded.
        canvas = max(wide for wide, _ in sizes), max(high for _, high in sizes)
        return [_on_canvas(frame, canvas) for frame in frames]
    if len(modes) == 1:
        return frames
    mode = "RGBA" if modes & {"RGBA", "LA", "PA"} else "RGB"
    return [frame.convert(mode) for frame in frames]


def _on_canvas(frame: Image.Image, canvas: Size) -> Image.Image:
    larger = Image.new("RGBA", canvas, (255, 255, 255, 0))
    larger.paste(frame.convert("RGBA"))
    return larger
