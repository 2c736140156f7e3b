"""Subtitles become each other with their times and words, as FFmpeg reads them."""

import csv
import html
import io
import json
import re
from functools import cache

import pytest

from engine.converters.misc.catalogue import SUBTITLES
from tests.engine.calls import FILES
from tests.engine.own_converter import of_family

convert = of_family("misc")

av = pytest.importorskip("av")

_TIMES = [(1500, 3000), (60_000, 62_250), (3_723_040, 3_724_000)]
_WORDS = ["Good morning, Zo\u00eb.", "Two lines: here is the second.", "The end"]
# FFmpeg's demuxers; it has none for TTML.
_DEMUXERS = {
    "srt": "srt", "vtt": "webvtt", "ass": "ass", "ssa": "ass", "sub": "microdvd", "mpl2": "mpl2",
}  # fmt: skip
# MicroDVD counts frames, MPL2 tenths of a second, SSA hundredths.
_WITHIN_MS = {"sub": 40, "mpl2": 100, "ass": 10, "ssa": 10}
_RATE = {"fps": "25"}


@cache
def upload(source: str) -> bytes:
    """The three lines in this format."""
    if source in {"srt", "smi"}:
        return (FILES / "misc" / f"lines.{source}").read_bytes()
    return convert(
        (FILES / "misc" / "lines.srt").read_bytes(), "srt", source, fps_out=25, fps=25
    ).file


def _seen(content: bytes, target: str) -> list[tuple[int, int, str]]:
    """(start, end, words) of each line, by FFmpeg or from the JSON, CSV or XML."""
    if target in {"json", "csv", "ttml"}:
        return _READERS[target](content)
    lines = []
    with av.open(io.BytesIO(content), format=_DEMUXERS[target]) as container:
        for packet in container.demux():
            if packet.pts is None:
                continue
            start = float(packet.pts * packet.time_base) * 1000
            length = float(packet.duration * packet.time_base) * 1000
            text = bytes(packet).decode()
            if _DEMUXERS[target] == "ass":
                text = text.split(",", 8)[8]
            lines.append((round(start), round(start + length), _plain(text)))
    return lines


def _plain(text: str) -> str:
    text = re.sub(r"<[^>]*>|\{[^}]*\}", "", text)
    text = re.sub(r"^/|\|/?", " ", text.replace("\\N", " "))
    return re.sub(r"\s+", " ", text).strip()


def _of_json(content: bytes) -> list[tuple[int, int, str]]:
    return [
        (one["start"], one["end"], _plain(one["text"])) for one in json.loads(content)["events"]
    ]


def _ms(word: str) -> int:
    hours, minutes, seconds = word.replace(",", ".").split(":")
    return round((int(hours) * 3600 + int(minutes) * 60 + float(seconds)) * 1000)


def _of_csv(content: bytes) -> list[tuple[int, int, str]]:
    rows = list(csv.DictReader(io.StringIO(content.decode())))
    return [(_ms(row["start"]), _ms(row["end"]), _plain(row["text"])) for row in rows]


def _of_ttml(content: bytes) -> list[tuple[int, int, str]]:
    text = html.unescape(content.decode())
    found = re.findall(
        r'<p[^>]*begin="([\d:.]+)"[^>]*end="([\d:.]+)"[^>]*>(.*?)</p>', text, re.DOTALL
    )
    return [
        (_ms(start), _ms(end), _plain(re.sub(r"<br\s*/>", " ", words)))
        for start, end, words in found
    ]


_READERS = {"json": _of_json, "csv": _of_csv, "ttml": _of_ttml}


def _same(seen: list[tuple[int, int, str]], within: int, shift: int = 0) -> None:
    assert [line[2] for line in seen] == _WORDS
    for (start, end, _), (wanted_start, wanted_end) in zip(seen, _TIMES, strict=True):
        assert abs(start - wanted_start - shift) <= within
        assert abs(end - wanted_end - shift) <= within


