"""kill -9 around a task: done once or refunded, never both; its webhook comes, with one id.

A gateway dies at each stage of a task's way. Another one, started after all of them are dead, finds
what they left.
"""

import asyncio
import signal
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import msgspec
import pytest
from standardwebhooks.webhooks import Webhook

from engine.engine import Engine
from gateway.stages import Stage
from ledger.ledger import Ledger
from ledger.settings import LedgerSettings
from ledger.tasks.limits import TaskLimits
from ledger.tasks.states import EVENTS, State
from ledger.tasks.task import Task
from tests.gateway.command import Serving, serving
from tests.gateway.receivers import ALLOWED, Receiver, receiving
from tests.gateway.samples import picture
from tests.gateway.service import listening
from tests.gateway.task_killed_at import TAKING
from tests.postgres import Server, private_home

pytestmark = pytest.mark.asyncio(loop_scope="session")

PEPPER = "a pepper for tests, not a secret"
KEK = "5e" * 32
# Long enough for a busy machine to beat in time.
LEASE_S = 2.0
OPENING = 100
# At these the attempt dies; `delivered` is after the result was stored, before the end is recorded.
DEATHS = (Stage.DEBITED, Stage.DELIVERED, Stage.SETTLED)
# Not a stage: it is killed while its result waits in memory.
MEMORY = "memory"


class Left(msgspec.Struct, kw_only=True):
    """Whose task it is, and what of it is left."""

    account_id: int
    key: str
    # Of its webhook.
    secret: str
    task_id: str = ""


@pytest.mark.parametrize("stage", DEATHS)
@pytest.mark.claim("C-TASK-1")
async def test_a_task_whose_gateway_is_killed_is_done_once_or_refunded(
    postgres: Server, engine: Engine, stage: Stage
) -> None:
    async with _place(postgres) as (ledger, home, dsn), receiving() as receiver:
        one = await _die_at(stage, ledger, home, dsn, receiver)
        # Nobody is there who could have sent one.
        assert receiver.calls == []
        await _lapsed(ledger)
        async with listening(engine, ledger, fetch=ALLOWED):
            task = await _over(ledger, one)
            await receiver.called(1)
            await _no_more_debits(ledger)
        assert await ledger.audit() == []
        await _check_done_once(ledger, one, task)
        _check_webhooks(receiver, one)


async def test_what_a_killed_gateway_had_in_memory_is_refunded(
    postgres: Server, engine: Engine
) -> None:
    async with _place(postgres) as (ledger, home, dsn), receiving() as receiver:
        # It succeeds, and nobody fetches it.
        one = await _die_at(MEMORY, ledger, home, dsn, receiver)
        async with listening(engine, ledger, fetch=ALLOWED):
            task = await _over(ledger, one, ends=(State.FAILED,))
            assert task.code == "lost-instance"
            await _no_more_debits(ledger)
            calls = await receiver.called(2)
        assert await ledger.balance(one.account_id) == OPENING
        kinds = [entry.kind for entry in await ledger.entries(one.account_id)]
        assert kinds == ["refund", "consumption", "adjustment"]
        assert await ledger.audit() == []
        types = {msgspec.json.decode(call.body)["type"] for call in calls}
        assert types == {"task.succeeded", "task.failed"}


async def test_a_gateway_that_is_killed_while_it_takes_a_task_has_not_taken_it(
    postgres: Server,
) -> None:
    async with _place(postgres) as (ledger, home, dsn), receiving() as receiver:
        await _die_at(TAKING + Stage.READ, ledger, home, dsn, receiver)
        assert not await ledger._database.value("select count(*) from tasks.task")
        assert not (await ledger.trial_balance()).consumption


async def test_a_webhook_whose_sender_is_killed_comes_again_with_its_id(
    postgres: Server, engine: Engine
) -> None:
    async with _place(postgres) as (ledger, home, dsn), receiving() as receiver:
        receiver.hangs = True  # it has the call, and the sender no answer
        one = await _owner(ledger, receiver)
        with serving(home, **_environment(dsn)) as service:
            await _submit(ledger, one, service)
            await receiver.called(1)
            service.process.kill()
            await asyncio.to_thread(service.process.wait, 180)
        receiver.hangs = False
        await _lapsed(ledger)
        async with listening(engine, ledger, fetch=ALLOWED):
            first, second = await receiver.called(2)
        assert first.headers["webhook-id"] == second.headers["webhook-id"]
        assert first.body == second.body
        _check_webhooks(receiver, one)


@asynccontextmanager
async def _place(postgres: Server) -> AsyncIterator[tuple[Ledger, Path, str]]:
    """A database, a home, and this process's own ledger, whose sweepers are another gateway's."""
    async with postgres.database() as name:
        dsn = postgres.dsn(name)
        with private_home() as home:
            async with Ledger.connect(_settings(dsn)) as ledger:
                yield ledger, home, dsn


