"""Programs of ours as processes of their own, forked from one that has loaded them.

Python and what the service imports take a second of CPU before a command does anything, and tests
run hundreds of commands. A child has its own arguments, environment, folder, streams, signals and
end, and shares with the others only that nothing is imported again. What a test needs of the
installed command itself, its start included, it asks of `subprocess`.

    python -m tests.gateway.nursery         with the control channel as descriptor 0
"""

import functools
import gc
import importlib
import os
import selectors
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import msgspec

COMMAND = "gateway.cli.command"
_PROGRAMS = (COMMAND, "tests.gateway.killed_at", "tests.gateway.task_killed_at")
_ROOT = Path(__file__).parents[2]
# An environment may be large; a packet must hold it.
_PACKET_BYTES_MAX = 128 * 1024
# Above every descriptor that a nursery has.
_HIGHEST = 65_536


class _Order(msgspec.Struct, frozen=True):
    """What a child is and where."""

    program: str
    arguments: list[str]
    environ: dict[str, str]


class Child:
    """One process, used as a `subprocess.Popen` is."""

    def __init__(self, line: socket.socket) -> None:
        packet, [self._pidfd], _, _ = socket.recv_fds(line, _PACKET_BYTES_MAX, 1)
        self.pid = msgspec.msgpack.decode(packet, type=int)
        self.returncode: int | None = None
        self._line = line

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, or the negative number of its signal. Raises TimeoutExpired."""
        if self.returncode is None:
            self._line.settimeout(timeout)
            try:
                packet = self._line.recv(_PACKET_BYTES_MAX)
            except TimeoutError:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0) from None
            self.returncode = msgspec.msgpack.decode(packet, type=int)
            self._line.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def __del__(self) -> None:
        os.close(self._pidfd)


def start(
    program: str, arguments: Sequence[str], streams: Sequence[int], environ: Mapping[str, str]
) -> Child:
    """Fork it, in the project's folder; `streams` are its input, output and error output."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    order = _Order(program, list(arguments), dict(environ))
    with theirs:
        packet = msgspec.msgpack.encode(order)
        socket.send_fds(_nursery(), [packet], [*streams, theirs.fileno()])
    return Child(ours)


def run(
    program: str,
    arguments: Sequence[str],
    *,
    stdin: bytes,
    environ: Mapping[str, str],
    timeout_s: float,
) -> "subprocess.CompletedProcess[bytes]":
    """Run it to its end, its streams pipes. Raises TimeoutExpired, and it has ended then too."""
    (its_in, our_in), (our_out, its_out), (our_err, its_err) = (os.pipe() for _ in range(3))
    child = start(program, arguments, (its_in, its_out, its_err), environ)
    for descriptor in (its_in, its_out, its_err):
        os.close(descriptor)
    with ThreadPoolExecutor(3) as pool:
        told = pool.submit(_tell, our_in, stdin)
        out, err = (pool.submit(_heard, descriptor) for descriptor in (our_out, our_err))
        try:
            code = child.wait(timeout_s)
        finally:
            child.kill()
        told.result()
        return subprocess.CompletedProcess(
            [program, *arguments], code, stdout=out.result(), stderr=err.result()
        )


def _tell(descriptor: int, content: bytes) -> None:
    with suppress(BrokenPipeError), open(descriptor, "wb", buffering=0) as stream:
        stream.write(content)


def _heard(descriptor: int) -> bytes:
    with open(descriptor, "rb") as stream:
        return stream.read()


@functools.cache
def _nursery() -> socket.socket:
    """The channel to this process's own; that it closes is how the nursery learns of the end."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    plain = {name: text for name, text in os.environ.items() if not name.startswith("EPHEMERA")}
    with theirs:
        subprocess.Popen(
            [sys.executable, "-m", "tests.gateway.nursery"],
            stdin=theirs,
            cwd=_ROOT,
            env=plain | {"NO_COLOR": "1"},
        )
    return ours


def main() -> None:
    """Load everything, then fork whatever is asked for."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in _PROGRAMS:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    if born := _tend():
        order, streams = born
        _become(order, streams)
        sys.modules[order.program].main()


def _tend() -> tuple[_Order, list[int]] | None:
    """Fork and wait for children, until the channel closes. Gives a child what it shall be."""
    with socket.socket(fileno=0) as control, selectors.DefaultSelector() as selector:
        selector.register(control, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.data:
                    selector.unregister(key.fd)
                    _report(key.fd, *key.data)
                    continue
                packet, streams, _, _ = socket.recv_fds(control, _PACKET_BYTES_MAX, 4)
                if not packet:
                    return None
                if not (pid := os.fork()):
                    return msgspec.msgpack.decode(packet, type=_Order), streams
                line = socket.socket(fileno=streams.pop())
                pidfd = os.pidfd_open(pid)
                socket.send_fds(line, [msgspec.msgpack.encode(pid)], [pidfd])
                selector.register(pidfd, selectors.EVENT_READ, (pid, line))
                for descriptor in streams:
                    os.close(descriptor)


def _report(pidfd: int, pid: int, line: socket.socket) -> None:
    """Say how a child ended to whoever still wants to know."""
    _, status = os.waitpid(pid, 0)
    os.close(pidfd)
    with line, suppress(OSError):
        line.send(msgspec.msgpack.encode(os.waitstatus_to_exitcode(status)))


def _become(order: _Order, streams: Sequence[int]) -> None:
    """Be what a fresh interpreter would be."""
    for place, descriptor in enumerate(streams[:3]):
        os.dup2(descriptor, place)
    os.closerange(3, _HIGHEST)
    os.environ.clear()
    os.environ.update(order.environ)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = [order.program, *order.arguments]
    # Closed by the end of the process.
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115


if __name__ == "__main__":
    main()
