"""Files opened by the one demuxer that their checked format names, and written by one muxer.

FFmpeg knows formats that are lists of other files (playlists, concatenations) and protocols to
fetch them: none can be reached, because neither is guessed. Decoders and encoders run in the
calling thread: a worker may start none.
"""

import contextlib
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, cast

import av
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from engine.converters.capped import CappedBuffer
from engine.errors import SourceTooComplex, SourceUnreadable, TargetImpossible, TargetTooLarge
from engine.formats import find
from engine.job import Bounds, Buffer
from engine.progress import report

DEMUXERS = {
    "3gp": "mov", "aac": "aac", "aiff": "aiff", "amr": "amr", "asf": "asf", "avi": "avi",
    "flac": "flac", "flv": "flv", "gif": "gif", "m4a": "mov", "mkv": "matroska", "mov": "mov",
    "mp3": "mp3", "mp4": "mov", "mpeg": "mpeg", "ogg": "ogg", "opus": "ogg", "ts": "mpegts",
    "wav": "wav", "webm": "matroska",
}  # fmt: skip
MUXERS = {
    "aac": "adts", "aiff": "aiff", "avi": "avi", "flac": "flac", "gif": "gif", "m4a": "ipod",
    "mkv": "matroska", "mov": "mov", "mp3": "mp3", "mp4": "mp4", "ogg": "ogg", "opus": "opus",
    "wav": "wav", "webm": "webm",
}  # fmt: skip
# A bare MPEG video stream begins with a sequence header, a program stream with a pack.
_BARE_MPEG = b"\x00\x00\x01\xb3"
# Chunks that pass through Python; the default of 32 KiB costs twice the calls.
_CHUNK_BYTES = 256 * 1024
# What says what a piece is; dates, places and cameras are none of it.
_TAGS = (
    "title",
    "artist",
    "album",
    "album_artist",
    "track",
    "disc",
    "genre",
    "composer",
    "date",
    "comment",
)
MICROSECONDS = 1_000_000


# Of a stream whose packets have their times.
_THROUGH: list[Any] = []


class Clip(NamedTuple):
    """A part of a film, in seconds of its own clock; `end` None is its end."""

    start: float
    end: float | None


@contextmanager
def opened(data: Buffer, source: str) -> Iterator[InputContainer]:
    """The file, its header read. Raises SourceUnreadable, also for what its block finds damaged."""
    demuxer = DEMUXERS[source]
    if source == "mpeg" and bytes(data[:4]) == _BARE_MPEG:
        demuxer = "mpegvideo"
    try:
        with av.open(
            io.BytesIO(data),
            format=demuxer,
            options={"protocol_whitelist": "", "format_whitelist": demuxer},
            metadata_errors="replace",
            buffer_size=_CHUNK_BYTES,
        ) as container:
            yield cast(InputContainer, container)
    except (av.FFmpegError, OverflowError, UnicodeError) as error:
        raise SourceUnreadable(
            f"the {find(source).title} cannot be read: it is damaged, cut off or of an unusual kind"
        ) from error


@contextmanager
def written(
    target: str, buffer: CappedBuffer, options: Mapping[str, str] | None = None
) -> Iterator[OutputContainer]:
    """A container of the target's kind, complete at the end of the block; options are its muxer's.

    Raises TargetImpossible for what it cannot hold, TargetTooLarge.
    """
    try:
        with av.open(
            buffer,
            "w",
            format=MUXERS[target],
            options=dict(options or {}),
            buffer_size=_CHUNK_BYTES,
            metadata_errors="replace",
        ) as container:
            yield container
    except SourceUnreadable:
        raise
    except av.FFmpegError as error:
        if isinstance(error.__context__, TargetTooLarge):
            raise error.__context__ from None
        raise TargetImpossible(
            f"what this file holds cannot be written as {find(target).title}"
        ) from error


def sound(container: InputContainer) -> AudioStream | None:
    """The first track of sound, to be decoded in this thread; None where there is none."""
    for stream in container.streams.audio:
        if _has_decoder(stream) and stream.rate:
            _stay_in_thread(stream)
            return stream
    return None


