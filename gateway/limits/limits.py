"""The front door: `hit` is exact, `take` is at once.

    verdict = await limits.hit(policies.SIGN_IN_ADDRESS, hashed)      # sign-in, sign-up, forms
    verdict = limits.take(policies.KEY_REQUESTS, caller.key_id)       # every request

Where several processes count together, `hit` asks their store and may wait for it; `take` draws on
what this process has leased (`leases.py`), and never waits. With one process both are the same.

A policy that is `closed` lets nobody pass while the store is away: LedgerUnavailable is raised.
The others go on with what this process counted itself.
"""

from collections.abc import Callable
from time import monotonic_ns

from gateway.limits.memory import MemoryStore
from gateway.limits.policies import Policy, Verdict
from gateway.limits.settings import LimitsConfig

# What is said where an operator switched a limit off.
UNLIMITED = Verdict(True, 2**53, 0)


class Limits:
    """All limits of one process."""

    def __init__(self, config: LimitsConfig, *, clock_ns: Callable[[], int] = monotonic_ns) -> None:
        self._policies = config.policies()
        self._memory = MemoryStore(clock_ns)

    async def hit(self, policy: Policy, subject: str, cost: int = 1) -> Verdict:
        """Ask for so many units for a subject; exact. A refusal counts for nothing.

        Raises LedgerUnavailable for a closed policy whose store is away.
        """
        here = self._policies[policy.name]
        return UNLIMITED if here is None else self._memory.hit(here, subject, cost)

    def take(self, policy: Policy, subject: str, cost: int = 1) -> Verdict:
        """The same at once, which among several processes is exact to a chunk."""
        here = self._policies[policy.name]
        return UNLIMITED if here is None else self._memory.hit(here, subject, cost)
