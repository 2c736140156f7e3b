"""What the doctor is told about the kernel."""

import msgspec
import pytest

from sandbox.host.facts import KernelFacts, kernel_facts

SOUND = KernelFacts(
    release="6.12",
    machine="x86_64",
    landlock_abi=6,
    seccomp_filter=True,
    namespaces=("user", "network", "ipc", "uts", "mount", "pid"),
    transparent_hugepages="madvise",
    swap=(),
    swap_is_forbidden=False,
    core_pattern="core",
    pipe_max_bytes=1024 * 1024,
    init_on_free=True,
)


def test_this_machine_is_read() -> None:
    facts = kernel_facts()
    assert facts.release
    assert facts.landlock_abi >= 0
    assert facts.pipe_max_bytes > 0
    assert facts.transparent_hugepages in {"always", "madvise", "never", ""}


def test_a_sound_kernel_has_no_problems() -> None:
    assert SOUND.problems == ()


@pytest.mark.claim("C-SWAP-1")
def test_each_flaw_is_one_problem_with_a_fix() -> None:
    flaws: list[tuple[str, object, bool]] = [
        ("machine", "riscv64", True),
        ("seccomp_filter", False, True),
        ("landlock_abi", 2, True),
        ("namespaces", ("user",), True),
        ("swap", ("/dev/sda2",), False),
        ("core_pattern", "|/usr/lib/systemd/systemd-coredump", False),
        ("transparent_hugepages", "never", False),
        ("pipe_max_bytes", 65_536, False),
        ("init_on_free", False, False),
    ]
    for name, value, blocks in flaws:
        (problem,) = msgspec.structs.replace(SOUND, **{name: value}).problems
        assert problem.blocks_strict is blocks, name
        assert problem.sentence
        assert problem.fix


def test_swap_that_the_service_may_not_use_is_no_problem() -> None:
    facts = msgspec.structs.replace(SOUND, swap=("/dev/sda2",), swap_is_forbidden=True)
    assert facts.problems == ()
