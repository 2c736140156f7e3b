"""Write archives into memory, member by member; equal members give equal bytes."""

import bz2
import gzip
import io
import lzma
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import py7zr
import zstandard
from py7zr.helpers import ArchiveTimestamp

from engine.converters.archive.members import Lost, Member
from engine.converters.archive.zip_sealed import SealedZip
from engine.converters.capped import CappedBuffer
from engine.errors import TargetImpossible

# ZIP knows no time before this.
_ZIP_FIRST_YEAR, _ZIP_LAST_YEAR = 1980, 2107
_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)
_FILE, _PROGRAM, _FOLDER = 0o644, 0o755, 0o755
_ZSTD_LEVELS = (1, 3, 5, 7, 9, 12, 15, 17, 19)
_ZSTD_DEFAULT, _XZ_DEFAULT, _SEVEN_DEFAULT = 9, 6, 6
# Of LZMA2 in 7z: with presets above this the dictionary alone is 64 MiB.
_SEVEN_MAX = 8


def pack(
    members: Iterator[Member], target: str, buffer: CappedBuffer, options: Any, lost: Lost
) -> None:
    """Write all members. Raises TargetTooLarge, TargetImpossible."""
    if target == "zip":
        _zip(members, buffer, options)
    elif target == "7z":
        _seven(members, buffer, options, lost)
    elif target in _COMPRESSORS and target.startswith("t"):
        with _COMPRESSORS[target](buffer, options.level) as stream:
            _tar(members, stream)
    elif target == "tar":
        _tar(members, buffer)
    else:
        _only(members, buffer, target, options.level)


def _zip(members: Iterator[Member], buffer: CappedBuffer, options: Any) -> None:
    if options.password_out:
        sealed = SealedZip(buffer, options.password_out, options.level)
        for member in members:
            sealed.add(_entry(member), bytes(member.content or b""))
        sealed.end()
        return
    level = options.level
    method = zipfile.ZIP_STORED if level == 0 else zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(buffer, "w", method, compresslevel=level) as archive:
        for member in members:
            entry = _entry(member)
            entry.compress_type = zipfile.ZIP_STORED if entry.is_dir() else method
            archive.writestr(entry, bytes(member.content or b""), compresslevel=level)


def _entry(member: Member) -> zipfile.ZipInfo:
    """What the directory says of a member."""
    folder = member.content is None
    entry = zipfile.ZipInfo(member.name + ("/" if folder else ""), _zip_time(member))
    mode = _FOLDER | 0o040000 if folder else _mode(member) | 0o100000
    entry.external_attr = mode << 16 | (0x10 if folder else 0)
    return entry


def _zip_time(member: Member) -> tuple[int, int, int, int, int, int]:
    if member.modified is None:
        return _ZIP_EPOCH
    try:
        moment = time.gmtime(member.modified)
    except (OverflowError, ValueError, OSError):
        return _ZIP_EPOCH
    if not _ZIP_FIRST_YEAR <= moment.tm_year <= _ZIP_LAST_YEAR:
        return _ZIP_EPOCH
    return moment[:6]


def _mode(member: Member) -> int:
    return _PROGRAM if member.executable else _FILE


def _tar(members: Iterator[Member], stream: Any) -> None:
    with tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for member in members:
            entry = tarfile.TarInfo(member.name)
            entry.mtime = max(member.modified or 0, 0)
            if member.content is None:
                entry.type, entry.mode = tarfile.DIRTYPE, _FOLDER
                archive.addfile(entry)
            else:
                entry.size, entry.mode = member.size, _mode(member)
                archive.addfile(entry, io.BytesIO(member.content))
            archive.members = []  # type: ignore[attr-defined]  # it would keep every one


def _seven(members: Iterator[Member], buffer: CappedBuffer, options: Any, lost: Lost) -> None:
    preset = min(options.level or _SEVEN_DEFAULT, _SEVEN_MAX)
    filters: list[dict[str, int]] = [{"id": py7zr.FILTER_LZMA2, "preset": preset}]
    if options.password_out:
        filters.append({"id": py7zr.FILTER_CRYPTO_AES256_SHA256})
    with py7zr.SevenZipFile(
        buffer, "w", filters=filters, password=options.password_out or None,
        header_encryption=bool(options.password_out),
    ) as archive:  # fmt: skip
        for member in members:
            if member.content is None:
                # py7zr writes a folder only from a disk; files bring theirs along.
                lost.note("folders, which a 7z gets only with files in them")
                continue
            archive.writestr(bytes(member.content), member.name)
            stamp = ArchiveTimestamp.from_datetime(member.modified or 0)
            told = archive.header.files_info.files[-1]
            for field in ("creationtime", "lastwritetime", "lastaccesstime"):
                told[field] = stamp


def _only(members: Iterator[Member], buffer: CappedBuffer, target: str, level: int | None) -> None:
    files = (member for member in members if member.content is not None)
    first, second = next(files, None), next(files, None)
    if first is None or second is not None:
        count = "no file" if first is None else "more than one file"
        raise TargetImpossible(
            f"the archive holds {count} and {target} holds exactly one; choose it with include, or"
            f" take {_TAR_OF[target]}"
        )
    with _COMPRESSORS[target](buffer, level) as stream:
        stream.write(first.content)


_TAR_OF = {"gz": "tgz", "bz2": "tbz2", "xz": "txz", "zst": "tzst"}


def _gz(buffer: CappedBuffer, level: int | None) -> Any:
    return gzip.GzipFile(filename="", fileobj=buffer, mode="wb", compresslevel=level or 6, mtime=0)


def _bz2(buffer: CappedBuffer, level: int | None) -> Any:
    return bz2.BZ2File(buffer, "wb", compresslevel=level or 9)


def _xz(buffer: CappedBuffer, level: int | None) -> Any:
    return lzma.LZMAFile(buffer, "wb", preset=_XZ_DEFAULT if level is None else level)


def _zst(buffer: CappedBuffer, level: int | None) -> Any:
    strength = _ZSTD_DEFAULT if level is None else _ZSTD_LEVELS[level - 1]
    packer = zstandard.ZstdCompressor(level=strength, write_checksum=True)
    return packer.stream_writer(buffer, closefd=False)


_COMPRESSORS: dict[str, Callable[[CappedBuffer, int | None], Any]] = {
    "gz": _gz, "tgz": _gz, "bz2": _bz2, "tbz2": _bz2, "xz": _xz, "txz": _xz, "zst": _zst,
    "tzst": _zst,
}  # fmt: skip
