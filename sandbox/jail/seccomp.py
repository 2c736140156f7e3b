"""The system-call filter: what a worker may still ask of the kernel, as one table.

A call that is in no row kills the process (SIGSYS), which the host reports as a violation. Rows
with an errno are calls that honest libraries try and can live without: refused softly, they fall
back; killed, they would take the conversion along. Four calls are decided by their arguments:

    mmap      private memory only (MAP_SHARED|MAP_ANONYMOUS is shared memory by another name),
              and never executable
    mprotect  never executable
    tgkill    only SIGABRT to itself: abort() must look like an abort, not like a violation
    clone     only threads, and only for a family that asked for threads

clone3 answers ENOSYS, so that glibc falls back to clone, whose flags a filter can see. The machine
word is checked first, and numbers of x86's x32 table are refused with it. The filter is assembled
once in the zygote; a worker writes its pid into it and loads it.
Format: struct sock_filter (linux/filter.h), struct seccomp_data (linux/seccomp.h).
"""

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Sequence

from sandbox.jail.syscalls import number, syscall

ALLOWED = (
    "readv", "read", "writev", "write", "brk", "madvise", "munmap", "mremap", "futex", "close",
    "pread64", "fstat", "lseek", "getpid", "gettid", "getppid", "getuid", "geteuid", "getgid",
    "getegid", "clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep", "gettimeofday",
    "time", "getrandom", "getcpu", "getrusage", "getcwd", "uname", "sysinfo", "poll", "ppoll",
    "sched_yield", "sched_getaffinity", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn",
    "sigaltstack", "restart_syscall", "rseq", "set_robust_list", "exit", "exit_group",
)  # fmt: skip

REFUSED = {
    errno.EACCES: (
        "open", "openat", "openat2", "creat", "stat", "lstat", "newfstatat", "statx", "access",
        "faccessat", "faccessat2", "readlink", "readlinkat", "statfs", "fstatfs", "getdents64",
        "chdir", "mkdir", "mkdirat", "unlink", "unlinkat", "rename", "renameat", "renameat2",
        "truncate", "ftruncate", "chmod", "socket", "socketpair", "connect", "bind", "sendto",
        "execve", "execveat",
    ),
    errno.EPERM: (
        "memfd_create", "ptrace", "kill", "tkill", "dup", "dup2", "dup3", "fcntl", "pipe",
        "pipe2", "io_uring_setup", "prctl", "prlimit64", "getrlimit", "setrlimit", "shmget",
        "fork", "vfork", "unshare", "process_vm_readv", "process_vm_writev", "mbind",
        "get_mempolicy", "sched_setaffinity", "sched_getscheduler", "sched_setscheduler",
        "sched_getparam",
    ),
    errno.ENOTTY: ("ioctl",),
    errno.ENOSYS: ("clone3", "memfd_secret"),
}  # fmt: skip

# What no family may add to the table: these are the ways out, or ways to memory that is a file.
NEVER = frozenset({
    *REFUSED[errno.EACCES], *REFUSED[errno.ENOSYS], "memfd_create", "ptrace", "kill", "tkill",
    "io_uring_setup", "shmget", "fork", "vfork", "unshare", "prctl", "setrlimit", "prlimit64",
    "process_vm_readv", "process_vm_writev", "mount", "setns", "bpf", "keyctl", "userfaultfd",
    "pidfd_open", "pidfd_getfd", "sendmsg", "recvmsg", "splice", "vmsplice", "seccomp",
})  # fmt: skip

# Decided by their arguments, in `assemble`.
INSPECTED = ("mmap", "mprotect", "tgkill", "clone")

_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}  # AUDIT_ARCH_*
_X32 = 0x40000000

_MAP_TYPE = 0x0F
_MAP_PRIVATE = 0x02
_PROT_EXEC = 0x04
_SIGABRT = 6
_CLONE_THREAD = 0x10000

_KILL = 0x80000000  # SECCOMP_RET_KILL_PROCESS
_ALLOW = 0x7FFF0000
_ERRNO = 0x00050000

# Operations of the packet filter machine: load a word, compare the accumulator, mask it, return.
_LOAD, _EQUAL, _AT_LEAST, _AND, _RETURN = 0x20, 0x15, 0x35, 0x54, 0x06
# Where seccomp_data keeps the number, the machine, and the low words of the arguments.
_NUMBER, _MACHINE, _ARGUMENTS = 0, 4, 16

