"""The zygote: preloaded once, confined, and from then on a loop that forks workers.

    python -I -m sandbox.jail.zygote        with the control channel as descriptor 0

Two processes come of it. The guardian preloads, becomes nobody, leaves the machine's namespaces
and forks the zygote proper, which is PID 1 of the new pid namespace: when that ends, the kernel
kills every worker. The guardian then only waits, so that the host has a child to wait for.

The zygote never reads a customer's byte and never runs a second thread (fork copies only the
calling one, with the locks of the others held). It exits when the host closes the channel.
"""

import contextlib
import errno
import gc
import importlib
import os
import platform
import select
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from sandbox import spec, wire
from sandbox.jail import descriptors, forks, heap, landlock, privileges, probe, rlimits, syscalls
from sandbox.jail.child import Entry, Touch, become_worker, sentence
from sandbox.jail.confine import NAMES, STEPS, Jail, Refused, Where, confine, take

EXIT_BOOT_REFUSED = 78

_KIB = 1024
# What getrusage(2) counts output in, and how many descriptors ride on a Spawn order.
_BLOCK = 512
_PIPES = 2


def main() -> None:
    """Boot, fork the zygote, and serve there or wait here. Never returns."""
    control = socket.socket(fileno=descriptors.CONTROL)
    status = EXIT_BOOT_REFUSED
    try:
        jail, entry, touch = _preload(control)
        confine(jail, Where.GUARDIAN)
        guardian = os.getpid()
        inside = "pid-namespace" in jail.active
        if zygote := os.fork():
            _report(control, spec.Started(zygote))
            status = _guard(zygote)
        else:
            privileges.die_with_parent(0 if inside else guardian)
            _settle(jail)
            Zygote(control, jail, entry, touch).serve()
            status = 0
    except BaseException as failure:  # noqa: BLE001 - told to the host; a traceback goes nowhere
        _report(control, spec.BootRefused(sentence(failure)))
    finally:
        os._exit(status)


def _preload(control: socket.socket) -> tuple[Jail, Entry, Touch]:
    order = msgspec.msgpack.decode(control.recv(spec.PACKET_BYTES_MAX), type=spec.ZygoteSpec)
    if order.omit and order.level != "unsafe":
        raise Refused('confinement steps can be left out only at isolation = "unsafe"')
    if unknown := order.omit - NAMES:
        raise Refused(f"no such confinement steps: {', '.join(sorted(unknown))}")
    # The terminal's interrupt is the gateway's to handle.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with descriptors.pipes_places_taken():
        if order.program:
            descriptors.hold_program(order.program)
            privileges.empty_core_dumps()
        for module in order.preload:
            importlib.import_module(module)
        entry, warm, touch = (_resolve(name) for name in (order.entry, order.warm, order.touch))
        warm()
    _KEPT.append(syscalls.touch_closures())
    threads = list(Path("/proc/self/task").iterdir())
    if len(threads) != 1:
        raise Refused(
            f"preloading {', '.join(order.preload)} left {len(threads)} threads running; a zygote "
            "that forks must have one: keep such a library's first operation out of warm()"
        )
    return Jail(order), entry, touch


def _resolve(name: str) -> Callable[..., Any]:
    module, _, function = name.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), function)
    return found


# Nothing else refers to libffi's closure, and freeing it would give its page back.
_KEPT: list[object] = []


def _guard(zygote: int) -> int:
    """Wait for the zygote and end as it ended, meanwhile with nothing open and nothing allowed."""
    descriptors.close_all()
    # It reads nothing from anybody; this only keeps it from being worth an attack.
    with contextlib.suppress(OSError):
        privileges.forbid_new_privileges()
        privileges.drop_capabilities()
    _, status = os.waitpid(zygote, 0)
    return os.waitstatus_to_exitcode(status) & 0xFF


def _settle(jail: Jail) -> None:
    """Confine this process and make it cheap to fork."""
    # From here on nobody hears what is printed: stderr told the host of a start that failed.
    os.dup2(1, 2)
    sys.stdin = sys.stdout = sys.stderr = None
    stray = descriptors.open_now() - {0, 1, 2} - {rule.descriptor for rule in jail.granted}
    if jail.spec.program:
        stray.discard(descriptors.PROGRAM)
    jail.random_sources = descriptors.random_sources(stray)
    if stray := stray - jail.random_sources:
        raise Refused(f"preloading left descriptors open: {sorted(stray)}")
    confine(jail, Where.ZYGOTE)
    jail.prepare()
    # Frozen objects and a collector at rest keep the interpreter's pages shared with the children.
    gc.collect()
    gc.freeze()
    gc.disable()
    heap.settle()


