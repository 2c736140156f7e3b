"""What each kind of end is called: the table, without processes."""

import signal

import pytest

from sandbox.errors import (
    WorkerCpuExceeded,
    WorkerCrashed,
    WorkerOutOfMemory,
    WorkerViolation,
    ZygoteDied,
)
from sandbox.host.verdict import OutOfMemoryWatch, WorkerExit, verdict
from sandbox.limits import MIB, Limits

LIMITS = Limits(address_space_bytes=100 * MIB)
NEAR, FAR = 60 * MIB, 40 * MIB


@pytest.mark.parametrize(
    ("end", "machine", "error"),
    [
        (WorkerExit(pid=4, status=0), False, WorkerCrashed),
        (WorkerExit(pid=4, status=70), False, WorkerCrashed),
        (WorkerExit(pid=4, status=71), False, WorkerOutOfMemory),
        (WorkerExit(pid=4, signal=signal.SIGSYS), False, WorkerViolation),
        (WorkerExit(pid=4, signal=signal.SIGXCPU), False, WorkerCpuExceeded),
        (WorkerExit(pid=4, signal=signal.SIGSEGV, max_rss_bytes=FAR), False, WorkerCrashed),
        (WorkerExit(pid=4, signal=signal.SIGSEGV, max_rss_bytes=NEAR), False, WorkerOutOfMemory),
        (WorkerExit(pid=4, signal=signal.SIGABRT, max_rss_bytes=NEAR), False, WorkerOutOfMemory),
        (WorkerExit(pid=4, signal=signal.SIGKILL, max_rss_bytes=NEAR), False, WorkerCrashed),
        (WorkerExit(pid=4, signal=signal.SIGKILL), True, WorkerOutOfMemory),
        (WorkerExit(pid=4, signal=signal.SIGSEGV), True, WorkerCrashed),
        (WorkerExit(pid=4, signal=250), False, WorkerCrashed),
        (WorkerExit(pid=4), False, ZygoteDied),
    ],
)
def test_an_end_has_one_name(end: WorkerExit, machine: bool, error: type[Exception]) -> None:
    assert type(verdict(end, LIMITS, machine_out_of_memory=machine)) is error


def test_memory_is_watched_from_now_on() -> None:
    assert not OutOfMemoryWatch().struck()


@pytest.mark.parametrize(
    ("end", "label"),
    [
        (WorkerExit(pid=4, signal=signal.SIGSEGV), "segfault"),
        (WorkerExit(pid=4, signal=signal.SIGABRT), "abort"),
        (WorkerExit(pid=4, signal=signal.SIGBUS), "bus"),
        (WorkerExit(pid=4, signal=signal.SIGKILL), "killed"),
        (WorkerExit(pid=4, signal=signal.SIGILL), "crashed"),
        (WorkerExit(pid=4, status=3), "exit"),
        (WorkerExit(pid=4, signal=signal.SIGSYS), "violation"),
        (WorkerExit(pid=4, signal=signal.SIGXCPU), "cpu"),
    ],
)
def test_each_crash_is_counted_under_its_own_label(end: WorkerExit, label: str) -> None:
    assert verdict(end, LIMITS, machine_out_of_memory=False).reason == label
