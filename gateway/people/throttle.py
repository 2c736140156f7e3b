"""Guesses are slowed: by who guesses and at whom, and never so that the owner is out.

    from one network           every guess is counted for its /24 or /64
    at one address             and for the address, from wherever it comes
    at one from one network    and for the two together
    from all, at all           and for the whole process
    from a known device        is counted for that device alone

So a thousand machines that guess at one address are let through a handful of times, then once a
minute; its owner signs in meanwhile with a device that signed in before, or becomes one by setting
the password anew. Every attempt counts before its password is looked at, right or wrong, known
address or not: an answer tells nothing, and a hundred at once are a hundred.

Whatever names somebody is replaced by a keyed hash before it is a subject.
"""

import asyncio
import math
from collections import OrderedDict
from collections.abc import Callable

import msgspec

from gateway.errors import TooManyTries
from ledger.accounts.rights import Network

MINUTE_S = 60.0
HOUR_S = 3600.0


class Policy(msgspec.Struct, frozen=True):
    """So many at once, and then one in so many seconds."""

    name: str
    burst: int
    period_s: float


# An office behind one address signs in at nine o'clock; a script wants more than this.
SIGN_IN_NETWORK = Policy("sign-in-network", 30, 10.0)
# Nobody mistypes ten times; at one a minute a list of ten thousand takes a week.
SIGN_IN_ADDRESS = Policy("sign-in-address", 10, MINUTE_S)
SIGN_IN_PAIR = Policy("sign-in-address-network", 5, 2 * MINUTE_S)
# Half of what the hashing of a small machine can do, so that a flood is not all that it does.
SIGN_IN_ALL = Policy("sign-in-all", 200, 0.2)
SIGN_IN_DEVICE = Policy("sign-in-device", 10, MINUTE_S)
# Six digits, three of them good at a time: at six an hour a guess is right in a decade or so.
CODE = Policy("second-factor", 5, 10 * MINUTE_S)
STEP_UP = Policy("step-up", 5, MINUTE_S)
# Links have 256 bits; this only keeps somebody from asking all day.
LINK_NETWORK = Policy("link-network", 30, 10.0)
# Each of these sends a mail to somebody who may not have asked for it.
SIGN_UP_NETWORK = Policy("sign-up-network", 5, 10 * MINUTE_S)
SIGN_UP_ADDRESS = Policy("sign-up-address", 3, HOUR_S)
RESET_NETWORK = Policy("reset-network", 10, 5 * MINUTE_S)
RESET_ADDRESS = Policy("reset-address", 3, 20 * MINUTE_S)
CHANGE_ADDRESS = Policy("change-address", 3, HOUR_S)
INVITE = Policy("invite", 20, 5 * MINUTE_S)


class Throttle:
    """Counts tries. One for the process."""

    # More subjects than a small machine is asked about in an hour; the oldest make room.
    SUBJECTS_MAX = 100_000

    def __init__(self, clock: Callable[[], float] | None = None) -> None:
        self._clock = clock or (lambda: asyncio.get_running_loop().time())
        # When each subject's next try would be free of any wait, the latest asked last.
        self._free_at: OrderedDict[tuple[str, str], float] = OrderedDict()

    async def hit(self, policy: Policy, subject: str) -> None:
        """Count one try. Raises TooManyTries, and then it did not count (GCRA)."""
        now = self._clock()
        free_at = max(self._free_at.get((policy.name, subject), now), now) + policy.period_s
        wait_s = free_at - now - policy.burst * policy.period_s
        if wait_s > 0:
            raise TooManyTries(
                "too many tries; wait a little, sign in from a device that you have signed in"
                " from before, or set your password anew by mail",
                retry_after_s=math.ceil(wait_s),
            )
        self._free_at[policy.name, subject] = free_at
        self._free_at.move_to_end((policy.name, subject))
        if len(self._free_at) > self.SUBJECTS_MAX:
            self._free_at.popitem(last=False)


def subject_of(network: Network | None) -> str:
    """A network as a subject; all that come over a Unix socket are one."""
    return "local" if network is None else str(network)
