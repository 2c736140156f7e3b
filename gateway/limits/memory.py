"""Counts in this process: exact where there is one, and what the others fall back to."""

import time
from collections import OrderedDict
from collections.abc import Callable

from gateway.limits import gcra
from gateway.limits.policies import Policy, Verdict

# Of one policy: more than a small machine is asked by within an hour. A subject takes 200 bytes.
SUBJECTS_MAX = 100_000


class MemoryStore:
    """The moments of all subjects, those of each policy for themselves."""

    def __init__(self, clock_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._clock_ns = clock_ns
        # Who asked last stands last.
        self._moments: dict[str, OrderedDict[str, int]] = {}

    def hit(self, policy: Policy, subject: str, cost: int = 1) -> Verdict:
        """Ask for so many units."""
        moments = self._moments.get(policy.name)
        if moments is None:
            moments = self._moments[policy.name] = OrderedDict()
        now_ns, cost_ns = self._clock_ns(), policy.cost_ns(cost)
        taken = gcra.step(moments.get(subject, 0) - now_ns, cost_ns, policy.window_ns)
        if taken.allowed:
            moments[subject] = now_ns + taken.ahead_ns
            moments.move_to_end(subject)
            if len(moments) > SUBJECTS_MAX:
                # One that asked longer ago than all the others: most likely paid for by now.
                moments.popitem(last=False)
        return gcra.verdict(policy, taken, cost_ns)

    def force(self, policy: Policy, subject: str, cost: int) -> None:
        """Count what happened already, also beyond the quota."""
        moments = self._moments.setdefault(policy.name, OrderedDict())
        now_ns = self._clock_ns()
        ahead_ns = max(0, moments.get(subject, 0) - now_ns) + policy.cost_ns(cost)
        # Nobody is shut out for longer than two windows by one mistake.
        moments[subject] = now_ns + min(ahead_ns, 2 * policy.window_ns)
        moments.move_to_end(subject)
        if len(moments) > SUBJECTS_MAX:
            moments.popitem(last=False)

    def give_back(self, policy: Policy, subject: str, cost: int) -> None:
        """Undo a `hit`: something else refused the request."""
        moments = self._moments.get(policy.name)
        if moments is not None and subject in moments:
            moments[subject] -= policy.cost_ns(cost)

    def counts(self, policy: Policy) -> bool:
        """Whether anybody was counted for it."""
        return policy.name in self._moments

    def look(self, policy: Policy, subject: str, cost: int = 1) -> Verdict:
        """What `hit` would say, without asking."""
        moments = self._moments.get(policy.name)
        moment_ns = moments.get(subject, 0) if moments else 0
        cost_ns = policy.cost_ns(cost)
        ahead_ns = moment_ns - self._clock_ns()
        would = gcra.step(ahead_ns, cost_ns, policy.window_ns)
        return gcra.verdict(policy, gcra.Step(would.allowed, max(0, ahead_ns)), cost_ns)
