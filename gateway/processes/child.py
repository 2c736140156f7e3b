"""One of several gateways as itself: an ordinary one that reports to its parent.

    python -m gateway.processes.child 5         with the line to the parent as descriptor 5

When the parent is gone, however it went, the gateway drains and stops as it would at a SIGTERM: the
parent's successor finds the address free.
"""

import asyncio
import contextlib
import os
import signal
import socket
import sys

from engine.errors import EngineError
from gateway import logs, server
from gateway.cli.terminal import complain, exit_for, run
from gateway.errors import GatewayError
from gateway.notify import Notifier
from gateway.processes import brief
from gateway.processes.brief import Brief
from ledger.errors import LedgerError


class Reporter(Notifier):
    """Tells the parent what a gateway on its own tells systemd."""

    def __init__(self, line: socket.socket, watchdog_s: float) -> None:
        super().__init__("the parent", watchdog_s)
        self._line = line

    def tell(self, *lines: str) -> None:
        """Send, and never fail of it."""
        with contextlib.suppress(OSError):
            self._line.send("\n".join(lines).encode())


def main() -> int:
    """Serve until a signal, or until the parent is gone."""
    with socket.socket(fileno=int(sys.argv[1])) as line:
        told = brief.decode(line.recv(brief.BYTES_MAX))
        line.setblocking(False)
        # Not for our own children: the parent is to see our end.
        os.set_inheritable(line.fileno(), False)
        logs.configure(told.settings.log.level, told.settings.log.format)
        try:
            run(_serve(told, line))
        except (EngineError, GatewayError, LedgerError) as error:
            complain(str(error))
            return exit_for(error)
    return 0


async def _serve(told: Brief, line: socket.socket) -> None:
    loop = asyncio.get_running_loop()

    def gone() -> None:
        loop.remove_reader(line)
        os.kill(os.getpid(), signal.SIGTERM)

    # The parent says nothing more: what can be read is its end.
    loop.add_reader(line, gone)
    try:
        await server.serve(
            told.settings,
            lambda _news: None,
            notifier=Reporter(line, told.watchdog_s),
            group=told.group,
        )
    finally:
        loop.remove_reader(line)


if __name__ == "__main__":
    sys.exit(main())
