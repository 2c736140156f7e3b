"""A client that goes away at any moment gets its credits back, once, or was never charged."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from gateway import state
from gateway.errors import ServiceDraining
from gateway.stages import Stage
from tests.gateway.samples import noise, opened, picture
from tests.gateway.service import Customer, Service, listening, until

pytestmark = pytest.mark.asyncio(loop_scope="session")

# 12 MB of pixels that stay 12 MB: more than the kernel's buffers between two sockets take.
LARGE = noise(2000, 2000)
# A receive window far below that.
WINDOW = 4096


@asynccontextmanager
async def _all_slots_taken(service: Service) -> AsyncIterator[None]:
    line = service.engine._line
    async with AsyncExitStack() as stack:
        for _ in range(line.slots):
            await stack.enter_async_context(line.slot("somebody else"))
        yield


def _length(body: bytes) -> str:
    return f"Content-Length: {len(body)}"


async def test_hanging_up_in_the_waiting_line_refunds_and_leaves_the_line(
    service: Service, customer: Customer
) -> None:
    async with listening(service.engine, service.ledger) as fresh, _all_slots_taken(service):
        wire = await fresh.open()
        await wire.post("png/webp", customer, _length(picture()), body=picture())
        await until(lambda: service.engine.status().waiting == 1)
        wire.hang_up()
        await fresh.quiet()
        assert service.engine.status().waiting == 0
    assert await service.kinds(customer) == ["consumption", "refund"]


async def test_hanging_up_during_the_conversion_kills_the_worker_and_refunds(
    service: Service, customer: Customer
) -> None:
    family = next(one for one in service.engine.status().families if one.name == "image")
    assert family.running == 0
    async with listening(service.engine, service.ledger) as fresh:
        wire = await fresh.open()
        await wire.post("png/avif?effort=9", customer, _length(LARGE), body=LARGE)
        await until(lambda: service.engine.status().busy == 1)
        wire.hang_up()
        await fresh.quiet()
    assert service.engine.status().busy == 0
    assert Stage.CONVERTED not in fresh.stages.seen
    assert await service.kinds(customer) == ["consumption", "refund"]


async def test_hanging_up_during_the_download_refunds(service: Service, customer: Customer) -> None:
    async with listening(service.engine, service.ledger) as fresh:
        wire = await fresh.open(window=WINDOW)
        await wire.post("png/bmp", customer, _length(LARGE), body=LARGE)
        status, _ = await wire.head()
        assert status == 200
        wire.hang_up()
        await fresh.quiet()
        assert fresh.app[state.MEMORY].taken == 0
    assert Stage.DELIVERED not in fresh.stages.seen
    assert await service.kinds(customer) == ["consumption", "refund"]


@pytest.mark.claim("C-HTTP-4")
async def test_a_client_that_stops_reading_is_cut_and_refunded(
    service: Service, customer: Customer
) -> None:
    async with (
        listening(service.engine, service.ledger, download={"stall_s": 0.2}) as strict,
        await strict.open(window=WINDOW) as wire,
    ):
        await wire.post("png/bmp", customer, _length(LARGE), body=LARGE)
        await strict.stages.wait(Stage.RESPONDING)
        await strict.quiet()
        _, headers = await wire.head()
        # Half a result does not look like a whole one.
        assert len(await wire.rest()) < int(headers["content-length"])
    assert await service.kinds(customer) == ["consumption", "refund"]


async def test_a_client_that_reads_too_slowly_is_cut_by_the_least_rate(
    service: Service, customer: Customer
) -> None:
    limits = {"rate_grace_s": 0.2, "rate_min_bytes_s": 10**12}
    async with (
        listening(service.engine, service.ledger, download=limits) as strict,
        await strict.open(window=WINDOW) as wire,
    ):
        await wire.post("png/bmp", customer, _length(LARGE), body=LARGE)
        await strict.stages.wait(Stage.RESPONDING)
        await strict.quiet()
    assert Stage.DELIVERED not in strict.stages.seen
    assert await service.kinds(customer) == ["consumption", "refund"]


async def test_hanging_up_after_the_last_byte_is_charged(
    service: Service, customer: Customer
) -> None:
    async with listening(service.engine, service.ledger) as fresh:
        wire = await fresh.open()
        await wire.post("png/bmp", customer, _length(LARGE), body=LARGE)
        reply = await wire.answer()
        wire.hang_up()
        await fresh.quiet()
    assert opened(reply.body).size == (2000, 2000)
    assert await service.kinds(customer) == ["consumption"]


async def test_hanging_up_while_the_debit_is_under_way_charges_nothing(
    service: Service, customer: Customer
) -> None:
    async with listening(service.engine, service.ledger) as fresh:
        wire = await fresh.open()
        # The reset is on its way before the debit is answered.
        fresh.stages.at(Stage.DEBITING, wire.hang_up)
        await wire.post("png/webp", customer, _length(picture()), body=picture())
        await fresh.stages.wait(Stage.DEBITING)
        await fresh.quiet()
    assert await service.ledger.balance(customer.account_id) in {
        customer.credits,  # refunded, or never debited
        customer.credits - 1,  # the whole conversion was faster than the reset
    }
    booked = await service.kinds(customer)
    assert booked in ([], ["consumption", "refund"], ["consumption"])
    if Stage.SETTLED not in fresh.stages.seen:
        assert await service.ledger.balance(customer.account_id) == customer.credits


@pytest.mark.parametrize("stage", [stage for stage in Stage if stage is not Stage.SETTLED])
async def test_an_error_nobody_foresaw_at_any_stage_loses_nothing(
    service: Service, customer: Customer, stage: Stage
) -> None:
    async with listening(service.engine, service.ledger) as fresh:

        def fail() -> None:
            raise ZeroDivisionError

        fresh.stages.at(stage, fail)
        async with await fresh.open() as wire:
            await wire.post("png/webp", customer, _length(picture()), body=picture())
            reply = await wire.answer()
        await fresh.quiet()
    if stage is Stage.DELIVERED:
        assert reply.status == 200  # the bytes are out already
    else:
        assert (reply.status, reply.json["code"]) == (500, "internal")
        assert "ZeroDivision" not in reply.body.decode()
    assert await service.ledger.balance(customer.account_id) == customer.credits


async def test_a_conversion_that_is_shown_out_is_told_and_refunded(
    service: Service, customer: Customer
) -> None:
    async with listening(service.engine, service.ledger) as fresh, _all_slots_taken(service):
        async with await fresh.open() as wire:
            await wire.post("png/webp", customer, _length(picture()), body=picture())
            await until(lambda: service.engine.status().waiting == 1)
            fresh.app[state.DOOR].close()
            assert await fresh.app[state.DOOR].show_out() == 1
            reply = await wire.answer()
        assert (reply.status, reply.json["code"]) == (503, "draining")
        assert int(reply.headers["retry-after"]) >= 1
    assert await service.kinds(customer) == ["consumption", "refund"]


async def test_a_draining_service_is_not_ready_and_takes_nothing_new(
    service: Service, customer: Customer
) -> None:
    async with listening(service.engine, service.ledger) as fresh:
        assert (await fresh.ask("GET", "/readyz")).status == 200
        fresh.app[state.DOOR].close()
        ready = await fresh.ask("GET", "/readyz")
        assert (ready.status, ready.json["missing"]) == (503, ["draining"])
        assert (await fresh.ask("GET", "/livez")).status == 200
        reply = await fresh.convert("png/webp", picture(), customer)
        assert (reply.status, reply.json["code"]) == (503, "draining")
        with pytest.raises(ServiceDraining):
            fresh.app[state.DOOR].check()
    assert await service.kinds(customer) == []


async def test_many_clients_that_come_and_go_leave_exact_books(
    service: Service, customer: Customer
) -> None:
    async def come_and_go(number: int) -> None:
        async with await fresh.open() as wire:
            await wire.post("png/webp", customer, _length(picture()), body=picture())
            if number % 2:
                assert (await wire.answer()).status == 200

    async with listening(service.engine, service.ledger) as fresh:
        await asyncio.gather(*(come_and_go(number) for number in range(20)))
        await fresh.quiet()
    entries = await service.entries(customer)
    assert sum(entry.credits for entry in entries) == entries[0].balance
    kept = len([entry for entry in entries if entry.kind == "consumption"]) - len(
        [entry for entry in entries if entry.kind == "refund"]
    )
    assert 10 <= kept <= 20


async def test_a_client_that_leaves_with_its_last_byte_does_not_look_like_a_hang_up(
    service: Service, customer: Customer
) -> None:
    async with listening(service.engine, service.ledger) as fresh:
        wire = await fresh.open()
        fresh.stages.at(Stage.DELIVERED, wire.hang_up)
        await wire.post("png/webp", customer, _length(picture()), body=picture())
        await fresh.stages.wait(Stage.SETTLED)
        await fresh.quiet()
        page = (await fresh.ask("GET", "/metrics")).body.decode()
    assert 'route="/v1/convert/{source}/{target}",status="200"' in page
    assert 'kind="refund"' not in page
    assert await service.kinds(customer) == ["consumption"]
