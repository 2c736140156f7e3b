"""Tasks in the ledger: whose turn it is, who may end one, its end and its debit are one."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import pytest
import pytest_asyncio

from ledger.accounts.accounts import Account
from ledger.errors import (
    AccountFrozen,
    DamagedEnvelope,
    KeyMismatch,
    NameTaken,
    TaskQueueFull,
    TaskQuotaExceeded,
    TaskUnknown,
)
from ledger.ledger import Ledger
from ledger.settings import LedgerSettings
from ledger.tasks.limits import TaskLimits
from ledger.tasks.states import EVENTS, End, State
from ledger.tasks.task import Beat, Claimed, NewTask, Submitted
from tests.ledger.conftest import KEK, PEPPER
from tests.postgres import Server

pytestmark = pytest.mark.asyncio(loop_scope="module")

ME, OTHER = uuid4(), uuid4()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(server: Server) -> AsyncIterator[Ledger]:
    """One database for all: a copy costs more than these tests."""
    async with server.database() as name:
        settings = LedgerSettings(
            dsn=server.dsn(name),
            pepper=PEPPER,
            keks=(KEK,),
            tasks=TaskLimits(account_queued_max=4, queued_max=6),
        )
        async with Ledger.connect(settings) as ledger:
            yield ledger


@pytest_asyncio.fixture(loop_scope="module")
async def ledger(desk: Ledger) -> AsyncIterator[Ledger]:
    yield desk
    assert await desk.audit() == []
    assert (await desk.trial_balance()).open_debits == 0
    for table in ("task", "hook", "delivery"):
        await desk._database.value(f"delete from tasks.{table}")  # noqa: S608 -- a constant


@pytest_asyncio.fixture(loop_scope="module")
async def account(ledger: Ledger) -> Account:
    return await ledger.accounts.create(f"Ada {uuid4()}", 100, "test")


def new(account: Account, **more: object) -> NewTask:
    plain = {"id": str(uuid4()), "source": "png", "target": "webp", "request": b"do it"}
    return NewTask(account_id=account.id, **(plain | more))  # type: ignore[arg-type]


async def submitted(ledger: Ledger, account: Account, **more: object) -> Submitted:
    return await ledger.tasks.submit(new(account, **more))


async def claimed(ledger: Ledger, holder: UUID = ME) -> Claimed:
    (one,) = await ledger.tasks.claim(holder, 1)
    return one


async def ended(ledger: Ledger, one: Claimed, state: State = State.SUCCEEDED) -> str:
    money = "settle" if state is State.SUCCEEDED else "refund"
    end = End(state=state, money=money, keep_s=60, reason="test")  # type: ignore[arg-type]
    return await ledger.tasks.finish(one, end, conversion_id=one.conversion_id)


async def lapse(ledger: Ledger) -> None:
    """Time passes: whoever holds a task has not beaten for long."""
    await ledger._database.value(
        "update tasks.task set lease_until = now() - interval '1 s' where lease_until is not null"
    )


async def swept(ledger: Ledger) -> None:
    # Of a server that runs for longer than a lease: the fixture's own does not.
    ledger.task_sweeper._term *= 0
    await ledger.task_sweeper.sweep()


async def kinds(ledger: Ledger, account: Account) -> list[str]:
    return [entry.kind for entry in reversed(await ledger.entries(account.id))][1:]


async def test_an_end_and_its_settlement_are_one(ledger: Ledger, account: Account) -> None:
    await submitted(ledger, account)
    one = await claimed(ledger)
    async with ledger.debit(account.id, 3, conversion_id=one.conversion_id):
        assert [await ended(ledger, one) for _ in range(3)] == ["done"] * 3
        assert (await ledger.trial_balance()).open_debits == 0
    task = await ledger.tasks.get(account.id, one.id)
    assert (task.state, task.settled, task.credits) == (State.SUCCEEDED, True, 3)
    assert await ledger.balance(account.id) == 97


async def test_of_a_success_and_a_cancellation_at_once_one_counts(
    ledger: Ledger, account: Account
) -> None:
    for _ in range(5):
        await submitted(ledger, account)
        one = await claimed(ledger)
        before = await ledger.balance(account.id)
        debit = ledger.debit(account.id, 1, conversion_id=one.conversion_id)
        await debit.__aenter__()
        said, task = await asyncio.gather(
            ended(ledger, one), ledger.tasks.cancel(account.id, one.id)
        )
        charged = before - await ledger.balance(account.id)
        assert charged == (said == "done") == (task is None)
    assert (await ledger.trial_balance()).open_debits == 0


async def test_whoever_lost_a_task_cannot_end_it(ledger: Ledger, account: Account) -> None:
    await submitted(ledger, account)
    first = await claimed(ledger)
    debit = ledger.debit(account.id, 1, conversion_id=first.conversion_id)
    await debit.__aenter__()
    await lapse(ledger)
    await swept(ledger)
    second = await claimed(ledger, OTHER)
    assert (second.attempt, second.seq) == (2, first.seq)
    assert await ended(ledger, first) == "lost"
    assert await ended(ledger, first, State.FAILED) == "lost"
    async with ledger.debit(account.id, 1, conversion_id=second.conversion_id):
        assert await ended(ledger, second) == "done"
    # As whoever lost it leaves its block.
    await debit.__aexit__(ZeroDivisionError, ZeroDivisionError(), None)
    assert await kinds(ledger, account) == ["consumption", "consumption", "refund"]
    assert await ledger.balance(account.id) == 99


async def test_without_its_debit_a_task_does_not_succeed(ledger: Ledger, account: Account) -> None:
    await submitted(ledger, account)
    one = await claimed(ledger)
    assert await ended(ledger, one) == "lapsed"
    with pytest.raises(ZeroDivisionError):
        async with ledger.debit(account.id, 1, conversion_id=one.conversion_id):
            raise ZeroDivisionError  # refunded, as by a sweeper
    assert await ended(ledger, one) == "lapsed"
    assert (await ledger.tasks.get(account.id, one.id)).state is State.RUNNING
    await ledger.tasks.release(one, counts=True)
    assert (await claimed(ledger)).attempt == 2


async def test_a_third_attempt_is_a_failure(ledger: Ledger, account: Account) -> None:
    await submitted(ledger, account)
    for _ in range(2):
        await claimed(ledger)
        await lapse(ledger)
        await swept(ledger)
    task = (await ledger.tasks.list(account.id))[0]
    assert (task.state, task.code, task.attempt) == (State.FAILED, "lost-instance", 2)
    assert await ledger.tasks.claim(ME, 1) == []


async def test_what_waited_for_room_was_no_attempt(ledger: Ledger, account: Account) -> None:
    await submitted(ledger, account)
    for _ in range(3):
        one = await claimed(ledger)
        assert one.attempt == 1
        await ledger.tasks.release(one, counts=False)
    await ledger.tasks.release(await claimed(ledger), after_s=60, counts=False)
    assert await ledger.tasks.claim(ME, 1) == []


async def test_a_beat_keeps_a_task_and_tells_what_is_lost(ledger: Ledger, account: Account) -> None:
    await submitted(ledger, account)
    one = await claimed(ledger)
    await lapse(ledger)
    beat = Beat(one.seq, one.conversion_id, "converting", 0.5)
    assert await ledger.tasks.beat(ME, [beat]) == {one.seq}
    await swept(ledger)
    task = await ledger.tasks.get(account.id, one.id)
    assert (task.state, task.stage, task.progress) == (State.RUNNING, "converting", 0.5)
    assert await ledger.tasks.beat(OTHER, [beat]) == set()
    assert await ledger.tasks.beat(ME, [Beat(one.seq, uuid4())]) == set()
    await ledger.tasks.cancel(account.id, one.id)
    assert await ledger.tasks.beat(ME, [beat]) == set()


async def test_an_account_with_many_tasks_gets_one_turn_for_one_of_everybody_else(
    ledger: Ledger,
) -> None:
    greedy, modest = [await ledger.accounts.create(f"{uuid4()}", 1) for _ in range(2)]
    for _ in range(4):
        await submitted(ledger, greedy)
    for _ in range(2):
        await submitted(ledger, modest)
    turns = [(await claimed(ledger)).account_id for _ in range(6)]
    assert turns == [greedy.id, modest.id, greedy.id, modest.id, greedy.id, greedy.id]


async def test_two_claims_never_meet(ledger: Ledger, account: Account) -> None:
    for _ in range(4):
        await submitted(ledger, account)
    found = await asyncio.gather(*(ledger.tasks.claim(uuid4(), 3) for _ in range(4)))
    seqs = [one.seq for some in found for one in some]
    assert len(seqs) == len(set(seqs)) == 4


async def test_a_task_in_memory_is_its_holders_alone(ledger: Ledger, account: Account) -> None:
    await submitted(ledger, account, hold="memory", holder=ME)
    assert await ledger.tasks.claim(OTHER, 1) == []
    await claimed(ledger)
    await lapse(ledger)
    await swept(ledger)
    (task,) = await ledger.tasks.list(account.id)
    assert (task.state, task.code, task.attempt) == (State.FAILED, "lost-instance", 1)


@pytest.mark.parametrize("fetched", [True, False])
async def test_a_result_in_memory_is_paid_when_it_is_fetched_or_refunded(
    ledger: Ledger, account: Account, *, fetched: bool
) -> None:
    await submitted(ledger, account, hold="memory", holder=ME)
    one = await claimed(ledger)
    debit = ledger.debit(account.id, 2, conversion_id=one.conversion_id)
    await debit.__aenter__()
    end = End(state=State.SUCCEEDED, money="leave", keep_s=60)
    assert await ledger.tasks.finish(one, end, conversion_id=one.conversion_id) == "done"
    task = await ledger.tasks.get(account.id, one.id)
    assert (task.settled, task.credits) == (False, 2)
    assert (await ledger.trial_balance()).open_debits == 2
    if fetched:
        paid = End(state=State.SUCCEEDED, money="settle", told=False)
        for _ in range(2):
            said = await ledger.tasks.finish(
                task, paid, conversion_id=one.conversion_id, since=(State.SUCCEEDED,)
            )
            assert said == "done"
        await debit.settle()  # as the end of its block does
    else:
        cancelled = await ledger.tasks.cancel(account.id, one.id)
        assert cancelled is not None
        assert cancelled.state is State.CANCELLED
    assert (await ledger.trial_balance()).open_debits == 0
    assert await ledger.balance(account.id) == (98 if fetched else 100)


async def test_a_task_that_never_began_expires_uncharged(ledger: Ledger, account: Account) -> None:
    await submitted(ledger, account)
    await ledger._database.value("update tasks.task set expires_at = now()")
    assert await ledger.tasks.claim(ME, 1) == []
    await swept(ledger)
    (task,) = await ledger.tasks.list(account.id)
    assert (task.state, task.code) == (State.EXPIRED, "task-expired")
    await ledger._database.value("update tasks.task set expires_at = now()")
    await swept(ledger)
    assert await ledger.tasks.list(account.id) == []


async def test_queues_have_limits(ledger: Ledger) -> None:
    one, two, three = [await ledger.accounts.create(f"{uuid4()}", 1) for _ in range(3)]
    for _ in range(4):
        await submitted(ledger, one)
    with pytest.raises(TaskQuotaExceeded):
        await submitted(ledger, one)
    for _ in range(2):
        await submitted(ledger, two)
    with pytest.raises(TaskQueueFull):
        await submitted(ledger, three)
    await ledger.accounts.set_status(three.id, "frozen")
    with pytest.raises(AccountFrozen):
        await submitted(ledger, three)


async def test_an_id_is_the_accounts_own_and_taken_once(ledger: Ledger, account: Account) -> None:
    name, other = "a1" * 16, await ledger.accounts.create(f"{uuid4()}", 1)
    await submitted(ledger, account, id=name)
    with pytest.raises(NameTaken):
        await submitted(ledger, account, id=name)
    await submitted(ledger, other, id=name)
    with pytest.raises(TaskUnknown):
        await ledger.tasks.get(other.id, str(uuid4()))


async def test_a_key_makes_one_task(ledger: Ledger, account: Account) -> None:
    key = {"client_key": "k", "fingerprint": bytes(32)}
    first = await asyncio.gather(*(submitted(ledger, account, **key) for _ in range(4)))
    assert len({one.seq for one in first}) == 1
    assert sum(one.repeat for one in first) == 3
    with pytest.raises(KeyMismatch):
        await submitted(ledger, account, client_key="k", fingerprint=b"x" * 32)


async def test_webhooks_are_queued_with_the_end_and_only_once(
    ledger: Ledger, account: Account
) -> None:
    await ledger.hooks.create(account.id, "https://a.example/", EVENTS)
    await ledger.hooks.create(account.id, "https://b.example/", ["task.failed"])
    named, _ = await ledger.hooks.create(account.id, "https://c.example/", [])
    await submitted(ledger, account, hook_id=named.id, callback=b'{"url":"https://d.example/"}')
    one = await claimed(ledger)
    assert await ended(ledger, one) == "lapsed"  # there is no debit: nothing is written
    assert await ledger.deliveries.waiting() == 0
    async with ledger.debit(account.id, 1, conversion_id=one.conversion_id):
        for _ in range(2):
            assert await ended(ledger, one) == "done"
    due = await ledger.deliveries.claim(9)
    assert len(due) == await ledger.deliveries.waiting() == 3
    targets = [await ledger.deliveries.target(one) for one in due]
    assert {one.url for one in targets if one} == {
        f"https://{name}.example/" for name in ("a", "c", "d")
    }
    assert len({one.event_id for one in due}) == 1


async def test_what_a_task_holds_is_sealed_for_its_own_row(
    ledger: Ledger, account: Account
) -> None:
    handle = b"ephf_0123456789abcdef_secret"
    await submitted(ledger, account, request=handle)
    await submitted(ledger, account, request=b"another")
    rows = await ledger._database.rows("select t::text as row from tasks.task t")
    text = "".join(row["row"] for row in rows)
    assert handle.hex() not in text
    assert b"secret".hex() not in text
    one, two = await ledger.tasks.claim(ME, 2)
    assert (one.request, two.request) == (handle, b"another")
    end = End(state=State.FAILED, outcome=handle, keep_s=60)
    await ledger.tasks.finish(one, end, conversion_id=one.conversion_id)
    assert (await ledger.tasks.get(account.id, one.id)).outcome == handle
    # The request is destroyed with the end; sealed bytes of another row open nothing.
    assert (
        await ledger._database.value("select request from tasks.task where seq = $1", one.seq)
        is None
    )
    await ledger._database.value(
        "update tasks.task set outcome = (select outcome from tasks.task where seq = $1)", one.seq
    )
    with pytest.raises(DamagedEnvelope):
        await ledger.tasks.get(account.id, two.id)


async def test_a_request_that_cannot_be_opened_stops_no_other(
    ledger: Ledger, account: Account
) -> None:
    broken = await submitted(ledger, account)
    await submitted(ledger, account)
    await ledger._database.value(
        "update tasks.task set request = 'nonsense' where seq = $1", broken.seq
    )
    assert [one.seq for one in await ledger.tasks.claim(ME, 2)] == [broken.seq + 1]


async def test_files_go_with_their_task(ledger: Ledger, account: Account) -> None:
    ids = []
    for _ in range(2):
        async with ledger.files.write(account.id) as writer:
            await writer.add(b"bytes")
            stored = await writer.keep(media_type="text/plain", name=None, lifetime_s=60)
        ids.append(stored.id)
    upload, result = ids
    await submitted(ledger, account, inputs=(upload,))
    one = await claimed(ledger)
    assert len(await ledger.files.list(account.id)) == 2
    end = End(state=State.FAILED, results=(result,), keep_s=60)
    await ledger.tasks.finish(one, end, conversion_id=one.conversion_id)
    assert [file.id for file in await ledger.files.list(account.id)] == [result]
    assert await ledger.tasks.cancel(account.id, one.id) is None
    assert await ledger.files.list(account.id) == []


async def test_the_sweeper_tells_what_there_is(ledger: Ledger, account: Account) -> None:
    await submitted(ledger, account)
    await swept(ledger)
    backlog = ledger.task_sweeper.backlog
    assert backlog.states == {"queued": 1}
    assert backlog.lag_s > 0
