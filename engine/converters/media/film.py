"""How pictures of a film are cut, turned upright and sized: for every converter that shows them."""

from fractions import Fraction
from typing import Any

from PIL import Image

from engine.converter import Work
from engine.converters.media.chain import Chain, Step
from engine.converters.media.containers import Clip, frames, opened, pictures

_QUARTER = 90


def turn_of(work: Work) -> int:
    """By how many degrees the first picture has to be turned (opened again: it costs little)."""
    with opened(work.inputs[0], work.source) as source:
        film = pictures(source, work.bounds)
        for frame in frames(source, [film], Clip(0.0, None), []):
            return round(int(frame.rotation) / _QUARTER) * _QUARTER % 360
    return 0


def upright(turn: int) -> list[Step]:
    """Filters that turn pictures by what their file says."""
    return {
        90: [("transpose", "cclock")],
        180: [("hflip", ""), ("vflip", "")],
        270: [("transpose", "clock")],
    }.get(turn, [])


def scaled(
    film: Any, turn: int, width: int | None, height: int | None, *, even: bool
) -> tuple[int, int]:
    """The size of upright pictures with square pixels, inside width x height."""
    ratio = film.sample_aspect_ratio or Fraction(1)
    across, down = round(film.width * ratio), film.height
    if turn in {90, 270}:
        across, down = down, across
    shrink = min(1.0, (width or across) / across, (height or down) / down)
    size = (max(2, round(across * shrink)), max(2, round(down * shrink)))
    return (size[0] & ~1, size[1] & ~1) if even else size


def sized(size: tuple[int, int]) -> list[Step]:
    """Filters to a size."""
    return [("scale", f"{size[0]}:{size[1]}:flags=lanczos"), ("setsar", "1")]


def cut(part: Clip) -> list[Step]:
    """Keep the part, and begin to count at its start."""
    end = "" if part.end is None else f":end={part.end:.6f}"
    return [("trim", f"start={part.start:.6f}{end}"), ("setpts", f"PTS-{part.start:.6f}/TB")]


def image_of(frame: Any, mode: str) -> Image.Image:
    """A frame as an RGB or RGBA image (PyAV's own way there starts threads, and knows no alpha)."""
    pixels = "rgba" if mode == "RGBA" else "rgb24"
    chain = Chain([("format", f"pix_fmts={pixels}")])
    (ready, *_) = [*chain.pass_on(frame), *chain.pass_on(None)]
    plane = ready.planes[0]
    return Image.frombytes(
        mode, (ready.width, ready.height), bytes(plane), "raw", mode, plane.line_size
    )
