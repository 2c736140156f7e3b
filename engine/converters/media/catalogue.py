"""What the media family offers: declarations only, no codec."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from engine.converter import Converter, Family
from engine.errors import OptionInvalid
from engine.job import Bounds
from sandbox.limits import MIB, Limits

AUDIO = ("mp3", "wav", "flac", "ogg", "opus", "aac", "m4a", "aiff", "amr")
VIDEO = ("mp4", "mov", "3gp", "webm", "mkv", "avi", "asf", "flv", "mpeg", "ts")
AUDIO_TARGETS = ("mp3", "wav", "flac", "ogg", "opus", "aac", "m4a", "aiff")
VIDEO_TARGETS = ("mp4", "mov", "webm", "mkv", "avi")
# By container, the encoders that it takes; the first is the default.
CODECS = {
    "mp4": ("h264", "mpeg4", "vp9"),
    "mov": ("h264", "mpeg4"),
    "webm": ("vp9", "vp8"),
    "mkv": ("h264", "vp9", "vp8", "mpeg4"),
    "avi": ("mpeg4", "h264"),
}
LOSSLESS = ("wav", "flac", "aiff")
GIF_WIDTH, GIF_RATE = 480, 12

_Side = Annotated[int, Meta(ge=16, le=4096)]
_Rate = Annotated[float, Meta(ge=1, le=60)]
_Start = Annotated[
    float,
    Meta(ge=0, le=86_400, description="Where the result begins, in seconds.", examples=[2.5]),
]
_Duration = Annotated[
    Annotated[float, Meta(gt=0, le=86_400)] | None,
    Meta(description="How long it is, in seconds. Absent: to the end.", examples=[10]),
]
_Metadata = Literal["keep", "strip"]


class AudioOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of media.audio."""

    start: _Start = 0.0
    duration: _Duration = None
    bitrate: Annotated[
        Annotated[int, Meta(ge=8, le=512)] | None,
        Meta(
            description="Kilobits a second of a lossy target. Absent: MP3 192, AAC 160, Opus 96.",
            examples=[128],
        ),
    ] = None
    sample_rate: Annotated[
        Annotated[int, Meta(ge=8000, le=192_000)] | None,
        Meta(
            description="Samples a second; the nearest that the target knows. Absent: as the"
            " source.",
            examples=[44_100],
        ),
    ] = None
    channels: Annotated[
        Annotated[int, Meta(ge=1, le=2)] | None,
        Meta(description="1 is mono, 2 is stereo. Absent: as the source, at most 2.", examples=[1]),
    ] = None
    volume: Annotated[
        float,
        Meta(ge=-60, le=60, description="Louder or quieter, in decibels.", examples=[-3]),
    ] = 0.0
    normalize: Annotated[
        bool,
        Meta(
            description="Bring the loudness to -16 LUFS (EBU R 128), as podcasts are.",
            examples=[True],
        ),
    ] = False
    metadata: Annotated[
        _Metadata,
        Meta(
            description="keep: title, artist, album and their like. strip: none.",
            examples=["strip"],
        ),
    ] = "keep"


class VideoOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of media.video. Pictures are turned upright and made of square pixels."""

    start: _Start = 0.0
    duration: _Duration = None
    codec: Annotated[
        Literal["auto", "copy", "h264", "vp9", "vp8", "mpeg4"],
        Meta(
            description="How pictures are coded. auto: kept as they are where the target can hold"
            " them and nothing else is asked, else the target's usual. copy: kept, or refused.",
            examples=["h264"],
        ),
    ] = "auto"
    width: Annotated[
        _Side | None,
        Meta(
            description="The most pixels across; proportions are kept, nothing is enlarged.",
            examples=[1280],
        ),
    ] = None
    height: Annotated[
        _Side | None, Meta(description="The most pixels down; see width.", examples=[720])
    ] = None
    frame_rate: Annotated[
        _Rate | None, Meta(description="Pictures a second. Absent: as the source.", examples=[25])
    ] = None
    quality: Annotated[
        int,
        Meta(
            ge=1,
            le=100,
            description="Quality of the pictures where they are coded anew.",
            examples=[80],
        ),
    ] = 70
    bitrate: Annotated[
        Annotated[int, Meta(ge=50, le=100_000)] | None,
        Meta(
            description="Kilobits a second of the pictures, in place of a quality.", examples=[2000]
        ),
    ] = None
    audio: Annotated[
        Literal["keep", "none"], Meta(description="Whether the sound stays.", examples=["none"])
    ] = "keep"
    metadata: Annotated[
        _Metadata,
        Meta(
            description="strip: no place, camera or date. keep: what the target can hold.",
            examples=["keep"],
        ),
    ] = "strip"


class AnimationOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of media.animation."""

    start: _Start = 0.0
    duration: _Duration = None
    width: Annotated[
        _Side | None,
        Meta(
            description=f"The most pixels across; {GIF_WIDTH} if neither side is given.",
            examples=[320],
        ),
    ] = None
    height: Annotated[
        _Side | None, Meta(description="The most pixels down; see width.", examples=[240])
    ] = None
    frame_rate: Annotated[
        float, Meta(ge=1, le=50, description="Pictures a second.", examples=[10])
    ] = GIF_RATE
    loop: Annotated[
        bool, Meta(description="Whether it plays again and again.", examples=[False])
    ] = True


class FrameOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of media.frame."""

    time: Annotated[
        Annotated[float, Meta(ge=0, le=86_400)] | None,
        Meta(
            description="Which picture, in seconds. Absent: at a tenth of the film.", examples=[1.5]
        ),
    ] = None
    width: Annotated[
        _Side | None,
        Meta(description="The most pixels across; proportions are kept.", examples=[320]),
    ] = None
    height: Annotated[
        _Side | None, Meta(description="The most pixels down; see width.", examples=[240])
    ] = None
    quality: Annotated[
        int, Meta(ge=1, le=100, description="Quality of a JPEG or WebP.", examples=[90])
    ] = 85


class WaveformOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of media.waveform."""

    width: Annotated[_Side, Meta(description="Pixels across the picture.", examples=[1200])] = 1200
    height: Annotated[_Side, Meta(description="Pixels down the picture.", examples=[240])] = 240
    colour: Annotated[
        str,
        Meta(
            pattern="^[0-9a-fA-F]{6}$",
            max_length=6,
            description="Colour of the wave, RRGGBB in hexadecimal, on a transparent ground.",
            examples=["1f6feb"],
        ),
    ] = "1f6feb"


class NoOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """media.info has none."""


def check_audio(options: AudioOptions, target: str) -> None:
    """Refuse what the target cannot do. Raises OptionInvalid."""
    if options.bitrate is not None and target in LOSSLESS:
        raise OptionInvalid(
            f"bitrate: {target} is without loss and has none; choose mp3, m4a or opus"
        )


def check_video(options: VideoOptions, target: str) -> None:
    """Refuse a codec that the target does not take. Raises OptionInvalid."""
    if options.codec not in {"auto", "copy", *CODECS[target]}:
        raise OptionInvalid(
            f"codec: {target} does not take {options.codec}; it takes {', '.join(CODECS[target])}"
        )
    changes = (options.width, options.height, options.frame_rate, options.bitrate, options.duration)
    if options.codec == "copy" and (options.start or any(one is not None for one in changes)):
        raise OptionInvalid(
            "codec: copy changes no picture: no start, duration, size, rate or bitrate goes with it"
        )


CONVERTERS: tuple[Converter, ...] = (
    Converter(
        name="media.audio",
        family="media",
        title="Convert sound, or take it out of a film",
        sources=(*AUDIO, *VIDEO),
        targets=AUDIO_TARGETS,
        options=AudioOptions,
        check=check_audio,
        run="engine.converters.media.audio:convert",
        default=True,
        credits=2,
    ),
    Converter(
        name="media.video",
        family="media",
        title="Convert a film",
        sources=(*VIDEO, "gif"),
        targets=VIDEO_TARGETS,
        options=VideoOptions,
        check=check_video,
        run="engine.converters.media.video:convert",
        default=True,
        credits=5,
    ),
    Converter(
        name="media.animation",
        family="media",
        title="Make an animated GIF of a film",
        sources=VIDEO,
        targets=("gif",),
        options=AnimationOptions,
        run="engine.converters.media.animation:convert",
        default=True,
        credits=3,
    ),
    Converter(
        name="media.frame",
        family="media",
        title="Take one picture out of a film",
        sources=VIDEO,
        targets=("jpeg", "png", "webp"),
        options=FrameOptions,
        run="engine.converters.media.frame:convert",
        default=True,
    ),
    Converter(
        name="media.waveform",
        family="media",
        title="Draw the waveform of a sound",
        sources=AUDIO,
        targets=("png",),
        options=WaveformOptions,
        run="engine.converters.media.waveform:convert",
        default=True,
    ),
    Converter(
        name="media.info",
        family="media",
        title="Say what a film or a sound consists of",
        sources=(*AUDIO, *VIDEO),
        targets=("json",),
        options=NoOptions,
        run="engine.converters.media.info:convert",
        default=True,
    ),
)

FAMILY = Family(
    name="media",
    needs=("av", "PIL"),
    # lame goes first: FFmpeg's libraries are bound when the others import them.
    preload=("engine.converters.media.lame", "engine.task", "engine.converters.media.warm"),
    warm="engine.converters.media.warm:warm",
    # Five minutes of one core code about four minutes of 720p film; an hour of sound takes one.
    limits=Limits(address_space_bytes=2048 * MIB, cpu_s=300, wall_s=330.0),
    # 4096 x 2304 is the largest common film; 300 pictures of a GIF of 480 x 270 are 39 megapixels.
    bounds=Bounds(pixels_max=4096 * 2304, animation_pixels_max=120_000_000),
)
