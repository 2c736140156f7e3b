"""Landlock: this process and its children may touch no file and no TCP port, ever again.

There are no rules, only the list of what is handled; what is handled and has no rule is denied.
Workers open nothing (everything is preloaded), so there is nothing to allow.
Kernel documentation: userspace-api/landlock; ABI 1 is Linux 5.13, 3 is 6.2, 6 is 6.12.
"""

import contextlib
import os
import struct

from sandbox.jail.syscalls import syscall

# Below 3 a file that could be opened could still be truncated.
ABI_MIN = 3
# From here on a domain also confines the signals it sends.
ABI_SCOPES = 6

_VERSION = 1  # LANDLOCK_CREATE_RULESET_VERSION
_QUIET = (
    1  # LANDLOCK_RESTRICT_SELF_LOG_SAME_EXEC_OFF: denials would put path names in the audit log
)

# (first ABI that knows it, bits)
_FILES = ((1, 0x1FFF), (2, 1 << 13), (3, 1 << 14), (5, 1 << 15))
_TCP = ((4, 0b11),)  # bind, connect
_SCOPES = ((ABI_SCOPES, 0b11),)  # abstract UNIX sockets, signals: not beyond this domain
_QUIET_ABI = 7


def abi() -> int:
    """Return the kernel's Landlock ABI, 0 where it has none or it is switched off."""
    with contextlib.suppress(OSError):
        return syscall("landlock_create_ruleset", None, 0, _VERSION)
    return 0


def ruleset(known: int) -> int:
    """Return the descriptor of a rule set that denies all that ABI `known` can. Raises OSError."""
    words = [sum(bits for since, bits in row if since <= known) for row in (_FILES, _TCP, _SCOPES)]
    attributes = struct.pack("<3Q", *words)
    # Older kernels take the structure as long as they know it.
    size = 24 if known >= _SCOPES[0][0] else 16 if known >= _TCP[0][0] else 8
    return syscall("landlock_create_ruleset", attributes, size, 0)


def restrict(rules: int, known: int) -> None:
    """Enforce a rule set on this process for good. Needs no_new_privs or CAP_SYS_ADMIN."""
    syscall("landlock_restrict_self", rules, _QUIET if known >= _QUIET_ABI else 0)


def enter(known: int) -> None:
    """Deny everything from here on. Raises OSError."""
    rules = ruleset(known)
    try:
        restrict(rules, known)
    finally:
        os.close(rules)
