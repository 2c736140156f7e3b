"""Landlock: this process and its children may touch no file and no TCP port, ever again.

What is handled and has no rule is denied. Most families have no rules: their workers open nothing,
because everything is preloaded. Rules there are for the one program that a family may execute, and
for what a system extra may read (`spec.ZygoteSpec`); none ever allows to write, create or remove.
Kernel documentation: userspace-api/landlock; ABI 1 is Linux 5.13, 3 is 6.2, 6 is 6.12.
"""

import contextlib
import os
import stat
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

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

_RULE_PATH_BENEATH = 1
_PT_INTERP = 3
_EXECUTE, _READ_FILE, _READ_DIRECTORY = 1 << 0, 1 << 2, 1 << 3


class Rule(NamedTuple):
    """What may be done with one file, or with a directory and all beneath it."""

    # Open as a path only (O_PATH): it can be neither read nor written through.
    descriptor: int
    rights: int


def to_execute(path: str) -> Rule:
    """Let this one file be executed, and be read as the kernel does for that. Raises OSError."""
    return Rule(os.open(path, os.O_PATH | os.O_CLOEXEC), _EXECUTE | _READ_FILE)


def to_read(paths: Iterable[str]) -> list[Rule]:
    """Let these be read where they exist. Raises OSError."""
    rules = []
    for path in filter(os.path.exists, paths):
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        is_directory = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        rules.append(Rule(descriptor, _READ_FILE | _READ_DIRECTORY * is_directory))
    return rules


def loader_of(program: str) -> str:
    """The path of the loader that a dynamically linked program names; "" for a static one.

    An ELF file's table of program headers says so (PT_INTERP). Raises OSError, ValueError.
    """
    with Path(program).open("rb") as file:
        head = file.read(64)
        if head[:5] != b"\x7fELF\x02":
            raise ValueError(f"{program} is not a 64-bit program")
        (table,) = struct.unpack_from("<Q", head, 32)
        size, count = struct.unpack_from("<HH", head, 54)
        for index in range(count):
            file.seek(table + size * index)
            kind, _, offset, _, _, length = struct.unpack("<IIQQQQ", file.read(40))
            if kind == _PT_INTERP:
                file.seek(offset)
                return file.read(length).rstrip(b"\0").decode()
    return ""


def abi() -> int:
    """Return the kernel's Landlock ABI, 0 where it has none or it is switched off."""
    with contextlib.suppress(OSError):
        return syscall("landlock_create_ruleset", None, 0, _VERSION)
    return 0


def ruleset(known: int, rules: Sequence[Rule] = ()) -> int:
    """Return a rule set that denies all that ABI `known` can, but for `rules`. Raises OSError."""
    words = [sum(bits for since, bits in row if since <= known) for row in (_FILES, _TCP, _SCOPES)]
    attributes = struct.pack("<3Q", *words)
    # Older kernels take the structure as long as they know it.
    size = 24 if known >= _SCOPES[0][0] else 16 if known >= _TCP[0][0] else 8
    made = syscall("landlock_create_ruleset", attributes, size, 0)
    for rule in rules:
        beneath = struct.pack("<Qi", rule.rights, rule.descriptor)
        syscall("landlock_add_rule", made, _RULE_PATH_BENEATH, beneath, 0)
    return made


def restrict(rules: int, known: int) -> None:
    """Enforce a rule set on this process for good. Needs no_new_privs or CAP_SYS_ADMIN."""
    syscall("landlock_restrict_self", rules, _QUIET if known >= _QUIET_ABI else 0)


def enter(known: int, rules: Sequence[Rule] = ()) -> None:
    """Deny everything but `rules` from here on. Raises OSError."""
    made = ruleset(known, rules)
    try:
        restrict(made, known)
    finally:
        os.close(made)
