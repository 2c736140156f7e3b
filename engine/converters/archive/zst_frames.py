"""Whether a Zstandard file is whole: its reader gives what there is of a cut one without a word.

Walks frames and blocks by their headers, as RFC 8878 (section 3.1) lays them out.
"""

from engine.job import Buffer

_FRAME = 0xFD2FB528
_SKIPPABLE = range(0x184D2A50, 0x184D2A60)
_REPEATED = 1  # a block of one byte that stands for many
_DICTIONARY_BYTES = (0, 1, 2, 4)
_SIZE_BYTES = (0, 2, 4, 8)


def check_whole(upload: Buffer) -> None:
    """Raise EOFError for a file that ends within a frame, ValueError for one that is none."""
    content, at = bytes(upload), 0
    while at < len(content):
        at = _after_frame(content, at)
    if at > len(content):
        raise EOFError


def _after_frame(content: bytes, at: int) -> int:
    magic = int.from_bytes(content[at : at + 4], "little")
    if magic in _SKIPPABLE:
        return at + 8 + int.from_bytes(content[at + 4 : at + 8], "little")
    if magic != _FRAME or len(content) < at + 5:
        raise ValueError
    told = content[at + 4]
    single, size_flag = told >> 5 & 1, told >> 6
    size_bytes = _SIZE_BYTES[size_flag] or single
    checksum = 4 if told & 4 else 0
    return (
        _after_blocks(content, at + 6 - single + _DICTIONARY_BYTES[told & 3] + size_bytes)
        + checksum
    )


def _after_blocks(content: bytes, at: int) -> int:
    while True:
        if at + 3 > len(content):
            raise EOFError
        header = int.from_bytes(content[at : at + 3], "little")
        kind, size = header >> 1 & 3, header >> 3
        at += 3 + (1 if kind == _REPEATED else size)
        if header & 1:
            return at
