"""By strace: while files of every family are converted over HTTP, nothing is written anywhere.

Traced are the gateway with all its threads, the zygotes, the spares, and every worker forked from
them. PostgreSQL is not: it writes the ledger. What it writes is searched for the customers' bytes.
"""

import asyncio
import io
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from PIL import Image, PngImagePlugin

from bench import cpu
from bench.service import Service
from tests.gateway.samples import document, noise, picture
from tests.system import judge
from tests.system.client import PATIENCE_S, Client

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed"),
]

MARKER = b"MARKER-0f6e-of-a-customer"
# What leaves something behind, each in its own way.
SINS = {
    "a file": "open('{folder}/file', 'w').write('x')",
    "a file that is cut": "import os; os.truncate('{folder}/there', 0)",
    "a hidden file": "import tempfile; tempfile.TemporaryFile(dir='{folder}')",
    "a memory file": "import os; os.memfd_create('x')",
    "a folder": "import os; os.mkdir('{folder}/folder')",
    "a file removed": "import os; os.unlink('{folder}/there')",
    "a shared memory": "import mmap; mmap.mmap(-1, 4096)",
    "a call": "import socket; socket.create_connection(('127.0.0.1', {port}))",
    "a message": "import socket; socket.socket(type=2).sendto(b'x', ('127.0.0.1', 9))",
    "an ear": "import socket; socket.create_server(('127.0.0.1', 0))",
}


def _processes(service: Service) -> list[int]:
    """Everything of the service but its PostgreSQL."""
    return [
        pid
        for pid in cpu.family_tree(service.pid)
        if b"postgres" not in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0]
    ]


async def _at_rest(service: Service, client: Client) -> list[int]:
    """Its processes once the last worker is gone and its replacement is ready."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            now = await client.until(lambda now: not now["conversions"])
            # The gateway; a guardian, a zygote and some spares a family.
            awake = [one for one in now["engine"]["families"] if not one["resting"]]
            wanted = 1 + sum(2 + family["spares"] for family in awake)
            with suppress(FileNotFoundError):  # one that ended while we looked
                if len(found := _processes(service)) == wanted:
                    return found
            await asyncio.sleep(0.02)


@pytest_asyncio.fixture(loop_scope="session")
async def trace(service: Service, client: Client, tmp_path: Path) -> AsyncIterator[str]:
    """The trace of some conversions of every family, honest and hostile, small and large."""
    await _convert_everything(client)  # whatever is opened once, lazily, is not a conversion's
    file = tmp_path / "trace"
    traced = await _at_rest(service, client)
    holds = {pid: judge.writable_files(pid) for pid in traced}
    assert service.home is not None
    # Standard error, and the descriptor whose lock says who supervises PostgreSQL.
    own = {str(service.home / "log"), str(service.home / "postgres" / "lock")}
    assert set().union(*holds.values()) <= own
    wanted = [part for pid in traced for part in ("-p", str(pid))]
    command = [word for word in judge.strace(file, *wanted) if word != "-qq"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
        try:
            if not await asyncio.to_thread(judge.attach, tracer, len(traced)):
                pytest.skip("strace may not attach here")
            await _convert_everything(client)
        finally:
            tracer.send_signal(signal.SIGINT)
            await asyncio.to_thread(tracer.communicate)
    yield file.read_text()


async def _convert_everything(client: Client) -> None:
    large = noise(1500, 1500)
    forms = []
    for path, parts in (("pdf/pdf?operation=merge", [document(2)] * 2), ("png/pdf", [picture()])):
        form = aiohttp.FormData()
        for number, part in enumerate(parts):
            form.add_field("file", part, filename=f"{number}")
        forms.append((path, form))
    good = [
        await client.convert("png/webp", picture()),
        await client.convert("png/jpeg?width=400", large),
        await client.convert("png/bmp", large),
        await client.convert("pdf/txt", document(3)),
        await client.convert("pdf/pdf?operation=split", document(4)),
        await client.convert("pdf/pdf?operation=compress", document(4)),
        *[await client.convert(path, form) for path, form in forms],
        *await asyncio.gather(*(client.convert("png/gif", picture()) for _ in range(6))),
    ]
    assert {answer.status for answer in good} == {200}
    bad = await client.convert("png/webp", picture()[:60])
    assert bad.code == "file-unreadable"


@pytest.mark.claim("C-DISK-1")
async def test_no_conversion_writes_a_file_hides_memory_or_calls_anybody(trace: str) -> None:
    assert judge.offences(trace) == []
    # It did see the workers: each tries, as a proof, to open what it may not. A few were forked
    # before the tracer came.
    assert len({call.pid for call in judge.calls(trace) if call.failed}) >= 8


@pytest.mark.parametrize("sin", SINS)
async def test_whoever_leaves_something_is_caught(
    sin: str, tmp_path: Path, service: Service
) -> None:
    (tmp_path / "there").write_text("something")
    port = service.url.rpartition(":")[2]
    code = SINS[sin].format(folder=tmp_path, port=port)
    file = tmp_path / "trace"
    command = judge.strace(file, sys.executable, "-I", "-S", "-B", "-c", code)
    subprocess.run(command, check=True, capture_output=True)
    innocent = judge.strace(tmp_path / "innocent", sys.executable, "-I", "-S", "-B", "-c", "pass")
    subprocess.run(innocent, check=True, capture_output=True)
    assert judge.offences((tmp_path / "innocent").read_text()) == []
    assert len(judge.offences(file.read_text())) >= 1


@pytest.mark.claim("C-DISK-4")
async def test_no_byte_of_a_file_is_anywhere_in_the_services_home(
    service: Service, client: Client
) -> None:
    marked = picture_with(MARKER)
    assert (await client.convert("png/webp?metadata=keep", marked)).status == 200
    assert (await client.convert("png/webp", marked, Idempotency_Key="marked")).status == 200
    assert (await client.convert("png/gif", marked[:200])).code == "file-unreadable"
    assert service.home is not None
    assert _found_in(service.home, MARKER) == []
    # The search does find what is there: the name of the account.
    assert _found_in(service.home, b"first start") != []


def picture_with(text: bytes) -> bytes:
    """A picture that says it in the clear, many times."""
    out, notes = io.BytesIO(), PngImagePlugin.PngInfo()
    for number in range(20):
        notes.add_text(f"Comment{number}", (text * 20).decode())
    Image.new("RGB", (16, 16)).save(out, "PNG", pnginfo=notes)
    return out.getvalue()


def _found_in(folder: Path, needle: bytes) -> list[Path]:
    return [
        path
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink() and needle in path.read_bytes()
    ]
