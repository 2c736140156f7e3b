"""The filter, run by a packet filter machine in Python, on both architectures' numbers."""

import errno
import os
import struct

import pytest

from sandbox.jail.seccomp import ALLOWED, INSPECTED, NEVER, REFUSED, assemble
from sandbox.jail.syscalls import number

MACHINES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
ALLOW, KILL = "allow", "kill"
THREAD, FORK = 0x10000, 17


def answer(
    machine: str,
    call: int,
    *arguments: int,
    threads: bool = False,
    arch: int = 0,
    calls: tuple[str, ...] = (),
) -> object:
    """What the filter says to a call: allow, kill, or the errno."""
    program, pid_at = assemble(threads=threads, machine=machine, calls=calls)
    program[pid_at] = (*program[pid_at][:3], os.getpid())
    words = [*arguments, 0, 0, 0, 0, 0, 0][:6]
    data = struct.pack("<IIQ6Q", call, arch or MACHINES[machine], 0, *words)
    accumulator, at = 0, 0
    while True:
        code, if_true, if_false, value = program[at]
        at += 1
        match code:
            case 0x20:
                (accumulator,) = struct.unpack_from("<I", data, value)
            case 0x54:
                accumulator &= value
            case 0x15:
                at += if_true if accumulator == value else if_false
            case 0x35:
                at += if_true if accumulator >= value else if_false
            case 0x06:
                action = {0x7FFF0000: ALLOW, 0x80000000: KILL}
                return action.get(value, value & 0xFFFF)
            case _:
                raise AssertionError(code)


def named(machine: str, name: str, *arguments: int, threads: bool = False) -> object:
    call = number(name, machine)
    assert call is not None
    return answer(machine, call, *arguments, threads=threads)


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.claim("C-WORKER-5")
def test_every_call_gets_what_the_table_says(machine: str) -> None:
    expected = dict.fromkeys(ALLOWED, ALLOW)
    expected |= {name: error for error, names in REFUSED.items() for name in names}  # type: ignore[misc]
    seen = {}
    for name in expected:
        call = number(name, machine)
        if call is not None:
            seen[name] = answer(machine, call)
            assert seen[name] == expected[name], name
    assert len(seen) > 80


@pytest.mark.parametrize("machine", MACHINES)
def test_a_family_gets_the_calls_it_names_and_no_other_family_does(machine: str) -> None:
    call = number("sched_getscheduler", machine)
    assert call is not None
    assert answer(machine, call) == errno.EPERM
    assert answer(machine, call, calls=("sched_getscheduler",)) == ALLOW


@pytest.mark.parametrize("name", sorted(NEVER))
def test_a_way_out_is_granted_to_no_family(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        assemble(threads=False, machine="x86_64", calls=("time", name))


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.claim("C-WORKER-5")
def test_a_call_in_no_row_kills(machine: str) -> None:
    known = {
        number(name, machine)
        for name in (*ALLOWED, *INSPECTED, *(name for names in REFUSED.values() for name in names))
    }
    for call in range(600):
        if call not in known:
            assert answer(machine, call) == KILL, call


@pytest.mark.parametrize("machine", MACHINES)
def test_another_machines_calls_kill(machine: str) -> None:
    call = number("read", machine)
    assert call is not None
    assert answer(machine, call, arch=0x40000003) == KILL
    assert answer(machine, call | 0x40000000) == KILL


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.claim("C-WORKER-7")
def test_memory_is_private_and_never_executable(machine: str) -> None:
    private, shared, shared_validate, anonymous, stack = 0x02, 0x01, 0x03, 0x20, 0x20000
    read_write, execute = 0x3, 0x4
    assert named(machine, "mmap", 0, 4096, read_write, private | anonymous | stack) == ALLOW
    assert named(machine, "mmap", 0, 4096, 0, private | anonymous) == ALLOW
    assert named(machine, "mmap", 0, 4096, read_write, shared | anonymous) == errno.EACCES
    assert named(machine, "mmap", 0, 4096, read_write, shared_validate) == errno.EACCES
    assert named(machine, "mmap", 0, 4096, execute, private | anonymous) == errno.EACCES
    assert named(machine, "mprotect", 0, 4096, read_write) == ALLOW
    assert named(machine, "mprotect", 0, 4096, read_write | execute) == errno.EACCES


@pytest.mark.parametrize("machine", MACHINES)
def test_a_worker_may_abort_itself_and_signal_nobody(machine: str) -> None:
    me = os.getpid()
    assert named(machine, "tgkill", me, me, 6) == ALLOW
    assert named(machine, "tgkill", me, me, 9) == errno.EPERM
    assert named(machine, "tgkill", 1, 1, 6) == errno.EPERM


@pytest.mark.parametrize("machine", MACHINES)
def test_threads_only_for_a_family_that_asked_and_never_a_process(machine: str) -> None:
    assert named(machine, "clone", THREAD) == errno.EPERM
    assert named(machine, "clone", THREAD, threads=True) == ALLOW
    assert named(machine, "clone", FORK, threads=True) == errno.EPERM
    assert named(machine, "clone3", threads=True) == errno.ENOSYS