class Zygote:
    """The fork loop: orders in from the control channel, notices out."""

    def __init__(self, control: socket.socket, jail: Jail, entry: Entry, touch: Touch) -> None:
        self._control = control
        self._jail = jail
        self._entry = entry
        self._touch = touch
        self._pid = os.getpid()
        self._poll = select.poll()
        self._poll.register(control, select.POLLIN)
        # pidfd: pid, of the workers alive.
        self._workers: dict[int, int] = {}
        self._orders: msgspec.msgpack.Decoder[spec.Order] = msgspec.msgpack.Decoder(spec.Order)

    def serve(self) -> None:
        """Attack itself, say what it found, and fork on demand until the host hangs up."""
        _report(self._control, spec.Booted(self._try_out()))
        while True:
            for descriptor, _ in self._poll.poll():
                if descriptor != descriptors.CONTROL:
                    self._reap(descriptor)
                elif not self._obey():
                    return

    def _obey(self) -> bool:
        """Take one order; False when the host has hung up."""
        packet, pipes, _, _ = socket.recv_fds(self._control, spec.PACKET_BYTES_MAX, _PIPES)
        if not packet:
            return False
        try:
            match self._orders.decode(packet):
                case spec.Spawn() as order:
                    self._spawn(order, pipes)
                case spec.Renew(pid):
                    self._renew(pid)
        finally:
            for pipe in pipes:
                os.close(pipe)
        return True

    def _spawn(self, order: spec.Spawn, pipes: list[int]) -> None:
        if len(pipes) < _PIPES:  # they did not fit into this process
            _report(self._control, spec.SpawnFailed(order.request, errno.EMFILE))
            return
        try:
            pid = forks.fork()
        except OSError as failure:
            _report(self._control, spec.SpawnFailed(order.request, failure.errno or 0))
            return
        if pid == 0:
            self._jail.uses = order.uses
            touch = self._touch if order.touch else _untouched
            become_worker(self._jail, self._entry, touch, (pipes[0], pipes[1]), self._pid)
        try:
            pidfd = os.pidfd_open(pid)
        except OSError as failure:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            _report(self._control, spec.SpawnFailed(order.request, failure.errno or 0))
            return
        self._workers[pidfd] = pid
        self._poll.register(pidfd, select.POLLIN)
        notice = msgspec.msgpack.encode(spec.Forked(order.request, pid))
        socket.send_fds(self._control, [notice], [pidfd])

    def _renew(self, pid: int) -> None:
        # One that has ended meanwhile needs no more.
        if pid in self._workers.values():
            with contextlib.suppress(OSError):
                rlimits.renew_cpu(pid, self._jail.spec.limits)

    def _reap(self, pidfd: int) -> None:
        pid = self._workers.pop(pidfd)
        self._poll.unregister(pidfd)
        os.close(pidfd)
        executes = bool(self._jail.spec.program)
        if executes:
            _end_group(pid)
        _, status, usage = os.wait4(pid, 0)
        if executes:
            _reap_group(pid)
        _report(
            self._control,
            spec.Exited(
                pid,
                status,
                cpu_s=usage.ru_utime + usage.ru_stime,
                max_rss_bytes=usage.ru_maxrss * _KIB,
                written_bytes=usage.ru_oublock * _BLOCK,
            ),
        )

    def _try_out(self) -> spec.Attestation:
        """Let a throw-away worker attack its own confinement, and judge. Raises Refused."""
        trial = msgspec.msgpack.decode(self._in_a_child(self._attack), type=_Trial)
        if trial.refusal:
            raise Refused(trial.refusal)
        layers = {attack.name: attack.layer for attack in (*self._walls(), *self._filtered())}
        level = self._jail.spec.level
        for name in trial.succeeded:
            accepted = level == "unsafe" or layers[name] in trial.missing
            if not accepted:
                raise Refused(
                    f"the sandbox layer {layers[name]} is in place and does not hold: a confined "
                    f'process could {name}; only isolation = "unsafe" starts like this'
                )
        return spec.Attestation(
            level=level,
            layers=tuple(trial.active),
            missing=tuple(trial.missing),
            refused=tuple(name for name in layers if name not in trial.succeeded),
            succeeded=tuple(trial.succeeded),
            landlock_abi=self._jail.landlock_abi,
            kernel=platform.release(),
            machine=platform.machine(),
        )

    def _attack(self) -> bytes:
        """Take a worker's steps one by one and attack between them, in the throw-away child."""
        jail, succeeded, refusal = self._jail, list[str](), ""
        try:
            for step in STEPS:
                if step.where is not Where.WORKER:
                    continue
                take(jail, step)
                if step.name == "descriptors":
                    succeeded += probe.successes(self._walls())
            succeeded += probe.successes(self._filtered())
        except Exception as failure:  # noqa: BLE001 - told to the host
            refusal = sentence(failure)
        return msgspec.msgpack.encode(_Trial(jail.active, jail.missing, succeeded, refusal))

    def _walls(self) -> tuple[probe.Attack, ...]:
        signals = self._jail.landlock_abi >= landlock.ABI_SCOPES
        return probe.walls(signals=signals, reads=bool(self._jail.spec.reads))

    def _filtered(self) -> tuple[probe.Attack, ...]:
        return probe.filtered(self._jail.spec)

    def _in_a_child(self, task: Callable[[], bytes]) -> bytes:
        """Run `task` in a child that has a worker's pipes, and return what it returned."""
        up, down = os.pipe(), os.pipe()
        child = os.fork()
        if child == 0:
            try:
                descriptors.take_pipes(up[0], down[1])
                os.write(descriptors.DOWN, task())
            finally:
                os._exit(wire.EXIT_DONE)
        for end in (*up, down[1]):
            os.close(end)
        with os.fdopen(down[0], "rb") as answer:
            told = answer.read()
        _, status = os.waitpid(child, 0)
        if not told:
            raise Refused(f"the self-attack ended without a word (wait status {status})")
        return told


def _end_group(worker: int) -> None:
    """End what a dead worker left running. Not reaped yet, it still keeps its group's number.

    A fork in one of its members either sees this signal and fails, or its child gets it too.
    """
    with contextlib.suppress(ProcessLookupError):
        os.killpg(worker, signal.SIGKILL)


def _reap_group(worker: int) -> None:
    """Wait for what a dead worker did not wait for: as orphans they became the zygote's."""
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-worker, 0)


def _untouched() -> None:
    """Leave a worker's pages as they are; its conversion will touch them."""


class _Trial(msgspec.Struct, array_like=True):
    active: list[str]
    missing: list[str]
    succeeded: list[str]
    refusal: str


def _report(control: socket.socket, notice: spec.Notice) -> None:
    control.send(msgspec.msgpack.encode(notice))


if __name__ == "__main__":
    main()
