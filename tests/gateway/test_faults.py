"""What the machine does to a request: each fault has its answer, and the service goes on."""

import asyncio
import os
import signal

import pytest

from engine.engine import Engine
from gateway.stages import Stage
from ledger.embedded import EmbeddedPostgres
from ledger.ledger import Ledger
from ledger.migrate import migrate
from ledger.settings import LedgerSettings
from tests.gateway.samples import noise, picture
from tests.gateway.service import Customer, Reply, Service, listening, until
from tests.postgres import private_home

pytestmark = pytest.mark.asyncio(loop_scope="session")

SLOW = noise(1500, 1500)


async def test_a_zygote_that_is_killed_costs_a_retry_and_no_credit(
    service: Service, customer: Customer
) -> None:
    conversion = asyncio.create_task(service.convert("png/avif", SLOW, customer, effort="5"))
    await until(lambda: service.engine.status().busy == 1)
    zygote = service.engine._pools["image"].source
    assert zygote is not None
    os.kill(zygote.pid, signal.SIGKILL)
    reply = await conversion
    assert (reply.status, reply.json["code"]) == (503, "engine-unavailable"), reply.json
    assert reply.json["retryable"] is True
    assert await service.kinds(customer) == ["consumption", "refund"]
    again = await service.convert("png/webp", picture(), customer)
    assert again.status == 200


async def test_a_worker_that_is_killed_costs_no_credit(
    service: Service, customer: Customer
) -> None:
    pool = service.engine._pools["image"]
    conversion = asyncio.create_task(service.convert("png/avif", SLOW, customer, effort="5"))
    await until(lambda: service.engine.status().busy == 1)
    next(iter(pool._running)).kill()
    reply = await conversion
    assert (reply.status, reply.json["code"]) == (422, "conversion-crashed")
    assert await service.kinds(customer) == ["consumption", "refund"]


async def test_a_database_that_goes_away_is_said_at_once_and_comes_back(engine: Engine) -> None:
    with private_home() as home:
        async with EmbeddedPostgres(home, durable=False) as postgres:
            await migrate(postgres.dsn)
            settings = LedgerSettings(dsn=postgres.app_dsn, pepper=b"p" * 32)
            async with Ledger.connect(settings) as ledger, listening(engine, ledger) as fresh:
                customer = await fresh.customer()
                pid = postgres.pid
                assert pid is not None

                def kill_it() -> None:
                    os.kill(pid, signal.SIGKILL)

                fresh.stages.at(Stage.DEBITED, kill_it)
                caught = await fresh.convert("png/webp", picture(), customer)
                assert caught.status in {200, 503}
                fresh.stages.at(Stage.DEBITED, lambda: None)
                replies = [await fresh.convert("png/webp", picture(), customer)]
                await until(ledger.healthy)
                replies.append(await _until_it_works(fresh, customer))
                refused = [reply for reply in replies if reply.status != 200]
                assert {reply.json["code"] for reply in refused} <= {"ledger-unavailable"}
                assert all("Retry-After" in reply.headers for reply in refused)
                await fresh.quiet()
                await _settled(ledger)
                assert await ledger.audit() == []
                delivered = len([reply for reply in (caught, *replies) if reply.status == 200])
                assert await ledger.balance(customer.account_id) == customer.credits - delivered


async def _until_it_works(service: Service, customer: Customer) -> Reply:
    """The database restarts within a second or two; until then every answer is a clear one."""
    async with asyncio.timeout(180):
        while True:
            reply = await service.convert("png/webp", picture(), customer)
            if reply.status == 200:
                return reply
            assert reply.json["code"] == "ledger-unavailable"
            await asyncio.sleep(0.05)


async def _settled(ledger: Ledger) -> None:
    async with asyncio.timeout(180):
        while (await ledger.trial_balance()).open_debits:  # noqa: ASYNC110 -- in the database
            await asyncio.sleep(0.05)
