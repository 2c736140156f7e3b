"""Look into a compressed file for the one thing that makes it more than that: an archive in it."""

import zlib

from engine.sniff_fields import is_tar

_LOOKED_AT = 4096
_UNPACKED = 1024
# POSIX.1-2001, table 4-13.
_USTAR_AT = 257
_GZIP = 31  # zlib's word for a gzip header


def sniff_gzip(head: bytes, _whole: memoryview) -> str:
    """`tgz` for a packed tar archive, `svgz` for a packed drawing, otherwise `gz`."""
    try:
        begin = zlib.decompressobj(_GZIP).decompress(head[:_LOOKED_AT], _UNPACKED)
    except zlib.error:
        return "gz"
    if begin.startswith(b"ustar", _USTAR_AT) or is_tar(bytearray(begin)):
        return "tgz"
    return "svgz" if b"<svg" in begin else "gz"
