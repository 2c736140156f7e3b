"""Who a worker is: an unprivileged user, with no capability, and no way to gain one.

Changing credentials resets the dumpable flag and the parent-death signal, and /proc/self belongs
to root while the flag is off. So: user first, then the namespaces' maps, then `undumpable`.
"""

import ctypes
import os
import struct
from pathlib import Path

from sandbox.jail.syscalls import prctl, syscall

# What root becomes. Outside of Debian's ranges for people and services, and the number that
# container images know as "nonroot".
UNPRIVILEGED_ID = 65532

_PR_SET_PDEATHSIG = 1
_PR_GET_DUMPABLE = 3
_PR_SET_DUMPABLE = 4
_PR_SET_KEEPCAPS = 8
_PR_CAPBSET_READ = 23
_PR_CAPBSET_DROP = 24
_PR_SET_NO_NEW_PRIVS = 38
_PR_GET_NO_NEW_PRIVS = 39
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4

_CAPABILITY_V3 = 0x20080522
# What the steps after `drop_user` need where no user namespace gives it: to empty the bounding set,
# to change the root, and to make namespaces on a system that lets only its holders (Ubuntu's
# AppArmor does).
_CARRIED = 1 << 8 | 1 << 18 | 1 << 21  # CAP_SETPCAP, CAP_SYS_CHROOT, CAP_SYS_ADMIN
# The kernel knows 41; reading beyond its last one ends the loop.
_CAPABILITIES_MAX = 64


def drop_user() -> None:
    """Stop being root for good; for any other user there is nothing to do. Raises OSError.

    A few capabilities are carried across for the steps that follow; `drop_capabilities` ends them.
    """
    if os.geteuid() != 0:
        return
    prctl(_PR_SET_KEEPCAPS, 1)
    os.setgroups([])
    os.setresgid(UNPRIVILEGED_ID, UNPRIVILEGED_ID, UNPRIVILEGED_ID)
    os.setresuid(UNPRIVILEGED_ID, UNPRIVILEGED_ID, UNPRIVILEGED_ID)
    prctl(_PR_SET_KEEPCAPS, 0)
    _set_capabilities(_permitted() & _CARRIED)
    prctl(_PR_SET_DUMPABLE, 1)


def drop_capabilities() -> None:
    """Empty every capability set of this process and its children. Raises OSError."""
    for capability in range(_CAPABILITIES_MAX):
        try:
            prctl(_PR_CAPBSET_READ, capability)
            prctl(_PR_CAPBSET_DROP, capability)
        except OSError:
            # Past the last one; or without CAP_SETPCAP, and then execve could raise nothing
            # either: no_new_privs follows, and the filter has no execve.
            break
    syscall("prctl", _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    _set_capabilities(0)
    if _permitted():
        raise PermissionError("the kernel left capabilities in place")


def forbid_new_privileges() -> None:
    """No execve and no set-user-id bit can raise this process any more. Raises OSError."""
    prctl(_PR_SET_NO_NEW_PRIVS, 1)
    if prctl(_PR_GET_NO_NEW_PRIVS) != 1:
        raise PermissionError("no_new_privs did not hold")


def make_undumpable() -> None:
    """No core dump, whatever core_pattern says, and no ptrace by the same user. Raises OSError."""
    prctl(_PR_SET_DUMPABLE, 0)
    if prctl(_PR_GET_DUMPABLE) != 0:
        raise PermissionError("the process stayed dumpable")


def lead_own_group() -> None:
    """Begin a process group, which a worker's own children cannot leave. Raises OSError.

    The filter has no setsid and no setpgid; so whoever ends the group ends them all.
    """
    os.setsid()


def empty_core_dumps() -> None:
    """Let no memory be part of a core dump, also after an execve. Raises OSError.

    Unlike the dumpable flag this is inherited by a program that is executed (core(5)).
    """
    Path("/proc/self/coredump_filter").write_text("0")


def die_with_parent(parent: int) -> None:
    """SIGKILL when the parent ends; `parent` is its pid, in case it has ended already."""
    prctl(_PR_SET_PDEATHSIG, 9)
    if os.getppid() != parent:
        os._exit(0)


def _permitted() -> int:
    header = struct.pack("<Ii", _CAPABILITY_V3, 0)
    sets = ctypes.create_string_buffer(24)
    syscall("capget", header, sets)
    words = struct.unpack("<6I", sets.raw)
    return int(words[1] | words[4] << 32)


def _set_capabilities(bits: int) -> None:
    low, high = bits & 0xFFFFFFFF, bits >> 32
    sets = struct.pack("<6I", low, low, 0, high, high, 0)
    syscall("capset", struct.pack("<Ii", _CAPABILITY_V3, 0), sets)
