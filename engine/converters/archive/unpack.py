"""Read archives member by member, counting what comes out of every decompressor."""

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import py7zr
import zstandard
from py7zr import py7zr as seven
from py7zr.exceptions import ArchiveError, UnsupportedCompressionMethodError
from py7zr.io import MemIO, Py7zIO, WriterFactory

from engine.converter import Work
from engine.converters.archive.members import Budget, Lost, Member, locked, safe_name
from engine.converters.archive.unzip import Unzip
from engine.converters.archive.zip_methods import WINDOW_MAX
from engine.converters.archive.zst_frames import check_whole
from engine.errors import SourceTooComplex, SourceUnreadable
from engine.formats import find
from engine.job import Buffer
from sandbox.limits import MIB

_PIECE = 1 * MIB
# What the one file of a compressed file is called.
UNNAMED = "content"
# A 7z comes out whole, since its members may share one stream.
_SOLID_MAX = 512 * MIB
_EXECUTABLE = 0o111

# It would ask psutil, which reads /proc; a worker can read no file.
vars(seven)["get_memory_limit"] = lambda: 16 * MIB

DAMAGE = (
    zipfile.BadZipFile, tarfile.TarError, lzma.LZMAError, zlib.error, zstandard.ZstdError,
    ArchiveError, OSError, EOFError, ValueError, LookupError, TypeError, AttributeError,
    ArithmeticError, AssertionError, NotImplementedError, RuntimeError, struct.error,
)  # fmt: skip


@contextmanager
def reading(source: str) -> Iterator[None]:
    """Translate what the readers raise."""
    try:
        yield
    except py7zr.exceptions.PasswordRequired as error:
        raise locked() from error
    except UnsupportedCompressionMethodError as error:
        raise SourceUnreadable(
            "the archive is compressed in a way that is not read here"
        ) from error
    except DAMAGE as error:
        raise SourceUnreadable(
            f"the {find(source).title} cannot be read: it is damaged, cut off or of an unusual kind"
        ) from error


class Unpacking:
    """One archive: what is asked of it, and what it cost so far."""

    def __init__(self, work: Work, lost: Lost) -> None:
        self.source = work.source
        self.upload = work.inputs[0]
        self.password: str = work.options.password
        self.names_encoding: str = work.options.names_encoding
        self.budget = Budget(len(self.upload))
        self.lost = lost

    def members(self) -> Iterator[Member]:
        """Files and folders that may be unpacked. Raises the refusals of engine.errors."""
        found = _READERS[self.source](self)
        while True:
            with reading(self.source):
                member = next(found, None)
            if member is None:
                return
            yield member


def _zip_members(this: Unpacking) -> Iterator[Member]:
    zipped = Unzip(this.upload, this.password, this.names_encoding, this.budget, this.lost)
    yield from zipped.members()


class _Counted(io.RawIOBase):
    """A stream whose bytes are counted, whatever reads them."""

    def __init__(self, stream: BinaryIO, budget: Budget) -> None:
        self._stream = stream
        self._budget = budget

    def readable(self) -> bool:
        """It is for reading only."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Read and count. Raises SourceTooComplex."""
        piece = self._stream.read(_PIECE if size < 0 else min(size, _PIECE))
        self._budget.take(len(piece))
        return piece


def opened(source: str, upload: Buffer) -> BinaryIO:
    """The decompressed stream of a compressed file."""
    if not len(upload):
        raise EOFError
    raw = io.BytesIO(upload)
    if source in {"gz", "tgz"}:
        stream: Any = gzip.GzipFile(fileobj=raw)
    elif source in {"bz2", "tbz2"}:
        stream = bz2.BZ2File(raw)
    elif source in {"xz", "txz"}:
        stream = lzma.LZMAFile(raw)  # noqa: SIM115  # the caller reads it to its end
    elif source in {"zst", "tzst"}:
        check_whole(upload)
        unpacker = zstandard.ZstdDecompressor(max_window_size=WINDOW_MAX)
        stream = unpacker.stream_reader(raw, read_across_frames=True)
    else:
        stream = raw
    found: BinaryIO = stream
    return found


def _tar_members(this: Unpacking) -> Iterator[Member]:
    stream: Any = _Counted(opened(this.source, this.upload), this.budget)
    yield from _from_tar(stream, this)


def _from_tar(stream: Any, this: Unpacking) -> Iterator[Member]:
    with tarfile.open(fileobj=stream, mode="r|", errors="replace") as archive:
        for entry in archive:
            # tarfile remembers every member it has seen.
            archive.members = []  # type: ignore[attr-defined]  # documented for streams
            this.budget.count()
            name = safe_name(entry.name, this.lost)
            if name is None:
                continue
            modified = int(entry.mtime)
            if entry.isdir():
                yield Member(name=name, content=None, modified=modified)
            elif entry.isreg():
                content: Any = archive.extractfile(entry)
                yield Member(
                    name=name,
                    content=content.read(),
                    modified=modified,
                    executable=bool(entry.mode & _EXECUTABLE),
                )
            else:
                this.lost.note("links and devices, left out")


def _single(this: Unpacking) -> Iterator[Member]:
    """What a compressed file holds: a tar archive's members, or one file without a name."""
    stream: Any = _Counted(opened(this.source, this.upload), this.budget)
    start = b""
    while len(start) < tarfile.BLOCKSIZE and (piece := stream.read(tarfile.BLOCKSIZE - len(start))):
        start += piece
    if start[257:262] == b"ustar":
        yield from _from_tar(_Joined(start, stream), this)
        return
    pieces = [start]
    while piece := stream.read(_PIECE):
        pieces.append(piece)
    this.budget.count()
    yield Member(name=UNNAMED, content=b"".join(pieces))


