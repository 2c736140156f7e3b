"""The arithmetic of all limits: GCRA in whole nanoseconds. Pure.

A subject has one number: the moment at which all that it used would be paid for, its theoretical
arrival time (tat). What it asks for moves that moment into the future; beyond one window from now
it is refused, and a refusal moves nothing. A subject whose moment has passed is as good as unknown.
"""

import msgspec

from gateway.limits.policies import Policy, Verdict, seconds


class Step(msgspec.Struct, frozen=True):
    """What comes of one request."""

    allowed: bool
    # How far the moment is ahead of now, afterwards.
    ahead_ns: int


def step(ahead_ns: int, cost_ns: int, window_ns: int) -> Step:
    """Ask for so much, being so far ahead (0 or less: not at all)."""
    before = max(0, ahead_ns)
    after = before + cost_ns
    return Step(True, after) if after <= window_ns else Step(False, before)


def verdict(policy: Policy, taken: Step, cost_ns: int) -> Verdict:
    """What the subject is told."""
    wait_ns = 0 if taken.allowed else taken.ahead_ns + cost_ns - policy.window_ns
    return Verdict(
        taken.allowed,
        policy.units(policy.window_ns - taken.ahead_ns),
        seconds(taken.ahead_ns),
        # What costs more than the whole quota is refused for ever; nobody waits longer than that.
        seconds(min(wait_ns, policy.window_ns)),
    )
