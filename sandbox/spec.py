"""What the host and a zygote tell each other: the order to boot, then packets both ways.

The channel is one SOCK_SEQPACKET pair: one packet, one message, so there is no framing to get
wrong. The host sends the `ZygoteSpec` first and an `Order` at a time after it. Everything that
comes back is a `Notice`.
"""

from typing import Literal

import msgspec

from sandbox.limits import Limits

Level = Literal["strict", "container", "unsafe"]

# A notice carries at most an exception's one line or an attestation; both are far smaller.
PACKET_BYTES_MAX = 64 * 1024


class ZygoteSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What a zygote preloads, which entry its workers run, and how they are confined.

    `entry`, `warm` and `touch` are "module:function". `entry(header, inputs)` returns
    `(header, files)`; `warm()` runs once in the zygote after preloading and must leave one
    thread; `touch()` runs in every spare after confinement, before it reports READY.
    """

    # The label in names, logs and metrics.
    family: str
    preload: tuple[str, ...]
    entry: str
    warm: str
    touch: str
    limits: Limits
    level: Level
    # System calls that this family's codecs need beyond the filter's own table; no name in
    # `seccomp.NEVER` is granted to anybody.
    calls: tuple[str, ...] = ()
    # The one program that workers may execute (`jail/program.py`), by its path; "" is none.
    # Landlock lets them execute this file and, where it is linked dynamically, its loader.
    program: str = ""
    # Files and directories that workers may read, never write. Such a family keeps the machine's
    # root in place of the empty one, and Landlock alone hides the rest: what a file is called, how
    # large it is and that it exists can be seen everywhere, what it holds only here. Paths that do
    # not exist are skipped.
    reads: tuple[str, ...] = ()
    # Workers may make pairs of connected sockets whose two ends are theirs, as a browser's
    # parts do to talk to each other. No other socket.
    pairs: bool = False
    # Workers may map anonymous memory as shared, as a browser must that sees a page of its memory
    # at two addresses. The kernel keeps it like a file without a name (shmem).
    shares: bool = False
    # A shared library that is loaded into the zygote before everything else, by its path.
    library: str = ""
    # Environment variables of the zygote and its workers besides those that all have.
    environment: tuple[tuple[str, str], ...] = ()
    # Conversions a worker serves before it exits, where its `Spawn` order says nothing else. 1 is
    # the promise; more is for benches.
    uses: int = 1
    # For tests only: confinement steps to leave out, so that an attack test can be seen to fail.
    # Refused on both sides unless the level is `unsafe`.
    omit: frozenset[str] = frozenset()


class Attestation(msgspec.Struct, frozen=True, kw_only=True):
    """What a zygote found true of its workers, by attack, before the first one was forked."""

    level: Level
    # Names of confinement steps (`sandbox/jail/confine.py`): in force, and not in force.
    layers: tuple[str, ...]
    missing: tuple[str, ...]
    # Names of attacks (`sandbox/jail/probe.py`) that a throw-away worker tried.
    refused: tuple[str, ...]
    succeeded: tuple[str, ...]
    # 0 where the kernel has no Landlock.
    landlock_abi: int
    kernel: str
    machine: str


class WorkerAttestation(msgspec.Struct, frozen=True, array_like=True):
    """What a worker says of itself in READY: the layers active in this very process."""

    layers: tuple[str, ...]


class Spawn(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Fork one worker. The worker's ends of the up and the down pipe ride on this packet.

    `uses`: after so many conversions it exits of itself, whatever the host thinks. `touch`: it runs
    the tiny conversion first; not where somebody waits for the core that this would take.
    """

    request: int
    uses: int = 1
    touch: bool = True


class Renew(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """A worker of several uses begins the next: it has all of its CPU seconds again."""

    pid: int


Order = Spawn | Renew


class Started(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """The zygote proper was forked; `pid` is its pid as its parent, and so the host, sees it."""

    pid: int


class Booted(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Preloaded, confined, attacked, and ready to fork."""

    attestation: Attestation


class BootRefused(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """The zygote will not serve. `sentence` says what is missing and what to do about it."""

    sentence: str


class Forked(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """A worker exists. Its pidfd rides on this packet; `pid` is its pid in the zygote's view."""

    request: int
    pid: int


class SpawnFailed(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """No worker could be forked for this request (`error` is the errno)."""

    request: int
    error: int


class Exited(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """A worker ended and was reaped. `status` is the wait status of wait(2)."""

    pid: int
    status: int
    cpu_s: float
    max_rss_bytes: int
    # What it caused to be written to storage, as the kernel counts. Anything but 0 is a leak.
    written_bytes: int = 0


Notice = Started | Booted | BootRefused | Forked | SpawnFailed | Exited
