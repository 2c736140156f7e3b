"""A start that cannot have its level is refused in words; one that can says what it has."""

import json
import subprocess
import sys

import pytest

from sandbox.errors import SandboxUnavailable
from sandbox.host.forkserver import Forkserver
from sandbox.spec import ZygoteSpec
from tests.sandbox.zygotes import ENTRIES, order

NAMESPACES = ["user", "network", "ipc", "uts", "mount", "pid"]
DOCKER = ["unshare=EPERM"]
GVISOR = ["landlock_create_ruleset=ENOSYS"]


def start(level: str, *lacking: str) -> dict[str, object]:
    ended = subprocess.run(
        [sys.executable, "-m", "tests.sandbox.lesser_kernel", level, *lacking],
        capture_output=True,
        check=True,
        timeout=60,
    )
    outcome: dict[str, object] = json.loads(ended.stdout)
    return outcome


@pytest.mark.parametrize(
    ("lacking", "layer"),
    [
        (DOCKER, "user-namespace"),
        (GVISOR, "landlock"),
        (["landlock_restrict_self=0"], "landlock"),
        (["seccomp=ENOSYS"], "filter"),
        (["seccomp=0"], "filter"),
        (["capset=EPERM"], "identity"),
    ],
)
@pytest.mark.claim("C-START-1")
def test_strict_is_refused_naming_the_layer_and_the_switch(lacking: list[str], layer: str) -> None:
    refusal = str(start("strict", *lacking)["refusal"])
    assert f"the sandbox layer {layer} " in refusal
    assert 'isolation = "' in refusal


@pytest.mark.parametrize(
    ("lacking", "missing"),
    [
        ([], []),
        (DOCKER, [f"{name}-namespace" for name in NAMESPACES]),
        (GVISOR, ["landlock", "own-landlock"]),
        (
            DOCKER + GVISOR,
            [f"{name}-namespace" for name in NAMESPACES] + ["landlock", "own-landlock"],
        ),
    ],
)
def test_container_does_without_what_a_container_can_give(
    lacking: list[str], missing: list[str]
) -> None:
    outcome = start("container", *lacking)
    assert outcome["works"]
    assert outcome["missing"] == missing


@pytest.mark.parametrize("lacking", ["seccomp=ENOSYS", "seccomp=0", "capset=EPERM"])
def test_container_is_refused_without_the_floor(lacking: str) -> None:
    refusal = str(start("container", lacking)["refusal"])
    assert 'isolation = "unsafe"' in refusal


def test_unsafe_starts_with_nothing_and_says_so() -> None:
    outcome = start("unsafe", *DOCKER, *GVISOR, "seccomp=ENOSYS")
    assert outcome["works"]
    assert {"user-namespace", "landlock", "filter"} <= set(outcome["missing"])  # type: ignore[call-overload]
    assert {"make a memfd", "fork"} <= set(outcome["succeeded"])  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        (order(preload=("no_such_codec",)), "No module named 'no_such_codec'"),
        (order(entry=f"{ENTRIES}:no_such_entry"), "no_such_entry"),
        (order(warm=f"{ENTRIES}:warm_with_a_thread"), "left 2 threads running"),
        (order(warm=f"{ENTRIES}:warm_with_a_file"), "left descriptors open"),
        (order(warm=f"{ENTRIES}:touch_crashes"), "ended while booting"),
        (order(omit={"no such layer"}), "no such confinement steps"),
    ],
)
async def test_a_zygote_that_cannot_boot_says_why(spec: ZygoteSpec, sentence: str) -> None:
    with pytest.raises(SandboxUnavailable, match=sentence):
        await Forkserver.start(spec)
