"""media.info: what a film or a sound consists of, from its header alone, as JSON."""

from typing import Any

import msgspec

from engine.converter import Result, Work
from engine.converters.media.containers import MICROSECONDS, opened

_ROUNDING = 3


class Stream(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One track."""

    kind: str
    codec: str
    language: str | None = None
    bit_rate: int | None = None
    width: int | None = None
    height: int | None = None
    frame_rate: float | None = None
    sample_rate: int | None = None
    channels: int | None = None


class Info(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The file. Durations in seconds, rates in bits a second."""

    format: str
    duration: float | None = None
    bit_rate: int | None = None
    streams: tuple[Stream, ...] = ()
    tags: dict[str, str] = {}


def convert(work: Work) -> Result:
    """Describe. Raises SourceUnreadable."""
    with opened(work.inputs[0], work.source) as source:
        info = Info(
            format=work.source,
            duration=round(source.duration / MICROSECONDS, _ROUNDING) if source.duration else None,
            bit_rate=source.bit_rate or None,
            streams=tuple(_stream(one) for one in source.streams),
            tags=dict(source.metadata),
        )
    return Result(files=(msgspec.json.format(msgspec.json.encode(info), indent=2),))


def _stream(stream: Any) -> Stream:
    context = stream.codec_context
    common = {
        "kind": stream.type,
        "codec": context.name if context is not None else "unknown",
        "language": stream.language,
    }
    if stream.type == "video":
        rate = stream.average_rate
        return Stream(
            **common,
            bit_rate=context.bit_rate if context else None,
            width=stream.width,
            height=stream.height,
            frame_rate=round(float(rate), _ROUNDING) if rate else None,
        )
    if stream.type == "audio":
        return Stream(
            **common,
            bit_rate=context.bit_rate if context else None,
            sample_rate=stream.rate,
            channels=stream.channels,
        )
    return Stream(**common)
