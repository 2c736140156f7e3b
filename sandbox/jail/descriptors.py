"""Open descriptors: what was open before the walls went up is not stopped by any of them.

A zygote has its control channel and two doors to /dev/null; a worker exactly its two pipes, and
the kernel's random source where a preloaded library keeps that open (qpdf does, for the keys of
encrypted documents, and could not open it again). In a family that may execute a program, a worker
holds that program's file as well, open as a path only.
"""

import contextlib
import fcntl
import os
import stat
from collections.abc import Iterator

CONTROL = 0
# A worker's pipes. 0, 1 and 2 stay closed: a codec that prints warnings prints them to nobody.
UP = 3
DOWN = 4
# The one program, where a family has one. The filter knows it by this number.
PROGRAM = 5

# Below it lie the numbers that workers give a meaning to.
_HIGH = 16
_ALL = 0x7FFFFFFF

# /dev/random and /dev/urandom, Linux's devices.txt: reading them tells nothing and changes nothing.
_RANDOM_SOURCES = frozenset({os.makedev(1, 8), os.makedev(1, 9)})


def open_now() -> set[int]:
    """Return the descriptors of this process that are open. Reads /proc/self/fd."""
    with os.scandir("/proc/self/fd") as entries:
        names = [entry.name for entry in entries]
    found = set()
    for name in names:
        try:
            os.fstat(int(name))
        except OSError:
            continue  # the one that scandir itself had open
        found.add(int(name))
    return found


def out_of_the_way(descriptor: int) -> int:
    """Move a descriptor above the numbers of a worker's pipes; return its new number."""
    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _HIGH)
    os.close(descriptor)
    return moved


def take_pipes(up: int, down: int) -> None:
    """Make these two UP and DOWN."""
    if (up, down) == (DOWN, UP):
        up = os.dup(up)  # a third number: both places are taken
    # Whoever stands in the other's place leaves it first.
    moves = ((down, DOWN), (up, UP)) if down == UP else ((up, UP), (down, DOWN))
    for pipe, place in moves:
        if pipe == place:  # which dup3 refuses
            os.set_inheritable(pipe, False)
        else:
            os.dup2(pipe, place, inheritable=False)
            os.close(pipe)


@contextlib.contextmanager
def pipes_places_taken() -> Iterator[None]:
    """Keep what is opened meanwhile off the numbers that a worker's pipes will have."""
    for place in (UP, DOWN):
        os.dup2(1, place, inheritable=False)
    try:
        yield
    finally:
        for place in (UP, DOWN):
            os.close(place)


def hold_program(path: str) -> None:
    """Make this file PROGRAM, open as a path: to be executed, not to be read. Raises OSError."""
    opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
    if opened != PROGRAM:
        os.dup2(opened, PROGRAM, inheritable=False)
        os.close(opened)


def random_sources(candidates: set[int]) -> frozenset[int]:
    """Those of these descriptors that are the kernel's random source, open for reading only."""
    return frozenset(
        descriptor
        for descriptor in candidates
        if stat.S_ISCHR((about := os.fstat(descriptor)).st_mode)
        and about.st_rdev in _RANDOM_SOURCES
        and fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY
    )


def keep_only_pipes(kept: frozenset[int]) -> None:
    """Leave this process nothing but UP, DOWN and `kept`, none of which is below them."""
    start = 0
    for descriptor in sorted({UP, DOWN, *kept}):
        os.closerange(start, descriptor)
        start = descriptor + 1
    os.closerange(start, _ALL)


def close_all() -> None:
    """Leave this process no descriptor at all."""
    os.closerange(0, _ALL)