@pytest.mark.parametrize("target", [*SUBTITLES, "json", "csv"])
@pytest.mark.parametrize("source", [*SUBTITLES, "smi", "json"])
def test_every_subtitle_becomes_every_other(source: str, target: str) -> None:
    if source == "json" and target not in SUBTITLES:
        return
    options = _RATE if "sub" in {source, target} else {}
    reply = convert(upload(source), source, target, **options)
    within = max(_WITHIN_MS.get(source, 1), _WITHIN_MS.get(target, 1))
    _same(_seen(reply.file, target), within)


@pytest.mark.parametrize("source", [*SUBTITLES, "smi"])
def test_the_words_alone_are_a_text(source: str) -> None:
    text = convert(upload(source), source, "txt", **_RATE).file.decode()
    assert [_plain(line) for line in text.splitlines()] == [
        "Good morning, Zo\u00eb.", "Two lines:", "here is the second.", "The end",
    ]  # fmt: skip


def test_times_are_shifted() -> None:
    _same(_seen(convert(upload("srt"), "srt", "vtt", shift_ms=2500).file, "vtt"), 1, 2500)
    early = convert(upload("srt"), "srt", "srt", shift_ms=-2000)
    assert _seen(early.file, "srt")[0][:2] == (0, 1000)
    assert "cut" in early.warnings[0]


def test_times_are_stretched_to_another_frame_rate() -> None:
    seen = _seen(convert(upload("srt"), "srt", "srt", fps=25, fps_out=23.976).file, "srt")
    assert seen[2][0] == pytest.approx(3_723_040 * 25 / 23.976, abs=2)


def test_counting_frames_without_their_rate_is_refused_with_the_option_to_give() -> None:
    reply = convert(upload("srt"), "srt", "sub")
    assert (reply.error, "fps_out" in reply.detail) == ("OptionInvalid", True)
    unsaid = b"{25}{50}words\n{75}{100}more\n"
    reply = convert(unsaid, "sub", "srt")
    assert (reply.error, "fps" in reply.detail) == ("OptionInvalid", True)
    assert _seen(convert(unsaid, "sub", "srt", fps=25).file, "srt")[0] == (1000, 2000, "words")


def test_italics_survive_or_are_taken_out() -> None:
    assert b"<i>" in convert(upload("srt"), "srt", "vtt").file
    assert b"{\\i1}" in convert(upload("srt"), "srt", "ass").file
    assert b"<i>" not in convert(upload("srt"), "srt", "vtt", plain=True).file


def test_lost_styles_are_said() -> None:
    coloured = upload("ass").replace(b"The end", b"{\\c&HFF&\\pos(1,2)}The end")
    assert convert(coloured, "ass", "srt").warnings == (
        "fonts, colours, positions and effects were lost",
    )
    assert convert(coloured, "ass", "ssa").warnings == ()


def test_other_encodings_are_read_when_named_and_guessed_when_not() -> None:
    cyrillic = upload("srt").decode().replace("The end", "\u041a\u043e\u043d\u0435\u0446")
    reply = convert(cyrillic.encode("cp1251", "replace"), "srt", "vtt", encoding="windows-1251")
    assert "\u041a\u043e\u043d\u0435\u0446" in reply.file.decode()
    latin = convert(upload("srt").decode().encode("cp1252"), "srt", "vtt")
    assert "Zo\u00eb" in latin.file.decode()
    assert "Windows-1252" in latin.warnings[0]


@pytest.mark.parametrize("source", [*SUBTITLES, "smi", "json"])
@pytest.mark.parametrize("content", [b"", b"\0\1\2", b"nothing of the kind", b"{}", b"<x/>"])
def test_what_holds_no_subtitles_is_unreadable(source: str, content: bytes) -> None:
    assert convert(content, source, "srt", fps=25).error == "SourceUnreadable"
