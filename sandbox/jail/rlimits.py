"""Resource limits: how much a worker may have of everything the kernel counts.

They bound what goes wrong rather than who gets out, and they are a second lock on several doors:
no file can grow, no descriptor can be made, no process can be forked.
"""

import math
import resource
import time

from sandbox.limits import Limits
from sandbox.spec import ZygoteSpec

# A zygote holds its control channel and a pidfd a worker; a pool has tens of workers.
_ZYGOTE_DESCRIPTORS = 1024
# The kernel counts tasks per user, not per worker: enough for every worker of a pool to have its
# threads. What bounds the threads of one worker is its address space.
_TASKS_OF_A_POOL = 1024
_WORKERS_OF_A_POOL = 64
# Of a worker that executes a program or reads files: pipes, and what it opens. A browser with a
# page of many fonts has some two hundred.
_DESCRIPTORS = 512
# A core dump that is piped to a program ignores a limit of 0, and takes 1 as "none at all" (the
# kernel's fs/coredump.c); a file of one byte is below the least size of any core file.
_NO_CORE_ANYWHERE = 1
# User and system time in ticks: what RLIMIT_CPU counts (linux/posix-timers.h).
_CPUCLOCK_PROF = 0


def limit_zygote(*, executes: bool) -> None:
    """Set what workers inherit. Raises OSError.

    `executes`: a program that a worker executes is a fresh process image, dumpable again whatever
    the worker was, so what its core would hold is taken away as well.
    """
    for name, value in (
        (resource.RLIMIT_FSIZE, 0),  # no file grows, not even one that was left open
        (resource.RLIMIT_CORE, _NO_CORE_ANYWHERE if executes else 0),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
        (resource.RLIMIT_NOFILE, _ZYGOTE_DESCRIPTORS),
    ):
        _limit(name, value)


def limit_worker(spec: ZygoteSpec, uses: int) -> None:
    """Set what one worker may use. Raises OSError."""
    limits = spec.limits
    _limit(resource.RLIMIT_AS, limits.address_space_bytes)
    if limits.data_bytes:
        _limit(resource.RLIMIT_DATA, limits.data_bytes)
    # SIGXCPU at the soft limit says why; SIGKILL at the hard one does not ask. The kernel counts
    # from the fork, so in a worker of several uses the zygote moves the soft one along, from use
    # to use (`renew_cpu`); nobody can move the hard one.
    resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu_s, limits.cpu_s * uses + 1))
    tasks = max(_TASKS_OF_A_POOL, limits.threads * _WORKERS_OF_A_POOL)
    _limit(resource.RLIMIT_NPROC, tasks if limits.threads or spec.program else 0)
    # Open ones stay; nothing that makes a descriptor can succeed, whatever its name.
    _limit(resource.RLIMIT_NOFILE, _DESCRIPTORS if spec.program or spec.reads else 0)


def renew_cpu(pid: int, limits: Limits) -> None:
    """Give a child of this process its CPU seconds again. Raises OSError."""
    hard = resource.prlimit(pid, resource.RLIMIT_CPU)[1]
    soft = math.ceil(time.clock_gettime(_cpu_clock(pid))) + limits.cpu_s
    resource.prlimit(pid, resource.RLIMIT_CPU, (min(soft, hard - 1), hard))


def _cpu_clock(pid: int) -> int:
    """Return the clock of another process's CPU time, as clock_getcpuclockid(3) makes it."""
    return ~pid << 3 | _CPUCLOCK_PROF


def _limit(name: int, value: int) -> None:
    hard = resource.getrlimit(name)[1]
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(name, (value, value))
