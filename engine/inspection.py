"""What can be said of a file without converting it: by its bytes, and by which converter.

A family that can describe its files has a converter into JSON for it; an inspection is that
conversion, read. So there is one truth about a file, and one place that finds it.
"""

from collections.abc import Sequence

import msgspec

from engine import likeness, registry
from engine.errors import ConversionCrashed
from engine.job import Buffer
from engine.registry import Converter

TARGET = "json"
# Operations that describe a file, the fullest first.
_TELLING = ("metadata", "info", "list", "font-info")
_ENCRYPTED = frozenset({"ooxml-encrypted"})
# A worker's description beyond this is no description.
DETAILS_BYTES_MAX = 4 * 1024 * 1024


class Figures(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What most people ask of a file first; absent where it has none, or nobody can tell."""

    width: int | None = None
    height: int | None = None
    frames: int | None = None
    pages: int | None = None
    duration_s: float | None = msgspec.field(default=None, name="duration")
    members: int | None = None
    encrypted: bool | None = None


class _Stream(msgspec.Struct, frozen=True):
    kind: str = ""
    width: int | None = None
    height: int | None = None


class _Described(Figures, frozen=True, kw_only=True):
    """What the descriptions of the families have in common."""

    streams: tuple[_Stream, ...] = ()


def describer_of(source: str) -> Converter | None:
    """The converter that describes files of this format, None where no family can."""
    found = {
        one.operation: one
        for one in registry.CONVERTERS
        if TARGET in one.targets and source in one.sources and one.operation in _TELLING
    }
    return next((found[operation] for operation in _TELLING if operation in found), None)


def is_encrypted(source: str) -> bool:
    """Whether the format is that of encrypted files."""
    return source in _ENCRYPTED


def becomes(source: str) -> tuple[str, ...]:
    """The formats that a file of this one can be converted to, whatever else it is a kind of."""
    names = set(likeness.known(source))
    targets = {
        target
        for one in registry.CONVERTERS
        if names & set(one.sources) and one.inputs_min == 1
        for target in one.targets
    }
    return tuple(sorted(targets))


def read(files: Sequence[Buffer]) -> tuple[msgspec.Raw, Figures]:
    """A description as it is, and the figures in it. Raises ConversionCrashed for what is none."""
    if len(files) != 1 or len(files[0]) > DETAILS_BYTES_MAX:
        raise ConversionCrashed("the file's description cannot be read", reason="reply")
    text = bytes(files[0])
    try:
        details = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise ConversionCrashed("the file's description cannot be read", reason="reply") from error
    return msgspec.Raw(msgspec.json.encode(details)), _figures(details)


def _figures(details: object) -> Figures:
    if isinstance(details, list):
        return Figures(members=len(details))
    try:
        described = msgspec.convert(details, _Described)
    except msgspec.ValidationError:  # another meaning of one of the words
        return Figures()
    pictures = [one for one in described.streams if one.width is not None]
    picture = pictures[0] if pictures else _Stream(width=described.width, height=described.height)
    return Figures(
        width=picture.width,
        height=picture.height,
        frames=described.frames,
        pages=described.pages,
        duration_s=described.duration_s,
        encrypted=described.encrypted,
    )