class _Joined(io.RawIOBase):
    """The bytes already read, then the rest."""

    def __init__(self, start: bytes, rest: Any) -> None:
        self._start = start
        self._rest = rest

    def readable(self) -> bool:
        """It is for reading only."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Read at most so many bytes."""
        if not self._start:
            piece: bytes = self._rest.read(size)
            return piece
        size = len(self._start) if size < 0 else size
        piece, self._start = self._start[:size], self._start[size:]
        return piece


class _Held(Py7zIO):
    """One member of a 7z, in memory."""

    def __init__(self, budget: Budget) -> None:
        self._buffer = io.BytesIO()
        self._budget = budget

    def write(self, s: bytes | bytearray) -> int:
        """Append and count. Raises SourceTooComplex."""
        self._budget.take(len(s))
        return self._buffer.write(s)

    def read(self, size: int | None = None) -> bytes:
        """Read what was written."""
        return self._buffer.read(-1 if size is None else size)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move."""
        return self._buffer.seek(offset, whence)

    def flush(self) -> None:
        """Nothing is held back."""

    def size(self) -> int:
        """Bytes so far."""
        return self._buffer.getbuffer().nbytes

    def close(self) -> None:
        """Keep it: it is read after the archive is closed."""

    def content(self) -> bytes:
        """All of it."""
        return self._buffer.getvalue()


class _Holder(WriterFactory):
    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.held: dict[str, _Held] = {}

    def create(self, filename: str) -> Py7zIO:
        """Where the member of this number goes."""
        self.held[filename] = _Held(self.budget)
        return self.held[filename]


def _seven_members(this: Unpacking) -> Iterator[Member]:
    try:
        yield from _from_seven(this)
    except (lzma.LZMAError, zlib.error, ArchiveError, EOFError, ValueError) as error:
        # With a wrong password what comes out of the cipher is no stream of any kind.
        if this.password:
            raise locked() from error
        raise


def _from_seven(this: Unpacking) -> Iterator[Member]:
    holder = _Holder(this.budget)
    with py7zr.SevenZipFile(io.BytesIO(this.upload), password=this.password or None) as archive:
        entries = []
        declared = 0
        for number, entry in enumerate(archive.files):
            this.budget.count()
            declared += entry.uncompressed or 0
            name = safe_name(entry.filename, this.lost)
            special = entry.is_symlink or entry.is_junction or entry.is_socket
            if special:
                this.lost.note("links and devices, left out")
            # By number: names are the archive's, and may be equal.
            if name is None or special or entry.is_directory:
                archive.worker.register_filelike(entry.id, None)
            else:
                archive.worker.register_filelike(entry.id, MemIO(str(number), holder))
            if name is not None and not special:
                entries.append((str(number), name, entry))
        if declared > _SOLID_MAX:
            raise SourceTooComplex(
                f"the archive unpacks to more than {_SOLID_MAX // MIB} MiB, the limit for 7z"
            )
        archive.worker.extract(archive.fp, None, parallel=False)
        for key, name, entry in entries:
            stamp = entry.lastwritetime
            modified = None if stamp is None else int(stamp.totimestamp())
            held = holder.held.pop(key, None)
            content = None if entry.is_directory else b"" if held is None else held.content()
            mode = entry.posix_mode or 0
            yield Member(
                name=name, content=content, modified=modified, executable=bool(mode & _EXECUTABLE)
            )


_AR_MAGIC, _AR_HEADER = b"!<arch>\n", 60


def _ar_members(this: Unpacking) -> Iterator[Member]:
    """Unix archives and Debian packages: headers of 60 bytes in ASCII (ar(5))."""
    upload = bytes(this.upload)
    if not upload.startswith(_AR_MAGIC):
        raise ValueError
    at, long_names = len(_AR_MAGIC), b""
    while at + _AR_HEADER <= len(upload):
        header = upload[at : at + _AR_HEADER]
        if header[58:60] != b"`\n":
            raise ValueError
        size, label = int(header[48:58]), header[:16].rstrip()
        content = upload[at + _AR_HEADER : at + _AR_HEADER + size]
        if size < 0 or len(content) < size:
            raise EOFError
        at += _AR_HEADER + size + size % 2
        this.budget.count()
        if label == b"//":
            long_names = content
            continue
        if label in {b"/", b"/SYM64/", b"__.SYMDEF"}:  # the linker's index, not a member
            continue
        if label.startswith(b"/") and label[1:].isdigit():
            label = long_names[int(label[1:]) :].split(b"\n", 1)[0]
        elif label.startswith(b"#1/"):
            length = int(label[3:])
            label, content = content[:length].rstrip(b"\0"), content[length:]
        name = safe_name(label.rstrip(b"/").decode("utf-8", "replace"), this.lost)
        this.budget.take(len(content))
        if name is not None:
            yield Member(name=name, content=content, modified=int(header[16:28].strip() or 0))


_READERS: dict[str, Callable[[Unpacking], Iterator[Member]]] = {
    **dict.fromkeys(("zip", "jar", "apk"), _zip_members),
    **dict.fromkeys(("tar", "tgz", "tbz2", "txz", "tzst"), _tar_members),
    **dict.fromkeys(("gz", "bz2", "xz", "zst"), _single),
    "7z": _seven_members,
    "ar": _ar_members,
}
