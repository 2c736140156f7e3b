"""media.frame: one picture of a film, upright."""

from typing import Any

from PIL import Image

from engine.converter import Result, Work
from engine.converters.capped import CappedBuffer
from engine.converters.media.catalogue import FrameOptions
from engine.converters.media.containers import Clip, clip, frames, opened, pictures
from engine.converters.media.film import image_of, scaled
from engine.errors import TargetImpossible

# Without a time: far enough in to be past a black beginning, soon enough to be there at once.
_INTO, _LATEST_S = 0.1, 10.0
_MICROSECONDS = 1_000_000
_TURNS = {
    90: Image.Transpose.ROTATE_90,
    180: Image.Transpose.ROTATE_180,
    270: Image.Transpose.ROTATE_270,
}


def convert(work: Work) -> Result:
    """Convert. Raises SourceUnreadable, SourceTooComplex, TargetImpossible."""
    options: FrameOptions = work.options
    warnings: list[str] = []
    with opened(work.inputs[0], work.source) as source:
        film = pictures(source, work.bounds)
        if film is None:
            raise TargetImpossible("there are no moving pictures in it")
        picture = _picture(source, film, clip(source, _wanted_s(source, options), None), warnings)
        turn = round(picture.rotation / 90) * 90 % 360
        image = image_of(picture, "RGB")
        size = scaled(film, turn, options.width, options.height, even=False)
    if turn:
        image = image.transpose(_TURNS[turn])
    if image.size != size:
        image = image.resize(size, Image.Resampling.LANCZOS)
    buffer = CappedBuffer(work.bounds.output_bytes_max)
    quality = {} if work.target == "png" else {"quality": options.quality}
    image.save(buffer, work.target.upper(), **quality)
    return Result(files=(buffer.take(),), warnings=tuple(warnings))


def _wanted_s(source: Any, options: FrameOptions) -> float:
    if options.time is not None:
        return options.time
    return min((source.duration or 0) / _MICROSECONDS * _INTO, _LATEST_S)


def _picture(source: Any, film: Any, part: Clip, warnings: list[str]) -> Any:
    """The first picture at or after the part's start, or else the last one."""
    last = None
    for frame in frames(source, [film], part, warnings):
        last = frame
        if frame.time is None or frame.time >= part.start - 1e-6:
            break
    if last is None:
        raise TargetImpossible("there is no picture in it")
    return last
