"""What systemd is told (sd_notify(3)): ready, stopping, a line of status, and that all is well.

The protocol is lines in one datagram to the socket that NOTIFY_SOCKET names. Without systemd there
is no such variable, and every call does nothing. A message that cannot be sent is dropped: a
service must not fail of its own announcements.

The watchdog: systemd restarts a service that does not say `WATCHDOG=1` for WatchdogSec. It is said
by a task of the event loop, so a loop that hangs does not say it; nor does a service whose engine
has no zygote at all. A database that is away is no reason to restart: it would be away then too.
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable, MutableMapping
from contextlib import asynccontextmanager, suppress
from typing import Self

import msgspec

# systemd's advice: half of the time, so that one late beat is no death.
BEATS = 2
# Without a watchdog the line of status is still worth a beat now and then.
STATUS_S = 10.0
MICROSECOND = 1e-6


class Pulse(msgspec.Struct, frozen=True):
    """How the service is: whether it should live on, and in words."""

    healthy: bool
    status: str


class Notifier:
    """Sends to systemd; does nothing where there is none."""

    def __init__(self, address: str | None = None, watchdog_s: float | None = None) -> None:
        self._address = address
        # How often somebody wants to hear that all is well; None: nobody asks.
        self.watchdog_s = watchdog_s

    @classmethod
    def taken_from(cls, environ: MutableMapping[str, str]) -> Self:
        """Read systemd's variables and remove them: they are not for our children."""
        address = environ.pop("NOTIFY_SOCKET", "")
        microseconds = environ.pop("WATCHDOG_USEC", "")
        meant_for = environ.pop("WATCHDOG_PID", str(os.getpid()))
        beats = microseconds.isdigit() and int(microseconds) > 0 and meant_for == str(os.getpid())
        return cls(address or None, int(microseconds) * MICROSECOND if beats else None)

    @asynccontextmanager
    async def telling(self, pulse: Callable[[], Pulse]) -> AsyncIterator[None]:
        """Say that the service has started, and for the block how it goes."""
        self.tell("READY=1", f"STATUS={pulse().status}")
        task = asyncio.create_task(self._keep_telling(pulse))
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def stopping(self) -> None:
        """Say that the service is about to end."""
        self.tell("STOPPING=1", "STATUS=finishing what runs")

    def beat(self, pulse: Pulse) -> None:
        """Say how it goes, and that all is well if it is."""
        alive = ("WATCHDOG=1",) if pulse.healthy and self.watchdog_s else ()
        self.tell(*alive, f"STATUS={pulse.status}")

    async def _keep_telling(self, pulse: Callable[[], Pulse]) -> None:
        while self._address is not None:
            self.beat(pulse())
            await asyncio.sleep((self.watchdog_s or STATUS_S * BEATS) / BEATS)

    def tell(self, *lines: str) -> None:
        """Send these lines; without anybody to hear them, nothing."""
        if self._address is None:
            return
        # A leading @ stands for the zero byte of an abstract address.
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        kind = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        with socket.socket(socket.AF_UNIX, kind) as sock:
            try:
                sock.sendto("\n".join(lines).encode(), address)
            except OSError:
                return
