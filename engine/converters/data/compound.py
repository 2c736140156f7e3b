"""A compound file around one stream, as old Office documents are ([MS-CFB], version 3).

Sectors of 512 bytes: the stream, the directory, the table of which sector follows which, and, where
that table has more sectors than the header can list, a list of those.
"""

import struct

_SECTOR = 512
_FREE, _END, _TABLE, _LIST = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD, 0xFFFFFFFC
_ENTRIES = _SECTOR // 4
_LISTED_IN_HEADER = 109
# What is shorter would have to stand in a stream of small sectors ([MS-CFB] 2.6.1).
_STREAM_MIN = 4096
_ROOT, _STREAM, _NOTHING = 5, 2, 0


def compound(name: str, stream: bytes) -> bytes:
    """The file that holds the stream under this name."""
    padded = stream + bytes(max(_STREAM_MIN - len(stream), -len(stream) % _SECTOR))
    held = len(padded) // _SECTOR
    # The table lists itself and its list as well, so both grow until they fit.
    table = lists = 0
    while table * _ENTRIES < held + 1 + table + lists:
        table += 1
        lists = max(0, -(-(table - _LISTED_IN_HEADER) // (_ENTRIES - 1)))
    directory, tables_at = held, held + 1
    lists_at = tables_at + table
    links = [*range(1, held), _END, _END, *[_TABLE] * table, *[_LIST] * lists]
    links += [_FREE] * (table * _ENTRIES - len(links))
    places = [tables_at + number for number in range(table)]
    return b"".join(
        (
            _header(places, directory, lists_at if lists else _END, lists),
            padded,
            _directory(name, len(padded)),
            struct.pack(f"<{len(links)}I", *links),
            *_lists(places[_LISTED_IN_HEADER:], lists_at),
        )
    )


def _header(places: list[int], directory: int, lists_at: int, lists: int) -> bytes:
    listed = places[:_LISTED_IN_HEADER]
    listed += [_FREE] * (_LISTED_IN_HEADER - len(listed))
    return struct.pack(
        "<8s16s5H6s9I109I",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        bytes(16),
        *(0x3E, 3, 0xFFFE, 9, 6),
        bytes(6),
        *(0, len(places), directory, 0, _STREAM_MIN, _END, 0, lists_at, lists),
        *listed,
    )


def _directory(name: str, size: int) -> bytes:
    """The root, and the stream below it, which begins in the first sector."""
    root = _entry("Root Entry", _ROOT, child=1, start=_END, size=0)
    rest = _entry("", _NOTHING, child=_FREE, start=0, size=0)
    return root + _entry(name, _STREAM, child=_FREE, start=0, size=size) + 2 * rest


def _entry(name: str, kind: int, *, child: int, start: int, size: int) -> bytes:
    written = name.encode("utf-16-le")
    return struct.pack(
        "<64sHBBIII36sIII",
        written,
        len(written) + 2 if name else 0,
        kind,
        1,  # black, in a tree of one
        *(_FREE, _FREE, child),
        bytes(36),
        *(start, size, 0),
    )


def _lists(places: list[int], at: int) -> list[bytes]:
    """Sectors that list what the header has no room for, each with the place of the next."""
    pieces = [places[begin : begin + _ENTRIES - 1] for begin in range(0, len(places), _ENTRIES - 1)]
    sectors = []
    for number, piece in enumerate(pieces, 1):
        following = at + number if number < len(pieces) else _END
        room = [_FREE] * (_ENTRIES - 1 - len(piece))
        sectors.append(struct.pack(f"<{_ENTRIES}I", *piece, *room, following))
    return sectors
