"""The media family: every pair, judged by ffprobe and ImageMagick; options; bad files."""

import io
import json
import os
import struct
import subprocess
import sys
import wave
from pathlib import Path

import pytest

from engine.converters.media.catalogue import AUDIO, CONVERTERS, FAMILY, VIDEO
from engine.engine import Engine, EngineConfig
from engine.job import Bounds
from tests.engine.calls import FILES, convert
from tests.engine.judges import Seen, frames

CLIPS = FILES / "media"
SECONDS = 1.5
# Longest frames of sound, an encoder's padding, and the last picture's time.
TOLERANCE = 0.3
CODECS = {
    "mp3": "mp3", "wav": "pcm_s16le", "flac": "flac", "ogg": "opus", "opus": "opus",
    "aac": "aac", "m4a": "aac", "aiff": "pcm_s16be",
}  # fmt: skip
CONTAINERS = {"mp4": "mov", "mov": "mov", "webm": "matroska", "mkv": "matroska", "avi": "avi"}


def clip(source: str) -> bytes:
    name = f"tone.{source}" if source in AUDIO else f"clip.{source}"
    if source == "gif":
        return (FILES / "animation.gif").read_bytes()
    return (CLIPS / name.replace("asf", "wmv")).read_bytes()


def probe(data: bytes, tmp_path: Path) -> dict:
    """What FFmpeg's own program, of another version, finds in it."""
    file = tmp_path / "result"
    file.write_bytes(data)
    told = subprocess.run(
        ["ffprobe", "-v", "error", "-show_format", "-show_streams", "-of", "json", str(file)],
        capture_output=True,
        check=True,
    )
    assert not told.stderr, told.stderr
    return json.loads(told.stdout)


def streams(told: dict, kind: str) -> list[dict]:
    return [one for one in told["streams"] if one["codec_type"] == kind]


def decoded(data: bytes, tmp_path: Path, *arguments: str) -> bytes:
    """Raw samples or pixels, by another decoder than ours."""
    file = tmp_path / "decoded"
    file.write_bytes(data)
    command = ["ffmpeg", "-v", "error", "-i", str(file), *arguments, "-"]
    done = subprocess.run(command, capture_output=True, check=True)
    return done.stdout


def loudness(data: bytes, tmp_path: Path) -> float:
    """Root mean square of the samples, 1.0 is full scale."""
    raw = decoded(data, tmp_path, "-f", "s16le", "-ac", "1")
    samples = struct.unpack(f"<{len(raw) // 2}h", raw)
    return (sum(one * one for one in samples) / len(samples)) ** 0.5 / 32768


@pytest.mark.parametrize("source", [*AUDIO, *VIDEO])
def test_sound_becomes_sound_of_the_same_length(source: str, tmp_path: Path) -> None:
    for target, codec in CODECS.items():
        told = probe(convert(clip(source), source, target).file, tmp_path)
        assert [one["codec_name"] for one in streams(told, "audio")] == [codec], target
        assert abs(float(told["format"]["duration"]) - SECONDS) < TOLERANCE, target


@pytest.mark.parametrize("source", VIDEO)
def test_films_become_films_of_the_same_length_with_sound(source: str, tmp_path: Path) -> None:
    for target, container in CONTAINERS.items():
        told = probe(convert(clip(source), source, target).file, tmp_path)
        assert container in told["format"]["format_name"]
        assert len(streams(told, "video")) == len(streams(told, "audio")) == 1
        assert abs(float(told["format"]["duration"]) - SECONDS) < TOLERANCE, target


@pytest.mark.parametrize("source", VIDEO)
def test_films_become_pictures_and_animations(source: str) -> None:
    for target in ("jpeg", "png", "webp"):
        (size,) = frames(convert(clip(source), source, target).file, target)
        assert size in {(96, 64), (216, 144), (192, 144)}
    reply = convert(clip(source), source, "gif", frame_rate=5)
    assert 6 <= len(frames(reply.file, "gif")) <= 9
    assert reply.warnings == ("the sound was left out: a GIF has none",)


