"""The self-attack: what a confined process tries before the first customer's byte is let in.

A return code says what a call claims; only an attempt says what holds (a Landlock that answers
"enforced" and enforces nothing has been seen). Each attack names the confinement step it tests and
answers True if it got through. `WALLS` are tried before the system-call filter is loaded, because
behind it they could not tell which layer stopped them; `FILTERED` are tried behind it, and aim
past every other layer: a call that is made with arguments the kernel must reject answers EFAULT,
EINVAL or EMFILE where it was reached, and the filter's own errno where it was not.

A throw-away worker tries all of them when a zygote starts; every spare tries `QUICK`. A grant (a
program, reading) takes nothing off the list but what it grants.
"""

import errno
import os
import socket
from collections.abc import Callable
from typing import NamedTuple

from sandbox.jail.descriptors import PROGRAM, UP
from sandbox.jail.syscalls import Argument, attempt, prctl, syscall
from sandbox.spec import ZygoteSpec

_FILTER_ANSWERS = (errno.EACCES, errno.EPERM)

_AT_FDCWD = -100
_O_WRITE_NEW = os.O_WRONLY | os.O_CREAT
_SIGCHLD = 17
_PAGE = 4096
_READ_WRITE, _EXECUTE = 0x3, 0x4
_SHARED_ANONYMOUS, _PRIVATE_ANONYMOUS = 0x21, 0x22
_PR_SET_DUMPABLE = 4
_NO_SUCH_REQUEST = 0x7FFF
_AT_EMPTY_PATH = 0x1000
# fork(3) with CLONE_NEWUSER.
_FORK_AWAY = 0x01200011 | 0x10000000


# Depends on what the kernel's Landlock knows (`landlock.ABI_SCOPES`).
SIGNAL = "signal the zygote"


class Attack(NamedTuple):
    """One forbidden thing: its name, the step that must stop it, and the attempt."""

    name: str
    layer: str
    succeeds: Callable[[], bool]


def _reached(call: str, *arguments: Argument) -> Callable[[], bool]:
    """Return an attempt that succeeds if the kernel ran the call, whatever it then said."""

    def succeeds() -> bool:
        return -attempt(call, *arguments) not in _FILTER_ANSWERS

    return succeeds


def _done(action: Callable[[], object]) -> Callable[[], bool]:
    """Return an attempt that succeeds if the action raises nothing."""

    def succeeds() -> bool:
        try:
            action()
        except OSError:
            return False
        return True

    return succeeds


def _open(path: str, flags: int = os.O_RDONLY) -> None:
    os.close(os.open(path, flags))


def _reach_host_network() -> None:
    # A datagram socket that connects sends nothing; in an empty namespace even the loopback
    # device is down, so there is no route to it.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("127.0.0.1", 9))


def _fork() -> bool:
    try:
        child = syscall("clone", _SIGCHLD, 0, 0, 0, 0)
    except OSError as refusal:
        return refusal.errno not in _FILTER_ANSWERS
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return True


WALLS = (
    Attack("be root", "identity", lambda: os.geteuid() == 0),
    Attack("become root", "capabilities", _done(lambda: os.setresuid(0, 0, 0))),
    Attack("enter a user namespace", "capabilities", _done(lambda: syscall("unshare", 0x10000000))),
    Attack("see the host's processes", "pid-namespace", lambda: os.getppid() != 1),
    Attack("reach the host's network", "network-namespace", _done(_reach_host_network)),
    Attack(SIGNAL, "own-landlock", _done(lambda: os.kill(os.getppid(), 0))),
    Attack("list the root directory", "landlock", _done(lambda: os.scandir("/"))),
    Attack("read a file", "empty-root", _done(lambda: _open("/etc/passwd"))),
    Attack("look a file up", "empty-root", lambda: os.access("/etc", os.F_OK)),
    Attack("write to /tmp", "landlock", _done(lambda: _open("/tmp/e", _O_WRITE_NEW))),  # noqa: S108 - the attack
    Attack("write to /dev/shm", "landlock", _done(lambda: _open("/dev/shm/e", _O_WRITE_NEW))),  # noqa: S108 - the attack
)  # fmt: skip

