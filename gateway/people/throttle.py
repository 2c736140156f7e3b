"""Guesses are slowed: by who guesses and at whom, and never so that the owner is out.

    from one network           every guess is counted for its /24 or /64
    at one address             and for the address, from wherever it comes
    at one from one network    and for the two together
    from all, at all           and for the whole service
    from a known device        is counted for that device alone

So a thousand machines that guess at one address are let through a handful of times, then once a
minute; its owner signs in meanwhile with a device that signed in before, becomes one by setting the
password anew, or does a proof of work, which is counted apart. Every attempt counts before its
password is looked at, right or wrong, known address or not: an answer tells nothing, and a hundred
at once are a hundred.

The quotas stand in `gateway/limits/policies.py`. Whatever names somebody is a keyed hash before it
is a subject.
"""

from gateway.errors import TooManyTries
from gateway.limits.limits import Limits
from gateway.limits.policies import Policy
from ledger.accounts.rights import Network


class Throttle:
    """Asks the limits, and says what to do where they refuse."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    async def hit(self, policy: Policy, subject: str) -> None:
        """Count one try. Raises TooManyTries, and then it did not count, and LedgerUnavailable."""
        verdict = await self._limits.hit(policy, subject)
        if not verdict.allowed:
            raise TooManyTries(
                "too many tries; wait a little, sign in from a device that you have signed in"
                " from before, with a proof of work (GET /v1/auth/signin), or set your password"
                " anew by mail",
                retry_after_s=verdict.retry_after_s,
            )

    async def hit_network(self, policy: Policy, network: Network | None) -> None:
        """Count one try of a network.

        This machine itself is none: behind a proxy that `server.trusted_proxies` does not name it
        would be everybody at once.
        """
        if network is not None and not network.is_loopback:
            await self.hit(policy, str(network))
