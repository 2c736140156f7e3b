"""Move an MPEG-4 file's index in front of its data, so that it plays while it arrives.

FFmpeg does it by opening the finished file a second time, which nobody can do here. The index
(`moov`) holds the places of chunks as offsets from the file's start (`stco` and `co64`, ISO/IEC
14496-12, 8.7.5): all of them move by the size of the index.
"""

import struct
from collections.abc import Iterator

from engine.job import Buffer

_U32, _U64 = struct.Struct(">I"), struct.Struct(">Q")
_HEAD = 8
_LONG_HEAD = 16
# Boxes on the way from the index to the tables of chunks.
_WAY = (b"trak", b"mdia", b"minf", b"stbl")
_MAX_U32 = 2**32 - 1


def with_index_in_front(file: Buffer) -> Buffer:
    """The same file with its index before its data; unchanged where it is so already."""
    view = memoryview(file)
    boxes = list(_boxes(view, 0, len(view)))
    kinds = [kind for kind, _, _ in boxes]
    if b"moov" not in kinds or b"mdat" not in kinds or kinds.index(b"moov") < kinds.index(b"mdat"):
        return file
    _, start, end = boxes[kinds.index(b"moov")]
    data_start = boxes[kinds.index(b"mdat")][1]
    index = bytearray(view[start:end])
    _shift(index, _HEAD, len(index), len(index))
    return b"".join((view[:data_start], index, view[data_start:start], view[end:]))


def _boxes(view: memoryview | bytearray, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Kind, first and last byte of each box."""
    while start + _HEAD <= end:
        (size,) = _U32.unpack_from(view, start)
        kind = bytes(view[start + 4 : start + _HEAD])
        if size == 1:
            (size,) = _U64.unpack_from(view, start + _HEAD)
        elif size == 0:
            size = end - start
        if size < _HEAD or start + size > end:
            raise ValueError("a box reaches beyond its parent")
        yield kind, start, start + size
        start += size


def _shift(index: bytearray, start: int, end: int, by: int) -> None:
    """Add to every chunk's place between these bytes."""
    for kind, first, last in list(_boxes(index, start, end)):
        if kind in _WAY:
            _shift(index, first + _HEAD, last, by)
        elif kind in {b"stco", b"co64"}:
            place = _U32 if kind == b"stco" else _U64
            (count,) = _U32.unpack_from(index, first + 12)
            for number in range(count):
                at = first + _LONG_HEAD + number * place.size
                (offset,) = place.unpack_from(index, at)
                if place is _U32 and offset + by > _MAX_U32:
                    raise ValueError("a chunk lies beyond four gigabytes")
                place.pack_into(index, at, offset + by)
