"""A service's processes from outside: who is at work now."""

import asyncio

from bench import cpu
from bench.processes import workers
from bench.service import Service
from tests.system.client import PATIENCE_S

# A spare has spent less on warming up; an encoder at work passes this in a moment.
BUSY_S = 0.3


async def converting(service: Service, count: int) -> list[int]:
    """The workers that are at work on something slow, once they are so many."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            found = [pid for pid in workers(service.pid) if _spent_s(pid) > BUSY_S]
            if len(found) >= count:
                return found
            await asyncio.sleep(0.02)


def _spent_s(pid: int) -> float:
    try:
        return cpu.own_cpu_s(pid)
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
