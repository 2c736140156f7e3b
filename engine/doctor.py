"""What the kernel gives the sandbox and what is missing, as findings that a command can print.

The sandbox reads the facts; here they become one list that says what was looked at, whether it is
well, and what to do otherwise. Whether the sandbox really holds is decided by attack when a zygote
starts, so `ephemera doctor` starts one as well.
"""

import msgspec

from sandbox.host.facts import KernelFacts, kernel_facts


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One fact in words. `fix` is empty where nothing is wrong; `blocks`: strict cannot start."""

    name: str
    detail: str
    ok: bool = True
    blocks: bool = False
    fix: str = ""


def examine() -> list[Finding]:
    """Look at this machine. Blocks for some tens of milliseconds."""
    facts = kernel_facts()
    problems = [
        Finding(
            name="kernel",
            detail=problem.sentence,
            ok=False,
            blocks=problem.blocks_strict,
            fix=problem.fix,
        )
        for problem in facts.problems
    ]
    return [*_facts(facts), *problems]


def _facts(facts: KernelFacts) -> list[Finding]:
    filters = "system-call filters" if facts.seccomp_filter else "no system-call filters"
    spaces = ", ".join(facts.namespaces) or "none"
    return [
        Finding(name="kernel", detail=f"Linux {facts.release} on {facts.machine}, {filters}"),
        Finding(name="landlock", detail=f"ABI {facts.landlock_abi}"),
        Finding(name="namespaces", detail=f"this user can make: {spaces}"),
        Finding(name="huge pages", detail=facts.transparent_hugepages or "unknown"),
        Finding(name="swap", detail=", ".join(facts.swap) or "none"),
        Finding(name="core pattern", detail=facts.core_pattern or "unknown"),
        Finding(name="pipes", detail=f"at most {facts.pipe_max_bytes} bytes"),
    ]
