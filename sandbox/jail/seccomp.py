"""The system-call filter: what a worker may still ask of the kernel, as one table.

A call that is in no row kills the process (SIGSYS), which the host reports as a violation. Rows
with an errno are calls that honest libraries try and can live without: refused softly, they fall
back; killed, they would take the conversion along. Four calls are decided by their arguments:

    mmap      private memory only (MAP_SHARED|MAP_ANONYMOUS is shared memory by another name),
              and never executable
    mprotect  never executable
    tgkill    only SIGABRT to itself: abort() must look like an abort, not like a violation
    clone     only threads, and only for a family that asked for threads

Four grants widen the table for a family that has them, and nothing else does (`calls` cannot):

    program   fork and wait for a child that executes descriptor PROGRAM, and nothing else; what
              every C library does at a program's start
    reads     open for reading and look at files (which ones, Landlock says); map code from a file,
              never writable, never from anonymous memory
    pairs     make pairs of connected sockets, both ends its own: how the parts of a browser talk to
              each other. The kernel takes no address for such a socket: nothing else is reached
    shares    map anonymous memory as shared, for a program that sees one page at two addresses. It
              has no name and no descriptor, so it is shared with no other process

clone3 answers ENOSYS, so that glibc falls back to clone, whose flags a filter can see. The machine
word is checked first, and numbers of x86's x32 table are refused with it. The filter is assembled
once in the zygote; a worker writes its pid into it and loads it.
Format: struct sock_filter (linux/filter.h), struct seccomp_data (linux/seccomp.h).
"""

import ctypes
import errno
import itertools
import os
import platform
import struct
from collections.abc import Sequence

from sandbox.jail.descriptors import PROGRAM
from sandbox.jail.packet_filter import (
    AND,
    AT_LEAST,
    EQUAL,
    LOAD,
    RETURN,
    Instruction,
    search,
)
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
    "pidfd_open", "pidfd_getfd", "sendmsg", "recvmsg", "splice", "vmsplice", "seccomp", "setsid",
    "setpgid", "wait4",
})  # fmt: skip

# By the grant of a program, besides `_PROGRAM_ROWS`: pipes to it, its end, and the first
# calls of any C library in a new process image.
WITH_PROGRAM = ("pipe", "pipe2", "dup2", "dup3", "wait4", "set_tid_address", "arch_prctl")
# By the grant of reading, besides open and openat.
WITH_READS = (
    "stat", "lstat", "newfstatat", "statx", "access", "faccessat", "faccessat2", "readlink",
    "readlinkat", "statfs", "fstatfs", "getdents64",
)  # fmt: skip

# Decided by their arguments, in `assemble`.
INSPECTED = ("mmap", "mprotect", "tgkill", "clone")

_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}  # AUDIT_ARCH_*
_X32 = 0x40000000

_MAP_TYPE = 0x0F
_MAP_SHARED, _MAP_PRIVATE = 0x01, 0x02
_PROT_EXEC = 0x04
_SIGABRT = 6
_CLONE_THREAD = 0x10000
# What fork(3) is: CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | SIGCHLD, and no namespace.
_CLONE_FORK = 0x01200011
_AT_EMPTY_PATH = 0x1000
_PR_SET_PDEATHSIG, _SIGKILL = 1, 9
_SECCOMP_SET_MODE_FILTER = 1
# SOCK_STREAM is 1 and SOCK_SEQPACKET 5: both are connected, and what differs is masked out, as are
# the flags.
_AF_UNIX, _SOCK_CONNECTED, _SOCK_TYPE_MASK = 1, 0b0001, 0b1011
_MAP_ANONYMOUS, _PROT_WRITE = 0x20, 0x02
# Every flag of open(2) that writes, creates, cuts short, or opens past Landlock (O_PATH).
_OPEN_BEYOND_READING = (
    os.O_ACCMODE
    | os.O_CREAT
    | os.O_TRUNC
    | os.O_APPEND
    | (os.O_TMPFILE & ~os.O_DIRECTORY)
    | os.O_PATH
)

_KILL = 0x80000000  # SECCOMP_RET_KILL_PROCESS
_ALLOW = 0x7FFF0000
_ERRNO = 0x00050000

# Where seccomp_data keeps the number, the machine, and the low words of the arguments.
_NUMBER, _MACHINE, _ARGUMENTS = 0, 4, 16

_MODE_FILTER = 1
# If the pid is the own one go on, else to the refusal at the end.
_PID_JUMPS = (0, 3)
# Its place is written over by `Filter.load`; no pid is this one.
_OWN_PID = (EQUAL, *_PID_JUMPS, 0xFFFFFFFF)
_INSTRUCTION = struct.Struct("<HBBI")


