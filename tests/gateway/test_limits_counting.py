"""The arithmetic of limits: bursts, averages, costs, and what several processes count together."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio

from gateway.limits import headers, manual, policies
from gateway.limits.concurrency import Concurrency
from gateway.limits.leases import CHUNKS, LeaseStore
from gateway.limits.limits import Limits
from gateway.limits.memory import SUBJECTS_MAX, MemoryStore
from gateway.limits.policies import SECOND_NS, Policy, Subject, Unit, Verdict
from gateway.limits.settings import LimitsConfig
from ledger.errors import LedgerUnavailable
from ledger.ledger import Ledger
from ledger.limits.moments import Ask, Taken
from ledger.settings import LedgerSettings
from tests.gateway.conftest import KEK, PEPPER
from tests.gateway.service import until
from tests.postgres import Server

pytestmark = pytest.mark.asyncio(loop_scope="session")

TEN_A_MINUTE = Policy(name="ten", subject=Subject.KEY, quota=10, window_s=60)
BYTES = Policy(name="bytes", subject=Subject.KEY, quota=1000, window_s=10, unit=Unit.BYTES)


class Clock:
    """Nanoseconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now_ns = 5 * SECOND_NS

    def __call__(self) -> int:
        return self.now_ns

    def forward(self, seconds: float) -> None:
        self.now_ns += int(seconds * SECOND_NS)


async def test_all_of_a_quota_may_be_used_at_once_and_then_it_comes_back_evenly() -> None:
    clock = Clock()
    store = MemoryStore(clock)
    verdicts = [store.hit(TEN_A_MINUTE, "one") for _ in range(11)]
    assert [one.allowed for one in verdicts] == [True] * 10 + [False]
    assert [one.remaining for one in verdicts] == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0]
    assert verdicts[0].reset_s == 6
    assert verdicts[-1] == Verdict(False, 0, 60, 6)
    clock.forward(6)
    assert store.hit(TEN_A_MINUTE, "one").allowed
    assert not store.hit(TEN_A_MINUTE, "one").allowed
    assert store.hit(TEN_A_MINUTE, "another").allowed


async def test_who_asks_at_the_average_rate_never_meets_a_limit() -> None:
    clock = Clock()
    store = MemoryStore(clock)
    for _ in range(100):
        assert store.hit(TEN_A_MINUTE, "one").allowed
        clock.forward(6)


async def test_a_refusal_moves_nothing_however_often_it_is_repeated() -> None:
    clock = Clock()
    store = MemoryStore(clock)
    for _ in range(1000):
        store.hit(TEN_A_MINUTE, "one")
    clock.forward(6)
    assert store.hit(TEN_A_MINUTE, "one").allowed


async def test_costs_count_and_more_than_a_quota_never_fits() -> None:
    store = MemoryStore(Clock())
    assert store.hit(BYTES, "one", 999).remaining == 1
    assert store.hit(BYTES, "one", 2) == Verdict(False, 1, 10, 1)
    assert not store.hit(BYTES, "two", 1001).allowed
    assert store.hit(BYTES, "two", 1000).allowed
    store.give_back(BYTES, "two", 400)
    assert store.hit(BYTES, "two", 400).allowed


async def test_what_happened_already_is_counted_and_shuts_out_for_two_windows_at_the_most() -> None:
    clock = Clock()
    store = MemoryStore(clock)
    store.force(BYTES, "one", 1_000_000)
    assert store.look(BYTES, "one").retry_after_s == 10
    clock.forward(20)
    assert store.hit(BYTES, "one").allowed


async def test_memory_is_bounded_and_who_asked_longest_ago_is_forgotten() -> None:
    store = MemoryStore(Clock())
    for number in range(SUBJECTS_MAX + 1):
        store.hit(TEN_A_MINUTE, str(number))
    assert store.look(TEN_A_MINUTE, "0").remaining == 10
    assert store.look(TEN_A_MINUTE, "1").remaining == 9


async def test_the_headers_are_structured_fields() -> None:
    told = [(TEN_A_MINUTE, Verdict(True, 9, 6)), (BYTES, Verdict(False, 0, 10, 3))]
    assert headers.policies_told(told) == (
        '"ten";q=10;w=60, "bytes";q=1000;qu="content-bytes";w=10'
    )
    assert headers.left_told(told) == '"ten";r=9;t=6, "bytes";r=0;t=10'


@pytest.mark.parametrize(
    "text", ["nothing=1/1", "invite=1", "invite=0/1", "invite=1/0", "account-concurrency=1/1"]
)
async def test_a_quota_that_cannot_be_is_refused_at_the_start(text: str) -> None:
    with pytest.raises(ValueError, match=r"limits\.quotas"):
        LimitsConfig(quotas=(text,))


async def test_an_operator_changes_a_quota_or_switches_it_off() -> None:
    config = LimitsConfig(quotas=("key-requests=1/60", "anonymous=off"))
    limits = Limits(config, clock_ns=Clock())
    allowed = [limits.take(policies.KEY_REQUESTS, "one").allowed for _ in range(2)]
    assert allowed == [True, False]
    assert all(limits.take(policies.ANONYMOUS, "one").allowed for _ in range(1000))
    assert limits.here(policies.ANONYMOUS) is None


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def ledgers(postgres: Server) -> AsyncIterator[tuple[Ledger, Ledger]]:
    """Two gateways' ledgers on one database."""
    async with postgres.database() as name, AsyncExitStack() as stack:
        settings = LedgerSettings(dsn=postgres.dsn(name), pepper=PEPPER, keks=(KEK,))
        yield (
            await stack.enter_async_context(Ledger.connect(settings)),
            await stack.enter_async_context(Ledger.connect(settings)),
        )


