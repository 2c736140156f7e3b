"""ZIP archives out with every member encrypted (WinZip's AES-256, AE-2): zipfile writes none.

Names, sizes and times stay readable to anybody: the format knows no other way. Whoever minds takes
7z. A result is below 4 GiB and has fewer than 65,535 members here, so nothing of ZIP64 is needed.
"""

import struct
import zipfile
import zlib

from engine.converters.archive import zip_cipher
from engine.converters.capped import CappedBuffer

_LOCAL = struct.Struct("<4sHHHHHIIIHH")
_CENTRAL = struct.Struct("<4sHHHHHHIIIHHHHHII")
_END = struct.Struct("<4sHHHHIIH")
# What a reader must be: one that knows AES, or folders.
_NEEDS_AES, _NEEDS_FOLDERS = 51, 20
_MADE_BY_UNIX = 3 << 8 | 63
_ENCRYPTED, _UTF8 = 0x1, 0x800
# zlib's own balance.
_LEVEL = 6
_FIRST_YEAR = 1980


class SealedZip:
    """An archive that is written member by member; `end` writes its directory."""

    def __init__(self, buffer: CappedBuffer, password: str, level: int | None) -> None:
        self._buffer = buffer
        self._password = password
        self._level = _LEVEL if level is None else level
        self._directory: list[bytes] = []

    def add(self, entry: zipfile.ZipInfo, content: bytes) -> None:
        """Write a member; the entry says its name, time and attributes. Raises TargetTooLarge."""
        if entry.is_dir():
            self._write(entry, zipfile.ZIP_STORED, b"", b"", 0)
            return
        method, packed = self._packed(content)
        closed = zip_cipher.sealed(packed, self._password)
        self._write(entry, zip_cipher.METHOD, zip_cipher.field(method), closed, len(content))

    def end(self) -> None:
        """Write the directory. Raises TargetTooLarge."""
        start, count = self._buffer.tell(), len(self._directory)
        self._buffer.write(b"".join(self._directory))
        size = self._buffer.tell() - start
        self._buffer.write(_END.pack(b"PK\x05\x06", 0, 0, count, count, size, start, 0))

    def _packed(self, content: bytes) -> tuple[int, bytes]:
        if self._level == 0:
            return zipfile.ZIP_STORED, content
        packer = zlib.compressobj(self._level, wbits=-zlib.MAX_WBITS)
        packed = packer.compress(content) + packer.flush()
        if len(packed) < len(content):
            return zipfile.ZIP_DEFLATED, packed
        return zipfile.ZIP_STORED, content

    def _write(
        self, entry: zipfile.ZipInfo, method: int, extra: bytes, closed: bytes, size: int
    ) -> None:
        name, offset = entry.filename.encode(), self._buffer.tell()
        year, month, day, hour, minute, second = entry.date_time
        said = (
            _NEEDS_AES if closed else _NEEDS_FOLDERS,
            (_ENCRYPTED if closed else 0) | _UTF8,
            method,
            hour << 11 | minute << 5 | second // 2,
            year - _FIRST_YEAR << 9 | month << 5 | day,
            0,  # no checksum: it would tell of a short member what it holds
            len(closed),
            size,
            len(name),
            len(extra),
        )
        self._buffer.write(_LOCAL.pack(b"PK\x03\x04", *said) + name + extra)
        self._buffer.write(closed)
        place = (0, 0, 0, entry.external_attr, offset)
        row = _CENTRAL.pack(b"PK\x01\x02", _MADE_BY_UNIX, *said, *place)
        self._directory.append(row + name + extra)