class Filter:
    """An assembled filter, ready to be loaded by any number of children."""

    def __init__(
        self,
        *,
        threads: bool,
        calls: Sequence[str] = (),
        program: bool = False,
        reads: bool = False,
        pairs: bool = False,
        shares: bool = False,
        machine: str | None = None,
    ) -> None:
        instructions, self._pid_at = assemble(
            threads=threads,
            calls=calls,
            program=program,
            reads=reads,
            pairs=pairs,
            shares=shares,
            machine=machine or platform.machine(),
        )
        self._code, self._header = _loadable(instructions)

    def load(self) -> None:
        """Filter this process for good. Needs no_new_privs. Raises OSError."""
        _INSTRUCTION.pack_into(self._code, self._pid_at * 8, EQUAL, *_PID_JUMPS, os.getpid())
        syscall("seccomp", _MODE_FILTER, 0, self._header)


def load_for_program() -> None:
    """Filter a worker's child further, just before it executes its program. Raises OSError.

    It may start threads as its family may, and no process: the program has no children.
    """
    machine = platform.machine()
    _, header = _loadable(
        [
            (LOAD, 0, 0, _NUMBER),
            *_when("clone", machine, _threads_only()),
            (RETURN, 0, 0, _ALLOW),
        ]
    )
    syscall("seccomp", _MODE_FILTER, 0, header)


def assemble(
    *,
    threads: bool,
    machine: str,
    calls: Sequence[str] = (),
    program: bool = False,
    reads: bool = False,
    pairs: bool = False,
    shares: bool = False,
) -> tuple[list[Instruction], int]:
    """Return the instructions, and the index of the one that compares with the own pid.

    `calls` are allowed besides `ALLOWED`. Raises ValueError for one that nobody gets.
    """
    if refused := NEVER.intersection(calls):
        raise ValueError(f"no family may be granted {', '.join(sorted(refused))}")
    made = [
        (LOAD, 0, 0, _MACHINE),
        (EQUAL, 1, 0, _ARCHITECTURES[machine]),
        (RETURN, 0, 0, _KILL),
        (LOAD, 0, 0, _NUMBER),
        (AT_LEAST, 0, 1, _X32),
        (RETURN, 0, 0, _KILL),
    ]
    # What is said of a call first holds: a grant comes before a refusal.
    verdicts: dict[str, list[Instruction]] = {}
    for name in (*ALLOWED, *calls, *WITH_PROGRAM * program, *WITH_READS * reads):
        verdicts.setdefault(name, [(RETURN, 0, 0, _ALLOW)])
    memory = [*_executable(from_files=reads), *(_anonymous_shared() if shares else ())]
    verdicts.setdefault("mmap", [*memory, *_private_memory()])
    verdicts.setdefault("mprotect", [*_never_executable(), (RETURN, 0, 0, _ALLOW)])
    verdicts.setdefault("clone", _clone(threads=threads, forks=program))
    verdicts.setdefault("tgkill", _abort_of_self())
    for granted, rows in (
        (program, _PROGRAM_ROWS),
        (reads, _READ_ROWS),
        (pairs, _PAIR_ROWS),
    ):
        for name, tests in rows if granted else ():
            verdicts.setdefault(name, [*tests, (RETURN, 0, 0, _ALLOW)])
    answers = (_PROGRAM_ANSWERS.items() if program else ()), REFUSED.items()
    for error, names in itertools.chain(*answers):
        for name in names:
            verdicts.setdefault(name, [(RETURN, 0, 0, _ERRNO | error)])
    numbered = {
        called: then
        for name, then in verdicts.items()
        if (called := number(name, machine)) is not None
    }
    made += search(sorted(numbered.items()), otherwise=(RETURN, 0, 0, _KILL))
    return made, made.index(_OWN_PID)


def _loadable(
    instructions: Sequence[Instruction],
) -> tuple[ctypes.Array[ctypes.c_char], ctypes.Array[ctypes.c_char]]:
    """Return the code, and the struct sock_fprog that points to it: a count and a pointer."""
    code = ctypes.create_string_buffer(
        b"".join(_INSTRUCTION.pack(*instruction) for instruction in instructions)
    )
    header = struct.pack("@HP", len(instructions), ctypes.addressof(code))
    return code, ctypes.create_string_buffer(header)


def _when(name: str, machine: str, then: list[Instruction]) -> list[Instruction]:
    """Run `then`, which must return, if the call is this one; nothing where there is no such."""
    called = number(name, machine)
    return [] if called is None else [(EQUAL, 0, len(then), called), *then]


def _low_word(argument: int) -> Instruction:
    return (LOAD, 0, 0, _ARGUMENTS + 8 * argument)


def _never_executable() -> list[Instruction]:
    return [
        _low_word(2),
        (AND, 0, 0, _PROT_EXEC),
        (EQUAL, 1, 0, 0),
        (RETURN, 0, 0, _ERRNO | errno.EACCES),
    ]


def _anonymous_shared() -> list[Instruction]:
    return [
        _low_word(3),
        (AND, 0, 0, _MAP_TYPE | _MAP_ANONYMOUS),
        (EQUAL, 0, 1, _MAP_SHARED | _MAP_ANONYMOUS),
        (RETURN, 0, 0, _ALLOW),
    ]


