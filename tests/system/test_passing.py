"""Large files pass by the gateway: it does not see them, and ten of 50 MB do not make it larger.

Only their heads come into its memory, with the piece that tells their format; the rest goes from
the client's socket into the worker's pipe. `rchar` counts what a process reads, wherever from.
"""

import asyncio
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.gateway.command import serving
from tests.postgres import private_home

pytestmark = pytest.mark.asyncio(loop_scope="session")

MIB = 1024 * 1024
WIDTH, HEIGHT = 4096, 4096
SIZE = 54 + WIDTH * HEIGHT * 3
AT_ONCE = 10
# A scratch buffer, a piece for each connection, and the allocator's appetite for them.
GROWTH_BYTES_MAX = 32 * MIB


async def _bitmap() -> AsyncIterator[bytes]:
    """A black picture of 50 MB that this process does not hold either."""
    yield struct.pack("<2sIHHI", b"BM", SIZE, 0, 0, 54)
    yield struct.pack("<IiiHHIIiiII", 40, WIDTH, HEIGHT, 1, 24, 0, SIZE - 54, 0, 0, 0, 0)
    for _ in range(HEIGHT):
        yield bytes(WIDTH * 3)


def _peak(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def _read(pid: int) -> int:
    counters = Path(f"/proc/{pid}/io").read_text()
    return int(counters.partition("rchar:")[2].split()[0])


@pytest.mark.claim("C-PASSING-1")
async def test_a_large_upload_is_never_in_the_gateways_memory_unless_it_is_to_be_hashed() -> None:
    with private_home() as home, serving(home, installed=True) as service:
        headers = {"Authorization": f"Bearer {service.key}", "Content-Length": str(SIZE)}
        path = "/v1/convert/bmp/jpeg?width=64"
        seen = []
        async with aiohttp.ClientSession(service.url, headers=headers) as client:
            for more in ({}, {"Prefer": "receipt"}):
                before = _read(service.process.pid)
                async with client.post(path, data=_bitmap(), headers=more) as response:
                    await response.read()
                    assert response.status == 200
                seen.append(_read(service.process.pid) - before)
    assert seen[0] < MIB < SIZE <= seen[1]


async def test_ten_large_uploads_at_once_leave_the_gateways_memory_flat() -> None:
    with private_home() as home, serving(home, installed=True) as service:
        headers = {"Authorization": f"Bearer {service.key}", "Content-Length": str(SIZE)}
        async with aiohttp.ClientSession(service.url, headers=headers) as client:

            async def convert() -> int:
                path = "/v1/convert/bmp/jpeg?width=64"
                async with client.post(path, data=_bitmap()) as response:
                    await response.read()
                    return response.status

            assert await convert() == 200
            before = _peak(service.process.pid)
            answers = await asyncio.gather(*(convert() for _ in range(AT_ONCE)))
            assert set(answers) == {200}
            assert _peak(service.process.pid) - before < GROWTH_BYTES_MAX
