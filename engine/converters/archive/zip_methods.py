"""How members of a ZIP archive are packed: every method in use, unpacked piece by piece.

Numbers and layouts are those of PKWARE's APPNOTE 6.3.10, sections 4.4.5 and 5.8. No piece is larger
than is good for a limit that counts them.
"""

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterator

import inflate64
import pyppmd
import zstandard

from engine.converters.archive.members import Budget
from engine.job import Buffer
from sandbox.limits import MIB

_PIECE = 1 * MIB
_SLICE = 256 * 1024
# What zstd's own command line accepts without being asked (its --long=27).
WINDOW_MAX = 128 * MIB
# Deflate64 says 64 KiB with a few bits, and its unpacker knows no limit: 64 MiB a piece at most.
_DEFLATE64_PIECE = 256
# LZMA's usual properties: a byte of three numbers, and the size of the dictionary.
_LZMA_HEAD, _LZMA_PROPERTIES = 4, 5
_LZMA_CODES = 9 * 5 * 5
_LZMA_DICTIONARY_MAX = 512 * MIB


class MethodUnknown(Exception):
    """A member is packed in a way that nothing here unpacks."""


def unpacked(packed: memoryview, method: int, size: int, budget: Budget) -> bytes:
    """The member's bytes, which the archive says are `size`; counted as they come.

    Raises MethodUnknown, SourceTooComplex, and for damage what its codec raises, or ValueError.
    """
    if method not in METHODS:
        raise MethodUnknown
    pieces = []
    for piece in METHODS[method](packed, size):
        budget.take(len(piece))
        pieces.append(piece)
    content = b"".join(pieces)
    if len(content) != size:
        raise ValueError
    return content


def _stored(packed: memoryview, _size: int) -> Iterator[bytes]:
    yield bytes(packed)


def _deflated(packed: memoryview, _size: int) -> Iterator[bytes]:
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    # In slices: what is not yet consumed is copied at each call.
    for at in range(0, len(packed), _SLICE):
        rest: Buffer = packed[at : at + _SLICE]
        while rest and not unpacker.eof:
            yield unpacker.decompress(rest, _PIECE)
            rest = unpacker.unconsumed_tail
    while not unpacker.eof:
        piece = unpacker.decompress(b"", _PIECE)
        if not piece:
            raise EOFError
        yield piece


def _deflated64(packed: memoryview, size: int) -> Iterator[bytes]:
    unpacker, given = inflate64.Inflater(), 0
    for at in range(0, len(packed), _DEFLATE64_PIECE):
        piece = unpacker.inflate(packed[at : at + _DEFLATE64_PIECE])
        given += len(piece)
        yield piece
        if given > size:
            raise ValueError


def _limited(
    unpacker: bz2.BZ2Decompressor | lzma.LZMADecompressor, packed: memoryview, size: int
) -> Iterator[bytes]:
    """By a decompressor that takes a limit. A raw stream may have no end of its own."""
    given, rest = 0, bytes(packed)
    while not unpacker.eof and given < size:
        piece = unpacker.decompress(rest, _PIECE)
        rest = b""
        if not piece and unpacker.needs_input:
            raise EOFError
        given += len(piece)
        yield piece


def _bzipped(packed: memoryview, size: int) -> Iterator[bytes]:
    yield from _limited(bz2.BZ2Decompressor(), packed, size)


def _xz(packed: memoryview, size: int) -> Iterator[bytes]:
    yield from _limited(lzma.LZMADecompressor(lzma.FORMAT_XZ), packed, size)


def _lzma(packed: memoryview, size: int) -> Iterator[bytes]:
    code = packed[_LZMA_HEAD]
    dictionary = int.from_bytes(packed[_LZMA_HEAD + 1 : _LZMA_HEAD + _LZMA_PROPERTIES], "little")
    told = int.from_bytes(packed[2:_LZMA_HEAD], "little")
    if told != _LZMA_PROPERTIES or code >= _LZMA_CODES or dictionary > _LZMA_DICTIONARY_MAX:
        raise ValueError
    filters = [
        {
            "id": lzma.FILTER_LZMA1,
            "dict_size": dictionary,
            "lc": code % 9,
            "lp": code // 9 % 5,
            "pb": code // 45,
        }
    ]
    unpacker = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=filters)
    yield from _limited(unpacker, packed[_LZMA_HEAD + _LZMA_PROPERTIES :], size)


def _zstd(packed: memoryview, _size: int) -> Iterator[bytes]:
    unpacker = zstandard.ZstdDecompressor(max_window_size=WINDOW_MAX)
    with unpacker.stream_reader(packed, read_across_frames=True) as stream:
        while piece := stream.read(_PIECE):
            yield piece


def _ppmd(packed: memoryview, size: int) -> Iterator[bytes]:
    head = int.from_bytes(packed[:2], "little")
    order, memory_mib, restoring = (head & 0xF) + 1, (head >> 4 & 0xFF) + 1, head >> 12
    unpacker = pyppmd.Ppmd8Decoder(order, memory_mib * MIB, restore_method=restoring)
    given, rest = 0, bytes(packed[2:])
    while given < size:
        try:
            piece = unpacker.decode(rest, min(size - given, _PIECE))
        except MemoryError as error:  # what it says of damage, too
            raise ValueError from error
        if not piece:
            raise EOFError
        rest = b""
        given += len(piece)
        yield piece


METHODS: dict[int, Callable[[memoryview, int], Iterator[bytes]]] = {
    0: _stored,
    8: _deflated,
    9: _deflated64,
    12: _bzipped,
    14: _lzma,
    20: _zstd,  # its number before it had one of its own
    93: _zstd,
    95: _xz,
    98: _ppmd,
}
