"""Resource limits: how much a worker may have of everything the kernel counts.

They bound what goes wrong rather than who gets out, and they are a second lock on several doors:
no file can grow, no descriptor can be made, no process can be forked.
"""

import resource

from sandbox.limits import Limits

# A zygote holds its control channel and a pidfd a worker; a pool has tens of workers.
_ZYGOTE_DESCRIPTORS = 1024
# The kernel counts tasks per user, not per worker: enough for every worker of a pool to have its
# threads. What bounds the threads of one worker is its address space.
_TASKS_OF_A_POOL = 1024


def limit_zygote() -> None:
    """Set what workers inherit. Raises OSError."""
    for name, value in (
        (resource.RLIMIT_FSIZE, 0),  # no file grows, not even one that was left open
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
        (resource.RLIMIT_NOFILE, _ZYGOTE_DESCRIPTORS),
    ):
        _limit(name, value)


def limit_worker(limits: Limits, uses: int) -> None:
    """Set what one worker may use. Raises OSError."""
    _limit(resource.RLIMIT_AS, limits.address_space_bytes)
    # SIGXCPU at the soft limit says why; SIGKILL a second later does not ask. The kernel counts
    # from the fork, so a worker of several uses gets them all at once.
    cpu_s = limits.cpu_s * uses
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 1))
    _limit(resource.RLIMIT_NPROC, _TASKS_OF_A_POOL if limits.threads else 0)
    # Open ones stay; nothing that makes a descriptor can succeed, whatever its name.
    _limit(resource.RLIMIT_NOFILE, 0)


def _limit(name: int, value: int) -> None:
    hard = resource.getrlimit(name)[1]
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(name, (value, value))
