"""Use what is loaded at first use once, before the fork: a worker can open no file."""

import io
import math
import struct
import wave

from PIL import Image

from engine.converter import Work
from engine.converters.media import animation, audio, frame, info, video, waveform
from engine.converters.media.catalogue import (
    AnimationOptions,
    AudioOptions,
    FrameOptions,
    NoOptions,
    VideoOptions,
    WaveformOptions,
)
from engine.job import Bounds, Buffer
from engine.rehearsal import Rehearsal

_RATE = 8000


def warm() -> list[Rehearsal]:
    """Each converter once, on a tenth of a second of sound and four small pictures."""
    sample = _tone()
    for target in ("mp3", "flac", "opus", "m4a"):
        audio.convert(_work(sample, "wav", target, AudioOptions()))
    waveform.convert(_work(sample, "wav", "png", WaveformOptions(width=64, height=32)))
    film = _film()
    for target in ("mp4", "webm"):
        small = video.convert(_work(film, "gif", target, VideoOptions())).files[0]
        frame.convert(_work(small, target, "jpeg", FrameOptions()))
    made = video.convert(_work(film, "gif", "avi", VideoOptions())).files[0]
    animation.convert(_work(made, "avi", "gif", AnimationOptions()))
    for target in ("png", "webp"):
        frame.convert(_work(made, "avi", target, FrameOptions(width=16)))
    info.convert(_work(made, "avi", "json", NoOptions()))
    return [Rehearsal("media.audio", "wav", "wav", sample)]


def _work(data: Buffer, source: str, target: str, options: object) -> Work:
    return Work(sources=(source,), target=target, inputs=(data,), options=options, bounds=Bounds())


def _tone() -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(_RATE)
        for number in range(_RATE // 10):
            level = int(9000 * math.sin(number / 5))
            file.writeframesraw(struct.pack("<hh", level, -level))
    return out.getvalue()


def _film() -> bytes:
    pictures = [Image.new("P", (32, 32), number) for number in range(4)]
    out = io.BytesIO()
    pictures[0].save(out, "GIF", save_all=True, append_images=pictures[1:], duration=100)
    return out.getvalue()
