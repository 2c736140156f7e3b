"""THE ordered list of confinement steps: what stands between a codec and this machine.

Read `STEPS` from top to bottom and you have reviewed it. The order is part of the design:

  * the parts that need a privilege come before the parts that give it up;
  * the user is changed before the namespaces are made, so that nothing in them belongs to root;
  * credentials change before `undumpable`, which they would reset;
  * Landlock comes before the empty root, while there still is a file to prove it on;
  * the filter comes last, because it forbids what the other steps do.

Whatever is done in the zygote is inherited by each worker at no cost. What a level needs: `strict`
every step; `container` every step but those marked `strict` (the operator asserts that the
container around the service has its own); `unsafe` none. A family that reads files (a system extra)
keeps the machine's root, attested as the missing step `empty-root`; it needs Landlock for that, and
so does one that executes a program.
"""

import contextlib
import os
from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

from sandbox.jail import descriptors, landlock, namespaces, privileges, rlimits
from sandbox.jail.seccomp import Filter
from sandbox.spec import ZygoteSpec

# The switch that an operator has; both sentences are shown at a refused start.
ACCEPT = {
    "strict": 'or set isolation = "container" if a container around this service isolates it',
    "floor": 'no container can stand in for this layer; only isolation = "unsafe" starts without',
}


class Where(Enum):
    """Which process takes a step."""

    GUARDIAN = "guardian"  # the program the host started; it then only waits for the zygote
    ZYGOTE = "zygote"  # its child, PID 1 of the jail, from which workers are forked
    WORKER = "worker"


class Refused(Exception):
    """A step that the level needs cannot be had. The message is for the operator."""


class Jail:
    """What the steps of one zygote and its workers share."""

    def __init__(self, spec: ZygoteSpec) -> None:
        self.spec = spec
        # Of the worker that this process is, once it is one.
        self.uses = spec.uses
        self.landlock_abi = landlock.abi()
        # Prepared where it is cheap, used where it is not: each worker adds its own domain.
        self.rules = -1
        self.filter: Filter | None = None
        # Files that workers may execute or read, held until `prepare` has made their domain.
        self.granted = _granted(spec)
        # Descriptors that a preloaded library holds and a worker keeps.
        self.random_sources: frozenset[int] = frozenset()
        self.active: list[str] = []
        self.missing: list[str] = []

    @property
    def kept(self) -> frozenset[int]:
        """The descriptors of a worker besides its pipes."""
        program = {descriptors.PROGRAM} if self.spec.program else set[int]()
        return self.random_sources | program

    def prepare(self) -> None:
        """Build in the zygote what every worker loads."""
        # A machine without a table of calls has no filter; the step says so.
        with contextlib.suppress(OSError):
            self.filter = Filter(
                threads=self.spec.limits.threads > 0,
                calls=self.spec.calls,
                program=bool(self.spec.program),
                reads=bool(self.spec.reads),
                pairs=self.spec.pairs,
                shares=self.spec.shares,
            )
        if self.landlock_abi:
            rules = landlock.ruleset(self.landlock_abi, self.granted)
            self.rules = descriptors.out_of_the_way(rules)
        for rule in self.granted:
            os.close(rule.descriptor)


class Step(NamedTuple):
    """One wall: who builds it, the levels that need it, how, and what its absence means."""

    name: str
    where: Where
    needed: str  # "floor": in container too; "strict": only in strict
    take: Callable[[Jail], None]
    remedy: str


def confine(jail: Jail, where: Where) -> None:
    """Take this process's steps in order. Raises Refused for one that the level needs."""
    for step in _OF_PROCESS[where]:
        take(jail, step)


def take(jail: Jail, step: Step) -> None:
    """Take one step, or note that it is missing where the level can do without."""
    if step.name in jail.spec.omit or (jail.spec.reads and step.name == "empty-root"):
        jail.missing.append(step.name)
        return
    try:
        step.take(jail)
    except OSError as failure:
        if _is_needed(step, jail.spec):
            raise Refused(
                f"the sandbox layer {step.name} cannot be had ({failure.strerror or failure}): "
                f"{step.remedy}; {ACCEPT[step.needed]}"
            ) from failure
        jail.missing.append(step.name)
    else:
        jail.active.append(step.name)


def _is_needed(step: Step, spec: ZygoteSpec) -> bool:
    if spec.level == "container":
        # Nothing but Landlock knows which files may be read, and which one may be executed.
        knows = bool(spec.reads or spec.program) and step.name == "landlock"
        return step.needed == "floor" or knows
    return spec.level == "strict"