@asynccontextmanager
async def two_processes(
    ledgers: tuple[Ledger, Ledger], *quotas: str
) -> AsyncIterator[tuple[Limits, Limits]]:
    config = LimitsConfig(store="postgres", quotas=quotas)
    one, two = (Limits(config, each.moments, each.inside) for each in ledgers)
    async with one.running(), two.running():
        yield one, two


async def test_two_processes_let_through_a_quota_and_at_most_a_chunk_each_beyond(
    ledgers: tuple[Ledger, Ledger],
) -> None:
    quota = 200
    async with two_processes(ledgers, f"key-requests={quota}/86400") as both:
        passed = 0
        for _ in range(quota):
            passed += sum(each.take(policies.KEY_REQUESTS, "hot").allowed for each in both)
            await _asked(both)
        assert not any(each.take(policies.KEY_REQUESTS, "hot").allowed for each in both)
    chunk = quota // CHUNKS
    assert quota - 2 * chunk <= passed <= quota + 2 * (chunk + 1)


async def test_a_first_burst_without_an_answer_is_a_chunk_and_a_request(
    ledgers: tuple[Ledger, Ledger],
) -> None:
    async with two_processes(ledgers, "key-requests=200/86400") as (one, _):
        # No await in between: the store has not been heard.
        passed = [one.take(policies.KEY_REQUESTS, "burst").allowed for _ in range(50)]
    assert passed == [True] * (200 // CHUNKS) + [False] * 40


async def test_exact_limits_are_exact_over_all_processes(ledgers: tuple[Ledger, Ledger]) -> None:
    async with two_processes(ledgers, "sign-in-address=10/86400") as both:
        hits = [each.hit(policies.SIGN_IN_ADDRESS, "somebody") for each in both * 15]
        verdicts = await asyncio.gather(*hits)
    assert sum(verdict.allowed for verdict in verdicts) == 10
    assert all(verdict.retry_after_s > 8000 for verdict in verdicts if not verdict.allowed)


async def test_the_database_keeps_no_address_and_forgets_what_has_passed(
    ledgers: tuple[Ledger, Ledger],
) -> None:
    moments = ledgers[0].moments
    asks = [
        Ask(policy="anonymous", subject="192.0.2.77", window_ns=1, want_ns=1),
        Ask(policy="anonymous", subject="192.0.2.78", window_ns=10**15, want_ns=10**15),
    ]
    await moments.take(asks)
    rows = await moments._database.rows("select * from limits.moment where policy = 'anonymous'")
    assert len(rows) == 2
    assert "192.0.2" not in repr(rows)
    assert await moments.forget() >= 1
    rows = await moments._database.rows("select * from limits.moment where policy = 'anonymous'")
    assert len(rows) == 1


async def test_uploads_of_an_account_are_known_to_the_other_process(
    ledgers: tuple[Ledger, Ledger],
) -> None:
    one, two = (Concurrency(each.inside) for each in ledgers)
    with one.inside(7), one.inside(7), two.inside(7):
        await one.exchange()
        await two.exchange()
        assert (one.count(7), two.count(7)) == (2, 3)
        await one.exchange()
        assert one.count(7) == 3
    await two.exchange()
    await one.exchange()
    assert (one.count(7), two.count(7)) == (0, 2)


class Away:
    """A store that is away until it is back."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self.there = False
        self.asked = 0
        self.store = LeaseStore(self.take, MemoryStore(clock), clock)

    async def take(self, asks: Sequence[Ask]) -> list[Taken]:
        self.asked += 1
        if not self.there:
            raise LedgerUnavailable("away")
        return [Taken(ask.want_ns, ask.must_ns + ask.want_ns) for ask in asks]


async def test_while_the_store_is_away_each_process_counts_for_itself() -> None:
    away = Away(Clock())
    running = asyncio.create_task(away.store.run())
    try:
        assert away.store.hit(TEN_A_MINUTE, "one").allowed
        await until(lambda: away.store.away)
        passed = [away.store.hit(TEN_A_MINUTE, "one").allowed for _ in range(12)]
        assert passed == [True] * 10 + [False] * 2
        away.there = True
        await until(lambda: not away.store.away)
    finally:
        running.cancel()


async def test_sign_in_is_refused_while_the_store_is_away_and_conversions_are_not(
    ledgers: tuple[Ledger, Ledger],
) -> None:
    availability = ledgers[0]._availability
    limits = Limits(LimitsConfig(store="postgres"), ledgers[0].moments)
    availability.up = False
    try:
        with pytest.raises(LedgerUnavailable):
            await limits.hit(policies.SIGN_IN_ADDRESS, "somebody")
        assert (await limits.hit(policies.KEY_REQUESTS, "one")).allowed
        assert limits.take(policies.KEY_REQUESTS, "one").allowed
    finally:
        availability.up = True


async def _asked(both: Sequence[Limits]) -> None:
    """Wait until the stores know what was used."""
    for each in both:
        leases = each._leases
        assert leases is not None
        await until(partial(_silent, leases))


def _silent(leases: LeaseStore) -> bool:
    return not leases.asking


async def test_the_committed_page_is_the_generated_one() -> None:
    path = Path(__file__).resolve().parents[2] / "docs" / "limits.md"
    assert path.read_text() == manual.page(), (
        "write it again: .venv/bin/python -m gateway.limits.manual > docs/limits.md"
    )
    assert all(policy.reason and policy.quota > 0 for policy in policies.POLICIES)
