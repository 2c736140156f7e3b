"""The front door: `hit` is exact, `take` is at once.

    verdict = await limits.hit(policies.SIGN_IN_ADDRESS, hashed)      # sign-in, sign-up, forms
    verdict = limits.take(policies.KEY_REQUESTS, caller.key_id)       # every request

Where several processes count together, `hit` asks their store and may wait for it; `take` draws on
what this process has leased (`leases.py`), and never waits. With one process both are the same.

A policy that is `closed` lets nobody pass while the store is away: LedgerUnavailable is raised.
The others go on with what this process counted itself.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from time import monotonic_ns

from gateway.limits.concurrency import Concurrency
from gateway.limits.leases import LeaseStore
from gateway.limits.memory import MemoryStore
from gateway.limits.policies import ACCOUNT_CONCURRENCY, Policy, Verdict
from gateway.limits.settings import LimitsConfig
from ledger.errors import LedgerUnavailable
from ledger.limits.inside import Inside
from ledger.limits.moments import Moments

# What is said where an operator switched a limit off.
UNLIMITED = Verdict(True, 2**53, 0)


class Limits:
    """All limits of one process."""

    def __init__(
        self,
        config: LimitsConfig,
        moments: Moments | None = None,
        inside: Inside | None = None,
        *,
        clock_ns: Callable[[], int] = monotonic_ns,
    ) -> None:
        """`moments` and `inside`: what several processes share, where the store is `postgres`."""
        shared = config.store == "postgres"
        self._policies = config.policies()
        self._memory = MemoryStore(clock_ns)
        self._leases = None
        if shared and moments is not None:
            self._leases = LeaseStore(moments.take, self._memory, clock_ns)
        self._concurrency = Concurrency(inside if shared else None)

    def here(self, policy: Policy) -> Policy | None:
        """The policy as the operator has it; None where it is off."""
        return self._policies[policy.name]

    async def hit(self, policy: Policy, subject: str, cost: int = 1) -> Verdict:
        """Ask for so many units for a subject; exact. A refusal counts for nothing.

        Raises LedgerUnavailable for a closed policy whose store is away.
        """
        here = self._policies[policy.name]
        if here is None:
            return UNLIMITED
        if self._leases is not None:
            try:
                return await self._leases.ask(here, subject, cost)
            except LedgerUnavailable:
                if here.closed:
                    raise
        return self._memory.hit(here, subject, cost)

    def take(self, policy: Policy, subject: str, cost: int = 1) -> Verdict:
        """The same at once, which among several processes is exact to a chunk."""
        here = self._policies[policy.name]
        if here is None:
            return UNLIMITED
        return (self._leases or self._memory).hit(here, subject, cost)

    def look(self, policy: Policy, subject: str) -> Verdict:
        """What `take` would say, of what this process counted itself."""
        here = self._policies[policy.name]
        return UNLIMITED if here is None else self._memory.look(here, subject)

    def counts(self, policy: Policy) -> bool:
        """Whether this process has counted anybody for it."""
        return self._memory.counts(policy)

    def count(self, policy: Policy, subject: str) -> None:
        """Count in this process alone, for `look`."""
        here = self._policies[policy.name]
        if here is not None:
            self._memory.hit(here, subject)

    def force(self, policy: Policy, subject: str, cost: int) -> None:
        """Count what happened already, also beyond the quota."""
        here = self._policies[policy.name]
        if here is not None:
            (self._leases or self._memory).force(here, subject, cost)

    def give_back(self, policy: Policy, subject: str, cost: int = 1) -> None:
        """Undo a `take`: something else refused the request."""
        here = self._policies[policy.name]
        if here is not None:
            (self._leases or self._memory).give_back(here, subject, cost)

    def room(self, account_id: int) -> Verdict:
        """Whether another upload of the account may begin."""
        here = self._policies[ACCOUNT_CONCURRENCY.name]
        if here is None:
            return UNLIMITED
        inside = self._concurrency.count(account_id)
        allowed = inside < here.quota
        return Verdict(allowed, max(0, here.quota - inside), 0, 0 if allowed else 1)

    @contextmanager
    def inside(self, account_id: int) -> Iterator[None]:
        """Count an upload of the account for the block."""
        with self._concurrency.inside(account_id):
            yield

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Share with other processes for the block, where that is how we count."""
        works = [self._concurrency.run()]
        if self._leases is not None:
            works.append(self._leases.run())
        tasks = [asyncio.create_task(work) for work in works]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.gather(*tasks, return_exceptions=True)
