"""Workers of several uses between two conversions, each for its owner and nobody else.

An owner is one request (a batch) or, where the operator opted in, one account. The owner is the
key of the only table in here, so a worker cannot cross from one to another.
"""

import asyncio
from collections import OrderedDict
from typing import Literal

import msgspec

from engine.workers import Held

Policy = Literal["per-conversion", "per-request", "per-account"]

# A kept worker holds what its last conversion allocated; four a core is what a machine that is
# sized for its slots can bear. The one that waits longest goes first.
KEPT_A_SLOT = 4


class Owner(msgspec.Struct, frozen=True, kw_only=True):
    """Whose files a worker of several uses converts."""

    policy: Policy
    # The request's or the account's own name; unique together with the policy.
    name: str
    # Conversions, and seconds since its fork, after which its worker is replaced.
    uses: int
    kept_s: float


class Keep:
    """Workers in waiting, at most `kept_max`; each is killed when its time is over."""

    def __init__(self, kept_max: int) -> None:
        self._kept_max = kept_max
        self._held: OrderedDict[Held, tuple[Owner, asyncio.TimerHandle]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._held)

    def put(self, owner: Owner, held: Held) -> None:
        """Keep a worker for its owner, or end it where its time or its uses are over."""
        loop = asyncio.get_running_loop()
        left_s = held.forked_s + owner.kept_s - loop.time()
        if left_s <= 0 or held.worker.uses_left < 1 or not self._kept_max:
            held.worker.kill()
            return
        while len(self._held) >= self._kept_max:
            self._end(next(iter(self._held)))
        self._held[held] = (owner, loop.call_later(left_s, self._end, held))

    def take(self, owner: Owner) -> Held | None:
        """A living worker of this owner, if there is one."""
        for held in self._of(owner):
            self._held.pop(held)[1].cancel()
            if held.worker.alive:
                return held
        return None

    def release(self, owner: Owner) -> None:
        """End the workers of an owner who needs them no more."""
        for held in self._of(owner):
            self._end(held)

    def clear(self) -> None:
        """End all."""
        for held in list(self._held):
            self._end(held)

    def _of(self, owner: Owner) -> list[Held]:
        return [held for held, (theirs, _) in self._held.items() if theirs == owner]

    def _end(self, held: Held) -> None:
        self._held.pop(held)[1].cancel()
        held.worker.kill()
