"""Every way a worker, a zygote or the machine can fail: its own answer, no cost, and no aftermath.

The whole service runs inside this process, around zygotes with `faults.py` as their entry, so that
a file can do to its worker whatever a hostile one may try. What comes from outside, signals and
limits on a service of its own, is in `test_faults_from_outside.py`.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import islice
from typing import Any

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from engine.converters.image.catalogue import FAMILY
from engine.engine import Engine, EngineConfig
from ledger.ledger import Ledger
from sandbox.host.forkserver import Forkserver
from sandbox.limits import MIB, Limits
from sandbox.spec import ZygoteSpec
from tests.gateway.samples import picture
from tests.gateway.service import Customer, Reply, Service, listening, until
from tests.system import faults

pytestmark = pytest.mark.asyncio(loop_scope="session")

# An honest tiny conversion on a busy machine stays far below these.
LIMITS = Limits(address_space_bytes=384 * MIB, cpu_s=2, wall_s=8, output_bytes_max=64 * MIB)
PATIENT = Limits(address_space_bytes=512 * MIB, cpu_s=3, wall_s=60)
AFTERWARDS = 8
# What the file does → status, problem, label in logs and metrics.
MATRIX = {
    "segfault": (422, "conversion-crashed", "segfault"),
    "abort": (422, "conversion-crashed", "abort"),
    "leave 3": (422, "conversion-crashed", "exit"),
    "half_a_reply": (422, "conversion-crashed", "reply"),
    "forbidden_call": (422, "conversion-crashed", "violation"),
    "garbage": (422, "conversion-crashed", "reply"),
    "flood": (422, "conversion-crashed", "progress"),
    f"boast {2**60}": (422, "result-too-large", "output"),
    "allocate": (422, "conversion-memory", "memory"),
    "allocate_in_c": (422, "conversion-memory", "memory"),
    "spin": (504, "conversion-timeout", "cpu"),
    "hang_in_c": (504, "conversion-timeout", "deadline"),
}


@asynccontextmanager
async def _around(
    ledger: Ledger, *, warm: str = "engine.task:warm", slots: int = 2, limits: Limits = LIMITS
) -> AsyncIterator[Service]:
    """The service around zygotes whose files can order a fault."""
    order = ZygoteSpec(
        family=FAMILY.name,
        preload=(*FAMILY.preload, "tests.system.faults"),
        entry="tests.system.faults:handle",
        warm=warm,
        touch="engine.task:touch",
        limits=limits,
        level="strict",
    )
    engine = await Engine.start(EngineConfig(slots=slots, spares=2, started=(FAMILY.name,)))
    try:
        await _renewed(engine, order)
        async with listening(engine, ledger) as service:
            yield service
            await service.quiet()
            assert await ledger.audit() == []
            assert (await ledger.trial_balance()).open_debits == 0
    finally:
        await engine.close()


async def _renewed(engine: Engine, order: ZygoteSpec) -> None:
    """From its next zygote on, the family runs this entry; the first one makes way for it."""
    pool: Any = engine._pools[FAMILY.name]
    pool._boot = lambda *_: Forkserver.start(order)
    pool._limits, pool._deadline_s = order.limits, order.limits.wall_s
    os.kill(pool.source.pid, signal.SIGKILL)
    await until(lambda: pool.restarts == 1 and pool.source is not None and pool.spares > 0)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def fragile(ledger: Ledger) -> AsyncIterator[Service]:
    async with _around(ledger) as service:
        yield service


async def _all_is_well(service: Service, customer: Customer) -> None:
    replies = await asyncio.gather(
        *(service.convert("png/webp", picture(), customer) for _ in range(AFTERWARDS))
    )
    assert [reply.status for reply in replies] == [200] * AFTERWARDS


@pytest.mark.parametrize("fault", MATRIX)
@pytest.mark.claim("C-CRASH-1")
async def test_a_fault_in_a_worker_has_its_answer_and_costs_nothing(
    fragile: Service, fault: str
) -> None:
    status, code, reason = MATRIX[fault]
    customer = await fragile.customer()
    with capture_logs() as logs:
        reply = await fragile.convert("png/webp", faults.file(fault), customer)
        assert (reply.status, reply.json["code"], reply.json["charged"]) == (status, code, False)
    assert [row["reason"] for row in logs if row["event"] == "conversion_failed"] == [reason]
    assert await fragile.kinds(customer) == ["consumption", "refund"]
    await _all_is_well(fragile, customer)
    assert await fragile.ledger.balance(customer.account_id) == customer.credits - AFTERWARDS


async def test_all_faults_at_once_leave_the_honest_ones_alone(fragile: Service) -> None:
    hostile, honest = await fragile.customer(1000), await fragile.customer(1000)
    quick = [fault for fault in MATRIX if "hang" not in fault and fault != "spin"]
    bad = [fragile.convert("png/webp", faults.file(fault), hostile) for fault in quick]
    good = [fragile.convert("png/webp", picture(), honest) for _ in range(4 * AFTERWARDS)]
    replies = await asyncio.gather(*bad, *good)
    assert [reply.json["code"] for reply in replies[: len(bad)]] == [
        MATRIX[fault][1] for fault in quick
    ]
    assert {reply.status for reply in replies[len(bad) :]} == {200}
    assert await fragile.ledger.balance(hostile.account_id) == hostile.credits
    assert await fragile.ledger.balance(honest.account_id) == honest.credits - len(good)


def _zygote(service: Service) -> int:
    pool: Any = service.engine._pools[FAMILY.name]
    return int(pool.source.pid)


def _image(service: Service) -> Any:
    return next(one for one in service.engine.status().families if one.name == FAMILY.name)


async def test_a_zygote_that_is_stopped_is_replaced_before_anybody_gives_up(
    fragile: Service,
) -> None:
    customer = await fragile.customer()
    before = _image(fragile).restarts
    os.kill(_zygote(fragile), signal.SIGSTOP)
    await _all_is_well(fragile, customer)
    assert _image(fragile).restarts == before + 1
    await _all_is_well(fragile, customer)


async def test_a_zygote_that_is_killed_fails_its_own_and_nobody_after_them(
    fragile: Service,
) -> None:
    customer = await fragile.customer()
    lost = [
        asyncio.create_task(fragile.convert("png/webp", faults.file("hang"), customer))
        for _ in range(2)
    ]
    await until(lambda: _image(fragile).running == 2)
    os.kill(_zygote(fragile), signal.SIGKILL)
    for reply in await asyncio.gather(*lost):
        assert (reply.status, reply.json["code"]) == (503, "engine-unavailable")
        assert reply.json["retryable"] is True
        assert "Retry-After" in reply.headers
    await _all_is_well(fragile, customer)
    assert await fragile.ledger.balance(customer.account_id) == customer.credits - AFTERWARDS


async def test_a_zygote_that_may_have_no_more_processes_costs_a_retry_and_recovers(
    ledger: Ledger,
) -> None:
    few = "tests.system.faults:warm_with_few_processes"
    async with _around(ledger, warm=few, slots=16, limits=PATIENT) as service:
        customer = await service.customer()
        hangs = [
            asyncio.create_task(service.convert("png/webp", faults.file("hang"), customer))
            for _ in range(10)
        ]
        refused = [reply for reply in await _first_ended(hangs, 1) if reply.status != 200]
        assert {reply.json["code"] for reply in refused} == {"engine-unavailable"}
        running = _image(service).running
        assert 0 < running < len(hangs)
        for hang in hangs:
            hang.cancel()
        await service.quiet()
        await _all_is_well(service, customer)
        assert await ledger.balance(customer.account_id) == customer.credits - AFTERWARDS


async def _first_ended(tasks: list["asyncio.Task[Reply]"], count: int) -> list[Reply]:
    ended = [await next_one for next_one in islice(asyncio.as_completed(tasks), count)]
    assert len(ended) == count
    return ended
