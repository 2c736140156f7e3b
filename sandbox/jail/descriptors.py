"""Open descriptors: what was open before the walls went up is not stopped by any of them.

A zygote has its control channel and two doors to /dev/null; a worker exactly its two pipes.
"""

import fcntl
import os

CONTROL = 0
# A worker's pipes. 0, 1 and 2 stay closed: a codec that prints warnings prints them to nobody.
UP = 3
DOWN = 4

# Below it lie the numbers that workers give a meaning to.
_HIGH = 16
_ALL = 0x7FFFFFFF


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
    # Either may have the other's number, or its own already, which dup3 refuses.
    moved = [(out_of_the_way(pipe), place) for pipe, place in ((up, UP), (down, DOWN))]
    for pipe, place in moved:
        os.dup2(pipe, place, inheritable=False)
        os.close(pipe)


def keep_only_pipes() -> None:
    """Leave this process nothing but UP and DOWN."""
    os.closerange(0, UP)
    os.closerange(DOWN + 1, _ALL)


def close_all() -> None:
    """Leave this process no descriptor at all."""
    os.closerange(0, _ALL)
