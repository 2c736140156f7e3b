"""media.animation: a film as an animated GIF, its colours chosen for all its pictures together."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from av.filter import Graph

from engine.converter import Result, Work
from engine.converters.capped import CappedBuffer
from engine.converters.media.catalogue import GIF_WIDTH, AnimationOptions
from engine.converters.media.chain import Kind, Step, begun, drained, kind_of
from engine.converters.media.containers import clip, frames, opened, pictures, written
from engine.converters.media.film import cut, scaled, sized, turn_of, upright
from engine.errors import SourceTooComplex, TargetImpossible

# Of the work: the colours are found, used and packed when all pictures are here.
_DECODING = 0.5


def convert(work: Work) -> Result:
    """Convert. Raises SourceUnreadable, SourceTooComplex (too many pictures), TargetImpossible."""
    options: AnimationOptions = work.options
    warnings: list[str] = []
    buffer = CappedBuffer(work.bounds.output_bytes_max)
    turn = turn_of(work)
    with opened(work.inputs[0], work.source) as source:
        film = pictures(source, work.bounds)
        if film is None:
            raise TargetImpossible("there are no moving pictures in it")
        if source.streams.audio:
            warnings.append("the sound was left out: a GIF has none")
        part = clip(source, options.start, options.duration)
        width = GIF_WIDTH if options.width is options.height is None else options.width
        size = scaled(film, turn, width, options.height, even=False)
        # All pictures wait in memory until the colours are known.
        room = work.bounds.animation_pixels_max // (size[0] * size[1])
        steps = [*cut(part), *upright(turn), ("fps", f"{options.frame_rate:g}"), *sized(size)]
        graph: Graph | None = None
        kind: Kind = ()
        with written("gif", buffer, {"loop": "0" if options.loop else "-1"}) as sink:
            encoder = sink.add_stream(
                "gif", rate=Fraction(options.frame_rate).limit_denominator(100)
            )
            encoder.width, encoder.height = size
            encoder.pix_fmt = "pal8"
            encoder.codec_context.thread_count = 1
            for frame in frames(source, [film], part, warnings, share=_DECODING):
                if graph is None:
                    graph, kind = _colours(frame, steps), kind_of(frame)
                if kind_of(frame) != kind:
                    warnings.append("it ends where its pictures change their size or kind")
                    break
                graph.push(frame)
                if frame.time is not None and (frame.time - part.start) * options.frame_rate > room:
                    raise SourceTooComplex(
                        f"more than {room} pictures of this size; give a duration, or a smaller"
                        " width or frame_rate"
                    )
            if graph is None:
                raise TargetImpossible("there is no picture in the part that was asked for")
            graph.push(None)
            for ready in drained(graph):
                sink.mux(encoder.encode(ready))
            sink.mux(encoder.encode(None))
    return Result(files=(buffer.take(),), warnings=tuple(warnings))


def _colours(frame: Any, steps: Sequence[Step]) -> Graph:
    """The steps, then 256 colours made from all pictures and used for each."""
    graph, last = begun(frame, steps)
    split = graph.add("split")
    palette, use = (
        graph.add("palettegen", "stats_mode=diff"),
        graph.add("paletteuse", "dither=bayer:bayer_scale=4:diff_mode=rectangle"),
    )
    # A palette of 256 cannot show more anyway, and finding the nearest colour of each pixel costs
    # seven times as much where there are millions of them (two seconds of film: 3.9 s, then 0.5 s).
    for pixels in ("rgb565le", "rgb24"):
        step = graph.add("format", f"pix_fmts={pixels}")
        last.link_to(step)
        last = step
    last.link_to(split)
    split.link_to(palette, 0, 0)
    split.link_to(use, 1, 0)
    palette.link_to(use, 0, 1)
    use.link_to(graph.add("buffersink"))
    graph.configure()
    return graph
