"""Webhooks: signed as Standard Webhooks wants it, retried by their schedule, in nobody's way.

Targets are real servers, the way out is the service's own, and time is the test's.
"""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import msgspec
import pytest
import pytest_asyncio
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from gateway.errors import RequestMalformed
from gateway.outbound.client import Outbound
from gateway.outbound.settings import FetchConfig, HooksConfig
from gateway.tasks import retrying, signing
from gateway.tasks.deliverer import DROPPED, Deliverer
from gateway.tasks.retrying import Verdict
from ledger.accounts.accounts import Account
from ledger.ledger import Ledger
from ledger.settings import LedgerSettings
from ledger.tasks.deliveries import LANE_MAX, Delivery, Target
from ledger.tasks.hooks import Hook, new_secret
from ledger.tasks.limits import TaskLimits
from ledger.tasks.states import EVENTS, End, State
from ledger.tasks.task import NewTask
from tests.gateway.receivers import ALLOWED, Receiver, receiving
from tests.postgres import Server

pytestmark = pytest.mark.asyncio(loop_scope="session")

KEK = b"an envelope key, also no secret."
HOUR = 3600.0


class Desk:
    """A ledger, and a deliverer that does rounds when a test says so, at the time it says."""

    def __init__(self, ledger: Ledger, outbound: Outbound) -> None:
        self.ledger = ledger
        # Never before the database's own time, at which events are queued.
        self.now = datetime.now(UTC) + timedelta(seconds=5)
        self.outcomes: list[str] = []
        self.deliverer = Deliverer(
            ledger, outbound.post, self.outcomes.append, now=lambda: self.now
        )

    def forward(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    async def round(self) -> int:
        """Send all that is due, and wait for the answers; gives their number."""
        begun = 0
        while some := await self.deliverer.round():
            begun += some
            await self.deliverer.settled()
        return begun

    async def account(self) -> Account:
        return await self.ledger.accounts.create(f"test {uuid4()}", credits=1)

    async def hook(self, account: Account, receiver: Receiver) -> tuple[Hook, str]:
        return await self.ledger.hooks.create(account.id, receiver.url, EVENTS)

    async def tell(self, account: Account, callback: Target | None = None) -> str:
        """End a task of the account's; gives its id."""
        task_id = str(uuid4())
        told = None if callback is None else msgspec.json.encode(callback)
        new = NewTask(
            account_id=account.id,
            id=task_id,
            source="png",
            target="webp",
            request=b"-",
            callback=told,
        )
        await self.ledger.tasks.submit(new)
        task = await self.ledger.tasks.get(account.id, task_id)
        end = End(state=State.CANCELLED, code="task-cancelled", keep_s=60)
        assert await self.ledger.tasks.finish(task, end, since=(State.QUEUED,)) == "done"
        return task_id

    async def log(self, hook: Hook) -> list[Delivery]:
        return await self.ledger.deliveries.list(hook.account_id, hook.id)

    async def state_of(self, hook: Hook) -> tuple[str, str | None]:
        now = await self.ledger.hooks.get(hook.account_id, hook.id)
        return now.status, now.reason


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def ledger(postgres: Server) -> AsyncIterator[Ledger]:
    async with postgres.database() as name:
        settings = LedgerSettings(
            dsn=postgres.dsn(name),
            pepper=bytes(32),
            keks=(KEK,),
            tasks=TaskLimits(account_hooks_max=2, hook_backlog_max=4),
        )
        async with Ledger.connect(settings) as ledger:
            yield ledger


@pytest_asyncio.fixture(loop_scope="session")
async def desk(ledger: Ledger) -> AsyncIterator[Desk]:
    outbound = Outbound(FetchConfig(**ALLOWED), HooksConfig(timeout_s=60))
    desk = Desk(ledger, outbound)
    yield desk
    await desk.deliverer.settled()
    outbound.close()
    # The next test's events are its own.
    await ledger._database.value("delete from tasks.delivery")


def checked(call_headers: dict[str, str], body: str, secret: str) -> None:
    """As a receiver does, at the time of the call: the oracle knows no other."""
    at = datetime.fromtimestamp(int(call_headers["webhook-timestamp"]), UTC)
    signed = Webhook(secret).sign(call_headers["webhook-id"], at, body)
    assert signed in call_headers["webhook-signature"].split(" ")


async def test_the_judge_of_standard_webhooks_accepts_our_signatures() -> None:
    secret, other = new_secret(), new_secret()
    body, now = b'{"type": "task.succeeded"}', datetime.now(UTC)
    headers = signing.headers("msg_1", now, body, [secret, other])
    for one in (secret, other):
        assert Webhook(one).verify(body, headers) == {"type": "task.succeeded"}
    for wrong in (
        headers | {"webhook-id": "msg_2"},
        headers | {"webhook-timestamp": str(int(now.timestamp()) + 1)},
    ):
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(body, wrong)
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(body, headers)
    assert "webhook-signature" not in signing.headers("msg_1", now, body, [])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "whsec_",
        "whsec_!!!!",
        "secret",
        "whsec_" + base64.b64encode(bytes(23)).decode(),
        "whsec_" + base64.b64encode(bytes(65)).decode(),
        base64.b64encode(bytes(32)).decode(),
    ],
)
async def test_a_secret_that_the_specification_does_not_take_is_refused(text: str) -> None:
    with pytest.raises(RequestMalformed):
        signing.checked_secret(text)


