"""media.video: a film into another container, its pictures kept where the target can hold them."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from av import VideoFrame

from engine.converter import Result, Work
from engine.converters.capped import CappedBuffer
from engine.converters.media.audio import add_sound, sound_for
from engine.converters.media.audio import cut as cut_sound
from engine.converters.media.catalogue import CODECS, AudioOptions, VideoOptions
from engine.converters.media.chain import Chain, Step
from engine.converters.media.containers import (
    MICROSECONDS,
    clip,
    course,
    frames,
    opened,
    pictures,
    sound,
    tags,
    timed,
    written,
)
from engine.converters.media.faststart import with_index_in_front
from engine.converters.media.film import cut, scaled, sized, turn_of, upright
from engine.errors import TargetImpossible

# What a container holds as it is, by FFmpeg's names of codecs.
_HOLDS_PICTURES = {
    "mp4": {"h264", "hevc", "av1", "vp9", "mpeg4"},
    "mov": {"h264", "hevc", "mpeg4", "mjpeg", "prores"},
    "webm": {"vp8", "vp9", "av1"},
    "mkv": {"h264", "hevc", "av1", "vp9", "vp8", "mpeg4", "mpeg2video", "mjpeg", "theora"},
    "avi": {"mpeg4", "mjpeg", "msmpeg4v3"},
}
_HOLDS_SOUND = {
    "mp4": {"aac", "mp3", "ac3", "eac3", "opus", "flac", "alac"},
    "mov": {"aac", "mp3", "ac3", "alac", "pcm_s16le", "pcm_s16be", "pcm_s24le"},
    "webm": {"opus", "vorbis"},
    "mkv": {"aac", "mp3", "ac3", "eac3", "opus", "vorbis", "flac", "alac", "pcm_s16le", "mp2"},
    "avi": {"mp3", "ac3", "pcm_s16le", "mp2"},
}
_SOUND_AS = {"mp4": "m4a", "mov": "m4a", "webm": "opus", "mkv": "m4a", "avi": "mp3"}
_ENCODERS = {"h264": "libx264", "vp9": "libvpx-vp9", "vp8": "libvpx", "mpeg4": "mpeg4"}
# Quality 1 to 100 on each encoder's own scale, which runs the other way: worst, and steps a point.
_SCALES = {"h264": (51, 0.40), "vp9": (63, 0.45), "vp8": (63, 0.45), "mpeg4": (31, 0.29)}
_RATE_MAX = 60
_MP4_LIKE = frozenset({"mp4", "mov"})


def convert(work: Work) -> Result:
    """Convert. Raises SourceUnreadable, SourceTooComplex, TargetImpossible, TargetTooLarge."""
    options: VideoOptions = work.options
    warnings: list[str] = []
    buffer = CappedBuffer(work.bounds.output_bytes_max)
    with opened(work.inputs[0], work.source) as source:
        film = pictures(source, work.bounds)
        if film is None:
            raise TargetImpossible("there are no moving pictures in it")
        track = sound(source) if options.audio == "keep" else None
        _warn_of_losses(source, options, warnings)
        copied = _copied(film, options, work.target)
        with written(work.target, buffer) as sink:
            if options.metadata == "keep":
                sink.metadata.update(tags(source, film))
            if copied:
                _copy(source, film, track, sink, work.target)
            else:
                _encode(work, source, film, track, sink, warnings)
    result = with_index_in_front(buffer.take()) if work.target in _MP4_LIKE else buffer.take()
    return Result(files=(result,), warnings=tuple(warnings))


def _warn_of_losses(source: Any, options: VideoOptions, warnings: list[str]) -> None:
    if len(source.streams.audio) > 1 and options.audio == "keep":
        warnings.append("only the first track of sound was kept")
    if source.streams.subtitles:
        warnings.append("subtitles were left out")


def _copied(film: Any, options: VideoOptions, target: str) -> bool:
    """Whether pictures stay as they are. Raises TargetImpossible where they must and cannot."""
    held = film.codec_context.name in _HOLDS_PICTURES[target]
    if options.codec == "copy" and not held:
        raise TargetImpossible(
            f"{target} cannot hold pictures coded as {film.codec_context.name}; leave codec at auto"
        )
    asked = (options.width, options.height, options.frame_rate, options.bitrate, options.duration)
    changed = options.start or any(one is not None for one in asked)
    return options.codec == "copy" or (options.codec == "auto" and held and not changed)


class _Sound:
    """A track of sound coded anew on its way into a container."""

    def __init__(self, sink: Any, track: Any, target: str, steps: Sequence[Step] = ()) -> None:
        self.encoder = add_sound(sink, track, _SOUND_AS[target], AudioOptions())
        self._sink = sink
        self._chain = Chain(
            [*steps, *sound_for(self.encoder)],
            samples=self.encoder.codec_context.frame_size,
        )

    def add(self, frame: Any) -> None:
        """Take one frame; None is the end."""
        for ready in self._chain.pass_on(frame):
            self._sink.mux(self.encoder.encode(ready))
        if frame is None:
            self._sink.mux(self.encoder.encode(None))


class _Pictures:
    """Pictures cut, turned, sized and coded anew on their way into a container."""

    def __init__(self, sink: Any, encoder: Any, chain: Chain) -> None:
        self.seen = False
        self._sink, self._encoder, self._chain = sink, encoder, chain

    def add(self, frame: Any) -> None:
        """Take one frame; None is the end."""
        for ready in self._chain.pass_on(frame):
            self.seen = True
            # Its kind is the encoder's own choice, not what the source's encoder chose.
            ready.pict_type = 0
            self._sink.mux(self._encoder.encode(ready))
        if frame is None:
            self._sink.mux(self._encoder.encode(None))


def _copy(source: Any, film: Any, track: Any, sink: Any, target: str) -> None:
    """Packets as they are; sound is coded anew where the target does not take it."""
    begun_s = Fraction(max(source.start_time or 0, 0), MICROSECONDS)
    routes = {film.index: sink.add_stream_from_template(film)}
    voice = None
    if track is not None:
        if track.codec_context.name in _HOLDS_SOUND[target]:
            routes[track.index] = sink.add_stream_from_template(track)
        else:
            voice = _Sound(sink, track, target)
    streams = [film] if track is None else [film, track]
    passed = course(source, streams, clip(source, 0.0, None))
    for packet in timed(source.demux(*streams)):
        passed(packet)
        route = routes.get(packet.stream.index)
        if route is not None and packet.size:
            # A broadcast's clock begins anywhere; the result's begins at nought.
            since = round(begun_s / packet.time_base)
            packet.dts = None if packet.dts is None else packet.dts - since
            packet.pts = None if packet.pts is None else packet.pts - since
            packet.stream = route
            sink.mux(packet)
        elif route is None and voice is not None:
            for frame in packet.decode():
                voice.add(frame)
    if voice is not None:
        voice.add(None)


def _encode(  # noqa: PLR0917 -- a source, its two streams, and where they go
    work: Work, source: Any, film: Any, track: Any, sink: Any, warnings: list[str]
) -> None:
    options: VideoOptions = work.options
    part = clip(source, options.start, options.duration)
    turn = turn_of(work)
    rate = _rate(film, options.frame_rate)
    size = scaled(film, turn, options.width, options.height, even=True)
    steps = [*cut(part), *upright(turn), ("fps", f"fps={rate}"), *sized(size)]
    pixels = ("format", "pix_fmts=yuv420p")
    shown = _Pictures(
        sink,
        _add_pictures(sink, work.target, options, size, rate),
        Chain([*steps, pixels]),
    )
    voice = None if track is None else _Sound(sink, track, work.target, cut_sound(part))
    for frame in frames(source, [film] if track is None else [film, track], part, warnings):
        if voice is None or isinstance(frame, VideoFrame):
            shown.add(frame)
        else:
            voice.add(frame)
    shown.add(None)
    if voice is not None:
        voice.add(None)
    if not shown.seen:
        raise TargetImpossible("there is no picture in the part that was asked for")


def _add_pictures(
    sink: Any, target: str, options: VideoOptions, size: tuple[int, int], rate: Fraction
) -> Any:
    codec = CODECS[target][0] if options.codec == "auto" else options.codec
    worst, step = _SCALES[codec]
    level = round(worst - step * options.quality)
    settings = {
        "h264": {"preset": "veryfast", "crf": str(level), "x264-params": "sync-lookahead=0"},
        "vp9": {"deadline": "realtime", "cpu-used": "6", "crf": str(level), "row-mt": "0"},
        "vp8": {"deadline": "realtime", "cpu-used": "6", "crf": str(level)},
        "mpeg4": {"qmin": str(max(level, 2)), "qmax": str(max(level, 2))},
    }[codec]
    if options.bitrate is not None:
        settings = {
            name: text for name, text in settings.items() if name not in {"crf", "qmin", "qmax"}
        }
    encoder = sink.add_stream(_ENCODERS[codec], rate=rate, options=settings)
    encoder.width, encoder.height = size
    encoder.pix_fmt = "yuv420p"
    encoder.codec_context.thread_count = 1
    # libvpx reads a quality only beside a bit rate, which is then the most it may use.
    encoder.bit_rate = (
        1000 * options.bitrate if options.bitrate else (0 if codec != "vp8" else 4_000_000)
    )
    return encoder


def _rate(film: Any, wanted: float | None) -> Fraction:
    if wanted is not None:
        return Fraction(wanted).limit_denominator(1001)
    rate = film.average_rate or film.guessed_rate or Fraction(25)
    return rate if 1 <= rate <= _RATE_MAX else Fraction(min(max(int(rate), 1), _RATE_MAX))
