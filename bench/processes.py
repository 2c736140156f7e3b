"""A running service as the kernel shows it: gateway, guardians, zygotes, workers."""

from pathlib import Path

import msgspec

from bench import cpu

PAGE_BYTES = 4096


class Footprint(msgspec.Struct, frozen=True, kw_only=True):
    """What a service holds at a moment of rest."""

    processes: int
    descriptors: int
    rss_mib: float
    gateway_rss_mib: float


def children(pid: int) -> list[int]:
    """The processes that any thread of `pid` forked and that still are."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [int(child) for child in task.read_text().split()]
        except OSError:
            continue
    return found


def zygotes(gateway: int) -> list[int]:
    """The zygotes proper: each is the child of a guardian, which is the gateway's child."""
    guardians = [pid for pid in children(gateway) if _command(pid, "sandbox.jail.zygote")]
    return [zygote for guardian in guardians for zygote in children(guardian)]


def workers(gateway: int) -> list[int]:
    """All workers, spares among them."""
    return [worker for zygote in zygotes(gateway) for worker in children(zygote)]


def footprint(gateway: int) -> Footprint:
    """Count the service without its PostgreSQL, whose backends come and go by its own rules."""
    tree = [pid for pid in cpu.family_tree(gateway) if not _command(pid, "postgres")]
    return Footprint(
        processes=len(tree),
        descriptors=len(list(Path(f"/proc/{gateway}/fd").iterdir())),
        rss_mib=round(sum(_rss_mib(pid) for pid in tree), 1),
        gateway_rss_mib=round(_rss_mib(gateway), 1),
    )


def _rss_mib(pid: int) -> float:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES / 2**20
    except OSError:
        return 0.0


def _command(pid: int, word: str) -> bool:
    try:
        return word.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
