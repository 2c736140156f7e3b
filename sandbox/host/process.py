"""The two processes behind a zygote: started, watched and killed from the outside.

The guardian is our child; the zygote proper is its. Both are watched through pidfds, which asyncio
and uvloop can wait for alike and which no reuse of a pid can confuse.
"""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Self

from sandbox.spec import ZygoteSpec

# What the zygote's interpreter printed before it could speak for itself: its last lines.
_STDERR_BYTES = 2_000

# The environment of a zygote and its workers, to which a family may add. The tunables make big
# allocations fresh huge pages, keep the warm-up's own out of the heap (`jail/heap.py` lifts that
# threshold for the workers), and keep threads from reserving 64 MB of address space each.
_ENVIRONMENT = {
    "GLIBC_TUNABLES": (
        "glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=131072:glibc.malloc.arena_max=1"
    ),
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_THREAD_LIMIT": "1",
}


class ZygoteProcess:
    """A running zygote. `ended` is set when nothing of it, and so no worker, is left."""

    def __init__(self, guardian: subprocess.Popen[bytes], pidfd: int) -> None:
        self.pid = guardian.pid
        self.ended = asyncio.Event()
        self._guardian = guardian
        self._watched: set[int] = set()
        self._zygote = -1
        self._watch(pidfd)

    @classmethod
    def start(cls, order: ZygoteSpec) -> tuple[Self, socket.socket]:
        """Start one; return it and our end of its control channel. Raises OSError."""
        environment = _ENVIRONMENT | dict(order.environment)
        if order.library:
            # The loader only warns of one that it cannot find.
            Path(order.library).stat()
            environment["LD_PRELOAD"] = order.library
        ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        with its:
            try:
                # A program of its own rather than a fork of this one: its own address layout, no
                # memory of ours, no thread of uvloop's. A session of its own: Ctrl-C is for us.
                guardian = subprocess.Popen(
                    [sys.executable, "-I", "-m", "sandbox.jail.zygote"],
                    stdin=its.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    env=environment,
                    cwd="/",
                    start_new_session=True,
                )
            except OSError:
                ours.close()
                raise
        try:
            return cls(guardian, os.pidfd_open(guardian.pid)), ours
        except OSError:
            ours.close()
            guardian.kill()
            guardian.communicate()
            raise

    def adopt(self, zygote: int) -> None:
        """Watch the zygote proper as well, from when the guardian has told its pid.

        Raises OSError where there is no descriptor left for that.
        """
        # Gone already: then the guardian's end tells.
        with contextlib.suppress(ProcessLookupError):
            self._zygote = os.pidfd_open(zygote)
            self._watch(self._zygote)
        self.pid = zygote

    def kill(self) -> None:
        """End the zygote (SIGKILL); the kernel ends its workers with it. Idempotent."""
        if self._zygote in self._watched:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._zygote, signal.SIGKILL)
        elif not self.ended.is_set():
            self._guardian.kill()

    def last_words(self) -> str:
        """Return the end of what it printed while booting. Call once, for a start that failed."""
        stderr = self._guardian.stderr
        if stderr is None or stderr.closed:
            return ""
        os.set_blocking(stderr.fileno(), False)
        printed = stderr.read() or b""
        return printed[-_STDERR_BYTES:].decode("utf-8", "replace").strip()

    def stop_listening(self) -> None:
        """Close our end of its stderr: it has booted, and what it prints now is nobody's."""
        if self._guardian.stderr is not None:
            self._guardian.stderr.close()

    def _watch(self, pidfd: int) -> None:
        self._watched.add(pidfd)
        asyncio.get_running_loop().add_reader(pidfd, self._on_end, pidfd)

    def _on_end(self, pidfd: int) -> None:
        asyncio.get_running_loop().remove_reader(pidfd)
        self._watched.discard(pidfd)
        os.close(pidfd)
        if not self._watched:
            self._guardian.wait()
            self.ended.set()
