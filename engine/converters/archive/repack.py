"""archive.repack and archive.list: members out of one archive, into another or into a list."""

from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec

from engine.converter import Result, Work
from engine.converters.archive.catalogue import RepackOptions
from engine.converters.archive.members import Lost, Member, apart, chosen
from engine.converters.archive.pack import pack
from engine.converters.archive.unpack import Unpacking
from engine.converters.capped import CappedBuffer
from engine.errors import TargetImpossible


class _Row(msgspec.Struct, frozen=True, kw_only=True):
    """One member in a list."""

    path: str
    kind: str
    size: int
    modified: str | None


def repack(work: Work) -> Result:
    """Pack the chosen members anew. Raises the refusals of reading and writing in engine.errors."""
    options: RepackOptions = work.options
    lost = Lost()
    members = apart(_wanted(Unpacking(work, lost).members(), options), lost)
    buffer = CappedBuffer(work.bounds.output_bytes_max)
    pack(_some(members), work.target, buffer, options, lost)
    warnings = lost.warnings()
    if options.password and not options.password_out:
        warnings += ("the result is not encrypted",)
    return Result(files=(buffer.take(),), warnings=warnings)


def list_members(work: Work) -> Result:
    """List all members as JSON, in the archive's order."""
    lost = Lost()
    rows = [_row(member) for member in Unpacking(work, lost).members()]
    buffer = CappedBuffer(work.bounds.output_bytes_max)
    buffer.write(msgspec.json.format(msgspec.json.encode(rows), indent=2) + b"\n")
    return Result(files=(buffer.take(),), warnings=lost.warnings())


def _row(member: Member) -> _Row:
    kind = "folder" if member.content is None else "file"
    return _Row(path=member.name, kind=kind, size=member.size, modified=_moment(member.modified))


def _moment(seconds: int | None) -> str | None:
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat()
    except (OverflowError, ValueError, OSError):
        return None


def _wanted(members: Iterator[Member], options: RepackOptions) -> Iterator[Member]:
    return (one for one in members if chosen(one.name, options.include, options.exclude))


def _some(members: Iterator[Member]) -> Iterator[Member]:
    """The members, of which there is at least one. Raises TargetImpossible."""
    first = next(members, None)
    if first is None:
        raise TargetImpossible(
            "there is nothing to pack: the archive holds no member that is wanted"
        )
    yield first
    yield from members
