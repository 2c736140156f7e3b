"""What workers say of how far they are: heard where asked for, refused where it is none, free."""

import shutil
import signal
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from sandbox import wire
from sandbox.errors import ProgressInvalid, ReplyInvalid
from sandbox.host.forkserver import Forkserver
from sandbox.host.worker import Progress, Reply
from sandbox.limits import MIB
from tests.sandbox.test_trace import calls
from tests.sandbox.zygotes import zygote

ALL = " ".join(map(str, range(1, wire.PARTS + 1)))


async def watch(server: Forkserver, action: str, progress: Progress | None) -> Reply:
    worker = await server.spawn()
    return await worker.run(
        action.encode(), [], deadline_s=30, output_bytes_max=MIB, progress=progress
    )


async def test_what_a_worker_says_of_its_progress_is_heard_where_it_is_asked_for() -> None:
    heard: list[int] = []
    async with zygote() as server:
        assert (await watch(server, "tell 1 50 100", heard.append)).header == b"told"
        assert heard == [1, 50, 100]
        assert (await watch(server, "tell 1", None)).header == b"nobody asked"


@pytest.mark.parametrize(
    "action", ["chatter 0", "chatter 101", "chatter 7 7", f"chatter {ALL} 100", "flood"]
)
@pytest.mark.claim("C-REPLY-1")
async def test_progress_that_is_none_ends_its_worker_and_nobody_else(action: str) -> None:
    heard: list[int] = []
    async with zygote() as server:
        with pytest.raises(ProgressInvalid) as failure:
            await watch(server, action, heard.append)
        assert failure.value.reason == "progress"
        assert len(heard) <= wire.PARTS
        assert (await watch(server, "tell 3", heard.append)).header == b"told"


async def test_progress_that_nobody_asked_for_is_refused() -> None:
    async with zygote() as server:
        with pytest.raises(ProgressInvalid):
            await watch(server, "chatter 1", None)


async def test_progress_after_the_reply_is_not_the_next_uses() -> None:
    async with zygote() as server:
        worker = await server.spawn(uses=2)
        said = worker.run(b"last_word 5", [b"file"], deadline_s=30, output_bytes_max=MIB)
        assert (await said).files == [b"file"]
        with pytest.raises(ReplyInvalid) as failure:
            await worker.run(b"echo", [b"next"], deadline_s=30, output_bytes_max=MIB)
        assert type(failure.value) is ProgressInvalid
        assert (await worker.ended()).signal == signal.SIGKILL


async def traced(
    server: Forkserver, file: Path, action: str, progress: Progress | None
) -> Counter[str]:
    """The calls that a worker makes in one conversion, from READY on, by name."""
    tracer = subprocess.Popen(
        ["strace", "-f", "-o", str(file), "-p", str(server.pid)], stderr=subprocess.PIPE
    )
    with tracer:
        assert tracer.stderr is not None
        if "attached" not in (said := tracer.stderr.readline().decode()):
            pytest.skip(f"strace may not attach here: {said.strip()}")
        worker = await server.spawn()
        await worker.run(
            action.encode(), [], deadline_s=30, output_bytes_max=MIB, progress=progress
        )
        assert (await worker.ended()).status == 0
        tracer.send_signal(signal.SIGINT)
        tracer.stderr.read()
    made = [call.name for call in calls(file.read_text()) if call.pid != server.pid]
    # READY is its first word.
    return Counter(made[made.index("writev") :])


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
async def test_a_conversion_that_tells_nothing_asks_the_kernel_for_nothing_more(
    tmp_path: Path,
) -> None:
    async with zygote() as server:
        unwatched = await traced(server, tmp_path / "1", "echo", None)
        silent = await traced(server, tmp_path / "2", "echo", lambda _: None)
        talking = await traced(server, tmp_path / "3", "tell 1 2 3", lambda _: None)
    assert unwatched == silent
    assert talking - silent == {"writev": 3}
    assert "clock_gettime" not in talking