def _settings(dsn: str) -> LedgerSettings:
    return LedgerSettings(
        dsn=dsn,
        pepper=PEPPER.encode(),
        keks=(bytes.fromhex(KEK),),
        lease_s=LEASE_S,
        tasks=TaskLimits(lease_s=LEASE_S),
    )


def _environment(dsn: str) -> dict[str, str]:
    return {
        "EPHEMERA__SERVER__PORT": "0",
        "EPHEMERA__LEDGER__DSN": dsn,
        "EPHEMERA__LEDGER__PEPPER": PEPPER,
        "EPHEMERA__LEDGER__KEK": KEK,
        "EPHEMERA__LEDGER__LEASE_S": str(LEASE_S),
        "EPHEMERA__TASKS__LEASE_S": str(LEASE_S),
        "EPHEMERA__ENGINE__STARTED": "image",
        "EPHEMERA__FETCH__HOOKS_HTTP": "true",
        "EPHEMERA__FETCH__ALLOW": "127.0.0.0/8",
        "EPHEMERA__FETCH__PORTS": "",
    }


async def _die_at(where: str, ledger: Ledger, home: Path, dsn: str, receiver: Receiver) -> Left:
    """Hand a task in to a gateway that is killed there."""
    memory, stage = where == MEMORY, Stage.SETTLED if where == MEMORY else where
    one = await _owner(ledger, receiver)
    with serving(
        home,
        stage,
        program="tests.gateway.task_killed_at",
        **_environment(dsn),
    ) as service:
        await _submit(ledger, one, service, memory=memory, taken=not where.startswith(TAKING))
        if memory:
            await _over(ledger, one)
            await receiver.called(1)
            service.process.kill()
        assert await asyncio.to_thread(service.process.wait, 180) == -signal.SIGKILL
    return one


async def _owner(ledger: Ledger, receiver: Receiver) -> Left:
    """Before a service starts: that stops this process's loop for seconds."""
    account = await ledger.accounts.create("the owner of the task", OPENING)
    key = await ledger.keys.create(account.id, "test")
    _, secret = await ledger.hooks.create(account.id, receiver.url, EVENTS)
    return Left(account_id=account.id, key=key.secret, secret=secret)


async def _submit(
    ledger: Ledger, one: Left, service: Serving, *, memory: bool = False, taken: bool = True
) -> None:
    hold = "memory" if memory else "store"
    with suppress(aiohttp.ClientError):  # it may die before its answer
        async with (
            aiohttp.ClientSession(headers={"Authorization": f"Bearer {one.key}"}) as session,
            session.post(f"{service.url}/v1/tasks/png/webp?hold={hold}", data=picture()) as reply,
        ):
            await reply.read()
    tasks = await ledger.tasks.list(one.account_id)
    assert len(tasks) == taken
    one.task_id = tasks[0].id if taken else ""


async def _lapsed(ledger: Ledger) -> None:
    """Half a minute later: whoever was sending a webhook is known to be dead."""
    lapsed = "update tasks.delivery set lease_until = now() - interval '1 second'"
    await ledger._database.value(lapsed)


async def _over(ledger: Ledger, one: Left, ends: tuple[State, ...] = ()) -> Task:
    async with asyncio.timeout(120):
        while True:
            task = await ledger.tasks.get(one.account_id, one.task_id)
            if task.over and (not ends or task.state in ends):
                return task
            await asyncio.sleep(0.05)


async def _no_more_debits(ledger: Ledger) -> None:
    async with asyncio.timeout(120):
        while (await ledger.trial_balance()).open_debits:  # noqa: ASYNC110 -- in the database
            await asyncio.sleep(0.05)


async def _check_done_once(ledger: Ledger, one: Left, task: Task) -> None:
    assert task.state is State.SUCCEEDED
    assert task.settled
    assert await ledger.balance(one.account_id) == OPENING - 1
    kept: defaultdict[object, int] = defaultdict(int)
    for entry in await ledger.entries(one.account_id):
        if entry.conversion_id:
            kept[entry.conversion_id] += entry.credits
    assert sorted(total for total in kept.values() if total) == [-1]
    assert kept[task.conversion_id] == -1
    statement = "select results[1] from tasks.task where seq = $1"
    file_id = await ledger._database.value(statement, task.seq)
    assert await ledger._database.value(
        "select count(*) from files.half where file_id = $1", file_id
    )


def _check_webhooks(receiver: Receiver, one: Left) -> None:
    for call in receiver.calls:
        told = msgspec.json.decode(call.body)
        assert (told["type"], told["data"]["id"]) == ("task.succeeded", one.task_id)
        Webhook(one.secret).verify(call.body, call.headers)
    assert len({call.headers["webhook-id"] for call in receiver.calls}) == 1
