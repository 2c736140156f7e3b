"""archive.pack and archive.extract: a request's files into an archive, an archive's files out."""

from collections.abc import Iterator

from engine import formats
from engine.converter import Result, Work
from engine.converters.archive.catalogue import FILES_MAX, ExtractOptions, PackOptions
from engine.converters.archive.members import (
    Lost,
    Member,
    apart,
    chosen,
    safe_name,
)
from engine.converters.archive.pack import pack
from engine.converters.archive.unpack import UNNAMED, Unpacking
from engine.converters.capped import CappedBuffer
from engine.errors import TargetImpossible, TargetTooLarge
from engine.job import NAMES_BYTES_MAX, Buffer
from sandbox.limits import MIB

ENCRYPTED = "the result is not encrypted; the archive was"


def pack_files(work: Work) -> Result:
    """Pack the inputs under their names. Raises TargetTooLarge."""
    options: PackOptions = work.options
    lost = Lost()
    buffer = CappedBuffer(work.bounds.output_bytes_max)
    pack(apart(_members(work), lost), work.target, buffer, options, lost)
    return Result(files=(buffer.take(),), warnings=lost.warnings())


def _members(work: Work) -> Iterator[Member]:
    """The inputs as members; one without a usable name is called by its number."""
    for number, (source, content) in enumerate(zip(work.sources, work.inputs, strict=True)):
        claimed = work.names[number] if work.names else ""
        # Of a path, which some clients claim, the last part: where it lay is nobody's business.
        last = claimed.replace("\\", "/").rstrip("/").rpartition("/")[2]
        name = safe_name(last, Lost())
        yield Member(name=name or f"file-{number + 1}.{_extension(source)}", content=content)


def _extension(source: str) -> str:
    return formats.find(source).extensions[0]


def extract(work: Work) -> Result:
    """Take the chosen files out. Raises TargetTooLarge, TargetImpossible, and as reading does."""
    options: ExtractOptions = work.options
    lost = Lost()
    out = _Out(work.bounds.output_bytes_max)
    for member in apart(Unpacking(work, lost).members(), lost):
        if chosen(member.name, options.include, options.exclude):
            out.add(member, _called(member, work))
    if not out.files:
        raise TargetImpossible("the archive holds no file that is wanted")
    for _ in range(out.empty_folders()):
        lost.note("empty folders, left out")
    warnings = lost.warnings()
    if options.password:
        warnings += (ENCRYPTED,)
    return Result(files=tuple(out.files), names=tuple(out.names), warnings=warnings)


def _called(member: Member, work: Work) -> str:
    """The member's name; of the one in a compressed file, what that was called without its end."""
    claimed = work.names[0] if work.names else ""
    if member.name != UNNAMED or not claimed:
        return member.name
    last = claimed.replace("\\", "/").rpartition("/")[2]
    stem, _, end = last.rpartition(".")
    known = formats.find(work.source).extensions
    return safe_name(stem if end.lower() in known else last, Lost()) or member.name


class _Out:
    """The files so far. They are results one by one, so there are limits beside the archive's."""

    def __init__(self, bytes_max: int) -> None:
        self.files: list[Buffer] = []
        self.names: list[str] = []
        self._folders: set[str] = set()
        self._bytes_max = bytes_max
        self._bytes = 0
        self._names_bytes = 0

    def add(self, member: Member, name: str) -> None:
        """Take one out. Raises TargetTooLarge."""
        if member.content is None:
            self._folders.add(f"{member.name}/")
            return
        self.files.append(member.content)
        self.names.append(name)
        self._bytes += member.size
        self._names_bytes += len(name.encode())
        if len(self.files) > FILES_MAX or self._names_bytes > NAMES_BYTES_MAX:
            raise TargetTooLarge(
                f"the archive holds more than {FILES_MAX} files, or longer names, than are given"
                " out at once; choose some with include, or take another archive of it"
            )
        if self._bytes > self._bytes_max:
            raise TargetTooLarge(
                f"the files are larger than {self._bytes_max // MIB} MiB together, the limit;"
                " choose some with include"
            )

    def empty_folders(self) -> int:
        """How many folders no file lies in."""
        full = {
            name[: at + 1] for name in self.names for at, letter in enumerate(name) if letter == "/"
        }
        return len(self._folders - full)