def _granted(spec: ZygoteSpec) -> tuple[landlock.Rule, ...]:
    rules = landlock.to_read(spec.reads)
    if spec.program:
        rules += map(
            landlock.to_execute, filter(None, (spec.program, landlock.loader_of(spec.program)))
        )
    return tuple(rules)


def _user_namespace(jail: Jail) -> None:
    namespaces.enter_user()
    if jail.spec.reads:
        # Where this cannot be had (/proc/sys may be read-only), the self-attack says so.
        with contextlib.suppress(OSError):
            namespaces.forbid_user()


def _mount_namespace(jail: Jail) -> None:
    namespaces.enter_mounts()
    if jail.spec.program:
        # What was opened before is of the mounts before, which are not read-only. Where the user
        # that workers are may not get there again, it stays that one.
        with contextlib.suppress(PermissionError):
            descriptors.hold_program(jail.spec.program)


def _landlock(jail: Jail) -> None:
    if jail.landlock_abi < landlock.ABI_MIN and jail.spec.level == "strict":
        raise OSError(f"the kernel's ABI is {jail.landlock_abi}, {landlock.ABI_MIN} is needed")
    landlock.enter(jail.landlock_abi, jail.granted)
    try:
        os.close(os.open("/", os.O_RDONLY))
    except PermissionError:
        return
    raise OSError("the kernel accepted the rules and still opens files")


def _own_landlock(jail: Jail) -> None:
    landlock.restrict(jail.rules, jail.landlock_abi)


def _filter(jail: Jail) -> None:
    if jail.filter is None:
        raise OSError("no filter was prepared")
    jail.filter.load()


_USERNS = (
    "allow user namespaces (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone=1, "
    "kernel.apparmor_restrict_unprivileged_userns=0 or an AppArmor profile for the interpreter)"
)
_NAMESPACE = "the kernel or the container refuses new namespaces; " + _USERNS
_LANDLOCK = "it takes Linux 6.2 with landlock among its security modules (lsm=landlock,...)"
_SECCOMP = "it takes a kernel with CONFIG_SECCOMP_FILTER on x86_64 or aarch64"
_ANY = "the container's or the service manager's own restrictions forbid it"

STEPS = (
    Step("identity", Where.GUARDIAN, "floor", lambda _: privileges.drop_user(), _ANY),
    Step("user-namespace", Where.GUARDIAN, "strict", _user_namespace, _USERNS),
    Step("network-namespace", Where.GUARDIAN, "strict",
         lambda _: namespaces.enter("network"), _NAMESPACE),
    Step("ipc-namespace", Where.GUARDIAN, "strict", lambda _: namespaces.enter("ipc"), _NAMESPACE),
    Step("uts-namespace", Where.GUARDIAN, "strict", lambda _: namespaces.enter("uts"), _NAMESPACE),
    Step("mount-namespace", Where.GUARDIAN, "strict", _mount_namespace, _NAMESPACE),
    Step("pid-namespace", Where.GUARDIAN, "strict", lambda _: namespaces.enter_pid(), _NAMESPACE),

    Step("no-new-privileges", Where.ZYGOTE, "floor",
         lambda _: privileges.forbid_new_privileges(), _ANY),
    Step("landlock", Where.ZYGOTE, "strict", _landlock, _LANDLOCK),
    Step("empty-root", Where.ZYGOTE, "strict", lambda _: namespaces.empty_root(), _NAMESPACE),
    Step("capabilities", Where.ZYGOTE, "floor", lambda _: privileges.drop_capabilities(), _ANY),
    Step("zygote-limits", Where.ZYGOTE, "floor",
         lambda jail: rlimits.limit_zygote(executes=bool(jail.spec.program)), _ANY),
    Step("undumpable", Where.ZYGOTE, "floor", lambda _: privileges.make_undumpable(), _ANY),

    Step("own-landlock", Where.WORKER, "strict", _own_landlock, _LANDLOCK),
    Step("descriptors", Where.WORKER, "floor",
         lambda jail: descriptors.keep_only_pipes(jail.kept), _ANY),
    Step("limits", Where.WORKER, "floor",
         lambda jail: rlimits.limit_worker(jail.spec, jail.uses), _ANY),
    Step("filter", Where.WORKER, "floor", _filter, _SECCOMP),
)  # fmt: skip
NAMES = frozenset(step.name for step in STEPS)
_OF_PROCESS = {where: tuple(step for step in STEPS if step.where is where) for where in Where}
