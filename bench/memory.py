"""What is in other processes' memory: markers, counted in every mapping that can be read.

`/proc/<pid>/mem` shows all of a process: heap, stacks, what an allocator has freed and not given
back. What the kernel holds for it (socket and pipe buffers) is not in there. Needs the right to
trace the process: root, or the same user and a dumpable process.
"""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from bench import cpu

# What one read takes; large enough for speed, small enough not to matter.
READ_BYTES = 4 * 1024 * 1024
# The kernel's own pages: they cannot be read, or hold no data of the process.
_NOT_MEMORY = ("[vvar", "[vsyscall]", "[vdso]")


def markers(pid: int, needle: bytes) -> int:
    """How often `needle` is in the memory of the process; raises PermissionError, OSError."""
    found = 0
    memory = os.open(f"/proc/{pid}/mem", os.O_RDONLY)
    try:
        for start, end in _mappings(pid):
            found += sum(piece.count(needle) for piece in _pieces(memory, start, end, len(needle)))
    finally:
        os.close(memory)
    return found


def roles(gateway: int) -> Mapping[int, str]:
    """Every process of a service but its database, by what it is."""
    named = {gateway: "gateway"}
    for pid in cpu.family_tree(gateway):
        if pid == gateway or not _is_zygote(pid):
            continue
        depth = _depth(pid, gateway)
        named[pid] = ("gateway", "guardian", "zygote", "spare")[min(depth, 3)]
    return named


def _is_zygote(pid: int) -> bool:
    try:
        return b"sandbox.jail.zygote" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False


def _depth(pid: int, gateway: int) -> int:
    depth = 0
    while pid not in (gateway, 0, 1):
        status = Path(f"/proc/{pid}/status").read_text()
        pid = int(re.search(r"^PPid:\s+(\d+)", status, re.MULTILINE)[1])  # type: ignore[index]
        depth += 1
    return depth


def _mappings(pid: int) -> Iterator[tuple[int, int]]:
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        where, rights, *rest = line.split(maxsplit=5)
        if rights.startswith("r") and not (len(rest) > 3 and rest[3].startswith(_NOT_MEMORY)):
            start, _, end = where.partition("-")
            yield int(start, 16), int(end, 16)


def _pieces(memory: int, start: int, end: int, overlap: int) -> Iterator[bytes]:
    """The mapping in pieces; one begins where the last one could have cut a needle in two."""
    tail = b""
    while start < end:
        try:
            piece = os.pread(memory, min(READ_BYTES, end - start), start)
        except OSError:  # unmapped meanwhile, or a page nobody may see
            return
        if not piece:
            return
        yield tail + piece
        tail = piece[-(overlap - 1) :] if overlap > 1 else b""
        start += len(piece)
