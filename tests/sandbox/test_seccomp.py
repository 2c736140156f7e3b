"""The filter, run by a packet filter machine in Python, on both architectures' numbers."""

import errno
import os
import struct

import pytest

from sandbox.jail.descriptors import PROGRAM
from sandbox.jail.packet_filter import RETURN, search
from sandbox.jail.seccomp import (
    ALLOWED,
    INSPECTED,
    NEVER,
    REFUSED,
    WITH_PROGRAM,
    WITH_READS,
    assemble,
)
from sandbox.jail.syscalls import _TABLE, number

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
    grants: frozenset[str] = frozenset(),
) -> object:
    """What the filter says to a call: allow, kill, or the errno."""
    program, pid_at = assemble(
        threads=threads,
        machine=machine,
        calls=calls,
        program="program" in grants,
        reads="reads" in grants,
        pairs="pairs" in grants,
        shares="shares" in grants,
    )
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


def named(
    machine: str, name: str, *arguments: int, threads: bool = False, grant: str = ""
) -> object:
    call = number(name, machine)
    assert call is not None
    grants = frozenset(filter(None, (grant,)))
    return answer(machine, call, *arguments, threads=threads, grants=grants)


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


@pytest.mark.parametrize("machine", MACHINES)
def test_a_program_is_executed_by_its_descriptor_and_nothing_else_is(machine: str) -> None:
    def asked(name: str, *arguments: int) -> object:
        return named(machine, name, *arguments, grant="program")

    assert asked("execveat", PROGRAM, 0, 0, 0, 0x1000) == ALLOW
    assert asked("execveat", PROGRAM, 0, 0, 0, 0) == errno.EACCES
    assert asked("execveat", PROGRAM + 1, 0, 0, 0, 0x1000) == errno.EACCES
    assert asked("execve") == errno.EACCES
    assert asked("clone", 0x01200011) == ALLOW
    assert asked("clone", FORK) == asked("clone", THREAD) == errno.EPERM
    assert asked("clone", 0x01200011 | 0x10000000) == errno.EPERM
    assert asked("prctl", 1, 9) == ALLOW
    assert asked("prctl", 1, 0) == asked("prctl", 4, 1) == errno.EPERM
    assert asked("seccomp", 1, 0) == ALLOW
    assert asked("seccomp", 1, 8) == asked("seccomp", 0, 0) == errno.EPERM
    assert asked("wait4") == ALLOW
    assert named(machine, "wait4") == KILL


@pytest.mark.parametrize("machine", MACHINES)
def test_reading_is_opening_without_any_flag_that_writes(machine: str) -> None:
    reading = os.O_CLOEXEC | os.O_DIRECTORY | os.O_NOFOLLOW
    assert named(machine, "openat", 0, 0, reading, grant="reads") == ALLOW
    assert named(machine, "openat", 0, 0, reading) == errno.EACCES
    for flag in (
        os.O_WRONLY, os.O_RDWR, os.O_CREAT, os.O_TRUNC, os.O_APPEND, os.O_TMPFILE, os.O_PATH
    ):  # fmt: skip
        assert named(machine, "openat", 0, 0, flag, grant="reads") == errno.EACCES
    assert named(machine, "openat2", grant="reads") == errno.EACCES


@pytest.mark.parametrize("machine", MACHINES)
def test_code_is_mapped_from_files_only_and_never_to_be_written(machine: str) -> None:
    private, shared, anonymous = 0x02, 0x01, 0x20
    read_execute, everything = 0x5, 0x7
    for arguments, expected in {
        (read_execute, private): ALLOW,
        (everything, private): errno.EACCES,
        (read_execute, private | anonymous): errno.EACCES,
        (read_execute, shared): errno.EACCES,
        (0x3, private | anonymous): ALLOW,
    }.items():
        assert named(machine, "mmap", 0, 4096, *arguments, grant="reads") == expected
    assert named(machine, "mprotect", 0, 4096, read_execute, grant="reads") == errno.EACCES


@pytest.mark.parametrize("machine", MACHINES)
def test_a_grant_adds_its_rows_and_leaves_the_others_alone(machine: str) -> None:
    changed = {
        "program": {*WITH_PROGRAM, "mkdir", "mkdirat", "seccomp", "prlimit64"},
        "reads": {*WITH_READS, "open", "openat"},
        "pairs": {"sendto", "sendmsg", "recvmsg", "recvfrom", "shutdown"},
    }
    names = {*ALLOWED, *INSPECTED, *NEVER, *(name for row in REFUSED.values() for name in row)}
    for grant, expected in changed.items():
        for name in {*names, *WITH_PROGRAM, *WITH_READS} & _TABLE.keys():
            if number(name, machine) is not None and name not in expected:
                same = named(machine, name) == named(machine, name, grant=grant)
                assert same, (grant, name)


@pytest.mark.parametrize("machine", MACHINES)
def test_pairs_are_connected_sockets_and_take_no_address(machine: str) -> None:
    unix, inet, close_on_exec = 1, 2, 0o2000000
    stream, datagram, raw, packets = 1, 2, 3, 5
    pairs = {
        (unix, stream): ALLOW,
        (unix, packets | close_on_exec): ALLOW,
        (unix, datagram): errno.EACCES,
        (unix, raw): errno.EACCES,
        (inet, stream): errno.EACCES,
    }
    for (domain, kind), expected in pairs.items():
        assert named(machine, "socketpair", domain, kind, grant="pairs") == expected
        assert named(machine, "socketpair", domain, kind) == errno.EACCES
    address_above = 1 << 32
    assert named(machine, "sendto", 3, 0, 0, 0, 0, grant="pairs") == ALLOW
    assert named(machine, "sendto", 3, 0, 0, 0, 8, grant="pairs") == errno.EACCES
    assert named(machine, "sendto", 3, 0, 0, 0, address_above, grant="pairs") == errno.EACCES
    for name in ("socket", "connect", "bind"):
        assert named(machine, name, grant="pairs") == errno.EACCES


@pytest.mark.parametrize("machine", MACHINES)
def test_only_anonymous_memory_is_shared_and_it_is_never_executable(machine: str) -> None:
    shared, private, validated, anonymous = 0x01, 0x02, 0x03, 0x20
    read_write, everything = 0x3, 0x7
    for arguments, expected in {
        (read_write, shared | anonymous): ALLOW,
        (read_write, private | anonymous): ALLOW,
        (read_write, shared): errno.EACCES,
        (read_write, validated | anonymous): errno.EACCES,
        (everything, shared | anonymous): errno.EACCES,
    }.items():
        assert named(machine, "mmap", 0, 4096, *arguments, grant="shares") == expected


@pytest.mark.parametrize("machine", MACHINES)
def test_a_program_reads_its_own_limits_and_changes_none(machine: str) -> None:
    assert named(machine, "prlimit64", 0, 7, 0, 99, grant="program") == ALLOW
    assert named(machine, "prlimit64", 0, 7, 99, 0, grant="program") == errno.EPERM
    assert named(machine, "prlimit64", 1, 7, 0, 99, grant="program") == errno.EPERM
    assert named(machine, "prlimit64", 0, 7, 1 << 32, 0, grant="program") == errno.EPERM


def test_more_calls_than_a_jump_can_cross_are_refused_and_not_filtered_wrongly() -> None:
    verdicts = [(call, [(RETURN, 0, 0, call)]) for call in range(300)]
    with pytest.raises(ValueError, match="beyond what a jump can cross"):
        search(verdicts, otherwise=(RETURN, 0, 0, 0))
