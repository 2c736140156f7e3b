"""What a worker writes to storage is counted by the kernel; it must be nothing."""

import os
from pathlib import Path

import pytest

from sandbox.host.verdict import WorkerExit
from sandbox.limits import MIB
from tests.sandbox.zygotes import order, zygote

# Everything that stands between a worker and a file.
OPEN_DOORS = {
    "identity", "landlock", "own-landlock", "empty-root", "zygote-limits", "limits", "filter",
}  # fmt: skip


async def _end_of(action: str, *, omit: set[str]) -> WorkerExit:
    async with zygote(order(omit=omit)) as server:
        worker = await server.spawn()
        await worker.run(action.encode(), [bytes(MIB)], deadline_s=30, output_bytes_max=2 * MIB)
        return await worker.ended()


@pytest.mark.claim("C-DISK-2")
async def test_a_confined_worker_writes_nothing() -> None:
    assert (await _end_of("echo", omit=set())).written_bytes == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="an unprivileged user's worker may not own the file")
async def test_a_worker_that_wrote_a_file_is_found_out(tmp_path: Path) -> None:
    file = tmp_path / "leak"
    assert (await _end_of(f"store {file}", omit=OPEN_DOORS)).written_bytes >= MIB
    assert file.stat().st_size == MIB
