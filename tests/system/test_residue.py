"""After an answer nothing of the request is left: searched for in the memory of every process.

Each kibibyte of an upload and of its result carries a marker. What the kernel holds (socket and
pipe buffers, freed pages) cannot be searched from here; docs/security.md says what is true of it.
"""

import os
import sys
from collections import Counter
from pathlib import Path

import pytest

from bench import memory, residue
from bench.service import Service, started
from tests.system.client import Client
from tests.system.conftest import PICTURES

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may read a zygote's memory"),
]

# Below one read, about one, several, and far beyond an allocator's largest free list.
SIZES = {"1.5 KB": 8, "10 KB": 8, "200 KB": 6, "5 MB": 4}
# The same service, except that nothing is overwritten.
CARELESS = (
    "import sys, engine.wiping; engine.wiping.wipe = lambda buffer: None;"
    "from gateway.__main__ import main; sys.argv = ['ephemera', 'serve', '--port', '0']; main()"
)


async def _left(service: Service, way: residue.Way, size: str) -> Counter[str]:
    token = residue.readable_token()
    body = residue.bitmap(residue.SIZES[size], token)
    await residue.send(service, way, body, token, SIZES[size])
    return residue.count(service, token)


@pytest.mark.claim("C-RESIDUE-1")
@pytest.mark.parametrize("way", residue.WAYS, ids=[way.name for way in residue.WAYS])
async def test_no_process_remembers_an_upload_or_its_result(
    service: Service, client: Client, way: residue.Way
) -> None:
    before = await client.balance()
    left = {size: await _left(service, way, size) for size in SIZES}
    assert {size: dict(+counts) for size, counts in left.items()} == {size: {} for size in SIZES}
    assert await client.balance() < before


async def test_a_gateway_that_does_not_wipe_is_found_out(home: Path) -> None:
    async with started(home, PICTURES, program=(sys.executable, "-c", CARELESS)) as careless:
        for way in residue.WAYS:
            left = await _left(careless, way, "200 KB")
            assert left["gateway"] > 100, way.name
            assert left["zygote"] == left["spare"] == left["guardian"] == 0


async def test_the_search_sees_every_process_and_what_is_in_it(service: Service) -> None:
    roles = memory.roles(service.pid)
    counted = Counter(roles.values())
    assert counted["gateway"] == 1
    assert counted["guardian"] == counted["zygote"] >= 2
    assert counted["spare"] >= 2
    assert all(memory.markers(pid, b"engine.converters") > 0 for pid in roles)
