"""Counts for several processes together, without a wait within a request.

What a subject may use is leased from the shared store in chunks of a twentieth of its window, and
drawn on here. A chunk is asked for beside the requests: when half of it is left, or at a subject's
first request, which is let through as a debt. Debts are always paid: they are part of the next ask.

    how far it can overshoot   at most one chunk and one request a process and subject, while the
                               store has not answered yet: so with n processes n/20 of the quota,
                               once; on average never, because debts are paid
    how far it can fall short  what was leased and not used lapses after a window: n/20 likewise

While the store is away every process counts for itself (`memory.py`).
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence

import structlog

from gateway.limits import gcra
from gateway.limits.memory import MemoryStore
from gateway.limits.policies import SECOND_NS, Policy, Verdict, seconds
from ledger.errors import LedgerError
from ledger.limits.moments import Ask, Taken

log = structlog.get_logger()

# Parts of a window that are leased at once.
CHUNKS = 20
SUBJECTS_MAX = 100_000
# Subjects in one statement: about 20 ms of PostgreSQL's time.
BATCH_MAX = 500
# Between two tries while the store is away.
AGAIN_S = 1.0

Take = Callable[[Sequence[Ask]], Awaitable[list[Taken]]]


class _Budget:
    """What this process has of one subject."""

    __slots__ = (
        "ahead_ns",
        "asked",
        "lapses_ns",
        "left_ns",
        "policy",
        "refused_until_ns",
        "told_ns",
    )

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        # Leased and not used; below 0: used and not paid for.
        self.left_ns = 0
        # When what is left is not ours any more.
        self.lapses_ns = 0
        # The store had no room until then.
        self.refused_until_ns = 0
        # How far ahead the subject was, when the store told us.
        self.ahead_ns = 0
        self.told_ns = 0
        self.asked = False


class LeaseStore:
    """The budgets of one process."""

    def __init__(
        self, take: Take, memory: MemoryStore, clock_ns: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self.away = False
        self._take = take
        self._memory = memory
        self._clock_ns = clock_ns
        self._budgets: OrderedDict[tuple[str, str], _Budget] = OrderedDict()
        self._wanting: dict[tuple[str, str], _Budget] = {}
        self._wanted = asyncio.Event()

    @property
    def asking(self) -> bool:
        """Whether the store has not answered yet."""
        return bool(self._wanting)

    async def ask(self, policy: Policy, subject: str, cost: int) -> Verdict:
        """Exact, and a round trip. Raises LedgerUnavailable."""
        cost_ns = policy.cost_ns(cost)
        ask = Ask(
            policy=policy.name,
            subject=subject,
            window_ns=policy.window_ns,
            want_ns=cost_ns,
            least_ns=cost_ns,
        )
        (taken,) = await self._take([ask])
        step = gcra.Step(taken.granted_ns >= cost_ns, taken.ahead_ns)
        return gcra.verdict(policy, step, cost_ns)

    def hit(self, policy: Policy, subject: str, cost: int = 1) -> Verdict:
        """At once, from what is leased; on credit at first."""
        if self.away:
            return self._memory.hit(policy, subject, cost)
        budget, now_ns = self._budget(policy, subject), self._clock_ns()
        cost_ns, chunk_ns = policy.cost_ns(cost), policy.window_ns // CHUNKS
        if now_ns >= budget.lapses_ns:
            budget.left_ns = min(budget.left_ns, 0)
        may_owe = now_ns >= budget.refused_until_ns and budget.left_ns > -chunk_ns
        allowed = budget.left_ns >= cost_ns or may_owe
        if allowed:
            budget.left_ns -= cost_ns
            if budget.left_ns < chunk_ns // 2 and now_ns >= budget.refused_until_ns:
                self._want((policy.name, subject), budget)
        return self._verdict(budget, now_ns, allowed=allowed)

    def force(self, policy: Policy, subject: str, cost: int) -> None:
        """Count what happened already, also beyond the quota."""
        if self.away:
            self._memory.force(policy, subject, cost)
            return
        budget = self._budget(policy, subject)
        budget.left_ns -= policy.cost_ns(cost)
        self._want((policy.name, subject), budget)

    def give_back(self, policy: Policy, subject: str, cost: int) -> None:
        """Undo a `hit`: something else refused the request."""
        if self.away:
            self._memory.give_back(policy, subject, cost)
        else:
            self._budget(policy, subject).left_ns += policy.cost_ns(cost)

    async def run(self) -> None:
        """Ask for what is wanted until cancelled: one statement at a time, many subjects each."""
        while True:
            await self._wanted.wait()
            batch = dict(list(self._wanting.items())[:BATCH_MAX])
            try:
                await self._lease(batch)
            except LedgerError as error:
                if not self.away:
                    log.warning("limits_alone", error=type(error).__name__)
                self.away = True
                await asyncio.sleep(AGAIN_S)
                continue
            self.away = False
            for key in batch:
                self._wanting.pop(key, None)
            if not self._wanting:
                self._wanted.clear()

    async def _lease(self, batch: dict[tuple[str, str], _Budget]) -> None:
        asks = [_ask(key[1], budget) for key, budget in batch.items()]
        # What is used from here on is of the next ask.
        owed = [ask.must_ns for ask in asks]
        taken = await self._take(asks)
        now_ns = self._clock_ns()
        for budget, paid_ns, one in zip(batch.values(), owed, taken, strict=True):
            budget.asked = False
            budget.left_ns += paid_ns + one.granted_ns
            budget.lapses_ns = now_ns + budget.policy.window_ns
            budget.ahead_ns, budget.told_ns = one.ahead_ns, now_ns
            if one.granted_ns == 0:
                # Until there is room for a part that is worth asking for.
                chunk_ns = budget.policy.window_ns // CHUNKS
                least_ns = max(budget.policy.cost_ns(1), chunk_ns // 8)
                wait_ns = one.ahead_ns + least_ns - budget.policy.window_ns
                budget.refused_until_ns = now_ns + max(0, wait_ns)

    def _budget(self, policy: Policy, subject: str) -> _Budget:
        key = (policy.name, subject)
        budget = self._budgets.get(key)
        if budget is None:
            budget = self._budgets[key] = _Budget(policy)
            if len(self._budgets) > SUBJECTS_MAX:
                # Who asked longest ago; a debt of less than a chunk is forgiven.
                self._budgets.popitem(last=False)
        else:
            self._budgets.move_to_end(key)
        return budget

    def _want(self, key: tuple[str, str], budget: _Budget) -> None:
        if not budget.asked:
            budget.asked = True
            self._wanting[key] = budget
            self._wanted.set()

    def _verdict(self, budget: _Budget, now_ns: int, *, allowed: bool) -> Verdict:
        policy = budget.policy
        ahead_ns = max(0, budget.ahead_ns - (now_ns - budget.told_ns))
        # What is leased here counts as used there, and debts do not yet.
        ahead_ns = min(max(0, ahead_ns - budget.left_ns), policy.window_ns)
        retry_s = 0
        if not allowed:
            retry_s = max(1, seconds(max(budget.refused_until_ns - now_ns, SECOND_NS // 1000)))
        return Verdict(
            allowed, policy.units(policy.window_ns - ahead_ns), seconds(ahead_ns), retry_s
        )


def _ask(subject: str, budget: _Budget) -> Ask:
    chunk_ns = budget.policy.window_ns // CHUNKS
    return Ask(
        policy=budget.policy.name,
        subject=subject,
        window_ns=budget.policy.window_ns,
        must_ns=max(0, -budget.left_ns),
        want_ns=max(0, chunk_ns - max(0, budget.left_ns)),
    )
