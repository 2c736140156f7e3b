"""What a worker's end means: one table from exit status and signal to an error of this package."""

import signal
from pathlib import Path

import msgspec

from sandbox import wire
from sandbox.errors import (
    SandboxError,
    WorkerCpuExceeded,
    WorkerCrashed,
    WorkerOutOfMemory,
    WorkerViolation,
    ZygoteDied,
)
from sandbox.limits import Limits

# Signals with which C and C++ give up when an allocation fails (or when a bug strikes: the memory
# that was in use decides).
_ALLOCATION_SIGNALS = frozenset(
    {signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS, signal.SIGTRAP, signal.SIGILL}
)
# Address space is always more than what was touched of it; a worker that died with half its limit
# resident was refused the rest.
_NEAR_THE_LIMIT = 0.5

_BY_SIGNAL: dict[int, tuple[type[WorkerCrashed], str]] = {
    signal.SIGSYS: (WorkerViolation, "the worker made a forbidden system call"),
    signal.SIGXCPU: (WorkerCpuExceeded, "the worker used up its CPU seconds"),
}


class WorkerExit(msgspec.Struct, frozen=True, kw_only=True):
    """How a worker ended. Of `status` and `signal` one is set; neither if nobody saw it."""

    pid: int
    status: int | None = None
    signal: int | None = None
    cpu_s: float = 0.0
    max_rss_bytes: int = 0
    # To storage. A worker has nowhere to write: anything but 0 is a leak.
    written_bytes: int = 0

    @property
    def seen(self) -> bool:
        """False if the zygote ended first: its workers were killed with it and nobody reaped."""
        return self.status is not None or self.signal is not None


def verdict(end: WorkerExit, limits: Limits, *, machine_out_of_memory: bool) -> SandboxError:
    """Return the error for a worker that ended without a complete reply.

    `machine_out_of_memory`: the kernel's out-of-memory killer was active during its life.
    """
    if not end.seen:
        return ZygoteDied("the zygote ended during the conversion; another attempt can succeed")
    kind, reason = _crash(end, limits, machine_out_of_memory=machine_out_of_memory)
    return kind(reason, signal=end.signal, status=end.status)


def _crash(
    end: WorkerExit, limits: Limits, *, machine_out_of_memory: bool
) -> tuple[type[WorkerCrashed], str]:
    memory = limits.data_bytes or limits.address_space_bytes
    near = end.max_rss_bytes >= memory * _NEAR_THE_LIMIT
    starved = (end.signal in _ALLOCATION_SIGNALS and near) or (
        end.signal == signal.SIGKILL and machine_out_of_memory
    )
    if end.status == wire.EXIT_MEMORY or starved:
        return WorkerOutOfMemory, "the worker ran out of memory"
    if end.signal is None:
        return WorkerCrashed, f"the worker ended with status {end.status} and without a reply"
    return _BY_SIGNAL.get(
        end.signal, (WorkerCrashed, f"the worker was ended by {_signal_name(end.signal)}")
    )


class OutOfMemoryWatch:
    """Notices that the kernel's out-of-memory killer struck on this machine.

    /proc/vmstat counts every kill, those of memory cgroups included.
    """

    def __init__(self) -> None:
        self._seen = _out_of_memory_kills()

    def struck(self) -> bool:
        """Say whether it struck since this was last asked."""
        before, self._seen = self._seen, _out_of_memory_kills()
        return self._seen > before


def _out_of_memory_kills() -> int:
    try:
        counters = Path("/proc/vmstat").read_text()
    except OSError:
        return 0
    return next(
        (int(line.split()[1]) for line in counters.splitlines() if line.startswith("oom_kill ")), 0
    )


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