async def test_the_schedule_is_that_of_standard_webhooks() -> None:
    planned = [retrying.pause_s(number, jitter=0) for number in range(1, 11)]
    assert planned == [
        5,
        300,
        1800,
        2 * HOUR,
        5 * HOUR,
        10 * HOUR,
        14 * HOUR,
        20 * HOUR,
        24 * HOUR,
        None,
    ]
    for jitter in (-1.0, 1.0):
        assert retrying.pause_s(2, jitter=jitter) == pytest.approx(300 * (1 + 0.1 * jitter))
    assert 270 <= (retrying.pause_s(2) or 0) <= 330
    # Retry-After makes it later, never sooner, and not for ever.
    assert retrying.pause_s(1, 60, jitter=0) == 60
    assert retrying.pause_s(3, 60, jitter=0) == 1800
    assert retrying.pause_s(1, 1e9, jitter=0) == 24 * HOUR
    assert retrying.pause_s(10, 60, jitter=0) is None


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        (200, Verdict.DELIVERED),
        (299, Verdict.DELIVERED),
        (301, Verdict.FAILED),
        (307, Verdict.FAILED),
        (400, Verdict.FAILED),
        (410, Verdict.GONE),
        (429, Verdict.FAILED),
        (503, Verdict.FAILED),
        (None, Verdict.FAILED),
    ],
)
async def test_what_an_answer_means(status: int | None, meaning: Verdict) -> None:
    assert retrying.verdict(status) is meaning


async def test_an_event_is_thin_signed_and_delivered_once(desk: Desk) -> None:
    account = await desk.account()
    async with receiving() as receiver:
        hook, secret = await desk.hook(account, receiver)
        task_id = await desk.tell(account)
        assert await desk.round() == 1
        assert await desk.round() == 0
    (call,) = receiver.calls
    checked(call.headers, call.body, secret)
    assert call.headers["content-type"] == "application/json"
    told = msgspec.json.decode(call.body)
    assert set(told) == {"type", "timestamp", "data"}
    assert told["type"] == "task.cancelled"
    assert told["data"] == {
        "id": task_id,
        "state": "cancelled",
        "source": "png",
        "target": "webp",
        "credits": 0,
        "code": "task-cancelled",
    }
    assert datetime.fromisoformat(told["timestamp"]).tzinfo
    (delivery,) = await desk.log(hook)
    assert (delivery.state, delivery.attempts, delivery.status) == ("delivered", 1, 204)
    assert delivery.event_id == call.headers["webhook-id"]


async def test_a_target_that_is_out_of_order_is_called_by_the_schedule_under_one_id(
    desk: Desk,
) -> None:
    account = await desk.account()
    async with receiving() as receiver:
        hook, secret = await desk.hook(account, receiver)
        receiver.status = 503
        await desk.tell(account)
        assert await desk.round() == 1
        for pause_s in retrying.PAUSES_S:
            desk.forward(pause_s * (1 - retrying.JITTER) - 1)
            assert await desk.round() == 0
            desk.forward(pause_s * 2 * retrying.JITTER + 2)
            assert await desk.round() == 1
        desk.forward(48 * HOUR)
        assert await desk.round() == 0
    assert len(receiver.calls) == retrying.ATTEMPTS_MAX == 10
    assert len({call.headers["webhook-id"] for call in receiver.calls}) == 1
    assert len({call.headers["webhook-timestamp"] for call in receiver.calls}) == 10
    assert len({call.body for call in receiver.calls}) == 1
    for call in receiver.calls:
        checked(call.headers, call.body, secret)
    (delivery,) = await desk.log(hook)
    assert (delivery.state, delivery.error, len(delivery.log)) == ("failed", "status", 10)
    assert (await desk.state_of(hook))[0] == "active"
    assert (await desk.ledger.hooks.get(account.id, hook.id)).failing_since