@pytest.mark.parametrize("target", CONTAINERS)
def test_an_animation_becomes_a_film(target: str, tmp_path: Path) -> None:
    told = probe(convert(clip("gif"), "gif", target).file, tmp_path)
    assert [one["codec_type"] for one in told["streams"]] == ["video"]


@pytest.mark.parametrize("source", AUDIO)
def test_a_sound_is_drawn(source: str) -> None:
    drawn = convert(clip(source), source, "png", width=200, height=50).file
    assert frames(drawn, "png") == [(200, 50)]
    assert Seen(drawn, "png").alpha().getextrema() == (0, 255)


def test_a_file_says_what_it_consists_of() -> None:
    told = json.loads(convert(clip("mp4"), "mp4", "json").file)
    assert told["duration"] == pytest.approx(SECONDS, abs=TOLERANCE)
    assert [(one["kind"], one["codec"]) for one in told["streams"]] == [
        ("video", "h264"),
        ("audio", "aac"),
    ]
    assert json.loads(convert(clip("mp3"), "mp3", "json").file)["tags"]["title"] == "Tone"


def test_pictures_that_the_target_holds_are_kept_as_they_are(tmp_path: Path) -> None:
    packets = ["-map", "0:v", "-c", "copy", "-bsf:v", "h264_mp4toannexb", "-f", "h264"]
    before = decoded(clip("mp4"), tmp_path, *packets)
    assert decoded(convert(clip("mp4"), "mp4", "mkv").file, tmp_path, *packets) == before
    coded_anew = convert(clip("mp4"), "mp4", "mkv", codec="h264").file
    assert decoded(coded_anew, tmp_path, *packets) != before


def test_a_lossless_target_has_every_sample(tmp_path: Path) -> None:
    raw = ("-f", "s16le")
    before = decoded(clip("wav"), tmp_path, *raw)
    for target in ("flac", "aiff", "wav"):
        assert decoded(convert(clip("wav"), "wav", target).file, tmp_path, *raw) == before


def test_an_mp4_has_its_index_in_front_and_still_decodes(tmp_path: Path) -> None:
    file = convert(clip("mkv"), "mkv", "mp4").file
    assert file.index(b"moov") < file.index(b"mdat")
    pixels = decoded(file, tmp_path, "-f", "rawvideo", "-pix_fmt", "gray")
    assert len(pixels) == 15 * 96 * 64


@pytest.mark.parametrize(("source", "target"), [("mp3", "wav"), ("mp4", "webm"), ("mp4", "m4a")])
def test_a_part_is_as_long_as_was_asked(source: str, target: str, tmp_path: Path) -> None:
    file = convert(clip(source), source, target, start=0.4, duration=0.6).file
    assert float(probe(file, tmp_path)["format"]["duration"]) == pytest.approx(0.6, abs=0.1)


def test_a_part_shows_the_moment_that_was_asked(tmp_path: Path) -> None:
    """The test picture changes with time: the first one of the part is that of its start."""
    pixels = ("-f", "rawvideo", "-pix_fmt", "gray", "-frames:v", "1")
    part = decoded(convert(clip("mp4"), "mp4", "mkv", start=1).file, tmp_path, *pixels)
    wanted = decoded(clip("mp4"), tmp_path, "-ss", "1", *pixels)
    first = decoded(clip("mp4"), tmp_path, *pixels)

    def distance(one: bytes, other: bytes) -> float:
        return sum(abs(a - b) for a, b in zip(one, other, strict=True)) / len(one)

    assert distance(part, wanted) < 8 < distance(part, first)


def test_a_film_is_made_smaller_slower_and_mute(tmp_path: Path) -> None:
    options = {"width": 48, "frame_rate": 5, "audio": "none"}
    told = probe(convert(clip("mp4"), "mp4", "webm", **options).file, tmp_path)
    (film,) = told["streams"]
    assert (film["width"], film["height"], film["avg_frame_rate"]) == (48, 32, "5/1")


