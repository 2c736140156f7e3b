"""Subtitles into each other, by pysubs2: shifted, stretched, with styles where they can be kept."""

import csv
import io
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager

import pysubs2
from pysubs2.exceptions import Pysubs2Error
from pysubs2.time import ms_to_str

from engine.converter import Result, Work
from engine.converters.capped import CappedBuffer
from engine.converters.misc.catalogue import SubtitleOptions
from engine.converters.misc.text import decode
from engine.errors import OptionInvalid, SourceTooComplex, SourceUnreadable
from engine.formats import find

# pysubs2's names where they are not ours.
_IDENTIFIERS = {"sub": "microdvd", "smi": "sami"}
# A line a second for a day.
_LINES_MAX = 100_000
_TAGS = re.compile(r"\{[^}]*\}|<[^>]*>")
_RATE = re.compile(r"\d{1,3}(\.\d{1,6})?")
_STYLED = frozenset({"ass", "ssa", "json"})
# What a subtitle without an end of its own is shown for.
_DAMAGE = (
    Pysubs2Error, ValueError, TypeError, LookupError, AttributeError, ArithmeticError,
    AssertionError, SyntaxError, RuntimeError,
)  # fmt: skip


@contextmanager
def _reading(source: str) -> Iterator[None]:
    try:
        yield
    except _DAMAGE as error:
        raise SourceUnreadable(
            f"the {find(source).title} cannot be read: no subtitles were found in it, or they are"
            " damaged"
        ) from error


def convert(work: Work) -> Result:
    """Convert one file of subtitles. Raises SourceUnreadable, SourceTooComplex, OptionInvalid."""
    options: SubtitleOptions = work.options
    notes: list[str] = []
    text = decode(work.inputs[0], options.encoding, notes)
    subtitles = _parsed(text, work)
    if options.fps is not None and options.fps_out is not None:
        subtitles.transform_framerate(options.fps, options.fps_out)
    if options.shift_ms:
        subtitles.shift(ms=options.shift_ms)
        if any(line.start < 0 or line.end <= 0 for line in subtitles):
            notes.append("lines that would come before the beginning were cut at it or left out")
            subtitles.events = [line for line in subtitles if line.end > 0]
            for line in subtitles:
                line.start = max(line.start, 0)
    _lose_styles(subtitles, work, notes)
    buffer = CappedBuffer(work.bounds.output_bytes_max)
    buffer.write(_written(subtitles, work).encode("utf-8", "replace"))
    return Result(files=(buffer.take(),), warnings=tuple(notes))


def _parsed(text: str, work: Work) -> pysubs2.SSAFile:
    options: SubtitleOptions = work.options
    identifier = _IDENTIFIERS.get(work.source, work.source)
    try:
        with _reading(work.source):
            subtitles = pysubs2.SSAFile.from_string(text, identifier, fps=options.fps)
    except SourceUnreadable as error:
        if isinstance(error.__cause__, pysubs2.UnknownFPSError):
            raise OptionInvalid(
                "fps: these subtitles count frames and do not say how many a second has; give it"
            ) from error
        raise
    _drop_what_is_not_shown(subtitles, work.source)
    if not subtitles.events:
        raise SourceUnreadable(f"the {find(work.source).title} holds no subtitles")
    if len(subtitles.events) > _LINES_MAX:
        raise SourceTooComplex(f"there are more than {_LINES_MAX} subtitles, the limit")
    return subtitles


def _drop_what_is_not_shown(subtitles: pysubs2.SSAFile, source: str) -> None:
    """Blanks that only end the line before (SAMI), and the frame rate that MicroDVD begins with."""
    first = subtitles.events[0] if subtitles.events else None
    if source == "sub" and first is not None and _RATE.fullmatch(first.plaintext.strip()):
        del subtitles.events[0]
    subtitles.events = [line for line in subtitles if line.is_comment or line.plaintext.strip()]


def _lose_styles(subtitles: pysubs2.SSAFile, work: Work, notes: list[str]) -> None:
    """Take out what the target cannot hold or nobody wants, and say so."""
    if work.options.plain:
        for line in subtitles:
            line.plaintext = line.plaintext  # the setter writes it without its tags
        return
    if work.source in {"ass", "ssa", "json"} and work.target not in _STYLED:
        rich = any(re.search(r"\{\\(?!i[01]?\}|b[01]?\}|u[01]?\}|s[01]?\})", line.text)
                   for line in subtitles)  # fmt: skip
        if rich or len(subtitles.styles) > 1:
            notes.append("fonts, colours, positions and effects were lost")


def _written(subtitles: pysubs2.SSAFile, work: Work) -> str:
    shown = [line for line in subtitles if not line.is_comment]
    if work.target == "txt":
        return "".join(f"{line.plaintext.strip()}\n" for line in shown if line.plaintext.strip())
    if work.target == "csv":
        table = io.StringIO()
        writer = csv.writer(table, lineterminator="\n")
        writer.writerow(("start", "end", "speaker", "text"))
        for line in shown:
            times = (ms_to_str(line.start, fractions=True), ms_to_str(line.end, fractions=True))
            writer.writerow((*times, line.name, line.plaintext))
        return table.getvalue()
    identifier = _IDENTIFIERS.get(work.target, work.target)
    rate = work.options.fps_out or work.options.fps
    if identifier == "microdvd" and rate is None and subtitles.fps is None:
        raise OptionInvalid("fps_out: MicroDVD counts frames; give the video's frames a second")
    written: str = subtitles.to_string(identifier, fps=rate or subtitles.fps)
    if work.target == "json":
        written = json.dumps(json.loads(written), indent=2, ensure_ascii=False) + "\n"
    return written
