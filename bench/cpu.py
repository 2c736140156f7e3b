"""CPU seconds of a process and everything it ever forked, as the kernel accounts them.

A worker is reaped by its zygote, so its time is in the zygote's `cutime`: no conversion is missed,
however short its process lived. Resolution is a clock tick (10 ms): measure over seconds.
"""

import os
from pathlib import Path

TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def _fields(pid: int) -> list[str]:
    # The command may hold spaces and brackets; the numbers begin after its closing one.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def family_tree(pid: int) -> list[int]:
    """The process and all its living descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                children.setdefault(int(_fields(int(entry.name))[1]), []).append(int(entry.name))
            except (FileNotFoundError, ProcessLookupError):
                continue
    tree, todo = [], [pid]
    while todo:
        tree.append(todo.pop())
        todo += children.get(tree[-1], [])
    return tree


def cpu_s(pid: int) -> float:
    """User and system seconds of the tree under `pid`, the dead and reaped included."""
    total = 0
    for member in family_tree(pid):
        try:
            total += sum(int(field) for field in _fields(member)[11:15])
        except (FileNotFoundError, ProcessLookupError):
            continue
    return total * TICK_S


def own_cpu_s(pid: int) -> float:
    """User and system seconds of `pid` alone, without its children."""
    return sum(int(field) for field in _fields(pid)[11:13]) * TICK_S