def pictures(container: InputContainer, bounds: Bounds) -> VideoStream | None:
    """The first moving track, cover pictures aside. Raises SourceTooComplex by its size."""
    for stream in container.streams.video:
        if not _has_decoder(stream) or stream.disposition & Disposition.attached_pic:
            continue
        if stream.width * stream.height > bounds.pixels_max:
            raise SourceTooComplex(
                f"its pictures have {stream.width} x {stream.height} pixels; the limit is "
                f"{bounds.pixels_max // 1_000_000} megapixels"
            )
        if stream.width and stream.height:
            _stay_in_thread(stream)
            return stream
    return None


def _has_decoder(stream: Any) -> bool:
    return stream.codec_context is not None


def _stay_in_thread(stream: Any) -> None:
    stream.codec_context.thread_count = 1
    stream.codec_context.thread_type = "NONE"


def clip(container: InputContainer, start: float, duration: float | None) -> Clip:
    """The wanted part, on the file's clock. Raises TargetImpossible where it begins too late."""
    begin = max(container.start_time or 0, 0) / MICROSECONDS
    length = container.duration / MICROSECONDS if container.duration else None
    if length is not None and start >= length and start:
        raise TargetImpossible(f"it ends after {length:.1f} seconds; start is {start:g}")
    first = begin + start
    return Clip(first, None if duration is None else first + duration)


def course(
    container: InputContainer, streams: Sequence[Any], part: Clip, *, share: float = 1.0
) -> Callable[[Any], None]:
    """What is told of each packet, to report how far it is into the part.

    That is `share` of the work. Says nothing where no header says how long it is.
    """
    end = part.end
    if end is None and container.duration:
        end = (max(container.start_time or 0, 0) + container.duration) / MICROSECONDS
    length = 0.0 if end is None else end - part.start
    units = {stream.index: float(stream.time_base or 0) for stream in streams}

    def passed(packet: Any) -> None:
        if length > 0 and packet.pts is not None:
            seconds = packet.pts * units.get(packet.stream.index, 0.0) - part.start
            report(share * min(seconds / length, 1.0))

    return passed


def frames(
    container: InputContainer,
    streams: Sequence[Any],
    part: Clip,
    warnings: list[str],
    *,
    share: float = 1.0,
) -> Iterator[Any]:
    """Decoded frames of the streams, from a little before the part's start to its end.

    To decode them is `share` of the work that is reported. Damaged packets are left out, with a
    warning. Raises SourceUnreadable where nothing decodes.
    """
    if part.start > 1:
        # Not every format can; it is then decoded from its start.
        with contextlib.suppress(av.FFmpegError):
            container.seek(int((part.start - 1) * MICROSECONDS))
    ended: set[int] = set()
    damaged = decoded = 0
    passed = course(container, streams, part, share=share)
    for packet in _packets(container, streams):
        if len(ended) == len(streams):
            break
        passed(packet)
        try:
            decodes = packet.decode()
        except av.EOFError:
            continue
        except av.FFmpegError:
            damaged += 1
            continue
        for frame in decodes:
            decoded += 1
            if part.end is not None and frame.time is not None and frame.time >= part.end:
                ended.add(packet.stream.index)
            else:
                yield frame
    if damaged:
        if not decoded:
            raise SourceUnreadable(
                "nothing in it can be decoded: it is damaged or of an unusual kind"
            )
        warnings.append("damaged parts were left out")


def _packets(container: InputContainer, streams: Sequence[Any]) -> Iterator[Any]:
    """All packets; a file that is cut off or damaged ends there."""
    with contextlib.suppress(av.FFmpegError):
        yield from container.demux(*streams)


def timed(packets: Iterator[Any]) -> Iterator[Any]:
    """The packets, those in front with a time of decoding as well.

    Matroska leaves it out until the first pictures that were put out of order are through.
    """
    waiting: dict[int, list[Any]] = {}
    for packet in packets:
        held = waiting.setdefault(packet.stream.index, [])
        if packet.size and packet.dts is None and held is not _THROUGH:
            held.append(packet)
            continue
        for before, early in zip(range(len(held), 0, -1), held, strict=True):
            if packet.dts is not None:
                early.dts = packet.dts - before * max(packet.duration or 0, 1)
            yield early
        waiting[packet.stream.index] = _THROUGH
        yield packet


def tags(container: InputContainer, stream: Any) -> dict[str, str]:
    """What says what the piece is, wherever the format keeps it."""
    known = {**stream.metadata, **container.metadata}
    by_name = {name.lower(): text for name, text in known.items()}
    return {name: by_name[name] for name in _TAGS if name in by_name}
