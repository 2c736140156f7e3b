"""Walk a GIF's blocks to count its frames without decoding one (GIF89a, sections 17 to 27)."""

from engine.job import Buffer

_HEADER_SIZE = 13
_IMAGE, _EXTENSION, _TRAILER = 0x2C, 0x21, 0x3B


def count_frames(data: Buffer, stop: int) -> int:
    """Count image blocks, at most `stop`, at least 1. A damaged tail ends the count quietly."""
    view = memoryview(data)
    frames = 0
    try:
        at = _HEADER_SIZE + _table_size(view[10])
        while frames < stop and (block := view[at]) != _TRAILER:
            if block == _IMAGE:
                frames += 1
                at = _skip_sub_blocks(view, at + 11 + _table_size(view[at + 9]))
            elif block == _EXTENSION:
                at = _skip_sub_blocks(view, at + 2)
            else:
                break
    except IndexError:
        pass
    return max(frames, 1)


def _table_size(flags: int) -> int:
    """Bytes of the colour table that these packed flags announce."""
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _skip_sub_blocks(view: memoryview, at: int) -> int:
    while length := view[at]:
        at += length + 1
    return at + 1
