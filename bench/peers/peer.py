"""What all peers have in common: they can be asked, and the kernel knows what they spend.

A server spends CPU in its process tree, the dead and reaped included; a program that is started
for each request is our own child, and spends what the kernel adds to us when it is reaped.
"""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import aiohttp
import msgspec

from bench import cpu
from bench.peers.inputs import Corpus
from bench.peers.rows import Row

_KIB = 1024
_BOUNDARY = "peers-boundary-5f1c"


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """One request, ready to be sent: a peer's HTTP, or the words of a command."""

    path: str = "/"
    method: str = "POST"
    body: bytes = b""
    media_type: str = "application/octet-stream"
    command: tuple[str, ...] = ()
    # A file that the command writes in its own folder; empty where it writes to its output.
    result: str = ""


class Answer(msgspec.Struct, frozen=True):
    """What came back. `status` 0: nothing. Errors have their text as the body."""

    status: int
    seconds: float
    body: bytes


class Peer(Protocol):
    """Somebody who can be asked."""

    name: str
    what: str

    def asks(self, row: Row, corpus: Corpus) -> Sequence[Ask]:
        """The requests of one row, most often one; none where it cannot do that."""

    async def send(self, ask: Ask) -> Answer:
        """One request to its last byte."""

    def cpu_s(self) -> float:
        """What it has spent so far."""

    def memory_bytes(self) -> int:
        """What it holds now: shared pages are divided among those who share them."""


class Server:
    """A peer that answers over HTTP."""

    def __init__(
        self,
        name: str,
        what: str,
        *,
        url: str,
        pid: int,
        session: aiohttp.ClientSession,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.name, self.what = name, what
        self._url, self._pid, self._session = url, pid, session
        self._headers = dict(headers or {})

    async def send(self, ask: Ask) -> Answer:
        """Send it over a kept-alive connection."""
        headers = self._headers | ({"Content-Type": ask.media_type} if ask.body else {})
        begun = time.perf_counter()
        try:
            async with self._session.request(
                ask.method, self._url + ask.path, data=ask.body or None, headers=headers
            ) as answer:
                body = await answer.read()
                return Answer(answer.status, time.perf_counter() - begun, body)
        except (aiohttp.ClientError, TimeoutError) as error:
            return Answer(0, time.perf_counter() - begun, type(error).__name__.encode())

    def cpu_s(self) -> float:
        """Of the whole tree, from /proc."""
        return cpu.cpu_s(self._pid)

    def memory_bytes(self) -> int:
        """Of the whole tree."""
        return proportional_bytes(self._pid)


def proportional_bytes(pid: int) -> int:
    """Memory of a process and its descendants, a page that several share counted once."""
    total = 0
    for member in cpu.family_tree(pid):
        try:
            rows = Path(f"/proc/{member}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(row.split()[1]) for row in rows if row.startswith("Pss:"))
    return total * _KIB


def form(files: Sequence[tuple[str, bytes]], field: str = "file") -> tuple[bytes, str]:
    """A multipart body and its media type, encoded once for all requests."""
    parts = [
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n".encode()
        + content
        + b"\r\n"
        for name, content in files
    ]
    whole = b"".join(parts) + f"--{_BOUNDARY}--\r\n".encode()
    return whole, f"multipart/form-data; boundary={_BOUNDARY}"
