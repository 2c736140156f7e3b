"""Namespaces: nothing of the machine is in view: no network, no processes, no files, no IPC.

Run as a program it prints the names of those this user can have, one a line, for `doctor`.
"""

import os
import struct
from ctypes import create_string_buffer
from pathlib import Path

from sandbox.jail.syscalls import syscall

USER = 0x10000000
FLAGS = {"network": 0x40000000, "ipc": 0x08000000, "uts": 0x04000000, "mount": 0x00020000}
PID = 0x20000000

_AT_FDCWD = -100
_AT_RECURSIVE = 0x8000
_MOUNT_ATTR_RDONLY = 1


def enter_user() -> None:
    """Move to an own user namespace, as the same user there. Raises OSError.

    Its creator has every capability inside and none outside. The maps are part of it: a system
    that lets a process make the namespace and then refuses the map has not given it one.
    """
    uid, gid = os.geteuid(), os.getegid()
    syscall("unshare", USER)
    for name, line in (
        ("setgroups", "deny"),
        ("uid_map", f"{uid} {uid} 1"),
        ("gid_map", f"{gid} {gid} 1"),
    ):
        Path("/proc/self", name).write_text(line)


def forbid_user() -> None:
    """Let nobody make a user namespace in ours, nor therefore gain a capability. Raises OSError.

    In an empty root nobody can anyway: the kernel refuses it to a process that was chrooted.
    """
    Path("/proc/sys/user/max_user_namespaces").write_text("0")


def enter(name: str) -> None:
    """Move to an own namespace of this kind. Raises OSError."""
    syscall("unshare", FLAGS[name])


def enter_mounts() -> None:
    """Move to an own mount namespace, in which every mount is read-only. Raises OSError.

    Not even the time of a file's last access is written then. The kernel lets nobody but root turn
    that off by itself ("locked" mounts), and would otherwise dirty a page of the file system for
    the first file a day that a worker reads, or that it executes. The one step does both, because
    the second without the first would be done to the machine.
    """
    enter("mount")
    attributes = create_string_buffer(struct.pack("=QQQQ", _MOUNT_ATTR_RDONLY, 0, 0, 0), 32)
    syscall("mount_setattr", _AT_FDCWD, b"/", _AT_RECURSIVE, attributes, len(attributes))


def enter_pid() -> None:
    """Make the next child PID 1 of an own pid namespace. Raises OSError."""
    syscall("unshare", PID)


def empty_root() -> None:
    """Make a directory with nothing in it the root, without mounting anything. Raises OSError.

    It is /proc/<pid>/fdinfo of a child that then dies (Chromium's trick): the directory lives on
    as our root, and no name in it can be looked up any more. No tmpfs, nothing to clean up.
    """
    child_reads, parent_writes = os.pipe()
    parent_reads, child_writes = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(parent_writes)
            # Its number as /proc counts, which belongs to another pid namespace than ours.
            os.write(child_writes, bytes(Path("/proc/self").readlink()))
            os.read(child_reads, 1)
        finally:
            os._exit(0)
    os.close(child_reads)
    os.close(child_writes)
    try:
        os.chroot(f"/proc/{int(os.read(parent_reads, 32))}/fdinfo")
        os.chdir("/")
    finally:
        os.close(parent_reads)
        os.close(parent_writes)
        os.waitpid(child, 0)


def available() -> list[str]:
    """Try each namespace in turn, in this process, and return the names of those it got."""
    got = []
    for name in ("user", *FLAGS, "pid"):
        try:
            if name == "user":
                enter_user()
            else:
                syscall("unshare", FLAGS.get(name, PID))
        except OSError:
            continue
        got.append(name)
    return got


if __name__ == "__main__":
    os.write(1, "\n".join(available()).encode())