def _private_memory() -> list[Instruction]:
    return [
        _low_word(3),
        (AND, 0, 0, _MAP_TYPE),
        (EQUAL, 0, 1, _MAP_PRIVATE),
        (RETURN, 0, 0, _ALLOW),
        (RETURN, 0, 0, _ERRNO | errno.EACCES),
    ]


def _executable(*, from_files: bool) -> list[Instruction]:
    """Refuse memory that can be executed; `from_files`: unless from a file and not written."""
    if not from_files:
        return _never_executable()
    return [
        _low_word(2),
        (AND, 0, 0, _PROT_EXEC | _PROT_WRITE),
        (EQUAL, 0, 1, _PROT_EXEC | _PROT_WRITE),
        (RETURN, 0, 0, _ERRNO | errno.EACCES),
        (AND, 0, 0, _PROT_EXEC),
        (EQUAL, 4, 0, 0),
        _low_word(3),
        (AND, 0, 0, _MAP_ANONYMOUS),
        (EQUAL, 1, 0, 0),
        (RETURN, 0, 0, _ERRNO | errno.EACCES),
    ]


def _clone(*, threads: bool, forks: bool) -> list[Instruction]:
    fork = [_low_word(0), (EQUAL, 0, 1, _CLONE_FORK), (RETURN, 0, 0, _ALLOW)] if forks else []
    return [*fork, *(_threads_only() if threads else [(RETURN, 0, 0, _ERRNO | errno.EPERM)])]


def _threads_only() -> list[Instruction]:
    return [
        _low_word(0),
        (AND, 0, 0, _CLONE_THREAD),
        (EQUAL, 0, 1, _CLONE_THREAD),
        (RETURN, 0, 0, _ALLOW),
        (RETURN, 0, 0, _ERRNO | errno.EPERM),
    ]


def _equal(
    argument: int, value: int, error: int, *, mask: int = 0xFFFFFFFF, high: bool = False
) -> list[Instruction]:
    return [
        (LOAD, 0, 0, _ARGUMENTS + 8 * argument + 4 * high),
        (AND, 0, 0, mask),
        (EQUAL, 1, 0, value),
        (RETURN, 0, 0, _ERRNO | error),
    ]


def _null(argument: int, error: int) -> list[Instruction]:
    """Refuse a pointer, both of whose words count."""
    return [*_equal(argument, 0, error), *_equal(argument, 0, error, high=True)]


def _reading(argument: int) -> list[Instruction]:
    return [
        _low_word(argument),
        (AND, 0, 0, _OPEN_BEYOND_READING),
        (EQUAL, 1, 0, 0),
        (RETURN, 0, 0, _ERRNO | errno.EACCES),
    ]


# What a grant adds, each with the tests that its arguments must pass. The kernel takes the low
# words of these arguments, or refuses a high one.
_PROGRAM_ROWS = (
    ("execveat", [*_equal(0, PROGRAM, errno.EACCES), *_equal(4, _AT_EMPTY_PATH, errno.EACCES)]),
    # Its own limits, to be read: the pointer to new ones is null.
    ("prlimit64", [*_equal(0, 0, errno.EPERM), *_null(2, errno.EPERM)]),
    ("prctl", [*_equal(0, _PR_SET_PDEATHSIG, errno.EPERM), *_equal(1, _SIGKILL, errno.EPERM)]),
    ("seccomp", [*_equal(0, _SECCOMP_SET_MODE_FILTER, errno.EPERM), *_equal(1, 0, errno.EPERM)]),
)
# What programs try in vain. One that makes sure of the directory of its output is told that it is
# there already: pandoc gives up at any other answer, even where its output is a pipe.
_PROGRAM_ANSWERS = {
    errno.EEXIST: ("mkdir", "mkdirat"),
    errno.ENOSYS: ("landlock_create_ruleset", "inotify_init", "inotify_init1", "fadvise64"),
    errno.EPERM: ("setpriority", "symlink", "symlinkat", "umask", "mlock2", "sched_setattr"),
}
_PAIR_ROWS: tuple[tuple[str, list[Instruction]], ...] = (
    # Connected ones only: each datagram of the others could carry an address.
    ("socketpair", [
        *_equal(0, _AF_UNIX, errno.EACCES),
        *_equal(1, _SOCK_CONNECTED, errno.EACCES, mask=_SOCK_TYPE_MASK),
    ]),
    # Without an address.
    ("sendto", _null(4, errno.EACCES)),
    ("sendmsg", []),
    ("recvmsg", []),
    ("recvfrom", []),
    ("shutdown", []),
)  # fmt: skip
_READ_ROWS = (("open", _reading(1)), ("openat", _reading(2)))


def _abort_of_self() -> list[Instruction]:
    return [
        _low_word(0),
        _OWN_PID,
        _low_word(2),
        (EQUAL, 0, 1, _SIGABRT),
        (RETURN, 0, 0, _ALLOW),
        (RETURN, 0, 0, _ERRNO | errno.EPERM),
    ]
