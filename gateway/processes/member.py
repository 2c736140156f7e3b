"""One of several gateways as its parent has it: a process, and the line it reports over.

What a gateway reports are the lines that it would tell systemd (`gateway/notify.py`): ready, how it
goes, that all is well. The line also tells a gateway that its parent is gone: it closes.
"""

import asyncio
import contextlib
import socket
import sys
from collections.abc import Callable

from gateway.processes import brief
from gateway.processes.brief import Brief

_PACKET_BYTES_MAX = 8192
# The engine's attack on its own sandbox and the ledger's connection take seconds; a gateway that
# has not come up by then never will.
START_MAX_S = 120.0


class Member:
    """A gateway process from its start to its end."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        line: socket.socket,
        ready: asyncio.Event,
        clock: Callable[[], float],
    ) -> None:
        self.ready = ready
        self.pid = process.pid
        self._process = process
        self._line = line
        self._clock = clock
        self._heard_s = clock()

    @classmethod
    async def start(cls, told: Brief, ready: asyncio.Event) -> "Member":
        """Start a gateway, which is told what it may use; `ready` is set while it serves."""
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        with theirs:
            ours.send(brief.encode(told))
            process = await asyncio.create_subprocess_exec(
                # -P: what lies in the operator's folder is no module of ours.
                *(sys.executable, "-P", "-m", "gateway.processes.child", str(theirs.fileno())),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                # Ctrl-C in a terminal is for the parent, which then stops all in order.
                start_new_session=True,
            )
        member = cls(process, ours, ready, loop.time)
        loop.add_reader(ours, member._hear)
        return member

    @property
    def running(self) -> bool:
        """Whether the process has not ended."""
        return self._process.returncode is None

    def silent_s(self) -> float:
        """For how long nothing good was heard of it."""
        return self._clock() - self._heard_s

    def send_signal(self, number: int) -> None:
        """Send a signal, if there is still somebody to get it."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    async def ended(self) -> int:
        """Wait for its end. Gives the exit code, or the negative number of a signal."""
        status = await self._process.wait()
        self.leave()
        self.ready.clear()
        return status

    def leave(self) -> None:
        """Close the line, as the end of this process would: the gateway drains and stops."""
        if self._line.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._line)
            self._line.close()

    def _hear(self) -> None:
        """Take what it reports."""
        try:
            packet = self._line.recv(_PACKET_BYTES_MAX)
        except BlockingIOError:
            return
        except OSError:
            packet = b""
        if not packet:
            # Its end follows, and is seen elsewhere; a closed line would be readable for ever.
            asyncio.get_running_loop().remove_reader(self._line)
            return
        lines = packet.decode(errors="replace").splitlines()
        if "READY=1" in lines:
            self.ready.set()
        if {"READY=1", "WATCHDOG=1"} & set(lines):
            self._heard_s = self._clock()