async def test_a_target_that_comes_back_has_failed_never(desk: Desk) -> None:
    account = await desk.account()
    async with receiving() as receiver:
        hook, _ = await desk.hook(account, receiver)
        receiver.status, receiver.headers = 503, {"Retry-After": "120"}
        await desk.tell(account)
        assert await desk.round() == 1
        desk.forward(100)  # long after the schedule's 5 s, and before what it asked for
        assert await desk.round() == 0
        desk.forward(25)
        receiver.status = 200
        assert await desk.round() == 1
    assert desk.outcomes == [Verdict.FAILED, Verdict.DELIVERED]
    assert (await desk.ledger.hooks.get(account.id, hook.id)).failing_since is None


async def test_a_redirect_is_a_failure_and_is_not_followed(desk: Desk) -> None:
    account = await desk.account()
    async with receiving() as receiver, receiving() as elsewhere:
        hook, _ = await desk.hook(account, receiver)
        receiver.status, receiver.headers = 307, {"Location": elsewhere.url}
        await desk.tell(account)
        assert await desk.round() == 1
    assert (len(receiver.calls), elsewhere.calls) == (1, [])
    (delivery,) = await desk.log(hook)
    assert (delivery.state, delivery.status) == ("waiting", 307)


async def test_a_target_that_is_gone_is_not_called_again(desk: Desk) -> None:
    account = await desk.account()
    async with receiving() as receiver:
        hook, _ = await desk.hook(account, receiver)
        receiver.status = 410
        await desk.tell(account)
        assert await desk.round() == 1
        assert await desk.state_of(hook) == ("disabled", "gone")
        await desk.tell(account)
        desk.forward(HOUR)
        assert await desk.round() == 0
        receiver.status = 200
        await desk.ledger.hooks.enable(account.id, hook.id)
        await desk.tell(account)
        assert await desk.round() == 1
    assert desk.outcomes == [Verdict.GONE, Verdict.DELIVERED]


async def test_what_waits_for_a_target_that_is_gone_is_dropped(desk: Desk) -> None:
    account = await desk.account()
    async with receiving() as receiver:
        hook, _ = await desk.hook(account, receiver)
        receiver.status = 503
        await desk.tell(account)
        await desk.round()
        receiver.status = 410
        await desk.tell(account)
        await desk.round()
        desk.forward(HOUR)
        assert await desk.round() == 0
    gone, dropped = await desk.log(hook)
    assert (gone.state, gone.error) == ("failed", "gone")
    assert (dropped.state, dropped.error) == (DROPPED, "disabled")


async def test_an_endpoint_without_a_success_for_days_is_disabled(desk: Desk) -> None:
    account = await desk.account()
    async with receiving() as receiver:
        hook, _ = await desk.hook(account, receiver)
        receiver.status = 500
        await desk.tell(account)
        await desk.round()
        desk.forward(4.9 * 24 * HOUR)
        await desk.round()
        assert (await desk.state_of(hook))[0] == "active"
        desk.forward(0.2 * 24 * HOUR)
        await desk.round()
        assert await desk.state_of(hook) == ("disabled", "failing")
        assert (await desk.log(hook))[0].state == DROPPED


async def test_a_target_that_hangs_delays_no_other(desk: Desk) -> None:
    slow, quick = await desk.account(), await desk.account()
    async with AsyncExitStack() as stack:
        hanging = await stack.enter_async_context(receiving())
        healthy = await stack.enter_async_context(receiving())
        hanging.hangs = True
        hook, _ = await desk.hook(slow, hanging)
        await desk.hook(slow, healthy)
        await desk.hook(quick, healthy)
        for _ in range(4):
            await desk.tell(slow)
        await desk.tell(quick)
        assert await desk.deliverer.round() == LANE_MAX + LANE_MAX + 1
        await hanging.called(LANE_MAX)
        # The others are all answered while it hangs.
        async with asyncio.timeout(60):
            while len(healthy.calls) < 5:
                await desk.deliverer.round()
        assert len(hanging.calls) == LANE_MAX
        assert {one.state for one in await desk.log(hook)} == {"sending", "waiting"}
        hanging.hangs = False
        hanging.released.set()
        await desk.deliverer.settled()
        await desk.round()
        assert {one.state for one in await desk.log(hook)} == {"delivered"}