def test_a_turned_film_is_upright_once_coded_anew(tmp_path: Path) -> None:
    turned = (CLIPS / "turned.mp4").read_bytes()
    told = probe(convert(turned, "mp4", "webm").file, tmp_path)
    assert (told["streams"][0]["width"], told["streams"][0]["height"]) == (64, 96)
    assert frames(convert(turned, "mp4", "png").file, "png") == [(64, 96)]
    expected = decoded(turned, tmp_path, "-f", "rawvideo", "-pix_fmt", "gray", "-frames:v", "1")
    frame = convert(turned, "mp4", "png", time=0).file
    shown = decoded(frame, tmp_path, "-f", "rawvideo", "-pix_fmt", "gray")
    assert sum(abs(a - b) for a, b in zip(expected, shown, strict=True)) / len(shown) < 4


def test_sound_gets_louder_mono_and_another_rate(tmp_path: Path) -> None:
    before = loudness(clip("wav"), tmp_path)
    file = convert(clip("wav"), "wav", "wav", volume=-6, channels=1, sample_rate=8000).file
    assert loudness(file, tmp_path) == pytest.approx(before / 2, rel=0.05)
    (track,) = probe(file, tmp_path)["streams"]
    assert (track["channels"], track["sample_rate"]) == (1, "8000")


def test_a_quiet_sound_is_brought_to_the_usual_loudness(tmp_path: Path) -> None:
    quiet = convert(clip("wav"), "wav", "wav", volume=-30).file
    normal = convert(quiet, "wav", "wav", normalize=True).file
    assert loudness(normal, tmp_path) > 5 * loudness(quiet, tmp_path)


def test_tags_stay_unless_they_shall_not(tmp_path: Path) -> None:
    kept = probe(convert(clip("mp3"), "mp3", "flac").file, tmp_path)
    gone = probe(convert(clip("mp3"), "mp3", "flac", metadata="strip").file, tmp_path)
    titles = [
        {k.lower(): v for k, v in one["format"].get("tags", {}).items()} for one in (kept, gone)
    ]
    assert [one.get("title") for one in titles] == ["Tone", None]


