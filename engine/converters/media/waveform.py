"""media.waveform: the whole sound at a glance, as a PNG with a transparent ground."""

from engine.converter import Result, Work
from engine.converters.capped import CappedBuffer
from engine.converters.media.catalogue import WaveformOptions
from engine.converters.media.chain import Chain
from engine.converters.media.containers import Clip, frames, opened, sound
from engine.converters.media.film import image_of
from engine.errors import TargetImpossible


def convert(work: Work) -> Result:
    """Convert. Raises SourceUnreadable, TargetImpossible (no sound)."""
    options: WaveformOptions = work.options
    warnings: list[str] = []
    with opened(work.inputs[0], work.source) as source:
        stream = sound(source)
        if stream is None:
            raise TargetImpossible("there is no sound in it")
        chain = Chain(
            [
                ("aformat", "channel_layouts=mono"),
                (
                    "showwavespic",
                    f"s={options.width}x{options.height}:colors=0x{options.colour}:filter=peak",
                ),
            ],
            shows=True,
        )
        drawn = None
        for frame in frames(source, [stream], Clip(0.0, None), warnings):
            for picture in chain.pass_on(frame):
                drawn = picture
        for picture in chain.pass_on(None):
            drawn = picture
    if drawn is None:
        raise TargetImpossible("there is no sound in it")
    buffer = CappedBuffer(work.bounds.output_bytes_max)
    image_of(drawn, "RGBA").save(buffer, "PNG")
    return Result(files=(buffer.take(),), warnings=tuple(warnings))