async def test_a_target_that_does_not_answer_in_time_has_failed(ledger: Ledger) -> None:
    outbound = Outbound(FetchConfig(**ALLOWED), HooksConfig(timeout_s=0.05))
    desk = Desk(ledger, outbound)
    account = await desk.account()
    async with receiving() as receiver:
        receiver.hangs = True
        hook, _ = await desk.hook(account, receiver)
        await desk.tell(account)
        assert await desk.round() == 1
        (delivery,) = await desk.log(hook)
        assert (delivery.state, delivery.status, delivery.error) == ("waiting", None, "slow")
        await ledger.hooks.delete(account.id, hook.id)
        assert await desk.log(hook) == []


async def test_during_a_rotation_two_secrets_sign(desk: Desk) -> None:
    account = await desk.account()
    async with receiving() as receiver:
        hook, old = await desk.hook(account, receiver)
        new = await desk.ledger.hooks.rotate(account.id, hook.id)
        assert new != old
        await desk.tell(account)
        await desk.round()
        desk.forward(25 * HOUR)
        await desk.tell(account)
        await desk.round()
    during, after = receiver.calls
    checked(during.headers, during.body, old)
    checked(during.headers, during.body, new)
    assert len(after.headers["webhook-signature"].split(" ")) == 1
    checked(after.headers, after.body, new)


async def test_a_tasks_own_address_hears_of_it_alone(desk: Desk) -> None:
    account, secret = await desk.account(), new_secret()
    async with receiving() as receiver:
        await desk.tell(account, Target(url=receiver.url, secrets=(secret,)))
        await desk.tell(account, Target(url=receiver.url, body='{"JobId":"x"}'))
        await desk.tell(account)
        assert await desk.round() == 2
    signed = next(call for call in receiver.calls if "webhook-signature" in call.headers)
    checked(signed.headers, signed.body, secret)
    plain = next(call for call in receiver.calls if "webhook-signature" not in call.headers)
    assert plain.body == '{"JobId":"x"}'


async def test_a_delivery_is_replayed_under_its_id(desk: Desk) -> None:
    account = await desk.account()
    async with receiving() as receiver:
        hook, _ = await desk.hook(account, receiver)
        await desk.tell(account)
        await desk.round()
        (delivery,) = await desk.log(hook)
        again = await desk.ledger.deliveries.replay(account.id, hook.id, delivery.seq)
        assert (again.state, again.attempts) == ("waiting", 0)
        await desk.round()
    first, second = receiver.calls
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    (delivery,) = await desk.log(hook)
    assert (delivery.state, len(delivery.log)) == ("delivered", 2)


async def test_a_sender_that_dies_leaves_its_event_to_others(desk: Desk) -> None:
    account = await desk.account()
    async with receiving() as receiver:
        await desk.hook(account, receiver)
        await desk.tell(account)
        assert len(await desk.ledger.deliveries.claim(9, desk.now)) == 1  # and no more is heard
        assert await desk.round() == 0
        desk.forward(31)
        assert await desk.round() == 1


async def test_more_than_may_wait_disables_an_endpoint(desk: Desk) -> None:
    account = await desk.account()
    async with receiving() as receiver:
        hook, _ = await desk.hook(account, receiver)
        for _ in range(5):
            await desk.tell(account)
        await desk.ledger.deliveries.sweep()
        assert await desk.state_of(hook) == ("disabled", "backlog")
        assert await desk.round() == 0


async def test_the_log_ends_after_a_week(desk: Desk) -> None:
    account = await desk.account()
    async with receiving() as receiver:
        hook, _ = await desk.hook(account, receiver)
        await desk.tell(account)
        desk.now -= timedelta(days=8)
        await desk.ledger._database.value("update tasks.delivery set next_at = '-infinity'")
        assert await desk.round() == 1
        await desk.ledger.deliveries.sweep()
        assert await desk.log(hook) == []


async def test_addresses_and_secrets_are_not_readable_in_the_database(desk: Desk) -> None:
    account = await desk.account()
    async with receiving() as receiver:
        _, secret = await desk.hook(account, receiver)
        await desk.tell(account, Target(url=receiver.url, secrets=(secret,)))
        rows = await desk.ledger._database.rows(
            "select t::text as row from tasks.task t union all select h::text from tasks.hook h"
            " union all select d::text from tasks.delivery d"
        )
    text = "".join(row["row"] for row in rows)
    for hidden in (secret, secret.removeprefix("whsec_"), receiver.url):
        assert hidden not in text
        assert hidden.encode().hex() not in text


async def test_the_loop_of_a_deliverer_hears_of_what_is_due(desk: Desk) -> None:
    account = await desk.account()
    async with receiving() as receiver, desk.deliverer.delivering():
        await desk.hook(account, receiver)
        await desk.tell(account)
        await receiver.called(1)
        await asyncio.wait_for(desk.deliverer.settled(), 60)
