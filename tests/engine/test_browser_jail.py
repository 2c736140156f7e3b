"""What the kernel was asked while pages became documents, and what the browser's memory is."""

import asyncio
import ctypes
import errno
import fcntl
import mmap
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from engine.config import EngineConfig
from engine.converters.browser.catalogue import FAMILY
from engine.converters.browser.catalogue_places import LIBRARY
from engine.families import zygote_spec
from engine.job import TaskReply, TaskRequest
from sandbox.host.forkserver import Forkserver
from sandbox.limits import MIB, Limits
from tests.engine.browsing import needs_browser, sample
from tests.sandbox.test_trace import Call, calls

pytestmark = needs_browser

WRITERS = re.compile(r"O_WRONLY|O_RDWR|O_CREAT|O_TMPFILE|O_TRUNC|O_APPEND")
# A fork of the zygote's is no thread; nor is the worker's one for its program.
PROCESS = re.compile(r"^(?!.*CLONE_THREAD)")


async def started(limits: Limits = FAMILY.limits) -> Forkserver:
    return await Forkserver.start(zygote_spec(FAMILY, limits, EngineConfig()))


async def converted(server: Forkserver, upload: bytes, target: str = "pdf") -> TaskReply:
    worker = await server.spawn()
    name = "browser.print" if target == "pdf" else "browser.capture"
    request = TaskRequest(name, ("html",), target, {}, FAMILY.bounds)
    reply = await worker.run(
        msgspec.msgpack.encode(request), [upload], deadline_s=60, output_bytes_max=64 * MIB
    )
    return msgspec.msgpack.decode(reply.header, type=TaskReply)


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> list[Call]:
    """Two conversions, from the start of their browsers to the end."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    file = tmp_path_factory.mktemp("browser") / "trace"
    asyncio.run(traced(file))
    return calls(file.read_text())


async def traced(file: Path) -> None:
    server = await started()
    try:
        command = ["strace", "-f", "-o", str(file), "-p", str(server.pid)]
        with subprocess.Popen(command, stderr=subprocess.PIPE) as tracer:
            assert tracer.stderr is not None
            attached = tracer.stderr.readline().decode()
            if "attached" not in attached:
                pytest.skip(f"strace may not attach here: {attached.strip()}")
            try:
                for target in ("pdf", "png"):
                    assert not (await converted(server, sample("page.html"), target)).error
            finally:
                tracer.send_signal(signal.SIGINT)
                tracer.stderr.read()
    finally:
        await server.close()


@pytest.mark.claim("C-DISK-1")
def test_the_kernel_saw_no_writing_no_memory_file_and_no_way_out(trace: list[Call]) -> None:
    done = [call for call in trace if not call.failed]
    assert len(done) > 5_000
    opened = [call for call in done if call.name in {"open", "openat", "openat2", "creat"}]
    assert len(opened) > 50
    assert [call for call in opened if WRITERS.search(call.line)] == []
    hidden = {
        "memfd_create", "memfd_secret", "socket", "connect", "bind", "listen", "accept", "shmget",
        "ftruncate", "fallocate", "mkdir", "symlink", "rename", "unlink", "io_uring_setup",
    }  # fmt: skip
    assert [call for call in done if call.name in hidden] == []
    pairs = [call for call in done if call.name == "socketpair"]
    assert pairs
    assert all(re.match(r"AF_UNIX, SOCK_(STREAM|SEQPACKET)", call.line) for call in pairs)


@pytest.mark.claim("C-WORKER-5")
def test_one_program_was_executed_once_a_conversion(trace: list[Call]) -> None:
    done = [call for call in trace if not call.failed]
    executed = [call for call in done if call.name in {"execve", "execveat"}]
    assert [call.name for call in executed] == ["execveat"] * 2
    assert all(call.line.startswith('5, "", ["chromium", ') for call in executed)
    browsers = {call.pid for call in executed}
    born = [call for call in done if call.name in {"clone", "clone3", "fork", "vfork"}]
    assert [call for call in born if call.pid in browsers and PROCESS.match(call.line)] == []
    shared = [call for call in done if call.name == "mmap" and "MAP_SHARED" in call.line]
    assert [call.pid in browsers for call in shared] == [True] * 2


async def test_a_page_that_takes_all_memory_ends_its_own_conversion_only() -> None:
    bomb = b"""<body><script>for (;;) { const c = document.createElement("canvas");
        c.width = c.height = 3000; c.getContext("2d").fillRect(0, 0, 3000, 3000);
        document.body.append(c) }</script>"""
    server = await started(msgspec.structs.replace(FAMILY.limits, data_bytes=600 * MIB))
    try:
        assert (await converted(server, bomb)).error == "ConversionCrashed"
        assert not (await converted(server, b"<p>well")).error
    finally:
        await server.close()


def test_nobody_looks_into_the_machine_from_a_page() -> None:
    """The walls of the family, as data: what may be read holds no one's secrets."""
    assert not any(
        Path(secret).is_relative_to(path)
        for path in FAMILY.reads
        for secret in (
            "/etc/passwd",
            "/etc/shadow",
            "/proc/self/environ",
            "/root",
            "/home",
            "/var/log",
        )
    )


def play() -> None:
    """In a process of its own, with the library preloaded: what the browser does with it."""
    token = os.memfd_create("bitmap", os.MFD_ALLOW_SEALING)
    os.ftruncate(token, 10_000)
    assert os.fstat(token).st_size == 10_000
    reader = os.open(f"/proc/self/fd/{token}", os.O_RDONLY)
    modes = [
        fcntl.fcntl(one, fcntl.F_GETFL) & os.O_ACCMODE for one in (token, reader, os.dup(token))
    ]
    assert modes == [os.O_RDWR, os.O_RDONLY, os.O_RDWR]
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long)
    libc.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)

    def view(descriptor: int) -> int:
        address = libc.mmap(None, 10_000, mmap.PROT_READ | mmap.PROT_WRITE, 1, descriptor, 0)
        assert address != ctypes.c_void_p(-1).value
        return int(address)

    first, second = view(token), view(reader)
    assert first != second
    ctypes.memmove(first, b"one page, two addresses", 23)
    assert ctypes.string_at(second, 23) == b"one page, two addresses"
    # No other shared memory, and not more than the arena of it.
    assert libc.mmap(None, 4096, 3, mmap.MAP_SHARED | mmap.MAP_ANONYMOUS, -1, 0) == 2**64 - 1
    assert ctypes.get_errno() == errno.EACCES
    # What is used and given back, many times over, is there again and empty.
    for _ in range(40):
        large = os.memfd_create("frame")
        os.ftruncate(large, 100 * MIB)
        address = libc.mmap(None, 100 * MIB, 3, mmap.MAP_SHARED, large, 0)
        assert ctypes.string_at(address, 8) == bytes(8)
        ctypes.memmove(address, b"dirtydirty", 10)
        os.close(large)
        libc.munmap(address, 100 * MIB)
    assert ctypes.string_at(second, 8) == b"one page"
    held = [os.memfd_create("held") for _ in range(5)]
    for one in held[:4]:
        os.ftruncate(one, 100 * MIB)
    with pytest.raises(OSError, match="Cannot allocate"):
        os.ftruncate(held[4], 200 * MIB)


def test_shared_memory_comes_from_one_arena_that_is_never_more() -> None:
    code = "from tests.engine.test_browser_jail import play; play()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"LD_PRELOAD": LIBRARY},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        check=False,
        preexec_fn=lambda: ctypes.CDLL(None).prctl(38, 1, 0, 0, 0),  # no_new_privs
    )
    assert done.returncode == 0, done.stderr.decode()
