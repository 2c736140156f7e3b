"""What this kernel offers and how it is set, for people: `ephemera doctor` prints it.

A fact is a finding, not a verdict: whether the sandbox holds is decided by attack when a zygote
starts. Reading them costs a few files and one short-lived process.
"""

import ctypes
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

# The same number on x86_64 and aarch64; the flag asks for the version.
_LANDLOCK_CREATE_RULESET = 444
_LANDLOCK_VERSION = 1
_LANDLOCK_ABI_STRICT = 3
_NAMESPACES_STRICT = ("user", "network", "ipc", "uts", "mount", "pid")
_PIPE_BYTES_WANTED = 1024 * 1024
_PROBE_S = 30


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Something to mend. `blocks_strict`: the default isolation cannot start like this."""

    sentence: str
    fix: str
    blocks_strict: bool = False


class KernelFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the kernel said. None and empty strings stand for what could not be read."""

    release: str
    machine: str
    # 0: no Landlock. 3 is what strict needs, 6 also confines signals.
    landlock_abi: int
    seccomp_filter: bool
    # Kinds of namespaces that this user can make, in the order of _NAMESPACES_STRICT.
    namespaces: tuple[str, ...]
    # "always", "madvise" or "never".
    transparent_hugepages: str
    # Swap areas in use: a page of a worker could be written to one of them.
    swap: tuple[str, ...]
    # This control group may not use them (memory.swap.max is 0).
    swap_is_forbidden: bool
    core_pattern: str
    pipe_max_bytes: int
    # Pages are wiped when they are freed, rather than when they are next given out.
    init_on_free: bool

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What to mend, the gravest first."""
        return tuple(_judge(self))


def kernel_facts() -> KernelFacts:
    """Read the facts of this machine. Blocks for some tens of milliseconds."""
    return KernelFacts(
        release=platform.release(),
        machine=platform.machine(),
        landlock_abi=_landlock_abi(),
        seccomp_filter="Seccomp_filters:" in _read("/proc/self/status"),
        namespaces=_namespaces(),
        transparent_hugepages=_chosen(_read("/sys/kernel/mm/transparent_hugepage/enabled")),
        swap=tuple(line.split()[0] for line in _read("/proc/swaps").splitlines()[1:]),
        swap_is_forbidden=_swap_is_forbidden(),
        core_pattern=_read("/proc/sys/kernel/core_pattern").strip(),
        pipe_max_bytes=int(_read("/proc/sys/fs/pipe-max-size") or 0),
        init_on_free="init_on_free=1" in _read("/proc/cmdline").split(),
    )


def _judge(facts: KernelFacts) -> Iterator[Problem]:
    if facts.machine not in {"x86_64", "aarch64"}:
        yield Problem(
            sentence=f"there is no system-call filter for {facts.machine}",
            fix="run on x86_64 or aarch64",
            blocks_strict=True,
        )
    if not facts.seccomp_filter:
        yield Problem(
            sentence="the kernel has no system-call filters",
            fix="use a kernel with CONFIG_SECCOMP_FILTER",
            blocks_strict=True,
        )
    if facts.landlock_abi < _LANDLOCK_ABI_STRICT:
        yield Problem(
            sentence=f"Landlock is at ABI {facts.landlock_abi}, strict isolation needs 3",
            fix="use Linux 6.2 or later with landlock among its security modules (lsm=landlock,…)",
            blocks_strict=True,
        )
    lacking = [name for name in _NAMESPACES_STRICT if name not in facts.namespaces]
    if lacking:
        yield Problem(
            sentence=f"this user cannot make these namespaces: {', '.join(lacking)}",
            fix="allow user namespaces (sysctl user.max_user_namespaces, "
            "kernel.apparmor_restrict_unprivileged_userns=0 or an AppArmor profile), or set "
            'isolation = "container" where a container isolates the service',
            blocks_strict=True,
        )
    if facts.swap and not facts.swap_is_forbidden:
        yield Problem(
            sentence=f"memory can be written to swap: {', '.join(facts.swap)}",
            fix="swapoff -a, or give the service memory.swap.max=0 (MemorySwapMax=0 in systemd)",
        )
    if facts.core_pattern.startswith("|"):
        yield Problem(
            sentence="core dumps go to a program, which ignores the limit on their size; workers "
            "forbid theirs otherwise, the gateway does not",
            fix="set kernel.core_pattern=core, or keep the gateway out of its reach",
        )
    if facts.transparent_hugepages not in {"always", "madvise"}:
        yield Problem(
            sentence="huge pages are off: a large conversion costs up to a third more",
            fix="echo madvise > /sys/kernel/mm/transparent_hugepage/enabled",
        )
    if facts.pipe_max_bytes < _PIPE_BYTES_WANTED:
        yield Problem(
            sentence=f"pipes are limited to {facts.pipe_max_bytes} bytes: files cross more slowly",
            fix="sysctl fs.pipe-max-size=1048576",
        )
    if not facts.init_on_free:
        yield Problem(
            sentence="the kernel wipes freed memory when it next gives it out, not at once",
            fix="boot with init_on_free=1 if that matters here (it costs 3 to 5 % on the average)",
        )


def _landlock_abi() -> int:
    syscall = ctypes.CDLL(None).syscall
    syscall.restype = ctypes.c_long
    version = syscall(
        ctypes.c_long(_LANDLOCK_CREATE_RULESET),
        None,
        ctypes.c_long(0),
        ctypes.c_long(_LANDLOCK_VERSION),
    )
    return max(0, int(version))


def _namespaces() -> tuple[str, ...]:
    """Let a program of its own try, as this user; the answer of a sysctl is not an answer."""
    tried = subprocess.run(
        [sys.executable, "-I", "-m", "sandbox.jail.namespaces"],
        capture_output=True,
        timeout=_PROBE_S,
        check=False,
        env={},
    )
    return tuple(tried.stdout.decode("ascii", "replace").split())


def _swap_is_forbidden() -> bool:
    for line in _read("/proc/self/cgroup").splitlines():
        if line.startswith("0::"):
            group = "/sys/fs/cgroup" + line.removeprefix("0::").rstrip("/")
            return _read(f"{group}/memory.swap.max").strip() == "0"
    return False


def _chosen(setting: str) -> str:
    """Return the word in brackets of "always [madvise] never"."""
    return setting.partition("[")[2].partition("]")[0]


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