_MODE_FILTER = 1
# If the pid is the own one go on, else to the refusal at the end.
_PID_JUMPS = (0, 3)
_INSTRUCTION = struct.Struct("<HBBI")

Instruction = tuple[int, int, int, int]


class Filter:
    """An assembled filter, ready to be loaded by any number of children."""

    def __init__(
        self, *, threads: bool, calls: Sequence[str] = (), machine: str | None = None
    ) -> None:
        program, self._pid_at = assemble(
            threads=threads, calls=calls, machine=machine or platform.machine()
        )
        self._code = ctypes.create_string_buffer(
            b"".join(_INSTRUCTION.pack(*instruction) for instruction in program)
        )
        # struct sock_fprog: a count, padding, a pointer to the program.
        self._header = ctypes.create_string_buffer(
            struct.pack("@HP", len(program), ctypes.addressof(self._code))
        )

    def load(self) -> None:
        """Filter this process for good. Needs no_new_privs. Raises OSError."""
        _INSTRUCTION.pack_into(self._code, self._pid_at * 8, _EQUAL, *_PID_JUMPS, os.getpid())
        syscall("seccomp", _MODE_FILTER, 0, self._header)


def assemble(
    *, threads: bool, machine: str, calls: Sequence[str] = ()
) -> tuple[list[Instruction], int]:
    """Return the program, and the index of the instruction that compares with the own pid.

    `calls` are allowed besides `ALLOWED`. Raises ValueError for one that nobody gets.
    """
    if refused := NEVER.intersection(calls):
        raise ValueError(f"no family may be granted {', '.join(sorted(refused))}")
    program = [
        (_LOAD, 0, 0, _MACHINE),
        (_EQUAL, 1, 0, _ARCHITECTURES[machine]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, 0, 1, _X32),
        (_RETURN, 0, 0, _KILL),
    ]
    for name in (*ALLOWED, *calls):
        program += _when(name, machine, [(_RETURN, 0, 0, _ALLOW)])
    program += _when("mmap", machine, [*_never_executable(), *_private_memory()])
    program += _when("mprotect", machine, [*_never_executable(), (_RETURN, 0, 0, _ALLOW)])
    clone = _threads_only() if threads else [(_RETURN, 0, 0, _ERRNO | errno.EPERM)]
    program += _when("clone", machine, clone)
    # Behind the comparison of the number and the load of the first argument.
    pid_at = len(program) + 2
    program += _when("tgkill", machine, _abort_of_self())
    for error, names in REFUSED.items():
        for name in names:
            program += _when(name, machine, [(_RETURN, 0, 0, _ERRNO | error)])
    program.append((_RETURN, 0, 0, _KILL))
    return program, pid_at


def _when(name: str, machine: str, then: list[Instruction]) -> list[Instruction]:
    """Run `then`, which must return, if the call is this one; nothing where there is no such."""
    called = number(name, machine)
    return [] if called is None else [(_EQUAL, 0, len(then), called), *then]


def _low_word(argument: int) -> Instruction:
    return (_LOAD, 0, 0, _ARGUMENTS + 8 * argument)


def _never_executable() -> list[Instruction]:
    return [
        _low_word(2),
        (_AND, 0, 0, _PROT_EXEC),
        (_EQUAL, 1, 0, 0),
        (_RETURN, 0, 0, _ERRNO | errno.EACCES),
    ]


def _private_memory() -> list[Instruction]:
    return [
        _low_word(3),
        (_AND, 0, 0, _MAP_TYPE),
        (_EQUAL, 0, 1, _MAP_PRIVATE),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _ERRNO | errno.EACCES),
    ]


def _threads_only() -> list[Instruction]:
    return [
        _low_word(0),
        (_AND, 0, 0, _CLONE_THREAD),
        (_EQUAL, 0, 1, _CLONE_THREAD),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _ERRNO | errno.EPERM),
    ]


def _abort_of_self() -> list[Instruction]:
    return [
        _low_word(0),
        (_EQUAL, *_PID_JUMPS, 0),  # the pid, written by `Filter.load`
        _low_word(2),
        (_EQUAL, 0, 1, _SIGABRT),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _ERRNO | errno.EPERM),
    ]