@pytest.mark.parametrize(
    ("rate", "expected"), [(44_100, 192_000), (48_000, 192_000), (8000, 32_000)]
)
def test_mp3_has_the_documented_bit_rate_unless_so_low_a_sound_cannot_use_it(
    rate: int, expected: int, tmp_path: Path
) -> None:
    sound = io.BytesIO()
    with wave.open(sound, "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(bytes(rate))
    told = probe(convert(sound.getvalue(), "wav", "mp3").file, tmp_path)
    assert int(streams(told, "audio")[0]["bit_rate"]) == expected


def test_quality_and_bit_rate_decide_about_the_size() -> None:
    sizes = [
        len(convert(clip("mp4"), "mp4", "mp4", codec="h264", **options).file)
        for options in ({"quality": 20}, {"quality": 90})
    ]
    assert sizes[0] < sizes[1]
    low, high = (len(convert(clip("wav"), "wav", "mp3", bitrate=rate).file) for rate in (32, 256))
    assert low < high / 2


@pytest.mark.parametrize(
    ("source", "target", "options", "error"),
    [
        ("mp4", "webm", {"codec": "copy"}, "TargetImpossible"),
        ("gif", "mp4", {"start": 60}, "TargetImpossible"),
        ("mp4", "gif", {"start": 60}, "TargetImpossible"),
        ("mp3", "wav", {"start": 60}, "TargetImpossible"),
    ],
)
def test_what_a_file_does_not_hold_is_said(
    source: str, target: str, options: dict, error: str
) -> None:
    assert convert(clip(source), source, target, **options).error == error


def test_a_film_without_sound_gives_none() -> None:
    mute = convert(clip("mp4"), "mp4", "mp4", audio="none").file
    reply = convert(mute, "mp4", "mp3")
    assert (reply.error, reply.detail) == ("TargetImpossible", "there is no sound in it")


def test_bounds_hold_before_pictures_are_decoded() -> None:
    assert convert(clip("mp4"), "mp4", "webm", bounds=Bounds(pixels_max=6000)).error == (
        "SourceTooComplex"
    )
    few = Bounds(pixels_max=10_000, animation_pixels_max=5 * 96 * 64)
    assert convert(clip("mp4"), "mp4", "gif", bounds=few).error == "SourceTooComplex"
    small = Bounds(pixels_max=10_000, output_bytes_max=5000)
    assert convert(clip("mp4"), "mp4", "avi", bounds=small).error == "TargetTooLarge"


@pytest.mark.parametrize("source", [*AUDIO, *VIDEO])
def test_damaged_files_are_refused_or_give_what_is_left(source: str) -> None:
    whole = clip(source)
    target = "wav" if source in AUDIO else "mp4"
    for part in (whole[: len(whole) // 2], whole[:40], whole[:30] + b"\xa5" * 3000, b"\0" * 5000):
        reply = convert(part, source, target)
        assert reply.error in {"", "SourceUnreadable", "TargetImpossible"}, reply.detail


PLAYLIST = b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"
CONCAT = b"ffconcat version 1.0\nfile /etc/passwd\n"


@pytest.mark.parametrize("lure", [PLAYLIST, CONCAT])
@pytest.mark.parametrize("source", ["mp4", "mkv", "ts", "mp3", "avi", "wav"])
def test_a_list_of_other_files_is_never_followed(source: str, lure: bytes) -> None:
    assert convert(lure, source, "mp4" if source in VIDEO else "wav").error


def test_every_converter_has_a_pair_here() -> None:
    assert {one.operation for one in CONVERTERS} == {
        "audio", "video", "animation", "frame", "waveform", "info",
    }  # fmt: skip


def test_mp3_is_coded_by_the_lame_that_is_compiled_for_speed() -> None:
    pytest.importorskip("lameenc")
    # A fresh interpreter imports what the zygote does; the dynamic linker says what it bound.
    imports = f"import {', '.join(FAMILY.preload)}"
    bound = subprocess.run(
        [sys.executable, "-c", imports],
        env={**os.environ, "LD_DEBUG": "bindings"},
        capture_output=True,
        check=True,
        text=True,
    ).stderr
    (found,) = (line for line in bound.splitlines() if "`lame_encode_buffer_float'" in line)
    assert "libavcodec" in found.partition(" to ")[0]
    assert "lameenc" in found.partition(" to ")[2]


async def test_every_converter_runs_in_a_confined_worker() -> None:
    """No file can be opened there, no thread started: what is not loaded yet would fail."""
    pairs = [
        ("mp3", "wav", {}), ("wav", "mp3", {"normalize": "true"}), ("flac", "m4a", {}),
        ("ogg", "opus", {}), ("aac", "flac", {}), ("mp4", "webm", {"start": "0.5"}),
        ("webm", "mp4", {"codec": "h264"}), ("mkv", "mp4", {}), ("flv", "avi", {}),
        ("mpeg", "mkv", {"codec": "vp8"}), ("ts", "mov", {}), ("mp4", "gif", {}),
        ("avi", "jpeg", {}), ("mov", "webp", {"width": "20"}), ("mp3", "png", {}),
        ("3gp", "json", {}), ("amr", "mp3", {}), ("asf", "mp4", {}),
    ]  # fmt: skip
    engine = await Engine.start(EngineConfig(slots=1, started=()))
    try:
        for source, target, options in pairs:
            output = await engine.convert(engine.plan(source, target, options, [clip(source)]))
            assert len(output.files[0]) > 100
        (media,) = (one for one in engine.status().families if one.name == "media")
        assert (media.conversions, media.failures) == (len(pairs), {})
    finally:
        await engine.close()
