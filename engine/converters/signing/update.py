"""Append changed objects to a PDF file, so that all bytes before them stay as they are.

An incremental update (ISO 32000-1, 7.5.6): the objects, a table of where they are that points back
at the table before, and a trailer. Earlier signatures stay valid only like this. The table has the
form that the file's last one has: readers do not mix them.
"""

import re
import struct
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pikepdf
from pikepdf import Dictionary, Stream

from engine.errors import TargetImpossible

_START = re.compile(rb"startxref\s+(\d{1,12})\s+%%EOF")
# The end of a file, where its last trailer is found; readers look as far.
_TAIL_BYTES = 2_048


class Part(NamedTuple):
    """One object to be written: its number, generation, and what stands between obj and endobj."""

    number: int
    generation: int
    body: bytes


def part_of(thing: pikepdf.Object) -> Part:
    """An indirect object as it is now."""
    number, generation = thing.objgen
    if isinstance(thing, Stream):
        content = thing.read_raw_bytes()
        entries = {**dict(thing.items()), "/Length": len(content)}
        head = Dictionary(entries).unparse(resolved=True)
        return Part(number, generation, head + b"\nstream\n" + content + b"\nendstream")
    return Part(number, generation, thing.unparse(resolved=True))


def append(base: bytes, parts: Sequence[Part], trailer: Mapping[str, pikepdf.Object]) -> bytes:
    """The file with the parts behind it. Raises TargetImpossible where its end is unusual."""
    found = list(_START.finditer(base, max(len(base) - _TAIL_BYTES, 0)))
    if not found:
        raise TargetImpossible("the document's end is damaged; repair it first")
    before = int(found[-1][1])
    written = bytearray(base)
    if not written.endswith((b"\n", b"\r")):
        written += b"\n"
    places: dict[int, tuple[int, int]] = {}
    for part in parts:
        places[part.number] = (len(written), part.generation)
        written += b"%d %d obj\n" % (part.number, part.generation) + part.body + b"\nendobj\n"
    size = max([int(trailer["/Size"]), *(number + 1 for number in places)])
    if base[before : before + 4] == b"xref":
        _table(written, places, trailer, before, size)
    else:
        _stream(written, places, trailer, before, size)
    return bytes(written)


def _entries(trailer: Mapping[str, pikepdf.Object]) -> dict[str, pikepdf.Object]:
    return {name: trailer[name] for name in ("/Root", "/Info", "/ID") if name in trailer}


def _runs(numbers: Sequence[int]) -> list[list[int]]:
    """Consecutive numbers together."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return runs


def _table(
    written: bytearray,
    places: Mapping[int, tuple[int, int]],
    trailer: Mapping[str, pikepdf.Object],
    before: int,
    size: int,
) -> None:
    at = len(written)
    written += b"xref\n"
    for run in _runs(list(places)):
        written += b"%d %d\n" % (run[0], len(run))
        for number in run:
            written += b"%010d %05d n\r\n" % places[number]
    entries = Dictionary({**_entries(trailer), "/Size": size, "/Prev": before})
    written += b"trailer\n" + entries.unparse(resolved=True)
    written += b"\nstartxref\n%d\n%%%%EOF\n" % at


def _stream(
    written: bytearray,
    places: Mapping[int, tuple[int, int]],
    trailer: Mapping[str, pikepdf.Object],
    before: int,
    size: int,
) -> None:
    """The table as an object of its own, which has a row for itself."""
    at, number = len(written), size
    rows = {**places, number: (at, 0)}
    index: list[int] = []
    content = b""
    for run in _runs(list(rows)):
        index += [run[0], len(run)]
        for one in run:
            content += struct.pack(">BQH", 1, *rows[one])
    head = Dictionary({
        **_entries(trailer), "/Type": pikepdf.Name.XRef, "/Size": size + 1, "/Prev": before,
        "/Index": pikepdf.Array(index), "/W": pikepdf.Array([1, 8, 2]), "/Length": len(content),
    })  # fmt: skip
    written += b"%d 0 obj\n" % number + head.unparse(resolved=True)
    written += b"\nstream\n" + content + b"\nendstream\nendobj\n"
    written += b"startxref\n%d\n%%%%EOF\n" % at