FILTERED = (
    Attack("open a file", "filter", _reached("openat", _AT_FDCWD, None, 0, 0)),
    Attack("create a file", "filter", _reached("openat", _AT_FDCWD, None, _O_WRITE_NEW, 0o600)),
    Attack("look at a file", "filter", _reached("newfstatat", _AT_FDCWD, None, None, 0)),
    Attack("open an inet socket", "filter", _reached("socket", 2, 1, 0)),
    Attack("open a unix socket", "filter", _reached("socket", 1, 1, 0)),
    Attack("make a datagram pair", "filter", _reached("socketpair", 1, 2, 0, None)),
    Attack("connect", "filter", _reached("connect", 99, None, 0)),
    Attack("make a memfd", "filter", _reached("memfd_create", None, 0)),
    Attack("execute", "filter", _reached("execve", None, None, None)),
    Attack(
        "execute another file", "filter", _reached("execveat", UP, b"", None, None, _AT_EMPTY_PATH)
    ),
    Attack("execute by name", "filter", _reached("execveat", PROGRAM, b"x", None, None, 0)),
    Attack("fork", "filter", _fork),
    Attack("fork into a namespace", "filter", _reached("clone", _FORK_AWAY, 0, 0, 0, 0)),
    Attack("trace", "filter", _reached("ptrace", _NO_SUCH_REQUEST, 0, 0, 0)),
    Attack("read another's memory", "filter", _reached("process_vm_readv", 1, None, 0, None, 0, 1)),
    Attack("signal", "filter", _reached("kill", os.getpid(), 0)),
    Attack(
        "share memory",
        "filter",
        _reached("mmap", 0, _PAGE, _READ_WRITE, _SHARED_ANONYMOUS, -1, 0),
    ),
    Attack("make a shared segment", "filter", _reached("shmget", 0, 0, 0o600)),
    Attack(
        "map executable memory",
        "filter",
        _reached("mmap", 0, _PAGE, _READ_WRITE | _EXECUTE, _PRIVATE_ANONYMOUS, -1, 0),
    ),
    Attack("make memory executable", "filter", _reached("mprotect", 0, 0, _EXECUTE)),
    Attack("use io_uring", "filter", _reached("io_uring_setup", 0, None)),
    Attack("unshare", "filter", _reached("unshare", 0)),
    Attack("change its attributes", "filter", _done(lambda: prctl(_PR_SET_DUMPABLE, 1))),
    Attack("double a descriptor", "filter", _reached("dup", 3)),
)

# A spare's proof that its own filter is in force: one call of each kind of answer.
QUICK = tuple(
    attack
    for attack in FILTERED
    if attack.name in {"create a file", "open an inet socket", "make a memfd", "signal"}
)

# What a family that reads files does honestly, and one that was granted a call.
_READING = frozenset({"open a file", "look at a file"})
_BY_CALL = {"dup": "double a descriptor"}


def walls(*, signals: bool, reads: bool) -> tuple[Attack, ...]:
    """The attacks on this family's walls. `signals`: the kernel's Landlock confines them."""
    return tuple(
        # Without an empty root it is Landlock alone that must refuse.
        attack._replace(layer="landlock") if reads and attack.name == "read a file" else attack
        for attack in WALLS
        if signals or attack.name != SIGNAL
    )


def filtered(spec: ZygoteSpec) -> tuple[Attack, ...]:
    """The attacks that this family's filter must refuse."""
    honest = {_BY_CALL[call] for call in spec.calls if call in _BY_CALL}
    if spec.reads:
        honest |= _READING
    if spec.shares:
        honest.add("share memory")
    return tuple(attack for attack in FILTERED if attack.name not in honest)


def successes(attacks: tuple[Attack, ...]) -> list[str]:
    """Try them all and return the names of those that got through."""
    return [attack.name for attack in attacks if attack.succeeds()]
