"""A service's processes from outside: who converts, who waits, who holds whom."""

import asyncio
from pathlib import Path

from bench import cpu
from bench.service import Service
from tests.system.client import PATIENCE_S

# A spare has spent less on warming up; an encoder at work passes this in a moment.
BUSY_S = 0.3


def confined(service: Service) -> list[int]:
    """Workers and spares: the processes of the sandbox that have no children."""
    return [
        pid
        for pid in cpu.family_tree(service.pid)
        if _is_of_the_sandbox(pid) and cpu.family_tree(pid) == [pid]
    ]


async def converting(service: Service, count: int) -> list[int]:
    """The workers that are at work on something slow, once they are so many."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            found = [pid for pid in confined(service) if _spent_s(pid) > BUSY_S]
            if len(found) >= count:
                return found
            await asyncio.sleep(0.02)


def _is_of_the_sandbox(pid: int) -> bool:
    try:
        return b"sandbox.jail" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False


def _spent_s(pid: int) -> float:
    try:
        return cpu.own_cpu_s(pid)
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
