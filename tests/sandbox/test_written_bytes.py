"""What a worker writes to storage is counted by the kernel; it must be nothing."""

import os
from collections.abc import Iterable
from pathlib import Path

import pytest

from sandbox.host.verdict import WorkerExit
from sandbox.limits import MIB
from tests.sandbox.zygotes import ENTRIES, order, zygote

ENTRY = f"{ENTRIES}:handle"
GRANTED = "tests.sandbox.granted:handle"

# Everything that stands between a worker and a file.
OPEN_DOORS = {
    "identity", "landlock", "own-landlock", "empty-root", "zygote-limits", "limits", "filter",
    "mount-namespace",
}  # fmt: skip
THREE_DAYS_S = 3 * 86400


async def _end_of(
    action: str,
    *,
    omit: Iterable[str] = (),
    reads: Iterable[Path] = (),
) -> WorkerExit:
    made = order(omit=omit, reads=reads, entry=GRANTED if reads else ENTRY)
    async with zygote(made) as server:
        worker = await server.spawn()
        await worker.run(action.encode(), [bytes(MIB)], deadline_s=30, output_bytes_max=2 * MIB)
        return await worker.ended()


@pytest.mark.claim("C-DISK-2")
async def test_a_confined_worker_writes_nothing() -> None:
    assert (await _end_of("echo")).written_bytes == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="an unprivileged user's worker may not own the file")
async def test_a_worker_that_wrote_a_file_is_found_out(tmp_path: Path) -> None:
    file = tmp_path / "leak"
    assert (await _end_of(f"store {file}", omit=OPEN_DOORS)).written_bytes >= MIB
    assert file.stat().st_size == MIB


def _unread(file: Path) -> int:
    """Make the file one that nobody has read for days; give that moment, in ns."""
    about = file.stat()
    os.utime(file, ns=(about.st_atime_ns - THREE_DAYS_S * 10**9, about.st_mtime_ns))
    os.sync()  # or the change that follows is part of this one, and free
    return file.stat().st_atime_ns


@pytest.mark.claim("C-DISK-2")
async def test_not_even_the_time_of_a_reading_is_written(readable: Path) -> None:
    file = readable / "file"
    file.write_bytes(b"to be read")
    file.chmod(0o644)
    before = _unread(file)
    end = await _end_of(f"read_file {file}", reads=(readable,))
    assert (end.status, end.written_bytes) == (0, 0)
    assert file.stat().st_atime_ns == before
    # Without the layer the kernel notes it, where this file system keeps such times at all.
    await _end_of(f"read_file {file}", reads=(readable,), omit={"mount-namespace"})
    after = file.stat().st_atime_ns
    file.read_bytes()
    assert after > before or file.stat().st_atime_ns == before


@pytest.mark.claim("C-DISK-2")
async def test_not_even_the_time_of_an_execution_is_written(intruder: Path) -> None:
    async with zygote(order(entry=GRANTED, program=intruder)) as server:
        before = _unread(intruder)  # a zygote that starts does read it: that is no worker
        worker = await server.spawn()
        await worker.run(b"execute_program echo", [b"bytes"], deadline_s=30, output_bytes_max=MIB)
        end = await worker.ended()
    assert (end.status, end.written_bytes) == (0, 0)
    assert intruder.stat().st_atime_ns == before
