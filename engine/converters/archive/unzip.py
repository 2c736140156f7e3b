"""ZIP archives in: all methods and ciphers in use, names in whatever encoding, nothing believed.

The directory at the end is the truth; what stands before each member is only stepped over, so that
data descriptors and lies there do not matter.
"""

import io
import stat
import struct
import zipfile
import zlib
from calendar import timegm
from collections.abc import Iterator
from typing import Any

from engine.converters.archive.members import (
    Budget,
    Lost,
    Member,
    is_special,
    locked,
    safe_name,
)
from engine.converters.archive.zip_cipher import METHOD as AES_METHOD
from engine.converters.archive.zip_cipher import Seal, WrongPassword, find_field, spellings
from engine.converters.archive.zip_methods import MethodUnknown, unpacked
from engine.errors import SourceUnreadable
from engine.job import Buffer
from sandbox.limits import MIB

_PIECE = 1 * MIB
_EXECUTABLE = 0o111
_ENCRYPTED, _STRONGLY, _UTF8 = 0x1, 0x40, 0x800
_LOCAL = struct.Struct("<4s22xHH")
_LOCAL_MAGIC = b"PK\x03\x04"
# Info-ZIP's field: a version, a checksum of the other name, and the name in UTF-8.
_UNICODE_PATH = 0x7075
_UNICODE_PATH_HEAD = struct.Struct("<BI")


class Unzip:
    """One archive. Raises what damage raises; `unpack.reading` translates."""

    def __init__(
        self, upload: Buffer, password: str, encoding: str, budget: Budget, lost: Lost
    ) -> None:
        self._upload = memoryview(upload)
        self._password = password
        self._encoding = None if encoding == "auto" else encoding
        self._budget = budget
        self._lost = lost

    def members(self) -> Iterator[Member]:
        """Files and folders, in the order of the directory."""
        with zipfile.ZipFile(io.BytesIO(self._upload), metadata_encoding=self._encoding) as archive:
            for entry in archive.infolist():
                self._budget.count()
                written = self._name(entry)
                name = safe_name(written, self._lost)
                if name is None or self._is_special(entry):
                    continue
                modified = timegm((*entry.date_time, 0, 0, 0)) if entry.date_time[1] else None
                if written.endswith(("/", "\\")):
                    yield Member(name=name, content=None, modified=modified)
                    continue
                content = self._content(archive, entry)
                executable = bool(entry.external_attr >> 16 & _EXECUTABLE)
                yield Member(name=name, content=content, modified=modified, executable=executable)

    def _is_special(self, entry: zipfile.ZipInfo) -> bool:
        mode = entry.external_attr >> 16
        # What was piped into a program that packs is said to be a pipe, and is a file.
        if stat.S_ISFIFO(mode) and entry.file_size:
            return False
        return is_special(mode, self._lost)

    def _name(self, entry: zipfile.ZipInfo) -> str:
        """Many programs write UTF-8 and do not say so; some say it in a field of its own."""
        if entry.flag_bits & _UTF8:
            return entry.filename
        written = entry.orig_filename.encode(self._encoding or "cp437", "replace")
        if told := find_field(entry.extra, _UNICODE_PATH):
            _, checksum = _UNICODE_PATH_HEAD.unpack_from(told)
            if checksum == zlib.crc32(written):
                return told[_UNICODE_PATH_HEAD.size :].decode("utf-8", "replace")
        if self._encoding is not None:
            return entry.filename
        try:
            return written.decode("utf-8")
        except UnicodeError:
            return entry.filename

    def _content(self, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
        if entry.flag_bits & _ENCRYPTED:
            if entry.flag_bits & _STRONGLY:
                raise _unusual("encrypted")
            if not self._password:
                raise locked()
            if entry.compress_type != AES_METHOD:
                return self._old_cipher(archive, entry)
        method, checked, packed = entry.compress_type, True, self._packed(entry)
        if method == AES_METHOD:
            seal = Seal(entry.extra)
            try:
                packed = memoryview(seal.opened(packed, self._password))
            except WrongPassword as error:
                raise locked() from error
            method, checked = seal.method, seal.has_checksum
        try:
            content = unpacked(packed, method, entry.file_size, self._budget)
        except MethodUnknown as error:
            raise _unusual("compressed") from error
        if checked and zlib.crc32(content) != entry.CRC:
            raise zipfile.BadZipFile
        return content

    def _packed(self, entry: zipfile.ZipInfo) -> memoryview:
        """The member as it lies in the archive."""
        at = entry.header_offset
        if at < 0:
            raise zipfile.BadZipFile
        magic, name_bytes, extra_bytes = _LOCAL.unpack_from(self._upload, at)
        start = at + _LOCAL.size + name_bytes + extra_bytes
        packed = self._upload[start : start + entry.compress_size]
        if magic != _LOCAL_MAGIC or len(packed) < entry.compress_size:
            raise zipfile.BadZipFile
        return packed

    def _old_cipher(self, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
        """PKWARE's first cipher, a byte at a time: some megabytes a second."""
        cause: Exception | None = None
        for password in spellings(self._password):
            try:
                with archive.open(entry, pwd=password) as stream:
                    return _drained(stream, self._budget)
            # What zipfile says of a wrong password; one in 256 is found out by its last bytes only.
            except NotImplementedError as error:
                raise _unusual("compressed") from error
            except (RuntimeError, zipfile.BadZipFile, zlib.error) as error:
                cause = error
        raise locked() from cause


def _drained(stream: Any, budget: Budget) -> bytes:
    pieces = []
    while piece := stream.read(_PIECE):
        budget.take(len(piece))
        pieces.append(piece)
    return b"".join(pieces)


def _unusual(how: str) -> SourceUnreadable:
    return SourceUnreadable(f"a member of the archive is {how} in a way that is not read here")
