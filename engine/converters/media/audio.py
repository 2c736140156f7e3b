"""media.audio: the first track of sound, cut, made louder, and coded anew."""

from typing import Any

from engine.converter import Result, Work
from engine.converters.capped import CappedBuffer
from engine.converters.media.catalogue import AudioOptions
from engine.converters.media.chain import Chain, Step
from engine.converters.media.containers import (
    Clip,
    clip,
    frames,
    opened,
    pictures,
    sound,
    tags,
    written,
)
from engine.converters.media.faststart import with_index_in_front
from engine.errors import TargetImpossible

# Encoders, and what they make of a source when nothing is asked, in kilobits a second.
ENCODERS: dict[str, tuple[str, int]] = {
    "mp3": ("libmp3lame", 192),
    "aac": ("aac", 160),
    "m4a": ("aac", 160),
    "ogg": ("libopus", 96),
    "opus": ("libopus", 96),
    "flac": ("flac", 0),
    "wav": ("pcm_s16le", 0),
    "aiff": ("pcm_s16be", 0),
}
# 24 bits where the source has more than 16; FLAC's encoder takes them in 32.
_DEEP = {"wav": "pcm_s24le", "aiff": "pcm_s24be"}
_DEEP_FORMATS = frozenset({"s32", "s32p", "flt", "fltp", "dbl", "dblp"})
_LOUDNESS = "I=-16:TP=-1.5:LRA=11"
# Rates that encoders without a list of their own take.
_RATES = (8000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000, 88_200, 96_000, 176_400, 192_000)


def convert(work: Work) -> Result:
    """Convert. Raises SourceUnreadable, TargetImpossible (no sound), TargetTooLarge."""
    options: AudioOptions = work.options
    warnings: list[str] = []
    buffer = CappedBuffer(work.bounds.output_bytes_max)
    with opened(work.inputs[0], work.source) as source:
        stream = sound(source)
        if stream is None:
            raise TargetImpossible("there is no sound in it")
        if source.streams.video and not pictures(source, work.bounds):
            warnings.append("the cover picture was left out")
        if len(source.streams.audio) > 1:
            warnings.append("only the first track of sound was kept")
        part = clip(source, options.start, options.duration)
        with written(work.target, buffer) as sink:
            if options.metadata == "keep":
                sink.metadata.update(tags(source, stream))
            encoder = add_sound(sink, stream, work.target, options)
            chain = Chain(
                [*cut(part), *_louder(options), *sound_for(encoder)],
                samples=encoder.codec_context.frame_size,
            )
            heard = False
            for frame in frames(source, [stream], part, warnings):
                for ready in chain.pass_on(frame):
                    heard = True
                    sink.mux(encoder.encode(ready))
            for ready in chain.pass_on(None):
                heard = True
                sink.mux(encoder.encode(ready))
            sink.mux(encoder.encode(None))
        if not heard:
            raise TargetImpossible("there is no sound in the part that was asked for")
    if work.target == "m4a":
        return Result(files=(with_index_in_front(buffer.take()),), warnings=tuple(warnings))
    return Result(files=(buffer.take(),), warnings=tuple(warnings))


def add_sound(sink: Any, stream: Any, target: str, options: AudioOptions) -> Any:
    """A track in the target's usual coding, opened."""
    name, bitrate = ENCODERS[target]
    deep = stream.format.name in _DEEP_FORMATS and _is_lossless(stream)
    encoder = sink.add_stream(
        _DEEP.get(target, name) if deep else name,
        rate=_rate(name, options.sample_rate or stream.rate),
        layout="mono" if (options.channels or stream.channels) == 1 else "stereo",
    )
    encoder.codec_context.thread_count = 1
    if deep and name == "flac":
        encoder.format = "s32"
    if bitrate:
        encoder.bit_rate = 1000 * (options.bitrate or _fitting(bitrate, encoder))
    encoder.codec_context.open()
    return encoder


def _fitting(bitrate: int, encoder: Any) -> int:
    """Half for one channel, and no more than a low rate of samples can use."""
    channels: int = encoder.layout.nb_channels
    rate: int = encoder.rate
    # Four and a half bits a sample: the usual rates of a CD's sound stay what they are.
    return max(16, min(bitrate * channels // 2, rate * channels * 9 // 4000))


def _is_lossless(stream: Any) -> bool:
    name = stream.codec_context.name
    return name.startswith("pcm_") or name in {"flac", "alac"}


def _rate(name: str, wanted: int) -> int:
    known: tuple[int, ...] = {"libopus": (8000, 12_000, 16_000, 24_000, 48_000)}.get(name, _RATES)
    if name in {"libmp3lame", "aac"}:
        known = tuple(rate for rate in known if rate <= 48_000)  # noqa: PLR2004 -- MPEG's highest
    return min((rate for rate in known if rate >= wanted), default=known[-1])


def cut(part: Clip) -> list[Step]:
    """Keep the part, and begin to count at its start."""
    end = "" if part.end is None else f":end={part.end:.6f}"
    return [
        ("atrim", f"start={part.start:.6f}{end}"),
        ("asetpts", f"PTS-{part.start:.6f}/TB"),
    ]


def _louder(options: AudioOptions) -> list[Step]:
    steps = []
    if options.normalize:
        steps.append(("loudnorm", _LOUDNESS))
    if options.volume:
        steps.append(("volume", f"{options.volume:g}dB"))
    return steps


def sound_for(encoder: Any) -> list[Step]:
    """Filters that give an encoder what it takes, without gaps or overlaps."""
    wanted = {
        "sample_fmts": encoder.format.name,
        "sample_rates": encoder.rate,
        "channel_layouts": encoder.layout.name,
    }
    return [
        ("aresample", "async=1:first_pts=0"),
        ("aformat", ":".join(f"{name}={value}" for name, value in wanted.items())),
        ("asetpts", "N/SR/TB"),
    ]
